"""Which values of `_id` the natural type of their kind holds. A key of kind any holds all."""

from __future__ import annotations

from collections.abc import Callable

from assise.documents.kinds import DATE, DECIMAL, DOUBLE, STRING
from assise.types.anykey import KEY_BYTES
from assise.types.codec import Encode
from assise.types.table import find_codec


def _fits(column_type: str, kind: str, byte: int) -> Callable[[bytes], bool]:
    encode: Encode = find_codec(column_type, kind).encode[byte]
    return lambda value: encode(value, 0)[0] is not None


_fits_text = _fits("text", "string", STRING)

FITS: dict[int, Callable[[bytes], bool]] = {
    STRING: lambda value: len(value) <= KEY_BYTES + 5 and _fits_text(value),
    DOUBLE: _fits("numeric", "number", DOUBLE),
    DATE: _fits("timestamptz", "date", DATE),
    DECIMAL: _fits("numeric", "decimal", DECIMAL),
}
"""Type byte -> whether the bytes of a value fit. Of other kinds every value does."""
