"""The worker's job that notes how subscriptions change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from assise.analytics.revenue.report import note_states
from assise.manifest.sections.analytics import ANALYTICS
from assise.postgres.connection import Connection
from assise.workspace import Job, LoadedTables

HOURLY = "0 * * * *"


def list_jobs(tables: LoadedTables) -> Sequence[Job]:
    """The job, where the manifest's revenue is that of subscriptions."""
    analytics = ANALYTICS.of(tables.manifest)
    if analytics is None or analytics.revenue is None or analytics.revenue.kind == "invoices":
        return []
    return [Job("note subscriptions", HOURLY, partial(_note, tables=tables))]


def _note(connection: Connection, _should_stop: Callable[[], bool], *, tables: LoadedTables) -> str:
    return note_states(connection, tables)
