"""The objects of Extended JSON that are one value of BSON: `{"$oid": "…"}` and its like.

Rules: mongodb/specifications, source/extended-json (version 2), and MongoDB's manual, "MongoDB
Extended JSON (v1)". An object with one of HARD among its keys is such a value, or an error.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo

from assise.documents.kinds import (
    BINARY,
    CODE,
    CODE_WITH_SCOPE,
    DATE,
    DB_POINTER,
    DECIMAL,
    DOCUMENT,
    DOUBLE,
    INT32,
    INT64,
    MAX_KEY,
    MIN_KEY,
    OBJECT_ID,
    REGEX,
    STRING,
    SYMBOL,
    TIMESTAMP,
    UNDEFINED,
)
from assise.documents.reread.numbers import (
    Encoded,
    pack_int32,
    pack_int64,
    read_date,
    read_decimal,
    read_double,
    read_int,
    read_number,
    refuse,
)
from assise.errors import ExtendedJsonError


@dataclass(frozen=True)
class Number:
    """A number as it was written, without a type."""

    text: bytes
    is_whole: bool


@dataclass(frozen=True)
class Parts:
    """The fields of an object that is, or stands in, a type wrapper."""

    fields: tuple[tuple[bytes, Item], ...]

    def values(self, *keys: bytes) -> list[Item]:
        """Return the values of exactly these keys."""
        found = dict(self.fields)
        if len(self.fields) != len(keys) or found.keys() != set(keys):
            names = ", ".join(key.decode(errors="replace") for key, _ in self.fields)
            raise ExtendedJsonError(f"not the keys of a type of Extended JSON: {names}")
        return [found[key] for key in keys]


Item = Encoded | Number | Parts
"""What may stand in a type wrapper or in a call of the shell."""

_Read = Callable[[Item], Encoded]

_OBJECT_ID = re.compile(rb"[0-9a-fA-F]{24}")
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OLD_UUID = re.compile(rb"[0-9a-fA-F]{32}")
_SUBTYPE = re.compile(rb"(?:ffffff)?([0-9a-fA-F]{1,2})")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def kind_of(item: Item) -> int:
    """Return the type byte of a value whose type was written, otherwise 0."""
    return item[0] if isinstance(item, tuple) else 0


def value_of(item: Item) -> Encoded:
    """Return a value that stands in a document, in place of a type wrapper or a call."""
    if isinstance(item, tuple):
        return item
    if isinstance(item, Number):
        return read_number(item.text, item.is_whole)
    raise ExtendedJsonError("the parts of a type of Extended JSON without that type")


def text_of(item: Item) -> bytes:
    """Return the bytes of a string."""
    if not isinstance(item, tuple) or item[0] != STRING:
        raise ExtendedJsonError("not a string in a type of Extended JSON")
    return item[1][4:-1]


def int_of(item: Item) -> int:
    """Return an integer that was written without a type."""
    if not isinstance(item, Number) or not item.is_whole:
        raise ExtendedJsonError("not an integer in a type of Extended JSON")
    if len(item.text) > 20 or not -(1 << 63) <= int(item.text) < 1 << 63:
        raise refuse("an integer of 64 bits", item.text)
    return int(item.text)


def parts_of(item: Item, *keys: bytes) -> list[Item]:
    """Return the values of an object that has exactly these keys."""
    if not isinstance(item, Parts):
        raise ExtendedJsonError("not an object in a type of Extended JSON")
    return item.values(*keys)


def cstring(item: Item) -> bytes:
    """Return a string that ends at its first NUL in BSON, with that NUL."""
    content = text_of(item)
    if 0 in content:
        raise refuse("a text without NUL", content)
    return content + b"\0"


def write_text(content: bytes) -> bytes:
    """Write the value of a string, a code or a symbol."""
    return pack_int32(len(content) + 1) + content + b"\0"


def object_id(item: Item) -> Encoded:
    """Read a string of 24 hex digits."""
    return _object_id(text_of(item))


def _object_id(digits: bytes) -> Encoded:
    if _OBJECT_ID.fullmatch(digits) is None:
        raise refuse("an ObjectId", digits)
    return OBJECT_ID, bytes.fromhex(digits.decode())


def uuid(item: Item, *, is_old: bool = True) -> Encoded:
    """Read a UUID to a binary of subtype 4; version 1 also writes it without dashes."""
    text = text_of(item)
    if _UUID.fullmatch(text) is None and not (is_old and _OLD_UUID.fullmatch(text)):
        raise refuse("a UUID", text)
    return write_binary(4, bytes.fromhex(text.decode().replace("-", "")))


def write_binary(subtype: int, content: bytes) -> Encoded:
    """Write a binary; that of subtype 2 has its length a second time."""
    if subtype == 2:
        content = pack_int32(len(content)) + content
    return BINARY, b"%b%c%b" % (pack_int32(len(content)), subtype, content)


def base64(item: Item) -> bytes:
    """Read base64 of the standard alphabet, with padding."""
    text = text_of(item)
    try:
        if _BASE64.fullmatch(text):
            return a2b_base64(text)
    except Base64Error as error:
        raise refuse("base64", text) from error
    raise refuse("base64", text)


def byte_of(item: Item) -> int:
    """Return the subtype of a binary that is written as a number."""
    number = int_of(item)
    if not 0 <= number < 256:
        raise ExtendedJsonError(f"not a binary subtype: {number}")
    return number


def subtype(item: Item) -> int:
    """Read the subtype of a binary: hex digits as text."""
    text = text_of(item)
    found = _SUBTYPE.fullmatch(text)
    if found is None:
        raise refuse("a binary subtype", text)
    return int(found[1], 16)


def code(item: Item) -> Encoded:
    """Read JavaScript."""
    return CODE, write_text(text_of(item))


def code_with_scope(source: Item, scope: Item) -> Encoded:
    """Read JavaScript with the document of its variables."""
    if not isinstance(scope, tuple) or scope[0] != DOCUMENT:
        raise ExtendedJsonError("$scope is not a document")
    body = write_text(text_of(source)) + scope[1]
    return CODE_WITH_SCOPE, pack_int32(len(body) + 4) + body


def timestamp(seconds: Item, increment: Item) -> Encoded:
    """Read the two numbers of a timestamp, of 32 bits without sign."""
    return write_timestamp(int_of(seconds), int_of(increment))


def write_timestamp(*numbers: int) -> Encoded:
    """Write seconds and increment, in the other order."""
    if not all(0 <= number < 1 << 32 for number in numbers):
        raise ExtendedJsonError(f"not a timestamp: {numbers}")
    return TIMESTAMP, b"".join(number.to_bytes(4, "little") for number in reversed(numbers))


def db_pointer(namespace: Item, target: Item) -> Encoded:
    """Read a DBPointer."""
    if not isinstance(target, tuple) or target[0] != OBJECT_ID:
        raise ExtendedJsonError("the $id of a $dbPointer is not an ObjectId")
    return DB_POINTER, write_text(text_of(namespace)) + target[1]


def regex(pattern: Item, options: Item) -> Encoded:
    """Read a regular expression; the options stay in their order."""
    return REGEX, cstring(pattern) + cstring(options)


def _binary(item: Item) -> Encoded:
    content, kind = parts_of(item, b"base64", b"subType")
    return write_binary(subtype(kind), base64(content))


def _old_binary(content: Item, kind: Item) -> Encoded:
    if isinstance(kind, Number):
        return write_binary(byte_of(kind), base64(content))
    return write_binary(subtype(kind), base64(content))


def _one(kind: int) -> _Read:
    def read(item: Item) -> Encoded:
        if int_of(item) != 1:
            raise ExtendedJsonError("$minKey and $maxKey are 1 or nothing")
        return kind, b""

    return read


def _undefined(item: Item) -> Encoded:
    if item != (0x08, b"\1"):
        raise ExtendedJsonError("$undefined is true or nothing")
    return UNDEFINED, b""


_TEXTS: dict[bytes, Callable[[bytes], Encoded]] = {
    b"oid": _object_id,
    b"numberInt": lambda text: (INT32, read_int(text, 32)),
    b"numberLong": lambda text: (INT64, read_int(text, 64)),
    b"numberDouble": lambda text: (DOUBLE, read_double(text)),
    b"numberDecimal": lambda text: (DECIMAL, read_decimal(text)),
}
_ITEMS: dict[bytes, _Read] = {
    b"$symbol": lambda item: (SYMBOL, write_text(text_of(item))),
    b"$code": code,
    b"$timestamp": lambda item: timestamp(*parts_of(item, b"t", b"i")),
    b"$minKey": _one(MIN_KEY),
    b"$maxKey": _one(MAX_KEY),
    b"$undefined": _undefined,
    b"$binary": _binary,
    b"$regularExpression": lambda item: regex(*parts_of(item, b"pattern", b"options")),
    b"$dbPointer": lambda item: db_pointer(*parts_of(item, b"$ref", b"$id")),
}
HARD = frozenset([*_ITEMS, *(b"$" + word for word in _TEXTS), b"$date", b"$uuid"])
"""Keys that make an object a type wrapper or an error."""
FIRST = HARD | {b"$type", b"$scope", b"$options", b"$regex"}
"""Keys with which a type wrapper may begin."""
INNER = frozenset([b"$timestamp", b"$binary", b"$regularExpression", b"$dbPointer"])
"""Wrappers whose value is an object that is no document."""
LONGEST = 2
"""The most keys a type wrapper has."""


def read_wrapper(parts: Parts, *, is_old: bool, zone: tzinfo | None) -> Encoded | None:
    """Read a type wrapper; None when the object is an ordinary document.

    Raises:
        ExtendedJsonError: it has a key of HARD and is malformed.
    """
    keys = {key for key, _ in parts.fields}
    if not keys & HARD:
        return _old_regex(parts) if is_old and keys == {b"$regex", b"$options"} else None
    if b"$scope" in keys:
        return code_with_scope(*parts.values(b"$code", b"$scope"))
    if b"$type" in keys and is_old:
        return _old_binary(*parts.values(b"$binary", b"$type"))
    key, item = parts.fields[0]
    parts.values(key)
    if key == b"$date":
        return DATE, _read_date(item, is_old=is_old, zone=zone)
    if key == b"$uuid":
        return uuid(item, is_old=is_old)
    read = _TEXTS.get(key[1:])
    return read(text_of(item)) if read else _ITEMS[key](item)


def read_typed(word: bytes, text: bytes, zone: tzinfo | None) -> Encoded:
    """Read a type that has one key and a text, without the dollar sign of its key."""
    return (DATE, read_date(text, zone)) if word == b"date" else _TEXTS[word](text)


def _old_regex(parts: Parts) -> Encoded | None:
    pattern, options = parts.values(b"$regex", b"$options")
    return regex(pattern, options) if kind_of(pattern) == kind_of(options) == STRING else None


def _read_date(item: Item, *, is_old: bool, zone: tzinfo | None) -> bytes:
    if isinstance(item, Number) and is_old:
        return pack_int64(int_of(item))
    if isinstance(item, tuple) and item[0] == INT64:
        return item[1]
    return read_date(text_of(item), zone)
