"""Sessions that read from a replica, and from the main server where it is behind or gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI, Header
from psycopg.conninfo import make_conninfo
from tests.access.replica import RunningReplica, make_replica, wait_until
from tests.access.shop import PROJECTS, USERS, load_shop
from tests.conftest import DEBIAN, UNSAFE_BUT_QUICK
from tests.scenes.databases import Databases, Template

from assise.app import App
from assise.errors import TargetError
from assise.postgres import replica as replicas
from assise.postgres.embedded import Embedded
from assise.postgres.pool import Session
from assise.project import Project

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("ruled")]

Act = Callable[[App], Coroutine[Any, Any, object]]
Query = Callable[..., list[tuple[object, ...]]]
OWN = "SELECT count(*) FROM projects"
IS_REPLICA = "SELECT pg_is_in_recovery()"
INSERT = "INSERT INTO projects (id, user_id) VALUES (%s, 1)"
FIND = "SELECT count(*) FROM projects WHERE id = %s"
SEEN = PROJECTS // USERS


@pytest.fixture(scope="module")
def followed(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[str]:
    """A server that replicas may follow; the embedded one writes no log for them unasked."""
    if DEBIAN:
        yield request.getfixturevalue("server")
        return
    embedded = Embedded(short_folder / f"main-{os.urandom(3).hex()}")
    settings = {**UNSAFE_BUT_QUICK, "wal_level": "replica", "max_wal_senders": "10"}
    embedded.start(settings=settings)
    with (embedded.data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = {value}\n" for name, value in settings.items())
    yield embedded.conninfo(None)
    embedded.stop(immediate=True)


@pytest.fixture(scope="module")
def databases(followed: str) -> Databases:
    """Creates databases on it."""
    return Databases(followed)


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The application, loaded there with its rules."""
    with load_shop(databases, tmp_path_factory.mktemp("followed")) as template:
        yield template


@pytest.fixture(scope="module")
def shared(followed: str, short_folder: Path) -> Iterator[RunningReplica]:
    """A replica for the tests that leave it as it is."""
    replica = make_replica(followed, short_folder / f"replica-{os.urandom(3).hex()}")
    yield replica
    replica.stop()


@pytest.fixture
def following(shared: RunningReplica, database: str) -> RunningReplica:
    """The shared replica, once it has the test's database."""
    shared.catch_up(database)
    return shared


@pytest.fixture
def mortal(
    followed: str, short_folder: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningReplica]:
    """A replica of its own, which a test may end; it is asked again at once."""
    monkeypatch.setattr(replicas, "PAUSE_S", 0.0)
    replica = make_replica(followed, short_folder / f"replica-{os.urandom(3).hex()}")
    replica.catch_up(database)
    yield replica
    replica.stop()


@pytest.fixture
def act(ruled: Project, database: str) -> Callable[..., object]:
    """Runs a coroutine with an application that has a replica."""

    def run(function: Act, replica: RunningReplica) -> object:
        async def call() -> object:
            main = make_conninfo(database, user="apptest_app")
            urls = {"app": main, "replica": replica.url(database, "apptest_app")}
            async with App(ruled.path, urls=urls) as app:
                return await function(app)

        return asyncio.run(call())

    return run


def test_what_is_read_only_is_read_from_the_replica_with_the_same_rights(
    act: Callable[..., object], following: RunningReplica
) -> None:
    async def use(app: App) -> None:
        async with app.session(user_id=1, read_only=True) as db:
            assert await db.fetch_value(IS_REPLICA)
            assert await db.fetch_value(OWN) == SEEN
            assert len([row async for row in db.stream("SELECT id FROM projects")]) == SEEN
        async with app.session(read_only=True) as db:
            assert await db.fetch_value(OWN) == 0
        with pytest.raises(TargetError, match="read-only transaction"):
            await write(app)
        async with app.session(user_id=1) as db:
            assert not await db.fetch_value(IS_REPLICA)
        replicas.READS_MAIN.set(True)
        async with app.session(user_id=1, read_only=True) as db:
            assert not await db.fetch_value(IS_REPLICA)
        replicas.READS_MAIN.set(False)
        async with app.session(user_id=1, read_only=True) as db:
            assert await db.fetch_value(IS_REPLICA)

    async def write(app: App) -> None:
        async with app.session(user_id=1, read_only=True) as db:
            await db.execute(INSERT, [900])

    act(use, following)


