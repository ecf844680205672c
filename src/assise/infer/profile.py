"""The profile of a collection: for each path the number of values of each kind.

Documents of one shape are parsed together and counted slot by slot. Any other document is walked.
The walk uses the fields of earlier documents and only collects what is to be counted. At anything
new it gives up; then the document is checked whole, and a second walk learns its fields. So bytes
that are not BSON leave no trace.
"""

from __future__ import annotations

import re
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
from assise.documents.shape import Shape, Slot, SlotValue
from assise.errors import InvalidBsonError
from assise.infer.ids import FITS
from assise.infer.joins import Joins
from assise.infer.looks import LOOKS, SHORT, LookAt, LookAtText
from assise.infer.metadata import Metadata
from assise.infer.tree import (
    CODES,
    EMPTY,
    NODE_BITS,
    OTHER,
    SUBTYPES,
    UNFIT,
    UUID,
    PathProfile,
    build_tree,
)
from assise.manifest.paths import is_nameable
from assise.settings import INFER_PATHS, read_setting

FLATTENED_LEVELS = 3
NESTED_TABLES = 20
MAP_KEYS = 100
"""A document below the root with more distinct keys is a map: its keys are data."""
KEY_BYTES = 1_000
"""A longer key gets no path, so that 20,000 of them take little memory."""

LEGACY_UUID, UUID_BYTES = 3, 16
"""The subtype of UUIDs before there was a common order of bytes, and the bytes of one."""

_Field = tuple[int, int, int, Skip | None, LookAtText | None]
"""(what to count, bit of the key, bytes from the end of the key to the next element, walk, look).

Without a walk and with 0 bytes, the value is a string; where it is short, the look is at it. What
to count is a node and a code, see `infer.tree`.
"""

_Walks = list[tuple[Skip | None, Sequence[SlotValue]]]
"""The walk of each column of a parsed group whose values must be walked, and these values."""

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
_TEXT_OF_24 = b"\x02_id\0\x19\0\0\0"
"""Type, key and length of an `_id` that is a text of 24 bytes, at the beginning of a document."""

_HEX = re.compile(rb"[0-9a-fA-F]{24}").fullmatch
_FLUSH = 1 << 14
"""Collected cells that are added to the counts together."""

_Node = tuple[int, str | None]
"""The number of a path's parent, and its key: None for the elements of an array."""

_Children = dict[str | None, int]


class _UnusualError(Exception):
    """A field that no earlier document had, or a key that occurs twice in one level."""


@dataclass
class _Level:
    """The fields of the documents at one path, or (not keyed) the elements of its arrays, whose
    node, shifted, is `array`.

    `fields` are found by type byte and key, `rest` (fields without a path of their own) by type.
    """

    node: int
    depth: int
    tables: int
    is_keyed: bool = True
    array: int = 0
    fields: dict[bytes, _Field] = field(default_factory=dict)
    bits: dict[bytes, int] = field(default_factory=dict)
    rest: dict[int, _Field] = field(default_factory=dict)


