"""Columns: the type, the path that is read, and the kind of BSON values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from assise.manifest.keys import Key, Tables
from assise.manifest.paths import check_path, default_path, parse_path
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.children import list_ancestors
from assise.types.names import LIMITS, PATTERN
from assise.types.table import (
    KEY_KINDS,
    KINDS,
    NAMED_KINDS,
    NAMES,
    default_kind,
    find_type,
    is_kind,
    is_type,
)
from assise.wording import nearest, show

MAX_COLUMNS = 1_000

_ALL_KINDS = dict.fromkeys(kind for kinds in KINDS.values() for kind in kinds)


def list_columns(table_name: str, tables: Tables) -> dict[str, str]:
    """The columns of a table, those of its key too -> their types, empty where not known."""
    table = tables[table_name]
    types = {name: column.type for name, column in table.columns.items()}
    if table.parent is None:
        return types
    ancestors = list_ancestors(table_name, tables)
    root = tables[ancestors[-1]] if ancestors else table
    key = root.columns.get(root.primary_key[0]) if root.primary_key else None
    keys = dict.fromkeys(table.primary_key, "int4")
    keys |= dict.fromkeys(table.primary_key[:1], key.type if key else "")
    return keys | types


def _check_columns(
    place: Place, columns: Mapping[str, object], tables: Tables
) -> Iterator[Problem]:
    table = tables[place[1]]
    key_columns = len(table.primary_key) if table.parent else 0
    count = key_columns + len(columns) + 1
    if count > MAX_COLUMNS:
        remedy = f"Keep at most {MAX_COLUMNS:,}: fields without a column stay in _extra."
        yield Problem(place[:2], f"has {count:,} columns with key and _extra", remedy=remedy)


def _check_type(place: Place, column_type: str, tables: Tables) -> Iterator[Problem]:
    del tables
    if is_type(column_type):
        return
    base, has_modifier, _ = column_type.partition("(")
    if has_modifier and (base in LIMITS or is_type(base)):
        message = "has no modifier that it takes" if base in LIMITS else "takes no modifier"
        remedy = LIMITS.get(base, f"Write {base}.")
        yield Problem(place, message, show(column_type), remedy)
    else:
        yield Problem(place, "is not a type", show(column_type), nearest(column_type, NAMES))


def _check_from(place: Place, path: str, tables: Tables) -> Iterator[Problem]:
    table = tables[place[1]]
    column = table.columns[place[3]]
    if column.is_element and table.parent is not None:
        if len(table.columns) > 1:
            remedy = "Remove the others: with * the elements of the array are no documents."
            yield Problem(place, "is not the table's only column", show(path), remedy)
    elif column.kind != "offset":
        yield from check_path(place, path, parse_path)
    elif "from_" in column.model_fields_set:
        remedy = "Remove it: the column reads no field."
        yield Problem(place, "is not allowed on a column of kind offset", show(path), remedy)


def _check_kind(place: Place, kind: str, tables: Tables) -> Iterator[Problem]:
    table, name = tables[place[1]], place[3]
    column_type = table.columns[name].type
    if not is_type(column_type):
        return
    if not is_kind(column_type, kind):
        remedy = nearest(kind, find_type(column_type).kinds)
        yield Problem(place, f"is not a kind of {column_type}", show(kind), remedy)
    elif kind in KEY_KINDS and (table.collection is None or name not in table.primary_key):
        remedy = "Remove it, or make this column the primary_key."
        yield Problem(place, "belongs to the key of a collection's table only", kind, remedy)


def _write_from(place: Place, path: str, tables: Tables) -> object:
    column = tables[place[1]].columns[place[3]]
    return None if column.kind == "offset" or path == default_path(place[3]) else path


def _write_kind(place: Place, kind: str, tables: Tables) -> object:
    column = tables[place[1]].columns[place[3]]
    return None if kind == default_kind(column.type) else kind


COLUMNS = Key(
    "columns",
    "table",
    help="the columns by name; those of a child table without its key",
    affects="rows",
    check=_check_columns,
    default="none",
)
TYPE = Key(
    "type",
    "column",
    help="its type in PostgreSQL",
    affects="rows",
    check=_check_type,
    missing=f"Give one of {', '.join(NAMES)}.",
    schema={"anyOf": [{"enum": list(KINDS)}, {"type": "string", "pattern": PATTERN}]},
)
FROM = Key(
    "from",
    "column",
    help="the path of the field, such as address.city;"
    " without it the field with the column's own name",
    affects="rows",
    check=_check_from,
    written=_write_from,
)
KIND = Key(
    "kind",
    "column",
    help="which BSON values it holds, where the type's first kind is not meant",
    affects="rows",
    check=_check_kind,
    default="the type's first",
    schema={"anyOf": [{"enum": list(_ALL_KINDS)}, {"type": "string", "pattern": NAMED_KINDS}]},
    written=_write_kind,
)
KEYS = (COLUMNS, TYPE, FROM, KIND)
