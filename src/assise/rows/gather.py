"""Documents assembled from their rows column by column, in the order of fields that their source has.

The way of nearly all documents of a verification. A row with something that a load may write but that is not plain, or that a
load does not write at all, is left to `assise.rows.assemble`. Both give the same documents, up to the order of fields.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from assise.documents.extjson import escape_key
from assise.documents.extjson_reader import read_value
from assise.documents.kinds import ARRAY, DOCUMENT
from assise.documents.reader import NOT_BSON, elements
from assise.documents.shape import SAMPLE, Path, Shape, find_values
from assise.documents.writer import enclose
from assise.errors import CellError, ExtendedJsonError
from assise.rows.assemble import Assembler, Kids, Row
from assise.rows.cells import pack_int4
from assise.rows.decode import DecodeAll, decode_all
from assise.rows.tree import Level

Place = tuple[int, bytes]
"""A document among those that are assembled, and in it the ordinals of an element; none for the document itself."""

LEARNT = 10_000
"""Keys that orders are learnt from."""

PLAIN_BYTES = 1_000
"""A longer `_extra` is not plain."""


@dataclass(frozen=True)
class _Plan:
    """What the fields of one level come from, and the order in which documents have them."""

    leaves: list[tuple[bytes, int, DecodeAll]]
    levels: list[tuple[bytes, _Plan]]
    arrays: list[tuple[bytes, int]]
    order: dict[bytes, int]


class Gatherer:
    """Assembles documents of one collection, many at a time, as its strict assembler would.

    Args:
        assembler: that of the collection.
        documents: some of its source, which show the order of fields.
    """

    def __init__(self, assembler: Assembler, documents: Sequence[bytes]) -> None:
        self._tree = assembler.tree
        samples = [list(documents[:: len(documents) // SAMPLE + 1])]
        for layout, path in zip(self._tree.layouts[1:], self._tree.child_paths[1:], strict=True):
            parent = next(
                i for i, other in enumerate(self._tree.layouts) if other.table == layout.parent
            )
            found = list[bytes]()
            for raw in samples[parent]:
                with suppress(*NOT_BSON):
                    found.extend(_find_elements(raw, path))
            samples.append(found[:: len(found) // SAMPLE + 1])
        assembler.orders.update(_learn_orders(samples[0]))
        self._plans = [
            self._plan(assembler, root, sample)
            for root, sample in zip(self._tree.roots, samples, strict=True)
        ]
        self._read_plain = [
            lru_cache(1 << 10)(_plain_reader(assembler, root)) for root in self._tree.roots
        ]

    def _plan(self, assembler: Assembler, level: Level, sample: Sequence[bytes]) -> _Plan:
        orders: dict[Path, dict[bytes, int]] = {}
        for slot in Shape(sample, lambda _path: True).slots:
            keys = orders.setdefault(slot.path[:-1], {})
            keys.setdefault(slot.path[-1], len(keys))
        return self._plan_level(assembler, level, (), orders)

    def _plan_level(
        self, assembler: Assembler, level: Level, path: Path, orders: dict[Path, dict[bytes, int]]
    ) -> _Plan:
        leaves = [
            (key, position, decode_all(key, column, decode=assembler.rule(column)[1]))
            for key, (position, column) in level.columns.items()
        ]
        levels = [
            (key, self._plan_level(assembler, inner, (*path, key), orders))
            for key, inner in level.levels.items()
        ]
        return _Plan(leaves, levels, list(level.arrays.items()), orders.get(path, {}))

    def gather(self, rows: Sequence[Row], kids: Sequence[Kids]) -> list[bytes | None]:
        """The documents of rows and their child rows; None for one that is not plain. Nothing is taken out of `kids`."""
        bad: set[int] = set()
        arrays: dict[int, dict[Place, bytes]] = {}
        for i in reversed(range(1, len(self._tree.layouts))):
            arrays[i] = self._gather_arrays(i, kids, arrays, bad)
        places = [(i, b"") for i in range(len(rows))]
        bodies = self._gather_level(0, rows, places, arrays, bad)
        for table, found in arrays.items():
            if self._tree.layouts[table].parent == self._tree.layouts[0].table:
                bad.update(document for document, ordinals in found if ordinals)
        return [None if i in bad else enclose(body) for i, body in enumerate(bodies)]

    def _gather_arrays(
        self, table: int, kids: Sequence[Kids], arrays: dict[int, dict[Place, bytes]], bad: set[int]
    ) -> dict[Place, bytes]:
        """The arrays of one child table by the place of the element that holds them."""
        rows: list[Row] = []
        places: list[Place] = []
        groups: list[tuple[Place, int]] = []
        last = self._tree.layouts[table].key_width - 1
        for document, of_document in enumerate(kids):
            for parent, found in of_document[table].items():
                groups.append(((document, parent), len(found)))
                for position, row in enumerate(found):
                    ordinal = row[last] or b""
                    if ordinal != pack_int4(4, position)[4:]:
                        bad.add(document)
                    rows.append(row)
                    places.append((document, parent + ordinal))
        bodies = iter(self._gather_level(table, rows, places, arrays, bad))
        self._check_reached(table, places, arrays, bad)
        return {
            place: enclose(
                b"".join([b"\x03%d\0%b" % (i, enclose(next(bodies))) for i in range(count)])
            )
            for place, count in groups
        }

    def _check_reached(
        self,
        table: int,
        places: Sequence[Place],
        arrays: dict[int, dict[Place, bytes]],
        bad: set[int],
    ) -> None:
        """Elements below the elements of a table belong to one of these."""
        layouts = self._tree.layouts
        children = [
            found
            for child, found in arrays.items()
            if layouts[child].parent == layouts[table].table
        ]
        if children:
            known = set(places)
            bad.update(place[0] for found in children for place in found if place not in known)

    def _gather_level(
        self,
        table: int,
        rows: Sequence[Row],
        places: Sequence[Place],
        arrays: dict[int, dict[Place, bytes]],
        bad: set[int],
    ) -> list[bytes]:
        """The elements of the documents of one table."""
        if not rows:
            return []
        columns = list(zip(*rows, strict=True))
        notes = defaultdict[bytes, list[bytes]](lambda: [b""] * len(rows))
        read_plain = self._read_plain[table]
        for i, cell in enumerate(columns[-1]):
            if cell is not None:
                plain = read_plain(cell) if len(cell) <= PLAIN_BYTES else None
                if plain is None:
                    bad.add(places[i][0])
                    continue
                for key, piece in plain:
                    notes[key][i] = piece
        return _join(self._plans[table], columns, places, arrays, notes, bad)


def _join(
    plan: _Plan,
    columns: Sequence[Sequence[bytes | None]],
    places: Sequence[Place],
    arrays: dict[int, dict[Place, bytes]],
    notes: dict[bytes, list[bytes]],
    bad: set[int],
) -> list[bytes]:
    """The elements of one level: of its columns, its levels and child tables, and of its notes."""
    parts = dict(notes)
    found: list[tuple[bytes, list[bytes]]] = []
    for key, position, decode in plan.leaves:
        found.append((key, _decode(columns[position], decode, places, bad)))
    for key, inner in plan.levels:
        front = b"%c%b\0" % (DOCUMENT, key)
        found.append(
            (
                key,
                [
                    body and front + enclose(body)
                    for body in _join(inner, columns, places, arrays, {}, bad)
                ],
            )
        )
    for key, child in plan.arrays:
        front, of_child = b"%c%b\0" % (ARRAY, key), arrays[child]
        found.append(
            (key, [front + of_child[place] if place in of_child else b"" for place in places])
        )
    for key, pieces in found:
        noted = notes.get(key)
        if noted is None:
            parts[key] = pieces
            continue
        bad.update(places[i][0] for i, piece in enumerate(pieces) if piece and noted[i])
        parts[key] = [piece or note for piece, note in zip(pieces, noted, strict=True)]
    ordered = sorted(parts, key=lambda key: plan.order.get(key, len(plan.order)))
    return (
        list(map(b"".join, zip(*[parts[key] for key in ordered], strict=True)))
        if ordered
        else [b""] * len(places)
    )


def _decode(
    cells: Sequence[bytes | None], decode: DecodeAll, places: Sequence[Place], bad: set[int]
) -> list[bytes]:
    known = find_values(cells)
    pieces = decode(known) if known else []
    if len(pieces) < len(cells):
        left = iter(pieces)
        pieces = [b"" if cell is None else next(left) for cell in cells]
    if not all(pieces):
        bad.update(places[i][0] for i, piece in enumerate(pieces) if piece is None)
    return [piece or b"" for piece in pieces]


def _plain_reader(
    assembler: Assembler, level: Level
) -> Callable[[bytes], list[tuple[bytes, bytes]] | None]:
    """Reads an `_extra` as keys and whole fields; None when it is not plain."""
    names = {escape_key(key.decode()) for key in [*level.columns, *level.levels, *level.arrays]}

    def read_plain(cell: bytes) -> list[tuple[bytes, bytes]] | None:
        try:
            notes = assembler.read_notes(cell)
            if any(
                name[:1] == "$" or (name in names and note is not None)
                for name, note in notes.items()
            ):
                return None
            fields = [(name.encode(), read_value(note)) for name, note in notes.items()]
        except (CellError, ExtendedJsonError, ValueError, RecursionError):
            return None
        return [(key, b"%c%b\0%b" % (kind, key, value)) for key, (kind, value) in fields]

    return read_plain


def _learn_orders(documents: Sequence[bytes]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Keys of documents and of those inside them, as jsonb sorts them -> as they stand, where that differs; those of the first documents only."""
    orders: dict[tuple[str, ...], tuple[str, ...]] = {}
    waiting, left = [(raw, 0) for raw in reversed(documents)], LEARNT
    while waiting and left > 0:
        raw, at = waiting.pop()
        names = []
        with suppress(*NOT_BSON):
            for kind, key, p, _ in elements(raw, at):
                left -= 1
                names.append(escape_key(key.decode()))
                if kind in {DOCUMENT, ARRAY}:
                    waiting.append((raw, p))
            in_jsonb = sorted(names, key=lambda name: (len(name.encode()), name.encode()))
            if names != in_jsonb:
                orders[tuple(in_jsonb)] = tuple(names)
    return orders


def _find_elements(raw: bytes, path: Path) -> Iterator[bytes]:
    """The documents in the array at a path of a document."""
    kind, at = DOCUMENT, 0
    for key in path:
        fields = elements(raw, at) if kind == DOCUMENT else ()
        kind, at = next(((kind, p) for kind, name, p, _ in fields if name == key), (0, 0))
    for inner, _, p, end in elements(raw, at) if kind == ARRAY else ():
        if inner == DOCUMENT:
            yield raw[p:end]
