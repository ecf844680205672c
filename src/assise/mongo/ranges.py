"""Ranges of `_id`: filters that match each document of a collection, and each in one of them.

MongoDB compares values of all types, and sorts them by their bracket first; but `$lt` and `$gte`
see only values of the bracket of their operand (MongoDB's manual: "Comparison/Sort Order", "Type
Bracketing"). So each bracket has ranges of its own. NaN is below all numbers, and no `$lt` matches
it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from assise.documents.kinds import (
    ARRAY,
    BINARY,
    BOOL,
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
    NULL,
    OBJECT_ID,
    REGEX,
    STRING,
    SYMBOL,
    TIMESTAMP,
    UNDEFINED,
)
from assise.documents.reader import elements, read_int32
from assise.documents.writer import enclose

RawId = tuple[int, bytes]
"""The `_id` of a document: its type byte and its value."""

MISSING = 0
"""Stands for the type byte where a document has no `_id`."""

BRACKETS: tuple[tuple[int, ...], ...] = (
    (MIN_KEY,),
    (MISSING,),
    (UNDEFINED,),
    (NULL,),
    (DOUBLE, INT32, INT64, DECIMAL),
    (STRING, SYMBOL),
    (DOCUMENT,),
    (ARRAY,),
    (BINARY,),
    (OBJECT_ID,),
    (BOOL,),
    (DATE,),
    (TIMESTAMP,),
    (REGEX,),
    (DB_POINTER,),
    (CODE,),
    (CODE_WITH_SCOPE,),
    (MAX_KEY,),
)
"""The type bytes of each bracket, in MongoDB's order."""

SPAN = 1 << 32
"""Offsets of a range that was planned first; more documents than it may have."""

EVERYTHING = b"\5\0\0\0\0"
"""The filter that matches all documents."""

_DIVIDED = {DOUBLE, STRING, DOCUMENT, BINARY, OBJECT_ID, DATE, TIMESTAMP}
"""The first type of each bracket with values enough to be divided."""

NOT_EVERYWHERE = {UNDEFINED, DB_POINTER, CODE, CODE_WITH_SCOPE}
"""Types that a server may not know: most are deprecated (MongoDB's manual: "BSON Types")."""

_BRACKET_OF = {kind: number for number, kinds in enumerate(BRACKETS) for kind in kinds}
_SIGNED = {MIN_KEY: -1}
_NAN = struct.pack("<d", float("nan"))


@dataclass(frozen=True)
class Range:
    """Documents that `filter` (raw BSON) matches; their offsets are from `start` to `stop`."""

    start: int
    stop: int
    filter: bytes


def number_ranges(filters: Iterable[bytes]) -> list[Range]:
    """Return ranges with offsets of their own."""
    return [Range(n * SPAN, (n + 1) * SPAN, each) for n, each in enumerate(filters)]


def split_range(outer: Range, filters: list[bytes]) -> list[Range]:
    """Return the ranges that take the place of a larger one, within its offsets."""
    width = (outer.stop - outer.start) // len(filters)
    starts = [outer.start + n * width for n in range(len(filters))]
    stops = [*starts[1:], outer.stop]
    return [Range(*each) for each in zip(starts, stops, filters, strict=True)]


def read_id(raw: bytes, start: int = 0) -> RawId:
    """Return the `_id` of a document that has no other field."""
    stop = start + struct.unpack_from("<i", raw, start)[0]
    return (raw[start + 4], raw[start + 9 : stop - 1]) if stop - start > 5 else (MISSING, b"")


