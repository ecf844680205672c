"""PostgreSQL's binary format: cells, the fields and rows of binary COPY, arrays.

A result holds cells. COPY takes fields: each is a cell with its length in front. Both are bytes,
so two types tell them apart. Format: `src/backend/commands/copyto.c` and `utils/adt/arrayfuncs.c`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from struct import Struct
from typing import NewType, cast

Cell = NewType("Cell", bytes)
"""A value in binary format, as a result has it."""

CopyField = NewType("CopyField", bytes)
"""A cell with its length in front, as COPY and arrays have it; NULL_FIELD for NULL."""

NULL_FIELD = CopyField(b"\xff\xff\xff\xff")

COPY_HEAD, COPY_TAIL = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
"""What stands before the first row of binary COPY, and behind the last."""

pack_length, _read_length = Struct(">i").pack, Struct(">i").unpack_from
_pack_array_head, _read_array_head = Struct(">iiiii").pack, Struct(">iiiii").unpack_from
_EMPTY_ARRAY_BYTES, _ARRAY_HEAD_BYTES = 12, 20

# Loops over millions of values call these. A NewType is called 150 ns per value, a cast in a module
# is free: what makes fields and cells is therefore cast as a function, once.
int4_field = cast(Callable[[int], CopyField], partial(Struct(">ii").pack, 4))
int8_field = cast(Callable[[int], CopyField], partial(Struct(">iq").pack, 8))


def add_length(cell: bytes) -> CopyField:
    """The field of a cell."""
    return CopyField(pack_length(len(cell)) + cell)


def strip_length(field: CopyField) -> Cell:
    """The cell of a field that is not NULL."""
    return Cell(field[4:])


def strip_lengths(fields: Iterable[CopyField]) -> list[Cell]:
    """The cells of fields that are not NULL."""
    return cast(list[Cell], [field[4:] for field in fields])


def row_head(width: int) -> bytes:
    """What stands before the fields of a row with so many columns."""
    return width.to_bytes(2, "big")


def write_row(*fields: CopyField) -> bytes:
    """A row of COPY."""
    return b"".join((row_head(len(fields)), *fields))


def read_row(row: bytes) -> list[Cell | None]:
    """The cells of a row of COPY."""
    cells, p = list[bytes | None](), 2
    while p < len(row):
        size: int = _read_length(row, p)[0]
        p += 4
        cells.append(None if size < 0 else row[p : p + size])
        p += max(size, 0)
    return cast(list[Cell | None], cells)


def find_borders(row: bytes, count: int) -> list[int]:
    """Where the first `count` fields of a row of COPY begin, and where the last of them ends."""
    borders, p = [2], 2
    for _ in range(count):
        size: int = _read_length(row, p)[0]
        p += 4 + max(size, 0)
        borders.append(p)
    return borders


def write_array(fields: Sequence[CopyField], oid: int) -> CopyField:
    """A one-dimensional array of elements of the type `oid`."""
    if not fields:
        head = bytes(8) + pack_length(oid)
        return add_length(head)
    body = b"".join(fields)
    has_null = NULL_FIELD in fields
    head = _pack_array_head(1, has_null, oid, len(fields), 1)
    return cast(CopyField, pack_length(len(body) + len(head)) + head + body)


def join_array(joined: bytes, count: int, oid: int) -> Cell:
    """The cell of an array of `count` elements of the type `oid`, whose fields are joined."""
    if not count:
        return Cell(bytes(8) + pack_length(oid))
    return Cell(_pack_array_head(1, 0, oid, count, 1) + joined)


def array_shape(cell: bytes) -> tuple[int, int, int]:
    """Dimensions, elements and first subscript of an array; an empty one has no dimension."""
    if len(cell) <= _EMPTY_ARRAY_BYTES:
        return 0, 0, 1
    dimensions, _, _, count, first = _read_array_head(cell)
    return dimensions, count, first


def read_array(cell: bytes, count: int) -> Iterable[Cell | None]:
    """The elements of an array of one dimension, one at a time."""
    p = _ARRAY_HEAD_BYTES
    for _ in range(count):
        length: int = _read_length(cell, p)[0]
        p += 4
        yield None if length < 0 else cast(Cell, cell[p : p + length])
        p += max(length, 0)
