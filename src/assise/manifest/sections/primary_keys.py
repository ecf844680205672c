"""Primary keys: of a collection's table one column, of a child table the positions too."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.keys import Key, Tables
from assise.manifest.names import check_column_name
from assise.manifest.paths import keys_of_path
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.children import list_ancestors
from assise.types.table import find_type, is_type
from assise.wording import count_of, nearest, show

MAX_KEY_COLUMNS = 32

PrimaryKey = tuple[str, ...]


def _check_primary_key(place: Place, key: PrimaryKey, tables: Tables) -> Iterator[Problem]:
    table = tables[place[1]]
    if table.parent is None and table.collection is not None:
        yield from _check_collection_key(place, key, tables)
    elif table.parent is not None and table.collection is None:
        yield from _check_child_key(place, key, tables)
        yield from _check_depth(place, key, tables)


def _check_collection_key(place: Place, key: PrimaryKey, tables: Tables) -> Iterator[Problem]:
    if len(key) != 1:
        remedy = "Name the one column that reads _id, or one of kind offset."
        yield Problem(place, f"names {len(key)} columns", remedy=remedy)
        return
    columns, name = tables[place[1]].columns, show(key[0])
    column = columns.get(key[0])
    if column is None:
        remedy = nearest(key[0], columns)
        yield Problem(place, "is not a column of this table", name, remedy)
    elif column.kind != "offset" and keys_of_path(column.from_) not in {("_id",), None}:
        remedy = "Name the column that reads _id (from: _id), or one of kind offset."
        yield Problem(place, f"reads {show(column.from_)}", name, remedy)
    elif is_type(column.type) and not find_type(column.type).is_key:
        message = f"is of type {show(column.type)}, which cannot be a key"
        remedy = "Give it a scalar type; {type: text, from: _id, kind: any} takes every _id."
        yield Problem(place, message, name, remedy)


def _check_child_key(place: Place, key: PrimaryKey, tables: Tables) -> Iterator[Problem]:
    for i, name in enumerate(key):
        yield from check_column_name(place, name)
        if name in key[:i]:
            remedy = "Give each column of the key its own name."
            yield Problem(place, "occurs twice", show(name), remedy)
        if name in tables[place[1]].columns:
            remedy = "Rename one of them: the key of a child table is not among its columns."
            yield Problem(place, "is one of the columns too", show(name), remedy)


def _check_depth(place: Place, key: PrimaryKey, tables: Tables) -> Iterator[Problem]:
    ancestors = list_ancestors(place[1], tables)
    needed = len(ancestors) + 1
    if needed > MAX_KEY_COLUMNS:
        message = f"lies more than {MAX_KEY_COLUMNS - 1} tables deep"
        remedy = f"PostgreSQL takes keys of {MAX_KEY_COLUMNS} columns: read deeper arrays as jsonb."
        yield Problem(place[:2], message, remedy=remedy)
    elif ancestors and tables[ancestors[-1]].parent is None and len(key) != needed:
        root = show(ancestors[-1])
        parts = f"the key of {root}, then the position at each level"
        message = f"names {count_of(len(key), 'column')}; {needed} are needed: {parts}"
        remedy = "Name the positions outermost first, such as position."
        yield Problem(place, message, remedy=remedy)


def _write(place: Place, key: PrimaryKey, tables: Tables) -> object:
    del place, tables
    return key[0] if len(key) == 1 else list(key)


PRIMARY_KEY = Key(
    "primary_key",
    "table",
    help="the column that reads _id, or one of kind offset; of a child table a name for the"
    " collection's key, then one for the position at each level, outermost first",
    affects="rows",
    check=_check_primary_key,
    missing="Name the column that reads _id;"
    " in a child table the key of its collection and the positions.",
    schema={
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}, "minItems": 1},
        ]
    },
    written=_write,
)
KEYS = (PRIMARY_KEY,)
