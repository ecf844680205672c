"""The indexes that access rules need, beside those of the manifest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from assise.manifest.names import split_table
from assise.manifest.sections.indexes import INDEXES
from assise.schema.deletion import name_deleted_index
from assise.schema.guards import make_name, put_beside
from assise.schema.managed import Managed
from assise.schema.sql import quote, quote_list, quote_table

if TYPE_CHECKING:
    from assise.schema.access import AccessRules


def list_rule_indexes(rules: AccessRules) -> Iterator[Managed]:
    """Indexes for rules; a parent's is unique, so that its key is locked when it changes.

    An UPDATE of a column of a unique index waits for FOR KEY SHARE, and holds it up.
    """
    wanted: dict[tuple[str, tuple[str, ...]], str] = {}
    for link in rules.links:
        own = tuple(parent for _, parent in link.pairs)
        key = dict.fromkeys([*own, *(copy.source for copy in link.copies)])
        wanted[link.parent, tuple(key)] = "UNIQUE "
    for guard in rules.guards.values():
        for condition in (*guard.read, *guard.write):
            wanted.setdefault((guard.table, (condition.column,)), "")
    for members in rules.list_members():
        wanted.setdefault((members.table, (members.user, members.group)), "")
    for (table, columns), unique in wanted.items():
        if not unique and _is_indexed(rules, table, columns):
            continue
        name = make_name("_access", split_table(table)[1], *columns)
        place = quote_table(rules.schema, table)
        live = "" if unique else rules.live(table).replace(" AND ", " WHERE ", 1)
        create = f"CREATE {unique}INDEX {quote(name)} ON {place} ({quote_list(columns)}){live}"
        drop = f"DROP INDEX IF EXISTS {quote_table(rules.schema, put_beside(table, name))}"
        yield Managed("index", table, name, create, drop)
    for each in rules.deletions:
        name = name_deleted_index(each.table)
        place, column = quote_table(rules.schema, each.table), quote(each.column)
        create = f"CREATE INDEX {quote(name)} ON {place} ({column}) WHERE {column} IS NOT NULL"
        drop = f"DROP INDEX IF EXISTS {quote_table(rules.schema, put_beside(each.table, name))}"
        yield Managed("index", each.table, name, create, drop)


def _is_indexed(rules: AccessRules, table: str, columns: tuple[str, ...]) -> bool:
    """Whether the key, or an index of the manifest, begins with these columns.

    A second index would be chosen over one that gives the rows in the order of a query: the server
    does not know the user when it plans, and takes it for one with few rows. An index of texts may
    come to hold their beginnings alone.
    """
    entry, types = rules.manifest.tables[table], rules.types(table)
    if columns == entry.primary_key[: len(columns)]:
        return True
    return all(types[column] != "text" for column in columns) and any(
        index.names(types)[: len(columns)] == columns
        for index in INDEXES.of(entry) or ()
        if index.where is None and index.method in {None, "btree"}
    )
