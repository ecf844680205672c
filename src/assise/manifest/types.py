"""The closed table of column types and of the BSON kinds that each can hold."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

KEY_KINDS = frozenset({"any", "offset"})
"""Kinds that only the key column of a collection's table can have."""

_ELEMENTS = {
    "uuid": ("objectid", "uuid", "uuid_java", "uuid_csharp", "uuid_python"),
    "text": ("string", "objectid", "any"),
    "bool": ("bool",),
    "int4": ("int32", "offset"),
    "int8": ("int64", "offset"),
    "float8": ("double",),
    "numeric": ("number", "decimal"),
    "timestamptz": ("date",),
}
_ARRAYS = {
    f"{name}[]": tuple(kind for kind in kinds if kind not in KEY_KINDS)
    for name, kinds in _ELEMENTS.items()
}
_OTHERS = {
    "bytea": ("binary", *(f"binary_{subtype}" for subtype in range(1, 256))),
    "jsonb": ("every",),
}

KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(_ELEMENTS | _OTHERS | _ARRAYS)
"""Every type with its kinds, the default kind first."""

SCALARS = tuple(_ELEMENTS | _OTHERS)
"""The types that are no arrays."""


def is_array(column_type: str) -> bool:
    """Whether a type is an array."""
    return column_type.endswith("[]")


def element_type(column_type: str) -> str:
    """The type of an array's elements; of another type the type itself."""
    return column_type.removesuffix("[]")


def default_kind(column_type: str) -> str:
    """The kind that a column of a known type has when its manifest names none."""
    return KINDS[column_type][0]


def is_kind(column_type: str, kind: str) -> bool:
    """Whether a column of this type can be of this kind; False for unknown types and kinds."""
    return kind in KINDS.get(column_type, ())