def read_ids(batch: bytes, every: int) -> Iterator[tuple[RawId, int]]:
    """Yield ids of documents that follow one another, each with the number up to the next one.

    Where all are of one type and length, one in `every` documents is read.
    """
    size = struct.unpack_from("<i", batch)[0] if batch else 1
    count, rest = divmod(len(batch), size)
    is_alike = not rest and all(batch[n::size] == batch[n : n + 1] * count for n in range(9))
    p, stop = 0, len(batch)
    while p < stop:
        taken = min(every, (stop - p) // size) if is_alike else 1
        yield read_id(batch, p), taken
        p += taken * (size if is_alike else struct.unpack_from("<i", batch, p)[0])


def bracket_of(kind: int) -> tuple[int, ...]:
    """Return the bracket of a type."""
    return BRACKETS[_BRACKET_OF[kind]]


def brackets_between(first: int, last: int) -> Iterator[tuple[int, ...]]:
    """Yield the brackets that lie between those of two types, in MongoDB's order."""
    yield from BRACKETS[_BRACKET_OF[first] + 1 : _BRACKET_OF[last]]


def match_bracket(kinds: Iterable[int]) -> bytes:
    """Return the filter that matches every `_id` of one bracket."""
    types = [kind for kind in kinds if kind != MISSING]
    if STRING in types:
        return _on_id(_element(STRING, "$gte", b"\1\0\0\0\0"))
    if not types:
        return _on_id(_element(BOOL, "$exists", b"\0"))
    numbers = [(INT32, struct.pack("<i", _SIGNED.get(kind, kind))) for kind in types]
    items = [_element(kind, str(n), value) for n, (kind, value) in enumerate(numbers)]
    return _on_id(_element(ARRAY, "$type", enclose(b"".join(items))))


def find_bracket(condition: bytes) -> tuple[int, ...] | None:
    """Return the bracket whose `_id`s the filter of a range matches; None if it matches all."""
    for kind, key, p, end in elements(condition):
        if key == b"_id":
            return _bracket_of_condition(kind, condition[p:end])
        if key == b"$and":
            parts = (condition[q:stop] for _, _, q, stop in elements(condition, p))
            return next(filter(None, map(find_bracket, parts)), None)
    return None


def _bracket_of_condition(kind: int, value: bytes) -> tuple[int, ...]:
    if kind != DOCUMENT:
        return bracket_of(kind)
    operand, operator, p, end = next(elements(value))
    if operator == b"$exists":
        return bracket_of(MISSING)
    if operator == b"$type":
        # $gte and $lt have a value of the bracket, $type has numbers of types.
        _, _, first, _ = next(elements(value[p:end]))
        number: int = read_int32(value[p:end], first)[0]
        return bracket_of(number & 0xFF)
    return bracket_of(operand)


def both(one: bytes, other: bytes) -> bytes:
    """Return the filter that matches what two filters match."""
    if EVERYTHING in {one, other}:
        return one if other == EVERYTHING else other
    parts = _element(DOCUMENT, "0", one) + _element(DOCUMENT, "1", other)
    return enclose(_element(ARRAY, "$and", enclose(parts)))


def divide(
    ids: Iterable[tuple[RawId, int]], step: int, brackets: Iterable[tuple[int, ...]] = ()
) -> list[bytes]:
    """Return filters that match each document, and each document in one filter only.

    `ids` are `_id`s in MongoDB's order, with a weight: a range ends where it has a weight of `step`.
    They may be a sample; `brackets` are those of which it has none.
    """
    found = {kinds: _Bracket(kinds) for kinds in brackets}
    for each, weight in ids:
        kinds = bracket_of(each[0])
        if kinds not in found:
            found[kinds] = _Bracket(kinds)
        found[kinds].add(each, weight, step)
    ordered = sorted(found.values(), key=lambda bracket: _BRACKET_OF[bracket.kinds[0]])
    if ARRAY in {bracket.kinds[0] for bracket in ordered}:
        # $type, $lt and $gte look into arrays: ranges would overlap.
        return [EVERYTHING]
    if len(ordered) == 1 and not ordered[0].bounds:
        return [EVERYTHING]
    return [each for bracket in ordered for each in bracket.filters()]


@dataclass
class _Bracket:
    """The ranges of one bracket: `bounds` are where they end and the next begin."""

    kinds: tuple[int, ...]
    bounds: list[RawId] = field(default_factory=list)
    weight: int = 0

    def add(self, each: RawId, weight: int, step: int) -> None:
        if self.weight >= step and self.kinds[0] in _DIVIDED and not _is_nan(each):
            self.bounds.append(each)
            self.weight = 0
        self.weight += weight

    def filters(self) -> Iterator[bytes]:
        if not self.bounds:
            yield match_bracket(self.kinds)
            return
        if DOUBLE in self.kinds:
            yield enclose(_element(DOUBLE, "_id", _NAN))
        below = [b"", *(_element(kind, "$gte", value) for kind, value in self.bounds)]
        above = [*(_element(kind, "$lt", value) for kind, value in self.bounds), b""]
        for lower, upper in zip(below, above, strict=True):
            yield _on_id(lower, upper)


def _is_nan(each: RawId) -> bool:
    kind, value = each
    if kind == DOUBLE:
        number: float = struct.unpack("<d", value)[0]
        return number != number
    # The combination field of a Decimal128 NaN begins with five ones (IEEE 754-2008, 3.5.2).
    return kind == DECIMAL and value[15] & 0x7C == 0x7C


def _on_id(*conditions: bytes) -> bytes:
    return enclose(_element(DOCUMENT, "_id", enclose(b"".join(conditions))))


def _element(kind: int, key: str, value: bytes) -> bytes:
    return b"%c%b\0%b" % (kind, key.encode(), value)
