"""What a NULL without a note means, and which fields without a column are null."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.keys import NULL, Key, Tables
from assise.manifest.layout import IS_EMPTY, IS_NULL, MISSING
from assise.manifest.paths import check_path, parse_path
from assise.manifest.problems import Place, Problem
from assise.wording import nearest, show

_OF_COLUMNS, _OF_TABLES = (MISSING, IS_NULL), (MISSING, IS_NULL, IS_EMPTY)


def _check_column(place: Place, absent: str, tables: Tables) -> Iterator[Problem]:
    table, name = tables[place[1]], place[3]
    column = table.columns[name]
    if absent not in _OF_COLUMNS:
        remedy = nearest(absent, _OF_COLUMNS)
        yield Problem(place, "is not what a NULL can mean", show(absent), remedy)
    elif absent != MISSING and (name in table.primary_key or column.is_element):
        which = "an element" if column.is_element else "a key"
        remedy = "Remove it: a NULL here can mean only one thing."
        yield Problem(place, f"is not allowed on {which}", show(absent), remedy)


def _check_table(place: Place, absent: str, tables: Tables) -> Iterator[Problem]:
    if absent not in _OF_TABLES:
        remedy = nearest(absent, _OF_TABLES)
        yield Problem(place, "is not what no rows can mean", show(absent), remedy)
    elif tables[place[1]].parent is None:
        remedy = "Remove it, or write it on columns."
        yield Problem(place, "belongs to child tables and columns only", show(absent), remedy)


def _check_paths(place: Place, paths: tuple[str, ...], tables: Tables) -> Iterator[Problem]:
    for path in paths:
        yield from check_path(place, path, parse_path)
    if any(column.is_element for column in tables[place[1]].columns.values()):
        remedy = "Remove it: the elements of this table are no documents."
        yield Problem(place, "is not allowed beside a column of elements", remedy=remedy)


def _write(place: Place, absent: str, tables: Tables) -> object:
    del place, tables
    return {IS_NULL: NULL, IS_EMPTY: []}.get(absent, absent)


OF_COLUMN = Key(
    "absent",
    "column",
    help="what a NULL without a note in _extra means: the field is missing, or it is null",
    affects="rows",
    check=_check_column,
    default=MISSING,
    schema={"enum": [None, *_OF_COLUMNS]},
    written=_write,
)
OF_TABLE = Key(
    "absent",
    "table",
    help="of a child table: what it means that a document has no rows, and no note in _extra:"
    " the array is missing, null or []",
    affects="rows",
    check=_check_table,
    default=MISSING,
    schema={"enum": [None, *_OF_TABLES, []]},
    written=_write,
)
NULLS = Key(
    "nulls",
    "table",
    help="paths of fields without a column that are null in most documents: only what differs is"
    " noted in _extra",
    affects="rows",
    check=_check_paths,
    default="none",
)
DOCUMENTS = Key(
    "documents",
    "table",
    help="paths of documents whose fields have columns, and that are there in most rows even where"
    " no cell says so: only those that are missing are noted in _extra",
    affects="rows",
    check=_check_paths,
    default="none",
)
KEYS = (OF_TABLE, NULLS, DOCUMENTS, OF_COLUMN)
