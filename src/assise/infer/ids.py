"""The values of `_id` that fit the natural type of their kind, see `docs/architecture.md`."""

from __future__ import annotations

from collections.abc import Callable

from assise.documents.kinds import DATE, DECIMAL, DOUBLE, STRING
from assise.documents.numbers import NAN

KEY_BYTES = 1_000
"""A longer text cannot be a key of type text."""

_FIRST_DATE_MS, _AFTER_LAST_DATE_MS = -210_866_803_200_000, 9_224_318_016_000_000
_MINUS_ZERO = b"\0\0\0\0\0\0\0\x80"
_INFINITY = 0x7FF << 52
"""The bits of a double that is infinite; but for the sign, those of any NaN are a larger number."""
_SPECIAL_DECIMALS = {0x7C << 56, 0x78 << 56, 0xF8 << 56}
_COEFFICIENT_LIMIT = 10**34


def _fits_text(value: bytes) -> bool:
    content = value[4:-1]
    if len(content) > KEY_BYTES or b"\0" in content:
        return False
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fits_numeric(value: bytes) -> bool:
    if value == _MINUS_ZERO:
        return False
    bits = int.from_bytes(value, "little") & ~(1 << 63)
    is_nan = bits > _INFINITY
    return not is_nan or value == NAN


def _fits_timestamptz(value: bytes) -> bool:
    return _FIRST_DATE_MS <= int.from_bytes(value, "little", signed=True) < _AFTER_LAST_DATE_MS


def _fits_decimal(value: bytes) -> bool:
    low = int.from_bytes(value[:8], "little")
    high = int.from_bytes(value[8:], "little")
    if low == 0 and high in _SPECIAL_DECIMALS:
        return True
    # With both bits set it is a special value with a payload, or its coefficient is out of range.
    if (high >> 61) & 3 == 3:
        return False
    coefficient = (high & ((1 << 49) - 1)) << 64 | low
    if (high >> 49) & 0x3FFF > 6176 or coefficient >= _COEFFICIENT_LIMIT:
        return False
    return coefficient > 0 or not high >> 63


FITS: dict[int, Callable[[bytes], bool]] = {
    STRING: _fits_text,
    DOUBLE: _fits_numeric,
    DATE: _fits_timestamptz,
    DECIMAL: _fits_decimal,
}
"""Type byte -> check of the bytes of a value; values of other kinds always fit."""