def test_without_a_replica_what_is_read_only_is_on_the_main_server(
    ruled: Project, database: str
) -> None:
    async def use() -> None:
        url = make_conninfo(database, user="apptest_app")
        async with App(ruled.path, urls={"app": url}) as app:
            async with app.session(user_id=1, read_only=True, position="0/1") as db:
                assert await db.fetch_value("SHOW transaction_read_only") == "on"
            async with app.session(user_id=1) as db:
                assert await db.execute(INSERT, [900]) == 1
            assert db.position is None

    asyncio.run(use())


def test_everybody_reads_what_they_have_written(
    act: Callable[..., object], following: RunningReplica
) -> None:
    """Commits do not wait for the disk here, so that the position must be that of the insert."""

    async def use(app: App) -> None:
        places, position = set(), None
        for n in range(900, 1_000):
            async with app.session(user_id=1) as db:
                assert await db.execute(INSERT, [n]) == 1
                assert db.position is None
            position = db.position
            async with app.session(user_id=1, read_only=True, position=position) as reader:
                assert await reader.fetch_value(FIND, [n]) == 1, n
                places.add(await reader.fetch_value(IS_REPLICA))
        following.catch_up(following.main)
        async with app.session(user_id=1, read_only=True, position=position) as reader:
            places.add(await reader.fetch_value(IS_REPLICA))
        assert True in places

    act(use, following)


def test_a_replica_that_is_behind_is_not_asked(
    act: Callable[..., object], following: RunningReplica, database: str
) -> None:
    async def use(app: App) -> None:
        async with app.session(user_id=1) as db:
            await db.execute(INSERT, [900])
        for position, seen, is_replica in ((db.position, 1, False), (None, 0, True)):
            async with app.session(user_id=1, read_only=True, position=position) as reader:
                assert await reader.fetch_value(FIND, [900]) == seen
                assert await reader.fetch_value(IS_REPLICA) is is_replica
        for odd in ("", "x", "0/0'; DROP TABLE projects; --", "FFFFFFFF/FFFFFFFF", "1" * 10_000):
            async with app.session(user_id=1, read_only=True, position=odd) as reader:
                assert not await reader.fetch_value(IS_REPLICA)

    following.ask(database, "SELECT pg_wal_replay_pause()")
    try:
        act(use, following)
    finally:
        following.ask(database, "SELECT pg_wal_replay_resume()")


@pytest.mark.parametrize("is_idle", [False, True])
def test_a_statement_that_replaying_ends_is_sent_to_the_main_server(
    act: Callable[..., object],
    following: RunningReplica,
    database: str,
    query: Query,
    *,
    is_idle: bool,
) -> None:
    """A lock on the main server ends who reads the table on the replica, idle or not."""
    slow = f"SELECT CASE WHEN pg_is_in_recovery() THEN pg_sleep(600) END, ({OWN}) AS count"
    activity = f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '{slow[:40]}%' AND pid <> pg_backend_pid()"

    def end_it() -> None:
        if not is_idle:
            wait_until(lambda: following.ask(database, activity))
        query("BEGIN; LOCK TABLE projects; COMMIT")
        following.catch_up(database)

    async def use(app: App) -> None:
        async with app.session(user_id=1, read_only=True) as db:
            assert await db.fetch_value(IS_REPLICA)
            assert await db.fetch_value(OWN) == SEEN
            ending = asyncio.create_task(asyncio.to_thread(end_it))
            if is_idle:
                await ending
            row = await db.fetch_one(slow)
            assert row in ({"case": None, "count": SEEN}, {"pg_sleep": None, "count": SEEN})
            assert not await db.fetch_value(IS_REPLICA)
            assert await db.fetch_value("SHOW transaction_read_only") == "on"
            await ending
        async with app.session(user_id=2, read_only=True) as db:
            assert await db.fetch_value("SELECT min(user_id) FROM projects") == 2

    act(use, following)


