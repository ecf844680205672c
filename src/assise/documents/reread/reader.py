"""One document of text to raw BSON, step by step, without recursion."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from datetime import tzinfo
from functools import lru_cache
from typing import NamedTuple

from assise.documents.kinds import ARRAY, DOCUMENT, REGEX, STRING
from assise.documents.reread.calls import WORDS, call
from assise.documents.reread.grammar import SHELL, STRICT, Grammar
from assise.documents.reread.numbers import pack_int32, read_number
from assise.documents.reread.wrappers import (
    FIRST,
    HARD,
    INNER,
    LONGEST,
    Item,
    Number,
    Parts,
    read_typed,
    read_wrapper,
    value_of,
)
from assise.errors import ExtendedJsonError

LEVELS = 200
"""MongoDB's own limit; deeper documents are refused."""
LARGEST_BYTES = (16 << 20) + (16 << 10)
"""The largest document that the server writes."""

_PART_BYTES = 1 << 20
_ESCAPES = re.compile(rb"(?:\\u[0-9a-fA-F]{4})++|\\x..|\\.")
_QUOTES = frozenset([b'"', b"'"])
_CONTROLS = {
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
    b"0": b"\0",
}


class _NotJsonError(ExtendedJsonError):
    """Text that is not of the grammar that it was read by."""


class _Rules(NamedTuple):
    """What the values of a document are read by; `zone` is that of dates without an offset."""

    is_old: bool
    zone: tzinfo | None


def check_word(key: bytes) -> None:
    """Check that a key among others does not make its object a type wrapper."""
    if key in HARD:
        raise ExtendedJsonError(f"{key.decode()} with other keys")


class _Document:
    """A document whose end was not yet read; `key` is its name in what it stands in."""

    closer = b"}"
    keeps_numbers = False

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.body = bytearray()

    def meet_word(self, word: bytes) -> _Frame:
        """Return the frame of an object in which a key of FIRST has been met."""
        if not self.body:
            return _Wrapper(self.key)
        check_word(word)
        return self

    def add(self, key: bytes, item: Item) -> _Frame:
        kind, value = item if type(item) is tuple else value_of(item)
        self.body += b"%c%b\0%b" % (kind, key, value)
        return self

    def close(self, _: _Rules) -> Item:
        return DOCUMENT, self.enclose()

    def enclose(self) -> bytes:
        if len(self.body) > LARGEST_BYTES:
            raise ExtendedJsonError(f"a document over {LARGEST_BYTES} bytes")
        return b"".join((pack_int32(len(self.body) + 5), self.body, b"\0"))


class _Array(_Document):
    """An array whose end was not yet read."""

    closer = b"]"
    count = 0

    def add(self, _: bytes, item: Item) -> _Frame:
        number, self.count = self.count, self.count + 1
        return _Document.add(self, b"%d" % number, item)

    def close(self, _: _Rules) -> Item:
        return ARRAY, self.enclose()


class _Wrapper:
    """An object that begins as a type wrapper does, or one inside a type wrapper."""

    closer = b"}"
    keeps_numbers = True

    def __init__(self, key: bytes, *, is_inner: bool = False) -> None:
        self.key = key
        self.is_inner = is_inner
        self.fields: list[tuple[bytes, Item]] = []

    def meet_word(self, _: bytes) -> _Frame:
        return self

    def add(self, key: bytes, item: Item) -> _Frame:
        self.fields.append((key, item))
        if len(self.fields) <= LONGEST:
            return self
        if self.is_inner:
            raise ExtendedJsonError("an object in a type of Extended JSON with other keys")
        return self._as_document()

    def _as_document(self) -> _Document:
        document = _Document(self.key)
        for key, item in self.fields:
            check_word(key)
            document.add(key, item)
        return document

    def close(self, rules: _Rules) -> Item:
        parts = Parts(tuple(self.fields))
        if self.is_inner:
            return parts
        value = read_wrapper(parts, is_old=rules.is_old, zone=rules.zone)
        return self._as_document().close(rules) if value is None else value


class _Call:
    """A call of the shell whose end was not yet read."""

    closer = b")"
    keeps_numbers = True

    def __init__(self, key: bytes, name: bytes) -> None:
        self.key = key
        self.name = name
        self.items: list[Item] = []

    def meet_word(self, _: bytes) -> _Frame:
        return self

    def add(self, _: bytes, item: Item) -> _Frame:
        self.items.append(item)
        if len(self.items) > 3:
            raise ExtendedJsonError(f"too many arguments of {self.name.decode()}")
        return self

    def close(self, rules: _Rules) -> Item:
        return call(self.name, self.items, rules.zone)


_Frame = _Document | _Wrapper | _Call


def read_again(text: bytes, *, is_old: bool, zone: tzinfo | None = None) -> bytes:
    """Read one document of UTF-8 text, JSON or of the shell, to BSON.

    `is_old` is whether its file is Extended JSON of version 1.

    Raises:
        ExtendedJsonError: the text is not one document.

    >>> read_again(b'{"a": {"$numberInt": "7"}}', is_old=False).hex()
    '0c0000001061000700000000'
    """
    if not text.isascii():
        _check_utf8(text)
    rules = _Rules(is_old, zone)
    try:
        return _Reader(text, STRICT, rules).read()
    except _NotJsonError:
        return _Reader(text, SHELL, rules).read()


