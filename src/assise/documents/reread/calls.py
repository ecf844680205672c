"""The constructors of the mongo shell and of mongosh, and the words that are values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo

from assise.documents.kinds import (
    BOOL,
    CODE,
    DATE,
    DECIMAL,
    DOCUMENT,
    DOUBLE,
    INT32,
    INT64,
    MAX_KEY,
    MIN_KEY,
    NULL,
    STRING,
    SYMBOL,
    UNDEFINED,
)
from assise.documents.reread.numbers import (
    Encoded,
    pack_double,
    pack_int64,
    read_date,
    read_decimal,
    read_double,
    read_int,
    refuse,
)
from assise.documents.reread.wrappers import (
    Item,
    Number,
    Parts,
    base64,
    byte_of,
    code_with_scope,
    db_pointer,
    int_of,
    object_id,
    regex,
    text_of,
    timestamp,
    uuid,
    value_of,
    write_binary,
    write_text,
    write_timestamp,
)
from assise.errors import ExtendedJsonError

WORDS: dict[bytes, Encoded] = {
    b"true": (BOOL, b"\1"),
    b"false": (BOOL, b"\0"),
    b"null": (NULL, b""),
    b"undefined": (UNDEFINED, b""),
    b"NaN": (DOUBLE, pack_double(float("nan"))),
    b"Infinity": (DOUBLE, pack_double(float("inf"))),
    b"-Infinity": (DOUBLE, pack_double(float("-inf"))),
    b"nan": (DOUBLE, pack_double(float("nan"))),
    b"-nan": (DOUBLE, pack_double(float("-nan"))),
    b"inf": (DOUBLE, pack_double(float("inf"))),
    b"-inf": (DOUBLE, pack_double(float("-inf"))),
    b"MinKey": (MIN_KEY, b""),
    b"MaxKey": (MAX_KEY, b""),
}

_Make = Callable[..., Encoded]
_NO_FLAGS = (STRING, write_text(b""))


def _digits(item: Item) -> bytes:
    """Return the text of a number, in quotes or without."""
    return item.text if isinstance(item, Number) else text_of(item)


def _double(item: Item) -> Encoded:
    return DOUBLE, read_double(_digits(item))


def _decimal(item: Item) -> Encoded:
    return DECIMAL, read_decimal(_digits(item))


def _timestamp(seconds: Item, increment: Item | None = None) -> Encoded:
    """Read seconds and increment; Java writes both with a sign."""
    if isinstance(seconds, Parts) and increment is None:
        return timestamp(*seconds.values(b"t", b"i"))
    if increment is None:
        raise ExtendedJsonError("Timestamp needs seconds and an increment")
    signed = (int_of(seconds), int_of(increment))
    return write_timestamp(*(n + (1 << 32) if -(1 << 31) <= n < 0 else n for n in signed))


def _binary(kind: Item, content: Item) -> Encoded:
    return write_binary(byte_of(kind), base64(content))


def _hex_binary(kind: Item, digits: Item) -> Encoded:
    return write_binary(byte_of(kind), _hex(digits))


def _hex(item: Item) -> bytes:
    digits = text_of(item)
    try:
        return bytes.fromhex("" if b" " in digits else digits.decode("ascii"))
    except ValueError as error:
        raise refuse("hex digits", digits) from error


def _code(source: Item, scope: Item | None = None) -> Encoded:
    return (CODE, write_text(text_of(source))) if scope is None else code_with_scope(source, scope)


def _reference(collection: Item, target: Item, database: Item | None = None) -> Encoded:
    fields = [(b"$ref", collection), (b"$id", target)]
    if database is not None:
        fields.append((b"$db", database))
    values = [(key, *value_of(item)) for key, item in fields]
    body = b"".join(b"%c%b\0%b" % (kind, key, value) for key, kind, value in values)
    return DOCUMENT, (len(body) + 5).to_bytes(4, "little") + body + b"\0"


_CALLS: dict[bytes, _Make] = {
    b"ObjectId": object_id,
    b"NumberInt": lambda item: (INT32, read_int(_digits(item), 32)),
    b"NumberLong": lambda item: (INT64, read_int(_digits(item), 64)),
    b"NumberDecimal": _decimal,
    b"Double": _double,
    b"Timestamp": _timestamp,
    b"BinData": _binary,
    b"HexData": _hex_binary,
    b"Binary.createFromBase64": lambda content, kind: _binary(kind, content),
    b"UUID": uuid,
    b"MD5": lambda digits: write_binary(5, _hex(digits)),
    b"MinKey": lambda: (MIN_KEY, b""),
    b"MaxKey": lambda: (MAX_KEY, b""),
    b"DBRef": _reference,
    b"DBPointer": db_pointer,
    b"RegExp": lambda pattern, flags=_NO_FLAGS: regex(pattern, flags),
    b"Code": _code,
    b"Symbol": lambda item: (SYMBOL, write_text(text_of(item))),
}
_CALLS |= {
    b"Int32": _CALLS[b"NumberInt"],
    b"Long": _CALLS[b"NumberLong"],
    b"Long.fromString": _CALLS[b"NumberLong"],
    b"Decimal128": _decimal,
    b"BSONRegExp": _CALLS[b"RegExp"],
    b"BSONSymbol": _CALLS[b"Symbol"],
}


def call(name: bytes, items: list[Item], zone: tzinfo | None) -> Encoded:
    """Make the value that a constructor of the shell stands for.

    Raises:
        ExtendedJsonError: there is no such constructor, or its arguments are not its own.
    """
    try:
        if name in {b"ISODate", b"Date"}:
            return DATE, _date(*items, zone=UTC if name == b"ISODate" else zone)
        return _CALLS[name](*items)
    except (KeyError, TypeError) as error:
        raise refuse("a call of the mongo shell with its arguments", name) from error


def _date(item: Item, *, zone: tzinfo | None) -> bytes:
    if isinstance(item, Number):
        return pack_int64(int_of(item))
    return read_date(text_of(item), zone)
