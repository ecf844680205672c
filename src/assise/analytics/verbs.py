"""The verbs of `assise analytics`: what is kept is folded first, and then read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from assise.analytics.check import AnalyticsCheck, check_bitmaps
from assise.analytics.dashboard import Dashboard, finish, read_dashboard
from assise.analytics.erasure import Erased, check_id, erase, find_person
from assise.analytics.fold import fold
from assise.analytics.history import ImportReport, ReadSoFar, import_file, size_of
from assise.analytics.known import check_known
from assise.analytics.picture import Picture, fetch_rows, read_whole, run
from assise.analytics.revenue.files import read_file
from assise.analytics.revenue.metrics import current
from assise.analytics.revenue.report import RevenueReport, read_objects_report, read_report
from assise.analytics.spool import Spool
from assise.analytics.totals import find_differing
from assise.errors import UsageError
from assise.manifest.sections.analytics import ANALYTICS, Analytics
from assise.postgres.asking import Asking
from assise.postgres.connection import Connection
from assise.postgres.pool import Arguments, Record
from assise.progress import Progress
from assise.schema.analytics import list_counted
from assise.settings import SPOOL_BYTES
from assise.wording import count_of
from assise.workspace import CONFIRM, Confirm, LoadedTables, OpenTables, Workspace, refuse

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

    def read(self, make: Callable[[Picture], Asking[T]], *, events: Collection[str] = ()) -> T:
        """Fold what came since, and read a metric; `events` are those that it names.

        Raises:
            UsageError: the manifest does not ask for analytics, nothing is loaded, or an event is
            neither declared nor has ever been.
        """
        with self._open() as (connection, _, analytics):
            fold(connection, analytics.timezone)
            run(check_known(events, analytics.events.own), connection)
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

    def import_events(
        self, path: Path, *, confirm: Confirm = refuse, dry_run: bool = False
    ) -> ImportReport:
        """Keep the events of a file that are not known yet: one a line, also packed by gzip.

        Raises:
            UsageError: the answer was no, or as `read`. SourceError: the file cannot be read.
        """
        size = size_of(path)

        def show(reading: ReadSoFar) -> None:
            progress = Progress("import", path.name, reading.lines, reading.position, size)
            self.workspace.progress(replace(progress, noun="line", in_bytes=True))

        with self._open() as (connection, tables, analytics):
            where = self.workspace.describe_target(tables.manifest)
            question = f"import {path.name} into the events of {where}"
            if not dry_run and not confirm(question):
                raise UsageError("nothing was imported", remedy=CONFIRM)
            keep = analytics.events.keep
            return import_file(path, connection, keep=keep, on_progress=show, is_dry=dry_run)

    def erase(self, id_: str, *, confirm: Confirm = refuse, dry_run: bool = False) -> Erased:
        """Erase the person of an id: events, ids and marks in the numbers; none of them comes back.

        Raises:
            UsageError: everybody has this id, the answer was no, or as `read`.
        """
        check_id(id_)
        with self._open() as (connection, tables, analytics):
            fold(connection, analytics.timezone)
            found = find_person(connection, id_, zone=analytics.timezone)
            if dry_run:
                return found
            where = self.workspace.describe_target(tables.manifest)
            what = f"{count_of(found.events, 'event')} of {count_of(found.ids, 'id')}"
            if not confirm(f"erase {id_!r} from {where}: {what}, for good"):
                raise UsageError("nothing was erased", remedy=CONFIRM)
            folder = self.workspace.path.parent / ".assise" / "events"
            spool = Spool(folder, self.workspace.setting(SPOOL_BYTES))
            return erase(connection, id_, zone=analytics.timezone, spool=spool)

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
