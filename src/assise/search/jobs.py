"""What the worker does for search: it keeps up with what was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from assise.postgres.connection import Connection
from assise.schema.access import AccessRules
from assise.schema.search.searched import find_searched
from assise.search.build import Builder
from assise.search.tables import find_vector
from assise.wording import count_of
from assise.workspace import Job, LoadedTables

CRON = "* * * * *"


def list_jobs(tables: LoadedTables) -> Sequence[Job]:
    """A job for each searched table."""
    rules = AccessRules(tables.manifest, tables.schema)
    return [
        Job(f"index {table.name}", CRON, partial(keep_up, rules=rules, name=table.name))
        for table in find_searched(rules, None)
    ]


def keep_up(
    connection: Connection, should_stop: Callable[[], bool], *, rules: AccessRules, name: str
) -> str:
    """Index the rows of a table that large statements wrote, and weigh those that are fresh.

    Raises:
        TargetError: the index tables are not there.
    """
    found = find_searched(rules, find_vector(connection))
    (table,) = [each for each in found if each.name == name]
    indexed = Builder(connection, table, should_stop).keep_up()
    return f"{count_of(indexed, 'row')} indexed" if indexed else ""
