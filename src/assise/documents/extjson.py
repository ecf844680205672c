"""Extended JSON v2, written from raw BSON.

There are four dialects: canonical and relaxed as specified (mongodb/specifications,
source/extended-json), the jsonb form of `docs/decisions/0005-jsonb-form.md`, in which PostgreSQL's jsonb keeps
every value, and the text of a key. A value that a dialect cannot hold is written as
`{"$bson": "<base64 of the BSON document {"": value}>"}`.
"""

from __future__ import annotations

import re
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from json.encoder import encode_basestring
from math import copysign, isfinite

from assise.documents.kinds import ARRAY, CODE_WITH_SCOPE, DOCUMENT
from assise.documents.numbers import NAN, decimal128_text, plain_double
from assise.documents.reader import (
    OUTSIDE,
    SKIP,
    check_document,
    count_leaves,
    elements,
    find_repeated,
    invalid,
    key_end,
    open_document,
    read_binary,
    read_code_with_scope,
    read_double,
    read_int32,
    read_int64,
    read_string,
    repeated_keys,
)
from assise.documents.writer import enclose
from assise.errors import InvalidBsonError

LEVELS = 100
"""Levels of documents and arrays in one JSON value; deeper values are written as `$bson`."""

LARGE_BYTES = 1 << 20
"""`write_pieces` writes larger values in pieces."""
PIECE_CHARACTERS = 1 << 16

_LONG = {
    DOCUMENT: ("{", "}"),
    ARRAY: ("[", "]"),
    0x02: ("", ""),
    0x0D: ('{"$code":', "}"),
    0x0E: ('{"$symbol":', "}"),
}
"""The kinds that are written in pieces, with the text before and after each."""

Scalar = Callable[[bytes, int], tuple[str | None, int]]
"""Position -> text of the value there, None when JSON cannot hold it, and the next position."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_DATE_MS = 253402300799999

WORDS = (
    "oid symbol numberInt numberLong numberDouble numberDecimal binary type code scope timestamp"
    " regularExpression regex options dbPointer date minKey maxKey undefined uuid bson element"
).split()
WRAPPERS = frozenset(
    "$oid $symbol $numberInt $numberLong $numberDouble $numberDecimal $binary $uuid $code"
    " $timestamp $regularExpression $dbPointer $date $minKey $maxKey $undefined $bson".split()
)
"""Keys that mark an object of Extended JSON as a value of another kind than document."""

NOTE_WORDS = ("missing", "one", "nulled")
"""Words of ours that notes in `_extra` have since rules 2."""


@dataclass(frozen=True)
class Escapes:
    """How keys are told from words of Extended JSON and of ours: by one more `$`."""

    words: tuple[str, ...]

    @cached_property
    def _reserved(self) -> re.Pattern[str]:
        return re.compile(rf"\$+(?:{'|'.join(self.words)})")

    def escape(self, key: str) -> str:
        """Return a key with one more `$` before `$`s and a word.

        >>> ESCAPES.escape("$oid"), ESCAPES.escape("$ref"), ESCAPES.escape("oid")
        ('$$oid', '$ref', 'oid')
        """
        is_reserved = key[:1] == "$" and self._reserved.fullmatch(key)
        return "$" + key if is_reserved else key

    def unescape(self, key: str) -> str:
        """Return the document's key for an escaped one."""
        is_escaped = key[:2] == "$$" and self._reserved.fullmatch(key)
        return key[1:] if is_escaped else key


FIRST_ESCAPES = Escapes((*WORDS,))
ESCAPES = Escapes((*WORDS, *NOTE_WORDS))
"""Those of keys of kind any and of jsonb by rules 1; those of jsonb since rules 2."""


def escape_value(kind: int, value: bytes) -> str:
    """Return one value as `{"$bson": …}`."""
    document = enclose(b"%c\0%b" % (kind, value))
    return f'{{"$bson":"{b64encode(document).decode()}"}}'


def _quote(content: bytes) -> str | None:
    try:
        return encode_basestring(content.decode())
    except UnicodeDecodeError:
        return None


def _quote_without_nul(content: bytes) -> str | None:
    return None if b"\0" in content else _quote(content)


def _string(quote: Callable[[bytes], str | None], template: str = "%s") -> Scalar:
    def write(raw: bytes, p: int) -> tuple[str | None, int]:
        content, end = read_string(raw, p)
        text = quote(content)
        return (text if text is None else template % text), end

    return write


def _double(raw: bytes, p: int) -> tuple[str | None, int]:
    value: float = read_double(raw, p)[0]
    if value != value and raw[p : p + 8] != NAN:
        return None, p + 8
    if isfinite(value):
        text = repr(value)
    elif value != value:
        text = "NaN"
    else:
        text = "Infinity" if value > 0 else "-Infinity"
    return f'{{"$numberDouble":"{text}"}}', p + 8


