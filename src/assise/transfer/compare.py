"""The comparator of verify: two byte strings of BSON in, differences out.

It is the one wanted second implementation: it reads BSON by itself and shares nothing with the code that shreds and assembles, so
that a defect there does not hide itself here. The rules are the first law's (DESIGN section 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from struct import unpack_from

_FIXED = {0x01: 8, 0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0}
_WITH_STRING = {0x02: 0, 0x0C: 12, 0x0D: 0, 0x0E: 0}
_DOCUMENT, _ARRAY, _SCOPED = 0x03, 0x04, 0x0F
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Field:
    """One value: its name as bytes, its type byte, and the bytes of its value."""

    name: bytes
    kind: int
    value: bytes


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two containers still to be compared, and the way to them."""

    source: bytes
    found: bytes
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
    if source == found:
        return []
    lines: list[str] = []
    levels = [_compare_level(_Pair(source, found, is_array=False, is_ordered=False, above=None, name=""))]
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
    if pair.is_array:
        for i, (item, other_item) in enumerate(zip_longest(_fields(pair.source), _fields(pair.found))):
            yield from _compare_fields(pair, b"%d" % i, item, other_item)
        return
    if pair.is_ordered and [field.name for field in _fields(pair.source)] != [field.name for field in _fields(pair.found)]:
        yield f"{pair.path('')[:-1]}: the order of fields inside _id differs"
        return
    ours = _by_name(pair.source)
    for other in _fields(pair.found):
        waiting = ours.get(other.name)
        yield from _compare_fields(pair, other.name, waiting.pop() if waiting else None, other)
    for name, missing in ours.items():
        for one in reversed(missing):
            yield from _compare_fields(pair, name, one, None)


def _compare_fields(pair: _Pair, name: bytes, one: Field | None, other: Field | None) -> Iterator[str | _Pair]:
    if one is None or other is None:
        shown = [_show(field) if field else "missing" for field in (other, one)]
        yield f"{pair.path(name.decode(errors='replace'))}: {shown[0]}, was {shown[1]}"
    elif {one.kind, other.kind} <= {0x10, 0x12} and _int(one.value) == _int(other.value):
        return
    elif (one.kind, one.value) != (other.kind, other.value):
        inner = _inner(pair, name, one, other)
        yield inner or f"{pair.path(name.decode(errors='replace'))}: {_show(other)}, was {_show(one)}"


def _inner(pair: _Pair, name: bytes, one: Field, other: Field) -> _Pair | None:
    """The two containers that fields differ in, if they are containers of one kind."""
    source, found = one.value, other.value
    if one.kind != other.kind or one.kind not in {_DOCUMENT, _ARRAY, _SCOPED}:
        return None
    if one.kind == _SCOPED:
        code, source = _split_scoped(one.value)
        other_code, found = _split_scoped(other.value)
        if code != other_code:
            return None
    is_ordered = pair.is_ordered or (pair.above is None and name == b"_id")
    return _Pair(source, found, is_array=one.kind == _ARRAY, is_ordered=is_ordered, above=pair, name=name.decode(errors="replace"))


def _int(value: bytes) -> int:
    return int.from_bytes(value, "little", signed=True)


def _fields(document: bytes) -> Iterator[Field]:
    p, last = 4, len(document) - 1
    while p < last:
        end = document.index(b"\0", p + 1)
        after = end + 1 + _size(document[p], document, end + 1)
        yield Field(document[p + 1 : end], document[p], document[end + 1 : after])
        p = after


def _size(kind: int, document: bytes, p: int) -> int:
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _WITH_STRING:
        return 4 + int(unpack_from("<i", document, p)[0]) + _WITH_STRING[kind]
    if kind in {_DOCUMENT, _ARRAY, _SCOPED}:
        return int(unpack_from("<i", document, p)[0])
    if kind == 0x05:
        return 5 + int(unpack_from("<i", document, p)[0])
    middle = document.index(b"\0", p)
    return document.index(b"\0", middle + 1) + 1 - p


def _split_scoped(value: bytes) -> tuple[bytes, bytes]:
    length = unpack_from("<i", value, 4)[0]
    return value[8 : 8 + length], value[8 + length :]


def _by_name(document: bytes) -> dict[bytes, list[Field]]:
    """The fields of a document, those of one name from the last to the first."""
    found: dict[bytes, list[Field]] = {}
    for field in _fields(document):
        found.setdefault(field.name, []).append(field)
    for fields in found.values():
        fields.reverse()
    return found


_NAMES = {
    0x01: "double", 0x02: "string", 0x03: "document", 0x04: "array", 0x05: "binary", 0x06: "undefined", 0x07: "objectId", 0x08: "bool",
    0x09: "date", 0x0A: "null", 0x0B: "regex", 0x0C: "dbPointer", 0x0D: "javascript", 0x0E: "symbol", 0x0F: "javascriptWithScope",
    0x10: "int32", 0x11: "timestamp", 0x12: "int64", 0x13: "decimal", 0x7F: "maxKey", 0xFF: "minKey",
}  # fmt: skip


def _show(field: Field) -> str:
    name, value = _NAMES[field.kind], field.value
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
