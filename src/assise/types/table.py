"""The closed table of column types: what each is called, which kinds it holds, and how.

A new type is a codec in the module of its family, and one row here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from assise.types import anykey, binary, booleans, floats, ids, integers, jsonb, numeric, text, time
from assise.types.arrays import make_array_codec
from assise.types.codec import Codec
from assise.types.wire import Cell, CopyField, add_length, int8_field, strip_length, write_array

KEY_KINDS = frozenset({"any", "offset"})
"""Kinds that only the key column of a collection's table can have."""

# Nothing is unpacked for its size: a packed text's length stands in its head, and what else is
# packed counts eight times.
_OCTETS = "octet_length({cell})"
_PACKED = (
    "pg_column_size({cell}) * CASE WHEN pg_column_compression({cell}) IS NULL THEN 1 ELSE 8 END"
)


def _show_hex(cell: Cell) -> str:
    return cell.hex()[:200]


@dataclass(frozen=True)
class ColumnType:
    """A type that columns can have.

    Args:
        catalog_name: as `format_type` gives it.
        codecs: by kind, the default kind first. Kind offset has none: it is no value of a document.
        show_key: a cell on one line, at most 200 characters of it.
        compare_key: a value that two cells share when PostgreSQL calls them equal; None where equal
            cells have equal bytes.
        write_offset: the field of a document's offset; None for one that the type cannot hold.
        has_arrays: whether columns can be arrays of it.
        size: SQL for the bytes of a `{cell}`; empty where a cell has at most eight.
    """

    name: str
    oid: int
    array_oid: int
    catalog_name: str
    codecs: Mapping[str, Codec]
    show_key: Callable[[Cell], str] = _show_hex
    compare_key: Callable[[Cell], Hashable] | None = None
    write_offset: Callable[[int], CopyField | None] | None = None
    has_arrays: bool = True
    size: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of BSON values that a column of the type can hold, the default first."""
        return (*self.codecs, "offset") if self.write_offset else tuple(self.codecs)


_SCALARS = (
    ColumnType("uuid", 2950, 2951, "uuid", ids.UUID_CODECS, ids.show_uuid),
    ColumnType(
        "text",
        25,
        1009,
        "text",
        {"string": text.STRING_CODEC, "objectid": ids.DIGITS_CODEC, "any": anykey.ANY_CODEC},
        text.show_text,
        size=_OCTETS,
    ),
    ColumnType("bool", 16, 1000, "boolean", {"bool": booleans.BOOL_CODEC}, booleans.show_bool),
    ColumnType(
        "int4",
        23,
        1007,
        "integer",
        {"int32": integers.INT4_CODEC},
        integers.show_int,
        write_offset=integers.int4_offset,
    ),
    ColumnType(
        "int8",
        20,
        1016,
        "bigint",
        {"int64": integers.INT8_CODEC},
        integers.show_int,
        write_offset=int8_field,
    ),
    ColumnType(
        "float8",
        701,
        1022,
        "double precision",
        {"double": floats.FLOAT8_CODEC},
        floats.show_float8,
        floats.compare_float8,
    ),
    ColumnType(
        "numeric",
        1700,
        1231,
        "numeric",
        numeric.NUMERIC_CODECS,
        numeric.show_numeric,
        numeric.compare_numeric,
    ),
    ColumnType(
        "timestamptz",
        1184,
        1185,
        "timestamp with time zone",
        {"date": time.TIMESTAMPTZ_CODEC},
        time.show_timestamptz,
    ),
    ColumnType("bytea", 17, 1001, "bytea", binary.BYTEA_CODECS, has_arrays=False, size=_OCTETS),
    ColumnType(
        "jsonb", 3802, 3807, "jsonb", {"every": jsonb.EVERY_CODEC}, has_arrays=False, size=_PACKED
    ),
)


def _make_array(element: ColumnType) -> ColumnType:
    codecs = {
        kind: make_array_codec(codec, element.oid)
        for kind, codec in element.codecs.items()
        if kind not in KEY_KINDS
    }
    oid = element.array_oid
    name, catalog_name = f"{element.name}[]", f"{element.catalog_name}[]"
    return ColumnType(name, oid, oid, catalog_name, codecs, size=_PACKED)


TYPES: Mapping[str, ColumnType] = MappingProxyType(
    {found.name: found for found in _SCALARS}
    | {f"{found.name}[]": _make_array(found) for found in _SCALARS if found.has_arrays}
)
"""Every type by its name: scalars, then arrays."""

KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: found.kinds for name, found in TYPES.items()}
)
"""Every type with its kinds, the default kind first."""

SCALARS = tuple(found.name for found in _SCALARS)
"""The types that are no arrays."""

PROPOSED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        codec.proposed_for: (found.name, kind)
        for found in _SCALARS
        for kind, codec in found.codecs.items()
        if codec.proposed_for
    }
)
"""The type and kind that infer proposes for values of one kind; numbers are weighed by infer."""


def is_array(column_type: str) -> bool:
    """Whether a type is an array."""
    return column_type.endswith("[]")


def default_kind(column_type: str) -> str:
    """The kind that a column of a known type has when its manifest names none."""
    return KINDS[column_type][0]


def is_kind(column_type: str, kind: str) -> bool:
    """Whether a column of this type can be of this kind; False for unknown types and kinds."""
    return kind in KINDS.get(column_type, ())


def find_codec(column_type: str, kind: str) -> Codec:
    """The codec of a known type and a kind of it other than offset."""
    return TYPES[column_type].codecs[kind]


def array_parameter(column_type: str, cells: Iterable[Cell]) -> Cell:
    """An array of cells of a type, as a parameter of a query in binary format."""
    fields = [add_length(cell) for cell in cells]
    return strip_length(write_array(fields, TYPES[column_type].oid))
