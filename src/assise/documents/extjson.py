"""Extended JSON v2, written from raw BSON.

Dialects: canonical and relaxed as the specification has them (mongodb/specifications, source/extended-json), the jsonb form of
`docs/architecture.md`, in which PostgreSQL's jsonb keeps every value, and the text of a key. What a dialect cannot hold is
`{"$bson": "<base64 of the BSON document {"": value}>"}`.
"""

from __future__ import annotations

import re
from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
"""Levels of documents and arrays in one JSON value; what lies deeper is `$bson`."""

LARGE_BYTES = 1 << 20
"""Values that are larger are written in pieces."""
PIECE_CHARACTERS = 1 << 16

_LONG = {
    DOCUMENT: ("{", "}"),
    ARRAY: ("[", "]"),
    0x02: ("", ""),
    0x0D: ('{"$code":', "}"),
    0x0E: ('{"$symbol":', "}"),
}
"""The kinds that are written in pieces, and what stands before and behind them."""

Scalar = Callable[[bytes, int], tuple[str | None, int]]
"""Text of the value at a position and the position behind it; None when JSON cannot hold it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_DATE_MS = 253402300799999

WORDS = (
    "oid symbol numberInt numberLong numberDouble numberDecimal binary type code scope timestamp regularExpression regex options"
    " dbPointer date minKey maxKey undefined uuid bson element"
).split()
WRAPPERS = frozenset(
    "$oid $symbol $numberInt $numberLong $numberDouble $numberDecimal $binary $uuid $code $timestamp $regularExpression"
    " $dbPointer $date $minKey $maxKey $undefined $bson".split()
)
"""Keys that make an object of Extended JSON something else than a document."""

_ESCAPED = re.compile(rf"\$+(?:{'|'.join(WORDS)})")


def escape_key(key: str) -> str:
    """A key in the jsonb form: `$`s and a word of Extended JSON get one more `$`.

    >>> escape_key("$oid"), escape_key("$ref"), escape_key("oid")
    ('$$oid', '$ref', 'oid')
    """
    return "$" + key if key[:1] == "$" and _ESCAPED.fullmatch(key) else key


def unescape_key(key: str) -> str:
    """The user's key behind a key of the jsonb form."""
    return key[1:] if key[:2] == "$$" and _ESCAPED.fullmatch(key) else key


def escape_value(kind: int, value: bytes) -> str:
    """`{"$bson": …}` of one value."""
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
    text = (
        repr(value)
        if isfinite(value)
        else "NaN"
        if value != value
        else "Infinity"
        if value > 0
        else "-Infinity"
    )
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
    return (
        f'{{"$binary":{{"base64":"{b64encode(content).decode()}","subType":"{subtype:02x}"}}}}',
        end,
    )


def _bool(raw: bytes, p: int) -> tuple[str, int]:
    end = SKIP[0x08](raw, p)
    return ("true" if raw[p] else "false"), end


def _date(raw: bytes, p: int) -> tuple[str, int]:
    return f'{{"$date":{{"$numberLong":"{read_int64(raw, p)[0]}"}}}}', p + 8


def _iso_date(raw: bytes, p: int) -> tuple[str, int]:
    """From 1970 to 9999 as RFC 3339, with milliseconds only when there are some."""
    ms: int = read_int64(raw, p)[0]
    if not 0 <= ms <= _LAST_DATE_MS:
        return _date(raw, p)
    moment = (_EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None)
    return (
        f'{{"$date":"{moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds")}Z"}}',
        p + 8,
    )


def _regex(raw: bytes, p: int) -> tuple[str | None, int]:
    middle = raw.index(0, p)
    end = raw.index(0, middle + 1)
    pattern, options = _quote(raw[p:middle]), _quote(raw[middle + 1 : end])
    if pattern is None or options is None:
        return None, end + 1
    return f'{{"$regularExpression":{{"pattern":{pattern},"options":{options}}}}}', end + 1


def _db_pointer(quote: Callable[[bytes], str | None]) -> Scalar:
    def write(raw: bytes, p: int) -> tuple[str | None, int]:
        namespace, end = read_string(raw, p)
        text = quote(namespace)
        if text is None:
            return None, end + 12
        return (
            f'{{"$dbPointer":{{"$ref":{text},"$id":{{"$oid":"{raw[end : end + 12].hex()}"}}}}}}',
            end + 12,
        )

    return write


def _timestamp(raw: bytes, p: int) -> tuple[str, int]:
    value = int.from_bytes(raw[p : p + 8], "little")
    return f'{{"$timestamp":{{"t":{value >> 32},"i":{value & 0xFFFFFFFF}}}}}', p + 8


def _decimal(raw: bytes, p: int) -> tuple[str | None, int]:
    if p + 16 > len(raw):
        raise IndexError
    text = decimal128_text(raw[p : p + 16])
    return (text if text is None else f'{{"$numberDecimal":"{text}"}}'), p + 16