def _relaxed_double(raw: bytes, p: int) -> tuple[str | None, int]:
    value: float = read_double(raw, p)[0]
    return (repr(value), p + 8) if isfinite(value) else _double(raw, p)


def _jsonb_double(raw: bytes, p: int) -> tuple[str | None, int]:
    value: float = read_double(raw, p)[0]
    if not isfinite(value) or (value == 0 and copysign(1, value) < 0):
        return _double(raw, p)
    text = plain_double(value)
    return (text, p + 8) if len(text) <= 25 else _double(raw, p)


def _binary(raw: bytes, p: int) -> tuple[str, int]:
    subtype, content, end = read_binary(raw, p)
    text = b64encode(content).decode()
    return f'{{"$binary":{{"base64":"{text}","subType":"{subtype:02x}"}}}}', end


def _bool(raw: bytes, p: int) -> tuple[str, int]:
    end = SKIP[0x08](raw, p)
    return ("true" if raw[p] else "false"), end


def _date(raw: bytes, p: int) -> tuple[str, int]:
    return f'{{"$date":{{"$numberLong":"{read_int64(raw, p)[0]}"}}}}', p + 8


def _iso_date(raw: bytes, p: int) -> tuple[str, int]:
    """Write a date from 1970 to 9999 as RFC 3339, with milliseconds only when it has some."""
    ms: int = read_int64(raw, p)[0]
    if not 0 <= ms <= _LAST_DATE_MS:
        return _date(raw, p)
    moment = (_EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None)
    text = moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds")
    return f'{{"$date":"{text}Z"}}', p + 8


def _regex(raw: bytes, p: int) -> tuple[str | None, int]:
    middle = raw.index(0, p)
    end = raw.index(0, middle + 1)
    pattern = _quote(raw[p:middle])
    options = _quote(raw[middle + 1 : end])
    if pattern is None or options is None:
        return None, end + 1
    return f'{{"$regularExpression":{{"pattern":{pattern},"options":{options}}}}}', end + 1


def _db_pointer(quote: Callable[[bytes], str | None]) -> Scalar:
    def write(raw: bytes, p: int) -> tuple[str | None, int]:
        namespace, end = read_string(raw, p)
        text = quote(namespace)
        if text is None:
            return None, end + 12
        target = raw[end : end + 12].hex()
        return f'{{"$dbPointer":{{"$ref":{text},"$id":{{"$oid":"{target}"}}}}}}', end + 12

    return write


def _timestamp(raw: bytes, p: int) -> tuple[str, int]:
    value = int.from_bytes(raw[p : p + 8], "little")
    seconds, increment = value >> 32, value & 0xFFFFFFFF
    return f'{{"$timestamp":{{"t":{seconds},"i":{increment}}}}}', p + 8


def _decimal(raw: bytes, p: int) -> tuple[str | None, int]:
    if p + 16 > len(raw):
        raise IndexError
    text = decimal128_text(raw[p : p + 16])
    return (text if text is None else f'{{"$numberDecimal":"{text}"}}'), p + 16


def _object_id(raw: bytes, p: int) -> tuple[str, int]:
    return f'{{"$oid":"{raw[p : p + 12].hex()}"}}', p + 12


def _constant(text: str) -> Scalar:
    return lambda _raw, p: (text, p)


def _int32(raw: bytes, p: int) -> tuple[str, int]:
    return str(read_int32(raw, p)[0]), p + 4


def _int64(raw: bytes, p: int) -> tuple[str, int]:
    return str(read_int64(raw, p)[0]), p + 8


def _shared(quote: Callable[[bytes], str | None]) -> dict[int, Scalar]:
    """Return the writers that all dialects share, but for how they quote strings."""
    return {
        0x02: _string(quote),
        0x05: _binary,
        0x06: _constant('{"$undefined":true}'),
        0x07: _object_id,
        0x08: _bool,
        0x0A: _constant("null"),
        0x0B: _regex,
        0x0C: _db_pointer(quote),
        0x0D: _string(quote, '{"$code":%s}'),
        0x0E: _string(quote, '{"$symbol":%s}'),
        0x11: _timestamp,
        0x13: _decimal,
        0xFF: _constant('{"$minKey":1}'),
        0x7F: _constant('{"$maxKey":1}'),
    }


@dataclass(frozen=True)
class Dialect:
    """The writers of scalars, of strings, and of keys that start with `$`.

    A writer of keys gives None for a key that JSON cannot name. A dialect that keeps the order of
    fields writes a document with such a key as one `$bson`.
    """

    scalars: Mapping[int, Scalar]
    quote: Callable[[bytes], str | None]
    escape_key: Callable[[str], str | None]
    keeps_order: bool = True


