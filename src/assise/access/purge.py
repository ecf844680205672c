"""Purge: rows that were deleted long enough ago are deleted for good, as the worker's role."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial

from assise.errors import ViolationError
from assise.manifest.sections.deletion import SOFT_DELETE
from assise.postgres.connection import Connection
from assise.schema.access import AccessRules
from assise.schema.deletion import Purge, write_purge
from assise.schema.requests import purge_requests
from assise.schema.roles import role_name
from assise.schema.sql import quote
from assise.wording import count_of
from assise.workspace import Job, LoadedTables

CRON = "*/10 * * * *"
BATCH = 1_000
"""Rows of a table that are deleted in one transaction, with what is below them."""


def list_jobs(tables: LoadedTables) -> Sequence[Job]:
    """A job for each table whose deleted rows are kept for a time only, and one for requests."""
    rules = AccessRules(tables.manifest, tables.schema)
    found = []
    for deletion in rules.deletions:
        declared = SOFT_DELETE.of(tables.manifest.tables[deletion.table])
        if declared is not None and declared.keep is not None:
            role = role_name(rules.prefix, "worker")
            run = partial(purge_rows, purge=write_purge(deletion, declared.keep), role=role)
            found.append(Job(f"purge {deletion.table}", CRON, run))
    if not rules.is_forced and any(each.posts for each in rules.resources.values()):
        purge = purge_requests(tables.schema)
        role = role_name(rules.prefix, "owner")
        found.append(Job("purge requests", CRON, partial(forget_requests, purge=purge, role=role)))
    return found


def forget_requests(
    connection: Connection, _should_stop: Callable[[], bool], *, purge: str, role: str
) -> str:
    """Forget the requests whose answers are kept no longer; says how many."""
    connection.execute(f"SET ROLE {quote(role)}")
    count = len(connection.execute(purge))
    return f"{count_of(count, 'request')} forgotten" if count else ""


def purge_rows(
    connection: Connection, should_stop: Callable[[], bool], *, purge: Purge, role: str
) -> str:
    """Delete the rows for good, a batch in a transaction; says how many.

    Another worker may purge the same table: each takes rows that the other has not locked. A row
    that rows of other tables refer to is kept, and counted.

    Raises:
        TargetError: the tables are not those of the manifest, or the role may not.
    """
    connection.execute("SET row_security = on")
    connection.execute(f"SET ROLE {quote(role)}")
    purged, kept, size = 0, 0, BATCH
    after: list[object] | None = None
    while not should_stop():
        rows: list[tuple[object, ...]] = []
        try:
            with connection.transaction():
                rows = connection.execute(purge.find, {"after": after, "size": size})
                keys = json.dumps([row[1:] for row in rows])
                if rows:
                    connection.execute(purge.delete, {"keys": keys})
        except ViolationError:
            if size > 1:
                size = max(1, size // 10)
                continue
            kept += 1
        else:
            purged += len(rows)
        if not rows:
            break
        after, size = [*rows[-1]], BATCH
    said = [count_of(purged, "row") + " deleted for good"] if purged else []
    if kept:
        said.append(f"{count_of(kept, 'row')} kept, as rows of other tables refer to them")
    return ", ".join(said)
