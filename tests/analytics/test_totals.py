"""Totals of tables: what triggers keep is what there is, whatever statements come."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
from collections.abc import Callable
from itertools import pairwise
from threading import Thread
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.analytics.shop import PROJECTS, USERS
from tests.dumps import confirm

from assise.analytics.activity import (
    Buckets,
    Mode,
    Retention,
    RetentionQuestion,
    read_retention,
)
from assise.analytics.calendar import begin_of
from assise.analytics.dashboard import EngagementMetrics
from assise.analytics.event import Event
from assise.analytics.jobs import keep_up
from assise.analytics.picture import open_picture, read_whole
from assise.analytics.picture import run as run_asking
from assise.analytics.store import insert_sync
from assise.app import App
from assise.cli.run import run
from assise.postgres.connection import Connection
from assise.project import Project

Query = Callable[..., list[tuple[Any, ...]]]
ZONE = "Europe/Paris"
STATEMENTS = (
    "INSERT INTO users (id, created_at) SELECT n, now() - n * interval '7 hours' FROM generate_series({n}, {n} + 9) AS n",
    "INSERT INTO users (id, created_at) VALUES ({n}, now()), (1, now()) ON CONFLICT (id) DO UPDATE SET created_at = now()",
    "INSERT INTO users (id) VALUES ({n})",
    "UPDATE users SET created_at = created_at - interval '1 day' WHERE id % 3 = {n} % 3",
    "UPDATE users SET created_at = CASE WHEN created_at IS NULL THEN now() END WHERE id % 7 = {n} % 7",
    "UPDATE users SET created_at = created_at",
    "DELETE FROM users WHERE id % 5 = {n} % 5",
    "DELETE FROM users WHERE false",
    "BEGIN; DELETE FROM users; INSERT INTO users (id) VALUES ({n}); ROLLBACK",
    """MERGE INTO users USING (VALUES ({n}), (2)) AS v (n) ON id = n WHEN MATCHED THEN DELETE
    WHEN NOT MATCHED THEN INSERT (id, created_at) VALUES (n, now())""",
)  # fmt: skip
NOTES = """  notes:
    primary_key: [id, at]
    access: none
    partition: {by: at, keep: 24 months}
    columns: {id: int4, at: {type: timestamptz, default: now()}}
