"""The tables of events in schema `assise`: made where the manifest says `analytics`."""

from __future__ import annotations

from importlib.resources import files

from assise.analytics.forward import job
from assise.manifest.sections.access import ROLES
from assise.manifest.sections.analytics import ANALYTICS
from assise.postgres import bookkeeping
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.queries import Queries
from assise.progress import Log
from assise.schema.analytics import grant_events
from assise.schema.roles import role_name
from assise.workspace import LoadedTables

QUERIES = Queries("assise.analytics")
PART = Bookkeeping("analytics", files("assise.analytics").joinpath("sql"))
IN_SCRIPT = False


def apply_manifest(connection: Connection, tables: LoadedTables, *, log: Log) -> None:
    """Make the tables of events where the manifest asks for them; they are never taken away.

    Raises:
        TargetError: a newer program wrote them, or the server refuses something.
    """
    analytics = ANALYTICS.of(tables.manifest)
    if analytics is None:
        return
    is_new = not bookkeeping.find_version(connection, PART)
    bookkeeping.ensure(connection, PART)
    with connection.transaction():
        connection.execute(QUERIES["partitions"])
        job.begin(connection, analytics.events)
        roles = ROLES.of(tables.manifest)
        if roles is not None and not roles.are_none:
            grants = {role_name(roles.prefix, name): name for name in ("app", "worker", "admin")}
            rows = connection.execute(QUERIES["present"], {"names": [*grants]})
            for (name,) in rows:
                connection.execute(grant_events(str(name), grants[str(name)], [*PART.tables]))
    if is_new:
        log("analytics: events are kept in assise.analytics_events")


def list_additions(connection: Connection, load: str) -> set[tuple[str, str]]:
    """Nothing is added to the tables of a load."""
    del connection, load
    return set()


def forget(connection: Connection, load: str) -> None:
    """Drop the tables of events where there are none: those of a load are not undone with it.

    The caller has the lock of the bookkeeping, and a transaction.
    """
    del load
    if bookkeeping.find_version(connection, PART) and not connection.scalar(QUERIES["has_events"]):
        connection.execute(QUERIES["drop"])
        bookkeeping.forget(connection, PART)
