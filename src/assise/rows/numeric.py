"""PostgreSQL's `numeric` in binary: ints and doubles told apart by the scale, and Decimal128 by coefficient and scale.

Format: src/backend/utils/adt/numeric.c, numeric_send: count of base-10,000 digits, weight of the first, sign, scale, digits.
"""

from __future__ import annotations

from decimal import Decimal
from math import copysign, isfinite
from struct import Struct
from struct import error as StructError

from assise.documents.kinds import DECIMAL, DOUBLE
from assise.documents.numbers import NAN, decimal128_bytes, plain_double
from assise.documents.reader import read_double
from assise.documents.writer import Element, pack_double, write_int
from assise.errors import CellError

_HEAD = Struct(">ihhHH")
_READ_HEAD = Struct(">hhHH")
_POSITIVE, _NEGATIVE, _NAN, _INFINITY, _MINUS_INFINITY = 0x0000, 0x4000, 0xC000, 0xD000, 0xF000
_SPECIAL = {_NAN: "NaN", _INFINITY: "Infinity", _MINUS_INFINITY: "-Infinity"}
_COEFFICIENT_LIMIT = 10**34


def _pack(sign: int, whole: str, fraction: str = "") -> bytes:
    whole = whole.lstrip("0")
    digits = whole.zfill(-(-len(whole) // 4) * 4) + fraction + "0" * (-len(fraction) % 4)
    groups = [int(digits[i : i + 4]) for i in range(0, len(digits), 4)]
    weight = -(-len(whole) // 4) - 1
    first = next((i for i, group in enumerate(groups) if group), len(groups))
    while groups and not groups[-1]:
        groups.pop()
    groups = groups[first:]
    weight = weight - first if groups else 0
    size = len(groups)
    return _HEAD.pack(8 + 2 * size, size, weight, sign, len(fraction)) + Struct(f">{size}H").pack(*groups)


def _pack_special(sign: int) -> bytes:
    """NaN or an infinity; the server sends an infinity back with the scale 32, a part of its stored header."""
    return _HEAD.pack(8, 0, 0, sign, 0 if sign == _NAN else 32)


def encode_int(raw: bytes) -> bytes:
    """The cell of an int32 or int64 given as its little-endian bytes: scale 0."""
    value = int.from_bytes(raw, "little", signed=True)
    return _pack(_NEGATIVE if value < 0 else _POSITIVE, str(abs(value)))


def encode_double(raw: bytes) -> bytes | None:
    """The cell of a double: its shortest round-trip decimal, with scale 1 or more; None for -0.0 and NaN with a payload."""
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
    """The cell of a Decimal128 (BID encoding) whose bytes coefficient and scale give back; otherwise None."""
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
    """The text of a numeric cell as PostgreSQL prints it, and its scale (-1 for NaN and infinities)."""
    size, weight, sign, scale = _READ_HEAD.unpack_from(cell)
    if sign in _SPECIAL:
        return _SPECIAL[sign], -1
    groups = "".join([f"{group:04d}" for group in Struct(f">{size}H").unpack_from(cell, 8)])
    point = (weight + 1) * 4
    whole = groups[:point].ljust(point, "0") if point > 0 else ""
    fraction = (groups[point:] if point > 0 else "0" * -point + groups)[:scale].ljust(scale, "0")
    text = (whole.lstrip("0") or "0") + ("." + fraction if scale else "")
    return ("-" + text if sign == _NEGATIVE else text), scale


def decode_number(cell: bytes) -> Element:
    """An int for scale 0, otherwise the double of that decimal.

    Raises:
        CellError: an integral value of more than 64 bits, which SQL can write and BSON cannot hold as an int.
    """
    text, scale = read_numeric(cell)
    if text == "NaN":
        return DOUBLE, NAN
    if scale:
        return DOUBLE, pack_double(float(text))
    try:
        return write_int(int(text))
    except StructError as error:
        raise CellError(f"{text} is an integral number of more than 64 bits") from error


def decode_decimal(cell: bytes) -> Element:
    """The Decimal128 with the coefficient and the scale of a numeric cell.

    Raises:
        CellError: more than 34 digits, which SQL can write and Decimal128 cannot hold.
    """
    text, _ = read_numeric(cell)
    try:
        return DECIMAL, decimal128_bytes(text)
    except ValueError as error:
        raise CellError(f"{Decimal(text)} has more digits than a Decimal128") from error
