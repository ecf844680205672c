"""Documents into rows: raw BSON in, the bytes of binary COPY out.

`Shredder` compiles a collection of the manifest once into nested closures: a level knows for each type byte and key what to do
with the value, so that one dictionary look-up stands for one field. What no cell gives back exactly is written as the jsonb
form into `_extra`, which mirrors the document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial

from assise.documents.extjson import JSONB, JsonWriter
from assise.documents.kinds import ARRAY, CODE_WITH_SCOPE, DOCUMENT, KINDS, NULL
from assise.documents.reader import OUTSIDE, SKIP, check_document, count_leaves, elements, invalid, key_end, open_document
from assise.errors import InvalidBsonError
from assise.manifest.model import Column, Manifest
from assise.manifest.types import is_array
from assise.rows.cells import NULL_CELL, Encode, array_size, pack_int4, pack_int8, pack_length, rule
from assise.rows.tree import Level, Tree, build_tree

ORDERED = frozenset({DOCUMENT, ARRAY, CODE_WITH_SCOPE})
"""Kinds that jsonb does not keep in order, as an `_id` wants it."""

Cells = list[bytes]
Kids = list[list[bytes]]
Extra = dict[bytes, str]

Walk = Callable[[bytes, int, Cells, Kids, bytes, bool], tuple[str | None, int]]
"""(raw, position, cells, kids, ordinals, careful) -> what stands in `_extra` for this level, position behind it."""

Place = Callable[[bytes, int, Cells, Kids, bytes, bool, Extra], int]
"""A field that is more than one scalar cell: writes cells, child rows or `_extra`, gives the position behind the value."""


Scalars = dict[bytes, tuple[int, int, Encode, int]]
"""Type byte and key -> (bit of the key, position of the cell, encoder, values that a cell counts for)."""

Places = dict[bytes, tuple[int, Place]]
"""Type byte and key -> (bit of the key, what to do)."""


class Reason(IntEnum):
    """The closed list of reasons for a reject (DESIGN section 2)."""

    NOT_BSON = 1
    DUPLICATE_ID = 2
    ASKED_FOR = 3
    SERVER_LIMIT = 4
    KEY_MISFIT = 5


@dataclass(frozen=True)
class Misfit:
    """A document that became no rows: its offset in the source, why, and in words."""

    offset: int
    reason: Reason
    detail: str
    raw: bytes


@dataclass
class Values:
    """How many BSON leaves and empty containers stand in typed columns, in jsonb columns and in `_extra`."""

    typed: int = 0
    jsonb: int = 0
    extra: int = 0

    def add(self, other: Values) -> None:
        """Add another count to this one."""
        self.typed += other.typed
        self.jsonb += other.jsonb
        self.extra += other.extra


@dataclass
class Batch:
    """The rows of some documents: for each layout the rows and, beside each row, the position of its document in `offsets`."""

    offsets: list[int]
    keys: list[bytes]
    rows: list[list[bytes]]
    owners: list[list[int]]
    misfits: list[Misfit]
    values: list[Values] = field(default_factory=list)


class _UnnameableError(Exception):
    """A level holds repeated keys or keys that JSON cannot name: the document is walked again, carefully."""


class _KeyMisfitError(Exception):
    """The `_id` is missing, repeated, or does not fit the key's type."""


