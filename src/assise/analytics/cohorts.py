"""Cohorts by a property, and who is lost: users put together, and what became of them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from assise.analytics.activity import (
    Buckets,
    RetentionQuestion,
    RetentionRow,
    read_retention,
    read_returns,
)
from assise.analytics.calendar import add, begin_of, start_of
from assise.analytics.event import SHARED_IDS, SYSTEM_EVENTS
from assise.analytics.picture import ANY, Picture, make_bitmap
from assise.analytics.tables import QUERIES
from assise.analytics.trends import people_of
from assise.errors import UsageError
from assise.postgres.asking import Asking

if TYPE_CHECKING:
    from pyroaring import BitMap

MAX_VALUES = 1_000


@dataclass(frozen=True)
class Cohort(RetentionRow):
    """A cohort whose first event had this value of the property; None where it had none."""

    value: str | None = None


def read_cohorts(
    picture: Picture, asked: RetentionQuestion, breakdown: str
) -> Asking[list[Cohort]]:
    """Cohorts of who did `asked.start` for the first time ever, by the value the event had then.

    Without a property there is one cohort for each period.

    Raises:
        UsageError: the property has over a thousand values.
    """
    if not breakdown:
        found = yield from read_retention(picture, asked)
        return [Cohort(row.start, row.size, row.counts, row.complete) for row in found.rows]
    cohorts: dict[tuple[dt.date, str | None], BitMap] = {}
    starts = set(asked.buckets.starts)
    for row in (yield QUERIES.fill("cohorts"), _parameters(picture, asked.start, breakdown)):
        start = start_of(row["day"], asked.buckets.by, asked.buckets.week)
        if start in starts and (persons := make_bitmap(row["persons"]) & picture.users):
            key = start, row["value"]
            cohorts[key] = cohorts.get(key, make_bitmap()) | persons
    if len({value for _, value in cohorts}) > MAX_VALUES:
        raise UsageError(
            f"{breakdown!r} has over {MAX_VALUES:,} values",
            remedy="Name a property with fewer, such as plan.",
        )
    returns = yield from read_returns(picture, asked)
    rows = []
    for start, value in sorted(cohorts, key=lambda key: (key[1] or "", key[0])):
        counted = returns.count(cohorts[start, value], start)
        rows.append(Cohort(start, counted.size, counted.counts, counted.complete, value))
    return rows


def _parameters(picture: Picture, event: str, breakdown: str) -> dict[str, object]:
    changes = picture.changes
    own = {
        "event": event,
        "breakdown": breakdown,
        "zone": picture.zone.key,
        "shared": sorted(SHARED_IDS),
        "system": sorted(SYSTEM_EVENTS),
        "ids": sorted(changes.aliases),
        "alias_ids": [*changes.aliases],
        "alias_persons": [*changes.aliases.values()],
        "old": [*changes.moved],
        "new": [*changes.moved.values()],
    }
    return {**picture.place, **own}


@dataclass(frozen=True)
class Churn:
    """Of the users active before a period, how many were not any more at its end."""

    start: dt.date
    active: int
    lost: int
    rate: float | None
    complete: bool


def read_churn(picture: Picture, buckets: Buckets, days: int) -> Asking[list[Churn]]:
    """Users lost by inactivity, in each period.

    Of those active in the `days` before the period, lost are those who were not active in the last
    `days` of it. Source: Gold, Fighting Churn with Data (2020), listing 2.3.
    """
    starts = buckets.starts
    if not starts:
        return []
    first, last = starts[0] - dt.timedelta(days), add(starts[-1], buckets.by, 1)
    by_day = yield from picture.read_persons([ANY], first, last)

    def active(end: dt.date) -> BitMap:
        """Who was active in the days before this one."""
        inside = (day for day in by_day if end - dt.timedelta(days) <= day < end)
        return make_bitmap().union(make_bitmap(), *(by_day[day] for day in inside))

    found = []
    for start in starts:
        before = active(start)
        lost = len(before - active(add(start, buckets.by, 1)))
        rate = lost / len(before) if before else None
        found.append(Churn(start, len(before), lost, rate, buckets.is_over(start, picture)))
    return found


@dataclass(frozen=True)
class SessionRow:
    """Sessions that began in an interval, and how long they were on average, in minutes."""

    start: dt.date
    sessions: int
    minutes: float | None
    complete: bool


def read_sessions(picture: Picture, buckets: Buckets) -> Asking[list[SessionRow]]:
    """Sessions of users: events of one person with gaps of at most 30 minutes."""
    starts = buckets.starts
    if not starts:
        return []
    until = add(starts[-1], buckets.by, 1)
    # A day more on both sides: what goes on over midnight is one session.
    since, end = starts[0] - dt.timedelta(1), until + dt.timedelta(1)
    span = begin_of(since, picture.zone), begin_of(end, picture.zone)
    counts = dict.fromkeys(starts, 0)
    seconds = dict.fromkeys(starts, 0.0)
    for row in (yield QUERIES.fill("sessions_by_day"), people_of(picture, *span)):
        start = start_of(row["day"], buckets.by, buckets.week)
        if start in counts:
            counts[start] += row["sessions"]
            seconds[start] += row["seconds"]
    return [
        SessionRow(
            start,
            count,
            round(seconds[start] / count / 60, 2) if count else None,
            buckets.is_over(start, picture),
        )
        for start, count in counts.items()
    ]
