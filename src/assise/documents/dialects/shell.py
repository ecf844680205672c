"""The constructors of the mongo shell and of mongosh, and the words that are values there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

from assise.documents.dialects.dates import read_date
from assise.documents.dialects.rules import Rules
from assise.documents.dialects.words import (
    MINUS_NAN,
    TypedValue,
    int_of,
    parts_of,
    read_base64,
    read_code,
    read_db_pointer,
    read_decimal,
    read_double,
    read_int,
    read_object_id,
    read_regex,
    read_symbol,
    read_timestamp,
    read_uuid,
    refuse,
    text_of,
    write_timestamp,
)
from assise.documents.kinds import (
    BOOL,
    DATE,
    DOCUMENT,
    DOUBLE,
    INT32,
    INT64,
    MAX_KEY,
    MIN_KEY,
    NULL,
    STRING,
    UNDEFINED,
)
from assise.documents.numbers import NAN
from assise.documents.writer import (
    Element,
    pack_double,
    pack_int64,
    write_binary,
    write_document,
    write_text,
)
from assise.errors import ExtendedJsonError

NAMED: dict[bytes, TypedValue] = {
    b"true": TypedValue(BOOL, b"\1"),
    b"false": TypedValue(BOOL, b"\0"),
    b"null": TypedValue(NULL, b""),
    b"undefined": TypedValue(UNDEFINED, b""),
    b"NaN": TypedValue(DOUBLE, NAN),
    b"Infinity": TypedValue(DOUBLE, pack_double(float("inf"))),
    b"-Infinity": TypedValue(DOUBLE, pack_double(float("-inf"))),
    b"nan": TypedValue(DOUBLE, NAN),
    b"-nan": TypedValue(DOUBLE, MINUS_NAN),
    b"inf": TypedValue(DOUBLE, pack_double(float("inf"))),
    b"-inf": TypedValue(DOUBLE, pack_double(float("-inf"))),
    b"MinKey": TypedValue(MIN_KEY, b""),
    b"MaxKey": TypedValue(MAX_KEY, b""),
}
"""Words that are values: those of JavaScript, four of libbson's legacy mode, two of MongoDB."""

_NO_OPTIONS = TypedValue(*write_text(""))

_Make = Callable[..., Element]


def call(name: bytes, arguments: list[TypedValue], rules: Rules) -> TypedValue:
    """Return the value that a constructor of the shell makes.

    Raises:
        ExtendedJsonError: there is no such constructor, or these are not its arguments.
    """
    shown = name.decode(errors="replace")
    if name in {b"Date", b"ISODate"}:
        if len(arguments) != 1:
            raise ExtendedJsonError(f"{shown} needs one argument")
        millis = _date(arguments[0], rules, is_iso=name == b"ISODate")
        return TypedValue(DATE, pack_int64(millis), is_typed=True)
    make = _CONSTRUCTORS.get(name)
    if make is None:
        raise ExtendedJsonError(f"the mongo shell has no {shown[:80]}(…)")
    try:
        return TypedValue(*make(*arguments), is_typed=True)
    except TypeError as error:
        raise ExtendedJsonError(f"{shown} has too few arguments, or too many") from error


def _date(value: TypedValue, rules: Rules, *, is_iso: bool) -> int:
    if value.kind != STRING:
        return int_of(value, "a date")
    text = text_of(value, "a date").decode(errors="replace")
    return read_date(text, rules, usual=UTC if is_iso else None)


def _digits(value: TypedValue) -> bytes:
    """Return the text of a number, in quotes or without."""
    return value.digits or text_of(value, "a number")


def _double(value: TypedValue) -> Element:
    return read_double(_digits(value))


def _timestamp(seconds: TypedValue, increment: TypedValue | None = None) -> Element:
    """Read seconds and increment; Java writes both with a sign."""
    if increment is None:
        return read_timestamp(*parts_of(seconds, b"t", b"i"))
    signed = int_of(seconds, "the time of a timestamp"), int_of(increment, "an increment")
    return write_timestamp(*(n + (1 << 32) if -(1 << 31) <= n < 0 else n for n in signed))


def _subtype(value: TypedValue) -> int:
    subtype = int_of(value, "a binary subtype")
    if not 0 <= subtype < 256:
        raise ExtendedJsonError(f"not a binary subtype: {subtype}")
    return subtype


def _hex(value: TypedValue) -> bytes:
    digits = text_of(value, "hex digits")
    try:
        return bytes.fromhex("" if b" " in digits else digits.decode("ascii"))
    except ValueError as error:
        raise refuse("hex digits", digits) from error


def _reference(
    collection: TypedValue, target: TypedValue, database: TypedValue | None = None
) -> Element:
    fields = [(b"$ref", collection[:2]), (b"$id", target[:2])]
    if database is not None:
        fields.append((b"$db", database[:2]))
    return DOCUMENT, write_document(fields)


def _int32(value: TypedValue) -> Element:
    return read_int(_digits(value), INT32)


def _int64(value: TypedValue) -> Element:
    return read_int(_digits(value), INT64)


def _decimal(value: TypedValue) -> Element:
    return read_decimal(_digits(value))


_CONSTRUCTORS: dict[bytes, _Make] = {
    b"ObjectId": read_object_id,
    b"NumberInt": _int32,
    b"Int32": _int32,
    b"NumberLong": _int64,
    b"Long": _int64,
    b"Long.fromString": _int64,
    b"NumberDecimal": _decimal,
    b"Decimal128": _decimal,
    b"Double": _double,
    b"Timestamp": _timestamp,
    b"BinData": lambda kind, content: write_binary(_subtype(kind), read_base64(content)),
    b"HexData": lambda kind, digits: write_binary(_subtype(kind), _hex(digits)),
    b"Binary.createFromBase64": lambda content, kind: write_binary(
        _subtype(kind), read_base64(content)
    ),
    b"UUID": read_uuid,
    b"MD5": lambda digits: write_binary(5, _hex(digits)),
    b"MinKey": lambda: (MIN_KEY, b""),
    b"MaxKey": lambda: (MAX_KEY, b""),
    b"DBRef": _reference,
    b"DBPointer": read_db_pointer,
    b"RegExp": lambda pattern, options=_NO_OPTIONS: read_regex(pattern, options),
    b"BSONRegExp": lambda pattern, options=_NO_OPTIONS: read_regex(pattern, options),
    b"Code": read_code,
    b"Symbol": read_symbol,
    b"BSONSymbol": read_symbol,
}
"""What each constructor makes of its arguments."""
