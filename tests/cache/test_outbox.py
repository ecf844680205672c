"""Invalidation after commit: triggers of cached tables, the outbox, and who relays it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.cache.conftest import PATIENT_MS
from tests.cache.servers import read_pid
from tests.cache.shop import MANIFEST, write_shop
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template

from assise.app import App
from assise.cache.cached import CachedFunction
from assise.errors import RedisError, UsageError
from assise.postgres.conninfo import sign_in_as
from assise.project import Project
from assise.redis.embedded import EmbeddedRedis
from assise.schema import cached

pytestmark = pytest.mark.contract

Query = Callable[..., list[tuple[Any, ...]]]
Projects = CachedFunction[[int], list[str]]
WAITING = "SELECT tags, patterns FROM _cache_outbox ORDER BY id"
NAMES = "SELECT name FROM projects"
ROWS = f"{NAMES} ORDER BY id"


@pytest.fixture(scope="module")
def template(
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
    cache_server: EmbeddedRedis,
    data_server: EmbeddedRedis,
) -> Iterator[Template]:
    """The shop, loaded with its rules and triggers."""
    with (
        pytest.MonkeyPatch.context() as patch,
        databases.create_template(tmp_path_factory.mktemp("shop")) as template,
    ):
        patch.setattr(cached, "MANY", 3)
        project = Project(template.folder, to=template.conninfo)
        urls = {"cache": cache_server.url, "data": data_server.url, "prefix": "shop"}
        project.path.write_text(MANIFEST.format(**urls))
        assert project.migrate(write_shop(template.folder), confirm=confirm).exit_code == 0
        yield template


@pytest.fixture
def shop(template: Template, tmp_path: Path, database: str) -> Project:
    """A copy of it, with a prefix of its own."""
    project = template.copy(tmp_path, database)
    text = project.path.read_text()
    project.path.write_text(text.replace('prefix: "shop"', f"prefix: s{os.urandom(4).hex()}"))
    return project


def make_app(shop: Project, timeout_ms: int = PATIENT_MS) -> App:
    urls = {"app": sign_in_as(str(shop.workspace.to), "apptest_app")}
    return App(shop.path, urls=urls, settings={"cache.timeout_ms": timeout_ms})


@asynccontextmanager
async def open_app(app: App) -> AsyncIterator[Projects]:
    """The application with its cached function, by the tags of the table."""

    @app.cache("projects", ttl="5 minutes", tags=["projects:{user_id}"])
    async def projects(user_id: int) -> list[str]:
        async with app.session(user_id=user_id, read_only=True) as session:
            return [row["name"] for row in await session.fetch(ROWS)]

    async with app:
        yield projects


def test_writes_of_any_kind_invalidate_when_they_commit(shop: Project, query: Query) -> None:
    app = make_app(shop)

    @app.cache("count", table="projects")
    async def count(user_id: int, kind: str) -> int:
        async with app.session(user_id=user_id, read_only=True) as session:
            rows = await session.fetch(f"{NAMES} WHERE kind = %s", [kind])
            return len(rows)

    async def work() -> None:
        async with open_app(app) as projects:
            assert [await projects(1), await projects(2)] == [["p1", "p6"], ["p2", "p7"]]
            assert await count(3, "app") == 1
            for statement, found in [
                ("UPDATE projects SET name = 'new' WHERE id = 1", ["new", "p6"]),
                (
                    "INSERT INTO projects (id, user_id, name) VALUES (20, 1, 'x')",
                    ["new", "p6", "x"],
                ),
                ("DELETE FROM projects WHERE id = 6", ["new", "x"]),
            ]:
                async with app.session(user_id=1) as session:
                    await session.execute(statement)
                assert await projects(1) == found
            await count(3, "app")
            assert app.cache.counts["count"].hits == 0
            hits = app.cache.counts["projects"].hits
            assert await projects(2) == ["p2", "p7"]
            assert app.cache.counts["projects"].hits == hits + 1
        assert query(WAITING) == []

    asyncio.run(work())


def test_nothing_is_invalidated_by_what_is_rolled_back(shop: Project, query: Query) -> None:
    app = make_app(shop)

    async def work() -> None:
        async with open_app(app) as projects:
            await projects(1)
            with suppress(LookupError):
                async with app.session(user_id=1) as session:
                    await session.execute("UPDATE projects SET name = 'lost'")
                    await app.cache.invalidate(["projects:1"])
                    raise LookupError
            await projects(1)
            assert app.cache.counts["projects"].hits == 1
            async with app.session(user_id=1):
                await app.cache.invalidate(["projects:1"])
                await asyncio.create_task(projects(1))
                assert app.cache.counts["projects"].hits == 2
            await projects(1)
            assert app.cache.counts["projects"].hits == 2

    asyncio.run(work())
    assert query(WAITING) == []


def test_a_task_that_outlives_its_session_invalidates_at_once(shop: Project) -> None:
    app = make_app(shop)

    async def work() -> None:
        ended = asyncio.Event()

        async def invalidate() -> None:
            await ended.wait()
            await app.cache.invalidate(["projects:1"])

        async with open_app(app) as projects:
            await projects(1)
            async with app.session(user_id=1):
                task = asyncio.create_task(invalidate())
            ended.set()
            await task
            await projects(1)
            assert app.cache.counts["projects"].hits == 0

    asyncio.run(work())


def test_writes_of_others_are_relayed_by_the_worker(shop: Project, query: Query) -> None:
    app = make_app(shop)

    async def work() -> None:
        async with open_app(app) as projects:
            await projects(1)
            query("UPDATE projects SET user_id = 2, kind = NULL WHERE id = 1")
            query("UPDATE projects SET name = 'many'")
            query("SELECT invalidate_cache('{}')")
            query("SELECT invalidate_cache('{a}')")
            of_table: tuple[list[str], list[str]] = ([], ["projects:*", "kind:*:all", "board"])
            assert query(WAITING) == [of_table, of_table, (["a"], [])]
            done = await asyncio.to_thread(shop.work, is_once=True)
            assert ("relay cache", "3 invalidations relayed") in done.done
            assert await projects(1) == ["many"]
            query("TRUNCATE projects")
            await asyncio.to_thread(shop.work, is_once=True)
            assert await projects(1) == []

    asyncio.run(work())
    assert query(WAITING) == []


def test_what_a_killed_process_has_committed_waits_for_the_worker(
    shop: Project, query: Query
) -> None:
    query("UPDATE projects SET name = 'x' WHERE id = 1")
    query("UPDATE projects SET name = 'y' WHERE id = 2")
    assert len(query(WAITING)) == 2
    app = make_app(shop)

    async def work() -> None:
        async with open_app(app), app.session(user_id=3) as session:
            await session.execute("UPDATE projects SET name = 'z'")

    asyncio.run(work())
    assert len(query(WAITING)) == 2
    work_done = shop.work(is_once=True)
    assert ("relay cache", "2 invalidations relayed") in work_done.done


def test_the_outbox_waits_while_redis_is_away_and_is_drained_before_it_is_asked(
    shop: Project, query: Query, own_server: EmbeddedRedis
) -> None:
    text = shop.path.read_text()
    line = next(line for line in text.splitlines() if line.startswith("redis:"))
    shop.path.write_text(text.replace(line, f"redis: {own_server.url}"))
    app = make_app(shop, 1_000)

    async def work() -> None:
        async with open_app(app) as projects:
            assert [await projects(user) for user in (1, 2)] == [["p1", "p6"], ["p2", "p7"]]
            os.kill(read_pid(own_server), signal.SIGSTOP)
            try:
                async with app.session(user_id=1) as session:
                    await session.execute("UPDATE projects SET name = 'new' WHERE id = 1")
                await app.cache.invalidate(["projects:2"])
                assert app.cache.outbox is not None
                await app.cache.outbox.settle()
                assert len(query(WAITING)) == 2
                assert await projects(1) == ["new", "p6"]
                with pytest.raises(RedisError):
                    await projects.invalidate(1)
            finally:
                os.kill(read_pid(own_server), signal.SIGCONT)
            ends = time.monotonic() + 20
            while app.cache.store.breaker.is_open:
                assert time.monotonic() < ends
                await asyncio.sleep(0.01)
            assert query(WAITING) == []
            loads = app.cache.counts["projects"].loads
            assert [await projects(user) for user in (1, 2)] == [["new", "p6"], ["p2", "p7"]]
            assert app.cache.counts["projects"].loads == loads + 2

    asyncio.run(work())


def test_triggers_follow_the_manifest_and_go_with_the_load(shop: Project, query: Query) -> None:
    triggers = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE '\\_cache\\_%'"
    functions = "SELECT count(*) FROM pg_proc WHERE proname ~ '^(_cache_|invalidate_cache)'"
    assert (query(triggers), query(functions)) == ([(4,)], [(5,)])
    query("UPDATE projects SET name = 'x' WHERE id = 1")
    text = shop.path.read_text()
    shop.path.write_text(text.replace('"kind:{kind}:all", ', "").replace("board", "other"))
    assert shop.load(confirm=confirm).exit_code == 0
    query("UPDATE projects SET name = 'y' WHERE id = 1")
    assert [sorted(row[0]) for row in query(WAITING)][1:] == [["other", "projects:1"]]
    query("DROP TRIGGER _cache_update ON projects")
    shop.load(confirm=confirm)
    assert query(triggers) == [(4,)]
    lines = [line for line in shop.path.read_text().splitlines() if "cache: {tags" not in line]
    shop.path.write_text("\n".join(lines))
    shop.load(confirm=confirm)
    assert (query(triggers), query(functions)) == ([(0,)], [(4,)])
    shop.path.write_text(text)
    shop.load(confirm=confirm)
    assert query(triggers) == [(4,)]
    query("TRUNCATE _cache_outbox")
    shop.undo(confirm=confirm, replace=["projects"])
    assert query("SELECT to_regclass('_cache_outbox'), to_regclass('assise.cache_load')") == [
        (None, None)
    ]
    assert query(functions) == [(0,)]


def test_the_application_goes_on_without_assise(shop: Project, query: Query) -> None:
    query("DROP SCHEMA assise CASCADE")
    query("UPDATE projects SET name = 'x' WHERE id = 1")
    with psycopg.connect(sign_in_as(str(shop.workspace.to), "apptest_app")) as connection:
        connection.execute("SELECT set_config('app.user_id', '1', true)")
        assert connection.execute("UPDATE projects SET name = 'y'").rowcount == 2
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM _cache_outbox")


def test_a_session_is_part_of_the_key_with_its_user(shop: Project) -> None:
    app = make_app(shop)

    @app.cache("mine", ttl=60, ignore=["session"])
    async def mine(session: object) -> list[str]:
        return [row["name"] for row in await session.fetch(ROWS)]  # type: ignore[attr-defined]

    async def work() -> None:
        async with app:
            for user in (1, 2, 1):
                async with app.session(user_id=user, read_only=True) as session:
                    assert await mine(session) == [f"p{user}", f"p{user + 5}"]
            assert (app.cache.counts["mine"].loads, app.cache.counts["mine"].hits) == (2, 1)

    asyncio.run(work())


def test_the_tenant_of_the_session_around_is_part_of_the_key(shop: Project) -> None:
    app = make_app(shop)
    tenants = iter("abc")

    @app.cache("ours", ttl=60)
    async def ours() -> str:
        return next(tenants)

    async def work() -> None:
        async with app:
            for tenant, user, found in [("a", 1, "a"), ("b", 1, "b"), ("a", 2, "a")]:
                async with app.session(user_id=user, tenant_id=tenant):
                    assert await ours() == found
            assert await ours() == "c"

    asyncio.run(work())


def test_an_unknown_table_is_named(shop: Project) -> None:
    app = make_app(shop)
    with pytest.raises(UsageError, match="no table 'project' has cache") as raised:
        app.cache("x", table="project")
    assert "projects" in raised.value.remedy
    with pytest.raises(UsageError, match="x has no ttl"):
        app.cache("x")
