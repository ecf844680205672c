"""Objects of Extended JSON that are one value of BSON, such as `{"$oid": "…"}`.

Rules: mongodb/specifications, source/extended-json (version 2); MongoDB's manual, "MongoDB Extended
JSON (v1)". An object with one of `WORDS` among its keys is such a value or an error, whatever its
other keys are: no writer escapes them.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

from assise.documents.dialects.dates import read_date
from assise.documents.dialects.rules import Guess, Rules, Version
from assise.documents.kinds import (
    BOOL,
    CODE,
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
from assise.documents.numbers import NAN, decimal128_bytes
from assise.documents.reader import elements
from assise.documents.writer import (
    Element,
    pack_double,
    pack_int32,
    pack_int64,
    write_binary,
    write_code_with_scope,
    write_string,
)
from assise.errors import ExtendedJsonError

MINUS_NAN = b"\0\0\0\0\0\0\xf8\xff"
"""The NaN that 0.0 / 0.0 is on most processors; Rust's library writes its sign."""


class TypedValue(NamedTuple):
    """A value: type byte, bytes, and whether its type was written, as in `{"$numberInt": "1"}`.

    Of a document that says that its `t` or `i` are typed. `digits` is the text of a number.
    """

    kind: int
    data: bytes
    is_typed: bool = False
    digits: bytes = b""


_OBJECT_ID = re.compile(rb"[0-9a-fA-F]{24}")
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")
_SUBTYPE = re.compile(rb"(?:ffffff)?([0-9a-fA-F]{1,2})")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_INT = re.compile(rb"-?(?:0|[1-9][0-9]{0,18})")
_DOUBLE = re.compile(rb"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_DECIMAL = re.compile(
    rb"[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,12})?|(?i:inf(?:inity)?|nan))"
)


def refuse(what: str, content: bytes) -> ExtendedJsonError:
    """Return the error for a text that is not what it should be."""
    return ExtendedJsonError(f"not {what}: {content[:80].decode(errors='replace')!r}")


def text_of(value: TypedValue, what: str) -> bytes:
    """Return the bytes of a string."""
    if value.kind != STRING:
        raise ExtendedJsonError(f"{what} is not a string")
    return value.data[4:-1]


def int_of(value: TypedValue, what: str) -> int:
    """Return an integer that was written without a type."""
    if value.digits and _INT.fullmatch(value.digits):
        return int(value.digits)
    if value.kind not in {INT32, INT64} or value.is_typed:
        raise ExtendedJsonError(f"{what} is not an integer")
    return int.from_bytes(value.data, "little", signed=True)


def read_object_id(value: TypedValue) -> Element:
    """Read 24 hex digits."""
    digits = text_of(value, "an ObjectId")
    if _OBJECT_ID.fullmatch(digits) is None:
        raise refuse("24 hex digits", digits)
    return OBJECT_ID, bytes.fromhex(digits.decode())


def read_int(content: bytes, kind: int) -> Element:
    """Read the text of an integer of this kind, int32 or int64."""
    try:
        if _INT.fullmatch(content):
            return kind, (pack_int32 if kind == INT32 else pack_int64)(int(content))
    except StructError as error:
        raise refuse(f"an integer of {32 if kind == INT32 else 64} bits", content) from error
    raise refuse("an integer", content)


def read_double(content: bytes) -> Element:
    """Read the text of a double."""
    if content in {b"NaN", b"-NaN"}:
        return DOUBLE, NAN if content == b"NaN" else MINUS_NAN
    if content not in {b"Infinity", b"-Infinity"}:
        return DOUBLE, pack_finite(content)
    return DOUBLE, pack_double(float(content))


def pack_finite(content: bytes) -> bytes:
    """Pack the double that a decimal text stands for."""
    if _DOUBLE.fullmatch(content) is None:
        raise refuse("a number", content)
    number = float(content)
    if number in {float("inf"), float("-inf")}:
        raise refuse("a number within the range of doubles", content)
    return pack_double(number)


def read_decimal(content: bytes) -> Element:
    """Read the text of a Decimal128 that need not be rounded."""
    if _DECIMAL.fullmatch(content) is None:
        raise refuse("a Decimal128", content)
    try:
        return DECIMAL, decimal128_bytes(content.decode())
    except ValueError as error:
        raise refuse("a Decimal128 without rounding", content) from error


