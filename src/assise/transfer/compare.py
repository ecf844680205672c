"""The comparator of verify: two byte strings of BSON in, differences out.

It is the one wanted second implementation: it reads BSON by itself and shares nothing with the code that shreds and assembles, so
that a defect there does not hide itself here. The rules are those of equality under the first law.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from struct import error as StructError
from struct import unpack_from
from typing import NamedTuple

_FIXED = {
    0x01: 8,
    0x06: 0,
    0x07: 12,
    0x08: 1,
    0x09: 8,
    0x0A: 0,
    0x10: 4,
    0x11: 8,
    0x12: 8,
    0x13: 16,
    0x7F: 0,
    0xFF: 0,
}
_WITH_STRING = {0x02: 0, 0x0C: 12, 0x0D: 0, 0x0E: 0}
_DOCUMENT, _ARRAY, _SCOPED = 0x03, 0x04, 0x0F
_SHOWN = 80

PART_BYTES = 1 << 18
"""Names of a larger level are matched some at a time: a map of a million fields would fill the memory."""


class Field(NamedTuple):
    """One value: its name as bytes, its type byte, and where its value begins and ends in its document."""

    name: bytes
    kind: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two containers still to be compared, where they begin in their documents, and the way to them."""

    source: bytes
    found: bytes
    source_at: int
    found_at: int
    is_array: bool
    is_ordered: bool
    above: _Pair | None
    name: str

    def path(self, name: str) -> str:
        names, pair = [name], self
        while pair.above is not None and len(names) < 50:
            names.append(pair.name)
            pair = pair.above
        return ".".join(reversed(names))


def compare(source: bytes, found: bytes, *, limit: int = 10) -> list[str]:
    """How the document `found` differs from `source`, field by field, at most `limit` lines; empty when they are equal."""
    try:
        return [] if source == found else _find_differences(source, found, limit)
    except (IndexError, KeyError, ValueError, StructError):
        return ["what stands in the source is not BSON"]


def _find_differences(source: bytes, found: bytes, limit: int) -> list[str]:
    lines: list[str] = []
    levels = [
        _compare_level(
            _Pair(source, found, 0, 0, is_array=False, is_ordered=False, above=None, name="")
        )
    ]
    while levels and len(lines) < limit:
        step = next(levels[-1], None)
        if step is None:
            levels.pop()
        elif isinstance(step, _Pair):
            levels.append(_compare_level(step))
        else:
            lines.append(step)
    return lines


def _compare_level(pair: _Pair) -> Iterator[str | _Pair]:
    """What differs in one level, and the containers whose levels are to be compared next."""
    ours, theirs = _fields(pair.source, pair.source_at), _fields(pair.found, pair.found_at)
    if pair.is_array:
        for i, (item, other_item) in enumerate(zip_longest(ours, theirs)):
            yield from _compare_fields(pair, b"%d" % i, item, other_item)
        return
    if pair.is_ordered and any(
        one is None or other is None or one.name != other.name
        for one, other in zip_longest(ours, theirs)
    ):
        yield f"{pair.path('')[:-1]}: the order of fields inside _id differs"
        return
    for name, one, other in _match(pair):
        yield from _compare_fields(pair, name, one, other)


def _match(pair: _Pair) -> Iterator[tuple[bytes, Field | None, Field | None]]:
    """Fields of one name in their order: those of `found` as they come, each beside its partner, then what `source` has left."""
    if _int32(pair.source, pair.source_at) > PART_BYTES:
        yield from _match_in_parts(pair)
        return
    ours: dict[bytes, list[Field]] = {}
    for field in _fields(pair.source, pair.source_at):
        ours.setdefault(field.name, []).append(field)
    for fields in ours.values():
        fields.reverse()
    for other in _fields(pair.found, pair.found_at):
        waiting = ours.get(other.name)
        yield other.name, waiting.pop() if waiting else None, other
    for name, left in ours.items():
        for one in reversed(left):
            yield name, one, None


def _match_in_parts(pair: _Pair) -> Iterator[tuple[bytes, Field | None, Field | None]]:
    """As `_match`; fields are positions, and the names of one part at a time are objects."""
    parts = 1 + _int32(pair.source, pair.source_at) // PART_BYTES
    ours, theirs = (
        _spread(pair.source, pair.source_at, parts),
        _spread(pair.found, pair.found_at, parts),
    )
    partners, left = [], array("Q")
    for own, others in zip(ours, theirs, strict=True):
        found, partner = _group(pair.found, others), array("I", bytes(4 * len(others)))
        for name, ordinals in _group(pair.source, own).items():
            matching = found.get(name, ())
            for i, j in zip(ordinals, matching, strict=False):
                partner[j] = own[i]
            left.extend(own[ordinals[0]] << 32 | own[i] for i in ordinals[len(matching) :])
        partners.append(iter(partner))
    for other in _fields(pair.found, pair.found_at):
        p = next(partners[hash(other.name) % parts])
        yield other.name, _field(pair.source, p) if p else None, other
    for p in sorted(left):
        one = _field(pair.source, p & 0xFFFFFFFF)
        yield one.name, one, None