"""
COUNTED = """SELECT (SELECT count(*) FROM users),
    (SELECT count(*) FROM users WHERE (created_at AT TIME ZONE 'Europe/Paris')::date
        >= (now() AT TIME ZONE 'Europe/Paris')::date)"""


def read_engagement(
    project: Project, database: str
) -> tuple[tuple[object, ...], EngagementMetrics]:
    """What an application shows of users, and what they do."""

    async def read() -> tuple[tuple[object, ...], EngagementMetrics]:
        urls = {role: make_conninfo(database, user=f"apptest_{role}") for role in ("app", "admin")}
        async with App(project.path, urls=urls) as app:
            found = await app.analytics.dashboard()
            users = found.user_metrics
            return (users.total_users, users.new_users_today), found.engagement_metrics

    return asyncio.run(read())


def test_totals_are_what_there_is_after_any_statements(
    shop: Project, database: str, query: Query
) -> None:
    with psycopg.connect(database) as connection:
        sees_version_15 = connection.info.server_version >= 150_000
    chance, statements = random.Random(7), STATEMENTS[: None if sees_version_15 else -1]
    for n in range(60):
        query(chance.choice(statements).format(n=1_000 + 10 * n))
        if n == 30:
            query("TRUNCATE users")
            assert query("SELECT sum(rows)::int FROM assise.analytics_total"
                         " WHERE relation = 'users'::regclass") == [(0,)]  # fmt: skip
        if n % 20 == 19:
            with Connection(database) as connection:
                assert keep_up(connection, lambda: False, zone=ZONE) == ""
            lines = "SELECT count(*) FROM assise.analytics_total GROUP BY relation, day HAVING count(*) > 1"
            assert query(lines) == []
    assert read_engagement(shop, database)[0] == query(COUNTED)[0]
    assert shop.analytics.check().totals == []


def test_writers_at_once_wait_for_nobody_and_are_all_counted(shop: Project, database: str) -> None:
    def write(first: int) -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            for n in range(first, first + 20):
                connection.execute("INSERT INTO projects (id, created_at) VALUES (%s, now())", [n])

    # A transaction that stays open holds nobody up, and is not counted until it ends.
    with psycopg.connect(database) as waiting:
        waiting.execute("INSERT INTO projects (id, created_at) VALUES (1000, now())")
        threads = [Thread(target=write, args=(2_000 + 100 * k,)) for k in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        with Connection(database) as connection:
            keep_up(connection, lambda: False, zone=ZONE)
        assert read_engagement(shop, database)[1].total_projects == PROJECTS + 80
    found = read_engagement(shop, database)[1]
    assert (found.total_projects, found.projects_created_today) == (PROJECTS + 81, 81)


def test_what_was_counted_wrong_is_told_and_counted_anew(
    shop: Project, database: str, query: Query, capsys: pytest.CaptureFixture[str]
) -> None:
    query("ALTER TABLE users DISABLE TRIGGER USER; DELETE FROM users WHERE id > 10")
    arguments = ["--manifest", str(shop.path), "--to", database]
    assert run(["analytics", "check", *arguments]) == 3
    assert "users: another number of rows is kept than there is" in capsys.readouterr().out
    assert read_engagement(shop, database)[0][0] == USERS
    assert run(["load", *arguments]) == 0
    capsys.readouterr()
    query("DELETE FROM users WHERE id = 10")
    assert shop.analytics.check().is_right
    assert read_engagement(shop, database)[0][0] == 10


def test_the_manifest_says_what_counts(shop: Project, database: str, query: Query) -> None:
    text = shop.path.read_text()
    more = "  messages: {table: deployments, created: created_at}\n  users:"
    text = text.replace("  users:", more, 1).replace("timezone: Europe/Paris", "timezone: UTC")
    shop.path.write_text(
        text.replace(
            "  projects:\n    collection", "  projects:\n    soft_delete: true\n    collection"
        )
    )
    assert shop.load(confirm=confirm).exit_code == 0
    query("UPDATE projects SET deleted_at = now() WHERE id < 5")
    found = read_engagement(shop, database)[1]
    assert (found.total_projects, found.conversations, found.messages) == (PROJECTS - 5, None, 30)
    query("UPDATE projects SET deleted_at = NULL WHERE id = 1")
    assert read_engagement(shop, database)[1].total_projects == PROJECTS - 4
    assert shop.analytics.check().is_right
    shop.undo(confirm=confirm, replace=["projects"])
    assert query("SELECT to_regclass('assise.analytics_total') IS NULL") == [(True,)]


def test_a_counted_column_can_be_dropped_by_a_revision(shop: Project, query: Query) -> None:
    revisions, drop = shop.revisions(confirm=confirm), ("projects.created_at",)
    revisions.revise("start")
    text = shop.path.read_text().replace(
        "projects, created: created_at", "projects, created: made_at"
    )
    before, after = (
        f"user_id: int4, {name}: timestamptz}}\n  deploy" for name in ("created_at", "made_at")
    )
    assert before in text
    shop.path.write_text(text.replace(before, after))
    revisions.revise("next", drop=drop)
    revisions.apply(drop=drop)
    query("INSERT INTO projects (id, made_at) VALUES (999, now())")
    query("UPDATE projects SET made_at = now() WHERE id < 5")
    kept = "SELECT day IS NULL, sum(rows)::int FROM assise.analytics_total WHERE relation = 'projects'::regclass GROUP BY 1 ORDER BY 1"
    assert query(kept) == [(False, 6), (True, PROJECTS - 5)]


@pytest.mark.usefixtures("shop")
def test_an_update_of_other_columns_writes_no_line(query: Query) -> None:
    lines = "SELECT count(*) FROM assise.analytics_total"
    before = query(lines)
    query("UPDATE projects SET user_id = user_id + 1")
    query("UPDATE projects SET created_at = created_at + interval '1 microsecond'")
    assert query(lines) == before
    query("UPDATE projects SET created_at = created_at + interval '1 day' WHERE id < 3")
    assert query(lines)[0][0] == before[0][0] + 6
    kept = "SELECT count(*) FROM pg_trigger WHERE tgname = 'analytics_count_update' AND tgnewtable IS NOT NULL"
    assert query(kept) == [(0,)]


def test_sessions_are_kept_by_day_and_late_events_count(shop: Project, database: str) -> None:
    now = dt.datetime.now(dt.UTC)
    chance = random.Random(3)

    def draw(count: int, first_day: int) -> list[Event]:
        return [
            Event(uuid4(), "login", f"u{chance.randrange(6)}",
                  now - dt.timedelta(days=first_day, minutes=chance.randrange(2_880)))
            for _ in range(count)
        ]  # fmt: skip

    def read() -> float | None:
        return read_engagement(shop, database)[1].average_session_duration_minutes

    events = draw(150, 3)
    with Connection(database) as connection:
        insert_sync(connection, events)
        live = read()
        keep_up(connection, lambda: False, zone=ZONE)
        assert connection.scalar("SELECT count(*) FROM assise.analytics_session") == 30
        assert read() == live == count_minutes(events)
        events += draw(60, 3)
        insert_sync(connection, events[150:])
        assert read() == count_minutes(events)
        for _ in range(2):
            keep_up(connection, lambda: False, zone=ZONE)
            assert read() == count_minutes(events)


@pytest.mark.usefixtures("shop")
def test_kept_cells_are_what_bitmaps_give_until_something_comes(
    database: str, query: Query
) -> None:
    now, chance = dt.datetime.now(dt.UTC), random.Random(5)
    events = [
        Event(uuid4(), name, f"u{n}", now - dt.timedelta(days=ago))
        for n in range(40)
        for name, ago in (("signup", n), ("login", chance.randrange(n + 1)), ("signup", n // 2))
    ]

    def ask(connection: Connection, mode: Mode, first: int, periods: int) -> Retention:
        today = run_asking(open_picture(ZONE), connection).today
        buckets = Buckets(today - dt.timedelta(first), today - dt.timedelta(first // 3))
        asked = RetentionQuestion("signup", "", buckets, periods, mode)
        return run_asking(
            read_whole(ZONE, lambda picture: read_retention(picture, asked)), connection
        )

    def read_all(connection: Connection) -> list[Retention]:
        sizes = [(179, 90), (7, 3), (200, 5), (9, 91)]
        return [ask(connection, mode, *size) for mode in ("first", "recurring") for size in sizes]

    with Connection(database) as connection:
        insert_sync(connection, events)
        live = read_all(connection)
        keep_up(connection, lambda: False, zone=ZONE)
        assert query("SELECT mode FROM assise.analytics_cell ORDER BY 1") == [
            ("first",),
            ("recurring",),
        ]
        assert read_all(connection) == live
        # They are read, and not counted: something wrong in them shows.
        query("UPDATE assise.analytics_cell SET counts[180][1] = 1000")
        assert ask(connection, "first", 0, 1).rows[0].size == 1_000
        insert_sync(connection, [Event(uuid4(), "signup", "u99", now - dt.timedelta(days=4))])
        late = read_all(connection)
        assert late != live
        keep_up(connection, lambda: False, zone=ZONE)
        assert read_all(connection) == late


@pytest.mark.usefixtures("shop")
def test_kept_cells_go_with_their_time_zone(database: str, query: Query) -> None:
    with Connection(database) as connection:
        now = dt.datetime.now(dt.UTC)
        # Two zones in which it is the same day.
        one, other = ["Etc/GMT+1", "Etc/GMT+9"] if now.hour > 11 else ["Etc/GMT-1", "Etc/GMT-9"]
        hours = [now - dt.timedelta(days=9, hours=n) for n in range(40)]
        insert_sync(connection, [Event(uuid4(), "signup", f"u{at}", at) for at in hours])
        kept = {}
        for zone in (one, other):
            keep_up(connection, lambda: False, zone=zone)
            cells = "SELECT mode, counts FROM assise.analytics_cell ORDER BY 1"
            kept[zone] = query(cells)
            query("DELETE FROM assise.analytics_cell")
            keep_up(connection, lambda: False, zone=zone)
            assert kept[zone] == query(cells)
        assert kept[one] != kept[other]


def test_a_late_event_before_midnight_changes_the_next_day(shop: Project, database: str) -> None:
    def read() -> float | None:
        return read_engagement(shop, database)[1].average_session_duration_minutes

    with Connection(database) as connection:
        picture = run_asking(open_picture(ZONE), connection)
        midnight = begin_of(picture.today - dt.timedelta(3), picture.zone)
        for minute, minutes in ((5, 0), (-10, 15)):
            at = midnight + dt.timedelta(minutes=minute)
            insert_sync(connection, [Event(uuid4(), "login", "u1", at)])
            assert read() == minutes
            keep_up(connection, lambda: False, zone=ZONE)
            assert read() == minutes


def test_sessions_are_of_persons_as_they_are_now(shop: Project, database: str) -> None:
    now = dt.datetime.now(dt.UTC) - dt.timedelta(days=3)

    def make(name: str, person: str, minute: int, text: str = "{}") -> Event:
        return Event(uuid4(), name, person, now + dt.timedelta(minutes=minute), "", text)

    def read() -> float | None:
        return read_engagement(shop, database)[1].average_session_duration_minutes

    with Connection(database) as connection:
        insert_sync(connection, [make("login", "one", 0), make("login", "two", 20)])
        keep_up(connection, lambda: False, zone=ZONE)
        assert read() == 0
        later = now + dt.timedelta(days=2, hours=23)
        merge = make("$identify", "one", 0, '{"$anon_distinct_id": "two"}')._replace(at=later)
        insert_sync(connection, [merge])
        merged = read()
        keep_up(connection, lambda: False, zone=ZONE)
        assert merged == read() != 0


def test_a_table_with_partitions_is_counted_as_it_is(
    shop: Project, database: str, query: Query
) -> None:
    text = shop.path.read_text()
    text = text.replace("  users:", "  messages: {table: notes, created: at}\n  users:", 1)
    shop.path.write_text(text + NOTES)
    assert shop.load(confirm=confirm).exit_code == 0
    query(
        "INSERT INTO notes (id, at) SELECT n, now() - n * interval '20 days' FROM generate_series(0, 5) AS n"
    )
    part = query("SELECT tableoid::regclass::text FROM notes ORDER BY at LIMIT 1")[0][0]
    assert read_engagement(shop, database)[1].messages == 6
    gone = query(f"SELECT count(*) FROM {part}")[0][0]
    query(f"ALTER TABLE notes DETACH PARTITION {part}; DROP TABLE {part}")
    assert read_engagement(shop, database)[1].messages == 6 - gone
    assert shop.analytics.check().totals == []


def count_minutes(events: list[Event]) -> float:
    """The time in sessions by the number of sessions, from the list alone."""
    times: dict[str, list[dt.datetime]] = {}
    for each in events:
        times.setdefault(each.distinct_id, []).append(each.at)
    sessions, seconds = 0, 0.0
    for own in times.values():
        ordered = sorted(own)
        gaps = [(b - a).total_seconds() for a, b in pairwise(ordered)]
        sessions += 1 + sum(gap > 1_800 for gap in gaps)
        seconds += sum(gap for gap in gaps if gap <= 1_800)
    return round(seconds / sessions / 60, 2)
