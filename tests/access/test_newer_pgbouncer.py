"""Sessions through PgBouncer 1.24, which knows prepared statements."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from tests.access.bouncer import build_bouncer, run_bouncer
from tests.access.shop import PROJECTS, USERS

from assise.app import App
from assise.postgres.rights import Rights
from assise.project import Project

pytestmark = [pytest.mark.soak, pytest.mark.usefixtures("ruled")]

SEEN = PROJECTS // USERS


@pytest.fixture
def bouncer(database: str, short_folder: Path) -> Iterator[str]:
    """The conninfo of the test's database through it."""
    program = short_folder / f"pgbouncer-{os.urandom(3).hex()}"
    shutil.copy(build_bouncer(), program)
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("PgBouncer 1.24")
    more = "max_prepared_statements = 100"
    with run_bouncer(database, short_folder, program, more=more) as conninfo:
        yield conninfo


def test_users_that_share_one_connection_see_their_own_rows_alone(
    ruled: Project, bouncer: str
) -> None:
    async def see(app: App, user: int) -> None:
        async with app.session(user_id=user) as db:
            rows = await db.fetch("SELECT DISTINCT user_id FROM projects WHERE name <> %s", ["x"])
            assert rows == [{"user_id": user}]

    async def use() -> None:
        chance = random.Random(7)
        async with App(ruled.path, urls={"app": bouncer}, settings={"app.pool_size": 20}) as app:
            for _ in range(100):
                users = [chance.randrange(USERS) for _ in range(20)]
                await asyncio.gather(*(see(app, user) for user in users))

    asyncio.run(use())


def test_statements_that_clients_have_prepared_know_the_user_of_each_transaction(
    bouncer: str,
) -> None:
    """A prepared statement and its plan are shared by clients; the rights are not."""
    with ExitStack() as stack:
        clients = [connect(stack, bouncer) for _ in range(3)]
        for n in range(300):
            client, user = clients[n % 3], n % (USERS + 1)
            client.execute(b"; ".join(Rights(user).begin(client)), prepare=False)
            assert count(client) == (SEEN if user < USERS else 0)
            client.execute("COMMIT", prepare=False)
            assert count(client) == 0


def connect(stack: ExitStack, conninfo: str) -> psycopg.Connection[tuple[int]]:
    client = psycopg.connect(conninfo, autocommit=True, prepare_threshold=0)
    return stack.enter_context(client)


def count(client: psycopg.Connection[tuple[int]]) -> int:
    row = client.execute("SELECT count(*) FROM projects WHERE id >= %s", [0]).fetchone()
    assert row
    return row[0]
