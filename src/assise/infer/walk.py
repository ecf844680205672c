"""The walk over a document, which counts its fields: the definition of a profile.

A walk uses the fields of earlier documents and only collects what is to be counted. At anything new
it gives up; then the document is checked whole, and a second walk learns its fields. So bytes that
are not BSON leave no trace. Where `assise-native` is installed it walks (native/src/profile.rs).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial

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
from assise.errors import InvalidBsonError
from assise.infer.ids import FITS
from assise.infer.looks import LOOKS, SHORT, LookAtText
from assise.infer.tree import CODES, EMPTY, NODE_BITS, OTHER, SUBTYPES, UNFIT, UUID, PathNodes
from assise.manifest.paths import is_nameable

FLATTENED_LEVELS = 3
NESTED_TABLES = 20
KEY_BYTES = 1_000
"""A longer key gets no path, so that 20,000 of them take little memory."""

LEGACY_UUID, UUID_BYTES = 3, 16
"""The subtype of UUIDs before there was a common order of bytes, and the bytes of one."""

_Field = tuple[int, int, int, Skip | None, LookAtText | None]
"""(what to count, bit of the key, bytes from the end of the key to the next element, walk, look).

Without a walk and with 0 bytes, the value is a string; where it is short, the look is at it. What
to count is a node and a code, see `infer.tree`.
"""

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


class Walk:
    """Walks the documents of one collection, and counts what it finds at the paths of `nodes`.

    `samples` are binaries of subtype 3, see `infer.tree`, and `hex_ids` is the number of documents
    whose `_id`, their first field, is a text of 24 hex digits.
    """

    def __init__(self, nodes: PathNodes) -> None:
        self.nodes = nodes
        self.counts: Counter[int] = Counter()
        self.samples: dict[int, bytes] = {}
        self.hex_ids = 0
        self._hits: list[int] = []
        self._sampled: list[tuple[int, bytes]] = []
        self._is_learning = False
        self._root = _Level(0, 0, 0)

    def add(self, raw: bytes) -> bool:
        """Count one document; False, and nothing counts, for bytes that are not BSON."""
        hits = self._hits
        mark = len(hits)
        try:
            is_whole = self._walk_document(raw, mark) == len(raw)
        except NOT_BSON:
            is_whole = False
        if not is_whole:
            del hits[mark:]
            self._sampled.clear()
            return False
        self._keep_samples()
        if raw.startswith(_TEXT_OF_24, 4):
            self.hex_ids += _HEX(raw, 13, 37) is not None
        if len(hits) > _FLUSH:
            self.flush()
        return True

    def flush(self) -> None:
        """Add what was collected to the counts."""
        self.counts.update(self._hits)
        self._hits.clear()

    def merge(self, other: Walk) -> None:
        """Add the counts of a walk over the documents that come after those of this one."""
        self.hex_ids += other.hex_ids
        own = [0, 1]
        """For each node of the other walk the node of this one; -1 where there is no room."""
        for parent, key in other.nodes.all[2:]:
            own.append(self.nodes.find(own[parent], key))
        for cell, count in other.counts.items():
            node, code = cell >> NODE_BITS, cell & CODES
            parent, key = other.nodes.all[node]
            if own[node] >= 0:
                self.counts[own[node] << NODE_BITS | code] += count
            elif code in KINDS and key is not None and own[parent] >= 0:
                self.counts[own[parent] << NODE_BITS | OTHER] += count
        for node, sample in other.samples.items():
            if own[node] >= 0:
                before = self.samples.get(own[node], sample)
                self.samples[own[node]] = before and sample and before
        self._root = _Level(0, 0, 0)

    def _keep_samples(self) -> None:
        for node, content in self._sampled:
            is_usual = len(content) == UUID_BYTES
            self.samples[node] = self.samples.get(node, content) if is_usual else b""
        self._sampled.clear()

    def _walk_document(self, raw: bytes, mark: int) -> int:
        try:
            return self._walk(self._root, raw, 0)
        except _UnusualError:
            del self._hits[mark:]
            self._sampled.clear()
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
        if not self.nodes.has_room(level.node, name):
            return self._rest(level, kind)
        tag = b"%c%b" % (kind, key)
        field = level.fields.get(tag)
        if field is not None:
            return field
        if not self._is_learning:
            raise _UnusualError
        node = self.nodes.find(level.node, name)
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
            walk, look = LOOKS[kind](self._hits.append, node << NODE_BITS)
        return (cell, bit, 0, walk, look) if walk or look else _skipped(cell, bit, kind)

    def _walk_inner(self, level: _Level, node: int, kind: int) -> Skip | None:
        """Return the walk of containers at a node; None if nothing below it is profiled."""
        if kind == DOCUMENT:
            depth = level.depth + 1 if level.is_keyed else 0
            if depth > FLATTENED_LEVELS:
                return None
            inner = _Level(node, depth, level.tables)
        else:
            if not level.is_keyed or level.tables >= NESTED_TABLES:
                return None
            element = self.nodes.find(node, None)
            if element < 0:
                return None
            inner = _Level(element, 0, level.tables + 1, is_keyed=False, array=node << NODE_BITS)
        return partial(self._walk, inner)

    def _walk_binary(self, node: int) -> Skip:
        collect, cell, sample = self._hits.append, node << NODE_BITS, self._sampled.append

        def walk_binary(raw: bytes, p: int) -> int:
            subtype, content, end = read_binary(raw, p)
            is_uuid = subtype == 4 and len(content) == UUID_BYTES
            collect(cell | (UUID if is_uuid else SUBTYPES + subtype))
            if subtype == LEGACY_UUID:
                sample((node, content))
            return end

        return walk_binary

    def _walk_id(self, node: int, kind: int) -> Skip | None:
        fits = FITS.get(kind)
        if fits is None:
            return None
        collect, skip = self._hits.append, SKIP[kind]
        look: LookAtText | None = None
        if kind in LOOKS:
            walk, look = LOOKS[kind](collect, node << NODE_BITS)
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
