"""The codecs of `numeric`: ints and doubles, which the scale tells apart, and Decimal128.

Format: src/backend/utils/adt/numeric.c, numeric_send: count of base-10,000 digits, weight of the
first, sign, scale, digits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from decimal import Decimal
from functools import lru_cache
from math import copysign, isfinite, isinf
from struct import Struct
from struct import error as StructError

from assise.documents.kinds import DECIMAL, DOUBLE, INT32, INT64
from assise.documents.numbers import NAN, decimal128_bytes, plain_double
from assise.documents.reader import read_double
from assise.documents.writer import Element, pack_double, write_int
from assise.errors import CellError
from assise.types.codec import compare_again, make_codec

_HEAD = Struct(">ihhHH")
_READ_HEAD = Struct(">hhHH")
_POSITIVE, _NEGATIVE, _NAN, _INFINITY, _MINUS_INFINITY = 0x0000, 0x4000, 0xC000, 0xD000, 0xF000
_SPECIAL = {_NAN: "NaN", _INFINITY: "Infinity", _MINUS_INFINITY: "-Infinity"}
_COEFFICIENT_LIMIT = 10**34
_TENS, _HUNDREDS = int.from_bytes(b"\x0f" * 4096), int.from_bytes(b"\0\xff" * 2048)
"""Every second digit, and every second two digits, of numbers of up to 8,192 digits; a Decimal128
has 6,177 at most."""

_CACHED = 1 << 12
"""Values whose fields are remembered: prices and counts repeat. More took memory, not less time."""


def _pack(sign: int, whole: str, fraction: str = "") -> bytes:
    """The field of a decimal.

    Read as hexadecimal, four decimal digits take the 16 bits of their group. In each of its bytes,
    then in each of its groups, what is too much is subtracted for all groups at once.
    """
    number = int(whole + fraction + "0" * (-len(fraction) % 4), 16)
    number -= 6 * (number >> 4 & _TENS)
    number -= 156 * (number >> 8 & _HUNDREDS)
    size = (number.bit_length() + 15) // 16
    weight = size - 1 - (len(fraction) + 3) // 4 if size else 0
    while number and not number & 0xFFFF:
        number, size = number >> 16, size - 1
    return _HEAD.pack(8 + 2 * size, size, weight, sign, len(fraction)) + number.to_bytes(2 * size)


def _pack_special(sign: int) -> bytes:
    """NaN or an infinity, whose scale the server gives as 32: a part of its stored header."""
    return _HEAD.pack(8, 0, 0, sign, 0 if sign == _NAN else 32)


def encode_int(raw: bytes) -> bytes:
    """The field of an int32 or int64, given as its bytes: scale 0."""
    value = int.from_bytes(raw, "little", signed=True)
    return _pack(_NEGATIVE if value < 0 else _POSITIVE, str(abs(value)))


def encode_double(raw: bytes) -> bytes | None:
    """The field of a double: its shortest decimal that reads back as it, with scale 1 or more.

    None for -0.0 and for a NaN with a payload.
    """
    value: float = read_double(raw)[0]
    if not isfinite(value):
        if value == value:
            return _pack_special(_INFINITY if value > 0 else _MINUS_INFINITY)
        return _pack_special(_NAN) if raw == NAN else None
    if value == 0 and copysign(1, value) < 0:
        return None
    whole, _, fraction = plain_double(abs(value)).partition(".")
    return _pack(_NEGATIVE if value < 0 else _POSITIVE, whole, fraction)


def encode_decimal(raw: bytes) -> bytes | None:
    """The field of a Decimal128 (BID encoding); None when its bytes would not come back."""
    low, high = int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")
    special = {0x7C << 56: _NAN, 0x78 << 56: _INFINITY, 0xF8 << 56: _MINUS_INFINITY}.get(high)
    if special is not None and low == 0:
        return _pack_special(special)
    if (high >> 61) & 3 == 3:
        return None
    exponent, coefficient = ((high >> 49) & 0x3FFF) - 6176, (high & ((1 << 49) - 1)) << 64 | low
    is_negative = bool(high >> 63)
    if exponent > 0 or coefficient >= _COEFFICIENT_LIMIT or (is_negative and not coefficient):
        return None
    digits = str(coefficient).zfill(1 - exponent)
    whole, fraction = (digits[:exponent], digits[exponent:]) if exponent else (digits, "")
    return _pack(_NEGATIVE if is_negative else _POSITIVE, whole, fraction)


def read_numeric(cell: bytes) -> tuple[str, int]:
    """The text of a cell as PostgreSQL prints it, and its scale: -1 for NaN and infinities."""
    unpack, template, stop, scale = _read_head(cell[:8])
    return (template % unpack(cell))[:stop], scale


@lru_cache(1 << 8)
def _read_head(head: bytes) -> tuple[Callable[[bytes], tuple[int, ...]], str, int | None, int]:
    """What cells with this head share.

    How their groups are unpacked and printed, where the text stops, and the scale.
    """
    size, weight, sign, scale = _READ_HEAD.unpack(head)
    unpack = Struct(f">8x{size}H").unpack
    if sign in _SPECIAL:
        return unpack, _SPECIAL[sign], None, -1
    before = max(0, min(size, weight + 1))
    whole = "%d" + "%04d" * (before - 1) + "0000" * (weight + 1 - before) if before else "0"
    places = 4 * max(0, size - weight - 1)
    fraction = "0000" * (-1 - weight) + "%04d" * (size - before) + "0" * (scale - places)
    surplus = max(0, places - scale) + (scale == 0)
    return unpack, f"{'-' * (sign == _NEGATIVE)}{whole}.{fraction}", -surplus or None, scale


def decode_number(cell: bytes) -> Element:
    """An int for scale 0, otherwise the double of that decimal.

    Raises:
        CellError: SQL can write it, BSON cannot hold it: an integral value of more than 64 bits, or
            one beyond the range of doubles.
    """
    text, scale = read_numeric(cell)
    if text == "NaN":
        return DOUBLE, NAN
    if scale:
        return DOUBLE, pack_double(read_finite(text) if scale > 0 else float(text))
    try:
        return write_int(int(text))
    except (StructError, ValueError) as error:  # Python reads no int of more than 4,300 digits
        raise CellError(f"{text[:80]} is an integral number of more than 64 bits") from error


def read_finite(text: str) -> float:
    """The double of a decimal.

    Raises:
        CellError: it is beyond the range of doubles.
    """
    value = float(text)
    if isinf(value):
        raise CellError(f"{text[:80]} is beyond the range of doubles")
    return value


def decode_number_strictly(cell: bytes) -> Element:
    """The same for a cell that a load has written.

    Raises:
        CellError: the decimal is not how its double is written, such as 10.00.
    """
    text, scale = read_numeric(cell)
    if scale > 0 and plain_double(float(text)) != text:
        raise CellError(
            f"{text[:80]} is not as a load writes it:"
            " the shortest decimal of a double, with a point"
        )
    return decode_number(cell)


def decode_decimal(cell: bytes) -> Element:
    """The Decimal128 with the coefficient and the scale of a numeric cell.

    Raises:
        CellError: more than 34 digits, which SQL can write and Decimal128 cannot hold.
    """
    text, _ = read_numeric(cell)
    try:
        return DECIMAL, decimal128_bytes(text)
    except ValueError as error:
        raise CellError(f"{text[:80]} has more digits than a Decimal128") from error


def _remember(
    encode: Callable[[bytes], bytes | None], size: int
) -> Callable[[bytes, int], tuple[bytes | None, int]]:
    """The encoder of values of so many bytes, with a cache."""
    encode_value = lru_cache(_CACHED)(encode)

    def encode_number(raw: bytes, p: int) -> tuple[bytes | None, int]:
        end = p + size
        if end > len(raw):
            raise IndexError
        return encode_value(raw[p:end]), end

    return encode_number


_DECIMAL = {DECIMAL: _remember(encode_decimal, 16)}
NUMERIC_CODECS = {
    "number": make_codec(
        {
            INT32: _remember(encode_int, 4),
            INT64: _remember(encode_int, 8),
            DOUBLE: _remember(encode_double, 8),
        },
        decode_number,
        decode_strictly=decode_number_strictly,
    ),
    "decimal": make_codec(
        _DECIMAL,
        decode_decimal,
        decode_strictly=compare_again(decode_decimal, _DECIMAL),
        proposed_for="decimal",
    ),
}


def compare_numeric(cell: bytes) -> Hashable:
    """The same for 10 and 10.0."""
    text, scale = read_numeric(cell)
    return Decimal(text) if scale >= 0 else text


def show_numeric(cell: bytes) -> str:
    """The first digits of a number as SQL shows it: it can have 130,000."""
    return read_numeric(cell)[0][:200]
