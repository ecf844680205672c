"""The codec of `bool`, which also reads 0 and 1, and the texts of both values."""

from __future__ import annotations

from assise.documents.kinds import BOOL, DOUBLE, INT32, INT64, STRING
from assise.documents.reader import read_string
from assise.errors import InvalidBsonError
from assise.types.codec import make_codec, with_readings
from assise.types.whole import WHOLE, encode_whole

_FALSE, _TRUE = b"\0\0\0\1\0", b"\0\0\0\1\1"
_NUMBERS = {0: _FALSE, 1: _TRUE}
_TEXTS = {b"false": _FALSE, b"true": _TRUE}


def _encode_bool(raw: bytes, p: int) -> tuple[bytes, int]:
    if raw[p] > 1:
        raise InvalidBsonError(f"a boolean that is {raw[p]}", p)
    return b"\0\0\0\1" + raw[p : p + 1], p + 1


def _read_text(raw: bytes, p: int) -> tuple[bytes | None, int]:
    content, end = read_string(raw, p)
    return _TEXTS.get(content), end


BOOL_CODEC = with_readings(
    make_codec(
        {BOOL: _encode_bool},
        lambda cell: (BOOL, cell),
        proposed_for="bool",
    ),
    {kind: encode_whole(WHOLE[kind], _NUMBERS.get) for kind in (INT32, INT64, DOUBLE)}
    | {STRING: _read_text},
)


def show_bool(cell: bytes) -> str:
    """A boolean as SQL shows it."""
    return "true" if any(cell) else "false"
