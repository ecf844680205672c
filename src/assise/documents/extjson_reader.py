"""Extended JSON v2 read to BSON: canonical, relaxed and the jsonb form, as `json.loads` gives it.

`read_pieces` reads large texts of the jsonb form in pieces, so that a million fields are never
Python objects at the same time.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache, lru_cache
from struct import error as StructError
from typing import Any, Protocol, cast
from uuid import UUID

from assise.documents.extjson import (
    ESCAPES,
    FIRST_ESCAPES,
    NOTE_WORDS,
    WRAPPERS,
    decode_fields,
)
from assise.documents.kinds import (
    ARRAY,
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
    NULL,
    OBJECT_ID,
    REGEX,
    SYMBOL,
    TIMESTAMP,
    UNDEFINED,
)
from assise.documents.numbers import NAN, decimal128_bytes
from assise.documents.reader import elements
from assise.documents.writer import (
    Element,
    enclose,
    pack_double,
    pack_int32,
    pack_int64,
    write_array,
    write_binary,
    write_code_with_scope,
    write_int,
    write_string,
    write_text,
)
from assise.errors import ExtendedJsonError


class Form(Enum):
    """The form of the text that is read.

    PLAIN is Extended JSON as others write it; KEY is the text of a key, in which names are
    escaped; JSONB is also escaped, and does not keep the order of fields; FIRST_JSONB is that of
    rules 1.
    """

    PLAIN, KEY, JSONB, FIRST_JSONB = range(4)

    def unescape(self, name: str) -> str:
        """Return the document's key for a name in the text."""
        if self is Form.PLAIN:
            return name
        return (ESCAPES if self is Form.JSONB else FIRST_ESCAPES).unescape(name)

    @property
    def read_key(self) -> Callable[[str], bytes]:
        """Return what reads a name in the text to the bytes of the document's key."""
        return _KEY_READERS[self]


_Scalar = None | bool | int | float | str
Json = _Scalar | list["Json"] | dict[str, "Json"] | Element
"""A value as `json.loads` gives it, or already read to BSON."""

FieldNames = Mapping[str, "FieldNames"]
"""The fields that the caller looks up by name, and below them those of their documents."""


class Check(Protocol):
    """Raises an error for a value that is not allowed at this number of levels below the root."""

    def __call__(self, value: Json, /, *, depth: int) -> None: ...


class Pieces(dict[str, Json]):
    """A large object: fields that are looked up by name, and runs of all others.

    A run is stored under the name of its first field. The bytes of the following fields are
    appended to the value of the first.
    """


