"""Assemble one document: its row and its child rows in, raw BSON out.

`DocumentBuilder` compiles a collection of the manifest once into nested closures, one a level.
Where a cell is not what shred would write for the original in `_extra`, SQL has changed it, and the
cell wins, NULL included. Child rows win over what `_extra` says of their array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from assise.documents.extjson import escape_key
from assise.documents.extjson_reader import dbref_order, read_value, read_wrapper
from assise.documents.kinds import ARRAY, DOCUMENT
from assise.documents.writer import Element, write_array, write_document
from assise.errors import CellError, ExtendedJsonError
from assise.manifest.layout import ColumnLayout
from assise.rows.extra import compile_extra, list_names, read_other_fields
from assise.rows.model import ChildRows, Row
from assise.rows.tree import Level, Tree
from assise.types.anykey import is_digest
from assise.types.codec import Decode, Encode, is_cell_of
from assise.types.jsonb import JsonObject, read_jsonb, strict_reader
from assise.types.table import find_codec, is_array

KeyOrders = dict[tuple[str, ...], tuple[str, ...]]
"""The keys of an object as jsonb sorts them -> in the order in which they are given back."""

_Field = tuple[bytes, Element]
_Leaf = tuple[str, bytes, int, Mapping[int, Encode], Decode]
_BuildLevel = Callable[[Row, JsonObject, ChildRows, bytes], list[_Field]]
"""(row, the level's part of `_extra`, child rows, ordinals) -> the fields of the level."""

_BuildArray = Callable[[ChildRows, bytes], bytes | None]

_CACHED = 1 << 12
"""Cells of a column whose values are remembered by a strict decoder that is slow."""


class DocumentBuilder:
    """Assembles documents of one collection.

    A strict one refuses what shred would not have written: a numeric with another scale,
    microseconds, a value both in its cell and in `_extra`, an `_extra` with nothing to say.

    `orders` says in which order a strict one gives back the fields of an object in jsonb.
    """

    def __init__(self, tree: Tree, *, is_strict: bool) -> None:
        self.tree, self._is_strict = tree, is_strict
        self.orders: KeyOrders = {}
        self._read_jsonb = strict_reader(self._order) if is_strict else read_jsonb
        self._builds: dict[int, _BuildLevel] = {}
        for i in reversed(range(len(tree.layouts))):
            self._builds[i] = self._compile(tree.roots[i])
        self.read_extra = compile_extra(tree.roots[0], self._read_jsonb, is_strict=is_strict)

    def build(self, row: Row, child_rows: ChildRows) -> bytes:
        """Assemble a document; child rows are taken out of `child_rows` as they are used."""
        try:
            fields = self._builds[0](row, self.read_extra(row[-1]), child_rows, b"")
        except RecursionError as error:
            raise CellError("a jsonb value is nested deeper than a load writes it") from error
        fields.sort(key=lambda field: field[0] != b"_id")
        return write_document(fields)

    def decoder(self, column: ColumnLayout) -> Decode:
        """The decoder of a column's cells."""
        if column.type == "jsonb":
            read = self._read_jsonb
            return lambda cell: read_value(read(cell, {}))
        codec = find_codec(column.type, column.kind)
        if not self._is_strict or codec.decode_strictly is None:
            return codec.decode
        decode = codec.decode_strictly
        return decode if is_array(column.type) else lru_cache(_CACHED)(decode)

    def _order(self, found: JsonObject) -> JsonObject:
        keys = self.orders.get(tuple(found))
        return found if keys is None else {key: found[key] for key in keys}

    def _compile(self, level: Level) -> _BuildLevel:
        """The build of one level: its columns, its levels, its arrays, then other fields."""
        leaves = self._list_leaves(level)
        levels = [(_name(key), key, self._compile(inner)) for key, inner in level.levels.items()]
        arrays = [
            (_name(key), key, self._compile_array(child)) for key, child in level.arrays.items()
        ]
        known = {"$bson", *list_names(level)}
        has_ref = "$ref" in known
        refuse = _refuse if self._is_strict else _let_pass
        any_position = next(
            (position for position, column in level.columns.values() if column.kind == "any"), None
        )

        def build(
            row: Row, extra: JsonObject, child_rows: ChildRows, ordinals: bytes
        ) -> list[_Field]:
            fields: list[_Field] = []
            name = ""
            try:
                for name, key, position, encode, decode in leaves:
                    cell = row[position]
                    if extra and name in extra:
                        element = read_value(extra[name])
                        is_same = is_cell_of(element, cell, encode)
                        if cell is not None:
                            is_noted = is_same and position == any_position and is_digest(cell)
                            refuse(not is_noted, name)
                        if is_same:
                            fields.append((key, element))
                            continue
                    if cell is not None:
                        fields.append((key, decode(cell)))
                for name, key, build_inner in levels:
                    note = extra.get(name) if extra else None
                    is_mirror = isinstance(note, dict) and read_wrapper(note) is None
                    mirror = note if isinstance(note, dict) and is_mirror else {}
                    inner = build_inner(row, mirror, child_rows, ordinals)
                    refuse(bool(inner) and name in extra and not mirror, name)
                    if inner or is_mirror:
                        fields.append((key, (DOCUMENT, write_document(inner))))
                    elif name in extra:
                        fields.append((key, read_value(note)))
                for name, key, build_array in arrays:
                    array = build_array(child_rows, ordinals)
                    if array is not None:
                        refuse(name in extra, name)
                        fields.append((key, (ARRAY, array)))
                    elif extra and name in extra:
                        fields.append((key, read_value(extra[name])))
            except (CellError, ExtendedJsonError) as error:
                raise CellError(f"{name}: {error.message}") from error
            if extra:
                fields += read_other_fields(extra, known)
            if has_ref or "$ref" in extra:
                fields.sort(key=lambda field: dbref_order(field[0]))
            return fields

        return build

    def _list_leaves(self, level: Level) -> list[_Leaf]:
        leaves: list[_Leaf] = []
        for key, (position, column) in level.columns.items():
            encode = find_codec(column.type, column.kind).encode
            leaves.append((_name(key), key, position, encode, self.decoder(column)))
        return leaves

    def _compile_array(self, child: int) -> _BuildArray:
        """The build of a child table's arrays."""
        build = self._builds[child]
        read_extra = compile_extra(
            self.tree.roots[child],
            self._read_jsonb,
            is_strict=self._is_strict,
            more={"$element": {}},
        )
        refuse = _refuse if self._is_strict else _let_pass
        last_ordinal = self.tree.layouts[child].key_width - 1

        def build_item(row: Row, child_rows: ChildRows, ordinals: bytes) -> Element:
            extra = read_extra(row[-1])
            inner = ordinals + (row[last_ordinal] or b"")
            if "$element" not in extra:
                return DOCUMENT, write_document(build(row, extra, child_rows, inner))
            fields = build(row, {}, child_rows, inner)
            refuse(bool(fields) or len(extra) > 1, "an element that is not a document")
            if fields:
                return DOCUMENT, write_document(fields)
            return read_value(extra["$element"])

        def build_array(child_rows: ChildRows, ordinals: bytes) -> bytes | None:
            rows = child_rows[child].pop(ordinals, None)
            if not rows:
                return None
            return write_array(build_item(row, child_rows, ordinals) for row in rows)

        return build_array


def _name(key: bytes) -> str:
    return escape_key(key.decode())


def _refuse(is_odd: bool, name: str) -> None:
    if is_odd:
        raise CellError(f"{name} is in its cells and in _extra")


def _let_pass(is_odd: bool, name: str) -> None:
    """SQL may write what shred would not."""
