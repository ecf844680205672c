"""What the tables of a manifest must fulfil beyond their shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from assise.errors import ManifestError
from assise.manifest.paths import parse_child_path, parse_path
from assise.manifest.problems import Place, Problem
from assise.manifest.table import Column, Table
from assise.types.table import KEY_KINDS, KINDS, is_array, is_kind
from assise.wording import nearest, show

MAX_COLUMNS = 1_000
MAX_KEY_COLUMNS = 32
MAX_NAME_BYTES = 63
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_URL = re.compile(r"postgres(ql)?://.+", re.DOTALL)

Tables = Mapping[str, Table]


class _Reader(NamedTuple):
    """A column or a child table, and the keys of its parent's document that it reads."""

    keys: Place
    place: Place
    text: str
    name: str


def find_problems(name: str, postgres: str, *, tables: Tables) -> list[Problem]:
    """Everything that is wrong, in the order of the file as far as possible."""
    problems = [*_check_head(name, postgres), *_check_collections(tables)]
    children: dict[str | None, dict[str, Table]] = {}
    for table_name, table in tables.items():
        children.setdefault(table.parent, {})[table_name] = table
    for table_name, table in tables.items():
        place = ("tables", table_name)
        problems.extend(_check_name(place, table_name))
        above = _ancestors(table, tables)
        problems.extend(_check_origin(place, table, tables, above))
        problems.extend(_check_columns(place, table))
        problems.extend(_check_key(place, table, tables, above))
        problems.extend(_check_paths(place, table, children.get(table_name, {})))
    return problems


SERVERS_OWN = frozenset({"postgres", "template0", "template1"})
"""Databases that every cluster has, and that new databases are made from."""


def _check_head(name: str, postgres: str) -> Iterator[Problem]:
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME_BYTES:
        remedy = f"Begin with a letter A-Z or a-z; then letters, digits, _ and -, at most {MAX_NAME_BYTES} in all."
        yield Problem(("name",), "cannot be the name of a project", show(name), remedy)
    if name in SERVERS_OWN:
        yield Problem(
            ("name",),
            "is a database of PostgreSQL's own",
            show(name),
            "Give the project another name.",
        )
    # The value may hold a password and stays out of the message.
    if postgres != "embedded" and not _URL.fullmatch(postgres) and "${" not in postgres:
        yield Problem(
            ("postgres",),
            "is neither embedded nor a URL",
            remedy="Write embedded, postgresql://user@host/database, or ${VARIABLE}.",
        )


def _check_collections(tables: Tables) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name, table in tables.items():
        if table.collection is None:
            continue
        place, value = ("tables", name, "collection"), show(table.collection)
        if not table.collection or "\0" in table.collection:
            yield Problem(
                place, "is not the name of a collection", value, "Give the collection's name."
            )
        first = seen.setdefault(table.collection, name)
        if first != name:
            yield Problem(
                place,
                f"is the collection of table {show(first)} already",
                value,
                "Keep one table for each collection.",
            )


def _check_name(place: Place, name: str, *, is_column: bool = False) -> Iterator[Problem]:
    if not name:
        yield Problem(place, "is an empty name", remedy="Give it a name.")
    elif "\0" in name:
        yield Problem(
            place,
            "is a name with a NUL, which PostgreSQL cannot hold",
            show(name),
            "Choose another name.",
        )
    elif len(name.encode()) > MAX_NAME_BYTES:
        yield Problem(
            place,
            f"is a name of {len(name.encode())} bytes",
            show(name),
            f"PostgreSQL takes {MAX_NAME_BYTES}: choose a shorter one.",
        )
    elif is_column and name in SYSTEM_COLUMNS:
        yield Problem(
            place,
            "is the name of a system column of PostgreSQL",
            name,
            f"Choose another name, such as {name}_.",
        )


def _check_origin(
    place: Place, table: Table, tables: Tables, above: list[str]
) -> Iterator[Problem]:
    if (table.collection is None) == (table.parent is None):
        found = (
            "neither collection nor parent"
            if table.parent is None
            else "both collection and parent"
        )
        yield Problem(
            place,
            f"has {found}",
            remedy="Give a collection, or the parent and from of a child table.",
        )
        return
    if table.parent is None:
        if table.from_ is not None:
            remedy = "Remove it: a collection's table holds whole documents."
            yield Problem(
                (*place, "from"), "belongs to child tables only", show(table.from_), remedy
            )
        return
    if table.parent not in tables:
        yield Problem(
            (*place, "parent"),
            "is no table of this manifest",
            show(table.parent),
            nearest(table.parent, tables),
        )
    elif place[-1] in above:
        yield Problem(
            (*place, "parent"),
            "leads back to this table",
            show(table.parent),
            "Let each child table end at a collection's table.",
        )
    if table.from_ is None:
        yield Problem(
            place,
            "has a parent and no from",
            remedy="Give the array in the parent's document, such as from: files.*",
        )
    else:
        yield from _check_path((*place, "from"), table.from_, parse_child_path)


def _check_path(place: Place, text: str, parse: Callable[[str], Place]) -> Iterator[Problem]:
    try:
        parse(text)
    except ManifestError as error:
        yield Problem(place, error.message, show(text), error.remedy)