def read_json(text: str) -> bytes:
    """Read one document from canonical or relaxed Extended JSON text.

    Raises:
        ExtendedJsonError: the text is not JSON, not a document, or a type wrapper is malformed.

    >>> read_json('{"a": {"$numberInt": "7"}}').hex()
    '0c0000001061000700000000'
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ExtendedJsonError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ExtendedJsonError(f"not a document: {text[:80]}")
    try:
        kind, document = read_value(value, form=Form.PLAIN)
    except UnicodeEncodeError as error:
        raise ExtendedJsonError(f"half a surrogate pair is not text: {text[:80]}") from error
    if kind != DOCUMENT:
        raise ExtendedJsonError(f"not a document: {text[:80]}")
    return document


def read_value(value: Json, *, form: Form = Form.JSONB) -> Element:
    """Read a JSON value to a BSON element.

    Raises:
        ExtendedJsonError: a type wrapper is malformed or a value does not fit BSON.
    """
    match value:
        case None:
            return NULL, b""
        case bool():
            return BOOL, bytes([value])
        case int():
            return _int(value)
        case float():
            return DOUBLE, pack_double(value)
        case str():
            return write_text(value)
        case list():
            return ARRAY, write_array(read_value(item, form=form) for item in value)
        case tuple():
            return value
    wrapped = read_wrapper(value, form=form)
    if wrapped is not None:
        return wrapped
    return DOCUMENT, enclose(read_fields(value, form=form))


def read_fields(value: dict[str, Json], *, form: Form = Form.JSONB) -> bytes:
    """Read the elements of a JSON object that is a document, with those under `$bson`.

    jsonb does not keep the order of fields: those of a DBRef are put in theirs.
    """
    read_key = form.read_key
    fields = [
        (read_key(name), read_value(item, form=form))
        for name, item in value.items()
        if name != "$bson"
    ]
    if form in {Form.JSONB, Form.FIRST_JSONB} and "$ref" in value:
        fields.sort(key=lambda field: dbref_order(field[0]))
    named = [b"%c%b\0%b" % (kind, key, data) for key, (kind, data) in fields]
    return b"".join(named) + read_unnameable(value)


def read_unnameable(value: dict[str, Json]) -> bytes:
    """Read the elements under the key `$bson` of a document in JSON."""
    fields = value.get("$bson")
    if fields is None:
        return b""
    document = decode_fields(fields) if isinstance(fields, str) else None
    if document is None:
        raise _malformed("$bson", fields)
    return document[4:-1]


def dbref_order(key: bytes) -> int:
    """Return a sort key that puts `$ref, $id, $db` first; drivers know a DBRef by this order."""
    return {b"$ref": 0, b"$id": 1, b"$db": 2}.get(key, 3)


def read_wrapper(value: dict[str, Json], *, form: Form = Form.JSONB) -> Element | None:
    """Read an object such as `{"$oid": …}`; None when the object is a document."""
    names = (key for key in value if key[:1] == "$" and key in WRAPPERS)
    name = next(names, None)
    if name is None:
        return None
    if name == "$bson":
        return _escaped(value) if len(value) == 1 else None
    if set(value) - {"$scope" if name == "$code" else name} - {name}:
        shown = ", ".join(sorted(value))[:80]
        raise ExtendedJsonError(f"{name} has other keys beside it: {shown}")
    try:
        return _code(value, form=form) if name == "$code" else _READERS[name](value[name])
    except (ValueError, TypeError, KeyError, StructError, AttributeError, OverflowError) as error:
        raise _malformed(name, value[name]) from error


def _malformed(name: str, value: Json) -> ExtendedJsonError:
    shown = json.dumps(value, ensure_ascii=False, default=lambda _: "…")
    return ExtendedJsonError(f"{name}: {shown[:80]} is not what Extended JSON has under {name}")


def _make_key_reader(form: Form) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        key = form.unescape(name)
        if "\0" in key:
            raise ExtendedJsonError(f"the key {key!r} holds a NUL, which BSON does not have")
        return key.encode()

    read_short = lru_cache(4096)(read)
    return lambda name: read_short(name) if len(name) <= SHORT else read(name)


SHORT = 64
"""Keys that are remembered are at most so long."""
_KEY_READERS = {form: _make_key_reader(form) for form in Form}


def _int(value: int) -> Element:
    try:
        return write_int(value)
    except StructError:
        pass
    try:
        return DOUBLE, pack_double(float(value))
    except OverflowError as error:
        raise ExtendedJsonError("an integral number is beyond the range of doubles") from error


def _text(value: Json) -> bytes:
    if not isinstance(value, str):
        raise TypeError(value)
    return value.encode()


def _only(value: Json, *keys: str) -> list[Json]:
    if not isinstance(value, dict) or set(value) != set(keys):
        raise TypeError(value)
    return [value[key] for key in keys]


def _object_id(value: Json) -> Element:
    if not re.fullmatch(r"[0-9a-fA-F]{24}", _text(value).decode()):
        raise ValueError(value)
    return OBJECT_ID, bytes.fromhex(str(value))


def _decimal_int(value: Json) -> int:
    if not re.fullmatch(r"-?[0-9]+", _text(value).decode()):
        raise ValueError(value)
    return int(str(value))


def _double(value: Json) -> Element:
    text = _text(value).decode()
    if text == "NaN":
        return DOUBLE, NAN
    if not re.fullmatch(r"-?(Infinity|[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?)", text):
        raise ValueError(value)
    return DOUBLE, pack_double(float(text))


def _binary(value: Json) -> Element:
    content, subtype = _only(value, "base64", "subType")
    code = _text(subtype).decode()
    if not re.fullmatch(r"[0-9a-fA-F]{1,2}", code):
        raise ValueError(value)
    return write_binary(int(code, 16), b64decode(_text(content), validate=True))


def _uuid(value: Json) -> Element:
    text = _text(value).decode()
    if not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text):
        raise ValueError(value)
    return write_binary(4, UUID(text).bytes)


def _code(value: dict[str, Json], *, form: Form) -> Element:
    code = _text(value["$code"])
    if "$scope" not in value:
        return CODE, write_string(code)
    scope = value["$scope"]
    if not isinstance(scope, dict):
        raise TypeError(scope)
    return write_code_with_scope(code, enclose(read_fields(scope, form=form)))


def _date(value: Json) -> Element:
    if isinstance(value, dict):
        return DATE, pack_int64(_decimal_int(_only(value, "$numberLong")[0]))
    moment = datetime.fromisoformat(_text(value).decode())
    if moment.tzinfo is None:
        raise ValueError(value)
    passed = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return DATE, pack_int64(
        (passed.days * 86_400 + passed.seconds) * 1000 + passed.microseconds // 1000
    )


def _timestamp(value: Json) -> Element:
    seconds, increment = _only(value, "t", "i")
    if (
        not isinstance(seconds, int)
        or not isinstance(increment, int)
        or not 0 <= seconds < 1 << 32
        or not 0 <= increment < 1 << 32
    ):
        raise ValueError(value)
    return TIMESTAMP, (seconds << 32 | increment).to_bytes(8, "little")


def _regex(value: Json) -> Element:
    parts = [_text(part) for part in _only(value, "pattern", "options")]
    if any(b"\0" in part for part in parts):
        raise ValueError(value)
    return REGEX, b"%b\0%b\0" % (parts[0], parts[1])


def _db_pointer(value: Json) -> Element:
    namespace, target = _only(value, "$ref", "$id")
    _, object_id = _object_id(*_only(target, "$oid"))
    return DB_POINTER, write_string(_text(namespace)) + object_id


def _escaped(value: dict[str, Json]) -> Element | None:
    """Read the one value of a `$bson` document with the empty key; None for any other document."""
    document = read_unnameable(value)
    found = list(elements(enclose(document)))
    if len(found) != 1 or found[0][1]:
        return None
    return found[0][0], document[2:]


def _constant(kind: int, expected: Json) -> Callable[[Json], Element]:
    def read(value: Json) -> Element:
        if value != expected or type(value) is not type(expected):
            raise ValueError(value)
        return kind, b""

    return read


_READERS: dict[str, Callable[[Json], Element]] = {
    "$oid": _object_id,
    "$numberInt": lambda value: (INT32, pack_int32(_decimal_int(value))),
    "$numberLong": lambda value: (INT64, pack_int64(_decimal_int(value))),
    "$numberDouble": _double,
    "$numberDecimal": lambda value: (DECIMAL, decimal128_bytes(_text(value).decode())),
    "$binary": _binary,
    "$uuid": _uuid,
    "$symbol": lambda value: (SYMBOL, write_string(_text(value))),
    "$date": _date,
    "$timestamp": _timestamp,
    "$regularExpression": _regex,
    "$dbPointer": _db_pointer,
    "$undefined": _constant(UNDEFINED, True),
    "$minKey": _constant(MIN_KEY, 1),
    "$maxKey": _constant(MAX_KEY, 1),
}


_APART = WRAPPERS | {"$scope", "$element", "$ref", "$id", "$db", "_id"}
_APART |= {f"${word}" for word in NOTE_WORDS}
"""Names that have a meaning in objects: they are never part of a run."""

_NO_NAMES: FieldNames = {}
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_VALUE = rb"(?:[\w.+-]++|" + _STRING + rb")"
# A value of up to three levels, of at most four items each. All quantifiers are possessive: the
# pattern never goes back, so a text of 16 MB is passed over in linear time.
for _ in range(3):
    _VALUE = rb"(?:%b|\{(?:,? ?%b: ?%b){0,4}+\}|\[(?:,? ?%b){0,4}+\])" % (
        _VALUE,
        _STRING,
        _VALUE,
        _VALUE,
    )
SOME_FIELDS = rb"(?:,? ?%b: ?%b){1,256}+" % (_STRING, _VALUE)
SOME_ITEMS = rb"(?:,? ?%b){1,256}+" % _VALUE
"""Fields or items that are read at a time: scalars and small containers.

