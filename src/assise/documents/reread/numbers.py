"""Texts of numbers and dates to the bytes of BSON."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, tzinfo
from math import isinf
from struct import Struct

from assise.documents.kinds import DOUBLE, INT32, INT64
from assise.errors import ExtendedJsonError

Encoded = tuple[int, bytes]
"""Type byte of BSON and the bytes of a value."""

pack_int32 = Struct("<i").pack
pack_int64 = Struct("<q").pack
pack_double = Struct("<d").pack

_INT = re.compile(rb"-?(?:0|[1-9][0-9]*)")
_DOUBLE = re.compile(rb"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_DECIMAL = re.compile(rb"([-+]?)(?:([0-9]+)\.?([0-9]*)|\.([0-9]+))(?:[eE]([-+]?[0-9]+))?")
_SPECIAL = {b"inf": 0x78, b"infinity": 0x78, b"nan": 0x7C}
_DATE = re.compile(
    rb"([0-9]{4}|[1-9][0-9]{4,8}|(?!-000000)[-+][0-9]{6})-([0-9]{2})-([0-9]{2})"
    rb"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?(Z|[-+][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_DAYS_OF_400_YEARS = 146097
_UNIX_EPOCH = date(1970, 1, 1).toordinal()
_DIGITS, _BIAS, _MAX_EXPONENT = 34, 6176, 6111


def refuse(what: str, text: bytes) -> ExtendedJsonError:
    """Return the error for a text that is not what it should be."""
    return ExtendedJsonError(f"not {what}: {text[:80].decode(errors='replace')}")


def read_number(text: bytes, is_whole: bool) -> Encoded:
    """Read a number without a type.

    Integers are int32, int64 or, where neither fits, double; `-0` is the double -0.0, which is the
    only value that is written so.

    Raises:
        ExtendedJsonError: it is larger than any double.
    """
    if is_whole and len(text) < 21 and text != b"-0":
        number = int(text)
        if -0x80000000 <= number <= 0x7FFFFFFF:
            return INT32, pack_int32(number)
        if -(1 << 63) <= number < 1 << 63:
            return INT64, pack_int64(number)
    return DOUBLE, _pack_finite(text)


def _pack_finite(text: bytes) -> bytes:
    number = float(text)
    if isinf(number):
        raise refuse("a number that a double can hold", text)
    return pack_double(number)


def read_int(text: bytes, bits: int) -> bytes:
    """Read the text of an integer of 32 or 64 bits."""
    if _INT.fullmatch(text) is None or len(text) > 20 or not _fits(int(text), bits):
        raise refuse(f"an integer of {bits} bits", text)
    return pack_int32(int(text)) if bits == 32 else pack_int64(int(text))


def _fits(number: int, bits: int) -> bool:
    return -(1 << bits - 1) <= number < 1 << bits - 1


def read_double(text: bytes) -> bytes:
    """Read the text of a `$numberDouble`."""
    if text in {b"NaN", b"-NaN", b"Infinity", b"-Infinity"}:
        return pack_double(float(text))
    if _DOUBLE.fullmatch(text) is None:
        raise refuse("a double", text)
    return _pack_finite(text)


def read_decimal(text: bytes) -> bytes:
    """Read the text of a Decimal128 (specifications, bson-decimal128: what must be rounded fails)."""
    sign = text.startswith(b"-")
    special = _SPECIAL.get(text.lstrip(b"+-").lower()) if text[1:2] not in {b"+", b"-"} else None
    if special is not None:
        return bytes(15) + bytes([special | (sign << 7 if special == 0x78 else 0)])
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise refuse("a Decimal128", text)
    _, whole, fraction, only_fraction, power = found.groups(b"")
    fraction = fraction or only_fraction
    if len(power) > 12:
        raise refuse("a Decimal128", text)
    digits, exponent = _scale((whole + fraction).lstrip(b"0"), int(power or 0) - len(fraction))
    if len(digits) > _DIGITS or not -_BIAS <= exponent <= _MAX_EXPONENT:
        raise refuse("a Decimal128 without rounding", text)
    bits = sign << 127 | exponent + _BIAS << 113 | int(digits or b"0")
    return bits.to_bytes(16, "little")


def _scale(digits: bytes, exponent: int) -> tuple[bytes, int]:
    """Bring coefficient and exponent into their ranges where no digit is lost."""
    if not digits:
        return digits, min(max(exponent, -_BIAS), _MAX_EXPONENT)
    surplus = max(len(digits) - _DIGITS, -_BIAS - exponent, 0)
    zeros = min(surplus, len(digits) - len(digits.rstrip(b"0")))
    digits, exponent = digits[: len(digits) - zeros], exponent + zeros
    missing = max(exponent - _MAX_EXPONENT, 0)
    if missing and len(digits) + missing <= _DIGITS:
        return digits + b"0" * missing, exponent - missing
    return digits, exponent


def read_date(text: bytes, zone: tzinfo | None) -> bytes:
    """Read an ISO date with a zone, or in `zone`; digits behind the milliseconds are cut.

    Raises:
        ExtendedJsonError: it is no date, or has no zone and none is given.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        raise refuse("an ISO date", text)
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    fraction, offset = found[7] or b"", found[8]
    # The calendar repeats every 400 years, and has no other limits than those of datetime.
    cycles = 0 if 1 <= year <= 9999 else year // 400 - 5
    try:
        moment = datetime(year - 400 * cycles, month, day, hour, minute, second)  # noqa: DTZ001
    except ValueError as error:
        raise refuse("a date of the calendar", text) from error
    days = moment.toordinal() - _UNIX_EPOCH + cycles * _DAYS_OF_400_YEARS
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    seconds -= _offset_seconds(text, moment, offset, None if cycles else zone)
    return pack_int64(seconds * 1000 + int(fraction[:3].ljust(3, b"0")))


def _offset_seconds(
    text: bytes, moment: datetime, offset: bytes | None, zone: tzinfo | None
) -> int:
    if offset == b"Z":
        return 0
    if offset:
        hours, minutes = int(offset[1:3]), int(offset[-2:]) if len(offset) > 3 else 0
        if hours > 15 or minutes > 59:
            raise refuse("an offset from UTC", text)
        return (hours * 60 + minutes) * (-60 if offset[:1] == b"-" else 60)
    if zone is None:
        raise refuse("a date with Z or an offset (give --zone for the others)", text)
    return round((moment.replace(tzinfo=zone).utcoffset() or timedelta()).total_seconds())
