"""Documents that look alike, shredded column by column.

The way of nearly all documents of a collection: a shape reads thousands of them at once, and whole columns of values become
cells. A document that looks different, or has a value that its column does not hold, is left out: `assise.rows.walk` takes it
field by field. Both give the same cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress, repeat

from assise.documents.kinds import ARRAY, DOCUMENT, NULL
from assise.documents.reader import NOT_BSON, read_int32
from assise.documents.shape import FEWEST, Path, Shape, Value, find_values
from assise.manifest.layout import ColumnLayout
from assise.manifest.types import is_array
from assise.rows.cells import (
    NULL_CELL,
    Encode,
    array_size,
    jsonb_cell,
    offset_cell,
    pack_int4,
    rule,
)
from assise.rows.encode import EncodeAll, encode_all
from assise.rows.tally import Tally
from assise.rows.tree import ORDERED, Level, Tree

INLINED_LEVELS = 8

EMPTY_BYTES = b"\5\0\0\0\0"
"""An empty document, or an empty array."""

Texts = list[str | None]


@dataclass
class _Notes:
    """What of one level goes into `_extra`: values (slot, name, kind, depth), and levels and child tables below (slot, name)."""

    values: list[tuple[int, str, int, int]] = field(default_factory=list)
    arrays: list[tuple[int, str]] = field(default_factory=list)
    levels: list[tuple[int, str, _Notes]] = field(default_factory=list)


@dataclass
class _Plan:
    """What to do with the slots of a shape; columns are given by their position in the layout, children by that of theirs."""

    shape: Shape
    cells: list[tuple[int, int, EncodeAll]] = field(default_factory=list)
    arrays: set[int] = field(default_factory=set)
    jsonb: list[tuple[int, int, int]] = field(default_factory=list)
    children: list[tuple[int, int]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    notes: _Notes = field(default_factory=_Notes)


@dataclass
class _Part:
    """Documents of one table: for each the position of its root document, and what stands in front of its cells."""

    table: int
    plan: _Plan
    roots: list[int]
    fronts: list[bytes]
    columns: Sequence[Sequence[Value]]
    cells: dict[int, list[bytes]] = field(default_factory=dict)

    def keep(self, bad: set[int]) -> None:
        """Take out what belongs to the root documents `bad`."""
        kept = [root not in bad for root in self.roots]
        if not all(kept):
            self.roots, self.fronts = (
                list(compress(self.roots, kept)),
                list(compress(self.fronts, kept)),
            )
            self.columns = [list(compress(column, kept)) for column in self.columns]
            self.cells = {
                position: list(compress(cells, kept)) for position, cells in self.cells.items()
            }


@dataclass
class Shaped:
    """The rows of the documents that were taken, and beside each row the position of its document in `taken`."""

    taken: list[int]
    keys: list[bytes]
    rows: list[list[bytes]]
    owners: list[list[int]]


class ShapedShredder:
    """Shreds groups of documents of one collection as far as they look alike."""

    def __init__(self, tree: Tree, tally: Tally) -> None:
        self._tree, self._tally = tree, tally
        self._plans: dict[int, _Plan] = {}
        self._seen, self._due = [0] * len(tree.layouts), [0] * len(tree.layouts)
        self._inlined = [frozenset(_paths(root, ())) for root in tree.roots]

    def shred(self, documents: Sequence[bytes], offsets: Sequence[int]) -> Shaped:
        """The rows of those that look alike; none of a document that is not BSON, or whose `_id` the key does not fit."""
        before = self._tally.values
        try:
            return self._shred(documents, offsets)
        except NOT_BSON:
            self._tally.reset(before)
            return self._nothing()

    def find_whole(self, documents: Sequence[bytes]) -> list[int]:
        """Which documents the shape of the collection reads to the last byte."""
        plan = self._plans.get(0)
        return plan.shape.parse(documents).hits if plan and plan.shape.is_whole else []

    def _nothing(self) -> Shaped:
        return Shaped([], [], [[] for _ in self._tree.layouts], [[] for _ in self._tree.layouts])

    def _shred(self, documents: Sequence[bytes], offsets: Sequence[int]) -> Shaped:
        shaped, bad = self._nothing(), set[int]()
        count = len(documents)
        parts = list(self._read(0, documents, list(range(count)), [b""] * count, bad))
        if not parts:
            return shaped
        place = self._tree.key_position
        if self._tree.key.kind == "offset":
            key_type = self._tree.key.type
            parts[0].cells[place] = [
                offset_cell(key_type, offsets[root]) or NULL_CELL for root in parts[0].roots
            ]
        keys = parts[0].cells.get(place, [NULL_CELL] * len(parts[0].roots))
        bad.update(root for root, key in zip(parts[0].roots, keys, strict=True) if key == NULL_CELL)
        if bad:
            for part in parts:
                part.keep(bad)
        shaped.taken, shaped.keys = parts[0].roots, parts[0].cells.get(place, [])
        numbers = {root: number for number, root in enumerate(shaped.taken)}
        for part in parts:
            if part.roots:
                shaped.owners[part.table] += [numbers[root] for root in part.roots]
                shaped.rows[part.table] += self._write(part, shaped.keys, shaped.owners[part.table])
        return shaped

    def _read(
        self,
        table: int,
        documents: Sequence[bytes],
        roots: list[int],
        fronts: list[bytes],
        bad: set[int],
    ) -> Iterator[_Part]:
        """The documents of one table and of those below it; root documents with something else go to `bad`."""
        plan = self._plans.get(table)
        if plan is None:
            if len(documents) < FEWEST:
                bad.update(roots)
                return
            plan = self._plans[table] = self._learn(table, documents)
        parsed = plan.shape.parse(documents)
        self._seen[table] += 1
        if len(parsed.hits) < len(documents):
            hits = set(parsed.hits)
            bad.update(root for i, root in enumerate(roots) if i not in hits)
            roots, fronts = [roots[i] for i in parsed.hits], [fronts[i] for i in parsed.hits]
            if 5 * len(hits) < 4 * len(documents) and self._seen[table] > self._due[table]:
                self._due[table] = 2 * self._seen[table]
                del self._plans[table]
        part = _Part(table, plan, roots, fronts, parsed.columns)
        for slot, position, encode in plan.cells:
            _fill(part, slot, position, encode, bad)
        for slot in plan.refused:
            bad.update(
                root
                for root, value in zip(roots, parsed.columns[slot], strict=True)
                if value is not None
            )
        yield part
        for slot, child in plan.children:
            inner = _Elements()
            for root, front, value in zip(roots, fronts, parsed.columns[slot], strict=True):
                if value is not None and not inner.split(value, root, front):
                    bad.add(root)
            if inner.documents:
                yield from self._read(child, inner.documents, inner.roots, inner.fronts, bad)

    def _learn(self, table: int, documents: Sequence[bytes]) -> _Plan:
        shape = Shape(documents, self._inlined[table].__contains__)
        plan = _Plan(shape)
        notes: dict[Path, _Notes] = {(): plan.notes}
        for i, slot in enumerate(shape.slots):
            *above, key = slot.path
            level = self._tree.roots[table]
            for outer in above:
                level = level.levels[outer]
            name = self._tally.notes.key(key) or ""
            _, column = level.columns.get(key, (0, None))
            is_id = table == 0 and slot.path == (b"_id",)
            if is_id and slot.kind in ORDERED:
                plan.refused.append(i)
            elif slot.kind == DOCUMENT and key in level.levels:
                if slot.path in shape.inlined:
                    notes[slot.path] = inner = _Notes()
                    notes[slot.path[:-1]].levels.append((i, name, inner))
                else:
                    plan.refused.append(i)
            elif slot.kind == ARRAY and key in level.arrays:
                plan.children.append((i, level.arrays[key]))
                notes[slot.path[:-1]].arrays.append((i, name))
            elif column is None or not self._add_cells(plan, i, slot.kind, *level.columns[key]):
                notes[slot.path[:-1]].values.append((i, name, slot.kind, len(slot.path)))
        return plan

    def _add_cells(
        self, plan: _Plan, slot: int, kind: int, position: int, column: ColumnLayout
    ) -> bool:
        """Plan that a slot's values become cells; False when the column does not hold this kind."""
        if column.type == "jsonb":
            if kind != NULL:
                plan.jsonb.append((slot, position, kind))
            return kind != NULL
        encode = rule(column.type, column.kind)[0].get(kind)
        if encode is not None:
            plan.cells.append(
                (
                    slot,
                    position,
                    encode_all(_without_digests(encode) if column.kind == "any" else encode),
                )
            )
            if is_array(column.type):
                plan.arrays.add(position)
        return encode is not None

    def _write(self, part: _Part, keys: list[bytes], owners: list[int]) -> Iterable[bytes]:
        """The rows of a part, whose values are counted now."""
        tally, layout, count = self._tally, self._tree.layouts[part.table], len(part.roots)
        for slot, position, _ in part.plan.cells:
            if position in part.plan.arrays:
                tally.typed += sum(
                    array_size(cell) or 1
                    for cell in part.cells.get(position, ())
                    if cell != NULL_CELL
                )
            else:
                tally.typed += len(find_values(part.columns[slot]))
        for slot, position, kind in part.plan.jsonb:
            cells = part.cells.setdefault(position, [NULL_CELL] * count)
            for i, value in enumerate(part.columns[slot]):
                if value is not None:
                    cells[i] = jsonb_cell(tally.jsonb.value(kind, value, 0)[0])
        texts = self._write_notes(part.plan.notes, part.columns, count)
        places = range(layout.key_width, len(layout.names) - 1)
        cells_of = [part.cells.get(position) or repeat(NULL_CELL, count) for position in places]
        extra_of = {text: NULL_CELL if text is None else jsonb_cell(text) for text in set(texts)}
        extras: Iterable[bytes] = (
            [extra_of[text] for text in texts] if texts else repeat(NULL_CELL, count)
        )
        head = len(layout.names).to_bytes(2, "big")
        fronts: Iterable[bytes] = repeat(head, count)
        if layout.parent is not None:
            fronts = [
                head + keys[owner] + front for owner, front in zip(owners, part.fronts, strict=True)
            ]
        return map(b"".join, zip(fronts, *cells_of, extras, strict=True))

    def _write_notes(self, notes: _Notes, columns: Sequence[Sequence[Value]], count: int) -> Texts:
        """What stands in `_extra` for one level of each document; an empty list when it is nothing for all of them."""
        writer, parts = self._tally.notes, list[Texts]()
        for slot, name, kind, depth in notes.values:
            if any(value is not None for value in columns[slot]):
                parts.append(
                    [
                        None
                        if value is None
                        else f"{name}:{writer.value(kind, value, 0, depth)[0]}"
                        for value in columns[slot]
                    ]
                )
        for slot, name in notes.arrays:
            if EMPTY_BYTES in columns[slot]:
                parts.append(
                    [f"{name}:[]" if value == EMPTY_BYTES else None for value in columns[slot]]
                )
                writer.leaves += columns[slot].count(EMPTY_BYTES)
        for slot, name, inner in notes.levels:
            texts = self._write_notes(inner, columns, count)
            if EMPTY_BYTES in columns[slot]:
                texts = [
                    "{}" if value == EMPTY_BYTES else text
                    for value, text in zip(columns[slot], texts or repeat(None), strict=False)
                ]
                writer.leaves += columns[slot].count(EMPTY_BYTES)
            if texts:
                parts.append([text and f"{name}:{text}" for text in texts])
        return [
            f"{{{','.join(found)}}}" if (found := [text for text in texts if text]) else None
            for texts in zip(*parts, strict=True)
        ]


