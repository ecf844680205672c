"""The layout: what the rows of a load depend on, kept with it for this and later programs.

A worker reads it without the models of the manifest, whose import takes longer than a chunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from assise.errors import ManifestError
from assise.types.codec import Codec
from assise.types.table import KEY_KINDS, find_codec, find_first_codec, is_kind

RULES = 2
"""The newest rules by which rows are written; a load keeps those that it began with."""

MISSING, IS_NULL, IS_EMPTY, IS_DOCUMENT = "missing", "null", "[]", "{}"
"""What it may mean that a row says nothing of a field: `absent`."""

_LAYOUT_KEYS = ("rules", "tables")
_TABLE_KEYS = ("table", "collection", "parent", "child_path", "primary_key", "columns", "extra")
_TABLE_KEYS_2 = ("absent", "nulls", "documents")
_COLUMN_KEYS = ("name", "type", "kind", "path")
_COLUMN_KEYS_2 = ("reads", "absent", "is_element")
"""The keys of rules 1, and those that came with rules 2."""

_FIRST_KINDS = {"int32": "int", "int64": "int"}
"""Kinds that have another name since rules 2."""

Plain = dict[str, Any]


@dataclass(frozen=True)
class ColumnLayout:
    """A column: its type, the BSON kind that it holds, and the keys that it reads.

    Kind offset and elements read no keys.

    Args:
        reads: what numbers count, or the byte order of UUIDs of subtype 3, that it reads.
        absent: what a NULL without a note means: `missing` or `null`.
        is_element: it is the elements of its child table.
    """

    type: str
    kind: str
    path: tuple[str, ...]
    reads: str = ""
    absent: str = MISSING
    is_element: bool = False

    def codec(self, rules: int) -> Codec:
        """The codec by the rules of a load; of a kind other than offset, and not as a key."""
        if rules == 1:
            return find_first_codec(self.type, self.kind)
        return find_codec(self.type, self.kind, self.reads)


@dataclass(frozen=True)
class TableLayout:
    """A table and its physical columns, in the order in which every part writes and reads them.

    A collection's table has its key among the columns. A child table has the root's key and the
    ordinals in front. `extra` is the name of our jsonb column, the last one. `key` is the key
    column of the collection. `absent` says what no rows of a child table mean: `missing`, `null`
    or `[]`. `nulls` are paths without a column that are null where nothing else is noted,
    `documents` those of documents that are there, with what is absent in them.
    """

    table: str
    collection: str | None
    parent: str | None
    child_path: tuple[str, ...]
    primary_key: tuple[str, ...]
    columns: Mapping[str, ColumnLayout]
    extra: str
    key: ColumnLayout = field(compare=False)
    absent: str = MISSING
    nulls: tuple[tuple[str, ...], ...] = ()
    documents: tuple[tuple[str, ...], ...] = ()

    @property
    def key_width(self) -> int:
        """The number of key columns in front of the manifest's; 0 for a collection's table."""
        return len(self.primary_key) if self.parent else 0

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return (*self.primary_key[: self.key_width], *self.columns, self.extra)

    @cached_property
    def types(self) -> tuple[str, ...]:
        """The types of all columns."""
        types = [column.type for column in self.columns.values()]
        if self.parent:
            ordinals = ["int4"] * (self.key_width - 1)
            types = [self.key.type, *ordinals, *types]
        return (*types, "jsonb")

    @property
    def key_is_any(self) -> bool:
        """Whether the key is a text that is not a string of the source."""
        return self.key.kind in KEY_KINDS and self.key.type == "text"

    def as_json(self) -> Plain:
        """The table as JSON holds it; columns are a list, as jsonb keeps no order of keys."""
        columns = [{"name": name, **vars(column)} for name, column in self.columns.items()]
        facts = {name: getattr(self, name) for name in (*_TABLE_KEYS, *_TABLE_KEYS_2)}
        return {**facts, "columns": columns}


@dataclass(frozen=True)
class Layout:
    """The tables of a load, and the number of the rules by which its rows are written."""

    tables: Mapping[str, TableLayout]
    rules: int = RULES

    @property
    def roots(self) -> dict[str, str]:
        """The tables of collections -> their collections, in the manifest's order."""
        return {
            name: table.collection
            for name, table in self.tables.items()
            if table.collection is not None
        }

    def table_of(self, collection: str) -> str:
        """The table of a collection that has one."""
        return next(table for table, name in self.roots.items() if name == collection)

    def tree(self, root: str) -> tuple[str, ...]:
        """The table `root` and all tables below it, level by level."""
        found = [root]
        for name in found:
            found.extend(self.children(name))
        return tuple(found)

    def children(self, table: str) -> list[str]:
        """The child tables of `table`, in the manifest's order."""
        return [name for name, other in self.tables.items() if other.parent == table]

    def root(self, table: str) -> str:
        """The collection's table above `table`, or `table` itself."""
        parent = self.tables[table].parent
        return table if parent is None else self.root(parent)

    def key_column(self, table: str) -> ColumnLayout:
        """The column that holds the key of the collection that `table` belongs to."""
        return self.tables[table].key

    def as_json(self) -> Plain:
        """The layout as `assise.load` holds it, for `read_layout`."""
        return {"rules": self.rules, "tables": [table.as_json() for table in self.tables.values()]}


