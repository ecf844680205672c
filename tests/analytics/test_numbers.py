"""Activity, retention and lifecycle: equal to brute force, folded or not, and to published tables."""

from __future__ import annotations

import datetime as dt
import json
import random
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from tests.analytics.people import START, Model, draw_events
from tests.conftest import DATA

from assise.analytics import fold as folding
from assise.analytics.activity import (
    Buckets,
    Mode,
    Retention,
    RetentionQuestion,
    read_active,
    read_lifecycle,
    read_retention,
)
from assise.analytics.calendar import By, WeekStart, add, begin_of
from assise.analytics.check import check_bitmaps
from assise.analytics.erasure import erase
from assise.analytics.event import Event
from assise.analytics.fold import fold
from assise.analytics.picture import Picture, read_whole, run
from assise.analytics.spool import Spool
from assise.analytics.store import insert_sync
from assise.manifest.sections.analytics import Analytics
from assise.postgres.asking import Asking
from assise.postgres.connection import Connection
from assise.project import Project

ZONE = "Africa/Cairo"
FIRST, LAST = dt.date(2026, 3, 25), dt.date(2026, 4, 10)
TABLES = ("events", "seen", "identity", "bitmap", "daily", "state", "erased")
EMPTY = "".join(f"DELETE FROM assise.analytics_{name};" for name in TABLES)


def expect_retention(model: Model, asked: RetentionQuestion) -> list[list[int]]:
    """The cells by brute force, all of them complete."""
    by, found = asked.buckets.by, []

    def span(start: dt.date) -> tuple[dt.date, dt.date]:
        return start, add(start, by, 1) - dt.timedelta(1)

    for start in asked.buckets.starts:
        cohort = model.who(asked.start, *span(start))
        if asked.mode == "first":
            cohort -= model.who(asked.start, dt.date.min, start - dt.timedelta(1))
        if asked.did:
            cohort &= model.who(asked.did, dt.date.min, dt.date.max)
        cells = [len(cohort)]
        for k in range(1, asked.periods):
            first, last = span(add(start, by, k))
            last = dt.date.max if asked.mode == "unbounded" else last
            cells.append(len(cohort & model.who(asked.back, first, last)))
        found.append(cells)
    return found


def compare(connection: Connection, model: Model, chance: random.Random) -> None:
    """The metrics of this module, of retention one table, against brute force."""
    active = run(read_whole(ZONE, lambda picture: read_active(picture, FIRST, LAST)), connection)
    for row in active:
        expected = [
            len(model.who("", row.day - dt.timedelta(back), row.day)) for back in (0, 6, 29)
        ]
        assert [row.dau, row.wau, row.mau] == expected, row
    mode: Mode = chance.choice(("first", "recurring", "unbounded"))
    by: By = chance.choice(("day", "week", "month"))
    did = chance.choice(("", "deployed"))
    asked = RetentionQuestion("signup", "", Buckets(FIRST, LAST, by), 5, mode, did)
    found = run(read_whole(ZONE, partial(read_retention, asked=asked)), connection)
    assert [row.counts for row in found.rows] == expect_retention(model, asked)
    buckets = Buckets(FIRST, LAST, "week")
    cycles = run(read_whole(ZONE, lambda p: read_lifecycle(p, "", buckets)), connection)
    for cycle in cycles:
        now = model.who("", cycle.start, cycle.start + dt.timedelta(6))
        past = model.who("", cycle.start - dt.timedelta(7), cycle.start - dt.timedelta(1))
        ever = model.who("", dt.date.min, cycle.start - dt.timedelta(1))
        counts = [now - ever, now & past, (now & ever) - past, past - now]
        found_counts = [cycle.new, cycle.returning, cycle.resurrecting, cycle.dormant]
        assert found_counts == [len(each) for each in counts]


