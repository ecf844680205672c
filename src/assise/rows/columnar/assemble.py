"""Assemble documents column by column, in the order of fields that their source has.

A row with something that a load may write but that is rare, or that no load writes, is left to the
document path. Both give the same documents, up to the order of fields.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import cast

from assise.documents.extjson import Escapes
from assise.documents.kinds import ARRAY, DOCUMENT
from assise.documents.reader import NOT_BSON, elements
from assise.documents.shape import KeyPath, Shape, find_values
from assise.documents.writer import enclose
from assise.errors import CellError, ExtendedJsonError
from assise.manifest.layout import ColumnLayout
from assise.rows.document.build import DocumentBuilder, KeyOrders, list_absent
from assise.rows.model import ChildRows, Row
from assise.rows.tree import Level, Tree
from assise.types.codec import Codec, decode_each
from assise.types.wire import Cell, int4_field

ElementPlace = tuple[int, bytes]
"""A document among those that are assembled, and the joined ordinals of an element in it; no
ordinals for the document itself."""

Arrays = dict[int, dict[ElementPlace, bytes]]
"""For each child table its arrays, by the element that holds them."""

Fallback = set[int]
"""Documents, by their positions, that are left to the document path."""

ReadFields = Callable[[Cell], list[tuple[bytes, bytes]] | None]
DecodeLeaf = Callable[[Sequence[Cell]], list[bytes | None]]

LEARNT = 10_000
"""Keys that orders of jsonb are learnt from: they save a third of the time for sample data."""

EXTRA_BYTES = 1_000
"""A longer `_extra` is left to the document path."""


@dataclass(frozen=True)
class _LevelPlan:
    """What the fields of one level come from, and the order in which documents have them.

    `absent` are the fields that go without a note where the level is there, as elements.
    """

    leaves: list[tuple[bytes, int, DecodeLeaf]]
    levels: list[tuple[bytes, _LevelPlan]]
    arrays: list[tuple[bytes, int]]
    absent: list[tuple[bytes, bytes]]
    order: dict[bytes, int]


class ColumnarAssembler:
    """Assembles documents of one collection, many at a time, as their strict builder would.

    Args:
        builder: that of the collection; it learns the orders of fields in jsonb.
        sources: some documents of the source.
    """

    def __init__(self, builder: DocumentBuilder, sources: Sequence[bytes]) -> None:
        self._tree = builder.tree
        samples = _draw_samples(self._tree, sources)
        builder.orders.update(_learn_orders(samples[0], self._tree.form.escapes))
        self._plans = [
            _plan_table(builder, root, sample)
            for root, sample in zip(self._tree.roots, samples, strict=True)
        ]
        self._read_fields = [
            lru_cache(1 << 10)(_compile_fields(builder, root)) for root in self._tree.roots
        ]

    def assemble(self, rows: Sequence[Row], child_rows: Sequence[ChildRows]) -> list[bytes | None]:
        """The documents of rows; None for one that is left to the document path."""
        fallback = Fallback()
        arrays: Arrays = {}
        for i in reversed(range(1, len(self._tree.layouts))):
            arrays[i] = self._assemble_arrays(i, child_rows, arrays, fallback)
        places = [(i, b"") for i in range(len(rows))]
        bodies = self._assemble_rows(0, rows, places, arrays, fallback)
        for table, found in arrays.items():
            if self._tree.layouts[table].parent == self._tree.layouts[0].table:
                fallback.update(document for document, ordinals in found if ordinals)
        return [None if i in fallback else enclose(body) for i, body in enumerate(bodies)]

    def _assemble_arrays(
        self,
        table: int,
        child_rows: Sequence[ChildRows],
        arrays: Arrays,
        fallback: Fallback,
    ) -> dict[ElementPlace, bytes]:
        """The arrays of one child table by the element that holds them."""
        if self._tree.elements[table] is not None:
            fallback.update(i for i, tables in enumerate(child_rows) if tables[table])
            return {}
        rows: list[Row] = []
        places: list[ElementPlace] = []
        groups: list[tuple[ElementPlace, int]] = []
        last = self._tree.layouts[table].key_width - 1
        for document, tables in enumerate(child_rows):
            for parent, found in tables[table].items():
                groups.append(((document, parent), len(found)))
                for position, row in enumerate(found):
                    ordinal = row[last] or b""
                    if ordinal != _read_ordinal(position):
                        fallback.add(document)
                    rows.append(row)
                    places.append((document, parent + ordinal))
        bodies = iter(self._assemble_rows(table, rows, places, arrays, fallback))
        self._check_reached(table, places, arrays, fallback)
        return {place: _write_array(bodies, count) for place, count in groups}

    def _check_reached(
        self,
        table: int,
        places: Sequence[ElementPlace],
        arrays: Arrays,
        fallback: Fallback,
    ) -> None:
        """Elements below the elements of a table belong to one of these."""
        layouts = self._tree.layouts
        name = layouts[table].table
        children = [found for child, found in arrays.items() if layouts[child].parent == name]
        if children:
            known = set(places)
            fallback.update(place[0] for found in children for place in found if place not in known)

    def _assemble_rows(
        self,
        table: int,
        rows: Sequence[Row],
        places: Sequence[ElementPlace],
        arrays: Arrays,
        fallback: Fallback,
    ) -> list[bytes]:
        """The bodies (elements, joined) of the documents of one table."""
        if not rows:
            return []
        columns = list(zip(*rows, strict=True))
        noted = defaultdict[bytes, list[bytes]](lambda: [b""] * len(rows))
        read_fields = self._read_fields[table]
        for i, cell in enumerate(columns[-1]):
            if cell is not None:
                fields = read_fields(cell) if len(cell) <= EXTRA_BYTES else None
                if fields is None:
                    fallback.add(places[i][0])
                    continue
                for key, piece in fields:
                    noted[key][i] = piece
        return _join(self._plans[table], columns, places, arrays, noted, fallback, is_top=True)


@lru_cache(1000)
def _read_ordinal(position: int) -> bytes:
    return int4_field(position)[4:]


def _draw_samples(tree: Tree, sources: Sequence[bytes]) -> list[list[bytes]]:
    """Some documents of each table."""
    samples = [list(sources[:: len(sources) // Shape.SAMPLE + 1])]
    tables = [layout.table for layout in tree.layouts]
    for layout, path in zip(tree.layouts[1:], tree.child_paths[1:], strict=True):
        found = list[bytes]()
        for raw in samples[tables.index(layout.parent or "")]:
            with suppress(*NOT_BSON):
                found.extend(_find_elements(raw, path))
        samples.append(found[:: len(found) // Shape.SAMPLE + 1])
    return samples


def _plan_table(builder: DocumentBuilder, level: Level, sample: Sequence[bytes]) -> _LevelPlan:
    orders: dict[KeyPath, dict[bytes, int]] = {}
    for slot in Shape(sample, lambda _path: True).slots:
        keys = orders.setdefault(slot.path[:-1], {})
        keys.setdefault(slot.path[-1], len(keys))
    return _plan_level(builder, level, (), orders)


def _plan_level(
    builder: DocumentBuilder,
    level: Level,
    path: KeyPath,
    orders: dict[KeyPath, dict[bytes, int]],
) -> _LevelPlan:
    leaves = [
        (key, position, _compile_leaf(builder, key, column, codec))
        for key, position, column, codec in builder.tree.codecs(level)
    ]
    levels = [
        (key, _plan_level(builder, inner, (*path, key), orders))
        for key, inner in level.levels.items()
    ]
    absent = [(key, b"%c%b\0%b" % (kind, key, value)) for key, (kind, value) in list_absent(level)]
    arrays = list(level.arrays.items())
    return _LevelPlan(leaves, levels, arrays, absent, orders.get(path, {}))


def _compile_leaf(
    builder: DocumentBuilder, key: bytes, column: ColumnLayout, codec: Codec
) -> DecodeLeaf:
    """The decoder of many cells of a column, which refuses what the builder refuses."""
    decode_each_cell = partial(decode_each, builder.decoder(column, codec))
    return partial(codec.decode_column or decode_each_cell, key)


def _write_array(bodies: Iterator[bytes], count: int) -> bytes:
    """The array of the next `count` documents with these bodies."""
    return enclose(b"".join([b"\x03%d\0%b" % (i, enclose(next(bodies))) for i in range(count)]))


def _join(
    plan: _LevelPlan,
    columns: Sequence[Sequence[Cell | None]],
    places: Sequence[ElementPlace],
    arrays: Arrays,
    noted: dict[bytes, list[bytes]],
    fallback: Fallback,
    *,
    is_top: bool = False,
) -> list[bytes]:
    """The bodies of one level: of its columns, levels and child tables, and of what is noted."""
    found: list[tuple[bytes, list[bytes]]] = []
    for key, position, decode in plan.leaves:
        found.append((key, _decode(columns[position], decode, places, fallback)))
    for key, inner in plan.levels:
        front = b"%c%b\0" % (DOCUMENT, key)
        bodies = _join(inner, columns, places, arrays, {}, fallback)
        found.append((key, [body and front + enclose(body) for body in bodies]))
    for key, child in plan.arrays:
        front, of_child = b"%c%b\0" % (ARRAY, key), arrays[child]
        pieces = [front + of_child[place] if place in of_child else b"" for place in places]
        found.append((key, pieces))
    parts = dict(noted)
    for key, pieces in found:
        notes = noted.get(key)
        if notes is None:
            parts[key] = pieces
            continue
        fallback.update(places[i][0] for i, piece in enumerate(pieces) if piece and notes[i])
        parts[key] = [piece or note for piece, note in zip(pieces, notes, strict=True)]
    if plan.absent:
        _fill(plan, parts, len(places), is_top=is_top)
    if not parts:
        return [b""] * len(places)
    last = len(plan.order)
    ordered = sorted(parts, key=lambda key: plan.order.get(key, last))
    return list(map(b"".join, zip(*[parts[key] for key in ordered], strict=True)))


def _fill(plan: _LevelPlan, parts: dict[bytes, list[bytes]], count: int, *, is_top: bool) -> None:
    """Add what goes without a note, where the level is there."""
    is_there = [is_top] * count
    if parts and not is_top:
        is_there = list(map(any, zip(*parts.values(), strict=True)))
    for key, element in plan.absent:
        pieces = parts.get(key) or [b""] * count
        parts[key] = [
            piece or (element if there else b"")
            for piece, there in zip(pieces, is_there, strict=True)
        ]


def _decode(
    cells: Sequence[Cell | None],
    decode: DecodeLeaf,
    places: Sequence[ElementPlace],
    fallback: Fallback,
) -> list[bytes]:
    known = find_values(cells)
    pieces = decode(known) if known else []
    if len(pieces) < len(cells):
        left = iter(pieces)
        pieces = [b"" if cell is None else next(left) for cell in cells]
    if all(pieces):
        return cast(list[bytes], pieces)
    fallback.update(places[i][0] for i, piece in enumerate(pieces) if piece is None)
    return [piece or b"" for piece in pieces]


def _compile_fields(builder: DocumentBuilder, level: Level) -> ReadFields:
    """A reader of `_extra` as keys and elements; None where it has more than fields and nulls."""
    form = builder.tree.form
    keys = [*level.columns, *level.levels, *level.arrays]
    names = {form.escapes.escape(key.decode()) for key in keys}

    def read_fields(cell: Cell) -> list[tuple[bytes, bytes]] | None:
        try:
            extra = builder.read_extra(cell)
            for name, note in extra.items():
                if name[:1] == "$" or (name in names and note is not None):
                    return None
            fields = [(name.encode(), form.value(note)) for name, note in extra.items()]
        except (CellError, ExtendedJsonError, ValueError, RecursionError):
            return None
        return [(key, b"%c%b\0%b" % (kind, key, value)) for key, (kind, value) in fields]

    return read_fields


def _learn_orders(sources: Sequence[bytes], escapes: Escapes) -> KeyOrders:
    """Keys of objects, as jsonb sorts them -> as they stand in the sources, where that differs."""
    orders: KeyOrders = {}
    waiting, left = [(raw, 0) for raw in reversed(sources)], LEARNT
    while waiting and left > 0:
        raw, at = waiting.pop()
        names = []
        with suppress(*NOT_BSON):
            for kind, key, p, _ in elements(raw, at):
                left -= 1
                names.append(escapes.escape(key.decode()))
                if kind in {DOCUMENT, ARRAY}:
                    waiting.append((raw, p))
            in_jsonb = sorted(names, key=lambda name: (len(name.encode()), name.encode()))
            if names != in_jsonb:
                orders[tuple(in_jsonb)] = tuple(names)
    return orders


def _find_elements(raw: bytes, path: KeyPath) -> Iterator[bytes]:
    """The documents in the array at a path of a document."""
    kind, at = DOCUMENT, 0
    for key in path:
        fields = elements(raw, at) if kind == DOCUMENT else ()
        kind, at = next(((kind, p) for kind, name, p, _ in fields if name == key), (0, 0))
    for inner, _, p, end in elements(raw, at) if kind == ARRAY else ():
        if inner == DOCUMENT:
            yield raw[p:end]
