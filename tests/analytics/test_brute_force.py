"""Trends, cohorts by property, sessions, churn and funnels: random events against brute force."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby, permutations
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest
from tests.analytics.people import KINDS, Model, draw_events

from assise.analytics.activity import Buckets, RetentionQuestion
from assise.analytics.calendar import By, add, begin_of, start_of
from assise.analytics.cohorts import read_churn, read_cohorts, read_sessions
from assise.analytics.event import Event
from assise.analytics.fold import fold
from assise.analytics.funnels import FunnelOrder, FunnelQuestion, read_funnel
from assise.analytics.picture import Picture, read_whole, run
from assise.analytics.store import insert_sync
from assise.analytics.trends import Measure, TrendQuestion, read_trend
from assise.postgres.asking import Asking
from assise.postgres.connection import Connection
from assise.project import Project

T = TypeVar("T")
ZONE = ZoneInfo("Australia/Lord_Howe")
FIRST, LAST = dt.date(2026, 3, 23), dt.date(2026, 4, 12)
"""Three weeks, in which clocks go back by half an hour."""


class Scene:
    """Random events in a database, a part of them folded, and their model."""

    def __init__(self, connection: Connection, seed: int) -> None:
        chance = random.Random(seed)
        self.connection, self.model = connection, Model(ZONE)
        self.events = self._cluster(chance, draw_events(chance))
        half = len(self.events) // 2
        insert_sync(connection, self.events[:half])
        fold(connection, ZONE.key)
        insert_sync(connection, self.events[half:])
        for event in self.events:
            self.model.take(event)

    @staticmethod
    def _cluster(chance: random.Random, events: list[Event]) -> list[Event]:
        """The same events, of which half follow another one of the same person soon."""
        last: dict[str, dt.datetime] = {}
        found = []
        for event in events:
            if event.distinct_id in last and chance.random() < 0.5:
                minutes = chance.choice([0, 10, 30, 31])
                moved = last[event.distinct_id] + dt.timedelta(minutes=minutes)
                event = event._replace(at=moved)  # noqa: PLW2901
            last[event.distinct_id] = event.at
            found.append(event)
        return found

    def read(self, make: Callable[[Picture], Asking[T]]) -> T:
        """A metric, as commands read it."""
        return run(read_whole(ZONE.key, make), self.connection)

    def timelines(self) -> dict[int, list[tuple[str, dt.datetime, dict[str, object]]]]:
        """What each user did, in order."""
        found: dict[int, list[tuple[str, dt.datetime, dict[str, object]]]] = {}
        users = self.model.who("", dt.date.min, dt.date.max)
        for name, person, _, at, properties in self.model.did:
            if (key := id(self.model.group(person))) in users:
                found.setdefault(key, []).append((name, at, properties))
        return {key: sorted(did, key=lambda each: each[1]) for key, did in found.items()}


@pytest.fixture
def scene(shop: Project, database: str) -> Iterator[Scene]:
    """Random events."""
    del shop
    with Connection(database) as connection:
        yield Scene(connection, seed=1)


def day_of(at: dt.datetime) -> dt.date:
    return at.astimezone(ZONE).date()


@pytest.mark.parametrize("measure", ["count", "persons", "sum"])
def test_trends(scene: Scene, measure: Measure) -> None:
    values: dict[tuple[dt.date, str | None], float] = {}
    people: dict[tuple[dt.date, str | None], set[int]] = {}
    users = scene.model.who("", dt.date.min, dt.date.max)
    kept = [each for each in scene.events if "$raw_user_agent" not in each.properties]
    for event in kept:
        day, properties = day_of(event.at), json.loads(event.properties)
        if event.event != "deployed" or not FIRST <= day <= LAST:
            continue
        key = start_of(day, "week"), properties["plan"]
        more = properties["n"] if measure == "sum" else 1
        values[key] = values.get(key, 0) + more
        people.setdefault(key, set())
        if event.distinct_id != "null" and id(scene.model.group(event.distinct_id)) in users:
            people[key].add(id(scene.model.group(event.distinct_id)))
    expected = (
        {key: len(found) for key, found in people.items()} if measure == "persons" else values
    )
    summed = "n" if measure == "sum" else ""
    asked = TrendQuestion("deployed", Buckets(FIRST, LAST, "week"), measure, summed, "plan")
    rows = scene.read(lambda picture: read_trend(picture, asked))
    assert {(row.start, row.breakdown): row.value for row in rows} == expected
    assert len(rows) > 4


@pytest.mark.parametrize("by", ["day", "week"])
def test_cohorts_by_a_property(scene: Scene, by: By) -> None:
    buckets = Buckets(FIRST, LAST, by)
    expected: dict[tuple[str, dt.date], Counter[int]] = {}
    for did in scene.timelines().values():
        firsts = [each for each in did if each[0] == "signup"]
        if firsts and (start := start_of(day_of(firsts[0][1]), by)) in buckets.starts:
            cells = expected.setdefault((str(firsts[0][2]["plan"]), start), Counter())
            days = {start_of(day_of(at), by) for _, at, _ in did}
            cells.update(k for k in range(4) if not k or add(start, by, k) in days)
    asked = RetentionQuestion("signup", "", buckets, 4)
    rows = scene.read(lambda picture: read_cohorts(picture, asked, "plan"))
    found = {(row.value, row.start): row.counts for row in rows}
    assert found == {key: [cells[k] for k in range(4)] for key, cells in expected.items()}
    assert {value for value, _ in found} == {"free", "pro"}
    whole = scene.read(lambda picture: read_cohorts(picture, asked, ""))
    assert sum(row.size for row in whole) == sum(row.size for row in rows)


@pytest.mark.parametrize("by", ["day", "week"])
def test_sessions_end_with_a_gap_of_over_thirty_minutes(scene: Scene, by: By) -> None:
    lengths: dict[dt.date, list[float]] = {start: [] for start in Buckets(FIRST, LAST, by).starts}
    by_person: dict[int, list[dt.datetime]] = {}
    for _, person, _, at, properties in scene.model.did:
        if "$process_person_profile" not in properties:
            by_person.setdefault(id(scene.model.group(person)), []).append(at)
    for times in map(sorted, by_person.values()):
        begins = [
            place
            for place, at in enumerate(times)
            if not place or at - times[place - 1] > dt.timedelta(minutes=30)
        ]
        for place, after in zip(begins, [*begins[1:], len(times)], strict=True):
            if (start := start_of(day_of(times[place]), by)) in lengths:
                lengths[start].append((times[after - 1] - times[place]).total_seconds())
    rows = scene.read(lambda picture: read_sessions(picture, Buckets(FIRST, LAST, by)))
    assert {row.start: row.sessions for row in rows} == {day: len(n) for day, n in lengths.items()}
    for row in rows:
        found = lengths[row.start]
        mean = round(sum(found) / len(found) / 60, 2) if found else None
        assert row.minutes == mean
    assert any(row.minutes for row in rows)


def test_who_is_lost_was_active_before_and_is_not_at_the_end(scene: Scene) -> None:
    buckets = Buckets(FIRST, LAST, "week")
    rows = scene.read(lambda picture: read_churn(picture, buckets, 5))
    for row in rows:
        end = row.start + dt.timedelta(6)
        before = scene.model.who("", row.start - dt.timedelta(5), row.start - dt.timedelta(1))
        after = scene.model.who("", end - dt.timedelta(4), end)
        assert (row.active, row.lost) == (len(before), len(before - after))
        assert row.rate == (len(before - after) / len(before) if before else None)
    assert any(row.lost for row in rows)


def count_steps(
    did: list[tuple[str, dt.datetime, dict[str, object]]], asked: FunnelQuestion
) -> tuple[int, str | None]:
    """The most steps of any choice of rows, and the plan of the earliest first one."""
    best: tuple[int, str | None] = (0, None)
    end = begin_of(asked.last + dt.timedelta(1), ZONE)
    begin = begin_of(asked.first, ZONE)
    did = [each for each in did if begin <= each[1] < end + asked.within]
    for size in range(1, len(asked.steps) + 1):
        for rows in permutations(range(len(did)), size):
            names = [did[row][0] for row in rows]
            times = [did[row][1] for row in rows]
            if asked.order == "unordered":
                is_whole = not Counter(names) - Counter(asked.steps)
                is_first = rows[0] == min(rows)
            else:
                is_whole, is_first = names == list(asked.steps[:size]), True
            if asked.order == "strict":
                is_first = list(rows) == list(range(rows[0], rows[0] + size))
            is_timely = max(times) - times[0] <= asked.within and times[0] < end
            if asked.order == "ordered":
                is_timely = is_timely and times == sorted(times)
            if is_whole and is_first and is_timely and size > best[0]:
                best = size, str(did[rows[0]][2]["plan"])
    return best


@pytest.mark.parametrize("order", ["ordered", "strict", "unordered"])
def test_funnels_with_a_breakdown(scene: Scene, order: FunnelOrder) -> None:
    steps = KINDS[:2]
    asked = FunnelQuestion(steps, FIRST, LAST, dt.timedelta(days=2), order, "plan")
    reached = [count_steps(did, asked) for did in scene.timelines().values()]
    expected = {
        str(plan): [sum(count > n for count, _ in group) for n in range(2)]
        for plan, found in groupby(
            sorted((each for each in reached if each[0]), key=lambda each: str(each[1])),
            key=lambda each: each[1],
        )
        for group in [list(found)]
    }
    funnels = scene.read(lambda picture: read_funnel(picture, asked))
    assert {each.breakdown: [step.count for step in each.steps] for each in funnels} == expected
    assert sum(counts[1] for counts in expected.values()) > 0