class Profile:
    """The profile of the documents of one collection, or of one chunk of it.

    At most `paths` paths besides `_id` are kept (setting `infer.paths`): the first ones in the
    order of the documents. Profiles of chunks, merged in the order of the chunks, give the same
    result for any number of workers. Below the cap they propose the same as one profile of all
    documents. The measurements of a series may share an `_id`.
    """

    def __init__(
        self, *, paths: int | None = None, shape: Shape | None = None, joins: Joins | None = None
    ) -> None:
        self.paths = read_setting(INFER_PATHS, paths)
        self.documents = 0
        self.invalid = 0
        self.first_invalid: int | None = None
        self.hex_ids = 0
        # Node 0 is the document, node 1 its `_id`: they are there before any document is.
        self._nodes: list[_Node] = [(-1, None), (0, "_id")]
        self._children: list[_Children] = [{"_id": 1}, {}]
        self._counts: Counter[int] = Counter()
        self._samples: dict[int, bytes] = {}
        self._hits: list[int] = []
        self._looks: dict[int, LookAt] = {}
        self._is_learning = False
        self._root = _Level(0, 0, 0)
        self._levels: dict[int, _Level] = {}
        self._shape, self._parsed = shape, 0
        self.joins = Joins() if joins is None else joins
        self.metadata = Metadata()
        self.is_series = False

    def as_json(self) -> dict[str, object]:
        """Return the counts as values that JSON can hold."""
        self._flush()
        counts = [[cell, count] for cell, count in self._counts.items()]
        return {
            "documents": self.documents,
            "invalid": self.invalid,
            "first_invalid": self.first_invalid,
            "hex_ids": self.hex_ids,
            "nodes": self._nodes[2:],
            "counts": counts,
            "samples": [[node, sample.hex()] for node, sample in self._samples.items()],
            "joins": self.joins.as_json(),
        }

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        """Return the profile that `as_json` described, to be merged into another one."""
        profile = cls(paths=max(1, len(found["nodes"])))
        profile.documents = found["documents"]
        profile.invalid = found["invalid"]
        profile.first_invalid = found["first_invalid"]
        profile.hex_ids = found["hex_ids"]
        profile._nodes += [(parent, key) for parent, key in found["nodes"]]
        profile._counts.update(dict(found["counts"]))
        profile._samples = {node: bytes.fromhex(sample) for node, sample in found["samples"]}
        profile.joins = Joins.from_json(found["joins"])
        return profile

    @property
    def is_capped(self) -> bool:
        """Whether no more paths are taken."""
        return len(self._nodes) >= self.paths + 2

    @property
    def shape(self) -> Shape | None:
        """The shape if 80 % have it; the next chunk's profile may begin with it."""
        is_common = 5 * self._parsed >= 4 * (self.documents + self.invalid)
        return self._shape if is_common else None

    def add(self, raw: bytes, offset: int) -> None:
        """Count one document at `offset` of its source; bytes that are not BSON are invalid."""
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
        if self.first_invalid is None or offset < self.first_invalid:
            self.first_invalid = offset

    def add_all(self, documents: Sequence[bytes], offsets: Sequence[int]) -> None:
        """Count documents in their order, as `add` does each of them, and ids of 24 hex digits."""
        texts = [raw[13:37] for raw in documents if raw.startswith(_TEXT_OF_24, 4)]
        self.hex_ids += len([text for text in texts if _HEX(text)])
        self.joins.add_all(documents)
        for start in range(0, len(documents), Shape.GROUP):
            stop = start + Shape.GROUP
            self._add_group(documents[start:stop], offsets[start:stop])

    def _add_group(self, documents: Sequence[bytes], offsets: Sequence[int]) -> None:
        small = [i for i, raw in enumerate(documents) if len(raw) <= Shape.LARGEST_BYTES]
        if self._shape is None and 0 < Shape.MIN_GROUP <= len(small):
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
        walks: _Walks | None = None
        counted = []
        for i, raw in enumerate(documents):
            if i in rows:
                if walks is None:
                    walks = self._find_walks(self._shape, parsed.columns)
                row = rows[i]
                values = [(walk, column[row]) for walk, column in walks]
                if not walks or self._walk_values(values):
                    counted.append(row)
                    continue
            # `add` may learn fields, which gives other columns a walk.
            self.add(raw, offsets[i])
            walks = None
        self.documents += len(counted)
        for slot, column in zip(self._shape.slots, parsed.columns, strict=True):
            field = self._find_field(slot)
            if field is not None:
                if len(counted) < len(column):
                    column = [column[row] for row in counted]  # noqa: PLW2901 - those that count
                self._counts[field[0]] += len(column) - column.count(None)
                if look_at := self._looks.get(field[0]):
                    look_at(column)
        if len(self._hits) > _FLUSH:
            self._flush()

    def _find_walks(self, shape: Shape, columns: Sequence[Sequence[SlotValue]]) -> _Walks:
        """Return the columns whose values must be walked, each with its walk.

        The walk is None where no document with such a value was walked yet. Values that the shape
        has read to the last byte need no walk that only passes over them.
        """
        walks: _Walks = []
        for slot, column in zip(shape.slots, columns, strict=True):
            field = self._find_field(slot)
            is_inlined = slot.kind == DOCUMENT and slot.path in shape.inlined
            walk = field[3] if field is not None else None
            is_seen = is_inlined or (slot.kind in LOOKS and slot.path != (b"_id",))
            if field is None or (walk not in {None, SKIP[slot.kind]} and not is_seen):
                walks.append((walk, column))
        return walks

    def _walk_values(self, values: Sequence[tuple[Skip | None, SlotValue]]) -> bool:
        """Walk values of one document; False, and nothing counts, if any is new or not BSON."""
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

    def _find_field(self, slot: Slot) -> _Field | None:
        """Return the field of a slot, None if no document that has it was walked."""
        node, level = 0, self._root
        for key in slot.path[:-1]:
            node = self._children[node].get(key.decode(), -1)
            if node not in self._levels:
                return None
            level = self._levels[node]
        return level.fields.get(b"%c%b" % (slot.kind, slot.path[-1]))

    def merge(self, other: Profile) -> None:
        """Add the profile of the documents that come after those of this one."""
        self._flush()
        other._flush()
        self.documents += other.documents
        self.invalid += other.invalid
        self.joins.merge(other.joins)
        self.hex_ids += other.hex_ids
        if self.first_invalid is None:
            self.first_invalid = other.first_invalid
        own = [0, 1]
        """For each node of the other profile the node of this one; -1 where there is no room."""
        for parent, key in other._nodes[2:]:
            own.append(self._find_node(own[parent], key))
        for cell, count in other._counts.items():
            node, code = cell >> NODE_BITS, cell & CODES
            parent, key = other._nodes[node]
            if own[node] >= 0:
                self._counts[own[node] << NODE_BITS | code] += count
            elif code in KINDS and key is not None and own[parent] >= 0:
                self._counts[own[parent] << NODE_BITS | OTHER] += count
        for node, sample in other._samples.items():
            if own[node] >= 0:
                before = self._samples.get(own[node], sample)
                self._samples[own[node]] = before and sample and before
        self._root, self._levels = _Level(0, 0, 0), {}

    def tree(self) -> PathProfile:
        """Return the paths as a tree, children in the order in which they were first seen."""
        self._flush()
        return build_tree(self._nodes, self._counts, self._samples)

    def _flush(self) -> None:
        self._counts.update(self._hits)
        self._hits.clear()

    def _find_node(self, parent: int, key: str | None) -> int:
        """Return the node of a key below `parent`, made if there is room; -1 if there is none."""
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
        if self.is_capped or node == 0 or key is None:
            return self.is_capped
        # One key more than a map needs, and the elements of arrays at the same path.
        return len(self._children[node]) > MAP_KEYS + 1

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
        is_keyed = level.is_keyed
        last: int = p + read_int32(raw, p)[0] - 1
        if last < p + 4 or raw[last]:
            raise InvalidBsonError("a document without a terminator", p)
        if not is_keyed and last == p + 4:
            self._hits.append(level.array | EMPTY)
            return last + 1
        repeated = repeated_keys(raw, p) if self._is_learning and is_keyed else ()
        find, find_field, collect = raw.find, level.fields.get, self._hits.append
        seen, p = 0, p + 4
        while p < last:
            end = find(b"\0", p + 1, last)
            if end < 0:
                raise InvalidBsonError("a key without a terminator", p)
            # A field is found by its type byte and key, which are the first bytes of an element.
            field = find_field(raw[p : end if is_keyed else p + 1])
            if field is None or repeated:
                key = raw[p + 1 : end]
                field = self._learn(level, raw[p], key, repeated)
            cell, bit, size, walk, look = field
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
                if look is not None and length in SHORT:
                    look(raw[end + 5 : p - 1])
        if p != last:
            raise InvalidBsonError("a value longer than its document", last)
        return last + 1

    def _learn(self, level: _Level, kind: int, key: bytes, repeated: Collection[bytes]) -> _Field:
        """Return the field of a key that is not in `level.fields`, or that may be repeated."""
        if not level.is_keyed:
            return level.fields.setdefault(b"%c" % kind, self._field(level, level.node, kind, 0))
        name = None if key in repeated else _name(key)
        if name is None:
            return self._rest(level, kind)
        children = self._children[level.node]
        if name not in children and self._is_full(level.node, name):
            return self._rest(level, kind)
        tag = b"%c%b" % (kind, key)
        field = level.fields.get(tag)
        if field is not None:
            return field
        if not self._is_learning:
            raise _UnusualError
        node = self._find_node(level.node, name)
        bit = level.bits.setdefault(key, 1 << len(level.bits))
        return level.fields.setdefault(tag, self._field(level, node, kind, bit))

    def _rest(self, level: _Level, kind: int) -> _Field:
        """Return the field of keys without a path: repeated, without a name, or beyond the cap."""
        field = level.rest.get(kind)
        if field is None:
            field = level.rest[kind] = _skipped(level.node << NODE_BITS | OTHER, 0, kind)
        return field

    def _field(self, level: _Level, node: int, kind: int, bit: int) -> _Field:
        cell = node << NODE_BITS | kind
        walk: Skip | None = None
        look: LookAtText | None = None
        if kind == BINARY:
            walk = self._walk_binary(node)
        elif node == 1:
            walk = self._walk_id(node, kind)
        elif kind in {DOCUMENT, ARRAY}:
            walk = self._walk_inner(level, node, kind)
        elif kind in LOOKS:
            looks = LOOKS[kind](self._hits.append, node << NODE_BITS)
            walk, self._looks[cell], look = looks
        return (cell, bit, 0, walk, look) if walk or look else _skipped(cell, bit, kind)

    def _walk_inner(self, level: _Level, node: int, kind: int) -> Skip | None:
        """Return the walk of containers at a node; None if nothing below it is profiled."""
        if kind == DOCUMENT:
            depth = level.depth + 1 if level.is_keyed else 0
            if depth > FLATTENED_LEVELS:
                return None
            inner = _Level(node, depth, level.tables)
            if level.is_keyed:
                self._levels[node] = inner
        else:
            if not level.is_keyed or level.tables >= NESTED_TABLES:
                return None
            element = self._find_node(node, None)
            if element < 0:
                return None
            inner = _Level(element, 0, level.tables + 1, is_keyed=False, array=node << NODE_BITS)
        return partial(self._walk, inner)

    def _walk_binary(self, node: int) -> Skip:
        collect, cell, samples = self._hits.append, node << NODE_BITS, self._samples

        def walk_binary(raw: bytes, p: int) -> int:
            subtype, content, end = read_binary(raw, p)
            is_uuid = subtype == 4 and len(content) == UUID_BYTES
            collect(cell | (UUID if is_uuid else SUBTYPES + subtype))
            if subtype == LEGACY_UUID:
                is_usual = len(content) == UUID_BYTES
                samples[node] = samples.get(node, content) if is_usual else b""
            return end

        return walk_binary

    def _walk_id(self, node: int, kind: int) -> Skip | None:
        fits = FITS.get(kind)
        if fits is None:
            return None
        collect, skip = self._hits.append, SKIP[kind]
        look: LookAtText | None = None
        if kind in LOOKS:
            walk, _, look = LOOKS[kind](collect, node << NODE_BITS)
            skip = walk or skip
        unfit = node << NODE_BITS | UNFIT

        def walk_id(raw: bytes, p: int) -> int:
            end = skip(raw, p)
            if look is not None and end - p - 4 in SHORT:
                look(raw[p + 4 : end - 1])
            if not fits(raw[p:end]):
                collect(unfit)
            return end

        return walk_id


def _skipped(cell: int, bit: int, kind: int) -> _Field:
    """Return a field whose value is passed over; the content of containers is checked."""
    if kind in _SIZES:
        return cell, bit, _SIZES[kind] + 1, None, None
    if kind in {STRING, CODE, SYMBOL}:
        return cell, bit, 0, None, None
    return cell, bit, 0, _CHECKS.get(kind, SKIP[kind]), None


def _check_inner(raw: bytes, p: int) -> int:
    end = open_document(raw, p) + 1
    check_document(raw[p:end])
    return end


def _check_scope(raw: bytes, p: int) -> int:
    _, scope, end = read_code_with_scope(raw, p)
    check_document(raw[scope:end])
    return end


_CHECKS: dict[int, Skip] = {
    DOCUMENT: _check_inner,
    ARRAY: _check_inner,
    CODE_WITH_SCOPE: _check_scope,
}


def _name(key: bytes) -> str | None:
    """Return the text of a key that a column can read; None for any other key."""
    if len(key) > KEY_BYTES:
        return None
    try:
        name = key.decode()
    except UnicodeDecodeError:
        return None
    return name if is_nameable(name) else None
