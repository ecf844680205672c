"""What the worker does for search: it keeps up with what was written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from assise.manifest.sections.search_log import SEARCH_LOG, SearchLog
from assise.postgres.connection import Connection
from assise.postgres.partitions import run_partitions
from assise.schema.access import AccessRules
from assise.schema.search.log import find_log_months, write_statement
from assise.schema.search.made import has_owner
from assise.schema.search.meaning import is_embedded
from assise.schema.search.searched import find_searched
from assise.schema.sql import quote
from assise.search.build import Builder
from assise.search.meaning.keep import embed_changed
from assise.search.tables import find_vector
from assise.wording import count_of
from assise.workspace import Job, LoadedTables, keep_silent

CRON, HOURLY = "* * * * *", "17 * * * *"


def list_jobs(tables: LoadedTables) -> Sequence[Job]:
    """A job for each searched table, and one that forgets old searches."""
    rules = AccessRules(tables.manifest, tables.schema)
    found = [
        Job(f"index {table.name}", CRON, partial(keep_up, rules=rules, name=table.name))
        for table in find_searched(rules, None)
    ]
    if is_embedded(tables.manifest):
        found.append(Job("embed", CRON, partial(embed_changed, tables=tables)))
    if found and SEARCH_LOG.of(tables.manifest) is not None:
        forget = partial(forget_searches, rules=rules)
        found.append(Job("forget searches", HOURLY, forget, as_owner=True))
    return found


def forget_searches(
    connection: Connection, should_stop: Callable[[], bool], *, rules: AccessRules
) -> str:
    """Make the next months, drop those that are over, and forget single searches; says what."""
    log = SEARCH_LOG.of(rules.manifest) or SearchLog()
    months = find_log_months(rules)
    said = str(run_partitions(connection, months, log=keep_silent)) if months else ""
    statement = write_statement(rules, "forget")
    if has_owner(rules):
        connection.execute(f"SET ROLE {quote(rules.owner)}")
    count = 0
    while not should_stop():
        gone = len(connection.execute(statement, {"keep": log.keep}))
        if not gone:
            break
        count += gone
    forgotten = f"{count:,} searches forgotten" if count else ""
    return "; ".join(filter(None, [said, forgotten]))


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