def layouts(layout: Layout, root: str) -> tuple[TableLayout, ...]:
    """The collection's table `root` and all tables below it, parents first."""
    return tuple(layout.tables[name] for name in layout.tree(root))


def restrict(layout: Layout, other: Layout) -> Layout:
    """The tables and columns of a layout that another one has too."""
    tables = {
        name: replace(table, columns=_restrict(table.columns, other.tables[name].columns))
        for name, table in layout.tables.items()
        if name in other.tables
    }
    return replace(layout, tables=tables)


def rename_column(layout: Layout, table: str, old: str, *, new: str) -> Layout:
    """A layout in which a column has another name; the same where there is no such column."""
    found = layout.tables.get(table)
    if found is None or old not in found.names:
        return layout
    renamed = replace(
        found,
        primary_key=tuple(new if name == old else name for name in found.primary_key),
        columns={new if name == old else name: each for name, each in found.columns.items()},
        extra=new if found.extra == old else found.extra,
    )
    return replace(layout, tables={**layout.tables, table: renamed})


def rename_table(layout: Layout, old: str, *, new: str) -> Layout:
    """A layout in which a table has another name; the same where there is no such table."""
    found = {
        new if name == old else name: replace(
            table,
            table=new if name == old else name,
            parent=new if table.parent == old else table.parent,
        )
        for name, table in layout.tables.items()
    }
    return replace(layout, tables=found)


def _restrict(
    columns: Mapping[str, ColumnLayout], others: Mapping[str, ColumnLayout]
) -> Mapping[str, ColumnLayout]:
    return {name: column for name, column in columns.items() if name in others}


def find_root(parents: Mapping[str, str | None], name: str) -> str:
    """The collection's table above a table, or the table itself, by the parents of all.

    Raises:
        ValueError: it is below itself.
    """
    for _ in parents:
        parent = parents[name]
        if parent is None:
            return name
        name = parent
    raise ValueError(f"{name} is below itself")


def read_layout(found: Plain, *, name: str) -> Layout:
    """The layout of the load `name` from its JSON.

    Raises:
        ManifestError: it has newer rules, or a key, type or kind that this program does not know.
    """
    try:
        return _read_layout(found, name)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ManifestError(
            f"it was changed by hand, and is not a layout: {error!r}",
            file=f"the layout of the load of {name!r}",
            remedy="Restore assise.load from a backup, or drop the tables yourself.",
        ) from error


def _read_layout(found: Plain, name: str) -> Layout:
    rules = found["rules"]
    if type(rules) is not int or rules < 1:
        raise ValueError(f"rules {rules}")
    if rules > RULES:
        raise _unknown(name, "rules", str(rules))
    _check_keys(found, _LAYOUT_KEYS, name)
    entries: list[Plain] = found["tables"]
    if not isinstance(entries, list):
        raise TypeError("tables are not a list")
    parents = {entry["table"]: entry["parent"] for entry in entries}
    columns = {entry["table"]: _read_columns(entry, name) for entry in entries}
    keys = {entry["table"]: entry["primary_key"][0] for entry in entries}
    tables = {}
    for entry in entries:
        table = entry["table"]
        root = find_root(parents, table)
        tables[table] = TableLayout(
            table,
            entry["collection"],
            entry["parent"],
            tuple(entry["child_path"]),
            tuple(entry["primary_key"]),
            columns[table],
            entry["extra"],
            columns[root][keys[root]],
            entry.get("absent", MISSING),
            tuple(tuple(path) for path in entry.get("nulls", ())),
            tuple(tuple(path) for path in entry.get("documents", ())),
        )
    return Layout(tables, found["rules"])


def _read_columns(entry: Plain, name: str) -> dict[str, ColumnLayout]:
    _check_keys(entry, (*_TABLE_KEYS, *_TABLE_KEYS_2), name)
    return {column["name"]: _read_column(column, name) for column in entry["columns"]}


def _read_column(entry: Plain, name: str) -> ColumnLayout:
    _check_keys(entry, (*_COLUMN_KEYS, *_COLUMN_KEYS_2), name)
    kind: str = entry["kind"]
    column = ColumnLayout(
        entry["type"],
        _FIRST_KINDS.get(kind, kind),
        tuple(entry["path"]),
        **{key: entry[key] for key in _COLUMN_KEYS_2 if key in entry},
    )
    if not is_kind(column.type, column.kind):
        raise _unknown(name, entry["name"], f"{column.type} of kind {column.kind}")
    return column


def _check_keys(entry: Plain, known: tuple[str, ...], name: str) -> None:
    for key in entry:
        if key not in known:
            raise _unknown(name, key, "")


def _unknown(name: str, key: str, value: str) -> ManifestError:
    return ManifestError(
        "this program does not know it",
        file=f"the layout of the load of {name!r}",
        key=key,
        value=value,
        remedy="A newer Assise loaded it: use that one or a later one.",
    )
