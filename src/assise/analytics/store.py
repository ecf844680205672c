"""The store of events: each is kept once, with the transaction of who keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from assise.analytics.event import Event, as_parameters
from assise.analytics.tables import QUERIES
from assise.postgres.connection import Connection
from assise.postgres.pool import Session


class Kept(NamedTuple):
    """How many events were kept, and how many were known already."""

    kept: int
    known: int


async def insert(session: Session, events: Sequence[Event]) -> Kept:
    """Keep events in the transaction of a session; those whose uuid is known are left out.

    Raises:
        TargetError: the tables of events are not there, or the server refuses something.
    """
    kept = int(await session.fetch_value(QUERIES["track"], as_parameters(events)))
    return Kept(kept, len(events) - kept)


def insert_sync(connection: Connection, events: Sequence[Event]) -> Kept:
    """Like `insert`, with the connection of a command or of a job; one transaction of its own."""
    kept = int(str(connection.scalar(QUERIES["track"], as_parameters(events))))
    return Kept(kept, len(events) - kept)


def insert_history(connection: Connection, events: Sequence[Event]) -> Kept:
    """Like `insert_sync`, for events of before: they stand in the month in which they were."""
    kept = int(str(connection.scalar(QUERIES["track_history"], as_parameters(events))))
    if kept < len(events):
        connection.execute(QUERIES["remember_seen"], {"uuids": [each.uuid for each in events]})
    return Kept(kept, len(events) - kept)


def count_new(connection: Connection, events: Sequence[Event]) -> int:
    """How many events of before `insert_history` would keep."""
    given = as_parameters(events)
    asked = {key: given[key] for key in ("uuids", "ids", "ats", "mark")}
    return int(str(connection.scalar(QUERIES["count_new"], asked)))
