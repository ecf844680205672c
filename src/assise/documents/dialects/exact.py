"""Any document of Extended JSON or of the shell to raw BSON, step by step, without recursion.

Its grammar is JSON and what JavaScript and the mongo shell have beside it: comments, single quotes,
names without quotes, trailing commas, patterns between slashes, constructors. Every value is
written once, into one buffer: a document of 16 MB needs no more memory than its text and its BSON.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from dataclasses import dataclass, field
from struct import error as StructError
from typing import NamedTuple

from assise.documents.dialects.rules import LARGEST, LEVELS, Guess, Rules
from assise.documents.dialects.shell import NAMED, call
from assise.documents.dialects.words import KEPT, TypedValue, pack_finite, read_words
from assise.documents.kinds import ARRAY, DOCUMENT, DOUBLE, REGEX, STRING
from assise.documents.writer import pack_int32, write_int, write_string
from assise.errors import ExtendedJsonError

GAP = rb"(?:[ \t\r\n]++|\xef\xbb\xbf|//[^\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/)*+"
"""White space, byte order marks and comments."""

_ESCAPE = rb"\\(?:[\"'\\/bfnrtv0]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})"
_DOUBLE_QUOTED = rb'"((?:[^"\\\x00-\x1f]++|%b)*+)"' % _ESCAPE
_SINGLE_QUOTED = rb"'((?:[^'\\\x00-\x1f]++|%b)*+)'" % _ESCAPE
_CLASS = rb"\[(?:[^\]\\\x00-\x1f]++|\\[^\x00-\x1f])*+\]"
_PATTERN = rb"/((?![*/])(?:[^/\\\[\x00-\x1f]++|\\[^\x00-\x1f]|%b)++)/([a-z]*+)" % _CLASS
_VALUE = re.compile(
    GAP
    + b"(?:%b)"
    % b"|".join(
        (
            rb"([{\[])",
            _DOUBLE_QUOTED,
            _SINGLE_QUOTED,
            rb"(-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?+([eE][-+]?[0-9]++)?+)(?![\w$.\x80-\xff])",
            rb"(?:new[ \t\r\n]++)?+([A-Za-z][\w.]*+)%b(\()" % GAP,
            rb"(-?[A-Za-z]++)(?![\w$.\x80-\xff])",
            _PATTERN,
        )
    )
)
OPEN, DOUBLE_QUOTED, SINGLE_QUOTED, NUMBER, FRACTION, POWER, NAME, CALL, WORD, PATTERN, OPTIONS = (
    range(1, 12)
)
_WRAPPED = re.compile(
    rb"\{[ \t\r\n]*+\"(\$(?:oid|date|number[A-Z][a-z]+))\"[ \t\r\n]*+:[ \t\r\n]*+"
    rb"\"([^\"\\\x00-\x1f]*+)\"[ \t\r\n]*+\}"
)
"""The common types, at once."""

_KEY = re.compile(
    rb"%b(?:%b|%b|([\w$\x80-\xff]++))%b:" % (GAP, _DOUBLE_QUOTED, _SINGLE_QUOTED, GAP)
)
_NEXT = re.compile(GAP + rb"([,}\])])")
_CLOSER = re.compile(GAP + rb"([}\])])")
_GAP = re.compile(GAP)
_PART_BYTES = 1 << 20
_PAIR = rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPES = re.compile(rb"((?:%b|\\u[0-9a-fA-F]{4}){1,256}+)|\\x([0-9a-fA-F]{2})|\\(.)" % _PAIR)
_CONTROLS = {
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
    b"0": b"\0",
}


def read_exactly(text: bytes, rules: Rules) -> bytes:
    """Read one document of UTF-8 text.

    Raises:
        ExtendedJsonError: the text is not one document, or one of over 16 MiB as BSON.

    >>> from assise.documents.dialects.rules import Version
    >>> read_exactly(b"{a: NumberInt(7)}", Rules(Version.V2)).hex()
    '0c0000001061000700000000'
    """
    _check_utf8(text)
    guesses = dict(rules.guesses)
    try:
        return _Parser(text, rules).read()
    except (ExtendedJsonError, StructError) as error:
        rules.guesses.clear()
        rules.guesses.update(guesses)
        if isinstance(error, ExtendedJsonError):
            raise
        raise ExtendedJsonError("a number that does not fit its type") from error


def _check_utf8(text: bytes) -> None:
    """Check a text part by part, as a string of Python may take four times its bytes."""
    if text.isascii():
        return
    decoder = getincrementaldecoder("utf-8")()
    for start in range(0, len(text), _PART_BYTES):
        try:
            decoder.decode(text[start : start + _PART_BYTES])
        except UnicodeDecodeError as error:
            raise ExtendedJsonError(f"not UTF-8 at about byte {start + error.start:,}") from error


@dataclass
class _Container:
    """A document, an array or a call whose end was not yet read.

    Its value begins at `start` of the buffer, its type byte is at `kind_at`. `fields` are those of
    a document that may make it a value.
    """

    closer: bytes
    kind_at: int
    start: int
    count: int = 0
    fields: dict[bytes, TypedValue] = field(default_factory=dict)
    key: bytes = b""
    name: bytes = b""
    arguments: list[TypedValue] = field(default_factory=list)
    is_typed: bool = False


class _Ended(NamedTuple):
    """A value that ends at the end of the buffer: where its type byte is, and where it begins."""

    kind_at: int
    start: int
    kind: int
    is_typed: bool = False
    digits: bytes = b""


class _Parser:
    def __init__(self, text: bytes, rules: Rules) -> None:
        self._text, self._rules, self._p = text, rules, 0
        self._out = bytearray(b"\0")
        self._open: list[_Container] = []

    def read(self) -> bytes:
        """Read the one document of the text."""
        gap = _GAP.match(self._text)
        if gap is None or not self._text.startswith(b"{", gap.end()):
            raise ExtendedJsonError("not a document")
        ended = self._begin_value(0)
        while self._open:
            ended = self._go_on(ended)
        gap = _GAP.match(self._text, self._p)
        if gap is None or gap.end() != len(self._text):
            raise self._broken("text after the document")
        if ended is None or ended.kind != DOCUMENT:
            raise ExtendedJsonError("a single value, not a document")
        return bytes(self._out[1:])

    def _go_on(self, ended: _Ended | None) -> _Ended | None:
        """Take one step: a value has ended in the innermost container, or this has just begun."""
        container = self._open[-1]
        if ended is not None:
            self._add(container, ended)
        pattern = _CLOSER if ended is None else _NEXT
        found = pattern.match(self._text, self._p)
        if found is None:
            if ended is not None:
                raise self._broken("no comma and no end")
        else:
            self._p = found.end()
            if found[1] == b",":
                found = _CLOSER.match(self._text, self._p)
                self._p = found.end() if found else self._p
            if found and found[1] != b",":
                if found[1] != container.closer:
                    raise self._broken(f"not {container.closer.decode()}", at=self._p - 1)
                self._open.pop()
                return self._close(container)
        return self._begin_value(self._begin_field(container))

    def _begin_field(self, container: _Container) -> int:
        """Write the key of the next value; returns where its type byte is."""
        kind_at = len(self._out)
        if container.closer == b"}":
            found = _KEY.match(self._text, self._p)
            if found is None:
                raise self._broken("not a key")
            self._p = found.end()
            key = found[3] if found[3] is not None else _content(found, 1)
            if b"\0" in key:
                raise self._broken("a key with a NUL, which BSON does not have")
            container.key = key
        else:
            key = b"%d" % container.count
        container.count += 1
        self._out += b"\0%b\0" % key
        return kind_at

    def _begin_value(self, kind_at: int) -> _Ended | None:
        """Read a scalar, or open what has values inside; None then."""
        out = self._out
        found = _VALUE.match(self._text, self._p)
        if found is None:
            raise self._broken("not a value")
        self._p, start = found.end(), len(out)
        which = found.lastindex or OPEN
        is_typed = False
        wrapped = _WRAPPED.match(self._text, found.start(OPEN)) if which == OPEN else None
        if wrapped is not None:
            self._p = wrapped.end()
            fields = {wrapped[1]: TypedValue(STRING, write_string(wrapped[2]))}
            read = read_words(fields, 1, self._rules)
            if read is not None:
                out[kind_at] = read.kind
                out += read.data
                return _Ended(kind_at, start, read.kind, is_typed=True)
            self._p = found.end()
        if which in {OPEN, CALL}:
            if len(self._open) >= LEVELS:
                raise ExtendedJsonError(f"more than {LEVELS} levels")
            bracket = found[which]
            closer = {b"{": b"}", b"[": b"]", b"(": b")"}[bracket]
            name = found[NAME] if which == CALL else b""
            self._open.append(_Container(closer, kind_at, start, name=name))
            out += b"\0\0\0\0" if which == OPEN else b""
            return None
        if which in {DOUBLE_QUOTED, SINGLE_QUOTED}:
            out[kind_at] = STRING
            out += write_string(_content(found, DOUBLE_QUOTED))
        elif which in {NUMBER, FRACTION, POWER}:
            out[kind_at], data = self._number(found)
            out += data
            return _Ended(kind_at, start, out[kind_at], digits=found[NUMBER])
        elif which == WORD:
            value = NAMED.get(found[WORD])
            if value is None:
                raise self._broken("not a value", at=found.start(WORD))
            out[kind_at] = value.kind
            out += value.data
        else:
            out[kind_at], is_typed = REGEX, True
            out += b"%b\0%b\0" % (found[PATTERN], found[OPTIONS])
        return _Ended(kind_at, start, out[kind_at], is_typed)

    def _number(self, found: re.Match[bytes]) -> tuple[int, bytes]:
        digits = found[NUMBER]
        if found[FRACTION] is not None or found[POWER] is not None:
            return DOUBLE, pack_finite(digits)
        guesses = self._rules.guesses
        if digits == b"-0":
            guesses[Guess.MINUS_ZERO] += self._open[-1].closer != b")"
            return DOUBLE, pack_finite(digits)
        if len(digits) < 21 and -(1 << 63) <= int(digits) < 1 << 63:
            return write_int(int(digits))
        guesses[Guess.BIG_INTEGER] += self._open[-1].closer != b")"
        return DOUBLE, pack_finite(digits)

    def _add(self, container: _Container, ended: _Ended) -> None:
        """Keep the value that has just ended, where the end of its container asks for it."""
        out = self._out
        if len(out) > LARGEST:
            raise _too_large()
        if container.closer == b")":
            container.arguments.append(self._value(ended))
            del out[ended.kind_at :]
        elif container.closer == b"}":
            if container.key in KEPT:
                container.fields[container.key] = self._value(ended)
            elif container.key in {b"t", b"i"}:
                container.is_typed |= ended.is_typed

    def _value(self, ended: _Ended) -> TypedValue:
        data = bytes(self._out[ended.start :])
        return TypedValue(ended.kind, data, ended.is_typed, ended.digits)

    def _close(self, container: _Container) -> _Ended:
        out, start, kind_at = self._out, container.start, container.kind_at
        value = None
        if container.closer == b")":
            value = call(container.name, container.arguments, self._rules)
        elif container.fields:
            value = read_words(container.fields, container.count, self._rules)
        if value is not None:
            out[kind_at] = value.kind
            out[start:] = value.data
            return _Ended(kind_at, start, value.kind, value.is_typed)
        kind = DOCUMENT if container.closer == b"}" else ARRAY
        out += b"\0"
        out[start : start + 4] = pack_int32(len(out) - start)
        out[kind_at] = kind
        return _Ended(kind_at, start, kind, container.is_typed)

    def _broken(self, what: str, at: int | None = None) -> ExtendedJsonError:
        at = self._p if at is None else at
        shown = self._text[at : at + 40].decode(errors="replace")
        return ExtendedJsonError(f"{what} at byte {at:,}: {shown or 'the end'}")


def _content(found: re.Match[bytes], group: int) -> bytes:
    """Return the content of the string that matched as this group, or the next one."""
    start, stop = found.span(group)
    if start < 0:
        start, stop = found.span(group + 1)
    text = found.string
    if text.find(b"\\", start, stop) < 0:
        if stop - start > LARGEST:
            raise _too_large()
        return text[start:stop]
    out = bytearray()
    for escape in _ESCAPES.finditer(text, start, stop):
        out += text[start : escape.start()]
        out += _escaped(escape)
        start = escape.end()
        if len(out) > LARGEST:
            raise _too_large()
    out += text[start:stop]
    return bytes(out)


def _too_large() -> ExtendedJsonError:
    return ExtendedJsonError(f"a document of over {LARGEST:,} bytes")


def _escaped(found: re.Match[bytes]) -> bytes:
    if found[3]:
        return _CONTROLS.get(found[3], found[3])
    if found[2]:
        return chr(int(found[2], 16)).encode()
    units = bytes.fromhex(found[1].decode().replace("\\u", ""))
    try:
        return units.decode("utf-16-be").encode()
    except UnicodeDecodeError as error:
        raise ExtendedJsonError("half a surrogate pair is not text") from error
