"""Sessions: events of a user with gaps of at most 30 minutes, kept by day when the day is over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from assise.analytics.calendar import begin_of, list_starts
from assise.analytics.picture import ANY, Picture, make_bitmap, open_picture, run
from assise.analytics.tables import QUERIES
from assise.analytics.trends import people_of
from assise.postgres.asking import Asking
from assise.postgres.connection import Connection

GAP = dt.timedelta(minutes=30)
DAYS = 30


class SessionDay(NamedTuple):
    """How many sessions began on a day, and how long their users were in one on it."""

    day: dt.date
    sessions: int
    seconds: float


def read_minutes(picture: Picture) -> Asking[float | None]:
    """The mean length of a session in minutes, of the 30 days before today; None without any."""
    days = _list_days(picture)
    found = yield from _read_kept(days)
    late = yield from _list_late(picture, days)
    missing = [day for day in days if day not in found or day in late]
    if missing:
        found |= {each.day: each for each in (yield from _count(picture, missing))}
    sessions = sum(found[day].sessions for day in days)
    return sum(found[day].seconds for day in days) / sessions / 60 if sessions else None


def _list_days(picture: Picture) -> list[dt.date]:
    """The 30 days before today."""
    return list_starts(picture.today - dt.timedelta(DAYS), picture.today - dt.timedelta(1), "day")


def _list_late(picture: Picture, days: Sequence[dt.date]) -> Asking[set[dt.date]]:
    """The days whose kept sessions are not those of the picture: more events, or other persons."""
    if not picture.is_stored:
        return {*days}
    changed = {day for _, day in picture.changes.groups}
    if picture.changes.moved:
        old = make_bitmap(sorted(picture.changes.moved))
        span = {"events": [ANY], "first": days[0] - dt.timedelta(1), "last": days[-1]}
        for row in (yield QUERIES["bitmaps"], span):
            if make_bitmap(bytes(row["persons"])).intersect(old):
                changed.add(row["day"])
    return changed | {day + dt.timedelta(1) for day in changed}


def keep_sessions(connection: Connection, zone: str) -> None:
    """Count the sessions of the days that are over and not kept; the caller has the fold's lock."""
    with connection.transaction():
        picture = run(open_picture(zone), connection)
        days = _list_days(picture)
        kept = run(_read_kept(days), connection)
        missing = [day for day in days if day not in kept]
        if not missing:
            return
        found = run(_count(picture, missing), connection)
        columns = {
            "days": [each.day for each in found],
            "sessions": [each.sessions for each in found],
            "seconds": [each.seconds for each in found],
        }
        connection.execute(QUERIES["keep_sessions"], columns)


def _read_kept(days: Sequence[dt.date]) -> Asking[dict[dt.date, SessionDay]]:
    rows = yield QUERIES["kept_sessions"], {"first": days[0], "last": days[-1]}
    return {
        row["day"]: SessionDay(row["day"], row["sessions"], float(row["seconds"])) for row in rows
    }


def _count(picture: Picture, days: Sequence[dt.date]) -> Asking[list[SessionDay]]:
    """Count sessions from the first to the last of these days; only these days are given."""
    begin = begin_of(days[0], picture.zone)
    until = begin_of(days[-1] + dt.timedelta(1), picture.zone)
    asked = people_of(picture, begin - GAP, until)
    rows = yield QUERIES.fill("sessions"), {**asked, "begin": begin, "zone": picture.zone.key}
    found = {row["day"]: (row["sessions"], float(row["seconds"])) for row in rows}
    return [SessionDay(day, *found.get(day, (0, 0.0))) for day in days]
