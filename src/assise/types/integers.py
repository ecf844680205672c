"""Integers: the codecs of `int4` and `int8`. Both take either width of BSON, and give back their
own. PostgreSQL writes the highest byte first, BSON the lowest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from assise.documents.kinds import INT32, INT64
from assise.documents.reader import read_int32, read_int64
from assise.types.codec import make_codec
from assise.types.wire import CopyField, int4_field, int8_field


def _encode_int32(raw: bytes, p: int) -> tuple[bytes, int]:
    return b"\0\0\0\4" + raw[p : p + 4][::-1], p + 4


def encode_8_bytes(raw: bytes, p: int) -> tuple[bytes, int]:
    """An int64, or a double."""
    return b"\0\0\0\x08" + raw[p : p + 8][::-1], p + 8


def _encode_int64_as_int4(raw: bytes, p: int) -> tuple[bytes | None, int]:
    value: int = read_int64(raw, p)[0]
    fits = -(1 << 31) <= value < 1 << 31
    return (int4_field(value) if fits else None), p + 8


def _encode_int32_as_int8(raw: bytes, p: int) -> tuple[bytes, int]:
    return int8_field(read_int32(raw, p)[0]), p + 4


def encode_reversed(length: bytes) -> Callable[[Sequence[bytes]], list[bytes | None]]:
    """The encoder of many values whose cells are their bytes in reverse; all have this length."""
    return lambda values: [length + value[::-1] for value in values]


def decode_reversed(kind: int) -> Callable[[bytes, Sequence[bytes]], list[bytes | None]]:
    """The decoder of many cells whose values are their bytes in reverse."""

    def decode_column(key: bytes, cells: Sequence[bytes]) -> list[bytes | None]:
        front = b"%c%b\0" % (kind, key)
        return [front + cell[::-1] for cell in cells]

    return decode_column


INT4_CODEC = make_codec(
    {INT32: _encode_int32, INT64: _encode_int64_as_int4},
    lambda cell: (INT32, cell[::-1]),
    encode_columns={INT32: encode_reversed(b"\0\0\0\4")},
    decode_column=decode_reversed(INT32),
)
INT8_CODEC = make_codec(
    {INT64: encode_8_bytes, INT32: _encode_int32_as_int8},
    lambda cell: (INT64, cell[::-1]),
    encode_columns={INT64: encode_reversed(b"\0\0\0\x08")},
    decode_column=decode_reversed(INT64),
)


def int4_offset(offset: int) -> CopyField | None:
    """The key of the document at an offset of its source; None when `int4` cannot hold it."""
    return None if offset >> 31 else int4_field(offset)


def show_int(cell: bytes) -> str:
    """An integer as SQL shows it."""
    return str(int.from_bytes(cell, "big", signed=True))
