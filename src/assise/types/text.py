"""Strings: the codec of `text` for BSON strings."""

from __future__ import annotations

from collections.abc import Sequence

from assise.documents.kinds import STRING
from assise.documents.reader import is_utf8, read_int32
from assise.documents.writer import pack_int32, write_string
from assise.errors import InvalidBsonError
from assise.types.codec import make_codec
from assise.types.wire import pack_length
from assise.wording import escape


def encode_text(raw: bytes, p: int) -> tuple[bytes | None, int]:
    """A string of valid UTF-8 without NUL."""
    length: int = read_int32(raw, p)[0]
    end = p + 4 + length
    if length < 1 or raw[end - 1]:
        raise InvalidBsonError("a string without a terminator", p)
    content = raw[p + 4 : end - 1]
    if not content.isascii() and not is_utf8(content):
        return None, end
    return (None if b"\0" in content else pack_length(length - 1) + content), end


def _encode_texts(values: Sequence[bytes]) -> list[bytes | None]:
    """Fields of strings that were matched up to their first NUL: each is checked by its UTF-8."""
    contents = [value[4:-1] for value in values]
    joined = b"\0".join(contents)
    if not joined.isascii() and not is_utf8(joined):
        return [encode_text(value, 0)[0] for value in values]
    return [pack_length(len(content)) + content for content in contents]


def _decode_texts(key: bytes, cells: Sequence[bytes]) -> list[bytes | None]:
    front = b"%c%b\0" % (STRING, key)
    return [front + pack_int32(len(cell) + 1) + cell + b"\0" for cell in cells]


STRING_CODEC = make_codec(
    {STRING: encode_text},
    lambda cell: (STRING, write_string(cell)),
    encode_columns={STRING: _encode_texts},
    decode_column=_decode_texts,
    proposed_for="string",
)


def show_text(cell: bytes) -> str:
    """The first characters of a text, with those escaped that would act on a terminal."""
    return escape(cell.decode(errors="replace")[:200])
