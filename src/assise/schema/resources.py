"""Resources of a manifest, resolved: which columns a request may read and write, and the grants.

One description serves both: what HTTP refuses, the server refuses too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from assise.manifest.model import Manifest, Table
from assise.manifest.sections.api import API, EXTRA, Api
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.constraints import DEFAULT, NOT_NULL, UNIQUE, VALUES
from assise.manifest.sections.deletion import DELETED_TYPE, SOFT_DELETE
from assise.manifest.sections.indexes import INDEXES
from assise.manifest.sections.personal import PERSONAL
from assise.manifest.sections.references import list_foreign_keys
from assise.schema.guards import Guard
from assise.schema.sql import DEFAULTS, quote_list


class Included(NamedTuple):
    """A table whose row a row refers to: its name, and pairs of own columns and its own."""

    table: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ServedColumn:
    """A column as requests know it; `values` are all that it may have, where they are listed."""

    name: str
    type: str
    is_required: bool = False
    values: tuple[str, ...] = ()
    can_be_null: bool = True


@dataclass(frozen=True)
class Resource:
    """A table that is served.

    fields: its readable columns, the key among them. filled: columns that a new row gets from the
    session. ordered: columns by which rows are found in order, whoever asks. is_made: whether the
    key of a new row is made by the server.
    """

    table: str
    key: tuple[str, ...]
    fields: Mapping[str, ServedColumn]
    create: Mapping[str, ServedColumn]
    update: Mapping[str, ServedColumn]
    api: Api
    filled: Mapping[str, Literal["user", "tenant"]]
    ordered: frozenset[str]
    includes: Mapping[str, Included]
    is_public: bool
    is_made: bool
    is_hidden: bool

    @property
    def posts(self) -> bool:
        """Whether new rows are made without a key."""
        return bool(self.create) and self.is_made

    @property
    def puts(self) -> bool:
        """Whether a row is written whole, by its key."""
        needed = [each.name for each in self.create.values() if each.is_required]
        return bool(self.put) and all(name in self.put for name in needed)

    @property
    def put(self) -> Mapping[str, ServedColumn]:
        """The columns of a row that is written whole."""
        if not self.update:
            return {}
        return {name: each for name, each in self.create.items() if name in self.update}

    def list_privileges(self) -> Iterator[str]:
        """What the application's role may do with the table: no more than a request."""
        yield f"SELECT ({quote_list(self.fields)})"
        if self.create:
            keys = () if self.is_made and not self.puts else self.key
            columns = dict.fromkeys([*keys, *self.filled, *self.create])
            yield f"INSERT ({quote_list(columns)})"
        if self.update:
            yield f"UPDATE ({quote_list(self.update)})"
        if self.api.delete and not self.is_hidden:
            yield "DELETE"


def find_resource(manifest: Manifest, guard: Guard) -> Resource | None:
    """The resource of a table with a rule; None where it is not served."""
    table = manifest.tables[guard.table]
    api = API.of(table)
    if api is None:
        return None
    types = list_columns(guard.table, manifest.tables)
    deletion = SOFT_DELETE.of(table)
    if deletion is not None:
        types.setdefault(deletion.column, DELETED_TYPE)
    types[EXTRA] = "jsonb"
    fields = {name: _field(table, name, kind) for name, kind in types.items()}
    named = api.read if isinstance(api.read, tuple) else tuple(_list_shown(table, fields))
    readable = {name: fields[name] for name in dict.fromkeys([*table.primary_key, *named])}
    return Resource(
        guard.table,
        table.primary_key,
        readable,
        {name: fields[name] for name in api.create or ()},
        {name: fields[name] for name in api.update or ()},
        api,
        {
            each.column: each.setting
            for each in guard.write
            if each.groups is None and each.column in fields
        },
        frozenset(_list_ordered(table, guard, types)),
        dict(_list_included(manifest, guard.table, readable)),
        guard.is_public,
        _makes_key(table),
        bool(guard.hidden) and deletion is not None,
    )


def _field(table: Table, name: str, kind: str) -> ServedColumn:
    column, is_key = table.columns.get(name), name in table.primary_key
    if column is None:
        return ServedColumn(name, kind, can_be_null=not is_key)
    is_filled = bool(NOT_NULL.of(column))
    is_required = is_filled and DEFAULT.of(column) is None
    can_be_null = not (is_filled or is_key)
    return ServedColumn(name, kind, is_required, VALUES.of(column) or (), can_be_null)


def _list_shown(table: Table, names: Mapping[str, ServedColumn]) -> Iterator[str]:
    """The columns that `read: all` means."""
    for name in names:
        column = table.columns.get(name)
        if name != EXTRA and (column is None or PERSONAL.of(column) is None):
            yield name


def _makes_key(table: Table) -> bool:
    """Whether new rows without a key get one."""
    column = table.columns.get(table.primary_key[0])
    if table.parent is not None or column is None:
        return False
    return DEFAULT.of(column) is not None or (column.kind == "objectid" and column.type in DEFAULTS)


def _list_ordered(table: Table, guard: Guard, types: Mapping[str, str]) -> Iterator[str]:
    """The columns that lead an index, or follow one that the rule compares."""
    ruling = {each.column for each in guard.read}
    yield table.primary_key[0]
    yield from ruling
    for name, column in table.columns.items():
        if UNIQUE.of(column):
            yield name
    for index in INDEXES.of(table) or ():
        names = index.names(types)
        if names and index.where is None and index.method in {None, "btree"}:
            yield names[0]
            if len(names) > 1 and names[0] in ruling and not guard.is_public:
                yield names[1]


def _list_included(
    manifest: Manifest, name: str, readable: Iterable[str]
) -> Iterator[tuple[str, Included]]:
    """The rows that readable columns refer to, as requests call them: `user` of `user_id`."""
    table = manifest.tables[name]
    if table.parent is not None and API.of(manifest.tables[table.parent]) is not None:
        above = manifest.tables[table.parent].primary_key
        pairs = tuple(zip(table.primary_key, above, strict=False))
        yield table.primary_key[len(above) - 1].removesuffix("_id"), Included(table.parent, pairs)
    for reference in list_foreign_keys(name, manifest.tables):
        target = reference.target
        is_read = len(reference.columns) == 1 and reference.columns[0] in readable
        if is_read and API.of(manifest.tables[target.table]) is not None:
            called = reference.columns[0].removesuffix("_id")
            pairs = tuple(zip(reference.columns, target.columns, strict=True))
            yield called, Included(target.table, pairs)
