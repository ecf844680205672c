"""Shapes: how the documents of a collection look, and a regular expression that reads all of them.

In BSON the type byte and the key name an element, and its length is fixed, stands in front of the
value, or ends at a NUL. A pattern that names types and keys in order, and takes a string up to its
first NUL, is thus a parse of a document, the only one there is, as soon as every length that it
passed is the length that it matched. `Shape.parse` checks them all. A document that does not match
is not wrong: it looks different, and its reader takes it element by element.

Fingerprints and the profiles of `infer` read documents in this way. A shape knows BSON and nothing
of profiles; so it stands here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress, repeat
from struct import unpack
from typing import ClassVar, TypeVar, cast

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
    NULL,
    OBJECT_ID,
    REGEX,
    STRING,
    SYMBOL,
    TIMESTAMP,
    UNDEFINED,
)
from assise.documents.reader import NOT_BSON, SKIP, elements, is_utf8

KeyPath = tuple[bytes, ...]
"""The keys that lead to a value."""

SlotValue = bytes | None
"""The bytes of a value; None where it is missing."""

_Match = Callable[[bytes, int], re.Match[bytes] | None]

_STRING = rb"....[^\0]*+\0"
_PATTERNS = {
    DOUBLE: rb".{8}",
    STRING: _STRING,
    UNDEFINED: b"",
    OBJECT_ID: rb".{12}",
    BOOL: rb"[\0\1]",
    DATE: rb".{8}",
    NULL: b"",
    REGEX: rb"[^\0]*+\0[^\0]*+\0",
    DB_POINTER: _STRING + rb".{12}",
    CODE: _STRING,
    SYMBOL: _STRING,
    INT32: rb"....",
    TIMESTAMP: rb".{8}",
    INT64: rb".{8}",
    DECIMAL: rb".{16}",
    MIN_KEY: b"",
    MAX_KEY: b"",
}
_BEHIND_LENGTH = {STRING: 4, CODE: 4, SYMBOL: 4, DB_POINTER: 16}
"""Bytes of a value that its length does not count."""

_Bytes = TypeVar("_Bytes", bound=bytes)


@dataclass(frozen=True)
class Slot:
    """A value that documents of a shape may have: the keys that lead to it, and its type byte."""

    path: KeyPath
    kind: int


@dataclass(frozen=True)
class Parsed:
    """Documents read by a shape: their positions among those given, and the values of each slot.

    The value of a container is all of it; what lies in arrays and in documents that are not inlined
    is unchecked.
    """

    hits: list[int]
    columns: list[Sequence[SlotValue]]


@dataclass(frozen=True)
class _Step:
    """A pattern, and behind it one key whose value is passed over by its length.

    There is a slot for each kind it may be. Where `inner` steps are given, the first kind is a
    document that they read.
    """

    pattern: bytes
    kinds: tuple[int, ...] = ()
    inner: tuple[_Step, ...] = ()
    inner_slots: int = 0

    @cached_property
    def match(self) -> _Match:
        """The pattern, compiled."""
        return re.compile(b"(?s)" + self.pattern).match

    @cached_property
    def match_all(self) -> _Match:
        """The pattern with the terminator of the document behind it, which must be the end."""
        return re.compile(b"(?s)%b\\0" % self.pattern).fullmatch


class Shape:
    """The shape of a sample of documents: keys in order, each with the kinds that its values have.

    Args:
        documents: those that the sample is taken from. What is not BSON, and keys that are not
            UTF-8, are no part of the shape.
        inlined: whether the documents at a path are read with their parents, each of their values a
            slot of its own; otherwise they, like arrays, are one value. Those whose keys are data
            are one value, too; `Shape.inlined` are the others.
    """

    MIN_GROUP: ClassVar[int] = 16
    """Documents for which it is worth while to learn a shape; 0 for never."""

    LARGEST_BYTES: ClassVar[int] = 1 << 16
    """Larger documents are better read one by one: of those that are parsed together all values
    are in memory."""

    GROUP: ClassVar[int] = 2_000
    """Documents that are parsed together."""

    SAMPLE: ClassVar[int] = 200
    """Documents that a shape is learnt from, at most."""

    RARE: ClassVar[int] = 50
    """What fewer than one in 50 documents of a sample have does not belong to its shape."""

    def __init__(self, documents: Sequence[bytes], inlined: Callable[[KeyPath], bool]) -> None:
        top = _Level()
        for raw in documents[:: len(documents) // self.SAMPLE + 1]:
            with suppress(*NOT_BSON):
                top.learn(raw, 0, (), inlined)
        self.slots: list[Slot] = []
        self.inlined: set[KeyPath] = set()
        self._sized: list[tuple[int, int]] = []
        self._steps = self._compile(top, ())

    def parse(self, documents: Sequence[bytes]) -> Parsed:
        """Read those of the documents that have this shape."""
        if len(self._steps) == 1:
            found: list[Sequence[SlotValue] | None] = [
                match and match.groups()
                for match in map(self._steps[0].match_all, documents, repeat(4))
            ]
        else:
            found = [self._read(raw) for raw in documents]
        hits = [i for i, values in enumerate(found) if values is not None]
        taken = documents if len(hits) == len(documents) else [documents[i] for i in hits]
        matched = [values for values in found if values is not None]
        columns: list[Sequence[SlotValue]] = list(zip(*matched, strict=True))
        columns = columns or [()] * len(self.slots)
        wrong = set(_find_wrong(taken, 0))
        for slot, behind in self._sized:
            wrong.update(_find_wrong(columns[slot], behind))
        if wrong:
            right = [i not in wrong for i in range(len(hits))]
            hits = list(compress(hits, right))
            columns = [list(compress(column, right)) for column in columns]
        return Parsed(hits, columns)

    def _read(self, raw: bytes) -> Sequence[SlotValue] | None:
        values: list[SlotValue] = []
        try:
            is_read = _run(self._steps, raw, 4, values) == len(raw) - 1
        except NOT_BSON:
            return None
        return values if is_read and not raw[-1] else None

    def _compile(self, level: _Level, path: KeyPath) -> tuple[_Step, ...]:
        """The steps that read one level; slots are numbered in the order of their values."""
        steps: list[_Step] = []
        pattern = b""
        for key, kinds in level.common():
            here, name = (*path, key), re.escape(key)
            parts = []
            for kind in kinds:
                if kind in _PATTERNS:
                    self._add_slot(here, kind)
                    parts.append(b"%b%b\0(%b)" % (re.escape(b"%c" % kind), name, _PATTERNS[kind]))
            passed = [kind for kind in kinds if kind not in _PATTERNS]
            inner: tuple[_Step, ...] = ()
            slots = len(self.slots) + 1
            if DOCUMENT in kinds and key in level.inner and level.inner[key].is_common():
                passed.remove(DOCUMENT)
                document = self._add_slot(here, DOCUMENT)
                self.inlined.add(here)
                inner = self._compile(level.inner[key], here)
                if len(inner) == 1:
                    self._sized.append((document, 0))
                    parts.append(b"\\x03%b\0(....%b\0)" % (name, inner[0].pattern))
                    inner = ()
                else:
                    passed.insert(0, DOCUMENT)
            inner_slots = len(self.slots) - slots if inner else 0
            for kind in passed[bool(inner) :]:
                self._add_slot(here, kind)
            if passed:
                parts.append(
                    b"([%b])%b\0" % (b"".join([re.escape(b"%c" % kind) for kind in passed]), name)
                )
            pattern += b"(?:%b)?+" % b"|".join(parts)
            if passed:
                steps.append(_Step(pattern, tuple(passed), inner, inner_slots))
                pattern = b""
        return (*steps, _Step(pattern))

    def _add_slot(self, path: KeyPath, kind: int) -> int:
        slot = len(self.slots)
        self.slots.append(Slot(path, kind))
        if kind in _BEHIND_LENGTH:
            self._sized.append((slot, _BEHIND_LENGTH[kind]))
        return slot


@dataclass
class _Level:
    """The keys of the documents at one path: counts of their kinds, and which follows which."""

    documents: int = 0
    kinds: dict[bytes, Counter[int]] = field(default_factory=dict)
    behind: dict[bytes, Counter[bytes]] = field(default_factory=dict)
    inner: dict[bytes, _Level] = field(default_factory=dict)

    def learn(
        self, raw: bytes, start: int, path: KeyPath, inlined: Callable[[KeyPath], bool]
    ) -> None:
        self.documents += 1
        before: bytes | None = None
        for kind, key, p, _ in elements(raw, start):
            self.kinds.setdefault(key, Counter())[kind] += 1
            if before is not None:
                self.behind.setdefault(before, Counter())[key] += 1
            before = key
            if kind == DOCUMENT and inlined((*path, key)):
                self.inner.setdefault(key, _Level()).learn(raw, p, (*path, key), inlined)

    def common(self) -> Iterator[tuple[bytes, list[int]]]:
        """Keys that are UTF-8, with those of their kinds that are not rare."""
        for key in self._ordered():
            kinds = [
                kind
                for kind, count in self.kinds[key].items()
                if count * Shape.RARE >= self.documents
            ]
            if kinds and is_utf8(key):
                yield key, kinds

    def is_common(self) -> bool:
        """Whether nearly all fields are under keys that are not rare: those of a map are data."""
        fields = sum(kinds.total() for kinds in self.kinds.values())
        common = sum(self.kinds[key][kind] for key, kinds in self.common() for kind in kinds)
        return 10 * common >= 9 * fields

    def _ordered(self) -> Iterator[bytes]:
        """The keys in the order in which most documents have them.

        Next is always the key that the fewest others should precede.
        """
        weights = dict.fromkeys(self.kinds, 0)
        for keys in self.behind.values():
            for key, count in keys.items():
                weights[key] += count
        while weights:
            key = min(weights, key=weights.__getitem__)
            del weights[key]
            yield key
            for other in self.behind.get(key, Counter()).keys() & weights.keys():
                weights[other] -= self.behind[key][other]


def _run(steps: tuple[_Step, ...], raw: bytes, p: int, values: list[SlotValue]) -> int:
    """Read one level; gives the position of its terminator, or -1 when it looks different."""
    for step in steps:
        match = step.match(raw, p)
        if match is None:
            return -1
        p, groups = match.end(), match.groups()
        if not step.kinds:
            values.extend(groups)
            continue
        values.extend(groups[:-1])
        tag: bytes | None = groups[-1]
        kind = tag[0] if tag else -1
        end = SKIP[kind](raw, p) if tag else p
        kinds = step.kinds
        if step.inner:
            kinds = kinds[1:]
            if kind == DOCUMENT:
                values.append(raw[p:end])
                if _run(step.inner, raw, p + 4, values) != end - 1:
                    return -1
            else:
                values.extend([None] * (step.inner_slots + 1))
        values.extend([raw[p:end] if kind == other else None for other in kinds])
        p = end
    return p


def find_values(column: Sequence[_Bytes | None]) -> Sequence[_Bytes]:
    """The values of a slot that are not missing."""
    if all(column):
        return cast(Sequence[_Bytes], column)
    return [value for value in column if value is not None]


def _find_wrong(column: Sequence[SlotValue], behind: int) -> list[int]:
    """Positions of values whose length in front is not the one that was matched."""
    found = find_values(column)
    fronts = b"".join([value[:4] for value in found])
    if len(fronts) == 4 * len(found):
        lengths = unpack(f"<{len(found)}i", fronts)
        if [length + behind for length in lengths] == list(map(len, found)):
            return []
    return [
        i for i, value in enumerate(column) if value is not None and not _is_right(value, behind)
    ]


def _is_right(value: bytes, behind: int) -> bool:
    return int.from_bytes(value[:4], "little", signed=True) == len(value) - behind
