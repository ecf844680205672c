"""Months of events: made ahead and for the past, come to by older tables, missing for a while."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo
from tests.analytics.shop import NOW

from assise.analytics.event import Event
from assise.analytics.months import make_months
from assise.analytics.tables import PART
from assise.app import App
from assise.errors import TargetError
from assise.postgres import bookkeeping
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
pytestmark = pytest.mark.contract
OLD = (
    "INSERT INTO assise.analytics_events (uuid, event, distinct_id, at, arrived, traffic,"
    " properties) SELECT gen_random_uuid(), 'old', 'p', now(), '2020-02-29', 'person', '{}'"
)
COUNTS = "SELECT tableoid::regclass::text, count(*) FROM assise.analytics_events GROUP BY 1"
NAMES = """SELECT inhrelid::regclass::text FROM pg_inherits
    WHERE inhparent = 'assise.analytics_events'::regclass ORDER BY 1"""


def test_months_of_the_past_are_made_once_and_no_months_between(
    shop: Project, database: str, query: Query
) -> None:
    del shop
    ahead = query(NAMES)
    assert len(ahead) == 13
    with Connection(database) as connection:
        for _ in range(2):
            make_months(connection, [dt.datetime(2020, 2, 29, tzinfo=dt.UTC), NOW])
            connection.execute(OLD)
    assert query(COUNTS) == [("assise.analytics_events_2020_02", 2)]
    made = {"assise.analytics_events_2020_02", f"assise.analytics_events_{NOW:%Y_%m}"}
    assert {name for (name,) in query(NAMES)} == {name for (name,) in ahead} | made


def make_before(tmp_path: Path) -> Bookkeeping:
    """The part before its months were those of all tables."""
    folder = tmp_path / "sql"
    folder.mkdir()
    for version, file in PART.files.items():
        if version < 7:
            shutil.copy(str(file), folder)
    return Bookkeeping("analytics", folder)


def test_events_of_an_older_database_come_into_their_months(
    database: str, query: Query, tmp_path: Path
) -> None:
    before = make_before(tmp_path)
    with Connection(database) as connection:
        bookkeeping.ensure(connection, before)
        connection.execute(OLD)
        bookkeeping.ensure(connection, PART)
        assert query(COUNTS) == [("assise.analytics_events_2020_02", 1)]
        make_months(connection)
    assert query("SELECT to_regclass('assise.analytics_events_other')") == [(None,)]
    assert len(query(NAMES)) == 14


def test_events_whose_month_stands_beside_stop_the_upgrade(
    database: str, query: Query, tmp_path: Path
) -> None:
    with Connection(database) as connection:
        bookkeeping.ensure(connection, make_before(tmp_path))
        connection.execute("CREATE TABLE assise.analytics_events_2020_02 (a int)")
        connection.execute(OLD)
        with pytest.raises(TargetError, match="whose months stand beside"):
            bookkeeping.ensure(connection, PART)
        assert query(COUNTS) == [("assise.analytics_events_other", 1)]
        connection.execute("DROP TABLE assise.analytics_events_2020_02")
        bookkeeping.ensure(connection, PART)
    assert query(COUNTS) == [("assise.analytics_events_2020_02", 1)]


def test_events_without_a_month_wait_in_the_spool_until_the_worker_makes_it(
    shop: Project, database: str, query: Query
) -> None:
    for (name,) in query(NAMES):
        query(f"DROP TABLE {name}")
    app = App(shop.path.parent, urls={"app": make_conninfo(database, user="apptest_app")})
    events = [Event(app.analytics.tracking.make("n").uuid, "n", "p", NOW) for _ in range(3)]

    async def keep() -> None:
        await app.analytics.tracking.keep(events)
        assert query(COUNTS) == []
        await app.close()

    asyncio.run(keep())
    shop.work(is_once=True)
    assert shop.work(is_once=True).failed == []
    assert [count for _, count in query(COUNTS)] == [3]
