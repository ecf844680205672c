"""What the worker does for analytics: it keeps spooled events, and makes partitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from assise.analytics.activity import Buckets, RetentionQuestion, read_retention
from assise.analytics.cells import BACK, MODES, PERIODS, START, list_kept_days, read_cells
from assise.analytics.fold import LOCK, fold
from assise.analytics.forward import job as forward_job
from assise.analytics.months import retire_months
from assise.analytics.picture import open_picture, run
from assise.analytics.revenue import job as revenue_job
from assise.analytics.sessions import keep_sessions
from assise.analytics.spool import BATCH, Spool
from assise.analytics.store import insert_sync
from assise.analytics.tables import QUERIES
from assise.analytics.totals import add_up
from assise.manifest.sections.analytics import ANALYTICS
from assise.postgres import locks
from assise.postgres.connection import Connection
from assise.settings import SPOOL_BYTES
from assise.wording import count_of
from assise.workspace import Job, LoadedTables

CRON, DAILY = "* * * * *", "17 3 * * *"


def list_jobs(tables: LoadedTables) -> Sequence[Job]:
    """The jobs of a manifest that asks for analytics."""
    analytics = ANALYTICS.of(tables.manifest)
    if analytics is None:
        return []
    jobs = [Job("fold events", CRON, partial(keep_up, zone=analytics.timezone))]
    keep = partial(forget_old, keep=analytics.events.keep)
    jobs.append(Job("events of the last months", DAILY, keep, as_owner=True))
    jobs += [*forward_job.list_jobs(tables), *revenue_job.list_jobs(tables)]
    spool = Spool(tables.home / ".assise" / "events", SPOOL_BYTES.default)
    jobs.append(Job("events of the spool", CRON, partial(drain, spool=spool)))
    return jobs


def keep_up(connection: Connection, should_stop: Callable[[], bool], *, zone: str) -> str:
    """Fold what came since, and add up totals."""
    add_up(connection)
    batches = fold(connection, zone, should_stop)
    with locks.hold(connection, LOCK, patience_s=60):
        keep_sessions(connection, zone)
        keep_cells(connection, zone)
    return f"{count_of(batches, 'batch')} of events folded" if batches else ""


def keep_cells(connection: Connection, zone: str) -> None:
    """Count the cells of retention that are kept, unless events came since the fold.

    The caller has the fold's lock.
    """
    picture = run(open_picture(zone), connection)
    if picture.has_tail or not picture.is_stored:
        return
    buckets = Buckets(*list_kept_days(picture.today))
    starts = buckets.starts
    for mode in MODES:
        if run(read_cells(picture, mode, starts=starts, periods=PERIODS), connection) is None:
            asked = RetentionQuestion(START, BACK, buckets, PERIODS, mode)
            counts = [row.counts for row in run(read_retention(picture, asked), connection).rows]
            kept = {"mode": mode, "version": picture.version, "today": picture.today}
            connection.execute(QUERIES["keep_cells"], {**kept, "counts": counts})


def drain(connection: Connection, should_stop: Callable[[], bool], *, spool: Spool) -> str:
    """Keep the events that ended processes have left behind; says how many."""
    kept = broken = 0
    for path in spool.list_segments():
        if should_stop():
            break
        with spool.take(path) as segment:
            if segment is None:
                continue
            for start in range(0, len(segment.events), BATCH):
                kept += insert_sync(connection, segment.events[start : start + BATCH]).kept
            broken += segment.broken
    said = [f"{count_of(kept, 'event')} kept"] if kept else []
    if broken:
        said.append(f"{count_of(broken, 'line')} that cannot be read, in {spool.folder}")
    return ", ".join(said)


def forget_old(
    connection: Connection, _should_stop: Callable[[], bool], *, keep: str | None
) -> str:
    """Make the next partitions, drop those that are old enough, and uuids of over 30 days ago."""
    connection.execute(QUERIES["forget_seen"])
    return retire_months(connection, keep)
