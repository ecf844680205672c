"""Days, weeks and months of a time zone: how events are put together."""

from __future__ import annotations

import datetime as dt
from typing import Literal
from zoneinfo import ZoneInfo

By = Literal["day", "week", "month"]
WeekStart = Literal["monday", "sunday"]


def start_of(day: dt.date, by: By, week: WeekStart = "monday") -> dt.date:
    """The first day of the day, week or month that a day is in.

    >>> start_of(dt.date(2026, 3, 1), "week"), start_of(dt.date(2026, 3, 1), "week", "sunday")
    (datetime.date(2026, 2, 23), datetime.date(2026, 3, 1))
    """
    if by == "month":
        return day.replace(day=1)
    if by == "day":
        return day
    behind = day.weekday() if week == "monday" else (day.weekday() + 1) % 7
    return day - dt.timedelta(behind)


def add(start: dt.date, by: By, count: int) -> dt.date:
    """The start that is so many days, weeks or months later.

    >>> add(dt.date(2025, 12, 1), "month", 2), add(dt.date(2025, 12, 29), "week", -1)
    (datetime.date(2026, 2, 1), datetime.date(2025, 12, 22))
    """
    if by == "month":
        months = start.year * 12 + start.month - 1 + count
        return dt.date(months // 12, months % 12 + 1, 1)
    return start + dt.timedelta(count * (7 if by == "week" else 1))


def list_starts(first: dt.date, last: dt.date, by: By, week: WeekStart = "monday") -> list[dt.date]:
    """The starts from that of a day to that of another one."""
    found, start = [], start_of(first, by, week)
    while start <= last:
        found.append(start)
        start = add(start, by, 1)
    return found


def begin_of(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """The moment at which a day begins: the first that exists of it where clocks change then."""
    moment = dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)
    while moment.astimezone(zone).date() < day:
        moment += dt.timedelta(minutes=15)
    return moment
