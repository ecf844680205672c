"""Erasure: a person's events, ids and marks in the numbers go, and none of them comes back.

An event of before that arrives later, from a spool or a file, is not kept: the ids are known by their
hash. What a transaction has kept that was open meanwhile is erased by the fold, before it counts.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from assise.analytics.capture.events import shorten
from assise.analytics.event import SHARED_IDS, SYSTEM_EVENTS, is_shared
from assise.analytics.fold import LOCK, fold, put_bitmaps, put_daily, read_days
from assise.analytics.jobs import drain
from assise.analytics.picture import ANY, EventDay, fetch_rows, make_bitmap, open_picture, run
from assise.analytics.spool import Spool
from assise.analytics.tables import QUERIES
from assise.errors import UsageError
from assise.postgres import locks
from assise.postgres.connection import Connection
from assise.wording import count_of

DAYS = 8
"""Days whose bitmaps are in memory at once."""


@dataclass
class Erased:
    """What an erasure did, or would do: the ids of the person, and how many of its events."""

    ids: int
    events: int
    days: int = 0
    forwarded: bool = False

    def describe(self, *, is_dry: bool) -> list[str]:
        """Sentences that say it."""
        verb = "would be erased" if is_dry else "erased"
        said = [f"{count_of(self.events, 'event')} of {count_of(self.ids, 'id')} {verb}"]
        if self.days:
            said.append(f"{count_of(self.days, 'day')} counted again")
        if self.forwarded:
            said.append("PostHog has copies of events that went there: erase the person there too")
        return said


def check_id(id_: str) -> None:
    """Check that an id is that of one person.

    Raises:
        UsageError: everybody has it, or nobody.
    """
    if is_shared(id_):
        raise UsageError(
            f"{id_!r} is an id that everybody has, so its events are of many people",
            remedy="Name the id of one person, as events have it in distinct_id.",
        )


def find_person(connection: Connection, id_: str, *, zone: str) -> Erased:
    """How many ids and events a person has."""
    ids = _find_ids(connection, id_, zone)
    (row,) = fetch_rows(connection, QUERIES["count_person"], {"ids": ids})
    return Erased(row["ids"], row["events"])


def _find_ids(connection: Connection, id_: str, zone: str) -> list[str]:
    """All ids of a person, also by merges that an open transaction keeps from being folded."""
    persons = run(open_picture(zone), connection).changes.aliases
    found, before = {id_, shorten(id_)}, set[str]()
    while found != before:
        before = {*found}
        rows = fetch_rows(connection, QUERIES["ids_of_person"], {"ids": sorted(found)})
        found |= {row["distinct_id"] for row in rows}
        own = {persons[each] for each in found & persons.keys()}
        found |= {each for each, person in persons.items() if person in own}
    return sorted(found)


def erase(connection: Connection, id_: str, *, zone: str, spool: Spool) -> Erased:
    """Erase the person of an id. What is spooled is kept first, so that it goes with the rest.

    Raises:
        UsageError: everybody has this id.
    """
    check_id(id_)
    drain(connection, lambda: False, spool=spool)
    fold(connection, zone)
    with locks.hold(connection, LOCK, patience_s=60), connection.transaction():
        ids = _find_ids(connection, id_, zone)
        connection.execute(QUERIES["note_erased"], {"ids": ids})
        found = _erase(connection, zone, ids)
    _clean_broken(spool.folder, ids)
    return found


def _erase(connection: Connection, zone: str, ids: list[str]) -> Erased:
    (state,) = fetch_rows(connection, QUERIES["state"])
    place = {"xid": state["xid"], "number": state["number"]}
    given = {"ids": ids, "shared": sorted(SHARED_IDS), "zone": zone, **place}
    persons = [row["person"] for row in fetch_rows(connection, QUERIES["erase_identities"], given)]
    fewer: dict[EventDay, int] = {}
    total = 0
    for row in fetch_rows(connection, QUERIES["erase_events"], given):
        total += row["events"]
        if row["counted"]:
            names = [row["event"]] if row["event"] in SYSTEM_EVENTS else [row["event"], ANY]
            for name in names:
                fewer[name, row["day"]] = fewer.get((name, row["day"]), 0) + row["counted"]
    connection.execute(QUERIES["erase_others"], given)
    days = _subtract(connection, fewer, persons)
    users = make_bitmap(bytes(state["users"] or b"")) - make_bitmap(persons)
    put_daily(connection, days, users)
    connection.execute(QUERIES["put_users"], {"users": users.serialize()})
    is_forwarded = bool(connection.scalar(QUERIES["is_forwarded"]))
    return Erased(len(ids), total, len(days), is_forwarded)


def _subtract(
    connection: Connection, fewer: Mapping[EventDay, int], persons: list[int]
) -> set[dt.date]:
    """Take persons out of all bitmaps, and events out of the counts; the days that changed."""
    gone, changed = make_bitmap(persons), set[dt.date]()
    days = [row["day"] for row in fetch_rows(connection, QUERIES["days"])]
    for start in range(0, len(days), DAYS):
        bitmaps = {}
        for key, (found, events) in read_days(connection, days[start : start + DAYS]).items():
            if key in fewer or found.intersect(gone):
                bitmaps[key] = found - gone, events - fewer.get(key, 0)
        put_bitmaps(connection, bitmaps)
        changed |= {day for _, day in bitmaps}
    connection.execute(QUERIES["forget_empty"])
    return changed


def _clean_broken(folder: Path, ids: list[str]) -> None:
    """Take the lines with an id out of the files of lines that cannot be read."""
    marks = [json.dumps(each).encode() for each in ids]
    for path in folder.glob("*.broken"):
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not any(mark in line for mark in marks)]
        if kept != lines:
            new = path.with_suffix(".new")
            new.write_bytes(b"".join(kept))
            new.rename(path)
