"""The verbs of `assise analytics`: what is kept is folded first, and then read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from assise.analytics.check import AnalyticsCheck, check_bitmaps
from assise.analytics.dashboard import Dashboard, finish, read_dashboard
from assise.analytics.fold import fold
from assise.analytics.picture import Picture, fetch_rows, read_whole, run
from assise.analytics.revenue.files import read_file
from assise.analytics.revenue.metrics import current
from assise.analytics.revenue.report import RevenueReport, read_objects_report, read_report
from assise.analytics.totals import find_differing
from assise.errors import UsageError
from assise.manifest.sections.analytics import ANALYTICS, Analytics
from assise.postgres.asking import Asking
from assise.postgres.connection import Connection
from assise.postgres.pool import Arguments, Record
from assise.schema.analytics import list_counted
from assise.workspace import LoadedTables, OpenTables, Workspace

T = TypeVar("T")


@dataclass(frozen=True)
class _Rows:
    """A command's connection, where rows are waited for."""

    connection: Connection

    async def fetch(self, query: str, parameters: Arguments = None) -> list[Record]:
        given = parameters if isinstance(parameters, Mapping) else {}
        return fetch_rows(self.connection, query, given)


@dataclass(frozen=True)
class AnalyticsVerbs:
    """Reads metrics as an operator.

    `open_tables` connects to the tables of the finished load, `read_performance` gives what
    applications have measured.
    """

    workspace: Workspace
    open_tables: OpenTables
    read_performance: Callable[[], Mapping[str, object]] = dict

    def read(self, make: Callable[[Picture], Asking[T]]) -> T:
        """Fold what came since, and read a metric.

        Raises:
            UsageError: the manifest does not ask for analytics, or nothing is loaded.
        """
        with self._open() as (connection, _, analytics):
            fold(connection, analytics.timezone)
            return run(read_whole(analytics.timezone, make), connection)

    def dashboard(self) -> Dashboard:
        """The figures of now.

        Raises:
            UsageError: as `read`. AmountError: a subscription or a rate cannot be used.
        """
        with self._open() as (connection, tables, analytics):
            fold(connection, analytics.timezone)
            manifest, schema = tables.manifest, tables.schema

            def make(picture: Picture) -> Asking[Dashboard]:
                return read_dashboard(picture, manifest, schema)

            with connection.transaction(isolation="REPEATABLE READ"):
                found = run(read_whole(analytics.timezone, make), connection)
                users = found.user_metrics.total_users
                revenue = asyncio.run(current(_Rows(connection), manifest, schema, users=users))
            return finish(found, revenue, self.read_performance())

    def check(self) -> AnalyticsCheck:
        """Count everything again from events and rows, and compare it with what is stored."""
        with self._open() as (connection, tables, analytics):
            fold(connection, analytics.timezone)
            found = check_bitmaps(connection, analytics)
            found.totals = find_differing(connection, list_counted(tables.manifest, tables.schema))
            return found

    def revenue(self, stripe: Path | None = None) -> RevenueReport:
        """Recurring revenue month by month, of the manifest's table or of Stripe's objects.

        Raises:
            UsageError: the manifest has no revenue. AmountError: a row or a rate cannot be used.
            SourceError: the file of objects cannot be read.
        """
        with self._open() as (connection, tables, _):
            if stripe is None:
                return read_report(connection, tables)
            return read_objects_report(connection, tables, read_file(stripe))

    @contextmanager
    def _open(self) -> Iterator[tuple[Connection, LoadedTables, Analytics]]:
        with self.open_tables() as (connection, tables):
            analytics = ANALYTICS.of(tables.manifest)
            if analytics is None:
                raise UsageError(
                    f"{self.workspace.path} asks for no analytics",
                    remedy="Write analytics: {timezone: Europe/Paris} and run `assise load`.",
                )
            yield connection, tables, analytics
