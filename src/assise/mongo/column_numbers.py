"""Values as numbers, for the differences between them that a BSON column holds.

Numbers are unsigned, and wrap: of 64 bits, for texts, binaries and Decimal128 of 128. A value whose
length is over 16 bytes is 0. From `src/mongo/bson/column/simple8b_type_util` of MongoDB's source.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from assise.documents.kinds import (
    BINARY,
    BOOL,
    CODE,
    DATE,
    DECIMAL,
    DOUBLE,
    INT32,
    INT64,
    OBJECT_ID,
    STRING,
    TIMESTAMP,
)
from assise.documents.reader import read_double
from assise.documents.writer import pack_double, write_string
from assise.mongo.simple8b import UnpackError

LONG = {STRING, CODE, BINARY, DECIMAL}
"""The kinds with numbers of 128 bits."""

SHORT_BYTES = 16

# Counter and time of an ObjectId, the bytes that change least first.
_ID_ORDER = (0, 1, 9, 2, 10, 3, 11)


class Conversion(NamedTuple):
    """How a value becomes a number of 64 or 128 bits, and a number a value.

    The value before is known then: a part of it may stay.
    """

    read: Callable[[bytes], int]
    write: Callable[[int, bytes], bytes]


def _read_little(value: bytes) -> int:
    return int.from_bytes(value, "little")


def _read_id(value: bytes) -> int:
    return int.from_bytes(bytes([value[i] for i in _ID_ORDER]))


def _write_id(number: int, before: bytes) -> bytes:
    found = bytearray(before)
    for i, byte in zip(_ID_ORDER, _fit(number, 7).to_bytes(7), strict=True):
        found[i] = byte
    return bytes(found)


def _fit(number: int, size: int) -> int:
    if number >> 8 * size:
        raise UnpackError("a difference that leads out of its kind")
    return number


def _read_text(value: bytes) -> int:
    text = value[4:-1]
    if len(text) > SHORT_BYTES or text.startswith(b"\0"):
        return 0
    return int.from_bytes(text)


def _write_text(number: int, _before: bytes) -> bytes:
    return write_string(number.to_bytes((number.bit_length() + 7) // 8))


def _read_binary(value: bytes) -> int:
    content = value[5:]
    return _read_little(content) if len(content) <= SHORT_BYTES else 0


def _write_binary(number: int, before: bytes) -> bytes:
    size = len(before) - 5
    if size > SHORT_BYTES:
        raise UnpackError("a difference to a long binary")
    return before[:5] + _fit(number, size).to_bytes(size, "little")


def _read_int32(value: bytes) -> int:
    return int.from_bytes(value, "little", signed=True) & (1 << 64) - 1


def _write_int32(number: int, _before: bytes) -> bytes:
    signed = number - (1 << 64) if number >> 63 else number
    if not -(1 << 31) <= signed < 1 << 31:
        raise UnpackError("a difference that leads out of its kind")
    return signed.to_bytes(4, "little", signed=True)


def _write_bool(number: int, _before: bytes) -> bytes:
    if number > 1:
        raise UnpackError("a difference that leads out of its kind")
    return bytes([number])


_WHOLE = Conversion(_read_little, lambda number, _: number.to_bytes(8, "little"))
NUMBERS = {
    DOUBLE: _WHOLE,
    DATE: _WHOLE,
    INT64: _WHOLE,
    TIMESTAMP: _WHOLE,
    INT32: Conversion(_read_int32, _write_int32),
    BOOL: Conversion(_read_little, _write_bool),
    OBJECT_ID: Conversion(_read_id, _write_id),
    STRING: Conversion(_read_text, _write_text),
    CODE: Conversion(_read_text, _write_text),
    BINARY: Conversion(_read_binary, _write_binary),
    DECIMAL: Conversion(_read_little, lambda number, _: number.to_bytes(16, "little")),
}


@cache
def scale_doubles(scale: int) -> Conversion:
    """Return how doubles are numbers when they are multiplied first."""

    def read(value: bytes) -> int:
        number: float = read_double(value)[0] * scale
        if not abs(number) <= 1 << 53:
            raise UnpackError("a double that is too large for its scale")
        # Half away from zero, as llround() of C.
        whole = int(number)
        whole += (number - whole >= 0.5) - (whole - number >= 0.5)
        return whole & (1 << 64) - 1

    def write(number: int, _before: bytes) -> bytes:
        signed = number - (1 << 64) if number >> 63 else number
        return pack_double(signed / scale)

    return Conversion(read, write)
