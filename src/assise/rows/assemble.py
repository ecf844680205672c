"""Rows into documents: the cells of binary results in, raw BSON out.

Where a cell is not what shred would write for the original in `_extra`, SQL has changed it, and the cell wins, NULL included;
child rows win over the parent's note.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from json import JSONDecoder

from assise.documents.extjson import JSONB, JsonWriter, escape_key, unescape_key
from assise.documents.extjson_reader import (
    Check,
    Json,
    Pieces,
    dbref_order,
    read_pieces,
    read_unnameable,
    read_value,
    read_wrapper,
)
from assise.documents.extjson_reader import (
    FieldNames as Known,
)
from assise.documents.kinds import ARRAY, DOCUMENT
from assise.documents.numbers import plain_double
from assise.documents.reader import elements
from assise.documents.writer import Element, enclose, write_array, write_document
from assise.errors import CellError, ExtendedJsonError
from assise.manifest.layout import ColumnLayout, Layout
from assise.manifest.types import element_type, is_array
from assise.rows.cells import Decode, Encode, rule
from assise.rows.numeric import decode_number, decode_number_strictly, read_finite
from assise.rows.tree import ORDERED, Level, build_tree

Row = Sequence[bytes | None]
Kids = list[dict[bytes, list[Row]]]
"""For each layout the child rows of one document, in order, by the ordinal cells of their parent row."""

Notes = dict[str, Json]
Build = Callable[[Row, Notes, Kids, bytes], list[tuple[bytes, Element]]]

LARGE_BYTES = 1 << 20
"""A larger jsonb cell is read piece by piece: slower, in little memory."""
_NOTHING: Known = {}


class Assembler:
    """Assembles the documents of one collection from rows whose cells are in binary format, in the order of the layouts.

    A strict one refuses what shred would not have written: a numeric with another scale, microseconds, a value both in its
    cell and in `_extra`, an `_extra` with nothing to say.

    `orders` says for the keys of an object, as jsonb sorts them, in which order a strict one gives them back.
    """

    def __init__(self, layout: Layout, root: str, *, is_strict: bool = False) -> None:
        self._is_strict = is_strict
        self.orders: dict[tuple[str, ...], tuple[str, ...]] = {}
        decoder = JSONDecoder(
            parse_float=_read_float, parse_int=_read_int, object_hook=self._in_order
        )
        self._read = partial(_read_strictly, decoder.decode) if is_strict else _read_leniently
        self.tree = build_tree(layout, root)
        self.layouts = self.tree.layouts
        self._builds: dict[int, Build] = {}
        for i in reversed(range(len(self.layouts))):
            self._builds[i] = self._compile(self.tree.roots[i])
        self.read_notes = self._notes_reader(self.tree.roots[0])
        """An `_extra` of the collection's table, read; fields that have a place of their own are not joined with others."""

    def assemble(self, row: Row, kids: Kids) -> bytes:
        """The document of the collection's row and its child rows, which are taken out of `kids` as they are used.

        Raises:
            CellError, ExtendedJsonError: a cell that SQL has written has no BSON form.
        """
        try:
            fields = self._builds[0](row, self.read_notes(row[-1]), kids, b"")
        except RecursionError as error:
            raise CellError("a jsonb value is nested deeper than a load writes it") from error
        fields.sort(key=lambda field: field[0] != b"_id")
        return write_document(fields)

    def _in_order(self, found: Notes) -> Notes:
        keys = self.orders.get(tuple(found))
        return found if keys is None else {key: found[key] for key in keys}

    def _compile(self, level: Level) -> Build:
        leaves = [
            (escape_key(key.decode()), key, position, *self.rule(column))
            for key, (position, column) in level.columns.items()
        ]
        inners = [
            (escape_key(key.decode()), key, self._compile(inner))
            for key, inner in level.levels.items()
        ]
        arrays = [
            (escape_key(key.decode()), key, self._compile_array(child))
            for key, child in level.arrays.items()
        ]
        known = {"$bson", *_names(level)}
        has_ref = "$ref" in known
        refuse = _refuse if self._is_strict else _let_pass
        digest = next(
            (position for position, column in level.columns.values() if column.kind == "any"), None
        )

        def build(
            row: Row, notes: Notes, kids: Kids, ordinals: bytes
        ) -> list[tuple[bytes, Element]]:
            fields: list[tuple[bytes, Element]] = []
            name = ""
            try:
                for name, key, position, encoders, decode in leaves:
                    cell = row[position]
                    if notes and name in notes:
                        element = read_value(notes[name])
                        is_same = _is_cell_of(element, cell, encoders)
                        refuse(
                            cell is not None
                            and not (is_same and position == digest and cell[:7] == b"sha256:"),
                            name,
                        )
                        if is_same:
                            fields.append((key, element))
                            continue
                    if cell is not None:
                        fields.append((key, decode(cell)))
                for name, key, inner in inners:
                    note = notes.get(name) if notes else None
                    mirrored = (
                        note if isinstance(note, dict) and read_wrapper(note) is None else None
                    )
                    body = inner(row, mirrored or {}, kids, ordinals)
                    refuse(bool(body) and name in notes and not mirrored, name)
                    if body or mirrored is not None:
                        fields.append((key, (DOCUMENT, write_document(body))))
                    elif name in notes:
                        fields.append((key, read_value(note)))
                for name, key, gather in arrays:
                    array = gather(kids, ordinals)
                    if array is not None:
                        refuse(name in notes, name)
                        fields.append((key, (ARRAY, array)))
                    elif notes and name in notes:
                        fields.append((key, read_value(notes[name])))
            except (CellError, ExtendedJsonError) as error:
                raise CellError(f"{name}: {error.message}") from error
            if notes:
                fields += _read_other_notes(notes, known)
            if has_ref or "$ref" in notes:
                fields.sort(key=lambda field: dbref_order(field[0]))
            return fields

        return build

    def rule(self, column: ColumnLayout) -> tuple[dict[int, Encode], Decode]:
        """The encoders and the decoder of a column; a strict decoder refuses what no encoder gives."""
        if column.type == "jsonb":
            return {}, lambda cell: read_value(self._read(cell))
        encoders, decode = rule(column.type, column.kind)
        if self._is_strict and element_type(column.type) in {"numeric", "timestamptz"}:
            decode = (
                decode_number_strictly if decode is decode_number else _strictly(decode, encoders)
            )
            decode = decode if is_array(column.type) else lru_cache(1 << 12)(decode)
        elif self._is_strict and is_array(column.type):
            decode = _from_one(decode)
        return encoders, decode

    def _compile_array(self, child: int) -> Callable[[Kids, bytes], bytes | None]:
        build, read_notes = (
            self._builds[child],
            self._notes_reader(self.tree.roots[child], {"$element": {}}),
        )
        refuse = _refuse if self._is_strict else _let_pass
        front = self.layouts[child].key_width

        def read_item(row: Row, kids: Kids, ordinals: bytes) -> Element:
            notes = read_notes(row[-1])
            inner = ordinals + (row[front - 1] or b"")
            fields = build(row, {} if "$element" in notes else notes, kids, inner)
            refuse(
                "$element" in notes and (bool(fields) or len(notes) > 1),
                "an element that is no document",
            )
            return (
                (DOCUMENT, write_document(fields))
                if fields or "$element" not in notes
                else read_value(notes["$element"])
            )

        def gather(kids: Kids, ordinals: bytes) -> bytes | None:
            rows = kids[child].pop(ordinals, None)
            return write_array(read_item(row, kids, ordinals) for row in rows) if rows else None

        return gather

    def _notes_reader(
        self, level: Level, more: Known = _NOTHING
    ) -> Callable[[bytes | None], Notes]:
        read, is_strict, known = self._read, self._is_strict, {**_names(level), **more}

        def read_notes(cell: bytes | None) -> Notes:
            if cell is None:
                return {}
            notes = read(cell, known)
            if not isinstance(notes, dict):
                raise CellError(
                    f"_extra holds {cell[1:80].decode(errors='replace')}, which is no object"
                )
            if is_strict and not notes:
                raise CellError("_extra is {} instead of NULL")
            return notes

        return read_notes