def _constant(text: str) -> Scalar:
    return lambda _raw, p: (text, p)


def _int32(raw: bytes, p: int) -> tuple[str, int]:
    return str(read_int32(raw, p)[0]), p + 4


def _int64(raw: bytes, p: int) -> tuple[str, int]:
    return str(read_int64(raw, p)[0]), p + 8


def _shared(quote: Callable[[bytes], str | None]) -> dict[int, Scalar]:
    """What all dialects write alike, up to how they quote strings."""
    return {
        0x02: _string(quote),
        0x05: _binary,
        0x06: _constant('{"$undefined":true}'),
        0x07: lambda raw, p: (f'{{"$oid":"{raw[p : p + 12].hex()}"}}', p + 12),
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
    """How scalars and strings are written, and a key that starts with `$`: None when JSON cannot name it.

    Where the order of fields is kept, a document with a key that JSON cannot name is `$bson` as a whole.
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
    escape_key,
    keeps_order=False,
)
KEY = Dialect(
    _shared(_quote) | {0x01: _double, 0x09: _date, 0x10: _int32, 0x12: _int64}, _quote, escape_key
)
"""Canonical, with ints without width: the text of an `_id` in a key of kind any."""


class JsonWriter:
    """Writes values of raw BSON as JSON text in one dialect.

    `leaves` counts what was written: scalars, and containers that are empty.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.leaves = 0
        self._scalars = dialect.scalars
        self._quote = dialect.quote
        self._escape_key = dialect.escape_key
        self._keeps_order = dialect.keeps_order

    def value(self, kind: int, raw: bytes, p: int, depth: int = 0) -> tuple[str, int]:
        """The text of the value of type `kind` at `p`, and the position behind it."""
        write = self._scalars.get(kind)
        if write is not None:
            text, end = write(raw, p)
            self.leaves += 1
            return (text, end) if text is not None else (escape_value(kind, raw[p:end]), end)
        if kind == CODE_WITH_SCOPE:
            return self._code_with_scope(raw, p, depth)
        if depth >= LEVELS:
            return self.escaped(kind, raw, p)
        return (
            self.document(raw, p, depth) if kind == DOCUMENT else self._array(kind, raw, p, depth)
        )

    def escaped(self, kind: int, raw: bytes, p: int) -> tuple[str, int]:
        """A value as `$bson`, whatever it is."""
        end = SKIP[kind](raw, p)
        text = self._bson(enclose(b"%c\0%b" % (kind, raw[p:end])))
        return f'{{"$bson":{text}}}', end

    def document(self, raw: bytes, p: int, depth: int = 0) -> tuple[str, int]:
        """A document; repeated keys and keys that JSON cannot name stand under `$bson`."""
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
            text, q = self.value(raw[q], raw, end + 1, depth + 1)
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
        """A key as JSON text, escaped and quoted; None when it is not UTF-8."""
        if key[:1] == b"$":
            try:
                name = self._escape_key(key.decode())
            except UnicodeDecodeError:
                return None
            return name if name is None else encode_basestring(name)
        return self._quote(key)

    def unnameable(self, raw: bytes, p: int) -> set[bytes]:
        """The keys of one level that JSON cannot name: repeated, or not UTF-8."""
        return repeated_keys(raw, p) | {
            key for _, key, _, _ in elements(raw, p) if self.key(key) is None
        }

    def unnameable_fields(self, raw: bytes, p: int, keys: Collection[bytes]) -> str:
        """The text that stands under `$bson` for the fields with these keys: the BSON document of them, in their order."""
        body = [
            b"%c%b\0%b" % (kind, key, raw[at:end])
            for kind, key, at, end in elements(raw, p)
            if key in keys
        ]
        return self._bson(enclose(b"".join(body)))

    def _bson(self, document: bytes) -> str:
        """The text of a document under `$bson`, whose leaves are counted."""
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
                add_part(parts, f"{self.key(key)}:{self.value(kind, raw, at, depth + 1)[0]}")
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
            text, q = self.value(raw[q], raw, end + 1, depth + 1)
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
    """Add a member of an object or array to the others, which are joined now and then: a million of them take little memory."""
    parts.append(text)
    if len(parts) > 50_000:
        parts[:] = [",".join(parts)]


def write_json(raw: bytes, dialect: Dialect = CANONICAL) -> str:
    """A document as one line of JSON.

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
    """What `write_json` gives in the canonical dialect, in pieces: 16 MiB of control characters are 100 MB of JSON."""
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
    front, back = _LONG[kind]
    yield f'{front}"'
    for start in range(0, len(text), PIECE_CHARACTERS):
        yield encode_basestring(text[start : start + PIECE_CHARACTERS])[1:-1]
    yield f'"{back}'


def decode_fields(text: str) -> bytes | None:
    """The BSON document behind the text of a `$bson` key, or None when it is none."""
    try:
        document = b64decode(text, validate=True)
        check_document(document)
    except (ValueError, InvalidBsonError):
        return None
    return document
