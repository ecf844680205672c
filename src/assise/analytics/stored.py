"""Which events of before are stored already, though their uuids are forgotten by now.

The uuid of a captured event is forgotten after 30 days. A file that holds it is read later, so the
days that a file names are looked through once, as far as they are that old.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from assise.analytics.event import Event
from assise.analytics.tables import QUERIES
from assise.postgres.connection import Connection

AGE = dt.timedelta(days=28)
"""No uuid of an event that is younger is forgotten: clocks may be a day ahead, and off by one."""

DAY = dt.timedelta(days=1)


@dataclass
class StoredEvents:
    """The stored events of the days that were asked for, and of the days beside them.

    Two clocks may have told one event's time, so it is looked for on the day before and after too.
    """

    connection: Connection
    _days: set[dt.date] = field(default_factory=set)
    _count: int = 0

    def __post_init__(self) -> None:
        self.connection.execute(QUERIES["stored"])

    def leave_out(self, events: Sequence[Event]) -> list[Event]:
        """The events that are not stored, as far as uuids of their days are forgotten."""
        young = dt.datetime.now(dt.UTC) - AGE
        days = {each.at.astimezone(dt.UTC).date() for each in events if each.at < young}
        around = {day + n * DAY for day in days for n in (-1, 0, 1)} - self._days
        self._days |= around
        for first, last in _join(sorted(around)):
            since = dt.datetime.combine(first, dt.time(), dt.UTC)
            until = dt.datetime.combine(last, dt.time(), dt.UTC) + DAY
            found = self.connection.scalar(QUERIES["find_stored"], {"since": since, "until": until})
            self._count += int(str(found))
        if not self._count:
            return [*events]
        asked = {"uuids": [each.uuid for each in events]}
        known = {row[0] for row in self.connection.execute(QUERIES["known"], asked)}
        return [each for each in events if each.uuid not in known]


def _join(days: Sequence[dt.date]) -> Iterator[tuple[dt.date, dt.date]]:
    """The first and the last of days that follow each other."""
    begin = 0
    for n in range(1, len(days) + 1):
        if n == len(days) or days[n] - days[n - 1] > DAY:
            yield days[begin], days[n - 1]
            begin = n
