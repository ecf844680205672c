"""Read `_extra`, which mirrors the document: what no cell gives back exactly stands in it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from assise.documents.extjson_reader import FieldNames, Json, read_unnameable
from assise.documents.kinds import ARRAY, STRING
from assise.documents.reader import elements
from assise.documents.writer import Element, enclose
from assise.errors import CellError
from assise.rows.tree import Level, Tree
from assise.types.jsonb import JsonbForm, JsonbObject, ReadJsonb
from assise.types.wire import Cell

Field = tuple[bytes, Element]
ReadExtra = Callable[[Cell | None], JsonbObject]

MISSING, ONE, NULLED, ELEMENT = "$missing", "$one", "$nulled", "$element"
"""Words of notes.

The keys that are missing where something else goes without a note, one document in place of an
array, a value that the load has put NULL for, and an element that its row does not give back.
"""

_NOTHING: FieldNames = {}


def compile_extra(
    tree: Tree, level: Level, read: ReadJsonb, *, is_strict: bool, more: FieldNames = _NOTHING
) -> ReadExtra:
    """The reader of the `_extra` of one table.

    Args:
        level: the root of the table.
        more: names that are looked up besides those of the level.
    """
    known = {**list_names(tree, level, is_lookup=True), **more}

    def read_extra(cell: Cell | None) -> JsonbObject:
        if cell is None:
            return {}
        extra = read(cell, known)
        if not isinstance(extra, dict):
            shown = cell[1:80].decode(errors="replace")
            raise CellError(f"_extra holds {shown}, which is not an object")
        if is_strict and not extra:
            raise CellError("_extra is {} instead of NULL")
        return extra

    return read_extra


def list_names(tree: Tree, level: Level, *, is_lookup: bool = False) -> dict[str, FieldNames]:
    """The names of a level that notes in `_extra` have, and those below them.

    With `is_lookup` also fields without a column: whether they are there is looked up.
    """
    escape, has_notes = tree.form.escapes.escape, tree.rules > 1
    names: dict[str, FieldNames] = {MISSING: _NOTHING} if has_notes and level.absent else {}
    if has_notes and is_lookup:
        names |= {escape(key.decode()): _NOTHING for key in level.absent}
    for key in level.columns:
        names[escape(key.decode())] = {NULLED: _NOTHING} if has_notes else _NOTHING
    for key in level.arrays:
        names[escape(key.decode())] = {ONE: _NOTHING} if has_notes else _NOTHING
    for key, inner in level.levels.items():
        names[escape(key.decode())] = list_names(tree, inner, is_lookup=is_lookup)
    return names


def read_missing(extra: JsonbObject) -> list[str]:
    """The names under `$missing` of one level.

    Raises:
        CellError: something else stands there.
    """
    names = extra.get(MISSING, [])
    if isinstance(names, tuple) and names[0] == ARRAY:
        names = _read_texts(names[1])
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return [str(name) for name in names]
    raise CellError(f"{MISSING} holds {str(names)[:80]}, which is no list of names")


def _read_texts(array: bytes) -> list[Json]:
    """The texts of an array of a large cell, which is read as BSON; null for other kinds."""
    return [
        array[p + 4 : end - 1].decode() if kind == STRING else None
        for kind, _, p, end in elements(array)
    ]


def find_nulled(note: Json) -> tuple[Json] | None:
    """The value that the load has put NULL for, if a note says so."""
    return (note[NULLED],) if isinstance(note, dict) and list(note) == [NULLED] else None


def is_one(note: Json) -> bool:
    """Whether a note says that one document stands in place of an array."""
    return isinstance(note, dict) and list(note) == [ONE] and note[ONE] is True


def read_named(form: JsonbForm, extra: JsonbObject, known: Collection[str]) -> list[Field]:
    """The fields without a column that are named in `_extra`."""
    others = {name: note for name, note in extra.items() if name not in known}
    unescape = form.escapes.unescape
    return [(unescape(name).encode(), form.value(note)) for name, note in others.items()]


def read_unnamed(extra: JsonbObject) -> list[Field]:
    """The fields that JSON cannot name, which stand under `$bson`."""
    document = enclose(read_unnameable(extra))
    return [(key, (kind, document[p:end])) for kind, key, p, end in elements(document)]
