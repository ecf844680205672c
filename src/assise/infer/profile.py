"""What a collection holds: for each path the number of values of each kind, counted over raw BSON.

Documents that look alike are parsed together and counted slot by slot. Others, and the first that has something new, are walked
twice: the first walk knows all fields from earlier documents and only collects cells to be counted; at anything new it gives
up, and the second, behind a full check, learns. So bytes that are not BSON leave no trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from assise.documents.kinds import (
    ARRAY,
    BINARY,
    CODE,
    CODE_WITH_SCOPE,
    DATE,
    DECIMAL,
    DOCUMENT,
    DOUBLE,
    INT32,
    INT64,
    KINDS,
    MAX_KEY,
    MIN_KEY,
    NULL,
    OBJECT_ID,
    STRING,
    SYMBOL,
    TIMESTAMP,
    UNDEFINED,
)
from assise.documents.reader import (
    NOT_BSON,
    SKIP,
    Skip,
    check_document,
    open_document,
    read_binary,
    read_code_with_scope,
    read_int32,
    repeated_keys,
)
from assise.documents.shape import FEWEST, GROUP, LARGEST_BYTES, Shape, Slot, Value
from assise.errors import InvalidBsonError
from assise.infer.ids import FITS
from assise.infer.tree import CODES, MISFIT, NODE_BITS, OTHER, SUBTYPES, UUID, Path, build_tree
from assise.manifest.paths import is_nameable
from assise.settings import INFER_PATHS, read_setting

FLATTENED_LEVELS = 3
NESTED_TABLES = 20
MAP_KEYS = 100
"""A document below the root with more distinct keys is a map: its keys are data."""
KEY_BYTES = 1_000
"""A longer key gets no path, so that 20,000 of them take little memory."""

Field = tuple[int, int, int, Skip | None]
"""(cell to count, bit of the key, bytes from the end of the key to the next element, what walks the value).

