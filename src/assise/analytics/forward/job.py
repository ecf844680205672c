"""The worker's job that sends what is kept here to PostHog."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic, sleep
from typing import NamedTuple
from uuid import UUID

from assise.analytics.forward.sender import HOST, Outgoing, Refused, Sender
from assise.errors import BusyError, ForwardError
from assise.manifest.sections.analytics import ANALYTICS, Events
from assise.postgres import locks
from assise.postgres.connection import Connection
from assise.postgres.queries import Queries
from assise.settings import expand
from assise.wording import count_of
from assise.workspace import Job, LoadedTables

QUERIES = Queries("assise.analytics.forward")
SINK, CRON, LOCK = "posthog", "* * * * *", "assise analytics forward"
SIZE, BYTES = 500, 8 << 20
"""Events that are read at a time, and their bytes."""

PAUSE_S = 0.2


class KeptEvent(NamedTuple):
    """An event with its place in the order in which events are sent."""

    uuid: UUID
    event: str
    distinct_id: str
    at: dt.datetime
    properties: str
    xid: int
    number: int

    @property
    def outgoing(self) -> Outgoing:
        """The event as it is sent."""
        return Outgoing(self.uuid, self.event, self.distinct_id, self.at, self.properties)


def list_jobs(tables: LoadedTables) -> Sequence[Job]:
    """The job, where the manifest forwards events."""
    analytics = ANALYTICS.of(tables.manifest)
    if analytics is None or SINK not in analytics.events.forward:
        return []
    return [Job("forward events", CRON, partial(forward, events=analytics.events))]


def begin(connection: Connection, events: Events) -> None:
    """Forward the events that come from now on, where forwarding did not begin before."""
    if _find_key(events):
        connection.execute(QUERIES["begin"], {"sink": SINK})


def forward(connection: Connection, should_stop: Callable[[], bool], *, events: Events) -> str:
    """Send all events that wait, in the order in which they were kept; says how many.

    One process sends at a time. A batch is noted behind its answer: where the process ends between
    the two, the batch is sent again with the same uuids and times, and PostHog keeps one of each.

    Raises:
        ForwardError: PostHog takes no events now; they wait.
    """
    key = _find_key(events)
    if not key:
        return ""
    connection.execute(QUERIES["begin"], {"sink": SINK})
    host = expand(events.forward.get("host", "")) or HOST
    sender = Sender(host, key, partial(_wait, should_stop))
    try:
        with locks.hold(connection, LOCK, patience_s=0):
            return _send_all(connection, sender, should_stop)
    except BusyError:
        return ""
    finally:
        sender.close()


def _find_key(events: Events) -> str:
    return expand(events.forward.get(SINK, "")).strip()


def _send_all(connection: Connection, sender: Sender, should_stop: Callable[[], bool]) -> str:
    sent, refused = 0, 0
    try:
        while not should_stop():
            found = _read_next(connection)
            if not found:
                break
            failed = sender.send([each.outgoing for each in found])
            _note(connection, found, failed)
            sent, refused = sent + len(found) - len(failed), refused + len(failed)
    except ForwardError as error:
        if sent:
            raise ForwardError(
                f"{_tell(sent, refused)}, then: {error.message}", remedy=error.remedy
            ) from error
        raise
    return _tell(sent, refused)


def _tell(sent: int, refused: int) -> str:
    said = [f"{count_of(sent, 'event')} sent"] if sent else []
    if refused:
        said.append(f"{count_of(refused, 'event')} refused, see assise.analytics_refused")
    return ", ".join(said)


def _read_next(connection: Connection) -> list[KeptEvent]:
    (place,) = connection.execute(QUERIES["place"], {"sink": SINK})
    facts = {"xid": str(place[0]), "number": place[1], "size": SIZE, "bytes": BYTES}
    return connection.fetch(KeptEvent, QUERIES["next"], facts)


def _note(connection: Connection, sent: Sequence[KeptEvent], failed: Sequence[Refused]) -> None:
    with connection.transaction():
        for each in failed:
            connection.execute(QUERIES["refuse"], {"sink": SINK, **each._asdict()})
        last = sent[-1]
        facts = {"xid": str(last.xid), "number": last.number, "refused": len(failed)}
        facts |= {"sink": SINK, "sent": len(sent) - len(failed)}
        connection.execute(QUERIES["move"], facts)


def _wait(should_stop: Callable[[], bool], seconds: float) -> bool:
    """Wait, unless the worker is told to stop."""
    end = monotonic() + seconds
    while not should_stop() and monotonic() < end:
        sleep(PAUSE_S)
    return not should_stop()
