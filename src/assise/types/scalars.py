"""The scalar types of columns: what each is called, which kinds it holds, and how.

A new type is a codec in the module of its family, and one row here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace

from assise.types import (
    anykey,
    binary,
    booleans,
    dates,
    decimals,
    floats,
    ids,
    integers,
    jsonb,
    numeric,
    text,
    time,
)
from assise.types.codec import Codec
from assise.types.pointers import MakeCodec, make_dbref, make_pointer
from assise.types.wire import Cell, CopyField, int8_field

# Nothing is unpacked for its size: a packed text's length stands in its head, and what else is
# packed counts eight times.
_OCTETS = "octet_length({cell})"
PACKED = (
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
        named: by the name of a kind with an argument, such as `pointer(Class)`.
        show_key: a cell on one line, at most 200 characters of it.
        compare_key: a value that two cells share when PostgreSQL calls them equal; None where equal
            cells have equal bytes.
        write_offset: the field of a document's offset; None for one that the type cannot hold.
        has_arrays: whether columns can be arrays of it.
        is_key: whether a key can have it.
        size: SQL for the bytes of a `{cell}`; empty where a cell has at most eight.
    """

    name: str
    oid: int
    array_oid: int
    catalog_name: str
    codecs: Mapping[str, Codec]
    named: Mapping[str, MakeCodec] = field(default_factory=dict)
    show_key: Callable[[Cell], str] = _show_hex
    compare_key: Callable[[Cell], Hashable] | None = None
    write_offset: Callable[[int], CopyField | None] | None = None
    has_arrays: bool = True
    is_key: bool = True
    size: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of BSON values that a column of the type can hold, the default first."""
        return (*self.codecs, "offset") if self.write_offset else tuple(self.codecs)


STRING_CODECS = {"string": text.STRING_CODEC, "objectid": text.DIGITS_CODEC}
_UUID_CODECS = ids.make_uuid_codecs()
_MOMENT_CODECS = time.make_moment_codecs()


def _name_kinds(texts: Codec) -> Mapping[str, MakeCodec]:
    return {"pointer": make_pointer(texts), "dbref": make_dbref}


SCALARS = (
    ColumnType(
        "uuid",
        2950,
        2951,
        "uuid",
        _UUID_CODECS,
        _name_kinds(_UUID_CODECS["hex"]),
        ids.show_uuid,
    ),
    ColumnType(
        "text",
        25,
        1009,
        "text",
        {**STRING_CODECS, "any": anykey.ANY_CODEC},
        _name_kinds(text.STRING_CODEC),
        text.show_text,
        size=_OCTETS,
    ),
    ColumnType("bool", 16, 1000, "boolean", {"bool": booleans.BOOL_CODEC}, {}, booleans.show_bool),
    ColumnType(
        "int2",
        21,
        1005,
        "smallint",
        integers.INT2_CODECS,
        _name_kinds(integers.make_digits_codec(2)),
        integers.show_int,
    ),
    ColumnType(
        "int4",
        23,
        1007,
        "integer",
        integers.INT4_CODECS,
        _name_kinds(integers.make_digits_codec(4)),
        integers.show_int,
        write_offset=integers.int4_offset,
    ),
    ColumnType(
        "int8",
        20,
        1016,
        "bigint",
        integers.INT8_CODECS,
        _name_kinds(integers.make_digits_codec(8)),
        integers.show_int,
        write_offset=int8_field,
    ),
    ColumnType(
        "float8",
        701,
        1022,
        "double precision",
        {"double": floats.FLOAT8_CODEC},
        {},
        floats.show_float8,
        floats.compare_float8,
    ),
    ColumnType(
        "numeric",
        1700,
        1231,
        "numeric",
        decimals.NUMERIC_CODECS,
        {},
        numeric.show_numeric,
        numeric.compare_numeric,
    ),
    ColumnType(
        "timestamptz",
        1184,
        1185,
        "timestamp with time zone",
        _MOMENT_CODECS,
        {},
        time.show_timestamptz,
    ),
    ColumnType("date", 1082, 1182, "date", dates.DATE_CODECS, {}, dates.show_date),
    ColumnType("bytea", 17, 1001, "bytea", binary.BYTEA_CODECS, has_arrays=False, size=_OCTETS),
    ColumnType(
        "jsonb",
        3802,
        3807,
        "jsonb",
        {"every": jsonb.EVERY_CODEC},
        has_arrays=False,
        is_key=False,
        size=PACKED,
    ),
    # A type of an extension: its numbers differ from server to server.
    ColumnType(
        "citext",
        0,
        0,
        "citext",
        {kind: replace(codec, proposed_for="") for kind, codec in STRING_CODECS.items()},
        _name_kinds(text.STRING_CODEC),
        has_arrays=False,
        is_key=False,
        size=_OCTETS,
    ),
)
