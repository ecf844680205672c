"""Assemble one document: its row and its child rows in, raw BSON out.

`DocumentBuilder` compiles a collection of the manifest once into nested closures, one a level.
Where a cell is not what shred would write for the original in `_extra`, SQL has changed it, and the
cell wins, NULL included. Child rows win over what `_extra` says of their array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from assise.documents.extjson_reader import Json, dbref_order, read_wrapper
from assise.documents.kinds import ARRAY, DOCUMENT, NULL
from assise.documents.writer import Element, write_array, write_document
from assise.errors import CellError, ExtendedJsonError
from assise.manifest.layout import IS_DOCUMENT, IS_NULL, ColumnLayout
from assise.rows.extra import (
    ELEMENT,
    MISSING,
    NULLED,
    compile_extra,
    find_nulled,
    is_one,
    list_names,
    read_missing,
    read_named,
    read_unnamed,
)
from assise.rows.model import ChildRows, Row
from assise.rows.tree import Level, Tree
from assise.types.anykey import is_digest
from assise.types.codec import Codec, Decode
from assise.types.jsonb import JsonbObject
from assise.types.table import is_array
from assise.types.wire import Cell

_Field = tuple[bytes, Element]
_BuildNoted = Callable[[Cell | None, Json], Element | None]
"""The cell of a column and the note beside it -> the value; None for a field that is absent."""

_Leaf = tuple[str, bytes, int, Decode, _BuildNoted]
_BuildLevel = Callable[[Row, JsonbObject, ChildRows, bytes, bool], tuple[list[_Field], bool]]
"""(row, the level's part of `_extra`, child rows, ordinals, whether something says that the level
is there) -> the fields of the level, and whether any of them stands in a cell or a note."""

_BuildPart = Callable[[Row, JsonbObject, ChildRows, bytes], list[_Field]]
_BuildItems = Callable[[ChildRows, bytes], tuple[int, Iterator[Element]]]
"""(child rows, ordinals of the parent's row) -> the number of elements, and these."""

_CACHED = 1 << 12
"""Cells of a column whose values are remembered by a strict decoder that is slow."""


class DocumentBuilder:
    """Assembles documents of one collection.

    A strict one refuses what shred would not have written: a numeric with another scale,
    microseconds, a value both in its cell and in `_extra`, an `_extra` with nothing to say.
    """

    def __init__(self, tree: Tree, *, is_strict: bool) -> None:
        self.tree, self._is_strict = tree, is_strict
        form = tree.form
        self._read_jsonb = form.strict_reader() if is_strict else form.read
        self._builds: dict[int, _BuildLevel] = {}
        for i in reversed(range(len(tree.layouts))):
            self._builds[i] = self._compile(tree.roots[i])
        self.read_extra = compile_extra(tree, tree.roots[0], self._read_jsonb, is_strict=is_strict)

    def build(self, row: Row, child_rows: ChildRows) -> bytes:
        """Assemble a document; child rows are taken out of `child_rows` as they are used."""
        try:
            extra = self.read_extra(row[-1])
            fields, _ = self._builds[0](row, extra, child_rows, b"", True)
        except RecursionError as error:
            raise CellError("a jsonb value is nested deeper than a load writes it") from error
        fields.sort(key=lambda field: field[0] != b"_id")
        return write_document(fields)

    def decoder(self, column: ColumnLayout, codec: Codec) -> Decode:
        """The decoder of a column's cells."""
        if column.type == "jsonb":
            read, value = self._read_jsonb, self.tree.form.value
            return lambda cell: value(read(cell, {}))
        if not self._is_strict or codec.decode_strictly is None:
            return codec.decode
        decode = codec.decode_strictly
        return decode if is_array(column.type) else lru_cache(_CACHED)(decode)

    def _name(self, key: bytes) -> str:
        return self.tree.form.escapes.escape(key.decode())

    def _compile(self, level: Level) -> _BuildLevel:
        """The build of one level: its columns, its levels, its arrays, then other fields.

        What goes without a note is filled in where the level is there.
        """
        parts = [
            compile_part(level)
            for compile_part, is_used in (
                (self._compile_leaves, level.columns),
                (self._compile_levels, level.levels),
                (self._compile_arrays, level.arrays),
            )
            if is_used
        ]
        form, known = self.tree.form, {"$bson", *list_names(self.tree, level)}
        fill = self._compile_absent(level)
        has_ref = "$ref" in known

        def build(
            row: Row, extra: JsonbObject, child_rows: ChildRows, ordinals: bytes, is_there: bool
        ) -> tuple[list[_Field], bool]:
            fields: list[_Field] = []
            for build_part in parts:
                fields += build_part(row, extra, child_rows, ordinals)
            if extra:
                fields += read_named(form, extra, known)
            was_there = bool(fields or "$bson" in extra)
            if fill is not None and (was_there or is_there):
                fill(fields, extra)
            if "$bson" in extra:
                fields += read_unnamed(extra)
            if has_ref or "$ref" in extra:
                fields.sort(key=lambda field: dbref_order(field[0]))
            return fields, was_there

        return build

    def _compile_leaves(self, level: Level) -> _BuildPart:
        """The build of the columns of a level."""
        leaves = [self._compile_leaf(*found) for found in self.tree.codecs(level)]

        def build_leaves(
            row: Row, extra: JsonbObject, _child_rows: ChildRows, _ordinals: bytes
        ) -> list[_Field]:
            fields: list[_Field] = []
            name = ""
            try:
                for name, key, position, decode, build_noted in leaves:
                    cell = row[position]
                    if extra and name in extra:
                        element = build_noted(cell, extra[name])
                        if element is not None:
                            fields.append((key, element))
                    elif cell is not None:
                        fields.append((key, decode(cell)))
            except (CellError, ExtendedJsonError) as error:
                raise CellError(f"{name}: {error.message}") from error
            return fields

        return build_leaves

    def _compile_leaf(self, key: bytes, position: int, column: ColumnLayout, codec: Codec) -> _Leaf:
        """The build of a column, and that of one with a note beside its cell."""
        decode, name = self.decoder(column, codec), self._name(key)
        value = self.tree.form.value
        holds = {kind: codec.hold(kind) for kind in {**codec.encode, **codec.read}}
        is_strict, has_notes = self._is_strict, self.tree.rules > 1

        def build_noted(cell: Cell | None, note: Json) -> Element | None:
            original = find_nulled(note) if has_notes else None
            if original is not None:
                return decode(cell) if cell is not None else value(*original)
            kind, content = element = value(note)
            field, is_home = None, False
            if kind in holds:
                field, _, is_home = holds[kind](content, 0)
            is_same = cell == (None if field is None else field[4:])
            if is_strict:
                is_digested = column.kind == "any" and cell is not None and is_digest(cell)
                is_told = kind == NULL and column.absent == IS_NULL
                is_beside = cell is not None and is_home and not is_digested
                _refuse(not is_same or is_told or is_beside, name)
            if is_same:
                return element
            return None if cell is None else decode(cell)

        return name, key, position, decode, build_noted

    def _compile_levels(self, level: Level) -> _BuildPart:
        """The build of the levels below one."""
        levels = [
            (self._name(key), key, self._compile(inner), level.absent.get(key) == IS_DOCUMENT)
            for key, inner in level.levels.items()
        ]
        form, refuse = self.tree.form, _refuse if self._is_strict else _let_pass

        def build_levels(
            row: Row, extra: JsonbObject, child_rows: ChildRows, ordinals: bytes
        ) -> list[_Field]:
            fields: list[_Field] = []
            name = ""
            try:
                for name, key, build_inner, is_silent in levels:
                    note = extra.get(name) if extra else None
                    is_mirror = isinstance(note, dict) and not read_wrapper(note, form=form.form)
                    mirror = note if isinstance(note, dict) and is_mirror else {}
                    inner, was_there = build_inner(row, mirror, child_rows, ordinals, is_mirror)
                    is_told = was_there or (is_silent and is_mirror)
                    refuse(is_told and name in extra and not mirror, name)
                    if inner or is_mirror:
                        fields.append((key, (DOCUMENT, write_document(inner))))
                    elif name in extra:
                        fields.append((key, form.value(note)))
            except (CellError, ExtendedJsonError) as error:
                raise CellError(f"{name}: {error.message}") from error
            return fields

        return build_levels

    def _compile_arrays(self, level: Level) -> _BuildPart:
        """The build of the child tables of a level."""
        arrays = [
            (self._name(key), key, self._compile_array(child))
            for key, child in level.arrays.items()
        ]
        value, has_ones = self.tree.form.value, self.tree.rules > 1
        refuse = _refuse if self._is_strict else _let_pass

        def build_arrays(
            _row: Row, extra: JsonbObject, child_rows: ChildRows, ordinals: bytes
        ) -> list[_Field]:
            fields: list[_Field] = []
            name = ""
            try:
                for name, key, build_items in arrays:
                    count, items = build_items(child_rows, ordinals)
                    has_note = name in extra
                    is_single = has_ones and has_note and is_one(extra[name])
                    refuse(has_note and count != is_single, name)
                    if count:
                        found = next(items) if count == 1 and is_single else None
                        fields.append((key, found or (ARRAY, write_array(items))))
                    elif has_note and not is_single:
                        fields.append((key, value(extra[name])))
            except (CellError, ExtendedJsonError) as error:
                raise CellError(f"{name}: {error.message}") from error
            return fields

        return build_arrays

    def _compile_array(self, child: int) -> _BuildItems:
        """The build of the elements of a child table's arrays, one at a time."""
        build_item = self._compile_item(child)

        def build_items(child_rows: ChildRows, ordinals: bytes) -> tuple[int, Iterator[Element]]:
            rows = child_rows[child].pop(ordinals, [])
            return len(rows), (build_item(row, child_rows, ordinals) for row in rows)

        return build_items

    def _compile_item(self, child: int) -> Callable[[Row, ChildRows, bytes], Element]:
        """The build of one element: a document, or what its row notes."""
        tree, build = self.tree, self._builds[child]
        root = tree.roots[child]
        read_extra = compile_extra(
            tree, root, self._read_jsonb, is_strict=self._is_strict, more={ELEMENT: {NULLED: {}}}
        )
        refuse = _refuse if self._is_strict else _let_pass
        last_ordinal = tree.layouts[child].key_width - 1
        column = tree.elements[child]
        if column is not None:
            _, _, _, decode, build_noted = self._compile_leaf(
                b"", last_ordinal + 1, column, tree.codec(column)
            )

            def build_element(row: Row, _child_rows: ChildRows, _ordinals: bytes) -> Element:
                extra, cell = read_extra(row[-1]), row[last_ordinal + 1]
                found = build_noted(cell, extra[ELEMENT]) if ELEMENT in extra else None
                refuse(len(extra) > (ELEMENT in extra), ELEMENT)
                if found is None and cell is not None:
                    found = decode(cell)
                return (NULL, b"") if found is None else found

            return build_element

        def build_item(row: Row, child_rows: ChildRows, ordinals: bytes) -> Element:
            extra = read_extra(row[-1])
            inner = ordinals + (row[last_ordinal] or b"")
            is_document = ELEMENT not in extra
            fields, was_there = build(
                row, extra if is_document else {}, child_rows, inner, is_document
            )
            refuse(not is_document and (was_there or len(extra) > 1), ELEMENT)
            if is_document or fields:
                return DOCUMENT, write_document(fields)
            return tree.form.value(extra[ELEMENT])

        return build_item

    def _compile_absent(self, level: Level) -> Callable[[list[_Field], JsonbObject], None] | None:
        """Adds to the fields of a level what goes without a note; None where nothing does."""
        absent = [(self._name(key), key, element) for key, element in list_absent(level)]
        is_strict = self._is_strict

        def fill(fields: list[_Field], extra: JsonbObject) -> None:
            found = {key for key, _ in fields}
            missing = read_missing(extra) if extra else []
            gone = []
            for name, key, element in absent:
                if key not in found and name in missing:
                    gone.append(name)
                elif key not in found:
                    fields.append((key, element))
            if is_strict:
                _refuse(missing != gone, MISSING)

        return fill if absent else None


def list_absent(level: Level) -> Iterator[_Field]:
    """What goes without a note in a level that is there, in it and below it."""
    for key, what in level.absent.items():
        if what == IS_DOCUMENT:
            yield key, (DOCUMENT, write_document([*list_absent(level.levels[key])]))
        else:
            yield key, (NULL, b"") if what == IS_NULL else (ARRAY, write_array([]))


def _refuse(is_odd: bool, name: str) -> None:
    if is_odd:
        raise CellError(f"{name} is in its cells and in _extra")


def _let_pass(is_odd: bool, name: str) -> None:
    """SQL may write what shred would not."""
