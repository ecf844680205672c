"""One document field by field: raw BSON in, cells, child rows and what stands in `_extra` out.

`Walker` compiles a collection of the manifest once into nested closures: a level knows for each type byte and key what to do
with the value, so that one dictionary look-up stands for one field. What no cell gives back exactly is written as the jsonb
form into `_extra`, which mirrors the document.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

from assise.documents.extjson import JSONB, JsonWriter, add_part
from assise.documents.kinds import ARRAY, DOCUMENT, KINDS, NULL
from assise.documents.reader import (
    OUTSIDE,
    SKIP,
    check_document,
    count_leaves,
    elements,
    find_repeated,
    invalid,
    key_end,
    open_document,
)
from assise.errors import InvalidBsonError
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
from assise.rows.tally import Tally
from assise.rows.tree import ORDERED, Level, Tree

Cells = list[bytes]
Kids = list[list[bytes]]
Extra = list[str]

Walk = Callable[[bytes, int, Cells, Kids, bytes, bool], tuple[str | None, int]]
"""(raw, position, cells, kids, ordinals, careful) -> what stands in `_extra` for this level, position behind it."""

Place = Callable[[bytes, int, Cells, Kids, bytes, bool, Extra], int]
"""A field that is more than one scalar cell: writes cells, child rows or `_extra`, gives the position behind the value."""


Scalars = dict[bytes, tuple[int, int, Encode, int]]
"""Type byte and key -> (bit of the key, position of the cell, encoder, values that a cell counts for)."""

Places = dict[bytes, tuple[int, Place]]
"""Type byte and key -> (bit of the key, what to do)."""


class UnnameableError(Exception):
    """A level holds repeated keys or keys that JSON cannot name: the document is walked again, carefully."""


class KeyMisfitError(Exception):
    """The `_id` is missing, repeated, or does not fit the key's type."""


