"""Read `_extra`, which mirrors the document: what no cell gives back exactly stands in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from assise.documents.extjson import escape_key, unescape_key
from assise.documents.extjson_reader import FieldNames, read_unnameable, read_value
from assise.documents.reader import elements
from assise.documents.writer import Element, enclose
from assise.errors import CellError
from assise.rows.tree import Level
from assise.types.jsonb import JsonObject, ReadJsonb
from assise.types.wire import Cell

ReadExtra = Callable[[Cell | None], JsonObject]

_NOTHING: FieldNames = {}


def compile_extra(
    level: Level, read: ReadJsonb, *, is_strict: bool, more: FieldNames = _NOTHING
) -> ReadExtra:
    """The reader of the `_extra` of one table.

    Args:
        level: the root of the table.
        more: names that are looked up besides those of the level.
    """
    known = {**list_names(level), **more}

    def read_extra(cell: Cell | None) -> JsonObject:
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


def list_names(level: Level) -> dict[str, FieldNames]:
    """The names that are looked up in `_extra` at a level, and those below them."""
    names: dict[str, FieldNames] = {
        escape_key(key.decode()): _NOTHING for key in [*level.columns, *level.arrays]
    }
    for key, inner in level.levels.items():
        names[escape_key(key.decode())] = list_names(inner)
    return names


def read_other_fields(
    extra: JsonObject, known: Collection[str] | Mapping[str, FieldNames]
) -> list[tuple[bytes, Element]]:
    """The fields without a column: those named in `_extra`, then those that JSON cannot name."""
    others = {name: note for name, note in extra.items() if name not in known}
    fields = [(unescape_key(name).encode(), read_value(note)) for name, note in others.items()]
    if "$bson" in extra:
        document = enclose(read_unnameable(extra))
        fields += [(key, (kind, document[p:end])) for kind, key, p, end in elements(document)]
    return fields
