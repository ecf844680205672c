"""Views that refresh themselves: what the worker does, and how old their rows are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from assise.errors import BusyError, UsageError
from assise.manifest.names import split_table
from assise.manifest.sections.views import VIEWS, Materialized
from assise.postgres import bookkeeping, locks
from assise.postgres.connection import Connection
from assise.revisions.applying import PART, QUERIES
from assise.schema.sql import quote
from assise.schema.views import refresh_view
from assise.workspace import Job, LoadedTables

CRON = "* * * * *"
REFRESHES = 2
"""The version of the bookkeeping from which on it knows when views were refreshed."""


@dataclass(frozen=True)
class ViewAge:
    """A materialized view: whether it has rows at all, how old they are, and the seconds it took.

    `age` is an interval of PostgreSQL as text.
    """

    view: str
    is_filled: bool
    age: str | None
    seconds: float | None


def list_jobs(tables: LoadedTables) -> Sequence[Job]:
    """A job for each materialized view, which looks each minute whether it is due."""
    views = VIEWS.of(tables.manifest) or {}
    kept = {name: view.materialized for name, view in views.items() if view.materialized}
    return [
        Job(f"refresh {name}", CRON, partial(refresh, tables=tables, name=name, kept=each))
        for name, each in kept.items()
    ]


def refresh(
    connection: Connection,
    _should_stop: Callable[[], bool],
    *,
    tables: LoadedTables,
    name: str,
    kept: Materialized,
) -> str:
    """Refresh a view that is due, unless another worker does; says how long it took.

    Raises:
        UsageError: there is no such view.
    """
    bookkeeping.ensure(connection, PART)
    own, bare = split_table(name)
    called = quote(own or tables.schema, bare)
    known = {"name": tables.name, "view": name, "called": called, "every": kept.refresh}
    try:
        with locks.hold(connection, f"assise refresh {called}", patience_s=0):
            found = connection.execute(QUERIES["view"], known)
            if not found:
                raise UsageError(
                    f"there is no materialized view {called}",
                    remedy="`assise schema diff` shows what is missing.",
                )
            [(is_filled, is_due)] = found
            if is_filled and not is_due:
                return ""
            began = perf_counter()
            connection.execute(refresh_view(called, is_filled=bool(is_filled)))
            seconds = round(perf_counter() - began, 3)
            connection.execute(QUERIES["refreshed"], {**known, "seconds": seconds})
    except BusyError:
        return ""
    return f"refreshed in {seconds:.1f} s"


def list_ages(
    connection: Connection, name: str, schema: str, views: Sequence[str]
) -> list[ViewAge]:
    """How old the rows of materialized views are, of those that are there."""
    if bookkeeping.find_version(connection, PART) < REFRESHES:
        return []
    called = [quote(split_table(view)[0] or schema, split_table(view)[1]) for view in views]
    known = {"name": name, "views": [*views], "called": called}
    return connection.fetch(ViewAge, QUERIES["ages"], known)