class Walker:
    """Walks the documents of one collection."""

    def __init__(self, tree: Tree, tally: Tally) -> None:
        self._tree, self._tally = tree, tally
        self._walks: dict[int, Walk] = {}
        for i in reversed(range(len(tree.layouts))):
            self._walks[i] = self._compile(tree.roots[i], i)

    def walk(self, offset: int, raw: bytes) -> tuple[Cells, Kids]:
        """The cells of the document's row, and for each layout those of its child rows, joined, without the key in front.

        Raises:
            InvalidBsonError: it is not BSON. KeyMisfitError: it has no key.
        """
        before = self._tally.values
        try:
            try:
                return self._walk(offset, raw, careful=False)
            except UnnameableError:
                self._tally.reset(before)
                return self._walk(offset, raw, careful=True)
        except (*OUTSIDE, ValueError) as error:
            check_document(raw)
            raise invalid(error) from error

    def _walk(self, offset: int, raw: bytes, *, careful: bool) -> tuple[Cells, Kids]:
        tree = self._tree
        cells = [NULL_CELL] * len(tree.layouts[0].names)
        kids: Kids = [[] for _ in tree.layouts]
        if tree.key.kind == "offset":
            cell = offset_cell(tree.key.type, offset)
            if cell is None:
                raise KeyMisfitError(f"the offset {offset} does not fit {tree.key.type}")
            cells[tree.key_position] = cell
        extra, end = self._walks[0](raw, 0, cells, kids, b"", careful)
        if end != len(raw):
            raise InvalidBsonError("a document whose length is not its own", 0)
        if cells[tree.key_position] == NULL_CELL:
            raise KeyMisfitError(self._key_problem(raw))
        if extra is not None:
            cells[-1] = jsonb_cell(extra)
        return cells, kids

    def _key_problem(self, raw: bytes) -> str:
        key = self._tree.key
        found = [(kind, raw[p:end]) for kind, name, p, end in elements(raw) if name == b"_id"]
        if len(found) != 1:
            return "no _id" if not found else f"{len(found)} fields _id"
        shown = JsonWriter(JSONB).value(found[0][0], found[0][1], 0)[0]
        return f"_id {shown[:200]} ({KINDS[found[0][0]]}) does not fit {key.type}, kind {key.kind}"

    def _compile(self, level: Level, table: int, depth: int = 1) -> Walk:
        """The closure that walks one level; `table` is the layout whose cells it fills, `depth` how deep its fields lie in `_extra`."""
        names: dict[bytes, str] = {}
        bits: dict[bytes, int] = {}
        scalars: Scalars = {}
        places: Places = {}
        is_root = level is self._tree.roots[0]
        for i, key in enumerate([*level.columns, *level.arrays, *level.levels]):
            names[key], bits[key] = self._tally.notes.key(key) or "", 1 << i
        front = self._tree.layouts[table].key_width
        for key, (position, column) in level.columns.items():
            index, bit = position - front, bits[key]
            if column.kind == "any":
                encoders, _ = rule(column.type, column.kind)
                places |= {
                    b"%c%b" % (kind, key): (bit, self._compile_any(kind, index, encode))
                    for kind, encode in encoders.items()
                }
            else:
                fields = self._scalar_fields(column, is_id=is_root and key == b"_id")
                scalars |= {
                    b"%c%b" % (kind, key): (bit, index, encode, weight)
                    for kind, encode, weight in fields
                }
        for key, child in level.arrays.items():
            places[b"\x04" + key] = (bits[key], self._compile_array(names[key], child))
        for key, inner in level.levels.items():
            places[b"\x03" + key] = (
                bits[key],
                self._compile_inner(names[key], self._compile(inner, table, depth + 1)),
            )
        return self._compile_walk(scalars, places, bits, names, is_root=is_root, depth=depth)

    def _scalar_fields(self, column: ColumnLayout, *, is_id: bool) -> list[tuple[int, Encode, int]]:
        """For each type byte that a column takes: the encoder, and the values that its cell counts for."""
        if column.type == "jsonb":
            return [
                (kind, self._compile_jsonb(kind, is_escaped=is_id and kind in ORDERED), 0)
                for kind in KINDS
                if kind != NULL
            ]
        encoders, _ = rule(column.type, column.kind)
        if is_array(column.type):
            return [(kind, self._counting(encode), 0) for kind, encode in encoders.items()]
        return [(kind, encode, 1) for kind, encode in encoders.items()]

    def _counting(self, encode: Encode) -> Encode:
        tally = self._tally

        def encode_array(raw: bytes, p: int) -> tuple[bytes | None, int]:
            cell, end = encode(raw, p)
            if cell is not None:
                tally.typed += array_size(cell) or 1
            return cell, end

        return encode_array

    def _compile_jsonb(self, kind: int, *, is_escaped: bool) -> Encode:
        write = self._tally.jsonb.escaped if is_escaped else self._tally.jsonb.value

        def encode_jsonb(raw: bytes, p: int) -> tuple[bytes, int]:
            text, end = write(kind, raw, p)
            return jsonb_cell(text), end

        return encode_jsonb

    def _compile_any(self, kind: int, index: int, encode: Encode) -> Place:
        tally = self._tally
        write = tally.notes.escaped if kind in ORDERED else tally.notes.value

        def place(
            raw: bytes,
            p: int,
            cells: Cells,
            _kids: Kids,
            _ordinals: bytes,
            _careful: bool,
            extra: Extra,
        ) -> int:
            cell, end = encode(raw, p)
            cells[index] = cell or NULL_CELL
            if cell is not None and cell[4:11] == b"sha256:":
                extra.append(f'"_id":{write(kind, raw, p)[0]}')
            else:
                tally.typed += (count_leaves(raw[p:end]) or 1) if kind in {DOCUMENT, ARRAY} else 1
            return end

        return place

    def _compile_inner(self, name: str, walk: Walk) -> Place:
        notes = self._tally.notes

        def place(
            raw: bytes,
            p: int,
            cells: Cells,
            kids: Kids,
            ordinals: bytes,
            careful: bool,
            extra: Extra,
        ) -> int:
            text, end = walk(raw, p, cells, kids, ordinals, careful)
            if end == p + 5:
                notes.leaves += 1
                extra.append(f"{name}:{{}}")
            elif text is not None:
                extra.append(f"{name}:{text}")
            return end

        return place

    def _compile_array(self, name: str, child: int) -> Place:
        walk, notes, tally = self._walks[child], self._tally.notes, self._tally
        width = len(self._tree.layouts[child].names) - self._tree.layouts[child].key_width

        def place(
            raw: bytes, p: int, _: Cells, kids: Kids, ordinals: bytes, careful: bool, extra: Extra
        ) -> int:
            last, q = open_document(raw, p), p + 4
            if q == last:
                notes.leaves += 1
                extra.append(f"{name}:[]")
            rows, position = kids[child], 0
            while q != last:
                kind, start = raw[q], key_end(raw, q, last) + 1
                row, inner = [NULL_CELL] * width, ordinals + pack_int4(4, position)
                if kind == DOCUMENT:
                    text, q = walk(raw, start, row, kids, inner, careful)
                    tally.typed += q == start + 5
                else:
                    element, q = notes.value(kind, raw, start, 1)
                    text = f'{{"$element":{element}}}'
                if q > last:
                    raise InvalidBsonError("a value longer than its array", start)
                if text is not None:
                    row[-1] = jsonb_cell(text)
                rows.append(inner + b"".join(row))
                position += 1
            return last + 1

        return place

    def _compile_walk(
        self,
        scalars: Scalars,
        places: Places,
        bits: dict[bytes, int],
        names: dict[bytes, str],
        *,
        is_root: bool,
        depth: int,
    ) -> Walk:
        find_scalar, find_place, find_bit = scalars.get, places.get, bits.get
        notes, tally = self._tally.notes, self._tally

        def walk(
            raw: bytes, p: int, cells: Cells, kids: Kids, ordinals: bytes, careful: bool
        ) -> tuple[str | None, int]:
            hidden = notes.unnameable(raw, p) if careful else ()
            last, p, start = open_document(raw, p), p + 4, p
            seen = count = 0
            extra: Extra = []
            hashes = array("q")
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
                        raise UnnameableError
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
                        raise UnnameableError
                    seen |= bit
                    p = place(raw, end + 1, cells, kids, ordinals, careful, extra)
                    if p > last:
                        raise InvalidBsonError("a value longer than its document", end)
                    continue
                else:
                    key = tag[1:]
                    bit = find_bit(key, 0)
                    if seen & bit:
                        raise UnnameableError
                    if not bit:
                        hashes.append(hash(key))
                    seen |= bit
                name = names.get(key) or notes.key(key)
                if name is None:
                    raise UnnameableError
                kind = raw[p]
                is_id = is_root and key == b"_id" and kind in ORDERED
                text, p = (
                    notes.escaped(kind, raw, end + 1)
                    if is_id
                    else notes.value(kind, raw, end + 1, depth)
                )
                if p > last:
                    raise InvalidBsonError("a value longer than its document", end)
                add_part(extra, f"{name}:{text}")
            if not careful and find_repeated(hashes):
                raise UnnameableError
            tally.typed += count
            if hidden:
                extra.append(f'"$bson":{notes.unnameable_fields(raw, start, hidden)}')
            return (f"{{{','.join(extra)}}}" if extra else None), last + 1

        return walk
