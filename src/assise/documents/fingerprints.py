"""Fingerprints of many documents: those that look alike are read by their shape, at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import compress
from struct import pack, unpack
from typing import cast

from assise.documents.equality import digest_items, fingerprint, fingerprint_value
from assise.documents.kinds import ARRAY, CODE_WITH_SCOPE, DOCUMENT, INT32, INT64
from assise.documents.reader import OUTSIDE, read_code_with_scope
from assise.documents.shape import KeyPath, Shape, SlotValue
from assise.errors import InvalidBsonError

_Write = Callable[[Sequence[bytes]], Sequence[bytes]]
"""The values of a slot -> how items have them."""


class Fingerprints:
    """Gives the fingerprints of documents of one collection."""

    def __init__(self) -> None:
        self._shape: Shape | None = None
        self._level = _Level()

    def read(self, documents: Sequence[bytes]) -> list[bytes]:
        """Return the fingerprint of each document; of one that is not BSON no bytes."""
        found: list[bytes] = []
        for start in range(0, len(documents), Shape.GROUP):
            found += self._read_alike(documents[start : start + Shape.GROUP])
        for i, digest in enumerate(found):
            if not digest:
                with suppress(InvalidBsonError):
                    found[i] = fingerprint(documents[i])
        return found

    def _read_alike(self, group: Sequence[bytes]) -> list[bytes]:
        """Return the fingerprints of the documents that have the shape, and no bytes for others."""
        nothing = [b""] * len(group)
        small = [i for i, raw in enumerate(group) if len(raw) <= Shape.LARGEST_BYTES]
        if len(small) < Shape.MIN_GROUP:
            return nothing
        taken = [group[i] for i in small]
        parsed = self._shape.parse(taken) if self._shape else None
        if parsed is None or 2 * len(parsed.hits) < len(taken):
            self._shape = Shape(taken, _is_inlined)
            self._level = _plan(self._shape)
            parsed = self._shape.parse(taken)
        try:
            digests = self._level.digest(parsed.columns, len(parsed.hits))
        except (InvalidBsonError, *OUTSIDE):
            return nothing
        if len(digests) == len(group):
            return digests
        for i, digest in zip(parsed.hits, digests, strict=True):
            nothing[small[i]] = digest
        return nothing


def _is_inlined(path: KeyPath) -> bool:
    # Inside of _id the order of the fields counts.
    return path[0] != b"_id"


@dataclass
class _Item:
    """A slot as an item: what comes before its value, and how the value is written."""

    slot: int
    head: bytes
    write: _Write | None = None
    inner: _Level | None = None

    def write_all(self, columns: Sequence[Sequence[SlotValue]]) -> tuple[bytes, Sequence[bytes]]:
        """Return a template for the item, and what each document puts into it."""
        column, head = columns[self.slot], self.head
        if None not in column:
            template = head.replace(b"%", b"%%") + b"%b"
            return template, self._write(cast(Sequence[bytes], column), columns)
        is_there = [value is not None for value in column]
        found = [value for value in column if value is not None]
        rest = [list(compress(each, is_there)) for each in columns] if self.inner else columns
        left = iter(self._write(found, rest))
        return b"%b", [head + next(left) if there else b"" for there in is_there]

    def _write(
        self, values: Sequence[bytes], columns: Sequence[Sequence[SlotValue]]
    ) -> Sequence[bytes]:
        if self.inner is not None:
            return self.inner.digest(columns, len(values))
        return self.write(values) if self.write else values


@dataclass
class _Level:
    """The items of a document, or of one inside of it, in the order of their keys."""

    items: list[_Item] = field(default_factory=list)

    def digest(self, columns: Sequence[Sequence[SlotValue]], count: int) -> list[bytes]:
        """Return the digest of each of `count` documents."""
        if not self.items:
            return [digest_items(b"")] * count
        templates, values = zip(*[item.write_all(columns) for item in self.items], strict=True)
        template = b"".join(templates)
        return [digest_items(template % each) for each in zip(*values, strict=True)]


def _plan(shape: Shape) -> _Level:
    levels: dict[KeyPath, _Level] = {(): _Level()}
    for number, slot in enumerate(shape.slots):
        *above, key = slot.path
        kind = INT64 if slot.kind == INT32 else slot.kind
        item = _Item(number, key + b"\0%c" % kind)
        if slot.kind == INT32:
            item.write = _widen
        elif slot.kind == DOCUMENT and slot.path in shape.inlined:
            item.inner = levels[slot.path] = _Level()
        elif slot.kind in {DOCUMENT, ARRAY}:
            item.write = _digest_values(slot.kind, is_ordered=slot.path[0] == b"_id")
        elif slot.kind == CODE_WITH_SCOPE:
            item.write = _digest_scopes(is_ordered=slot.path[0] == b"_id")
        levels[tuple(above)].items.append(item)
    for level in levels.values():
        level.items.sort(key=lambda item: item.head.partition(b"\0")[0])
    return levels[()]


def _widen(values: Sequence[bytes]) -> list[bytes]:
    count = len(values)
    packed = pack(f"<{count}q", *unpack(f"<{count}i", b"".join(values)))
    return [packed[p : p + 8] for p in range(0, 8 * count, 8)]


def _digest_values(kind: int, *, is_ordered: bool) -> _Write:
    def write(values: Sequence[bytes]) -> list[bytes]:
        return [fingerprint_value(kind, value, is_ordered=is_ordered) for value in values]

    return write


def _digest_scopes(*, is_ordered: bool) -> _Write:
    def write(values: Sequence[bytes]) -> list[bytes]:
        return [_digest_scope(value, is_ordered=is_ordered) for value in values]

    return write


def _digest_scope(value: bytes, *, is_ordered: bool) -> bytes:
    _, scope, _ = read_code_with_scope(value, 0)
    return value[4:scope] + fingerprint_value(DOCUMENT, value[scope:], is_ordered=is_ordered)
