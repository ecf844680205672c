"""Strings: the codecs of `text`, `varchar(n)` and `citext`, which also read ints and ObjectIds."""

from __future__ import annotations

import re

from assise.documents.kinds import INT32, INT64, OBJECT_ID, STRING
from assise.documents.reader import is_utf8, read_int32
from assise.documents.writer import Element, write_string
from assise.errors import InvalidBsonError
from assise.types.codec import Codec, FieldEncode, limit_codec, make_codec, with_readings
from assise.types.whole import WHOLE, encode_whole
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


def _encode_digits(raw: bytes, p: int) -> tuple[bytes, int]:
    if p + 12 > len(raw):
        raise IndexError
    return b"\0\0\0\x18" + raw[p : p + 12].hex().encode(), p + 12


def _decode_digits(cell: bytes) -> Element:
    if re.fullmatch(rb"[0-9a-f]{24}", cell):
        return OBJECT_ID, bytes.fromhex(cell.decode())
    return STRING, write_string(cell)


def _write_int(value: int) -> bytes:
    digits = b"%d" % value
    return pack_length(len(digits)) + digits


_READINGS: dict[int, FieldEncode] = {
    STRING: encode_text,
    OBJECT_ID: _encode_digits,
    INT32: encode_whole(WHOLE[INT32], _write_int),
    INT64: encode_whole(WHOLE[INT64], _write_int),
}
STRING_CODEC = with_readings(
    make_codec(
        {STRING: encode_text},
        lambda cell: (STRING, write_string(cell)),
        proposed_for="string",
    ),
    _READINGS,
)
DIGITS_CODEC = with_readings(make_codec({OBJECT_ID: _encode_digits}, _decode_digits), _READINGS)
"""The digits of an ObjectId as text."""


def limit_length(codec: Codec, length: int) -> Codec:
    """The codec of `varchar(length)`, which counts code points; blanks at the end count too."""
    return limit_codec(codec, lambda cell: len(cell.decode()) <= length)


def show_text(cell: bytes) -> str:
    """The first characters of a text, with those escaped that would act on a terminal."""
    return escape(cell.decode(errors="replace")[:200])