def _plain_key(key: str) -> str | None:
    return None if key in WRAPPERS else key


CANONICAL = Dialect(
    _shared(_quote)
    | {
        0x01: _double,
        0x09: _date,
        0x10: lambda raw, p: (f'{{"$numberInt":"{read_int32(raw, p)[0]}"}}', p + 4),
        0x12: lambda raw, p: (f'{{"$numberLong":"{read_int64(raw, p)[0]}"}}', p + 8),
    },
    _quote,
    _plain_key,
)
RELAXED = Dialect(
    _shared(_quote) | {0x01: _relaxed_double, 0x09: _iso_date, 0x10: _int32, 0x12: _int64},
    _quote,
    _plain_key,
)
JSONB = Dialect(
    _shared(_quote_without_nul)
    | {0x01: _jsonb_double, 0x09: _iso_date, 0x10: _int32, 0x12: _int64},
    _quote_without_nul,
    ESCAPES.escape,
    keeps_order=False,
)
FIRST_JSONB = replace(JSONB, escape_key=FIRST_ESCAPES.escape)
"""The jsonb form by rules 1."""

KEY = Dialect(
    _shared(_quote) | {0x01: _double, 0x09: _date, 0x10: _int32, 0x12: _int64},
    _quote,
    FIRST_ESCAPES.escape,
)
"""Canonical, but ints have no width: the text of an `_id` in a key of kind any."""


