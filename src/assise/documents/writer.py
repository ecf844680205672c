"""Writing raw BSON: elements are joined into documents."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from assise.documents.kinds import BINARY, CODE_WITH_SCOPE, INT32, INT64, STRING

pack_int32 = Struct("<i").pack
pack_int64 = Struct("<q").pack
pack_double = Struct("<d").pack

Element = tuple[int, bytes]
"""Type byte and bytes of a value, without its key."""


def write_document(fields: Iterable[tuple[bytes, Element]]) -> bytes:
    """Write a document of `(key, element)` pairs in this order; keys are without NUL."""
    body = [b"%c%b\0%b" % (kind, key, value) for key, (kind, value) in fields]
    return enclose(b"".join(body))


def write_array(items: Iterable[Element]) -> bytes:
    """Write an array: a document with the keys 0, 1, 2, …; `items` may be made one at a time."""
    array = bytearray(4)
    for i, (kind, value) in enumerate(items):
        array += b"%c%d\0%b" % (kind, i, value)
    array += b"\0"
    array[:4] = pack_int32(len(array))
    return bytes(array)


def enclose(body: bytes) -> bytes:
    """Write a document or an array around the bytes of its elements."""
    return b"".join((pack_int32(len(body) + 5), body, b"\0"))


def write_string(content: bytes) -> bytes:
    """Write the value of a string, code or symbol."""
    return pack_int32(len(content) + 1) + content + b"\0"


def write_binary(subtype: int, content: bytes) -> Element:
    """Write a binary; subtype 2 has an inner length."""
    if subtype == 2:
        content = pack_int32(len(content)) + content
    return BINARY, pack_int32(len(content)) + bytes([subtype]) + content


def write_int(value: int) -> Element:
    """Write an int32 where the value fits, otherwise an int64.

    Raises:
        struct.error: the value needs more than 64 bits.
    """
    if -(1 << 31) <= value < 1 << 31:
        return INT32, pack_int32(value)
    return INT64, pack_int64(value)


def write_code_with_scope(code: bytes, scope: bytes) -> Element:
    """Write code with its scope document."""
    body = write_string(code) + scope
    return CODE_WITH_SCOPE, pack_int32(len(body) + 4) + body


def write_text(text: str) -> Element:
    """Write a string with its kind."""
    return STRING, write_string(text.encode())