def _check_columns(place: Place, table: Table) -> Iterator[Problem]:
    in_all = len(table.columns) + (len(table.primary_key) if table.parent else 0) + 1
    if in_all > MAX_COLUMNS:
        remedy = f"Keep at most {MAX_COLUMNS:,}: fields without a column stay in _extra."
        yield Problem(place, f"has {in_all:,} columns with key and _extra", remedy=remedy)
    for name, column in table.columns.items():
        at = (*place, "columns", name)
        yield from _check_name(at, name, is_column=True)
        yield from _check_type(at, column)
        if column.kind == "offset":
            if "from_" in column.model_fields_set:
                yield Problem(
                    (*at, "from"),
                    "belongs to no column of kind offset",
                    show(column.from_),
                    "Remove it: the column reads no field.",
                )
        else:
            yield from _check_path((*at, "from"), column.from_, parse_path)
        is_key = table.collection is not None and name in table.primary_key
        if column.kind in KEY_KINDS and not is_key and is_kind(column.type, column.kind):
            remedy = "Remove it, or make this column the primary_key."
            yield Problem(
                (*at, "kind"),
                "belongs to the key of a collection's table only",
                column.kind,
                remedy,
            )


def _check_type(place: Place, column: Column) -> Iterator[Problem]:
    if column.type not in KINDS:
        yield Problem(
            (*place, "type"), "is no type", show(column.type), nearest(column.type, KINDS)
        )
    elif not is_kind(column.type, column.kind):
        yield Problem(
            (*place, "kind"),
            f"is no kind of {column.type}",
            show(column.kind),
            nearest(column.kind, KINDS[column.type]),
        )


def _check_key(place: Place, table: Table, tables: Tables, above: list[str]) -> Iterator[Problem]:
    at = (*place, "primary_key")
    if table.collection is not None and table.parent is None:
        yield from _check_root_key(at, table)
    elif table.parent is not None and table.collection is None:
        yield from _check_child_key(at, table)
        if len(above) >= MAX_KEY_COLUMNS:
            remedy = (
                f"PostgreSQL takes keys of {MAX_KEY_COLUMNS} columns: read deeper arrays as jsonb."
            )
            yield Problem(place, f"lies more than {MAX_KEY_COLUMNS - 1} tables deep", remedy=remedy)
        elif (
            above and tables[above[-1]].parent is None and len(table.primary_key) != len(above) + 1
        ):
            needed = f"{len(above) + 1} are needed: the key of {show(above[-1])}, then the position at each level"
            yield Problem(
                at,
                f"names {len(table.primary_key)} columns; {needed}",
                remedy="Name the positions outermost first, such as _position.",
            )


def _check_root_key(at: Place, table: Table) -> Iterator[Problem]:
    if len(table.primary_key) != 1:
        yield Problem(
            at,
            f"names {len(table.primary_key)} columns",
            remedy="Name the one column that reads _id, or one of kind offset.",
        )
        return
    key = table.primary_key[0]
    column = table.columns.get(key)
    if column is None:
        yield Problem(at, "is no column of this table", show(key), nearest(key, table.columns))
    elif column.kind != "offset" and _keys_of(column.from_, parse_path) not in {("_id",), None}:
        yield Problem(
            at,
            f"reads {show(column.from_)}",
            show(key),
            "Name the column that reads _id (from: _id), or one of kind offset.",
        )
    elif column.type == "jsonb" or is_array(column.type):
        remedy = "Give it a scalar type; {type: text, from: _id, kind: any} takes every _id."
        yield Problem(
            at, f"is of type {show(column.type)}, which cannot be a key", show(key), remedy
        )


def _check_child_key(at: Place, table: Table) -> Iterator[Problem]:
    for i, name in enumerate(table.primary_key):
        yield from _check_name(at, name, is_column=True)
        if name in table.primary_key[:i]:
            yield Problem(
                at, "stands twice", show(name), "Give each column of the key its own name."
            )
        if name in table.columns:
            yield Problem(
                at,
                "is one of the columns too",
                show(name),
                "Rename one of them: the key of a child table is not among its columns.",
            )


def _check_paths(place: Place, table: Table, children: Tables) -> Iterator[Problem]:
    """No field is read twice, and nothing reads below `_id`, where the order of the fields is kept."""
    found: list[_Reader] = []
    for name, column in table.columns.items():
        keys = _keys_of(column.from_, parse_path) if column.kind != "offset" else None
        if keys:
            found.append(
                _Reader(
                    keys, (*place, "columns", name, "from"), column.from_, f"column {show(name)}"
                )
            )
    for name, child in children.items():
        keys = _keys_of(child.from_ or "", parse_child_path)
        if keys:
            found.append(
                _Reader(keys, ("tables", name, "from"), child.from_ or "", f"table {show(name)}")
            )
    for reader in found:
        if table.collection is not None and reader.keys[0] == "_id" and reader.text != "_id":
            yield Problem(
                reader.place,
                "reads a part of _id",
                show(reader.text),
                "Read _id as a whole: the order of its fields counts.",
            )
    yield from _check_overlaps(found)


def _check_overlaps(found: list[_Reader]) -> Iterator[Problem]:
    upper: _Reader | None = None
    for reader in sorted(found, key=lambda item: item.keys):
        if upper is None or reader.keys[: len(upper.keys)] != upper.keys:
            upper = reader
            continue
        what = "the same field as" if reader.keys == upper.keys else "a field inside that of"
        yield Problem(
            reader.place, f"reads {what} {upper.name}", show(reader.text), "Keep one of the two."
        )


def _keys_of(text: str, parse: Callable[[str], Place]) -> Place | None:
    try:
        return parse(text)
    except ManifestError:
        return None


def _ancestors(table: Table, tables: Tables) -> list[str]:
    """The tables above a child table, its collection's table last, or as far as there is a next one."""
    found: dict[str, None] = {}
    name = table.parent
    while name is not None and name in tables and name not in found:
        found[name] = None
        name = tables[name].parent
    return list(found)
