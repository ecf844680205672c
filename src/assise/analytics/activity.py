"""Activity: how many users there are each day, whether they come back, and who is new.

Definitions stand in docs/how-to/numbers.md; all counts are of users, in days of the project.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from assise.analytics.calendar import By, WeekStart, add, list_starts, start_of
from assise.analytics.cells import BACK, PERIODS, START, Cells, read_cells
from assise.analytics.fold import count_users
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
    """

    start: str
    back: str
    buckets: Buckets
    periods: int
    mode: Mode = "first"


def read_retention(picture: Picture, asked: RetentionQuestion) -> Asking[Retention]:
    """The cells of a retention table."""
    starts, is_kept = asked.buckets.starts, (asked.start, asked.back) == (START, BACK)
    if is_kept and asked.buckets.by == "day":
        kept = yield from read_cells(picture, asked.mode, starts=starts, periods=asked.periods)
        if kept is not None:
            return Retention(asked.mode, "day", _join_cells(picture, starts, kept))
    cohorts = yield from _read_cohorts(picture, asked, starts)
    returns = yield from read_returns(picture, asked)
    rows = [
        count_returns(cohorts.get(start, make_bitmap()), start, returns, picture, asked=asked)
        for start in starts
    ]
    return Retention(asked.mode, asked.buckets.by, rows)


def read_returns(picture: Picture, asked: RetentionQuestion) -> Asking[dict[dt.date, BitMap]]:
    """Who came back, by period."""
    buckets, starts = asked.buckets, asked.buckets.starts
    end = add(starts[-1], buckets.by, asked.periods) if starts else picture.today
    last = picture.today if asked.mode == "unbounded" else end
    back = yield from picture.read_persons([asked.back], min(starts, default=end), max(last, end))
    returns = buckets.join(back)
    return _accumulate(returns) if asked.mode == "unbounded" else returns


def count_returns(
    cohort: BitMap,
    start: dt.date,
    returns: Mapping[dt.date, BitMap],
    picture: Picture,
    *,
    asked: RetentionQuestion,
) -> RetentionRow:
    """How many of a cohort came back in each period."""
    cells = [add(start, asked.buckets.by, k) for k in range(asked.periods)]
    complete = [asked.buckets.is_over(cell, picture) for cell in cells]
    nobody = make_bitmap()
    counts: list[int | None] = [
        cohort.intersection_cardinality(_find(returns, cell, asked.mode) or nobody)
        if is_over
        else None
        for cell, is_over in zip(cells, complete, strict=True)
    ]
    counts[0] = len(cohort)
    return RetentionRow(start, len(cohort), counts, complete)


def _join_cells(picture: Picture, starts: Sequence[dt.date], cells: Cells) -> list[RetentionRow]:
    """Rows of cells that are kept."""
    days = {start + dt.timedelta(k) for start in starts[:1] for k in range(len(starts) + PERIODS)}
    is_over = {day: picture.is_over(day) for day in days}
    return [
        RetentionRow(
            start,
            counts[0] or 0,
            counts,
            [is_over[start + dt.timedelta(k)] for k in range(len(counts))],
        )
        for start, counts in zip(starts, cells, strict=True)
    ]


def _find(returns: Mapping[dt.date, BitMap], cell: dt.date, mode: Mode) -> BitMap | None:
    """The users of a period; unbounded those of the first period with anybody from it on."""
    if mode != "unbounded":
        return returns.get(cell)
    later = [start for start in returns if start >= cell]
    return returns[min(later)] if later else None


def _accumulate(returns: Mapping[dt.date, BitMap]) -> dict[dt.date, BitMap]:
    """In each bucket also those of all later ones."""
    found, after = {}, make_bitmap()
    for start in sorted(returns, reverse=True):
        after = after | returns[start]
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
    joined = buckets.join(by_day)
    if asked.mode != "first":
        return joined
    found, seen = {}, make_bitmap()
    for start in sorted(joined):
        found[start] = joined[start] - seen
        seen |= joined[start]
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
