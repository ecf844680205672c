"""Shred documents that look alike, column by column.

A shape reads thousands of them at once, and whole columns of values become fields. A document that
looks different, or has a value that its column does not hold, is left to the document path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress, repeat

from assise.documents.kinds import ARRAY, DOCUMENT, NULL
from assise.documents.reader import NOT_BSON, read_int32
from assise.documents.shape import KeyPath, Shape, SlotValue, find_values
from assise.manifest.layout import ColumnLayout
from assise.manifest.sections.absent import IS_DOCUMENT, IS_EMPTY, IS_NULL
from assise.rows.counts import CountingWriters
from assise.rows.model import Document
from assise.rows.tree import Level, Tree
from assise.types.anykey import is_digest_field
from assise.types.codec import Encode, EncodeColumn, encode_each
from assise.types.jsonb import ORDERED, jsonb_field
from assise.types.table import find_type, is_array
from assise.types.wire import NULL_FIELD, CopyField, array_size, int4_field, row_head

INLINED_LEVELS = 8

EMPTY_BYTES = b"\5\0\0\0\0"
"""An empty document, or an empty array."""

Fallback = set[int]
"""Documents, by their positions, that are left to the document path."""

Texts = list[str | None]


@dataclass
class _ExtraPlan:
    """What of one level goes into `_extra`.

    Values (slot, name, kind, depth), child tables (slot, name) and levels below (slot, name, plan).
    `is_silent` is a level that is there without a note.
    """

    values: list[tuple[int, str, int, int]] = field(default_factory=list)
    arrays: list[tuple[int, str]] = field(default_factory=list)
    levels: list[tuple[int, str, _ExtraPlan]] = field(default_factory=list)
    is_silent: bool = False


@dataclass
class _TablePlan:
    """Where the values of each slot of a shape go.

    Columns are given by their position in the layout, child tables by that of their layout.

    Args:
        fields: slot, column, encoder.
        arrays: columns whose fields count for more than one leaf.
        jsonb: slot, column, kind.
        children: slot, child table.
        silent: slots whose values go without a field and a note, but for other values in them.
        refused: slots whose values the document path writes.
        told: what must be told of documents of a level: the level's slot (None for the root), and
            slots of which one has a value, or the document path says what is missing.
        unheld: slot, column, kind of values that their column does not hold.
    """

    shape: Shape
    fields: list[tuple[int, int, EncodeColumn]] = field(default_factory=list)
    arrays: set[int] = field(default_factory=set)
    jsonb: list[tuple[int, int, int]] = field(default_factory=list)
    children: list[tuple[int, int]] = field(default_factory=list)
    silent: list[tuple[int, bytes]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    told: list[tuple[int | None, list[int]]] = field(default_factory=list)
    unheld: list[tuple[int, int, int]] = field(default_factory=list)
    extra: _ExtraPlan = field(default_factory=_ExtraPlan)


@dataclass
class _Part:
    """Documents of one table: beside each its root document, and the ordinals of its row."""

    table: int
    plan: _TablePlan
    roots: list[int]
    ordinals: list[bytes]
    columns: Sequence[Sequence[SlotValue]]
    fields: dict[int, list[CopyField]] = field(default_factory=dict)

    def drop(self, fallback: Fallback) -> None:
        """Take out what belongs to these root documents."""
        kept = [root not in fallback for root in self.roots]
        if not all(kept):
            self.roots = list(compress(self.roots, kept))
            self.ordinals = list(compress(self.ordinals, kept))
            self.columns = [list(compress(column, kept)) for column in self.columns]
            self.fields = {
                position: list(compress(fields, kept)) for position, fields in self.fields.items()
            }


@dataclass
class ColumnarRows:
    """Documents that were taken, by position; beside each row that of its document in `taken`."""

    taken: list[int]
    keys: list[CopyField]
    rows: list[list[bytes]]
    owners: list[list[int]]


class ColumnarShredder:
    """Shreds groups of documents of one collection as far as they look alike."""

    def __init__(self, tree: Tree, writers: CountingWriters, *, min_group: int) -> None:
        self._tree, self._writers, self._min_group = tree, writers, min_group
        self._plans: dict[int, _TablePlan] = {}
        self._seen, self._due = [0] * len(tree.layouts), [0] * len(tree.layouts)
        self._inlined = [frozenset(_list_paths(root, ())) for root in tree.roots]

    def shred(self, group: Sequence[Document]) -> ColumnarRows:
        """Shred those that look alike; no document that is not BSON, or has no key."""
        before = self._writers.values
        small = [i for i, (_, raw) in enumerate(group) if len(raw) <= Shape.LARGEST_BYTES]
        if not self._min_group or not small:
            return self._nothing()
        try:
            return self._shred(group, small)
        except NOT_BSON:
            self._writers.reset(before)
            self._writers.columns.forget()
            return self._nothing()

    def find_whole(self, documents: Sequence[bytes]) -> list[int]:
        """Find the documents that the shape of the collection reads to the last byte."""
        plan = self._plans.get(0)
        return plan.shape.parse(documents).hits if plan and plan.shape.is_whole else []

    def _nothing(self) -> ColumnarRows:
        return ColumnarRows(
            [], [], [[] for _ in self._tree.layouts], [[] for _ in self._tree.layouts]
        )

    def _shred(self, group: Sequence[Document], small: list[int]) -> ColumnarRows:
        """The rows of a group, whose documents at the positions `small` are tried."""
        result, fallback = self._nothing(), Fallback()
        documents = [group[i][1] for i in small]
        parts = list(self._read(0, documents, small, [b""] * len(small), fallback))
        if not parts:
            return result
        top, key, position = parts[0], self._tree.key, self._tree.key_position
        if write_offset := find_type(key.type).write_offset if key.kind == "offset" else None:
            offsets = [group[root][0] for root in top.roots]
            top.fields[position] = [write_offset(offset) or NULL_FIELD for offset in offsets]
        keys = top.fields.get(position, [NULL_FIELD] * len(top.roots))
        fallback.update(
            root for root, field in zip(top.roots, keys, strict=True) if field == NULL_FIELD
        )
        if fallback:
            for part in parts:
                part.drop(fallback)
        result.taken, result.keys = top.roots, top.fields.get(position, [])
        numbers = {root: number for number, root in enumerate(result.taken)}
        for part in parts:
            if part.roots:
                owners = [numbers[root] for root in part.roots]
                result.owners[part.table] += owners
                result.rows[part.table] += self._write(part, result.keys, owners)
        return result

    def _read(
        self,
        table: int,
        documents: Sequence[bytes],
        roots: list[int],
        ordinals: list[bytes],
        fallback: Fallback,
    ) -> Iterator[_Part]:
        """Read the documents of one table and of those below it."""
        plan = self._plans.get(table)
        if plan is None:
            if len(documents) < self._min_group:
                fallback.update(roots)
                return
            plan = self._plans[table] = self._learn(table, documents)
        parsed = plan.shape.parse(documents)
        self._seen[table] += 1
        if len(parsed.hits) < len(documents):
            hits = set(parsed.hits)
            fallback.update(root for i, root in enumerate(roots) if i not in hits)
            roots = [roots[i] for i in parsed.hits]
            ordinals = [ordinals[i] for i in parsed.hits]
            # A shape that too few documents have is learnt anew, each time later than the last.
            if 5 * len(hits) < 4 * len(documents) and self._seen[table] > self._due[table]:
                self._due[table] = 2 * self._seen[table]
                del self._plans[table]
        part = _Part(table, plan, roots, ordinals, parsed.columns)
        for slot, position, encode in plan.fields:
            _fill(part, slot, position, encode, fallback)
        for slot in plan.refused:
            fallback.update(
                root
                for root, value in zip(roots, parsed.columns[slot], strict=True)
                if value is not None
            )
        for level, slots in plan.told:
            fallback.update(_find_untold(parsed.columns, roots, level, slots))
        yield part
        for slot, child in plan.children:
            inner = _Elements()
            for root, front, value in zip(roots, ordinals, parsed.columns[slot], strict=True):
                if value is not None and not inner.split(value, root, front):
                    fallback.add(root)
            if inner.documents:
                yield from self._read(child, inner.documents, inner.roots, inner.ordinals, fallback)

    def _learn(self, table: int, documents: Sequence[bytes]) -> _TablePlan:
        shape = Shape(documents, self._inlined[table].__contains__)
        plan = _TablePlan(shape)
        extra: dict[KeyPath, _ExtraPlan] = {(): plan.extra}
        for i, slot in enumerate(shape.slots):
            *above, key = slot.path
            level = self._tree.roots[table]
            for outer in above:
                level = level.levels[outer]
            name = self._writers.extra.key(key) or ""
            position, column = level.columns.get(key, (0, None))
            is_id = table == 0 and slot.path == (b"_id",)
            if (is_id and slot.kind in ORDERED) or self._is_refused(level, key, slot.kind):
                plan.refused.append(i)
            elif slot.kind == NULL and level.absent.get(key) == IS_NULL:
                plan.silent.append((i, b""))
                if column is not None:
                    plan.unheld.append((i, position, NULL))
            elif slot.kind == DOCUMENT and key in level.levels:
                if slot.path in shape.inlined:
                    is_silent = level.absent.get(key) == IS_DOCUMENT
                    extra[slot.path] = inner = _ExtraPlan(is_silent=is_silent)
                    if is_silent:
                        plan.silent.append((i, EMPTY_BYTES))
                    extra[slot.path[:-1]].levels.append((i, name, inner))
                else:
                    plan.refused.append(i)
            elif slot.kind == ARRAY and key in level.arrays:
                plan.children.append((i, level.arrays[key]))
                if level.absent.get(key) == IS_EMPTY:
                    plan.silent.append((i, EMPTY_BYTES))
                else:
                    extra[slot.path[:-1]].arrays.append((i, name))
            elif column is None or not self._add_fields(plan, i, slot.kind, *level.columns[key]):
                extra[slot.path[:-1]].values.append((i, name, slot.kind, len(slot.path)))
                if column is not None:
                    plan.unheld.append((i, position, slot.kind))
        _tell(plan, self._tree.roots[table], ())
        return plan

    def _is_refused(self, level: Level, key: bytes, kind: int) -> bool:
        """Whether the document path shreds values of a kind, because something must be noted."""
        if self._tree.rules == 1:
            return False
        if key in level.arrays:
            has_elements = self._tree.elements[level.arrays[key]] is not None
            return kind == DOCUMENT or (kind == ARRAY and has_elements)
        if key not in level.columns:
            return False
        _, column = level.columns[key]
        codec = self._tree.codec(column)
        return column.kind.startswith("dbref(") or (kind in codec.read and kind not in codec.encode)

    def _add_fields(
        self, plan: _TablePlan, slot: int, kind: int, position: int, column: ColumnLayout
    ) -> bool:
        """Plan that a slot's values become fields; False when the column does not hold the kind."""
        if column.type == "jsonb":
            if kind != NULL:
                plan.jsonb.append((slot, position, kind))
            return kind != NULL
        codec = self._tree.codec(column)
        if kind not in codec.encode:
            return False
        encode = codec.column_encoder(kind)
        if column.kind == "any":
            encode = _refuse_digests(codec.encode[kind])
        plan.fields.append((slot, position, encode))
        if is_array(column.type):
            plan.arrays.add(position)
        return True

    def _write(
        self, part: _Part, keys: Sequence[CopyField], owners: Sequence[int]
    ) -> Iterable[bytes]:
        """The rows of a part, whose values are counted now."""
        writers, layout = self._writers, self._tree.layouts[part.table]
        count = len(part.roots)
        for slot, position, _ in part.plan.fields:
            if position in part.plan.arrays:
                found = part.fields.get(position, ())
                sizes = [array_size(field) or 1 for field in found if field != NULL_FIELD]
                writers.typed += sum(sizes)
                held = len(sizes)
            else:
                held = len(find_values(part.columns[slot]))
                writers.typed += held
            writers.columns.add_held(part.table, position, held)
        for slot, silent in part.plan.silent:
            writers.typed += part.columns[slot].count(silent)
        for slot, position, kind in part.plan.jsonb:
            fields = part.fields.setdefault(position, [NULL_FIELD] * count)
            for i, value in enumerate(part.columns[slot]):
                if value is not None:
                    fields[i] = jsonb_field(writers.jsonb.value(kind, value, 0)[0])
            held = count - part.columns[slot].count(None)
            writers.columns.add_held(part.table, position, held)
        for slot, position, kind in part.plan.unheld:
            values = find_values(part.columns[slot])
            writers.columns.add_extra(part.table, position, kind, values)
        texts = self._write_extra(part.plan.extra, part.columns, count)
        columns = [
            part.fields.get(position) or repeat(NULL_FIELD, count)
            for position in range(layout.key_width, len(layout.names) - 1)
        ]
        extra_of = {text: NULL_FIELD if text is None else jsonb_field(text) for text in set(texts)}
        extras: Iterable[CopyField] = repeat(NULL_FIELD, count)
        if texts:
            extras = [extra_of[text] for text in texts]
        head = row_head(len(layout.names))
        fronts: Iterable[bytes] = repeat(head, count)
        if layout.parent is not None:
            fronts = [
                head + keys[owner] + ordinals
                for owner, ordinals in zip(owners, part.ordinals, strict=True)
            ]
        return map(b"".join, zip(fronts, *columns, extras, strict=True))

    def _write_extra(
        self, plan: _ExtraPlan, columns: Sequence[Sequence[SlotValue]], count: int
    ) -> Texts:
        """What stands in `_extra` for one level of each document; empty when nothing at all."""
        writer, parts = self._writers.extra, list[Texts]()
        for slot, name, kind, depth in plan.values:
            if any(value is not None for value in columns[slot]):
                parts.append(
                    [
                        None
                        if value is None
                        else f"{name}:{writer.value(kind, value, 0, depth)[0]}"
                        for value in columns[slot]
                    ]
                )
        for slot, name in plan.arrays:
            if EMPTY_BYTES in columns[slot]:
                empty = f"{name}:[]"
                parts.append([empty if value == EMPTY_BYTES else None for value in columns[slot]])
                writer.leaves += columns[slot].count(EMPTY_BYTES)
        for slot, name, inner in plan.levels:
            texts = self._write_extra(inner, columns, count)
            if EMPTY_BYTES in columns[slot] and not inner.is_silent:
                texts = [
                    "{}" if value == EMPTY_BYTES else text
                    for value, text in zip(columns[slot], texts or repeat(None), strict=False)
                ]
                writer.leaves += columns[slot].count(EMPTY_BYTES)
            if texts:
                parts.append([text and f"{name}:{text}" for text in texts])
        return [_join(texts) for texts in zip(*parts, strict=True)]