They include every type wrapper but code with a large scope. They are compiled when the first text
is read, which takes 15 ms.
"""
_NAME = rb",? ?%b: ?" % _STRING
_COMMA = rb",? ?"
_compile = cache(re.compile)


def read_pieces(
    text: bytes,
    start: int,
    names: FieldNames,
    *,
    loads: Callable[[str], Any],
    check: Check,
    form: Form = Form.JSONB,
) -> Json:
    """Read the JSON value that PostgreSQL has written into `text` from `start` on.

    Objects become `Pieces`, arrays become BSON. `loads` reads some fields or items at a time;
    `check` is called with each value of which only the BSON is kept.
    """
    if text[start] in b"{[":
        return _PieceReader(text, start, loads, check, form).read(names)
    value: Json = loads(text[start:].decode())
    return value


class _PieceReader:
    """Reads containers from a position in a text on."""

    def __init__(
        self, text: bytes, start: int, loads: Callable[[str], Any], check: Check, form: Form
    ) -> None:
        self._text, self._p, self._loads, self._check = text, start, loads, check
        self._form = form

    def read(self, names: FieldNames, depth: int = 0) -> Json:
        """Read the object or array at the position."""
        self._p += 1
        if self._text[self._p - 1] == ord("["):
            return ARRAY, write_array(self._items(depth))
        pieces = Pieces()
        run: bytearray | None = None
        for name, value in self._fields(names, depth):
            if name in names or name in _APART:
                pieces[name], run = value, None
                continue
            self._check({name: value}, depth=depth)
            kind, data = read_value(value, form=self._form)
            if run is None:
                # The value of the first field goes on growing: later fields of the run join it.
                run = bytearray(data)
                pieces[name] = kind, cast(bytes, run)
            else:
                run += b"%c%b\0%b" % (kind, self._form.read_key(name), data)
        return pieces

    def _fields(self, names: FieldNames, depth: int) -> Iterator[tuple[str, Json]]:
        while True:
            piece = self._take(SOME_FIELDS)
            if piece:
                yield from self._loads(f"{{{piece}}}").items()
            elif self._text[self._p] == ord("}"):
                break
            else:
                name = self._loads(self._take(_NAME))
                yield name, self.read(names.get(name, _NO_NAMES), depth + 1)
        self._p += 1

    def _items(self, depth: int) -> Iterator[Element]:
        while True:
            piece = self._take(SOME_ITEMS)
            if not piece and self._text[self._p] == ord("]"):
                break
            self._take(_COMMA)
            if piece:
                items = self._loads(f"[{piece}]")
            else:
                items = [self.read(_NO_NAMES, depth + 1)]
            for item in items:
                self._check(item, depth=depth + 1)
                yield read_value(item, form=self._form)
        self._p += 1

    def _take(self, pattern: bytes) -> str:
        """Consume a match at the position, without commas and colons around it; empty for none."""
        match = _compile(pattern).match(self._text, self._p)
        if match is None:
            return ""
        self._p = match.end()
        return match[0].strip(b",: ").decode()