Without a walk and with 0 bytes, the value is a string.
"""

Walks = list[tuple[Skip | None, Sequence[Value]]]

_SIZES = {
    DOUBLE: 8,
    UNDEFINED: 0,
    OBJECT_ID: 12,
    DATE: 8,
    NULL: 0,
    INT32: 4,
    TIMESTAMP: 8,
    INT64: 8,
    DECIMAL: 16,
    MIN_KEY: 0,
    MAX_KEY: 0,
}
_FLUSH = 1 << 14


class _UnusualError(Exception):
    """A field that no earlier document had, or a key that stands twice in one level."""


@dataclass
class _Level:
    """The fields of the documents at one path, or (not keyed) the elements of its arrays."""

    node: int
    depth: int
    tables: int
    is_keyed: bool = True
    fields: dict[bytes, Field] = field(default_factory=dict)
    bits: dict[bytes, int] = field(default_factory=dict)
    rest: dict[int, Field] = field(default_factory=dict)


class Profile:
    """The profile of the documents of one collection, or of one chunk of it.

    At most `paths` paths besides `_id` are kept (setting `infer.paths`): those first seen, in the order of the documents.
    Profiles of chunks, merged in the order of the chunks, give the same whoever made them; below the cap they propose the
    same as one profile of all documents.
    """

    def __init__(self, *, paths: int | None = None, shape: Shape | None = None) -> None:
        self.paths = read_setting(INFER_PATHS, paths)
        self.documents = 0
        self.invalid = 0
        self.first_invalid: int | None = None
        self._nodes: list[tuple[int, str | None]] = [(-1, None), (0, "_id")]
        self._children: list[dict[str | None, int]] = [{"_id": 1}, {}]
        self._counts: Counter[int] = Counter()
        self._hits: list[int] = []
        self._is_learning = False
        self._root = _Level(0, 0, 0)
        self._levels: dict[int, _Level] = {}
        self._shape, self._parsed = shape, 0

    def as_json(self) -> dict[str, object]:
        """The counts as values that JSON can hold."""
        self._flush()
        counts = [[cell, count] for cell, count in self._counts.items()]
        return {
            "documents": self.documents,
            "invalid": self.invalid,
            "first_invalid": self.first_invalid,
            "nodes": self._nodes[2:],
            "counts": counts,
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """What `as_json` gave, to be merged into another profile."""
        profile = cls(paths=max(1, len(found["nodes"])))
        profile.documents, profile.invalid, profile.first_invalid = (
            found["documents"],
            found["invalid"],
            found["first_invalid"],
        )
        profile._nodes += [(parent, key) for parent, key in found["nodes"]]
        profile._counts.update(dict(found["counts"]))
        return profile

    @property
    def is_capped(self) -> bool:
        """Whether no more paths are taken."""
        return len(self._nodes) >= self.paths + 2

    @property
    def shape(self) -> Shape | None:
        """The shape of the documents, when most of them have it: the next chunk's profile may begin with it."""
        return self._shape if 5 * self._parsed >= 4 * (self.documents + self.invalid) else None

    def add(self, raw: bytes, offset: int) -> None:
        """Count one document that stands at `offset` of its source; bytes that are not BSON are only counted as such."""
        hits = self._hits
        mark = len(hits)
        try:
            if self._walk_document(raw, mark) != len(raw):
                raise InvalidBsonError("a document whose length is not its own", 0)
        except NOT_BSON:
            del hits[mark:]
            self.add_invalid(offset)
            return
        self.documents += 1
        if len(hits) > _FLUSH:
            self._flush()

    def add_invalid(self, offset: int) -> None:
        """Count bytes at `offset` that are not BSON."""
        self.invalid += 1
        self.first_invalid = (
            offset if self.first_invalid is None else min(offset, self.first_invalid)
        )

    def add_all(self, documents: Sequence[bytes], offsets: Sequence[int]) -> None:
        """Count documents in their order, with the result of `add` for each of them."""
        for start in range(0, len(documents), GROUP):
            self._add_group(documents[start : start + GROUP], offsets[start : start + GROUP])

    def _add_group(self, documents: Sequence[bytes], offsets: Sequence[int]) -> None:
        small = [i for i, raw in enumerate(documents) if len(raw) <= LARGEST_BYTES]
        if self._shape is None and len(small) >= FEWEST:
            self._shape = Shape(
                [documents[i] for i in small], lambda path: len(path) <= FLATTENED_LEVELS
            )
        if self._shape is None:
            for raw, offset in zip(documents, offsets, strict=True):
                self.add(raw, offset)
            return
        parsed = self._shape.parse([documents[i] for i in small])
        self._parsed += len(parsed.hits)
        rows = {small[hit]: row for row, hit in enumerate(parsed.hits)}
        walks: Walks | None = None
        counted = []
        for i, raw in enumerate(documents):
            if i in rows:
                walks = self._find_walks(self._shape, parsed.columns) if walks is None else walks
                if not walks or self._walk_values(
                    [(walk, column[rows[i]]) for walk, column in walks]
                ):
                    counted.append(rows[i])
                    continue
            self.add(raw, offsets[i])
            walks = None
        self.documents += len(counted)
        for slot, column in zip(self._shape.slots, parsed.columns, strict=True):
            field = self._find_field(slot)
            if field is not None:
                values = column if len(counted) == len(column) else [column[row] for row in counted]
                self._counts[field[0]] += len(values) - values.count(None)

    def _find_walks(self, shape: Shape, columns: Sequence[Sequence[Value]]) -> Walks:
        """The columns whose values are not only counted, with what walks them: None where no document with such a value was walked yet.

        What the shape has read to the last byte needs no walk that only passes over it.
        """
        walks: Walks = []
        for slot, column in zip(shape.slots, columns, strict=True):
            field = self._find_field(slot)
            is_inlined = slot.kind == DOCUMENT and slot.path in shape.inlined
            if field is None or (field[3] not in {None, SKIP[slot.kind]} and not is_inlined):
                walks.append((field and field[3], column))
        return walks

    def _walk_values(self, values: Sequence[tuple[Skip | None, Value]]) -> bool:
        """Walk the values of a document that need it; False, and nothing is counted, when something in it is new or no BSON."""
        mark = len(self._hits)
        try:
            for walk, value in values:
                if value is not None:
                    if walk is None:
                        raise _UnusualError
                    walk(value, 0)
        except (_UnusualError, *NOT_BSON):
            del self._hits[mark:]
            return False
        if len(self._hits) > _FLUSH:
            self._flush()
        return True

    def _find_field(self, slot: Slot) -> Field | None:
        """The field of a slot, when documents that have it were walked."""
        node, level = 0, self._root
        for key in slot.path[:-1]:
            node = self._children[node].get(key.decode(), -1)
            if node not in self._levels:
                return None
            level = self._levels[node]
        return level.fields.get(b"%c%b" % (slot.kind, slot.path[-1]))

    def merge(self, other: Profile) -> None:
        """Take in the profile of the documents that come after this one's."""
        self._flush()
        other._flush()
        self.documents += other.documents
        self.invalid += other.invalid
        if self.first_invalid is None:
            self.first_invalid = other.first_invalid
        places = [0, 1]
        for parent, key in other._nodes[2:]:
            places.append(self._place(places[parent], key))
        for cell, count in other._counts.items():
            node, code = cell >> NODE_BITS, cell & CODES
            parent, key = other._nodes[node]
            if places[node] >= 0:
                self._counts[places[node] << NODE_BITS | code] += count
            elif code in KINDS and key is not None and places[parent] >= 0:
                self._counts[places[parent] << NODE_BITS | OTHER] += count
        self._root, self._levels = _Level(0, 0, 0), {}

    def tree(self) -> Path:
        """The paths as a tree below the root, children in the order in which they were first seen."""
        self._flush()
        return build_tree(self._nodes, self._counts)

    def _flush(self) -> None:
        self._counts.update(self._hits)
        self._hits.clear()

    def _place(self, parent: int, key: str | None) -> int:
        """The node of a key below `parent`, made where there is room; -1 where there is none."""
        if parent < 0:
            return -1
        found = self._children[parent].get(key)
        if found is not None:
            return found
        if self._is_full(parent, key):
            return -1
        self._children[parent][key] = made = len(self._nodes)
        self._nodes.append((parent, key))
        self._children.append({})
        return made

    def _is_full(self, node: int, key: str | None) -> bool:
        # One key more than a map needs, and the elements of arrays at the same path.
        return self.is_capped or (
            node != 0 and key is not None and len(self._children[node]) > MAP_KEYS + 1
        )

    def _walk_document(self, raw: bytes, mark: int) -> int:
        try:
            return self._walk(self._root, raw, 0)
        except _UnusualError:
            del self._hits[mark:]
        check_document(raw)
        self._is_learning = True
        try:
            return self._walk(self._root, raw, 0)
        finally:
            self._is_learning = False

    def _walk(self, level: _Level, raw: bytes, p: int) -> int:
        last, is_keyed = open_document(raw, p), level.is_keyed
        hidden = repeated_keys(raw, p) if self._is_learning and is_keyed else ()
        find, find_field, collect = raw.find, level.fields.get, self._hits.append
        seen, p = 0, p + 4
        while p < last:
            end = find(b"\0", p + 1, last)
            if end < 0:
                raise InvalidBsonError("a key without a terminator", p)
            found = find_field(raw[p : end if is_keyed else p + 1])
            if found is None or hidden:
                found = self._learn(level, raw[p], raw[p + 1 : end], hidden)
            cell, bit, size, walk = found
            if seen & bit:
                raise _UnusualError
            seen |= bit
            collect(cell)
            if size:
                p = end + size
            elif walk is not None:
                p = walk(raw, end + 1)
            else:
                length: int = read_int32(raw, end + 1)[0]
                p = end + 5 + length
                if length < 1 or raw[p - 1]:
                    raise InvalidBsonError("a string without a terminator", end)
        if p != last:
            raise InvalidBsonError("a value longer than its document", last)
        return last + 1

    def _learn(self, level: _Level, kind: int, key: bytes, hidden: Collection[bytes]) -> Field:
        """The field of a key that is not in `level.fields`, or that may be one of the hidden ones."""
        if not level.is_keyed:
            return level.fields.setdefault(b"%c" % kind, self._field(level, level.node, kind, 0))
        name = None if key in hidden else _name(key)
        if name is None:
            return self._rest(level, kind)
        children = self._children[level.node]
        if name not in children and self._is_full(level.node, name):
            return self._rest(level, kind)
        known = level.fields.get(b"%c%b" % (kind, key))
        if known is not None:
            return known
        if not self._is_learning:
            raise _UnusualError
        node = self._place(level.node, name)
        bit = level.bits.setdefault(key, 1 << len(level.bits))
        return level.fields.setdefault(b"%c%b" % (kind, key), self._field(level, node, kind, bit))

    def _rest(self, level: _Level, kind: int) -> Field:
        """The field of keys without a path of their own: repeated, without a name, or beyond the cap."""
        found = level.rest.get(kind)
        if found is None:
            found = level.rest[kind] = _plain(level.node << NODE_BITS | OTHER, 0, kind)
        return found

    def _field(self, level: _Level, node: int, kind: int, bit: int) -> Field:
        cell = node << NODE_BITS | kind
        walk: Skip | None = None
        if kind == BINARY:
            walk = self._walk_binary(node)
        elif node == 1:
            walk = self._walk_id(node, kind)
        elif kind in {DOCUMENT, ARRAY}:
            walk = self._walk_inner(level, node, kind)
        return (cell, bit, 0, walk) if walk else _plain(cell, bit, kind)

    def _walk_inner(self, level: _Level, node: int, kind: int) -> Skip | None:
        """The walk of the documents or arrays at a node; None where nothing below is profiled."""
        if kind == DOCUMENT:
            depth = level.depth + 1 if level.is_keyed else 0
            if depth > FLATTENED_LEVELS:
                return None
            inner = _Level(node, depth, level.tables)
            if level.is_keyed:
                self._levels[node] = inner
        else:
            element = (
                self._place(node, None) if level.is_keyed and level.tables < NESTED_TABLES else -1
            )
            if element < 0:
                return None
            inner = _Level(element, 0, level.tables + 1, is_keyed=False)
        return partial(self._walk, inner)

    def _walk_binary(self, node: int) -> Skip:
        collect, front = self._hits.append, node << NODE_BITS

        def walk_binary(raw: bytes, p: int) -> int:
            subtype, content, end = read_binary(raw, p)
            collect(front | (UUID if subtype == 4 and len(content) == 16 else SUBTYPES + subtype))
            return end

        return walk_binary

    def _walk_id(self, node: int, kind: int) -> Skip | None:
        fits = FITS.get(kind)
        if fits is None:
            return None
        collect, misfit, skip = self._hits.append, node << NODE_BITS | MISFIT, SKIP[kind]

        def walk_id(raw: bytes, p: int) -> int:
            end = skip(raw, p)
            if not fits(raw[p:end]):
                collect(misfit)
            return end

        return walk_id


def _plain(cell: int, bit: int, kind: int) -> Field:
    """A field whose value is passed over, containers with a check of all that they hold."""
    if kind in _SIZES:
        return cell, bit, _SIZES[kind] + 1, None
    if kind in {STRING, CODE, SYMBOL}:
        return cell, bit, 0, None
    return (
        cell,
        bit,
        0,
        {DOCUMENT: _check_inner, ARRAY: _check_inner, CODE_WITH_SCOPE: _check_scope}.get(
            kind, SKIP[kind]
        ),
    )


def _check_inner(raw: bytes, p: int) -> int:
    end = open_document(raw, p) + 1
    check_document(raw[p:end])
    return end


def _check_scope(raw: bytes, p: int) -> int:
    _, scope, end = read_code_with_scope(raw, p)
    check_document(raw[scope:end])
    return end


def _name(key: bytes) -> str | None:
    """The text of a key that a column can read; None of others."""
    if len(key) > KEY_BYTES:
        return None
    try:
        name = key.decode()
    except UnicodeDecodeError:
        return None
    return name if is_nameable(name) else None