class Shredder:
    """Shreds the documents of one collection."""

    def __init__(self, manifest: Manifest, root: str) -> None:
        self.tree: Tree = build_tree(manifest, root)
        self.layouts = self.tree.layouts
        self._typed = [0]
        self._jsonb, self._notes = JsonWriter(JSONB), JsonWriter(JSONB)
        self._heads = [len(layout.names).to_bytes(2, "big") for layout in self.layouts]
        self._walks: dict[int, Walk] = {}
        for i in reversed(range(len(self.layouts))):
            self._walks[i] = self._compile(self.tree.roots[i], i)
        self._key = self.tree.key_position + 1
        self._offset = {"int4": (pack_int4, 31), "int8": (pack_int8, 63)}.get(self.tree.key.type) if self.tree.key.kind == "offset" else None

    def shred(self, documents: Iterable[tuple[int, bytes]]) -> Batch:
        """The rows of documents given with their offsets in the source.

        Bytes that are not BSON and an `_id` that the key does not fit become misfits; nothing else does.
        """
        batch = Batch([], [], [[] for _ in self.layouts], [[] for _ in self.layouts], [])
        for offset, raw in documents:
            before = self._typed[0], self._jsonb.leaves, self._notes.leaves
            try:
                self._shred_one(batch, offset, raw)
            except (_KeyMisfitError, InvalidBsonError) as error:
                self._typed[0], self._jsonb.leaves, self._notes.leaves = before
                batch.misfits.append(self._misfit(offset, raw, error))
            else:
                batch.values.append(Values(self._typed[0] - before[0], self._jsonb.leaves - before[1], self._notes.leaves - before[2]))
        return batch

    def _misfit(self, offset: int, raw: bytes, error: Exception) -> Misfit:
        try:
            check_document(raw)
        except InvalidBsonError as found:
            return Misfit(offset, Reason.NOT_BSON, str(found), raw)
        if not isinstance(error, _KeyMisfitError):
            raise error
        return Misfit(offset, Reason.KEY_MISFIT, str(error), raw)

    def _shred_one(self, batch: Batch, offset: int, raw: bytes) -> None:
        try:
            cells, kids = self._walk_document(offset, raw)
        except (*OUTSIDE, ValueError) as error:
            check_document(raw)
            raise invalid(error) from error
        key = cells[self._key]
        document = len(batch.offsets)
        batch.offsets.append(offset)
        batch.keys.append(key)
        batch.rows[0].append(b"".join(cells))
        batch.owners[0].append(document)
        for i, rows in enumerate(kids):
            if rows:
                front = self._heads[i] + key
                batch.rows[i].extend([front + row for row in rows])
                batch.owners[i].extend([document] * len(rows))

    def _walk_document(self, offset: int, raw: bytes) -> tuple[Cells, Kids]:
        before = self._typed[0], self._jsonb.leaves, self._notes.leaves
        try:
            return self._walk_root(offset, raw, careful=False)
        except _UnnameableError:
            self._typed[0], self._jsonb.leaves, self._notes.leaves = before
            return self._walk_root(offset, raw, careful=True)

    def _walk_root(self, offset: int, raw: bytes, *, careful: bool) -> tuple[Cells, Kids]:
        cells = [NULL_CELL] * (len(self.layouts[0].names) + 1)
        cells[0] = self._heads[0]
        kids: Kids = [[] for _ in self.layouts]
        if self._offset:
            pack, bits = self._offset
            if offset >> bits:
                raise _KeyMisfitError(f"the offset {offset} does not fit {self.tree.key.type}")
            cells[self._key] = pack((bits + 1) // 8, offset)
        extra, end = self._walks[0](raw, 0, cells, kids, b"", careful)
        if end != len(raw):
            raise InvalidBsonError("a document whose length is not its own", 0)
        if cells[self._key] == NULL_CELL:
            raise _KeyMisfitError(self._key_problem(raw))
        if extra is not None:
            cells[-1] = _jsonb_cell(extra)
        return cells, kids

    def _key_problem(self, raw: bytes) -> str:
        found = [(kind, raw[p:end]) for kind, key, p, end in elements(raw) if key == b"_id"]
        if len(found) != 1:
            return "no _id" if not found else f"{len(found)} fields _id"
        shown = JsonWriter(JSONB).value(found[0][0], found[0][1], 0)[0]
        return f"_id {shown[:200]} ({KINDS[found[0][0]]}) does not fit {self.tree.key.type}, kind {self.tree.key.kind}"

    def _compile(self, level: Level, table: int, depth: int = 1) -> Walk:
        """The closure that walks one level; `table` is the layout whose cells it fills, `depth` how deep its fields lie in `_extra`."""
        names: dict[bytes, str] = {}
        bits: dict[bytes, int] = {}
        scalars: Scalars = {}
        places: Places = {}
        is_root = level is self.tree.roots[0]
        for i, key in enumerate([*level.columns, *level.arrays, *level.levels]):
            names[key], bits[key] = self._notes.key(key) or "", 1 << i
        shift = 1 if table == 0 else -self.layouts[table].front
        for key, (position, column) in level.columns.items():
            index, bit = position + shift, bits[key]
            if column.kind == "any":
                places |= {b"%c%b" % (kind, key): (bit, place) for kind, place in self._compile_any(column, index)}
            else:
                fields = self._scalar_fields(column, is_id=is_root and key == b"_id")
                scalars |= {b"%c%b" % (kind, key): (bit, index, encode, weight) for kind, encode, weight in fields}
        for key, child in level.arrays.items():
            places[b"\x04" + key] = (bits[key], self._compile_array(key, names[key], child))
        for key, inner in level.levels.items():
            places[b"\x03" + key] = (bits[key], self._compile_inner(key, names[key], self._compile(inner, table, depth + 1)))
        return self._compile_walk(scalars, places, (bits, names), is_root=is_root, depth=depth)

    def _scalar_fields(self, column: Column, *, is_id: bool) -> list[tuple[int, Encode, int]]:
        """For each type byte that a column takes: the encoder, and the values that its cell counts for."""
        if column.type == "jsonb":
            escaped = ORDERED if is_id else frozenset()
            return [(kind, self._compile_jsonb(kind, is_escaped=kind in escaped), 0) for kind in KINDS if kind != NULL]
        encoders, _ = rule(column.type, column.kind)
        if is_array(column.type):
            return [(kind, self._counting(encode), 0) for kind, encode in encoders.items()]
        return [(kind, encode, 1) for kind, encode in encoders.items()]

    def _counting(self, encode: Encode) -> Encode:
        typed = self._typed

        def encode_array(raw: bytes, p: int) -> tuple[bytes | None, int]:
            cell, end = encode(raw, p)
            if cell is not None:
                typed[0] += array_size(cell) or 1
            return cell, end

        return encode_array

    def _compile_jsonb(self, kind: int, *, is_escaped: bool) -> Encode:
        write = self._jsonb.escaped if is_escaped else self._jsonb.value

        def encode_jsonb(raw: bytes, p: int) -> tuple[bytes, int]:
            text, end = write(kind, raw, p)
            return _jsonb_cell(text), end

        return encode_jsonb

    def _compile_any(self, column: Column, index: int) -> Iterator[tuple[int, Place]]:
        for kind, encode in rule(column.type, column.kind)[0].items():
            yield kind, partial(self._place_any, kind, index, encode)

    def _place_any(self, kind: int, index: int, encode: Encode, raw: bytes, p: int, cells: Cells, *others: *tuple[Kids, bytes, bool, Extra]) -> int:
        cell, end = encode(raw, p)
        cells[index] = cell or NULL_CELL
        if cell is None or cell[4:11] != b"sha256:":
            self._typed[0] += (count_leaves(raw[p:end]) or 1) if kind in {DOCUMENT, ARRAY} else 1
            return end
        write = self._notes.escaped if kind in ORDERED else self._notes.value
        others[-1][b"_id"] = f'"_id":{write(kind, raw, p)[0]}'
        return end

    def _compile_inner(self, key: bytes, name: str, walk: Walk) -> Place:
        notes = self._notes

        def place(raw: bytes, p: int, cells: Cells, kids: Kids, ordinals: bytes, careful: bool, extra: Extra) -> int:
            text, end = walk(raw, p, cells, kids, ordinals, careful)
            if end == p + 5:
                notes.leaves += 1
                extra[key] = f"{name}:{{}}"
            elif text is not None:
                extra[key] = f"{name}:{text}"
            return end

        return place

    def _compile_array(self, key: bytes, name: str, child: int) -> Place:
        walk, notes, typed = self._walks[child], self._notes, self._typed
        width = len(self.layouts[child].names) - self.layouts[child].front

        def place(raw: bytes, p: int, _: Cells, kids: Kids, ordinals: bytes, careful: bool, extra: Extra) -> int:
            last, q = open_document(raw, p), p + 4
            if q == last:
                notes.leaves += 1
                extra[key] = f"{name}:[]"
            rows, position = kids[child], 0
            while q != last:
                kind, start = raw[q], key_end(raw, q, last) + 1
                row, inner = [NULL_CELL] * width, ordinals + pack_int4(4, position)
                if kind == DOCUMENT:
                    text, q = walk(raw, start, row, kids, inner, careful)
                    typed[0] += q == start + 5
                else:
                    element, q = notes.value(kind, raw, start, 1)
                    text = f'{{"$element":{element}}}'
                if q > last:
                    raise InvalidBsonError("a value longer than its array", start)
                if text is not None:
                    row[-1] = _jsonb_cell(text)
                rows.append(inner + b"".join(row))
                position += 1
            return last + 1

        return place

    def _compile_walk(self, scalars: Scalars, places: Places, known: tuple[dict[bytes, int], dict[bytes, str]], *, is_root: bool, depth: int) -> Walk:
        bits, names = known
        find_scalar, find_place, find_bit = scalars.get, places.get, bits.get
        notes, typed = self._notes, self._typed

        def walk(raw: bytes, p: int, cells: Cells, kids: Kids, ordinals: bytes, careful: bool) -> tuple[str | None, int]:
            hidden = notes.unnameable(raw, p) if careful else ()
            last, p, start = open_document(raw, p), p + 4, p
            seen = count = 0
            extra: Extra = {}
            while p != last:
                end = raw.find(b"\0", p + 1, last)
                if end < 0:
                    raise InvalidBsonError("a key without a terminator", p)
                if hidden and raw[p + 1 : end] in hidden:
                    p = SKIP[raw[p]](raw, end + 1)
                    continue
                tag = raw[p:end]
                scalar = find_scalar(tag)
                if scalar is not None:
                    bit, index, encode, weight = scalar
                    if seen & bit:
                        raise _UnnameableError
                    seen |= bit
                    cell, after = encode(raw, end + 1)
                    if cell is not None:
                        cells[index] = cell
                        count += weight
                        if after > last:
                            raise InvalidBsonError("a value longer than its document", end)
                        p = after
                        continue
                    key = tag[1:]
                elif (found := find_place(tag)) is not None:
                    bit, place = found
                    if seen & bit:
                        raise _UnnameableError
                    seen |= bit
                    p = place(raw, end + 1, cells, kids, ordinals, careful, extra)
                    if p > last:
                        raise InvalidBsonError("a value longer than its document", end)
                    continue
                else:
                    key = tag[1:]
                    bit = find_bit(key, 0)
                    if seen & bit or key in extra:
                        raise _UnnameableError
                    seen |= bit
                name = names.get(key) or notes.key(key)
                if name is None:
                    raise _UnnameableError
                kind = raw[p]
                is_id = is_root and key == b"_id" and kind in ORDERED
                text, p = notes.escaped(kind, raw, end + 1) if is_id else notes.value(kind, raw, end + 1, depth)
                if p > last:
                    raise InvalidBsonError("a value longer than its document", end)
                extra[key] = f"{name}:{text}"
            typed[0] += count
            if hidden:
                extra[b"$bson"] = f'"$bson":{notes.unnameable_fields(raw, start, hidden)}'
            return (f"{{{','.join(extra.values())}}}" if extra else None), last + 1

        return walk


def _jsonb_cell(text: str) -> bytes:
    content = text.encode()
    return pack_length(len(content) + 1) + b"\x01" + content
