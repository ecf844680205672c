"""Whole numbers in values of other kinds than ints: what columns of ints and floats read."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import copysign

from bson.decimal128 import Decimal128

from assise.documents.kinds import DECIMAL, DOUBLE, INT32, INT64, STRING
from assise.documents.numbers import decimal128_text
from assise.documents.reader import read_double, read_string
from assise.types.codec import FieldEncode

FindInt = Callable[[bytes, int], tuple[int | None, int]]
"""Raw BSON and the position of a value -> the integer that it means; the position behind it."""

_DIGITS = re.compile(rb"-?(0|[1-9][0-9]{0,18})")
_LARGEST = 20
"""Digits of a Decimal128 before its point: with more it is no int."""


def find_int(raw: bytes, p: int, size: int) -> tuple[int, int]:
    """The value of an int32 or int64, of 4 or 8 bytes."""
    if p + size > len(raw):
        raise IndexError
    return int.from_bytes(raw[p : p + size], "little", signed=True), p + size


def find_whole_double(raw: bytes, p: int) -> tuple[int | None, int]:
    """A double that is an integer of 64 bits, and not -0.0."""
    value: float = read_double(raw, p)[0]
    is_whole = value.is_integer() and -(2.0**63) <= value < 2.0**63
    is_negative_zero = value == 0 and copysign(1, value) < 0
    return (int(value) if is_whole and not is_negative_zero else None), p + 8


def find_whole_decimal(raw: bytes, p: int) -> tuple[int | None, int]:
    """A Decimal128 that is an integer, such as 5, 5.0 and 5E+1."""
    end = p + 16
    if end > len(raw):
        raise IndexError
    text = decimal128_text(raw[p:end])
    if text is None or not (value := Decimal128(text).to_decimal()).is_finite():
        return None, end
    if not value:
        return 0, end
    if value.adjusted() >= _LARGEST or value != value.to_integral_value():
        return None, end
    return int(value), end


def find_digits(raw: bytes, p: int) -> tuple[int | None, int]:
    """A string of decimal digits without zeros in front."""
    content, end = read_string(raw, p)
    return (int(content) if _DIGITS.fullmatch(content) else None), end


WHOLE: dict[int, FindInt] = {
    INT32: lambda raw, p: find_int(raw, p, 4),
    INT64: lambda raw, p: find_int(raw, p, 8),
    DOUBLE: find_whole_double,
    DECIMAL: find_whole_decimal,
    STRING: find_digits,
}
"""The integers that values of each kind mean."""


def encode_whole(find: FindInt, write: Callable[[int], bytes | None]) -> FieldEncode:
    """The encoder of values that mean an integer."""

    def encode(raw: bytes, p: int) -> tuple[bytes | None, int]:
        value, end = find(raw, p)
        return (None if value is None else write(value)), end

    return encode
