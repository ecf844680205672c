"""The store: each event once, for whichever role keeps it, and where it stands."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from psycopg.conninfo import make_conninfo
from tests.analytics.shop import NOW
from tests.dumps import write_dump

from assise.analytics.event import Event, classify, is_shared, write_properties
from assise.analytics.months import make_months
from assise.analytics.store import Kept, count_new, insert, insert_history, insert_sync
from assise.app import App
from assise.errors import DeniedError, UsageError
from assise.postgres.connection import Connection
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]


def make_events(count: int, **fields: object) -> list[Event]:
    """Events of persons p0 to p4."""
    made = [
        Event(UUID(int=n + 1), "signup", f"p{n % 5}", NOW, properties=f'{{"n": {n}}}')
        for n in range(count)
    ]
    return [each._replace(**fields) for each in made]  # type: ignore[arg-type]


def test_the_application_keeps_events_once_with_its_transaction(
    shop: Project, database: str, query: Query
) -> None:
    async def use() -> None:
        urls = {"app": make_conninfo(database, user="apptest_app")}
        async with App(shop.path, urls=urls) as app:
            async with app.session(user_id=1) as db:
                assert await insert(db, make_events(10)) == Kept(10, 0)
            async with app.session() as db:
                twice = [*make_events(12), *make_events(12)]
                assert await insert(db, twice) == Kept(2, 22)
            with pytest.raises(ZeroDivisionError):
                await fail(app)
            with pytest.raises(DeniedError):
                await read(app)

    async def fail(app: App) -> None:
        async with app.session() as db:
            await insert(db, make_events(15))
            raise ZeroDivisionError

    async def read(app: App) -> None:
        async with app.session() as db:
            await db.fetch("SELECT * FROM assise.analytics_events")

    asyncio.run(use())
    found = query("SELECT distinct_id, properties FROM assise.analytics_events ORDER BY number")
    assert found == [(f"p{n % 5}", {"n": n}) for n in range(12)]


def test_sessions_that_keep_the_same_events_at_once_keep_each_once(
    shop: Project, database: str, query: Query
) -> None:
    del shop
    with Connection(database) as one, Connection(database) as other:
        with one.transaction():
            assert insert_sync(one, make_events(5)).kept == 5
            other.execute("SET statement_timeout = '60s'")
        assert insert_sync(other, make_events(9)[::-1]) == Kept(4, 5)
    assert query("SELECT count(*), count(DISTINCT uuid) FROM assise.analytics_events") == [(9, 9)]


@pytest.mark.parametrize(("is_committed", "expected"), [(True, Kept(4, 5)), (False, Kept(9, 0))])
def test_events_that_another_is_keeping_are_waited_for(
    shop: Project, database: str, query: Query, is_committed: bool, expected: Kept
) -> None:
    del shop
    with (
        Connection(database) as one,
        Connection(database) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        with suppress(ZeroDivisionError), one.transaction():
            insert_sync(one, make_events(9)[4:])
            waiting = pool.submit(insert_sync, other, make_events(9))
            while not query(
                "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
            ):
                assert not waiting.done()
            if not is_committed:
                raise ZeroDivisionError
        assert waiting.result(timeout=60) == expected
    found = query("SELECT distinct_id FROM assise.analytics_events ORDER BY uuid")
    assert found == [(each.distinct_id,) for each in make_events(9)]
    assert query("SELECT count(*) FROM assise.analytics_seen") == [(9,)]


def test_text_that_postgresql_does_not_take_is_kept_as_near_as_can_be(
    shop: Project, database: str, query: Query
) -> None:
    del shop
    text = write_properties({"a\0": "\ud800b", "n": float("nan"), "of": [dt.date(2026, 1, 2), {1}]})
    event = Event(uuid4(), "x\0", "i\0" * 5_000, NOW, "s\0", text, "\udfff")
    with Connection(database) as connection:
        insert_sync(connection, [event])
    ((name, properties, session),) = query(
        "SELECT event, properties, session FROM assise.analytics_events"
    )
    assert (name, session) == ("x�", "�")
    assert properties == {"a�": "�b", "n": None, "of": ["2026-01-02", [1]]}


def test_any_text_comes_back_as_it_was(shop: Project, database: str, query: Query) -> None:
    del shop
    texts = ["", "\x1f", "a\x1f\x1fb", "\n", "é\t'\"\\{},NULL", "null"]
    with Connection(database) as connection:
        for text in texts:  # each alone, and then all at once
            event = Event(uuid4(), text, text, NOW, text, "{}", text)
            assert insert_sync(connection, [event]).kept == 1
        events = [Event(uuid4(), each, each, NOW, each, "{}", each) for each in texts]
        make_months(connection, [NOW])
        assert insert_history(connection, events).kept == len(texts)
        assert insert_history(connection, []) == (0, 0)
        assert count_new(connection, events) == count_new(connection, []) == 0
    found = query(
        "SELECT event, distinct_id, sent, coalesce(session, '') FROM assise.analytics_events"
        " ORDER BY number"
    )
    assert found == [(text,) * 4 for text in [*texts, *texts]]


def test_what_tracking_needs_is_no_gap_of_the_rules(shop: Project, query: Query) -> None:
    assert shop.access.check() == []
    query("GRANT USAGE ON SCHEMA assise TO PUBLIC")
    gaps = shop.access.check()
    assert [(gap.check, gap.object) for gap in gaps] == [("grant_around_rules", "schema assise")]
    assert "apptest_auth" in gaps[0].says


def test_applications_in_one_database_count_in_one_time_zone(
    shop: Project, database: str, query: Query, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    other = Project(folder, to=database)
    dump = write_dump(folder / "dump" / "app", {"notes": [{"_id": 1}]})
    text = (
        "assise: 1\nname: other\nanalytics: {timezone: Asia/Tokyo}\n"
        "tables:\n  notes:\n    collection: notes\n    primary_key: id\n"
        "    columns: {id: {type: int4, from: _id}}\n"
    )
    other.path.write_text(text)
    with pytest.raises(UsageError, match="'app' counts the same events in Europe/Paris") as caught:
        other.migrate(dump, confirm=lambda _: True)
    assert "timezone: Europe/Paris" in str(caught.value.remedy)
    with pytest.raises(UsageError, match="'app' counts the same events in Europe/Paris"):
        other.plan(dump)
    assert query("SELECT to_regclass('notes')") == [(None,)]
    assert query("SELECT name FROM assise.load") == [("app",)]
    other.path.write_text(text.replace("Asia/Tokyo", "Europe/Paris"))
    assert other.load(dump, confirm=lambda _: True).exit_code == 0
    # Who is alone changes the time zone; who counts no more is in nobody's way.
    zones = "SELECT load, timezone FROM assise.analytics_zone ORDER BY 1"
    assert query(zones) == [("app", "Europe/Paris"), ("other", "Europe/Paris")]
    other.path.write_text(text.replace("analytics: {timezone: Asia/Tokyo}\n", ""))
    assert other.load(dump, confirm=lambda _: True).exit_code == 0
    shop.path.write_text(shop.path.read_text().replace("Europe/Paris", "Asia/Tokyo"))
    assert shop.load(confirm=lambda _: True).exit_code == 0
    assert query(zones) == [("app", "Asia/Tokyo")]


def test_undo_leaves_events_where_they_are(shop: Project, database: str, query: Query) -> None:
    with Connection(database) as connection:
        insert_sync(connection, make_events(3))
    assert shop.undo(confirm=lambda _: True).is_done
    assert query("SELECT count(*) FROM assise.analytics_events") == [(3,)]


def test_undo_drops_tables_without_events(shop: Project, query: Query) -> None:
    assert shop.undo(confirm=lambda _: True).is_done
    assert query("SELECT to_regnamespace('assise')") == [(None,)]


AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120 Safari/537.36"


@pytest.mark.parametrize(
    ("expected", "event", "person", "properties"),
    [
        ("person", "signup", "u1", {"$raw_user_agent": AGENT}),
        ("bot", "signup", "u1", {"$raw_user_agent": "Googlebot/2.1 (+http://google.com/bot.html)"}),
        ("bot", "signup", "u1", {"$raw_user_agent": f"{AGENT} HeadlessChrome/120"}),
        ("internal", "signup", "u1", {"$host": "localhost:3000"}),
        ("person", "signup", "u1", {"$host": "localhost.example.org"}),
        ("internal", "signup", "u1", {"$internal": True}),
        ("system", "$feature_flag_called", "u1", {}),
        ("anonymous", "signup", "null", {}),
        ("anonymous", "signup", "", {}),
        ("anonymous", "signup", "u1", {"$process_person_profile": False}),
    ],
)
def test_traffic_is_classified(
    expected: str, event: str, person: str, properties: dict[str, object]
) -> None:
    assert classify(event, person, properties) == expected


def test_ids_that_everybody_has_are_told_from_others() -> None:
    assert all(map(is_shared, ["null", " Undefined ", '"NaN"', "0", "", "[object Object]"]))
    assert not any(map(is_shared, ["u0", "nullify", "00", "x@example.org"]))