def _names(level: Level) -> Known:
    """The names that a level's build looks up in its notes, and below them those of its levels."""
    names: dict[str, Known] = {
        escape_key(key.decode()): {} for key in [*level.columns, *level.arrays]
    }
    return names | {escape_key(key.decode()): _names(inner) for key, inner in level.levels.items()}


def _refuse(is_odd: bool, name: str) -> None:
    if is_odd:
        raise CellError(f"{name} stands in its cells and in _extra")


def _let_pass(is_odd: bool, name: str) -> None:
    """SQL may write what shred would not."""


def _read_float(text: str) -> float:
    value = float(text)
    if plain_double(value) != text:
        raise CellError(f"{text[:80]} in jsonb is not how a double is written")
    return value


def _read_int(text: str) -> int:
    if len(text) > 18 and (len(text) > 20 or not -(1 << 63) <= int(text) < 1 << 63):
        raise CellError(f"{text[:80]} in jsonb is an integral number of more than 64 bits")
    return int(text)


def _read_any_int(text: str) -> int | float:
    return int(text) if len(text) <= 20 else read_finite(text)


_lenient = JSONDecoder(parse_float=read_finite, parse_int=_read_any_int)


def _read_leniently(cell: bytes, known: Known = _NOTHING) -> Json:
    return _read(cell, known, _lenient.decode, _let_all_pass)


