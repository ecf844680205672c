"""What a key holds: values of its kind, and numbers that MongoDB holds equal to them."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from math import isfinite

from bson.decimal128 import Decimal128

from assise.documents.kinds import DECIMAL, DOUBLE, INT32, INT64
from assise.documents.reader import read_double
from assise.documents.writer import Element
from assise.errors import CellError
from assise.types.codec import Codec, Encode
from assise.types.wire import CopyField, strip_length

_NUMBERS = frozenset({INT32, INT64, DOUBLE, DECIMAL})


def find_number(element: Element) -> Hashable:
    """A value that two numbers share when MongoDB holds them equal; None for other values."""
    kind, value = element
    if kind in {INT32, INT64}:
        return Fraction(int.from_bytes(value, "little", signed=True))
    if kind == DOUBLE:
        double: float = read_double(value)[0]
        return Fraction(double) if isfinite(double) else str(double)
    if kind == DECIMAL:
        decimal = Decimal128.from_bid(value).to_decimal()
        return Fraction(decimal) if decimal.is_finite() else str(float(decimal))
    return None


def make_key_codec(codec: Codec) -> Codec:
    """The codec of a key: of what it reads only numbers that are equal to what comes back.

    Two keys that are equal in PostgreSQL must be so in MongoDB, or a document would be refused.
    """
    has_numbers = bool(_NUMBERS & codec.encode.keys())
    kinds = _NUMBERS & codec.read.keys() if has_numbers else frozenset()
    return replace(codec, read={kind: _read_equal(codec, kind) for kind in kinds})


def _read_equal(codec: Codec, kind: int) -> Encode:
    hold = codec.hold(kind)

    def read(raw: bytes, p: int) -> tuple[CopyField | None, int]:
        field, end, is_home = hold(raw, p)
        if field is None or is_home:
            return field, end
        is_equal = False
        with suppress(CellError):
            again = codec.decode(strip_length(field))
            is_equal = find_number(again) == find_number((kind, raw[p:end]))
        return (field if is_equal else None), end

    return read