def read_base64(value: TypedValue) -> bytes:
    """Read base64 of the standard alphabet, with padding."""
    content = text_of(value, "base64")
    if _BASE64.fullmatch(content) is None:
        raise refuse("base64", content)
    return a2b_base64(content)


def read_uuid(value: TypedValue, rules: Rules | None = None) -> Element:
    """Read a UUID to a binary of subtype 4; the shell writes it with and without dashes."""
    content = text_of(value, "a UUID")
    has_dashes = b"-" in content
    if _UUID.fullmatch(content) is None or not (has_dashes or rules is None or rules.is_old):
        raise refuse("a UUID", content)
    if rules:
        rules.signs.setdefault(Version.V2 if has_dashes else Version.V1, "$uuid")
        if not has_dashes:
            rules.guesses[Guess.UUID] += 1
    return write_binary(4, bytes.fromhex(content.replace(b"-", b"").decode()))


def read_regex(pattern: TypedValue, options: TypedValue) -> Element:
    """Read a regular expression; its options stay in their order."""
    parts = text_of(pattern, "a pattern"), text_of(options, "the options of a pattern")
    if any(b"\0" in part for part in parts):
        raise refuse("a pattern without NUL", parts[0])
    return REGEX, b"%b\0%b\0" % parts


def read_code(code: TypedValue, scope: TypedValue | None = None) -> Element:
    """Read JavaScript, with the document of its variables where there is one."""
    content = text_of(code, "code")
    if scope is None:
        return CODE, write_string(content)
    if scope.kind != DOCUMENT:
        raise ExtendedJsonError("the scope of code is not a document")
    return write_code_with_scope(content, scope.data)


def read_timestamp(seconds: TypedValue, increment: TypedValue) -> Element:
    """Read two numbers of 32 bits without sign."""
    numbers = int_of(seconds, "the time of a timestamp"), int_of(increment, "an increment")
    return write_timestamp(*numbers)


def write_timestamp(seconds: int, increment: int) -> Element:
    """Write two numbers of 32 bits without sign."""
    try:
        return TIMESTAMP, Struct("<II").pack(increment, seconds)
    except StructError as error:
        message = f"not the numbers of a timestamp: {seconds}, {increment}"
        raise ExtendedJsonError(message) from error


def read_db_pointer(namespace: TypedValue, target: TypedValue) -> Element:
    """Read a DBPointer."""
    if target.kind != OBJECT_ID:
        raise ExtendedJsonError("the $id of a DBPointer is not an ObjectId")
    return DB_POINTER, write_string(text_of(namespace, "the $ref of a DBPointer")) + target.data


def read_symbol(value: TypedValue) -> Element:
    """Read a symbol."""
    return SYMBOL, write_string(text_of(value, "a symbol"))


def parts_of(value: TypedValue, *keys: bytes) -> list[TypedValue]:
    """Return the values of a document that has exactly these keys."""
    if value.kind != DOCUMENT or value.is_typed:
        raise ExtendedJsonError(f"not a document with the keys {b', '.join(keys).decode()}")
    fields = [(key, TypedValue(kind, data)) for kind, key, data in _fields(value.data)]
    found = dict(fields)
    if len(fields) != len(keys) or found.keys() != set(keys):
        shown = ", ".join(key.decode(errors="replace") for key, _ in fields)
        raise ExtendedJsonError(f"not the keys {b', '.join(keys).decode()}: {shown[:80]}")
    return [found[key] for key in keys]


def _fields(document: bytes) -> list[tuple[int, bytes, bytes]]:
    return [(kind, key, document[start:stop]) for kind, key, start, stop in elements(document)]


def _binary(value: TypedValue) -> Element:
    content, subtype = parts_of(value, b"base64", b"subType")
    return write_binary(_read_subtype(subtype), read_base64(content))


def _read_subtype(value: TypedValue) -> int:
    content = text_of(value, "a binary subtype")
    found = _SUBTYPE.fullmatch(content)
    if found is None:
        raise refuse("a binary subtype", content)
    return int(found[1], 16)


def _old_binary(content: TypedValue, subtype: TypedValue) -> Element:
    if subtype.kind == INT32 and 0 <= int_of(subtype, "a binary subtype") < 256:
        return write_binary(subtype.data[0], read_base64(content))
    return write_binary(_read_subtype(subtype), read_base64(content))