def replay(connection: Connection, seed: int, spool: Spool, *, count: int = 120) -> None:
    """Events in some batches, with folds and erasures between them, compared now and then."""
    connection.execute(EMPTY)
    chance, model = random.Random(seed), Model(ZoneInfo(ZONE))
    events = draw_events(chance, count)
    while events:
        size = chance.randrange(count // 5, count // 2)
        batch, events = events[:size], events[size:]
        insert_sync(connection, batch)
        for event in batch:
            model.take(event)
        if chance.random() < 0.6:
            fold(connection, ZONE)
        if chance.random() < 0.3:
            person = chance.choice([f"u{chance.randrange(8)}", f"a{chance.randrange(10)}"])
            erase(connection, person, zone=ZONE, spool=spool)
            model.erase(person)
        if chance.random() < 0.2:
            compare(connection, model, chance)
    compare(connection, model, chance)
    fold(connection, ZONE)
    check = check_bitmaps(connection, Analytics(timezone=ZONE))
    assert check.is_right, check


@pytest.mark.parametrize("first", range(0, 50, 10))
def test_fifty_random_histories_are_as_brute_force_counts_them(
    first: int, shop: Project, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del shop
    with Connection(database) as connection:
        for seed in range(first, first + 10):
            monkeypatch.setattr(folding, "BATCH", random.Random(seed).choice([7, 40, 1000]))
            replay(connection, seed, Spool(tmp_path, 1), count=20)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(1_000, 2_000, 100))
def test_a_thousand_random_histories(
    first: int, shop: Project, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del shop
    with Connection(database) as connection:
        for seed in range(first, first + 100):
            monkeypatch.setattr(folding, "BATCH", random.Random(seed).choice([7, 40, 1000]))
            replay(connection, seed, Spool(tmp_path, 1))


@pytest.mark.usefixtures("shop")
def test_a_batch_ends_where_it_is_full_whatever_digits_transactions_have(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "BATCH", 5)
    with Connection(database) as connection:
        insert_sync(connection, [Event(uuid4(), "login", f"u{n}", START) for n in range(20)])
        connection.execute(
            "UPDATE assise.analytics_events SET xid = CASE WHEN number % 2 = 0 THEN '9' ELSE '10' END::xid8"
        )
        assert fold(connection, ZONE) == 4
        assert check_bitmaps(connection, Analytics(timezone=ZONE)).is_right


@pytest.mark.usefixtures("shop")
def test_users_of_the_application_are_not_merged_wherever_a_fold_ends(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, alias = '{"$lib": "assise"}', ("$create_alias", "u1", '{"alias": "u2"}')
    tracked = [("login", "u1", own), ("login", "u2", own)]
    seen = [("login", "u1", "{}"), ("login", "u2", "{}")]
    read = partial(read_active, first=FIRST, last=FIRST)
    # Two users of the application stay two; who became one before they were known stays one.
    for events, expected in (
        ([*tracked, alias], 2),
        ([*seen, *tracked, alias], 2),
        ([tracked[0], alias, tracked[1]], 1),
    ):
        for size in (1, 2, 1_000):
            monkeypatch.setattr(folding, "BATCH", size)
            with Connection(database) as connection:
                connection.execute(EMPTY)
                rows = [Event(uuid4(), name, id_, START, "", text) for name, id_, text in events]
                insert_sync(connection, rows)
                for _ in range(2):
                    days = run(read_whole(ZONE, read), connection)
                    assert days[0].mau == expected
                    fold(connection, ZONE)


RETENTION = DATA / "analytics" / "posthog_retention_oracle" / "retention_cases.json"
CASES = json.loads(RETENTION.read_text())["cases"] if RETENTION.exists() else []


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_retention_is_that_of_posthog(case: dict[str, Any], shop: Project, database: str) -> None:
    del shop
    start, by, count = dt.date.fromisoformat(case["start_bucket"]), case["period"], case["buckets"]
    week: WeekStart = case.get("week_start", "monday")
    buckets = Buckets(start, add(start, by, count - 1), by, week)
    mode: Mode = "unbounded" if case.get("unbounded") else "recurring"
    asked = RetentionQuestion("$pageview", "$pageview", buckets, count, mode)
    with Connection(database) as connection:
        insert_sync(connection, [_view(person, at) for person, at in case["events"]])
        found = run(read_whole("UTC", lambda picture: read_retention(picture, asked)), connection)
    triangle = [row.counts[: count - place] for place, row in enumerate(found.rows)]
    assert triangle == case["expected"]


def _view(person: str, at: str) -> Event:
    return Event(uuid4(), "$pageview", person, dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC))


def read_purchases(path: Path) -> list[Event]:
    """The transactions of CDNOW as events."""
    rows = (line.split() for line in path.read_text().splitlines())
    return [
        Event(
            uuid4(),
            "purchase",
            row[0],
            dt.datetime.strptime(row[-3], "%Y%m%d").replace(tzinfo=dt.UTC),
        )
        for row in rows
        if row[-3].isdecimal()
    ]


# Fader and Hardie: all customers bought first in the first quarter of 1997, the sample is a tenth.
@pytest.mark.parametrize(
    ("name", "customers", "transactions"),
    [
        ("sample", 2_357, 6_919),
        pytest.param("master", 23_570, 69_659, marks=pytest.mark.soak),
    ],
)
def test_customers_and_transactions_are_those_of_cdnow(
    name: str, customers: int, transactions: int, shop: Project, database: str
) -> None:
    del shop
    events = read_purchases(DATA / f"analytics/cdnow/CDNOW_{name}.txt")
    buckets = Buckets(dt.date(1997, 1, 1), dt.date(1997, 6, 30), "month")
    asked = RetentionQuestion("purchase", "purchase", buckets, 3)
    with Connection(database) as connection:
        insert_sync(connection, events)
        fold(connection, "UTC")
        found = run(read_whole("UTC", lambda picture: read_retention(picture, asked)), connection)
        total = connection.scalar(
            "SELECT sum(events) FROM assise.analytics_bitmap WHERE event = 'purchase'"
        )
    assert int(str(total)) == transactions
    assert sum(row.size for row in found.rows) == customers
    assert [row.size for row in found.rows[3:]] == [0, 0, 0]
    months: dict[str, set[int]] = {}
    for event in events:
        months.setdefault(event.distinct_id, set()).add(event.at.year * 12 + event.at.month)
    january = [found for found in months.values() if min(found) == 1997 * 12 + 1]
    expected = [sum(1997 * 12 + 1 + k in each for each in january) for k in range(3)]
    assert found.rows[0].counts == expected


def test_what_is_not_over_is_null(shop: Project, database: str) -> None:
    del shop
    with Connection(database) as connection:
        now = dt.datetime.now(dt.UTC)
        insert_sync(connection, [Event(uuid4(), "signup", "u1", now - dt.timedelta(1))])
        today = now.date()
        asked = RetentionQuestion("signup", "", Buckets(today - dt.timedelta(1), today), 3)

        def read(picture: Picture) -> Asking[Retention]:
            return read_retention(picture, asked)

        rows = run(read_whole("UTC", read), connection).rows
    assert [row.counts for row in rows] == [[1, None, None], [0, None, None]]
    assert [row.complete for row in rows] == [[True, False, False], [False, False, False]]


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Paris", dt.date(2026, 3, 29), 23),
        ("Europe/Paris", dt.date(2026, 10, 25), 25),
        ("Africa/Cairo", dt.date(2026, 4, 24), 23),
        ("Africa/Cairo", dt.date(2026, 10, 29), 25),
        ("Australia/Lord_Howe", dt.date(2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", dt.date(2026, 10, 4), 23.5),
        ("Pacific/Apia", dt.date(2011, 12, 29), 24),
        ("Pacific/Apia", dt.date(2011, 12, 30), 0),
        ("UTC", dt.date(2024, 2, 29), 24),
    ],
)
def test_days_have_the_hours_that_they_have(zone: str, day: dt.date, hours: float) -> None:
    zoned = ZoneInfo(zone)
    begin, end = begin_of(day, zoned), begin_of(day + dt.timedelta(1), zoned)
    assert (end - begin).total_seconds() / 3600 == hours
    if hours:
        assert begin.astimezone(zoned).date() == day
    assert (begin - dt.timedelta(microseconds=1)).astimezone(zoned).date() < day


def test_starts_are_those_of_weeks_months_and_years() -> None:
    ends = Buckets(dt.date(2025, 12, 28), dt.date(2026, 1, 5), "week")
    assert [str(day) for day in ends.starts] == ["2025-12-22", "2025-12-29", "2026-01-05"]
    assert [str(day) for day in Buckets(*(ends.first, ends.last), "week", "sunday").starts] == [
        "2025-12-28",
        "2026-01-04",
    ]
    leap = Buckets(dt.date(2024, 2, 28), dt.date(2024, 3, 1))
    assert [str(day) for day in leap.starts] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert START.tzinfo is dt.UTC
