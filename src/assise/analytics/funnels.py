"""Funnels: how many users did one event after another, and how long it took them.

Events of one time count as being in order, as long as each is another one: a row is one step.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median
from typing import Literal, NamedTuple

from assise.analytics.calendar import begin_of
from assise.analytics.picture import Picture
from assise.analytics.tables import QUERIES
from assise.analytics.trends import is_user, people_of
from assise.errors import UsageError
from assise.postgres.asking import Asking

FunnelOrder = Literal["ordered", "strict", "unordered"]
MAX_STEPS = 20
PART = 200_000
"""Events that are in memory at once, about."""


class Did(NamedTuple):
    """An event of a person, with the value of the property that the funnel is broken down by."""

    event: str
    at: dt.datetime
    value: str | None = None


class Attempt(NamedTuple):
    """How many steps a person took at most, from when to when."""

    steps: int
    times: tuple[dt.datetime, ...]
    value: str | None


@dataclass(frozen=True)
class FunnelStep:
    """Users who came as far; of the first step and of the one before; seconds from the first."""

    event: str
    count: int
    overall: float | None
    step: float | None
    median_s: float | None
    mean_s: float | None


@dataclass(frozen=True)
class Funnel:
    """The steps, for one value of the breakdown or for all."""

    breakdown: str | None
    steps: list[FunnelStep]


@dataclass(frozen=True)
class FunnelQuestion:
    """The steps, in which order, and in which time from the first on.

    Raises:
        UsageError: there are no steps, or too many, or no time.
    """

    steps: tuple[str, ...]
    first: dt.date
    last: dt.date
    within: dt.timedelta = dt.timedelta(days=14)
    order: FunnelOrder = "ordered"
    breakdown: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.steps) <= MAX_STEPS or self.within <= dt.timedelta(0):
            raise UsageError(
                "a funnel has one to twenty steps and a time from the first to the last",
                remedy="Such as signup project_created deployed, within 14 days.",
            )


def read_funnel(picture: Picture, asked: FunnelQuestion) -> Asking[list[Funnel]]:
    """Users by step, of those whose first step lies in the days asked for."""
    since = begin_of(asked.first, picture.zone)
    end = begin_of(asked.last + dt.timedelta(1), picture.zone)
    parameters = people_of(picture, since, end + asked.within)
    parameters |= {"events": list(asked.steps), "breakdown": asked.breakdown}
    parameters["strict"] = asked.order == "strict"
    (row,) = yield QUERIES["count_steps"], parameters
    parameters["parts"] = parts = min(1024, row["events"] // PART + 1)
    attempts: list[Attempt] = []
    for part in range(parts):
        rows = yield QUERIES.fill("steps"), {**parameters, "part": part}
        for person, group in groupby(rows, key=lambda row: str(row["person"])):
            found = list(group)
            is_stranger = any(row["traffic"] == "person" for row in found)
            if is_user(picture, person, is_stranger_user=is_stranger):
                did = [Did(row["event"], row["at"], row["value"]) for row in found]
                attempts.append(find_attempt(did, asked, end))
    values: list[str | None] = [None]
    if asked.breakdown:
        values = sorted(
            {each.value for each in attempts if each.steps}, key=lambda text: text or ""
        )
    return [
        Funnel(value, _count(attempts, asked, value, is_whole=not asked.breakdown))
        for value in values
    ]


def find_attempt(did: Sequence[Did], asked: FunnelQuestion, end: dt.datetime) -> Attempt:
    """The attempt of a person that came furthest, and of those the earliest.

    `did` is in the order of time; only a first step before `end` begins one.
    """
    best = Attempt(0, (), None)
    walk = _WALKS[asked.order]
    begins = set(asked.steps if asked.order == "unordered" else asked.steps[:1])
    for start, first in enumerate(did):
        if first.at >= end or best.steps == len(asked.steps):
            break
        if first.event in begins:
            times = tuple(walk(did, start, asked))
            if len(times) > best.steps:
                best = Attempt(len(times), times, first.value)
    return best


def _walk_ordered(did: Sequence[Did], start: int, asked: FunnelQuestion) -> Iterator[dt.datetime]:
    limit, now, used = did[start].at + asked.within, did[start].at, {start}
    yield now
    for step in asked.steps[1:]:
        for place, each in enumerate(did):
            is_next = each.event == step and place not in used
            if is_next and now <= each.at <= limit:
                used.add(place)
                now = each.at
                yield now
                break
        else:
            return


def _walk_strict(did: Sequence[Did], start: int, asked: FunnelQuestion) -> Iterator[dt.datetime]:
    limit = did[start].at + asked.within
    for step, each in zip(asked.steps, did[start:], strict=False):
        if each.event != step or each.at > limit:
            return
        yield each.at


def _walk_unordered(did: Sequence[Did], start: int, asked: FunnelQuestion) -> Iterator[dt.datetime]:
    limit, missing = did[start].at + asked.within, Counter(asked.steps)
    for each in did[start:]:
        if each.at > limit:
            return
        if missing[each.event]:
            missing[each.event] -= 1
            yield each.at


_WALKS: dict[FunnelOrder, Callable[[Sequence[Did], int, FunnelQuestion], Iterator[dt.datetime]]] = {
    "ordered": _walk_ordered,
    "strict": _walk_strict,
    "unordered": _walk_unordered,
}


def _count(
    attempts: Sequence[Attempt], asked: FunnelQuestion, value: str | None, *, is_whole: bool
) -> list[FunnelStep]:
    found = [each for each in attempts if is_whole or each.value == value]
    counts = [sum(each.steps > n for each in found) for n in range(len(asked.steps))]
    steps = []
    for n, event in enumerate(asked.steps):
        taken = [
            (each.times[n] - each.times[0]).total_seconds() for each in found if each.steps > n
        ]
        before = counts[max(n - 1, 0)]
        steps.append(
            FunnelStep(
                event,
                counts[n],
                counts[n] / counts[0] if counts[0] else None,
                counts[n] / before if before else None,
                median(taken) if taken and n else None,
                fmean(taken) if taken and n else None,
            )
        )
    return steps
