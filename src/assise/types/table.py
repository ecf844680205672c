"""The closed table of column types: look-ups by name, kind and rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

from assise.types import decimals, ids, text, time
from assise.types.arrays import make_array_codec
from assise.types.codec import Codec
from assise.types.names import MAX_LENGTH, MAX_PLACES, MAX_PRECISION, read_modifiers
from assise.types.pointers import MakeCodec
from assise.types.scalars import PACKED, STRING_CODECS, ColumnType
from assise.types.scalars import SCALARS as _ROWS
from assise.types.wire import Cell, add_length, strip_length, write_array

KEY_KINDS = frozenset({"any", "offset"})
"""Kinds that only the key column of a collection's table can have."""

NAMED_KINDS = r"^(pointer|dbref)\((.+)\)$"
_NAMED_KIND = re.compile(r"(pointer|dbref)\(([^\0]+)\)")
"""A kind with the class or the collection that its values name."""


def _make_array(element: ColumnType) -> ColumnType:
    codecs = {
        kind: make_array_codec(codec, element.oid)
        for kind, codec in element.codecs.items()
        if kind not in KEY_KINDS
    }
    return ColumnType(
        f"{element.name}[]",
        element.array_oid,
        element.array_oid,
        f"{element.catalog_name}[]",
        codecs,
        is_key=False,
        size=PACKED,
    )


TYPES: Mapping[str, ColumnType] = MappingProxyType(
    {found.name: found for found in _ROWS}
    | {f"{found.name}[]": _make_array(found) for found in _ROWS if found.has_arrays}
)
"""Every type without a modifier by its name: scalars, then arrays."""

KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: found.kinds for name, found in TYPES.items()}
)
"""Every type without a modifier, with its kinds, the default kind first."""

SCALARS = tuple(found.name for found in _ROWS)
"""The types that are no arrays."""

NAMES = (*SCALARS, "varchar(20)", "numeric(10,2)", "timestamptz(3)", "text[]")
"""Types as errors list them: the scalars, and one example of each other form."""

PROPOSED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        codec.proposed_for: (found.name, kind)
        for found in _ROWS
        for kind, codec in found.codecs.items()
        if codec.proposed_for
    }
)
"""The type and kind that infer proposes for values of one kind; numbers are weighed by infer."""


@lru_cache(1 << 10)
def find_type(name: str) -> ColumnType:
    """The type with a name in its one form, such as `varchar(20)`.

    Raises:
        LookupError: there is none.
    """
    if name in TYPES:
        return TYPES[name]
    if is_array(name):
        element = find_type(element_type(name))
        if element.has_arrays and not is_array(element.name):
            return _make_array(element)
        raise LookupError(name)
    base, modifiers = read_modifiers(name)
    if base == "varchar" and len(modifiers) == 1:
        return _limit_varchar(name, *modifiers)
    if base == "numeric" and len(modifiers) == 2:
        return _limit_numeric(name, *modifiers)
    if base == "timestamptz" and len(modifiers) == 1:
        return _limit_moment(name, *modifiers)
    raise LookupError(name)


def _limit_varchar(name: str, length: int) -> ColumnType:
    if not 1 <= length <= MAX_LENGTH:
        raise LookupError(name)
    of_text = TYPES["text"]
    limit = text.limit_length
    return replace(
        of_text,
        name=name,
        oid=1043,
        array_oid=1015,
        catalog_name=f"character varying({length})",
        codecs={kind: limit(codec, length) for kind, codec in STRING_CODECS.items()},
        named={kind: _limit_named(make, length) for kind, make in of_text.named.items()},
    )


def _limit_named(make: MakeCodec, length: int) -> MakeCodec:
    return lambda target, home: text.limit_length(make(target, home), length)


def _limit_numeric(name: str, precision: int, scale: int) -> ColumnType:
    if not 1 <= precision <= MAX_PRECISION or scale > precision:
        raise LookupError(name)
    codecs = decimals.make_scaled_codecs(precision, scale)
    return replace(TYPES["numeric"], name=name, catalog_name=name, codecs=codecs)


def _limit_moment(name: str, places: int) -> ColumnType:
    if places > MAX_PLACES:
        raise LookupError(name)
    catalog_name = f"timestamp({places}) with time zone"
    codecs = time.make_moment_codecs(places)
    return replace(TYPES["timestamptz"], name=name, catalog_name=catalog_name, codecs=codecs)


def is_type(name: str) -> bool:
    """Whether there is a type of this name, in its one form."""
    try:
        find_type(name)
    except LookupError:
        return False
    return True


_FIRST_NUMBER = replace(decimals.make_number_codec(decimals.shortest_text), read={})


def is_array(column_type: str) -> bool:
    """Whether a type is an array."""
    return column_type.endswith("[]")


def element_type(column_type: str) -> str:
    """The type of an array's elements; of another type the type itself."""
    return column_type.removesuffix("[]")


def default_kind(column_type: str) -> str:
    """The kind that a column of a known type has when its manifest names none."""
    return find_type(column_type).kinds[0]


def is_kind(column_type: str, kind: str) -> bool:
    """Whether a column of this type can be of this kind; False for unknown types and kinds."""
    try:
        return kind in find_type(column_type).kinds or bool(find_codec(column_type, kind))
    except LookupError:
        return False


@lru_cache(1 << 10)
def find_codec(column_type: str, kind: str, reads: str = "") -> Codec:
    """The codec of a known type and a kind of it other than offset.

    `reads` is what numbers count in a column of moments (`time.NUMBERS`), or the byte order of
    UUIDs of subtype 3 in a column of uuids (`ids.SWAPS`).
    """
    found = find_type(column_type)
    if is_array(column_type) and kind not in KEY_KINDS:
        element = find_type(element_type(column_type))
        return make_array_codec(find_codec(element.name, kind, reads), element.oid)
    if match := _NAMED_KIND.fullmatch(kind):
        home = find_codec(column_type, found.kinds[0], reads)
        return found.named[match[1]](match[2], home)
    if reads in time.NUMBERS:
        _, modifiers = read_modifiers(column_type)
        return time.make_moment_codecs(*modifiers, numbers=reads)[kind]
    if reads:
        return ids.make_uuid_codecs(legacy_uuids=reads)[kind]
    return found.codecs[kind]


@lru_cache(1 << 10)
def find_first_codec(column_type: str, kind: str) -> Codec:
    """The codec of a type and a kind by rules 1: nothing is read, doubles are shortest decimals."""
    if column_type == "numeric" and kind == "number":
        return _FIRST_NUMBER
    if column_type == "numeric[]" and kind == "number":
        return make_array_codec(_FIRST_NUMBER, TYPES["numeric"].oid)
    return replace(find_codec(column_type, kind), read={})


def array_parameter(column_type: str, cells: Iterable[Cell]) -> Cell:
    """An array of cells of a type, as a parameter of a query in binary format."""
    fields = [add_length(cell) for cell in cells]
    return strip_length(write_array(fields, find_type(column_type).oid))