def _date(value: TypedValue, rules: Rules) -> Element:
    if value.kind == STRING:
        text = value.data[4:-1].decode(errors="replace")
        return DATE, pack_int64(read_date(text, rules))
    if value.kind in {INT32, INT64} and not value.is_typed:
        rules.signs.setdefault(Version.V1, "$date with a number")
        if rules.is_old:
            return DATE, pack_int64(int_of(value, "$date"))
    if value.kind == INT64 and value.is_typed:
        return DATE, value.data
    raise ExtendedJsonError("$date is neither an ISO date nor a $numberLong")


def _constant(kind: int) -> Callable[[TypedValue], Element]:
    def read(value: TypedValue) -> Element:
        if int_of(value, "$minKey or $maxKey") != 1:
            raise ExtendedJsonError("$minKey and $maxKey are 1")
        return kind, b""

    return read


def _undefined(value: TypedValue) -> Element:
    if value[:2] != (BOOL, b"\1"):
        raise ExtendedJsonError("$undefined is true")
    return UNDEFINED, b""


_READERS: dict[bytes, Callable[[TypedValue], Element]] = {
    b"$oid": read_object_id,
    b"$symbol": read_symbol,
    b"$code": read_code,
    b"$numberInt": lambda value: read_int(text_of(value, "$numberInt"), INT32),
    b"$numberLong": lambda value: read_int(text_of(value, "$numberLong"), INT64),
    b"$numberDouble": lambda value: read_double(text_of(value, "$numberDouble")),
    b"$numberDecimal": lambda value: read_decimal(text_of(value, "$numberDecimal")),
    b"$binary": _binary,
    b"$timestamp": lambda value: read_timestamp(*parts_of(value, b"t", b"i")),
    b"$regularExpression": lambda value: read_regex(*parts_of(value, b"pattern", b"options")),
    b"$dbPointer": lambda value: read_db_pointer(*parts_of(value, b"$ref", b"$id")),
    b"$minKey": _constant(MIN_KEY),
    b"$maxKey": _constant(MAX_KEY),
    b"$undefined": _undefined,
}
_ONLY_V2 = {b"$numberInt", b"$numberDouble", b"$binary", b"$regularExpression", b"$dbPointer"}

WORDS = frozenset([*_READERS, b"$uuid", b"$date"])
"""Keys that make an object a value or an error."""

KEPT = WORDS | {b"$scope", b"$type", b"$regex", b"$options"}
"""Keys whose values are needed at the end of an object."""


def read_words(fields: dict[bytes, TypedValue], size: int, rules: Rules) -> TypedValue | None:
    """Read an object of `size` fields, those of KEPT among them; None when it is a document.

    Raises:
        ExtendedJsonError: it has a word of Extended JSON and is malformed.
    """
    element = _read(fields, size, rules)
    return element and TypedValue(*element, is_typed=True)


def _read(fields: dict[bytes, TypedValue], size: int, rules: Rules) -> Element | None:
    word = next((key for key in fields if key in WORDS), None)
    if word is None:
        return _read_query(fields, size, rules)
    value = fields[word]
    match sorted(fields):
        case [b"$code", b"$scope"] if size == 2:
            return read_code(fields[b"$code"], fields[b"$scope"])
        case [b"$binary", b"$type"] if size == 2 and value.kind == STRING:
            rules.signs.setdefault(Version.V1, "$binary with $type")
            if rules.is_old:
                return _old_binary(fields[b"$binary"], fields[b"$type"])
    if size != 1:
        raise ExtendedJsonError(f"{word.decode()} has other keys beside it")
    if word == b"$date":
        return _date(value, rules)
    if word == b"$uuid":
        return read_uuid(value, rules)
    if word in _ONLY_V2:
        rules.signs.setdefault(Version.V2, word.decode())
    return _READERS[word](value)


def _read_query(fields: dict[bytes, TypedValue], size: int, rules: Rules) -> Element | None:
    """Read `{"$regex": "…", "$options": "…"}`, which is a query of a user in version 2."""
    if size != 2 or fields.keys() != {b"$regex", b"$options"}:
        return None
    pattern, options = fields[b"$regex"], fields[b"$options"]
    if pattern.kind != STRING or options.kind != STRING:
        return None
    rules.signs.setdefault(Version.V1, "$regex with $options")
    rules.guesses[Guess.REGEX if rules.is_old else Guess.QUERY] += 1
    return read_regex(pattern, options) if rules.is_old else None
