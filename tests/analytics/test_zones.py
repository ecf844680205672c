"""Days of time zones: users by day, week and month around changes of clocks, ends of years, leap days."""

from __future__ import annotations

import datetime as dt
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from assise.analytics.activity import Buckets, RetentionQuestion, read_active, read_retention
from assise.analytics.calendar import By, WeekStart
from assise.analytics.check import check_bitmaps
from assise.analytics.event import Event
from assise.analytics.fold import fold
from assise.analytics.picture import read_whole, run
from assise.analytics.store import insert_sync
from assise.analytics.tracking import make_uuid
from assise.analytics.trends import TrendQuestion, read_trend
from assise.manifest.sections.analytics import Analytics
from assise.postgres.connection import Connection
from assise.project import Project

MOMENTS = {
    "Europe/Paris": ["2026-03-29", "2026-10-25"],
    "Africa/Cairo": ["2026-04-24", "2026-10-29"],
    "Australia/Lord_Howe": ["2026-04-05", "2025-10-05"],
    # The day that Samoa has left out, and the year's end beside it.
    "Pacific/Apia": ["2011-12-30", "2012-01-01"],
    "UTC": ["2024-02-29", "2023-12-31"],
}
"""Days on which something is odd, by zone."""


def make_events(zone: str) -> list[Event]:
    """An event every ten minutes of the two days around each odd one, of five people in turn."""
    found = []
    for day in MOMENTS[zone]:
        noon = dt.datetime.fromisoformat(day).replace(hour=12, tzinfo=dt.UTC)
        for n in range(-216, 216):
            at = noon + n * dt.timedelta(minutes=10)
            person = f"u{n // 7 % 5}"
            found.append(Event(make_uuid(at.timestamp()), "seen", person, at))
    return found


def start_by_hand(day: dt.date, by: By, week: WeekStart) -> dt.date:
    """The start of a period, one day back at a time."""
    while by != "day" and not (
        day.day == 1 if by == "month" else day.strftime("%A").lower() == week
    ):
        day -= dt.timedelta(1)
    return day


@pytest.mark.parametrize("zone", MOMENTS)
def test_users_of_days_weeks_and_months(zone: str, shop: Project, database: str) -> None:
    del shop
    events = make_events(zone)
    local = [(each.at.astimezone(ZoneInfo(zone)).date(), each.distinct_id) for each in events]
    days = sorted({day for day, _ in local})
    first, last = days[0], days[-1]
    with Connection(database) as connection:
        insert_sync(connection, events[::2])
        fold(connection, zone)
        insert_sync(connection, events[1::2])
        rows = run(read_whole(zone, lambda picture: read_active(picture, first, last)), connection)
        for row in rows:
            spans = [
                {person for day, person in local if 0 <= (row.day - day).days < back}
                for back in (1, 7, 30)
            ]
            assert [row.dau, row.wau, row.mau] == [len(each) for each in spans], row
        assert zone != "Pacific/Apia" or dt.date(2011, 12, 30) not in days
        periods: tuple[tuple[By, WeekStart], ...] = (
            *(("day", "monday"), ("week", "monday")),
            *(("week", "sunday"), ("month", "monday")),
        )
        for by, week in periods:
            buckets = Buckets(first, last, by, week)
            asked = TrendQuestion("seen", buckets, "count")
            trend = run(read_whole(zone, partial(read_trend, asked=asked)), connection)
            back = RetentionQuestion("seen", "seen", buckets, 2, "recurring")
            table = run(read_whole(zone, partial(read_retention, asked=back)), connection)
            by_start: dict[dt.date, list[str]] = {}
            for day, person in local:
                by_start.setdefault(start_by_hand(day, by, week), []).append(person)
            counts = {row.start: row.value for row in trend}
            assert {start: count for start, count in counts.items() if count} == {
                start: len(people) for start, people in by_start.items()
            }
            sizes = {row.start: row.size for row in table.rows if row.size}
            assert sizes == {start: len({*people}) for start, people in by_start.items()}
        fold(connection, zone)
        assert check_bitmaps(connection, Analytics(timezone=zone)).is_right
