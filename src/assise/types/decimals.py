"""The codecs of `numeric`: ints and doubles, which the scale tells apart, Decimal128, and texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from math import copysign, isfinite
from struct import error as StructError

from assise.documents.kinds import DECIMAL, DOUBLE, INT32, INT64, STRING
from assise.documents.numbers import NAN, decimal128_bytes, plain_double
from assise.documents.reader import read_double, read_string
from assise.documents.writer import Element, pack_double, write_int, write_text
from assise.errors import CellError
from assise.types.codec import (
    Codec,
    Decode,
    FieldEncode,
    compare_again,
    make_codec,
    only_home,
    with_readings,
)
from assise.types.numeric import read_finite, read_numeric, write_numeric

_SPECIAL_DECIMALS = {0x7C << 56: "NaN", 0x78 << 56: "Infinity", 0xF8 << 56: "-Infinity"}
_COEFFICIENT_LIMIT = 10**34
_EXACT, _AFTER_EXACT = 2.0**53, 2.0**64
_DECIMAL_TEXT = re.compile(rb"-?[0-9]{1,4000}(\.[0-9]{1,4000})?")
"""Digits of which there are more are left to `_extra`: no program writes them."""

_CACHED = 1 << 12
"""Values whose fields are remembered: prices and counts repeat. More took memory, not less time."""

_TextOf = Callable[[bytes], str | None]
_Limit = Callable[[str], str | None]
"""The text of a decimal as a type with a modifier holds it; None when it would round or refuse."""


def int_text(raw: bytes) -> str:
    """The decimal of an int32 or int64, given as its bytes: without places."""
    return str(int.from_bytes(raw, "little", signed=True))


def shortest_text(raw: bytes) -> str | None:
    """The shortest decimal that reads back as a double, with one place or more.

    None for -0.0 and for a NaN with a payload.
    """
    value: float = read_double(raw)[0]
    if not isfinite(value):
        if value == value:
            return "Infinity" if value > 0 else "-Infinity"
        return "NaN" if raw == NAN else None
    return None if value == 0 and copysign(1, value) < 0 else plain_double(value)


def double_text(raw: bytes) -> str | None:
    """The same, but a whole double from 2 ** 53 to 2 ** 64 with its exact digits.

    Shortest digits would be another number there: ids of 18 digits would no longer join.
    """
    value: float = read_double(raw)[0]
    return f"{int(value)}.0" if _EXACT <= abs(value) < _AFTER_EXACT else shortest_text(raw)


def decimal_text(raw: bytes) -> str | None:
    """The decimal of a Decimal128 (BID encoding) without an exponent.

    None for -0 and for bytes that are not canonical.
    """
    low = int.from_bytes(raw[:8], "little")
    high = int.from_bytes(raw[8:], "little")
    special = _SPECIAL_DECIMALS.get(high)
    if special is not None and low == 0:
        return special
    if (high >> 61) & 3 == 3:
        return None
    exponent, coefficient = ((high >> 49) & 0x3FFF) - 6176, (high & ((1 << 49) - 1)) << 64 | low
    is_negative = bool(high >> 63)
    if coefficient >= _COEFFICIENT_LIMIT or (is_negative and not coefficient):
        return None
    sign, digits = "-" * is_negative, str(coefficient)
    if exponent >= 0:
        return f"{sign}{digits}{'0' * exponent}" if coefficient else "0"
    digits = digits.zfill(1 - exponent)
    return f"{sign}{digits[:exponent]}.{digits[exponent:]}"


def plain_text(content: bytes) -> str | None:
    """The decimal that a string is, as PostgreSQL prints it."""
    if not _DECIMAL_TEXT.fullmatch(content):
        return None
    text = content.decode()
    whole, point, fraction = text.removeprefix("-").partition(".")
    is_negative = text[0] == "-" and (whole + fraction).strip("0") != ""
    return f"{'-' * is_negative}{whole.lstrip('0') or '0'}{point}{fraction}"


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
    return _decode_int(text)


def _decode_int(text: str) -> Element:
    try:
        return write_int(int(text))
    except (StructError, ValueError) as error:  # Python reads no int of more than 4,300 digits
        raise CellError(f"{text[:80]} is an integral number of more than 64 bits") from error


def _decode_strictly(write_double: _TextOf, cell: bytes) -> Element:
    """The same for a cell that a load has written.

    Raises:
        CellError: the decimal is not how its double is written, such as 10.00.
    """
    text, scale = read_numeric(cell)
    if scale > 0 and write_double(pack_double(float(text))) != text:
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


def _decode_text(cell: bytes) -> Element:
    return write_text(read_numeric(cell)[0])


def _decode_scaled(cell: bytes) -> Element:
    """An int for a whole value of `numeric(p,s)`, otherwise the double."""
    text, scale = read_numeric(cell)
    whole, _, fraction = text.partition(".")
    return decode_number(cell) if scale < 0 or fraction.strip("0") else _decode_int(whole)


def _remember(text_of: _TextOf, limit: _Limit, size: int) -> FieldEncode:
    """The encoder of values of so many bytes, with a cache."""

    def encode(raw: bytes) -> bytes | None:
        text = text_of(raw)
        limited = None if text is None else limit(text)
        return None if limited is None else write_numeric(limited)

    encode_value = lru_cache(_CACHED)(encode)

    def encode_number(raw: bytes, p: int) -> tuple[bytes | None, int]:
        end = p + size
        if end > len(raw):
            raise IndexError
        return encode_value(raw[p:end]), end

    return encode_number


def _read_text(limit: _Limit) -> FieldEncode:
    def encode(raw: bytes, p: int) -> tuple[bytes | None, int]:
        content, end = read_string(raw, p)
        text = plain_text(content)
        limited = None if text is None else limit(text)
        return (None if limited is None else write_numeric(limited)), end

    return encode


def _limit_digits(precision: int, scale: int, text: str) -> str | None:
    """The text with `scale` places; None when `numeric(precision, scale)` would round or refuse."""
    if text == "NaN":
        return text
    whole, _, fraction = text.removeprefix("-").partition(".")
    if not whole.isdigit() or fraction[scale:].strip("0"):
        return None
    if len(whole.lstrip("0")) > precision - scale:
        return None
    shown = f"{fraction[:scale]:0<{scale}}" if scale else ""
    sign = "-" if text[0] == "-" else ""
    return f"{sign}{whole}.{shown}" if scale else f"{sign}{whole}"


def _read_numbers(limit: _Limit, write_double: _TextOf) -> dict[int, FieldEncode]:
    return {
        INT32: _remember(int_text, limit, 4),
        INT64: _remember(int_text, limit, 8),
        DOUBLE: _remember(write_double, limit, 8),
        DECIMAL: _remember(decimal_text, limit, 16),
        STRING: _read_text(limit),
    }


def _make_home(
    readings: Mapping[int, FieldEncode], kinds: Collection[int], decode: Decode
) -> Codec:
    """The codec of kinds at home of which not every value is given back."""
    home = {kind: only_home(readings[kind], decode, kind) for kind in kinds}
    codec = make_codec(home, decode, decode_strictly=compare_again(decode, home))
    return with_readings(codec, readings, some=kinds)


def make_number_codec(write_double: _TextOf = double_text) -> Codec:
    """The codec of ints and doubles in `numeric`; `write_double` gives the decimal of a double."""
    readings = _read_numbers(str, write_double)
    home = {kind: readings[kind] for kind in (INT32, INT64, DOUBLE)}
    strict = partial(_decode_strictly, write_double)
    return with_readings(make_codec(home, decode_number, decode_strictly=strict), readings)


def make_scaled_codecs(precision: int, scale: int) -> dict[str, Codec]:
    """The codecs of `numeric(precision, scale)` by kind; whole values are ints there."""
    readings = _read_numbers(partial(_limit_digits, precision, scale), double_text)
    return {
        "number": _make_home(readings, (INT32, INT64, DOUBLE), _decode_scaled),
        "decimal": _make_home(readings, (DECIMAL,), decode_decimal),
        "text": _make_home(readings, (STRING,), _decode_text),
    }


_READINGS = _read_numbers(str, double_text)
NUMERIC_CODECS = {
    "number": make_number_codec(),
    "decimal": replace(_make_home(_READINGS, (DECIMAL,), decode_decimal), proposed_for="decimal"),
    "text": _make_home(_READINGS, (STRING,), _decode_text),
}