def _read_strictly(loads: Callable[[str], Json], cell: bytes, known: Known = _NOTHING) -> Json:
    if b'"$' not in cell:
        return _read(cell, known, loads, _let_all_pass)
    value = _read(cell, known, loads, _check_spelling)
    _check_spelling(value, known)
    return value


def _read(cell: bytes, known: Known, loads: Callable[[str], Json], check: Check) -> Json:
    return (
        read_pieces(cell, 1, known, loads=loads, check=check)
        if len(cell) > LARGE_BYTES
        else loads(cell[1:].decode())
    )


def _let_all_pass(_value: Json, *, depth: int) -> None:
    """Nothing in the cell could be spelled otherwise."""


def _check_spelling(value: Json, known: Known = _NOTHING, depth: int = 0) -> None:
    """Refuse a key or a wrapper of Extended JSON that is not spelled as the jsonb form spells it so many levels below its root."""
    if isinstance(value, list):
        for item in value:
            _check_spelling(item, depth=depth + 1)
    elif isinstance(value, dict):
        element = read_wrapper(value)
        if "$bson" in value:
            _check_bson(value)
        if element is None:
            for name, item in value.items():
                if name != "$bson" and name not in known and escape_key(unescape_key(name)) != name:
                    raise CellError(
                        f"the key {name} in jsonb is not escaped as the jsonb form escapes it"
                    )
                _check_spelling(item, depth=depth + 1)
        elif isinstance(value.get("$scope"), Pieces):
            _check_spelling(value["$scope"], depth=depth + 1)
        elif (
            "$bson" not in value
            and _lenient.decode(JsonWriter(JSONB).value(*element, 0, depth)[0]) != value
        ):
            raise CellError(f"{str(value)[:80]} is not how the jsonb form spells it")


def _check_bson(value: Notes) -> None:
    """Refuse a `$bson` that holds fields JSON can name, none at all, or one value that the jsonb form spells out at any depth."""
    document = enclose(read_unnameable(value))
    keys = [key for _, key, _, _ in elements(document)]
    is_one_value = (
        len(value) == 1
        and keys == [b""]
        and (
            document[4] in ORDERED
            or JsonWriter(JSONB).value(document[4], document, 6)[0][:8] == '{"$bson"'
        )
    )
    if b64encode(document).decode() != value["$bson"] or not (
        is_one_value or (keys and JsonWriter(JSONB).unnameable(document, 0) == set(keys))
    ):
        raise CellError("$bson holds what stands elsewhere in the jsonb form")


def _strictly(decode: Decode, encoders: dict[int, Encode]) -> Decode:
    def decode_strictly(cell: bytes) -> Element:
        element = decode(cell)
        if not _is_cell_of(element, cell, encoders):
            raise CellError(
                f"the cell {cell.hex()[:80]} is not as a load writes it (a scale, or microseconds, that MongoDB does not have)"
            )
        return element

    return decode_strictly


def _from_one(decode: Decode) -> Decode:
    def decode_from_one(cell: bytes) -> Element:
        if len(cell) > 12 and cell[16:20] != b"\0\0\0\1":
            raise CellError("an array whose subscripts do not begin at 1")
        return decode(cell)

    return decode_from_one


def _is_cell_of(element: Element, cell: bytes | None, encoders: dict[int, Encode]) -> bool:
    """Whether shred would write `cell` for this original."""
    kind, value = element
    encode = encoders.get(kind)
    expected = encode(value, 0)[0] if encode else None
    return cell is None if expected is None else expected[4:] == cell


def _read_other_notes(notes: Notes, known: set[str]) -> list[tuple[bytes, Element]]:
    """The fields without a column: those named in `_extra`, then those that JSON cannot name."""
    others = {name: note for name, note in notes.items() if name not in known}
    fields = [(unescape_key(name).encode(), read_value(note)) for name, note in others.items()]
    if "$bson" not in notes:
        return fields
    document = enclose(read_unnameable(notes))
    return fields + [(key, (kind, document[p:end])) for kind, key, p, end in elements(document)]
