"""Erasure: a person is gone from events and numbers, and nothing of before comes back."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from assise.analytics.activity import read_active
from assise.analytics.event import Event
from assise.analytics.months import make_months
from assise.analytics.picture import make_bitmap
from assise.analytics.spool import Spool
from assise.analytics.store import insert_history, insert_sync
from assise.cli.run import run
from assise.errors import UsageError
from assise.postgres.connection import Connection
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
WHO = "SELECT DISTINCT distinct_id FROM assise.analytics_events ORDER BY 1"


def at(day: int) -> dt.datetime:
    """Noon of a day of January."""
    return dt.datetime(2026, 1, day, 12, tzinfo=dt.UTC)


def make(name: str, person: str, day: int, **properties: object) -> Event:
    """An event of a day."""
    return Event(uuid4(), name, person, at(day), "", json.dumps(properties))


ERASED = [
    make("$pageview", "anon", 1),
    make("$identify", "gone", 2, **{"$anon_distinct_id": "anon"}),
    make("signup", "gone", 2, email="gone@example.org"),
    make("deployed", "gone", 9),
]
OTHERS = [make("signup", "stays", 2), make("deployed", "stays", 4)]
REFUSED = make("$identify", "stays", 3, **{"$anon_distinct_id": "gone"})
"""Both are signed in, so they stay two; but the event names the other."""


def erase(project: Project, person: str = "anon") -> None:
    """Erase a person as an operator who agrees."""
    project.analytics.erase(person, confirm=lambda _: True)


def count(project: Project) -> list[tuple[int, int]]:
    """Users of the first ten days of January, and of the thirty that end with each."""
    found = project.analytics.read(
        lambda picture: read_active(picture, at(1).date(), at(10).date())
    )
    return [(each.dau, each.mau) for each in found]


@pytest.mark.parametrize("is_folded", [True, False])
def test_a_person_is_gone_with_all_ids_and_from_all_numbers(
    shop: Project, database: str, query: Query, *, is_folded: bool
) -> None:
    with Connection(database) as connection:
        insert_sync(connection, OTHERS)
        expected = count(shop)
        insert_sync(connection, [*ERASED, REFUSED])
        connection.execute(
            "INSERT INTO assise.analytics_refused VALUES ('posthog', %(uuid)s, 'gone is refused')",
            {"uuid": ERASED[3].uuid},
        )
        if is_folded:
            assert count(shop) != expected
    tried = shop.analytics.erase("gone", dry_run=True)
    assert (tried.events, query(WHO)) == (4, [("anon",), ("gone",), ("stays",)])
    with pytest.raises(UsageError, match="nothing was erased"):
        shop.analytics.erase("gone")
    erase(shop)
    assert query(WHO) == [("stays",)]
    assert count(shop) == expected
    assert shop.analytics.check().is_right
    users = query("SELECT users FROM assise.analytics_state")[0][0]
    assert isinstance(users, bytes)
    persons = {row[0] for row in query("SELECT person FROM assise.analytics_identity")}
    assert {*make_bitmap(users)} <= persons
    tables = ("events", "identity", "refused", "bitmap", "daily")
    for table in tables:
        text = f"SELECT count(*) FROM assise.analytics_{table} AS t WHERE t::text ~ 'gone|anon'"
        assert query(text) == [(0,)], table
    erase(shop)
    assert count(shop) == expected


def test_nothing_of_before_comes_back_and_who_returns_is_somebody_new(
    shop: Project, database: str, query: Query
) -> None:
    folder = shop.path.parent / ".assise" / "events"
    spool = Spool(folder, 1 << 20)
    with Connection(database) as connection, Connection(database) as slow:
        insert_sync(connection, [*OTHERS, *ERASED])
        spool.append(make("spooled", "gone", 5))
        spool.rotate()
        spool.append(make("held", "gone", 5))
        (folder / "x.broken").write_bytes(b'["x", "gone"\n["y", "stays"\n')
        with slow.transaction():
            insert_sync(slow, [make("open", "gone", 5)])
            erase(shop, "gone")
            assert query(WHO) == [("stays",)]
        spool.rotate()
        assert shop.work(is_once=True).exit_code == 0
        assert query(WHO) == [("stays",)]
        assert insert_history(connection, ERASED).kept == insert_sync(connection, ERASED).kept == 0
        again = [each._replace(uuid=UUID(int=n + 1)) for n, each in enumerate(ERASED)]
        assert insert_sync(connection, again).kept == 0
        later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
        assert insert_sync(connection, [Event(uuid4(), "signup", "gone", later)]).kept == 1
    assert (folder / "x.broken").read_bytes() == b'["y", "stays"\n'
    assert shop.analytics.check().is_right
    assert query("SELECT count(DISTINCT person) FROM assise.analytics_identity") == [(2,)]


def test_a_merge_that_cannot_be_folded_yet_counts(
    shop: Project, database: str, query: Query
) -> None:
    with Connection(database) as connection, Connection(database) as slow, slow.transaction():
        insert_sync(slow, [make("open", "else", 5)])
        insert_sync(connection, [*OTHERS, *ERASED, REFUSED])
        assert shop.analytics.erase("gone", dry_run=True).ids == 2
        erase(shop, "gone")
        assert query(WHO) == [("stays",)]


def test_the_last_day_is_forgotten_with_its_only_person(shop: Project, database: str) -> None:
    with Connection(database) as connection:
        insert_sync(connection, [*OTHERS, *ERASED])
        assert len(count(shop)) == 10
        erase(shop, "gone")
        days = connection.execute(
            "SELECT max(day) FROM assise.analytics_daily"
            " UNION ALL SELECT max(day) FROM assise.analytics_bitmap"
        )
    assert days == [(at(4).date(),), (at(4).date(),)]


def test_the_command_says_what_goes_and_refuses_ids_of_everybody(
    shop: Project, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Connection(database) as connection:
        insert_sync(connection, ERASED)
    line = ["analytics", "erase", "-f", str(shop.path), "--to", database]
    assert run([*line, "null", "--yes"]) == 2
    assert "everybody has" in capsys.readouterr().err
    assert run([*line, "nobody", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["events"] == 0
    assert run([*line, "gone", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "4 events of 2 ids erased"


def test_old_months_are_dropped_and_their_numbers_stay(
    shop: Project, database: str, query: Query, tmp_path: Path
) -> None:
    del tmp_path
    text = shop.path.read_text().replace("events: {own", "events: {keep: 25 months, own")
    shop.path.write_text(text)
    now = dt.datetime.now(dt.UTC)
    old = [
        Event(uuid4(), "signup", f"u{n}", now - dt.timedelta(days=days))
        for n, days in enumerate((2_000, 830, 700, 1))
    ]
    with Connection(database) as connection:
        make_months(connection, [each.at for each in old])
        insert_history(connection, old)
        count(shop)
        before = query("SELECT * FROM assise.analytics_daily ORDER BY 1")
        done = dict(shop.work(is_once=True).done)
        assert done["events of the last months"].startswith(
            "assise.analytics_events: dropped analytics_events_"
        )
        assert [row[0] for row in query(WHO)] == ["u2", "u3"]
        check = shop.analytics.check()
        assert (check.is_right, check.differing) == (True, [])
        assert query("SELECT * FROM assise.analytics_daily ORDER BY 1") == before
        connection.execute("UPDATE assise.analytics_bitmap SET events = 9")
    differing = shop.analytics.check().differing
    days = {each.at.astimezone(ZoneInfo("Europe/Paris")).date() for each in old[2:]}
    assert {day for _, day in differing} == days