def _spread(document: bytes, at: int, parts: int) -> list[array[int]]:
    """The positions of the fields of one level, those of one name in one part."""
    spread = [array("I") for _ in range(parts)]
    for field in _fields(document, at):
        spread[hash(field.name) % parts].append(field.start - len(field.name) - 2)
    return spread


def _group(document: bytes, positions: array[int]) -> dict[bytes, array[int]]:
    """For each name, which of the positions are those of its fields."""
    groups: dict[bytes, array[int]] = {}
    for i, p in enumerate(positions):
        groups.setdefault(document[p + 1 : document.index(b"\0", p + 1)], array("I")).append(i)
    return groups


def _compare_fields(
    pair: _Pair, name: bytes, one: Field | None, other: Field | None
) -> Iterator[str | _Pair]:
    if one is not None and other is not None:
        if _is_same(pair, one, other):
            return
        inner = _inner(pair, name, one, other)
        if inner is not None:
            yield inner
            return
    shown = [
        _show(document, field) if field else "missing"
        for document, field in ((pair.found, other), (pair.source, one))
    ]
    yield f"{pair.path(name.decode(errors='replace'))}: {shown[0]}, was {shown[1]}"


def _is_same(pair: _Pair, one: Field, other: Field) -> bool:
    value, other_value = pair.source[one.start : one.end], pair.found[other.start : other.end]
    if {one.kind, other.kind} <= {0x10, 0x12}:
        return _int(value) == _int(other_value)
    return one.kind == other.kind and value == other_value


def _inner(pair: _Pair, name: bytes, one: Field, other: Field) -> _Pair | None:
    """The two containers that fields differ in, if they are containers of one kind."""
    source_at, found_at = one.start, other.start
    if one.kind != other.kind or one.kind not in {_DOCUMENT, _ARRAY, _SCOPED}:
        return None
    if one.kind == _SCOPED:
        source_at, found_at = _scope(pair.source, one.start), _scope(pair.found, other.start)
        if pair.source[one.start + 8 : source_at] != pair.found[other.start + 8 : found_at]:
            return None
    is_ordered = pair.is_ordered or (pair.above is None and name == b"_id")
    return _Pair(
        pair.source,
        pair.found,
        source_at,
        found_at,
        is_array=one.kind == _ARRAY,
        is_ordered=is_ordered,
        above=pair,
        name=name.decode(errors="replace"),
    )


def _int(value: bytes) -> int:
    return int.from_bytes(value, "little", signed=True)


def _int32(document: bytes, p: int) -> int:
    return int(unpack_from("<i", document, p)[0])


def _fields(document: bytes, at: int) -> Iterator[Field]:
    p, last = at + 4, at + _int32(document, at) - 1
    while p < last:
        field = _field(document, p)
        yield field
        p = field.end
    if p > last or document[last]:
        raise ValueError("a level that does not end where it says")


def _field(document: bytes, p: int) -> Field:
    end = document.index(b"\0", p + 1)
    size = _size(document[p], document, end + 1)
    if size < 0:
        raise ValueError("a length below zero")
    return Field(document[p + 1 : end], document[p], end + 1, end + 1 + size)


def _size(kind: int, document: bytes, p: int) -> int:
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _WITH_STRING:
        return 4 + _int32(document, p) + _WITH_STRING[kind]
    if kind in {_DOCUMENT, _ARRAY, _SCOPED}:
        return _int32(document, p)
    if kind == 0x05:
        return 5 + _int32(document, p)
    middle = document.index(b"\0", p)
    return document.index(b"\0", middle + 1) + 1 - p


def _scope(document: bytes, p: int) -> int:
    """Where the scope of code begins."""
    return p + 8 + _int32(document, p + 4)


_NAMES = {
    0x01: "double", 0x02: "string", 0x03: "document", 0x04: "array", 0x05: "binary", 0x06: "undefined", 0x07: "objectId", 0x08: "bool",
    0x09: "date", 0x0A: "null", 0x0B: "regex", 0x0C: "dbPointer", 0x0D: "javascript", 0x0E: "symbol", 0x0F: "javascriptWithScope",
    0x10: "int32", 0x11: "timestamp", 0x12: "int64", 0x13: "decimal", 0x7F: "maxKey", 0xFF: "minKey",
}  # fmt: skip


def _show(document: bytes, field: Field) -> str:
    name, value = _NAMES[field.kind], document[field.start : field.end]
    if field.kind in {0x10, 0x12, 0x09}:
        return f"{name} {_int(value)}"
    if field.kind == 0x01:
        return f"{name} {unpack_from('<d', value)[0]!r}"
    if field.kind in {0x02, 0x0D, 0x0E}:
        text = value[4:-1].decode(errors="backslashreplace")
        return f"{name} {text[:_SHOWN]!r}{'…' if len(text) > _SHOWN else ''}"
    if field.kind in {_DOCUMENT, _ARRAY, _SCOPED, 0x05}:
        return f"{name} of {len(value):,} bytes"
    if field.kind == 0x08:
        return f"{name} {'true' if value[0] else 'false'}"
    return f"{name} {value.hex()}".rstrip()
