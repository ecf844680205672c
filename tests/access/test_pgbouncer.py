"""Sessions through PgBouncer in transaction mode, where every client shares one connection."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.access.bouncer import run_bouncer
from tests.access.shop import PROJECTS, RULES, USERS

from assise.app import App
from assise.errors import TargetError, UsageError
from assise.postgres.rights import Rights
from assise.project import Project

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("ruled")]

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
RUNS = 200


@pytest.fixture
def bouncer(database: str, short_folder: Path) -> Iterator[str]:
    """The conninfo of the test's database through PgBouncer, for the application's login."""
    if PROGRAM is None:
        text = "no pgbouncer; on Debian: apt-get install pgbouncer"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(text)
    folder = short_folder / f"bouncer-{os.urandom(3).hex()}"
    with run_bouncer(PROGRAM, database, folder) as conninfo:
        yield conninfo


async def act(app: App, chance: random.Random, expected: dict[int, dict[str, int]]) -> str:
    """Open a session of a random user and do something in it; what was done."""
    user = chance.randrange(USERS + 1)
    what = chance.choice(["read", "join", "fail", "end", "savepoint", "set", "write", "cancel"])
    try:
        async with app.session(user_id=user) as db:
            for table in chance.sample([*RULES], 3):
                query = f"SELECT count(*) FROM {table}"
                assert await db.fetch_value(query) == expected[user][table], (what, user)
            if what == "join":
                query = "SELECT count(*) FROM files JOIN projects ON projects.id = project_id"
                assert await db.fetch_value(query) == expected[user]["files"]
            elif what == "fail":
                await db.execute("SELECT 1 / 0")
            elif what == "end":
                await db.execute("COMMIT")
            elif what == "savepoint":
                await db.execute("SAVEPOINT a; SELECT 1; ROLLBACK TO a")
            elif what == "set":
                await db.execute("SET SESSION app.user_id = '1'")
                return what
            elif what == "write":
                statement = "UPDATE projects SET name = name"
                assert await db.execute(statement) == expected[user]["projects"]
            elif what == "cancel":
                async with asyncio.timeout(0.05):
                    await db.execute("SELECT pg_sleep(5)")
            query = "SELECT count(*) FROM projects"
            assert await db.fetch_value(query) == expected[user]["projects"], (what, user)
    except (TargetError, UsageError, TimeoutError):
        assert what in {"fail", "end", "cancel"}
    return what


def act_as_users(project: Project, bouncer: str, database: str) -> set[str]:
    """Open sessions of many users, eight at a time; what was done in them."""
    expected = count_rows(database)
    chance = random.Random(7)

    async def use() -> list[str]:
        async with App(project.path, urls={"app": bouncer}, settings={"app.pool_size": 8}) as app:
            done = []
            for _ in range(RUNS // 8):
                done += await asyncio.gather(*(act(app, chance, expected) for _ in range(8)))
            return done

    return set(asyncio.run(use()))


def look_without_a_session(project: Project, bouncer: str) -> None:
    """Nothing of a session is left on the connection that it had."""

    async def use() -> None:
        async with App(project.path, urls={"app": bouncer}) as app, app.session(user_id=1) as db:
            assert await db.fetch_value("SELECT count(*) FROM projects") == PROJECTS // USERS

    asyncio.run(use())
    with psycopg.connect(bouncer, prepare_threshold=None) as connection:
        assert connection.execute("SELECT count(*) FROM projects").fetchone() == (0,)


def test_users_that_share_one_connection_see_their_own_rows_alone(
    ruled: Project, bouncer: str, database: str
) -> None:
    assert len(act_as_users(ruled, bouncer, database)) == 8


def test_nothing_of_a_session_is_left_on_its_connection(ruled: Project, bouncer: str) -> None:
    look_without_a_session(ruled, bouncer)


MUTANTS = [
    "DROP POLICY app_read ON projects",
    (
        "ALTER POLICY app_read ON files USING (user_id <>"
        " (select nullif(current_setting('app.user_id', true), '')::int4))"
    ),
]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_policy_that_is_gone_or_wrong_is_seen(
    ruled: Project, bouncer: str, database: str, query: Callable[..., object], mutant: str
) -> None:
    query(mutant)
    with pytest.raises(AssertionError):
        act_as_users(ruled, bouncer, database)


def test_rights_that_outlive_their_transaction_are_seen(
    ruled: Project, bouncer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Rights.begin

    def begin_for_good(
        rights: Rights, context: psycopg.AsyncConnection[Any], position: str | None
    ) -> bytes:
        return begin(rights, context, position).replace(b", true)", b", false)")

    monkeypatch.setattr(Rights, "begin", begin_for_good)
    with pytest.raises(AssertionError):
        look_without_a_session(ruled, bouncer)


def count_rows(database: str) -> dict[int, dict[str, int]]:
    """What each user may see, by queries that know nothing of rules."""
    projects = "SELECT id FROM projects WHERE user_id = {user}"
    queries = {
        "users": "id = {user}",
        "projects": "user_id = {user}",
        "files": f"project_id IN ({projects})",
        "lines": f"project_id IN ({projects})",
        "notes": f"project_id IN ({projects})",
        "docs": "team IN (SELECT team FROM members WHERE user_id = {user})",
        "templates": "true",
    }
    found: dict[int, dict[str, int]] = {}
    with psycopg.connect(database) as connection:
        for user in range(USERS + 1):
            found[user] = {}
            for table, condition in queries.items():
                query: Any = f"SELECT count(*) FROM {table} WHERE {condition.format(user=user)}"
                ((count,),) = connection.execute(query).fetchall()
                found[user][table] = count
    assert sum(each["projects"] for each in found.values()) == PROJECTS
    return found
