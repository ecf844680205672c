"""Texts of numbers that are read back bit by bit."""

from __future__ import annotations

from decimal import Decimal

from bson.decimal128 import Decimal128
from bson.errors import InvalidBSON

NAN = b"\0\0\0\0\0\0\xf8\x7f"
"""The one NaN (little-endian) that the text NaN stands for; any other NaN carries a payload."""


def plain_double(value: float) -> str:
    """Return the shortest decimal that reads back as this finite double.

    It has no exponent and at least one decimal place.

    >>> plain_double(1e16), plain_double(1.5e-7)
    ('10000000000000000.0', '0.00000015')
    """
    text = repr(value)
    if "e" not in text:
        return text
    text = format(Decimal(text), "f")
    return text if "." in text else text + ".0"


def decimal128_text(raw: bytes) -> str | None:
    """Return the text of 16 bytes of Decimal128, None when it does not give these bytes back."""
    text = str(Decimal128.from_bid(raw))
    try:
        return text if Decimal128(text).bid == raw else None
    except (InvalidBSON, ArithmeticError):
        return None


def decimal128_bytes(text: str) -> bytes:
    """Return the 16 bytes of the Decimal128 that `text` writes exactly.

    Raises:
        ValueError: `text` is not a Decimal128, or it would have to be rounded.
    """
    try:
        return Decimal128(text).bid
    except ArithmeticError as error:
        raise ValueError(f"{text!r} is not a Decimal128") from error