def _tell(plan: _TablePlan, level: Level, path: KeyPath, *, is_silent: bool = False) -> None:
    """Plan what must be told of the documents of a level, and of those below it."""
    slots = plan.shape.slots
    numbers = {(slot.path, slot.kind): i for i, slot in enumerate(slots)}
    at = numbers.get((path, DOCUMENT)) if path else None
    if path and at is None:
        return
    silent = {i for i, value in plan.silent if value == b""}
    for key in level.absent:
        below = (*path, key)
        plan.told.append((at, [i for i, slot in enumerate(slots) if slot.path == below]))
    if path and level.is_told and not is_silent:
        telling = [
            i
            for i, slot in enumerate(slots)
            if slot.path[: len(path)] == path
            and len(slot.path) > len(path)
            and slot.kind not in {DOCUMENT, ARRAY}
            and i not in silent
        ]
        plan.told.append((at, telling))
    for key, inner in level.levels.items():
        _tell(plan, inner, (*path, key), is_silent=level.absent.get(key) == IS_DOCUMENT)


def _find_untold(
    columns: Sequence[Sequence[SlotValue]],
    roots: Sequence[int],
    level: int | None,
    slots: Sequence[int],
) -> Iterator[int]:
    """The root documents of which something must be noted: none of the slots has a value."""
    is_there: Iterable[bool] = repeat(True, len(roots))
    if level is not None:
        is_there = [value is not None for value in columns[level]]
    has_value: Iterable[bool] = repeat(False, len(roots))
    if slots:
        found = zip(*[columns[slot] for slot in slots], strict=True)
        has_value = [values.count(None) < len(values) for values in found]
    for root, there, has in zip(roots, is_there, has_value, strict=True):
        if there and not has:
            yield root


