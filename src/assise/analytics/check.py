"""Check: all that is stored is counted again from the events."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from assise.analytics.event import SHARED_IDS, SYSTEM_EVENTS
from assise.analytics.fold import count_users, read_days
from assise.analytics.kinds import PROPERTIES, list_misfits
from assise.analytics.picture import ANY, EventDay, fetch_rows, make_bitmap
from assise.analytics.tables import QUERIES
from assise.manifest.sections.analytics import Analytics
from assise.postgres.connection import Connection

if TYPE_CHECKING:
    from pyroaring import BitMap

SHOWN = 100
"""Misfits of an event that are listed."""

PART = 500_000
"""Events that are counted at once, about."""

LEAST, MOST, MARGIN = dt.date(2, 1, 9), dt.date(9998, 12, 20), dt.timedelta(3)
"""Between these days a day stands for itself; at the ends also for all beyond."""


@dataclass
class AnalyticsCheck:
    """What is stored and not as counted, and what is kept and not as declared.

    differing: event and day of what differs; days: whose counts of users differ; totals: tables whose
    rows are more or fewer than is kept; traffic: events by traffic; undeclared: events by name;
    misfits: of each event with properties that are not as declared, what is wrong and how often;
    shared: events with an id that everybody has.
    """

    compared: int = 0
    differing: list[EventDay] = field(default_factory=list)
    days: list[dt.date] = field(default_factory=list)
    totals: list[str] = field(default_factory=list)
    traffic: dict[str, int] = field(default_factory=dict)
    undeclared: dict[str, int] = field(default_factory=dict)
    misfits: dict[str, dict[str, int]] = field(default_factory=dict)
    shared: int = 0

    @property
    def is_right(self) -> bool:
        """Whether all that is stored is as counted."""
        return not self.differing and not self.days and not self.totals


def check_bitmaps(connection: Connection, analytics: Analytics) -> AnalyticsCheck:
    """Compare bitmaps, numbers of events and counts of users with those that the events give.

    Days whose events were dropped, as they are older than events are kept, cannot be compared.
    """
    found = AnalyticsCheck()
    with connection.transaction(isolation="REPEATABLE READ"):
        (state,) = fetch_rows(connection, QUERIES["state"])
        place = {"xid": state["xid"], "number": state["number"], "shared": sorted(SHARED_IDS)}
        place["zone"] = analytics.timezone
        dropped = connection.scalar(QUERIES["dropped"], {"zone": analytics.timezone})
        horizon = dropped if isinstance(dropped, dt.date) else dt.date.min
        users = make_bitmap(bytes(state["users"] or b""))
        by_day: dict[dt.date, BitMap] = {}
        for days in _list_parts(connection, place):
            counted = _recount(connection, place, days)
            stored = read_days(connection, days)
            empty = make_bitmap(), 0
            for key in counted.keys() | stored.keys():
                event, day = key
                right = (counted if day > horizon else stored).get(key, empty)
                if not event:
                    by_day[day] = right[0] & users
                found.compared += day > horizon
                if stored.get(key, empty) != right:
                    found.differing.append(key)
        found.differing.sort()
        span = {"first": dt.date.min, "last": dt.date.max}
        found.days = [
            row["day"]
            for row in fetch_rows(connection, QUERIES["daily"], span)
            if (row["dau"], row["wau"], row["mau"]) != count_users(by_day, row["day"])
        ]
        _list_kinds(connection, analytics, found)
    return found


def _list_parts(connection: Connection, place: Mapping[str, object]) -> list[list[dt.date]]:
    """All days with something stored or to count, in order, some events at a time."""
    parts, events = [list[dt.date]()], 0
    for row in fetch_rows(connection, QUERIES["sizes"], place):
        if parts[-1] and events + row["events"] > PART:
            parts.append([])
            events = 0
        parts[-1].append(row["day"])
        events += row["events"]
    return parts


def _recount(
    connection: Connection, place: Mapping[str, object], days: list[dt.date]
) -> dict[EventDay, tuple[BitMap, int]]:
    counted: dict[EventDay, tuple[BitMap, int]] = {}
    if not days:
        return counted
    # Three days more hold each moment of these days in any time zone.
    first, last = max(days[0], LEAST) - MARGIN, min(days[-1], MOST) + MARGIN
    span = {"since": first if days[0] > LEAST else None, "until": last if days[-1] < MOST else None}
    for row in fetch_rows(connection, QUERIES["recount"], {**place, **span, "days": days}):
        is_system = row["event"] in SYSTEM_EVENTS
        persons = make_bitmap() if is_system else make_bitmap(row["persons"])
        counted[row["event"], row["day"]] = persons, row["events"]
        if not is_system:
            before, events = counted.get((ANY, row["day"]), (make_bitmap(), 0))
            counted[ANY, row["day"]] = before | persons, events + row["events"]
    return counted


def _list_kinds(connection: Connection, analytics: Analytics, found: AnalyticsCheck) -> None:
    traffic: Counter[str] = Counter()
    for row in fetch_rows(connection, QUERIES["kinds"], {"shared": sorted(SHARED_IDS)}):
        traffic[row["traffic"]] += row["events"]
        found.shared += row["shared"]
        name = row["event"]
        if name not in PROPERTIES and name not in analytics.events.own and name[:1] != "$":
            found.undeclared[name] = found.undeclared.get(name, 0) + row["events"]
    found.traffic = dict(traffic)
    declared = sorted({*PROPERTIES, *analytics.events.own})
    for row in fetch_rows(connection, QUERIES["properties"], {"events": declared}):
        value = _EXAMPLES[row["kind"]]
        for what in list_misfits(row["event"], {row["key"]: value}, analytics.events.own):
            said = found.misfits.setdefault(row["event"], {})
            if what in said or len(said) < SHOWN:
                said[what] = said.get(what, 0) + row["events"]


_EXAMPLES: Mapping[str, object] = {
    "uuid": str(UUID(int=0)),
    "string": "x",
    "whole": 1,
    "number": 0.5,
    "boolean": True,
    "array": [],
    "object": {},
}
"""A value of each kind that properties are counted by."""