class JsonWriter:
    """Writes values of raw BSON as JSON text in one dialect.

    `leaves` counts the written scalars and empty containers.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.leaves = 0
        self._scalars = dialect.scalars
        self._quote = dialect.quote
        self._escape_key = dialect.escape_key
        self._keeps_order = dialect.keeps_order

    def value(self, kind: int, raw: bytes, p: int, depth: int = 0) -> tuple[str, int]:
        """Return the text of the value of type `kind` at `p`, and the position after it."""
        write = self._scalars.get(kind)
        if write is not None:
            text, end = write(raw, p)
            self.leaves += 1
            return (escape_value(kind, raw[p:end]) if text is None else text), end
        if kind == CODE_WITH_SCOPE:
            return self._code_with_scope(raw, p, depth)
        if depth >= LEVELS:
            return self.escaped(kind, raw, p)
        if kind == DOCUMENT:
            return self.document(raw, p, depth)
        return self._array(kind, raw, p, depth)

    def escaped(self, kind: int, raw: bytes, p: int) -> tuple[str, int]:
        """Write a value of any kind as `$bson`."""
        end = SKIP[kind](raw, p)
        text = self._bson(enclose(b"%c\0%b" % (kind, raw[p:end])))
        return f'{{"$bson":{text}}}', end

    def document(self, raw: bytes, p: int, depth: int = 0) -> tuple[str, int]:
        """Write a document; repeated keys and keys that JSON cannot name go under `$bson`."""
        last, leaves = open_document(raw, p), self.leaves
        parts: list[str] = []
        hashes = array("q")
        q = p + 4
        while q != last:
            end = key_end(raw, q, last)
            key = raw[q + 1 : end]
            name = self.key(key)
            if name is None:
                self.leaves = leaves
                return self._document_with_unnameable(raw, p, depth)
            kind = raw[q]
            text, q = self.value(kind, raw, end + 1, depth + 1)
            if q > last:
                raise InvalidBsonError("a value longer than its document", end)
            hashes.append(hash(key))
            add_part(parts, f"{name}:{text}")
        if find_repeated(hashes):
            self.leaves = leaves
            return self._document_with_unnameable(raw, p, depth)
        if not parts:
            self.leaves += 1
        return f"{{{','.join(parts)}}}", last + 1

    def key(self, key: bytes) -> str | None:
        """Return a key as JSON text, escaped and quoted; None when it is not UTF-8."""
        if key[:1] == b"$":
            try:
                name = self._escape_key(key.decode())
            except UnicodeDecodeError:
                return None
            return name if name is None else encode_basestring(name)
        return self._quote(key)

    def unnameable(self, raw: bytes, p: int) -> set[bytes]:
        """Return the keys of one level that JSON cannot name: repeated, or not UTF-8."""
        keys = (key for _, key, _, _ in elements(raw, p))
        return repeated_keys(raw, p) | {key for key in keys if self.key(key) is None}

    def unnameable_fields(self, raw: bytes, p: int, keys: Collection[bytes]) -> str:
        """Return the text under `$bson` for the fields with these keys: a BSON document of them."""
        body = [
            b"%c%b\0%b" % (kind, key, raw[at:end])
            for kind, key, at, end in elements(raw, p)
            if key in keys
        ]
        return self._bson(enclose(b"".join(body)))

    def _bson(self, document: bytes) -> str:
        """Return the text of a document under `$bson`, and count its leaves."""
        check_document(document)
        self.leaves += count_leaves(document)
        return f'"{b64encode(document).decode()}"'

    def _document_with_unnameable(self, raw: bytes, p: int, depth: int) -> tuple[str, int]:
        if self._keeps_order:
            return self.escaped(DOCUMENT, raw, p)
        keys = self.unnameable(raw, p)
        parts: list[str] = []
        for kind, key, at, _ in elements(raw, p):
            if key not in keys:
                text, _ = self.value(kind, raw, at, depth + 1)
                add_part(parts, f"{self.key(key)}:{text}")
        if keys:
            parts.append(f'"$bson":{self.unnameable_fields(raw, p, keys)}')
        return f"{{{','.join(parts)}}}", open_document(raw, p) + 1

    def _array(self, kind: int, raw: bytes, p: int, depth: int) -> tuple[str, int]:
        if kind != ARRAY:
            raise KeyError(kind)
        last, q = open_document(raw, p), p + 4
        parts: list[str] = []
        while q != last:
            end = key_end(raw, q, last)
            item = raw[q]
            text, q = self.value(item, raw, end + 1, depth + 1)
            if q > last:
                raise InvalidBsonError("a value longer than its array", end)
            add_part(parts, text)
        if not parts:
            self.leaves += 1
        return f"[{','.join(parts)}]", last + 1

    def _code_with_scope(self, raw: bytes, p: int, depth: int) -> tuple[str, int]:
        code, scope, end = read_code_with_scope(raw, p)
        text = self._quote(code)
        if (
            text is None
            or depth + 1 >= LEVELS
            or (self._keeps_order and self.unnameable(raw, scope))
        ):
            check_document(raw[scope:end])
            self.leaves += 1
            return escape_value(CODE_WITH_SCOPE, raw[p:end]), end
        leaves = self.leaves
        scope_text, _ = self.document(raw, scope, depth + 1)
        self.leaves = leaves + 1
        return f'{{"$code":{text},"$scope":{scope_text}}}', end


def add_part(parts: list[str], text: str) -> None:
    """Add a member of an object or array; the members are joined now and then to save memory."""
    parts.append(text)
    if len(parts) > 50_000:
        parts[:] = [",".join(parts)]


def write_json(raw: bytes, dialect: Dialect = CANONICAL) -> str:
    """Return a document as one line of JSON.

    Raises:
        InvalidBsonError: it is not BSON.

    >>> write_json(bytes.fromhex("0c0000001061000700000000"))
    '{"a":{"$numberInt":"7"}}'
    """
    try:
        text, end = JsonWriter(dialect).document(raw, 0)
    except (*OUTSIDE, ValueError) as error:
        raise invalid(error) from error
    if end != len(raw):
        raise InvalidBsonError("a document whose length is not its own", 0)
    return text


def write_pieces(raw: bytes) -> Iterator[str]:
    """Yield the text of `write_json` in the canonical dialect in pieces.

    16 MiB of control characters are 100 MB of JSON.
    """
    try:
        yield from _pieces(JsonWriter(CANONICAL), DOCUMENT, raw, 0, 0)
    except (*OUTSIDE, ValueError) as error:
        raise invalid(error) from error


def _pieces(writer: JsonWriter, kind: int, raw: bytes, p: int, depth: int) -> Iterator[str]:
    is_large = kind in _LONG and read_int32(raw, p)[0] > LARGE_BYTES
    if is_large and kind not in {DOCUMENT, ARRAY}:
        yield from _string_pieces(kind, raw, p)
    elif is_large and depth < LEVELS and not (kind == DOCUMENT and writer.unnameable(raw, p)):
        mark, end = _LONG[kind]
        for inner, key, at, _ in elements(raw, p):
            yield f"{mark}{writer.key(key)}:" if kind == DOCUMENT else mark
            yield from _pieces(writer, inner, raw, at, depth + 1)
            mark = ","
        yield end
    else:
        yield writer.value(kind, raw, p, depth)[0]


def _string_pieces(kind: int, raw: bytes, p: int) -> Iterator[str]:
    content, end = read_string(raw, p)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        yield escape_value(kind, raw[p:end])
        return
    del content
    before, after = _LONG[kind]
    yield f'{before}"'
    for start in range(0, len(text), PIECE_CHARACTERS):
        yield encode_basestring(text[start : start + PIECE_CHARACTERS])[1:-1]
    yield f'"{after}'


def decode_fields(text: str) -> bytes | None:
    """Return the BSON document that the text of a `$bson` key encodes, None when it is none."""
    try:
        document = b64decode(text, validate=True)
        check_document(document)
    except (ValueError, InvalidBsonError):
        return None
    return document