def _join(texts: Sequence[str | None]) -> str | None:
    found = [text for text in texts if text]
    return f"{{{','.join(found)}}}" if found else None


@dataclass
class _Elements:
    """The documents in arrays: beside each its root document, and the ordinals of its row."""

    documents: list[bytes] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    ordinals: list[bytes] = field(default_factory=list)

    def split(self, value: bytes, root: int, ordinals: bytes) -> bool:
        """Add the elements of one array; False when one is no document, or an empty one."""
        p, last, position = 4, len(value) - 1, 0
        while p < last and value[p] == DOCUMENT:
            start = value.find(b"\0", p + 1) + 1
            size: int = read_int32(value, start)[0]
            if size <= 5:
                return False
            p = start + size
            self.documents.append(value[start:p])
            self.roots.append(root)
            self.ordinals.append(ordinals + int4_field(position))
            position += 1
        return p == last


def _fill(part: _Part, slot: int, position: int, encode: EncodeColumn, fallback: Fallback) -> None:
    """Put the fields of a slot into the part; a document with an unfit value falls back."""
    column = part.columns[slot]
    values = find_values(column)
    if not values:
        return
    found = encode(values)
    positions: Sequence[int] = range(len(column))
    if len(values) < len(column):
        positions = [i for i, value in enumerate(column) if value is not None]
    fields = [field for field in found if field]
    if len(fields) < len(found):
        fallback.update(
            part.roots[i] for i, field in zip(positions, found, strict=True) if field is None
        )
        fields = [field or NULL_FIELD for field in found]
    if len(fields) == len(column):
        part.fields[position] = fields
        return
    target = part.fields.setdefault(position, [NULL_FIELD] * len(column))
    for i, found_field in zip(positions, fields, strict=True):
        target[i] = found_field


def _refuse_digests(encode: Encode) -> EncodeColumn:
    """The encoder of keys of kind any; one that is a digest needs `_extra`, and falls back."""

    def encode_column(values: Sequence[bytes]) -> list[CopyField | None]:
        found = encode_each(encode, values)
        return [None if field is None or is_digest_field(field) else field for field in found]

    return encode_column


def _list_paths(level: Level, path: KeyPath) -> Iterator[KeyPath]:
    """The paths of the documents that the manifest flattens, as deep as they are read at once."""
    for key, inner in level.levels.items():
        if len(path) < INLINED_LEVELS:
            yield (*path, key)
            yield from _list_paths(inner, (*path, key))