@dataclass
class _Elements:
    """The documents in arrays, with the positions of their root documents and what stands in front of their cells."""

    documents: list[bytes] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    fronts: list[bytes] = field(default_factory=list)

    def split(self, value: bytes, root: int, front: bytes) -> bool:
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
            self.fronts.append(front + pack_int4(4, position))
            position += 1
        return p == last


def _fill(part: _Part, slot: int, position: int, encode: EncodeAll, bad: set[int]) -> None:
    """Put the cells of a slot into the part; documents with a value that does not fit go to `bad`."""
    column = part.columns[slot]
    values = find_values(column)
    if not values:
        return
    found = encode(values)
    places = (
        range(len(column))
        if len(values) == len(column)
        else [i for i, value in enumerate(column) if value is not None]
    )
    cells = [cell for cell in found if cell]
    if len(cells) < len(found):
        bad.update(part.roots[i] for i, cell in zip(places, found, strict=True) if cell is None)
        cells = [cell or NULL_CELL for cell in found]
    if len(cells) == len(column):
        part.cells[position] = cells
        return
    target = part.cells.setdefault(position, [NULL_CELL] * len(column))
    for i, cell in zip(places, cells, strict=True):
        target[i] = cell


def _without_digests(encode: Encode) -> Encode:
    """The encoder of a key of kind any, for which the texts that are too long do not fit."""

    def encode_any(raw: bytes, p: int) -> tuple[bytes | None, int]:
        cell, end = encode(raw, p)
        return (None if cell is None or cell[4:11] == b"sha256:" else cell), end

    return encode_any


def _paths(level: Level, path: Path) -> Iterator[Path]:
    """The paths of the documents that the manifest flattens, as deep as they are read at once."""
    for key, inner in level.levels.items():
        if len(path) < INLINED_LEVELS:
            yield (*path, key)
            yield from _paths(inner, (*path, key))
