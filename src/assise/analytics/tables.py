"""The tables of events in schema `assise`: made where the manifest says `analytics`."""

from __future__ import annotations

from importlib.resources import files

from assise.analytics import totals
from assise.analytics.forward import job
from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.access import ROLES
from assise.manifest.sections.analytics import ANALYTICS
from assise.postgres import bookkeeping
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.made import MadeObjects
from assise.postgres.partitions import make_at_once
from assise.postgres.queries import Queries
from assise.progress import Log
from assise.schema.analytics import MONTHS, grant_events
from assise.schema.roles import role_name
from assise.workspace import LoadedTables

QUERIES = Queries("assise.analytics")
PART = Bookkeeping("analytics", files("assise.analytics").joinpath("sql"))
IN_SCRIPT = False
TOTALS, ZONES = 5, 6
"""The versions of the bookkeeping from which on it has totals, and time zones."""
_MADE = MadeObjects(PART, QUERIES)


def check_manifest(connection: Connection, manifest: Manifest) -> None:
    """Check that another application in the database does not count in days of another time zone.

    Raises:
        UsageError: one does.
    """
    analytics = ANALYTICS.of(manifest)
    if analytics is not None and bookkeeping.find_version(connection, PART) >= ZONES:
        _check_zone(connection, manifest.name, analytics.timezone)


def apply_manifest(connection: Connection, tables: LoadedTables, *, log: Log) -> None:
    """Make the tables of events where the manifest asks for them; they are never taken away.

    Raises:
        TargetError: a newer program wrote them, or the server refuses something.
        UsageError: another application in the database counts in the days of another time zone.
    """
    analytics = ANALYTICS.of(tables.manifest)
    version = bookkeeping.find_version(connection, PART)
    if analytics is None:
        if version >= ZONES:
            connection.execute(QUERIES["put_zone"], {"load": tables.name, "zone": None})
        return
    is_new = not version
    bookkeeping.ensure(connection, PART)
    _check_zone(connection, tables.name, analytics.timezone)
    with connection.transaction():
        connection.execute(QUERIES["put_zone"], {"load": tables.name, "zone": analytics.timezone})
        make_at_once(connection, MONTHS)
        job.begin(connection, analytics.events)
        roles = ROLES.of(tables.manifest)
        if roles is not None and not roles.are_none:
            grants = {role_name(roles.prefix, name): name for name in ("app", "worker", "admin")}
            rows = connection.execute(QUERIES["present"], {"names": [*grants]})
            for (name,) in rows:
                connection.execute(grant_events(str(name), grants[str(name)], [*PART.tables]))
    totals.apply(connection, _MADE, tables, log=log)
    if is_new:
        log("analytics: events are kept in assise.analytics_events")


def _check_zone(connection: Connection, load: str, zone: str) -> None:
    """Check that all who count the events of the database mean the same days."""
    for other, theirs in connection.execute(QUERIES["other_zone"], {"load": load, "zone": zone}):
        raise UsageError(
            f"analytics.timezone is {zone}, and {other!r} counts the same events in {theirs}",
            remedy=f"Write timezone: {theirs}, or give one of them a database of its own.",
        )


def list_additions(connection: Connection, load: str) -> set[tuple[str, str]]:
    """The triggers that count rows."""
    has_totals = bookkeeping.find_version(connection, PART) >= TOTALS
    return _MADE.list_additions(connection, load) if has_totals else set()


def forget(connection: Connection, load: str) -> None:
    """Forget the totals of a load; drop the tables of events where there are none.

    Events are not undone with a load. The caller has the lock of the bookkeeping, and a transaction.
    """
    if bookkeeping.find_version(connection, PART):
        bookkeeping.upgrade(connection, PART)
        _MADE.forget(connection, load)
