"""Doubles: the codec of `float8`, which holds every double with its bits, and reads exact ints."""

from __future__ import annotations

from collections.abc import Hashable
from struct import pack, unpack

from assise.documents.kinds import DOUBLE, INT32, INT64
from assise.types.codec import make_codec, with_readings
from assise.types.integers import encode_8_bytes
from assise.types.whole import WHOLE, encode_whole


def _write_exact(value: int) -> bytes | None:
    """The field of the double of an integer; None where doubles do not have it."""
    return pack(">id", 8, value) if int(float(value)) == value else None


FLOAT8_CODEC = with_readings(
    make_codec(
        {DOUBLE: encode_8_bytes},
        lambda cell: (DOUBLE, cell[::-1]),
    ),
    {kind: encode_whole(WHOLE[kind], _write_exact) for kind in (INT32, INT64)},
)


def compare_float8(cell: bytes) -> Hashable:
    """The same for 0.0 and -0.0, and for any two NaN."""
    value: float = unpack(">d", cell)[0]
    return value if value == value else "NaN"


def show_float8(cell: bytes) -> str:
    """A double with as many digits as tell it from others."""
    return repr(unpack(">d", cell)[0])
