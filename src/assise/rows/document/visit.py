"""Shred one document: raw BSON in, the fields of its row and its child rows out.

`DocumentVisitor` compiles a collection of the manifest once into nested closures. A level knows for
each type byte and key what to do with the value, so that one dictionary look-up stands for one
field. What no cell gives back exactly is written as the jsonb form into `_extra`, which mirrors the
document.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

from assise.documents.extjson import JsonWriter, add_part
from assise.documents.kinds import DOCUMENT, KINDS, NULL
from assise.documents.reader import (
    OUTSIDE,
    SKIP,
    check_document,
    elements,
    find_repeated,
    invalid,
    key_end,
    open_document,
)
from assise.errors import InvalidBsonError
from assise.manifest.layout import IS_DOCUMENT, IS_EMPTY, IS_NULL
from assise.rows.columns import LEVEL_BITS, READ, Places, code_of
from assise.rows.counts import CountingWriters
from assise.rows.document.cells import (
    CellPlace,
    ExtraParts,
    Fields,
    PackedRows,
    VisitValue,
    compile_any,
    compile_null,
    compile_null_encoder,
    compile_read,
    count_leaves_of,
    list_encoders,
    list_holds,
    note_writer,
)
from assise.rows.tree import Level, Tree
from assise.types.codec import Encode
from assise.types.jsonb import jsonb_field
from assise.types.table import find_type
from assise.types.wire import NULL_FIELD, int4_field

VisitLevel = Callable[[bytes, int, Fields, PackedRows, bytes, bool], tuple[str | None, int]]
"""(raw, position, fields, child rows, ordinals, has unnameable keys) -> the text of this level in
`_extra`, and the position behind the level."""

VisitElement = Callable[[int, bytes, int, PackedRows, bytes, bool], int]
"""Visit an element of an array by its kind: gives the position behind it."""

Scalars = dict[bytes, tuple[int, int, Encode, int]]
"""Type byte and key -> (bit of the key, position of the field, encoder, leaves that it counts)."""

Visits = dict[bytes, tuple[int, VisitValue]]
"""Type byte and key -> (bit of the key, visit of the value)."""


class UnnameableError(Exception):
    """A level holds repeated keys or keys that JSON cannot name: look for them, and begin again.

    The second visit knows these keys of every level and passes over them; they go to `$bson` of the
    level at its end.
    """


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
        if (
            write_offset := find_type(tree.key.type).write_offset
            if tree.key.kind == "offset"
            else None
        ):
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
        shown = JsonWriter(self._tree.form.dialect).value(kind, value, 0)[0]
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
        writers = self._writers
        keys = [*level.columns, *level.arrays, *level.levels, *level.nulls]
        for i, key in enumerate(keys):
            names[key] = writers.extra.key(key) or ""
            bits.setdefault(key, 1 << i)
        key_width = self._tree.layouts[table].key_width
        for key, position, column, codec in self._tree.codecs(level):
            index, bit = position - key_width, bits[key]
            if column.kind == "any":
                for kind, encode in codec.encode.items():
                    visit = compile_any(writers, kind, index, encode)
                    visits[b"%c%b" % (kind, key)] = bit, visit
                continue
            is_id, place = is_root and key == b"_id", (table, position)
            for kind, encode, leaves in list_encoders(writers, column, codec, is_id=is_id):
                scalars[b"%c%b" % (kind, key)] = bit, index, encode, leaves
            write = note_writer(writers.extra, depth, is_id=is_id)
            for kind in codec.read:
                visit = compile_read(
                    writers,
                    kind,
                    name=names[key],
                    index=index,
                    place=place,
                    hold=codec.hold(kind),
                    write=write,
                )
                visits[b"%c%b" % (kind, key)] = bit, visit
            if column.absent == IS_NULL:
                encode_null = compile_null_encoder(writers, place)
                scalars[b"%c%b" % (NULL, key)] = bit, index, encode_null, 1
        for key, child in level.arrays.items():
            visits[b"\x04" + key] = bits[key], self._compile_array(names[key], child)
            if self._tree.rules > 1 and self._tree.elements[child] is None:
                visits[b"\x03" + key] = bits[key], self._compile_one(names[key], child)
        for key, inner in level.levels.items():
            visit_level = self._compile(inner, table, depth + 1)
            if level.absent.get(key) == IS_DOCUMENT:
                visit = self._compile_silent(names[key], visit_level)
            else:
                visit = self._compile_inner(names[key], visit_level, inner, key_width)
            visits[b"\x03" + key] = bits[key], visit
        for key, absent in level.absent.items():
            if absent == IS_NULL and key not in level.columns:
                visits[b"%c%b" % (NULL, key)] = bits[key], compile_null(writers)
        places = {key: (table, position) for key, (position, _) in level.columns.items()}
        note = self._compile_note(names, places, is_root=is_root, depth=depth)
        told = [(bits[key], *place) for key, place in places.items()]
        absent_bits = [(bits[key], names[key]) for key in level.absent]
        return self._compile_level(scalars, visits, bits, note, told, absent_bits)

    def _compile_inner(
        self, name: str, visit: VisitLevel, level: Level, key_width: int
    ) -> VisitValue:
        """The visit of a level: noted as `{}` where nothing else would say that it is there."""
        writer, is_told = self._writers.extra, level.is_told
        indexes = [position - key_width for position in level.positions()]
        children = list(level.children())

        def visit_inner(
            raw: bytes,
            p: int,
            fields: Fields,
            rows: PackedRows,
            ordinals: bytes,
            has_unnameable: bool,
            extra: ExtraParts,
        ) -> int:
            before = [len(rows[child]) for child in children] if is_told else []
            text, end = visit(raw, p, fields, rows, ordinals, has_unnameable)
            is_empty = end == p + 5
            writer.leaves += is_empty
            if text is None and is_told and not is_empty:
                is_empty = all(fields[index] == NULL_FIELD for index in indexes)
                is_empty = is_empty and before == [len(rows[child]) for child in children]
            if text is not None or is_empty:
                extra.append(f"{name}:{text or '{}'}")
            return end

        return visit_inner

    def _compile_silent(self, name: str, visit: VisitLevel) -> VisitValue:
        """The visit of a level that is there without a note."""
        writers = self._writers

        def visit_silent(
            raw: bytes,
            p: int,
            fields: Fields,
            rows: PackedRows,
            ordinals: bytes,
            has_unnameable: bool,
            extra: ExtraParts,
        ) -> int:
            text, end = visit(raw, p, fields, rows, ordinals, has_unnameable)
            is_empty = end == p + 5
            if text is None:
                writers.typed += is_empty
            else:
                writers.extra.leaves += is_empty
                extra.append(f"{name}:{text}")
            return end

        return visit_silent

    def _compile_array(self, name: str, child: int) -> VisitValue:
        """The visit of an array that is a child table: one packed row an element."""
        writer, writers = self._writers.extra, self._writers
        visit_element = self._compile_element(child)
        goes_without_saying = self._tree.layouts[child].absent == IS_EMPTY

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
            if q == last and goes_without_saying:
                writers.typed += 1
            elif q == last:
                writer.leaves += 1
                extra.append(f"{name}:[]")
            position = 0
            while q != last:
                kind, start = raw[q], key_end(raw, q, last) + 1
                inner = ordinals + int4_field(position)
                q = visit_element(kind, raw, start, rows, inner, has_unnameable)
                if q > last:
                    raise InvalidBsonError("a value longer than its array", start)
                position += 1
            return last + 1

        return visit_array

    def _compile_one(self, name: str, child: int) -> VisitValue:
        """The visit of one document in place of an array: one row, and a word in `_extra`."""
        visit_element = self._compile_element(child)

        def visit_one(
            raw: bytes,
            p: int,
            _: Fields,
            rows: PackedRows,
            ordinals: bytes,
            has_unnameable: bool,
            extra: ExtraParts,
        ) -> int:
            extra.append(f'{name}:{{"$one":true}}')
            inner = ordinals + int4_field(0)
            return visit_element(DOCUMENT, raw, p, rows, inner, has_unnameable)

        return visit_one

    def _compile_element(self, child: int) -> VisitElement:
        """The visit of one element of an array: a row of its child table."""
        visit, writer, writers = self._visits[child], self._writers.extra, self._writers
        layout, column = self._tree.layouts[child], self._tree.elements[child]
        width, found = len(layout.names) - layout.key_width, child
        holds = list_holds(self._tree.codec(column)) if column is not None else {}
        hits, note, position = writers.columns.hits, writers.columns.note, layout.key_width
        hit = writers.columns.add_elements(child, position) if column is not None else None

        def visit_element(
            kind: int,
            raw: bytes,
            start: int,
            rows: PackedRows,
            ordinals: bytes,
            has_unnameable: bool,
        ) -> int:
            fields = [NULL_FIELD] * width
            if hit is not None:
                hits.append(hit)
                if kind == NULL or kind not in holds:
                    note(child, position, code_of(kind, raw, start))
            if kind in holds:
                field, end, is_home = holds[kind](raw, start)
                fields[0] = field or NULL_FIELD
                text = None
                if is_home:
                    writers.typed += count_leaves_of(kind, raw, start, end)
                else:
                    leaves = writer.leaves
                    note(child, position, code_of(kind, raw, start) if field is None else READ)
                    element, end = writer.value(kind, raw, start, 1)
                    text = f'{{"$element":{element}}}'
                    if field is not None:
                        writers.move_to_read(leaves)
            elif kind == DOCUMENT and column is None:
                text, end = visit(raw, start, fields, rows, ordinals, has_unnameable)
                writers.typed += end == start + 5
            else:
                element, end = writer.value(kind, raw, start, 1)
                text = f'{{"$element":{element}}}'
            if text is not None:
                fields[-1] = jsonb_field(text)
            rows[found].append(ordinals + b"".join(fields))
            return end

        return visit_element

    def _compile_note(
        self, names: dict[bytes, str], places: dict[bytes, CellPlace], *, is_root: bool, depth: int
    ) -> Callable[[bytes, int, int, ExtraParts], int]:
        """(raw, position, end of the key, parts) -> position behind a value, which is noted."""
        writer, columns = self._writers.extra, self._writers.columns
        write_id, write = note_writer(writer, depth, is_id=True), note_writer(writer, depth)

        def note(raw: bytes, p: int, end: int, extra: ExtraParts) -> int:
            kind, key = raw[p], raw[p + 1 : end]
            name = names.get(key) or writer.key(key)
            if name is None:
                raise UnnameableError
            is_id = is_root and key == b"_id"
            text, after = (write_id if is_id else write)(kind, raw, end + 1)
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
        absent: list[tuple[int, str]],
    ) -> VisitLevel:
        """The loop over the fields of one level: scalars first, they are nearly all.

        `seen` has a bit for each key of the manifest that has come. Other keys are told by their
        hashes, which are sorted at the end: a level may have a million of them.
        """
        find_scalar, find_visit, find_bit = scalars.get, visits.get, bits.get
        writers, writer = self._writers, self._writers.extra
        number, known = writers.columns.add_level(places)
        hits, wanted = writers.columns.hits, sum(dict(absent))

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
            if missing := wanted & ~seen:
                extra.append(_list_missing(missing, absent))
            if unnameable:
                extra.append(f'"$bson":{writer.unnameable_fields(raw, start, unnameable)}')
            return (f"{{{','.join(extra)}}}" if extra else None), last + 1

        return visit_level


def _list_missing(missing: int, absent: list[tuple[int, str]]) -> str:
    names = [name for bit, name in absent if missing & bit]
    return f'"$missing":[{",".join(names)}]'