def _check_utf8(text: bytes) -> None:
    decoder = getincrementaldecoder("utf-8")()
    for start in range(0, len(text), _PART_BYTES):
        try:
            decoder.decode(text[start : start + _PART_BYTES])
        except UnicodeDecodeError as error:
            raise ExtendedJsonError(f"not UTF-8 near byte {start + error.start}") from error


class _Reader:
    """Reads one text; `outer` are the containers around the one that is read."""

    def __init__(self, text: bytes, grammar: Grammar, rules: _Rules) -> None:
        self.text = text
        self.grammar = grammar
        self.rules = rules
        self.outer: list[_Frame] = []

    def read(self) -> bytes:
        item, p = self._read_root(self._skip(0))
        kind, raw = value_of(item)
        if kind != DOCUMENT:
            raise ExtendedJsonError("a single value in place of a document")
        if self._skip(p) != len(self.text):
            raise _NotJsonError(f"text after the document, at byte {p}")
        return raw

    def _read_root(self, p: int) -> tuple[Item, int]:
        text, outer, steps = self.text, self.outer, self.grammar.steps
        has_trailing_commas = self.grammar.has_trailing_commas
        if text[p : p + 1] != b"{":
            raise _NotJsonError("not a document")
        frame: _Frame = _Document(b"")
        p, end = self._find_closer(p + 1)
        while True:
            while end:
                if end != frame.closer:
                    raise self._broken(p - 1)
                closed = frame.close(self.rules)
                if not outer:
                    return closed, p
                key, frame = frame.key, outer.pop()
                frame = frame.add(key, closed)
                p, end = self._follow(p)
            step = steps[frame.closer].match(text, p)
            if step is None:
                raise self._broken(p)
            key, string, number, fraction, word, end = step.group(1, 2, 3, 4, 5, 8)
            key, p = _read_key(key), step.end()
            if key in FIRST:
                frame = frame.meet_word(key)
            if not end:
                outer.append(frame)
                frame, (p, end) = self._open(step, key), self._find_closer(p)
                continue
            item: Item
            if string:
                content = string[1:-1] if b"\\" not in string else _read_string(string)
                item = STRING, pack_int32(len(content) + 1) + content + b"\0"
            elif number and frame.keeps_numbers:
                item = Number(number, not fraction)
            elif number:
                item = read_number(number, not fraction)
            else:
                item = WORDS[word] if word else self._read_pair(step)
            if type(frame) is _Document and type(item) is tuple:
                frame.body += b"%c%b\0%b" % (item[0], key, item[1])
            else:
                frame = frame.add(key, item)
            if end == b",":
                p, end = self._find_closer(p) if has_trailing_commas else (p, b"")

    def _read_pair(self, step: re.Match[bytes]) -> Item:
        one, other = step.group(6, 7)
        if self.grammar is SHELL:
            return REGEX, b"%b\0%b\0" % (one, other)
        return read_typed(one, other, self.rules.zone)

    def _skip(self, p: int) -> int:
        found = self.grammar.space.match(self.text, p)
        return found.end() if found else p

    def _find_closer(self, p: int) -> tuple[int, bytes]:
        """Return the bracket that stands here and the position after it, or the position."""
        found = self.grammar.closer.match(self.text, p)
        return (found.end(), found[1]) if found else (p, b"")

    def _follow(self, p: int) -> tuple[int, bytes]:
        found = self.grammar.follow.match(self.text, p)
        if found is None:
            raise self._broken(p)
        if found[1] != b",":
            return found.end(), found[1]
        return (
            self._find_closer(found.end())
            if self.grammar.has_trailing_commas
            else (found.end(), b"")
        )

    def _open(self, step: re.Match[bytes], key: bytes) -> _Frame:
        if len(self.outer) >= LEVELS:
            raise ExtendedJsonError(f"more than {LEVELS} levels")
        if step.lastgroup == "call":
            return _Call(key, step["call"])
        if step["open"] == b"[":
            return _Array(key)
        outer = self.outer[-1]
        is_inner = isinstance(outer, _Wrapper) and key in INNER
        is_inner |= isinstance(outer, _Call) and outer.name == b"Timestamp"
        return _Wrapper(key, is_inner=True) if is_inner else _Document(key)

    def _broken(self, p: int) -> _NotJsonError:
        shown = self.text[p : p + 40].decode(errors="replace")
        return _NotJsonError(f"not JSON at byte {p}: {shown or 'the end'}")


@lru_cache(1000)
def _read_key(text: bytes) -> bytes:
    if b"\\" not in text:
        return text[1:-1] if text[:1] in _QUOTES else text
    key = _read_string(text)
    if 0 in key:
        raise ExtendedJsonError("a NUL in a key")
    return key


def _read_string(text: bytes) -> bytes:
    """Return the content of a string with its quotes and with escapes."""
    return _ESCAPES.sub(_unescape, text[1:-1])


def _unescape(found: re.Match[bytes]) -> bytes:
    return _read_escape(found[0])


@lru_cache(1000)
def _read_escape(escape: bytes) -> bytes:
    match escape[1:2]:
        case b"u":
            return _read_utf16(escape.replace(b"\\u", b""))
        case b"x":
            return chr(int(escape[2:].decode(), base=16)).encode()
        case letter:
            return _CONTROLS.get(letter, letter)


def _read_utf16(digits: bytes) -> bytes:
    try:
        return bytes.fromhex(digits.decode()).decode("utf-16-be").encode()
    except UnicodeDecodeError as error:
        raise ExtendedJsonError("half a surrogate pair is not text") from error
