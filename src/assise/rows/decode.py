"""Whole columns of cells into fields of documents: what the decoders of `assise.rows.cells` do for one cell, for thousands at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from struct import iter_unpack, unpack

from assise.documents.kinds import BOOL, DATE, DOUBLE, INT32, INT64, OBJECT_ID, STRING
from assise.documents.writer import pack_int32, pack_int64
from assise.errors import CellError, ExtendedJsonError
from assise.manifest.layout import ColumnLayout
from assise.rows.cells import POSTGRES_EPOCH_MS, Decode, encode_object_id
from assise.rows.encode import HIGH_DOWN, LOW_UP

DecodeAll = Callable[[Sequence[bytes]], list[bytes | None]]
"""Cells of one column -> the fields that they are (type byte, key, NUL, value); None for a cell that a load does not write."""

_LOW = bytes(byte & 15 for byte in range(256))


def decode_all(key: bytes, column: ColumnLayout, *, decode: Decode) -> DecodeAll:
    """The decoder of a whole column whose values have this key; `decode` is the one of single cells."""
    whole = _WHOLE.get((column.type, column.kind))
    return partial(whole, key) if whole else partial(_decode_each, decode, key)


def _decode_each(decode: Decode, key: bytes, cells: Sequence[bytes]) -> list[bytes | None]:
    known = dict[bytes, bytes | None].fromkeys(cells)
    for cell in known:
        with suppress(CellError, ExtendedJsonError, RecursionError):
            kind, value = decode(cell)
            known[cell] = b"%c%b\0%b" % (kind, key, value)
    return [known[cell] for cell in cells]


def _decode_texts(key: bytes, cells: Sequence[bytes]) -> list[bytes | None]:
    front = b"%c%b\0" % (STRING, key)
    return [front + pack_int32(len(cell) + 1) + cell + b"\0" for cell in cells]


def _decode_object_ids(key: bytes, cells: Sequence[bytes]) -> list[bytes | None]:
    """The inverse of `encode_object_ids`; cells that it does not give are None."""
    joined, count = b"".join(cells), len(cells)
    ids = bytearray(12 * count)
    for i in range(6):
        ids[i::12] = joined[i::16]
    high = int.from_bytes(joined[6::16].translate(LOW_UP)) | int.from_bytes(
        joined[7::16].translate(HIGH_DOWN)
    )
    low = int.from_bytes(joined[7::16].translate(LOW_UP)) | int.from_bytes(
        joined[8::16].translate(_LOW)
    )
    ids[6::12], ids[7::12] = high.to_bytes(count), low.to_bytes(count)
    for i in range(4):
        ids[8 + i :: 12] = joined[9 + i :: 16]
    front = b"%c%b\0" % (OBJECT_ID, key)
    values = [value for (value,) in iter_unpack("12s", ids)]
    digits, zeros = (
        (joined[i::16].translate(HIGH_DOWN) for i in (6, 8)),
        (joined[i::16] for i in (13, 14, 15)),
    )
    if {*digits} == {b"\x08" * count} and {*zeros} == {bytes(count)}:
        return [front + value for value in values]
    return [
        front + value if encode_object_id(value, 0)[0][4:] == cell else None
        for value, cell in zip(values, cells, strict=True)
    ]


def _decode_dates(key: bytes, cells: Sequence[bytes]) -> list[bytes | None]:
    front = b"%c%b\0" % (DATE, key)
    moments = unpack(f">{len(cells)}q", b"".join(cells))
    return [
        None if moment % 1000 else front + pack_int64(moment // 1000 + POSTGRES_EPOCH_MS)
        for moment in moments
    ]


def _decode_reversed(kind: int, key: bytes, cells: Sequence[bytes]) -> list[bytes | None]:
    front = b"%c%b\0" % (kind, key)
    return [front + cell[::-1] for cell in cells]


_WHOLE: dict[tuple[str, str], Callable[[bytes, Sequence[bytes]], list[bytes | None]]] = {
    ("text", "string"): _decode_texts,
    ("uuid", "objectid"): _decode_object_ids,
    ("timestamptz", "date"): _decode_dates,
    ("bool", "bool"): partial(_decode_reversed, BOOL),
    ("float8", "double"): partial(_decode_reversed, DOUBLE),
    ("int4", "int32"): partial(_decode_reversed, INT32),
    ("int8", "int64"): partial(_decode_reversed, INT64),
}
