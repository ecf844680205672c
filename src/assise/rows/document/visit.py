"""Shred one document: raw BSON in, the fields of its row and its child rows out.

`DocumentVisitor` compiles a collection of the manifest once into nested closures. A level knows for
each type byte and key what to do with the value, so that one dictionary look-up stands for one
field. What no cell gives back exactly is written as the jsonb form into `_extra`, which mirrors the
document.
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
from assise.rows.columns import LEVEL_BITS, Places, code_of
from assise.rows.counts import CountingWriters
from assise.rows.tree import Level, Tree
from assise.types.anykey import is_digest_field
from assise.types.codec import Encode
from assise.types.jsonb import ORDERED, jsonb_field
from assise.types.table import TYPES, find_codec, is_array
from assise.types.wire import NULL_FIELD, CopyField, array_size, int4_field

Fields = list[CopyField]
"""The fields of a row behind its key columns."""

PackedRows = list[list[bytes]]
"""For each layout child rows: ordinals and fields, joined, without the root's key."""

ExtraParts = list[str]
"""The members of one level of `_extra`, as JSON text."""

VisitLevel = Callable[[bytes, int, Fields, PackedRows, bytes, bool], tuple[str | None, int]]
"""(raw, position, fields, child rows, ordinals, has unnameable keys) -> the text of this level in
`_extra`, and the position behind the level."""

VisitValue = Callable[[bytes, int, Fields, PackedRows, bytes, bool, ExtraParts], int]
"""Visit a value that is more than one scalar field: gives the position behind it."""

Scalars = dict[bytes, tuple[int, int, Encode, int]]
"""Type byte and key -> (bit of the key, position of the field, encoder, leaves that it counts)."""

Visits = dict[bytes, tuple[int, VisitValue]]
"""Type byte and key -> (bit of the key, visit of the value)."""


ColumnPlaces = dict[bytes, tuple[int, int]]
"""The key of a column -> its table, and its position in the layout."""


class UnnameableError(Exception):
    """A level holds repeated keys or keys that JSON cannot name: look for them, and begin again."""


class UnfitKeyError(Exception):
    """The `_id` is missing, repeated, or does not fit the key's type."""


