"""The codec of `bool`."""

from __future__ import annotations

from assise.documents.kinds import BOOL
from assise.errors import InvalidBsonError
from assise.types.codec import make_codec
from assise.types.integers import decode_reversed


def _encode_bool(raw: bytes, p: int) -> tuple[bytes, int]:
    if raw[p] > 1:
        raise InvalidBsonError(f"a boolean that is {raw[p]}", p)
    return b"\0\0\0\1" + raw[p : p + 1], p + 1


BOOL_CODEC = make_codec(
    {BOOL: _encode_bool},
    lambda cell: (BOOL, cell),
    encode_columns={BOOL: lambda values: [b"\0\0\0\1" + value for value in values]},
    decode_column=decode_reversed(BOOL),
    proposed_for="bool",
)


def show_bool(cell: bytes) -> str:
    """A boolean as SQL shows it."""
    return "true" if any(cell) else "false"