def test_a_replica_that_is_gone_is_replaced_and_asked_again(
    act: Callable[..., object], mortal: RunningReplica, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(app: App) -> None:
        async with app.session(user_id=1, read_only=True) as db:
            assert await db.fetch_value(IS_REPLICA)
            mortal.stop()
            assert await db.fetch_value(OWN) == SEEN
            assert not await db.fetch_value(IS_REPLICA)
        for _ in range(2):
            async with app.session(user_id=1, read_only=True) as db:
                assert not await db.fetch_value(IS_REPLICA)
        assert "the replica is not asked for 0 s" in caplog.text
        mortal.start()
        assert await come_back(app)

    async def come_back(app: App) -> bool:
        for _ in range(60):
            async with app.session(user_id=1, read_only=True) as db:
                if await db.fetch_value(IS_REPLICA):
                    return True
        return False

    act(use, mortal)


def test_a_replica_that_was_never_there_costs_no_session(
    ruled: Project, database: str, short_folder: Path
) -> None:
    async def use() -> None:
        urls = {"app": make_conninfo(database, user="apptest_app"), "replica": nowhere}
        async with App(ruled.path, urls=urls) as app:
            session = app.session(user_id=1, read_only=True)
            async with session as db:
                assert await db.fetch_value(OWN) == SEEN

    nowhere = f"postgresql:///x?host={short_folder}&port=1"
    asyncio.run(use())


def test_a_position_ahead_of_a_promoted_server_is_read_from_the_main_one(
    act: Callable[..., object], mortal: RunningReplica, database: str
) -> None:
    async def use(app: App) -> None:
        async with app.session(user_id=1) as db:
            await db.execute(INSERT, [900])
        async with app.session(user_id=1, read_only=True, position=db.position) as reader:
            assert await reader.fetch_value(FIND, [900]) == 1

    mortal.ask(database, "SELECT pg_promote(true, 60)")
    with psycopg.connect(mortal.url(database), autocommit=True) as connection:
        connection.execute("CREATE TABLE newer AS SELECT * FROM generate_series(1, 10000)")
    act(use, mortal)


def test_a_replica_whose_login_goes_around_the_rules_is_refused(
    ruled: Project, database: str, following: RunningReplica
) -> None:
    async def use() -> None:
        urls = {
            "app": make_conninfo(database, user="apptest_app"),
            "replica": following.url(database),
        }
        async with App(ruled.path, urls=urls) as app:
            await app.session(user_id=1, read_only=True).__aenter__()

    with pytest.raises(TargetError, match="is a superuser"):
        asyncio.run(use())


def find_user(user: Annotated[str | None, Header()] = None) -> str | None:
    """The application's own dependency: whose request it is."""
    return user


def build_application(app: App) -> FastAPI:
    web = FastAPI()
    web.add_middleware(app.send_positions)
    writing: Any = app.user_session(find_user)
    reading: Any = app.user_session(find_user, read_only=True)

    @web.get("/projects/{number}")
    async def find_project(number: int, db: Session = reading) -> list[Any]:
        return [await db.fetch_value(FIND, [number]), await db.fetch_value(IS_REPLICA)]

    @web.post("/projects/{number}")
    async def create_project(number: int, db: Session = writing) -> int:
        return await db.execute(INSERT, [number])

    return web


def test_the_position_goes_from_request_to_request_in_a_header(
    act: Callable[..., object], following: RunningReplica, database: str
) -> None:
    async def use(app: App) -> None:
        transport = httpx.ASGITransport(app=build_application(app))
        headers = {"user": "1"}
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            made = await client.post("/projects/900", headers=headers)
            position = made.headers["assise-position"]
            for sent, answer in (({}, [0, True]), ({"assise-position": position}, [1, False])):
                found = await client.get("/projects/900", headers={**headers, **sent})
                assert found.json() == answer
                assert "assise-position" not in found.headers
            odd = {**headers, "assise-position": "'"}
            assert (await client.get("/projects/900", headers=odd)).json() == [1, False]

    following.ask(database, "SELECT pg_wal_replay_pause()")
    try:
        act(use, following)
    finally:
        following.ask(database, "SELECT pg_wal_replay_resume()")
