"""Integers: the codecs of `int2`, `int4` and `int8`. All take either width of BSON, and give back
their own; whole doubles, or ints, or texts of digits are at home. PostgreSQL writes the highest
byte first, BSON the lowest.
"""

from __future__ import annotations

from functools import partial

from assise.documents.kinds import DOUBLE, INT32, INT64, STRING
from assise.documents.reader import read_int32, read_int64
from assise.documents.writer import Element, pack_double, pack_int32, pack_int64, write_text
from assise.types.codec import Codec, make_codec, only_home, with_readings
from assise.types.whole import WHOLE, encode_whole
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


def _write_int(size: int, value: int) -> bytes | None:
    """The field of an integer of so many bytes; None when it is out of their range."""
    after_last = 1 << 8 * size - 1
    if not -after_last <= value < after_last:
        return None
    return size.to_bytes(4, "big") + value.to_bytes(size, "big", signed=True)


def _read_int(cell: bytes) -> int:
    return int.from_bytes(cell, "big", signed=True)


def _decode_double(cell: bytes) -> Element:
    """The double of an integer; an int64 where doubles do not have it."""
    value = _read_int(cell)
    if int(float(value)) == value:
        return DOUBLE, pack_double(value)
    return INT64, pack_int64(value)


def _decode_digits(cell: bytes) -> Element:
    return write_text(str(_read_int(cell)))


INT2_CODEC = make_codec(
    {kind: encode_whole(WHOLE[kind], partial(_write_int, 2)) for kind in (INT32, INT64)},
    lambda cell: (INT32, pack_int32(_read_int(cell))),
)
INT4_CODEC = make_codec(
    {INT32: _encode_int32, INT64: _encode_int64_as_int4},
    lambda cell: (INT32, cell[::-1]),
)
INT8_CODEC = make_codec(
    {INT64: encode_8_bytes, INT32: _encode_int32_as_int8},
    lambda cell: (INT64, cell[::-1]),
)


def _make_codecs(size: int, home: Codec) -> dict[str, Codec]:
    """The codecs of integers of so many bytes, `home` that of ints."""
    write = partial(_write_int, size)
    readings = {kind: encode_whole(find, write) for kind, find in WHOLE.items()}
    double = only_home(readings[DOUBLE], _decode_double, DOUBLE)
    return {
        "int": with_readings(home, readings),
        "double": with_readings(make_codec({DOUBLE: double}, _decode_double), readings),
    }


def make_digits_codec(size: int) -> Codec:
    """The codec of the digits of integers of so many bytes, as strings."""
    read = encode_whole(WHOLE[STRING], partial(_write_int, size))
    return make_codec({STRING: only_home(read, _decode_digits, STRING)}, _decode_digits)


INT2_CODECS = _make_codecs(2, INT2_CODEC)
INT4_CODECS = _make_codecs(4, INT4_CODEC)
INT8_CODECS = _make_codecs(8, INT8_CODEC)


def int4_offset(offset: int) -> CopyField | None:
    """The key of the document at an offset of its source; None when `int4` cannot hold it."""
    return None if offset >> 31 else int4_field(offset)


def show_int(cell: bytes) -> str:
    """An integer as SQL shows it."""
    return str(_read_int(cell))
