"""Activity: how many users there are each day, whether they come back, and who is new.

Definitions stand in docs/how-to/numbers.md; all counts are of users, in days of the project.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from assise.analytics.calendar import By, WeekStart, add, list_starts, start_of
from assise.analytics.cells import BACK, START, Cells, read_cells
from assise.analytics.fold import count_users
from assise.analytics.overlaps import Overlaps
from assise.analytics.picture import ANY, Picture, make_bitmap
from assise.analytics.tables import QUERIES
from assise.postgres.asking import Asking

if TYPE_CHECKING:
    from pyroaring import BitMap

Mode = Literal["first", "recurring", "unbounded"]


@dataclass(frozen=True)
class ActiveDay:
    """Users of a day, and of the 7 and 30 days that end with it."""

    day: dt.date
    dau: int
    wau: int
    mau: int
    complete: bool

    @property
    def stickiness(self) -> float | None:
        """Users of the day of those of the 30 days; None where there are none."""
        return self.dau / self.mau if self.mau else None


def read_active(picture: Picture, first: dt.date, last: dt.date) -> Asking[list[ActiveDay]]:
    """Users by day: stored counts, and counted where events came since."""
    span = {"first": first, "last": last}
    counts: dict[dt.date, tuple[int, int, int]] = {}
    if picture.is_stored and not picture.has_tail:
        for row in (yield QUERIES["daily"], span):
            counts[row["day"]] = (row["dau"], row["wau"], row["mau"])
    days = list_starts(first, last, "day")
    if missing := [day for day in days if day not in counts]:
        early = missing[0] - dt.timedelta(29)
        by_day = yield from picture.read_persons([ANY], early, missing[-1])
        counts |= {day: count_users(by_day, day) for day in missing}
    return [ActiveDay(day, *counts[day], picture.is_over(day)) for day in days]


@dataclass(frozen=True)
class Buckets:
    """Days put together: from the start of `first` to `last`, by day, week or month."""

    first: dt.date
    last: dt.date
    by: By = "day"
    week: WeekStart = "monday"

    @property
    def starts(self) -> list[dt.date]:
        """The first days of the buckets."""
        return list_starts(self.first, self.last, self.by, self.week)

    def join(self, by_day: Mapping[dt.date, BitMap]) -> dict[dt.date, BitMap]:
        """The users of each bucket."""
        found: dict[dt.date, list[BitMap]] = {}
        for day, persons in by_day.items():
            found.setdefault(start_of(day, self.by, self.week), []).append(persons)
        return {start: make_bitmap().union(*each) for start, each in found.items()}

    def is_over(self, start: dt.date, picture: Picture) -> bool:
        """Whether a bucket has ended."""
        return picture.is_over(add(start, self.by, 1) - dt.timedelta(1))


@dataclass(frozen=True)
class RetentionRow:
    """A cohort: its size, and how many of it came back in each period; None where it goes on."""

    start: dt.date
    size: int
    counts: list[int | None]
    complete: list[bool]


@dataclass(frozen=True)
class Retention:
    """Which of those who did one event did another one later."""

    mode: Mode
    by: By
    rows: list[RetentionRow]


@dataclass(frozen=True)
class RetentionQuestion:
    """Cohorts of who did `start`, and the share of them that did `back` so many periods later.

    mode: `first`: in a cohort is who did `start` in it for the first time ever; `recurring`: who
        did it in it; `unbounded`: as recurring, and whoever comes back later counts too.
    did: only of users who have ever done this event; empty for all.
    """

    start: str
    back: str
    buckets: Buckets
    periods: int
    mode: Mode = "first"
    did: str = ""


def read_retention(picture: Picture, asked: RetentionQuestion) -> Asking[Retention]:
    """The cells of a retention table."""
    starts, is_kept = asked.buckets.starts, (asked.start, asked.back) == (START, BACK)
    if is_kept and asked.buckets.by == "day" and not asked.did:
        kept = yield from read_cells(picture, asked.mode, starts=starts, periods=asked.periods)
        if kept is not None:
            return Retention(asked.mode, "day", _join_cells(picture, starts, kept))
    cohorts = yield from _read_cohorts(picture, asked, starts)
    returns = yield from read_returns(picture, asked)
    nobody = make_bitmap()
    rows = [returns.count(cohorts.get(start, nobody), start) for start in starts]
    return Retention(asked.mode, asked.buckets.by, rows)


@dataclass(frozen=True)
class Returns:
    """Who came back in each period that is over, in order: `places` has the start of each cohort."""

    places: Mapping[dt.date, int]
    periods: int
    over: int
    found: Overlaps

    def count(self, cohort: BitMap, start: dt.date) -> RetentionRow:
        """How many of a cohort came back in each period."""
        place = self.places[start]
        over = min(max(self.over - place, 0), self.periods)
        counts: list[int | None] = [*self.found.count(cohort, slice(place, place + over))]
        counts += [None] * (self.periods - over)
        counts[0] = len(cohort)
        complete = [True] * over + [False] * (self.periods - over)
        return RetentionRow(start, len(cohort), counts, complete)


def read_returns(picture: Picture, asked: RetentionQuestion) -> Asking[Returns]:
    """Who came back, by period."""
    buckets, starts = asked.buckets, asked.buckets.starts
    end = add(starts[-1], buckets.by, asked.periods) if starts else picture.today
    last = picture.today if asked.mode == "unbounded" else end
    back = yield from picture.read_persons([asked.back], min(starts, default=end), max(last, end))
    returns = buckets.join(back)
    periods = list_starts(starts[0], end, buckets.by, buckets.week) if starts else []
    over = [each for each in periods if buckets.is_over(each, picture)]
    if asked.mode == "unbounded":
        returns = _accumulate(returns, over)
    found = [returns.get(each, make_bitmap()) for each in over]
    places = {start: place for place, start in enumerate(starts)}
    size = picture.users.max() + 1 if picture.users else 0
    return Returns(places, asked.periods, len(over), Overlaps(found, size))


def _join_cells(picture: Picture, starts: Sequence[dt.date], cells: Cells) -> list[RetentionRow]:
    """Rows of cells that are kept."""
    rows = []
    for start, counts in zip(starts, cells, strict=True):
        over = min(max((picture.today - start).days, 0), len(counts))
        complete = [True] * over + [False] * (len(counts) - over)
        rows.append(RetentionRow(start, counts[0] or 0, counts, complete))
    return rows


def _accumulate(
    returns: Mapping[dt.date, BitMap], starts: Iterable[dt.date]
) -> dict[dt.date, BitMap]:
    """At each start those of all later ones too."""
    found, after = {}, make_bitmap()
    for start in sorted({*returns, *starts}, reverse=True):
        after = after | returns.get(start, after)
        found[start] = after
    return found


def _read_cohorts(
    picture: Picture, asked: RetentionQuestion, starts: Sequence[dt.date]
) -> Asking[dict[dt.date, BitMap]]:
    buckets = asked.buckets
    if not starts:
        return {}
    end = add(starts[-1], buckets.by, 1) - dt.timedelta(1)
    first = dt.date.min if asked.mode == "first" else starts[0]
    by_day = yield from picture.read_persons([asked.start], first, end)
    found = buckets.join(by_day)
    if asked.mode == "first":
        seen = make_bitmap()
        for start in sorted(found):
            found[start], seen = found[start] - seen, seen | found[start]
    if asked.did:
        by_day = yield from picture.read_persons([asked.did], dt.date.min, dt.date.max)
        among = _unite(by_day.values())
        found = {start: persons & among for start, persons in found.items()}
    return found


@dataclass(frozen=True)
class Lifecycle:
    """Of an interval: who came for the first time, again, or after a pause; who stayed away."""

    start: dt.date
    new: int
    returning: int
    resurrecting: int
    dormant: int
    complete: bool


def read_lifecycle(picture: Picture, event: str, buckets: Buckets) -> Asking[list[Lifecycle]]:
    """New, returning, resurrecting and dormant users of each interval."""
    by_day = yield from picture.read_persons([event], dt.date.min, add(buckets.last, buckets.by, 1))
    joined, none = buckets.join(by_day), make_bitmap()
    seen = _unite(persons for start, persons in joined.items() if start < buckets.starts[0])
    found = []
    for start in buckets.starts:
        now = joined.get(start, none)
        before = joined.get(add(start, buckets.by, -1), none)
        known = now - before
        found.append(
            Lifecycle(
                start,
                len(known - seen),
                len(now & before),
                len(known & seen),
                len(before - now),
                buckets.is_over(start, picture),
            )
        )
        seen = seen | now
    return found


def _unite(persons: Iterable[BitMap]) -> BitMap:
    return make_bitmap().union(make_bitmap(), *persons)