class DocumentVisitor:
    """Shreds documents of one collection."""

    def __init__(self, tree: Tree, writers: CountingWriters) -> None:
        self._tree, self._writers = tree, writers
        self._visits: dict[int, VisitLevel] = {}
        for i in reversed(range(len(tree.layouts))):
            self._visits[i] = self._compile(tree.roots[i], i)

    def visit(self, offset: int, raw: bytes) -> tuple[Fields, PackedRows]:
        """The fields of the document's row, and its child rows.

        Raises:
            InvalidBsonError: it is not BSON. UnfitKeyError: it has no key.
        """
        before, mark = self._writers.values, len(self._writers.columns.hits)
        try:
            try:
                return self._visit(offset, raw, has_unnameable=False)
            except UnnameableError:
                self._writers.reset(before)
                self._writers.columns.undo(mark)
                return self._visit(offset, raw, has_unnameable=True)
        except (*OUTSIDE, ValueError) as error:
            check_document(raw)
            raise invalid(error) from error

    def _visit(self, offset: int, raw: bytes, *, has_unnameable: bool) -> tuple[Fields, PackedRows]:
        tree = self._tree
        fields = [NULL_FIELD] * len(tree.layouts[0].names)
        rows: PackedRows = [[] for _ in tree.layouts]
        if write_offset := TYPES[tree.key.type].write_offset if tree.key.kind == "offset" else None:
            key = write_offset(offset)
            if key is None:
                raise UnfitKeyError(f"the offset {offset} does not fit {tree.key.type}")
            fields[tree.key_position] = key
        extra, end = self._visits[0](raw, 0, fields, rows, b"", has_unnameable)
        if end != len(raw):
            raise InvalidBsonError("a document whose length is not its own", 0)
        if fields[tree.key_position] == NULL_FIELD:
            raise UnfitKeyError(self._describe_key(raw))
        if extra is not None:
            fields[-1] = jsonb_field(extra)
        return fields, rows

    def _describe_key(self, raw: bytes) -> str:
        key = self._tree.key
        found = [(kind, raw[p:end]) for kind, name, p, end in elements(raw) if name == b"_id"]
        if len(found) != 1:
            return "no _id" if not found else f"{len(found)} fields _id"
        [(kind, value)] = found
        shown = JsonWriter(JSONB).value(kind, value, 0)[0]
        return f"_id {shown[:200]} ({KINDS[kind]}) does not fit {key.type}, kind {key.kind}"

    def _compile(self, level: Level, table: int, depth: int = 1) -> VisitLevel:
        """The visit of one level.

        Args:
            table: the layout whose fields it fills.
            depth: how deep its values lie in `_extra`.
        """
        names: dict[bytes, str] = {}
        bits: dict[bytes, int] = {}
        scalars: Scalars = {}
        visits: Visits = {}
        is_root = level is self._tree.roots[0]
        for i, key in enumerate([*level.columns, *level.arrays, *level.levels]):
            names[key], bits[key] = self._writers.extra.key(key) or "", 1 << i
        key_width = self._tree.layouts[table].key_width
        for key, (position, column) in level.columns.items():
            index, bit = position - key_width, bits[key]
            if column.kind == "any":
                for kind, encode in find_codec(column.type, column.kind).encode.items():
                    visits[b"%c%b" % (kind, key)] = bit, self._compile_any(kind, index, encode)
                continue
            is_id = is_root and key == b"_id"
            for kind, encode, leaves in self._list_encoders(column, is_id=is_id):
                scalars[b"%c%b" % (kind, key)] = bit, index, encode, leaves
        for key, child in level.arrays.items():
            visits[b"\x04" + key] = bits[key], self._compile_array(names[key], child)
        for key, inner in level.levels.items():
            visit = self._compile(inner, table, depth + 1)
            visits[b"\x03" + key] = bits[key], self._compile_inner(names[key], visit)
        places = {key: (table, position) for key, (position, _) in level.columns.items()}
        note = self._compile_note(names, places, is_root=is_root, depth=depth)
        told = [(bits[key], *place) for key, place in places.items()]
        return self._compile_level(scalars, visits, bits, note, told)

    def _list_encoders(self, column: ColumnLayout, *, is_id: bool) -> list[tuple[int, Encode, int]]:
        """For each type byte that a column takes: the encoder, and the leaves of its field.

        What is no single leaf is counted by its encoder.
        """
        if column.type == "jsonb":
            kinds = [kind for kind in KINDS if kind != NULL]
            return [(kind, self._compile_jsonb(kind, is_id=is_id), 0) for kind in kinds]
        encoders = find_codec(column.type, column.kind).encode
        if is_array(column.type):
            return [(kind, self._count_items(encode), 0) for kind, encode in encoders.items()]
        return [(kind, encode, 1) for kind, encode in encoders.items()]

    def _count_items(self, encode: Encode) -> Encode:
        writers = self._writers

        def encode_array(raw: bytes, p: int) -> tuple[CopyField | None, int]:
            field, end = encode(raw, p)
            if field is not None:
                writers.typed += array_size(field) or 1
            return field, end

        return encode_array

    def _compile_jsonb(self, kind: int, *, is_id: bool) -> Encode:
        writer = self._writers.jsonb
        write = writer.escaped if is_id and kind in ORDERED else writer.value

        def encode_jsonb(raw: bytes, p: int) -> tuple[CopyField, int]:
            text, end = write(kind, raw, p)
            return jsonb_field(text), end

        return encode_jsonb

    def _compile_any(self, kind: int, index: int, encode: Encode) -> VisitValue:
        """The visit of a key of kind any; where it is a digest, the `_id` stands in `_extra`."""
        writers = self._writers
        write = writers.extra.escaped if kind in ORDERED else writers.extra.value

        def visit_any(
            raw: bytes,
            p: int,
            fields: Fields,
            _rows: PackedRows,
            _ordinals: bytes,
            _has_unnameable: bool,
            extra: ExtraParts,
        ) -> int:
            field, end = encode(raw, p)
            fields[index] = field or NULL_FIELD
            if field is not None and is_digest_field(field):
                extra.append(f'"_id":{write(kind, raw, p)[0]}')
            elif kind in {DOCUMENT, ARRAY}:
                writers.typed += count_leaves(raw[p:end]) or 1
            else:
                writers.typed += 1
            return end

        return visit_any

    def _compile_inner(self, name: str, visit: VisitLevel) -> VisitValue:
        writer = self._writers.extra

        def visit_inner(
            raw: bytes,
            p: int,
            fields: Fields,
            rows: PackedRows,
            ordinals: bytes,
            has_unnameable: bool,
            extra: ExtraParts,
        ) -> int:
            text, end = visit(raw, p, fields, rows, ordinals, has_unnameable)
            if end == p + 5:  # an empty document: only its mirror says that it is there
                writer.leaves += 1
                extra.append(f"{name}:{{}}")
            elif text is not None:
                extra.append(f"{name}:{text}")
            return end

        return visit_inner

    def _compile_array(self, name: str, child: int) -> VisitValue:
        """The visit of an array that is a child table: one packed row an element."""
        visit, writer, writers = self._visits[child], self._writers.extra, self._writers
        layout = self._tree.layouts[child]
        width = len(layout.names) - layout.key_width

        def visit_array(
            raw: bytes,
            p: int,
            _: Fields,
            rows: PackedRows,
            ordinals: bytes,
            has_unnameable: bool,
            extra: ExtraParts,
        ) -> int:
            last, q = open_document(raw, p), p + 4
            if q == last:
                writer.leaves += 1
                extra.append(f"{name}:[]")
            found, position = rows[child], 0
            while q != last:
                kind, start = raw[q], key_end(raw, q, last) + 1
                fields, inner = [NULL_FIELD] * width, ordinals + int4_field(position)
                if kind == DOCUMENT:
                    text, q = visit(raw, start, fields, rows, inner, has_unnameable)
                    writers.typed += q == start + 5
                else:
                    element, q = writer.value(kind, raw, start, 1)
                    text = f'{{"$element":{element}}}'
                if q > last:
                    raise InvalidBsonError("a value longer than its array", start)
                if text is not None:
                    fields[-1] = jsonb_field(text)
                found.append(inner + b"".join(fields))
                position += 1
            return last + 1

        return visit_array

    def _compile_note(
        self, names: dict[bytes, str], places: ColumnPlaces, *, is_root: bool, depth: int
    ) -> Callable[[bytes, int, int, ExtraParts], int]:
        """(raw, position, end of the key, parts) -> position behind a value, which is noted."""
        writer, columns = self._writers.extra, self._writers.columns

        def note(raw: bytes, p: int, end: int, extra: ExtraParts) -> int:
            kind, key = raw[p], raw[p + 1 : end]
            name = names.get(key) or writer.key(key)
            if name is None:
                raise UnnameableError
            if is_root and key == b"_id" and kind in ORDERED:
                text, after = writer.escaped(kind, raw, end + 1)
            else:
                text, after = writer.value(kind, raw, end + 1, depth)
            add_part(extra, f"{name}:{text}")
            if key in places:
                columns.note(*places[key], code_of(kind, raw, end + 1))
            return after

        return note

    def _compile_level(
        self,
        scalars: Scalars,
        visits: Visits,
        bits: dict[bytes, int],
        note: Callable[[bytes, int, int, ExtraParts], int],
        places: Places,
    ) -> VisitLevel:
        """The loop over the fields of one level: scalars first, they are nearly all.

        `seen` has a bit for each key of the manifest that has come. Other keys are told by their
        hashes, which are sorted at the end: a level may have a million of them. A key that comes
        twice, or that JSON cannot name, sends the document into its second visit, which knows
        these keys of every level and passes over them; they go to `$bson` of the level at its end.
        """
        find_scalar, find_visit, find_bit = scalars.get, visits.get, bits.get
        writers, writer = self._writers, self._writers.extra
        number, known = writers.columns.add_level(places)
        hits = writers.columns.hits

        def visit_level(
            raw: bytes,
            p: int,
            fields: Fields,
            rows: PackedRows,
            ordinals: bytes,
            has_unnameable: bool,
        ) -> tuple[str | None, int]:
            unnameable = writer.unnameable(raw, p) if has_unnameable else ()
            last, p, start = open_document(raw, p), p + 4, p
            seen = count = 0
            extra: ExtraParts = []
            hashes = array("q")
            while p != last:
                end = raw.find(b"\0", p + 1, last)
                if end < 0:
                    raise InvalidBsonError("a key without a terminator", p)
                if unnameable and raw[p + 1 : end] in unnameable:
                    p = SKIP[raw[p]](raw, end + 1)
                    continue
                tag = raw[p:end]
                scalar = find_scalar(tag)
                if scalar is not None:
                    bit, index, encode, leaves = scalar
                    if seen & bit:
                        raise UnnameableError
                    seen |= bit
                    field, after = encode(raw, end + 1)
                    if field is None:
                        after = note(raw, p, end, extra)
                    else:
                        fields[index] = field
                        count += leaves
                elif (found := find_visit(tag)) is not None:
                    bit, visit = found
                    if seen & bit:
                        raise UnnameableError
                    seen |= bit
                    after = visit(raw, end + 1, fields, rows, ordinals, has_unnameable, extra)
                else:
                    bit = find_bit(tag[1:], 0)
                    if seen & bit:
                        raise UnnameableError
                    if not bit:
                        hashes.append(hash(tag[1:]))
                    seen |= bit
                    after = note(raw, p, end, extra)
                if after > last:
                    raise InvalidBsonError("a value longer than its document", end)
                p = after
            if not has_unnameable and find_repeated(hashes):
                raise UnnameableError
            writers.typed += count
            hits.append(known.get(seen) or known.setdefault(seen, seen << LEVEL_BITS | number))
            if unnameable:
                extra.append(f'"$bson":{writer.unnameable_fields(raw, start, unnameable)}')
            return (f"{{{','.join(extra)}}}" if extra else None), last + 1

        return visit_level
