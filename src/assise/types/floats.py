"""Doubles: the codec of `float8`, which holds every double with its bits."""

from __future__ import annotations

from collections.abc import Hashable
from struct import unpack

from assise.documents.kinds import DOUBLE
from assise.types.codec import make_codec
from assise.types.integers import decode_reversed, encode_8_bytes, encode_reversed

FLOAT8_CODEC = make_codec(
    {DOUBLE: encode_8_bytes},
    lambda cell: (DOUBLE, cell[::-1]),
    encode_columns={DOUBLE: encode_reversed(b"\0\0\0\x08")},
    decode_column=decode_reversed(DOUBLE),
)


def compare_float8(cell: bytes) -> Hashable:
    """The same for 0.0 and -0.0, and for any two NaN."""
    value: float = unpack(">d", cell)[0]
    return value if value == value else "NaN"


def show_float8(cell: bytes) -> str:
    """A double with as many digits as tell it from others."""
    return repr(unpack(">d", cell)[0])
