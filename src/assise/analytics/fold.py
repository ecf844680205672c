"""The fold: events become bitmaps of persons, once, in the order of their transactions.

Transactions that are still open hold it back: it goes as far as `pg_snapshot_xmin`, so that an
event which is committed late is not left out. A fold is one transaction.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from assise.analytics.batch import apply_batch, read_batch
from assise.analytics.picture import (
    ANY,
    EventChanges,
    EventDay,
    fetch_rows,
    make_bitmap,
    move,
)
from assise.analytics.tables import QUERIES
from assise.postgres import locks
from assise.postgres.connection import Connection
from assise.postgres.pool import Record

if TYPE_CHECKING:
    from pyroaring import BitMap

BATCH = 100_000
"""Events that are folded in one transaction."""

LOCK = "assise analytics fold"


def fold(connection: Connection, zone: str, should_stop: Callable[[], bool] = lambda: False) -> int:
    """Fold all events that no open transaction can come before; how many batches there were."""
    batches = 0
    with locks.hold(connection, LOCK, patience_s=60):
        _restart(connection, zone)
        while not should_stop() and _fold_batch(connection, zone):
            batches += 1
    return batches


def _restart(connection: Connection, zone: str) -> None:
    """Begin again where the days are those of another zone, or the cluster is another one."""
    state = _read_state(connection)
    if state["timezone"] is None or (state["timezone"], state["cluster"]) == (zone, state["here"]):
        return
    with connection.transaction():
        connection.execute(QUERIES["reset"])
        connection.execute(QUERIES["forget_all_sessions"])
        if state["cluster"] != state["here"]:
            connection.execute(QUERIES["reset_xids"])


def _read_state(connection: Connection) -> Record:
    (state,) = fetch_rows(connection, QUERIES["state"])
    return state


def _fold_batch(connection: Connection, zone: str) -> bool:
    state = _read_state(connection)
    with connection.transaction():
        batch = read_batch(connection, state, zone=zone, size=BATCH)
        if batch is not None:
            changes = apply_batch(connection, batch)
            _write(connection, changes, state, {**batch.place, "zone": zone})
    return batch is not None


def _write(
    connection: Connection, changes: EventChanges, state: Record, parameters: Mapping[str, object]
) -> None:
    moved = changes.moved
    if moved:
        connection.execute(QUERIES["move_identities"], {"old": [*moved], "new": [*moved.values()]})
    if changes.named:
        connection.execute(QUERIES["identify"], {"persons": sorted(changes.named)})
    before = make_bitmap(bytes(state["users"] or b""))
    old = changes.old
    users = move(before, moved, old) | changes.users
    bitmaps = read_days(connection, [day for _, day in changes.groups])
    dirty = {day for _, day in changes.groups}
    changed = old | (users - before)
    changed &= make_bitmap(range(state["last"] + 1))
    if changed:
        dirty |= _find_days(connection, changed)
        bitmaps |= read_days(connection, sorted(dirty - {day for _, day in bitmaps}))
    for key, (persons, count) in bitmaps.items():
        bitmaps[key] = move(persons, moved, old), count
    for key, (persons, count) in changes.groups.items():
        known, counted = bitmaps.get(key, (make_bitmap(), 0))
        bitmaps[key] = known | persons, counted + count
    put_bitmaps(connection, bitmaps)
    put_daily(connection, dirty, users)
    connection.execute(QUERIES["put_state"], {**parameters, **_state(state, users)})


def _state(state: Record, users: BitMap) -> dict[str, object]:
    return {"here": state["here"], "users": users.serialize()}


def read_days(connection: Connection, days: list[dt.date]) -> dict[EventDay, tuple[BitMap, int]]:
    """Persons and numbers of events of all events on some days."""
    rows = fetch_rows(connection, QUERIES["all_bitmaps"], {"days": days})
    return {
        (row["event"], row["day"]): (make_bitmap(bytes(row["persons"])), row["events"])
        for row in rows
    }


def _find_days(connection: Connection, persons: BitMap) -> set[dt.date]:
    """The days on which some persons were active."""
    whole = {"events": [ANY], "first": dt.date.min, "last": dt.date.max}
    rows = fetch_rows(connection, QUERIES["bitmaps"], whole)
    return {row["day"] for row in rows if make_bitmap(bytes(row["persons"])).intersect(persons)}


def put_bitmaps(connection: Connection, bitmaps: Mapping[EventDay, tuple[BitMap, int]]) -> None:
    """Write persons and numbers of events by event and day."""
    connection.execute(
        QUERIES["put_bitmaps"],
        {
            "events": [event for event, _ in bitmaps],
            "days": [day for _, day in bitmaps],
            "persons": [persons.serialize() for persons, _ in bitmaps.values()],
            "counts": [count for _, count in bitmaps.values()],
        },
    )


def put_daily(connection: Connection, dirty: set[dt.date], users: BitMap) -> None:
    """Count the users of these days again, and of the 29 after each, as far as there are any.

    Their sessions are forgotten, and counted when they are read or kept next.
    """
    connection.execute(QUERIES["forget_sessions"], {"days": sorted(dirty)})
    last = connection.scalar(QUERIES["last_day"])
    connection.execute(QUERIES["forget_later"], {"last": last})
    if not isinstance(last, dt.date) or not dirty:
        return
    days = {day + dt.timedelta(n) for day in dirty for n in range(30)}
    counted = sorted(day for day in days if day <= last)
    if not counted:
        return
    span = {"events": [ANY], "first": counted[0] - dt.timedelta(29), "last": counted[-1]}
    rows = fetch_rows(connection, QUERIES["bitmaps"], span)
    by_day = {row["day"]: make_bitmap(bytes(row["persons"])) & users for row in rows}
    counts = [count_users(by_day, day) for day in counted]
    daus, waus, maus = zip(*counts, strict=True)
    columns = {"daus": [*daus], "waus": [*waus], "maus": [*maus]}
    connection.execute(QUERIES["put_daily"], {"days": counted, **columns})


def count_users(by_day: Mapping[dt.date, BitMap], day: dt.date) -> tuple[int, int, int]:
    """The users of a day, and of the 7 and 30 days that end with it."""
    none = make_bitmap()
    found = [by_day.get(day - dt.timedelta(n), none) for n in range(30)]
    return len(found[0]), len(none.union(*found[:7])), len(none.union(*found))
