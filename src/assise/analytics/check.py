"""Check: all that is stored is counted again from the events."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assise.analytics.event import SHARED_IDS, SYSTEM_EVENTS
from assise.analytics.fold import count_users
from assise.analytics.kinds import PROPERTIES
from assise.analytics.picture import ANY, EventDay, fetch_rows, make_bitmap
from assise.analytics.tables import QUERIES
from assise.manifest.sections.analytics import Analytics
from assise.postgres.connection import Connection

if TYPE_CHECKING:
    from pyroaring import BitMap


@dataclass
class AnalyticsCheck:
    """What is stored and not as counted, and what is kept and not as declared.

    differing: event and day of what differs; days: whose counts of users differ; totals: tables whose
    rows are more or fewer than is kept; traffic: events by traffic; undeclared: events by name;
    shared: events with an id that everybody has.
    """

    compared: int = 0
    differing: list[EventDay] = field(default_factory=list)
    days: list[dt.date] = field(default_factory=list)
    totals: list[str] = field(default_factory=list)
    traffic: dict[str, int] = field(default_factory=dict)
    undeclared: dict[str, int] = field(default_factory=dict)
    shared: int = 0

    @property
    def is_right(self) -> bool:
        """Whether all that is stored is as counted."""
        return not self.differing and not self.days and not self.totals


def check_bitmaps(connection: Connection, analytics: Analytics) -> AnalyticsCheck:
    """Compare bitmaps, numbers of events and counts of users with those that the events give."""
    found = AnalyticsCheck()
    with connection.transaction(isolation="REPEATABLE READ"):
        (state,) = fetch_rows(connection, QUERIES["state"])
        place = {"xid": state["xid"], "number": state["number"], "shared": sorted(SHARED_IDS)}
        counted: dict[EventDay, tuple[BitMap, int]] = {}
        for row in fetch_rows(
            connection, QUERIES.fill("recount"), {**place, "zone": analytics.timezone}
        ):
            is_system = row["event"] in SYSTEM_EVENTS
            persons = make_bitmap() if is_system else make_bitmap(row["persons"])
            counted[row["event"], row["day"]] = persons, row["events"]
            if not is_system:
                before, events = counted.get((ANY, row["day"]), (make_bitmap(), 0))
                counted[ANY, row["day"]] = before | persons, events + row["events"]
        stored = {
            (row["event"], row["day"]): (make_bitmap(bytes(row["persons"])), row["events"])
            for row in fetch_rows(connection, QUERIES["stored"])
        }
        empty = make_bitmap(), 0
        keys = counted.keys() | stored.keys()
        found.compared = len(keys)
        found.differing = sorted(
            key for key in keys if counted.get(key, empty) != stored.get(key, empty)
        )
        users = make_bitmap(bytes(state["users"] or b""))
        by_day = {
            day: persons & users for (event, day), (persons, _) in counted.items() if not event
        }
        span = {"first": dt.date.min, "last": dt.date.max}
        found.days = [
            row["day"]
            for row in fetch_rows(connection, QUERIES["daily"], span)
            if (row["dau"], row["wau"], row["mau"]) != count_users(by_day, row["day"])
        ]
        _list_kinds(connection, analytics, found)
    return found


def _list_kinds(connection: Connection, analytics: Analytics, found: AnalyticsCheck) -> None:
    traffic: Counter[str] = Counter()
    for row in fetch_rows(connection, QUERIES["kinds"], {"shared": sorted(SHARED_IDS)}):
        traffic[row["traffic"]] += row["events"]
        found.shared += row["shared"]
        name = row["event"]
        if name not in PROPERTIES and name not in analytics.events.own and name[:1] != "$":
            found.undeclared[name] = found.undeclared.get(name, 0) + row["events"]
    found.traffic = dict(traffic)
