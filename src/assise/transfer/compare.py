"""The comparator of verify: two byte strings of BSON in, differences out.

It is a second implementation on purpose: it reads BSON by itself and shares nothing with the code
that shreds and assembles, so that a defect there does not hide itself here. Documents are equal as
the first law says.
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
"""The names of a larger level are matched in parts: a map of a million fields would fill memory."""


class _Field(NamedTuple):
    """A field: its name as bytes, its type byte, and where its value begins and ends."""

    name: bytes
    kind: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two containers still to be compared, where they begin in their documents, and their path."""

    source: bytes
    assembled: bytes
    source_at: int
    assembled_at: int
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


def compare(source: bytes, assembled: bytes, *, limit: int = 10) -> list[str]:
    """Return how the document `assembled` differs from `source`: a line a field, at most `limit`.

    The list is empty when they are equal.
    """
    try:
        return [] if source == assembled else _find_differences(source, assembled, limit)
    except (IndexError, KeyError, ValueError, StructError):
        return ["the source is not BSON"]


def _find_differences(source: bytes, assembled: bytes, limit: int) -> list[str]:
    lines: list[str] = []
    levels = [
        _compare_level(
            _Pair(source, assembled, 0, 0, is_array=False, is_ordered=False, above=None, name="")
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
    """Yield the differences of one level, and the containers whose levels are compared next."""
    ours = _fields(pair.source, pair.source_at)
    theirs = _fields(pair.assembled, pair.assembled_at)
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


def _match(pair: _Pair) -> Iterator[tuple[bytes, _Field | None, _Field | None]]:
    """Yield each field of `assembled` beside its partner, then those that only `source` has.

    Fields of one name are partners in their order.
    """
    if _int32(pair.source, pair.source_at) > PART_BYTES:
        yield from _match_in_parts(pair)
        return
    ours: dict[bytes, list[_Field]] = {}
    for field in _fields(pair.source, pair.source_at):
        ours.setdefault(field.name, []).append(field)
    for fields in ours.values():
        fields.reverse()
    for other in _fields(pair.assembled, pair.assembled_at):
        waiting = ours.get(other.name)
        yield other.name, waiting.pop() if waiting else None, other
    for name, left in ours.items():
        for one in reversed(left):
            yield name, one, None


def _match_in_parts(pair: _Pair) -> Iterator[tuple[bytes, _Field | None, _Field | None]]:
    """Yield what `_match` yields, with only one part of the names in memory at a time.

    Fields are held as positions, four bytes each. A name's part is given by its hash, so that all
    fields of one name are in one part, and each part keeps the order of the fields.
    """
    parts = 1 + _int32(pair.source, pair.source_at) // PART_BYTES
    ours = _spread(pair.source, pair.source_at, parts)
    theirs = _spread(pair.assembled, pair.assembled_at, parts)
    # For each part, the partners of the fields of `assembled` in their order, 0 for none.
    partners: list[Iterator[int]] = []
    # Fields that only `source` has: the position of the first of their name, which comes first in
    # their order, and their own position, in one number.
    left = array("Q")
    for own, others in zip(ours, theirs, strict=True):
        ordinals_of = _group(pair.assembled, others)
        partner = array("I", bytes(4 * len(others)))
        for name, ordinals in _group(pair.source, own).items():
            matching = ordinals_of.get(name, ())
            for i, j in zip(ordinals, matching, strict=False):
                partner[j] = own[i]
            first = own[ordinals[0]]
            left.extend(first << 32 | own[i] for i in ordinals[len(matching) :])
        partners.append(iter(partner))
    for other in _fields(pair.assembled, pair.assembled_at):
        p = next(partners[hash(other.name) % parts])
        yield other.name, _field(pair.source, p) if p else None, other
    for p in sorted(left):
        one = _field(pair.source, p & 0xFFFFFFFF)
        yield one.name, one, None


def _spread(document: bytes, at: int, parts: int) -> list[array[int]]:
    """Return the positions of the fields of one level, spread over parts by their names."""
    spread = [array("I") for _ in range(parts)]
    for field in _fields(document, at):
        begin = field.start - len(field.name) - 2
        spread[hash(field.name) % parts].append(begin)
    return spread


def _group(document: bytes, positions: array[int]) -> dict[bytes, array[int]]:
    """Return, for each name, the ordinals of its fields among the positions."""
    groups: dict[bytes, array[int]] = {}
    for i, p in enumerate(positions):
        name = document[p + 1 : document.index(b"\0", p + 1)]
        groups.setdefault(name, array("I")).append(i)
    return groups


def _compare_fields(
    pair: _Pair, name: bytes, one: _Field | None, other: _Field | None
) -> Iterator[str | _Pair]:
    if one is not None and other is not None:
        if _is_same(pair, one, other):
            return
        inner = _inner(pair, name, one, other)
        if inner is not None:
            yield inner
            return
    path = pair.path(name.decode(errors="replace"))
    yield f"{path}: {_show(pair.assembled, other)}, was {_show(pair.source, one)}"


def _is_same(pair: _Pair, one: _Field, other: _Field) -> bool:
    value = pair.source[one.start : one.end]
    other_value = pair.assembled[other.start : other.end]
    if {one.kind, other.kind} <= {0x10, 0x12}:
        return _int(value) == _int(other_value)
    return one.kind == other.kind and value == other_value


def _inner(pair: _Pair, name: bytes, one: _Field, other: _Field) -> _Pair | None:
    """Return the two containers of a field, if they are of one kind."""
    source_at, assembled_at = one.start, other.start
    if one.kind != other.kind or one.kind not in {_DOCUMENT, _ARRAY, _SCOPED}:
        return None
    if one.kind == _SCOPED:
        source_at = _scope(pair.source, one.start)
        assembled_at = _scope(pair.assembled, other.start)
        code = pair.source[one.start + 8 : source_at]
        if code != pair.assembled[other.start + 8 : assembled_at]:
            return None
    is_ordered = pair.is_ordered or (pair.above is None and name == b"_id")
    return _Pair(
        pair.source,
        pair.assembled,
        source_at,
        assembled_at,
        is_array=one.kind == _ARRAY,
        is_ordered=is_ordered,
        above=pair,
        name=name.decode(errors="replace"),
    )


def _int(value: bytes) -> int:
    return int.from_bytes(value, "little", signed=True)


def _int32(document: bytes, p: int) -> int:
    return int(unpack_from("<i", document, p)[0])


def _fields(document: bytes, at: int) -> Iterator[_Field]:
    p, last = at + 4, at + _int32(document, at) - 1
    while p < last:
        field = _field(document, p)
        yield field
        p = field.end
    if p > last or document[last]:
        raise ValueError("a level that does not end where it says")


def _field(document: bytes, p: int) -> _Field:
    end = document.index(b"\0", p + 1)
    size = _size(document[p], document, end + 1)
    if size < 0:
        raise ValueError("a length below zero")
    start = end + 1
    return _Field(document[p + 1 : end], document[p], start, start + size)


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
    """Return where the scope of code begins."""
    return p + 8 + _int32(document, p + 4)


_NAMES = {
    0x01: "double", 0x02: "string", 0x03: "document", 0x04: "array", 0x05: "binary",
    0x06: "undefined", 0x07: "objectId", 0x08: "bool", 0x09: "date", 0x0A: "null", 0x0B: "regex",
    0x0C: "dbPointer", 0x0D: "javascript", 0x0E: "symbol", 0x0F: "javascriptWithScope",
    0x10: "int32", 0x11: "timestamp", 0x12: "int64", 0x13: "decimal", 0x7F: "maxKey",
    0xFF: "minKey",
}  # fmt: skip


def _show(document: bytes, field: _Field | None) -> str:
    if field is None:
        return "missing"
    name, value = _NAMES[field.kind], document[field.start : field.end]
    if field.kind in {0x10, 0x12, 0x09}:
        return f"{name} {_int(value)}"
    if field.kind == 0x01:
        return f"{name} {unpack_from('<d', value)[0]!r}"
    if field.kind in {0x02, 0x0D, 0x0E}:
        text = value[4:-1].decode(errors="backslashreplace")
        more = "…" if len(text) > _SHOWN else ""
        return f"{name} {text[:_SHOWN]!r}{more}"
    if field.kind in {_DOCUMENT, _ARRAY, _SCOPED, 0x05}:
        return f"{name} of {len(value):,} bytes"
    if field.kind == 0x08:
        return f"{name} {'true' if value[0] else 'false'}"
    return f"{name} {value.hex()}".rstrip()
