"""App and its sessions: whose rows, what ends them, what they leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI, Header
from psycopg.conninfo import make_conninfo
from tests.access.shop import PROJECTS, USERS, write_plain

import assise
from assise.app import App
from assise.errors import TargetError, UsageError
from assise.postgres.embedded import Embedded
from assise.postgres.pool import Session
from assise.postgres.rights import Rights
from assise.project import Project

pytestmark = [pytest.mark.contract, pytest.mark.usefixtures("ruled")]

Query = Callable[..., list[tuple[object, ...]]]
Act = Callable[[App], Coroutine[Any, Any, object]]
OWN = "SELECT count(*) FROM projects"
SEEN = PROJECTS // USERS


@pytest.fixture
def make_app(ruled: Project, database: str) -> Callable[..., App]:
    """Makes the application, with a pool of one connection unless a test asks for more."""

    def make(**settings: object) -> App:
        given = {"app.pool_size": 1, **{key.replace("__", "."): settings[key] for key in settings}}
        urls = {role: make_conninfo(database, user=f"apptest_{role}") for role in ("app", "worker")}
        return App(ruled.path, urls=urls, settings=given)

    return make


@pytest.fixture
def act(make_app: Callable[..., App]) -> Callable[..., object]:
    """Runs a coroutine with an application, to the end."""

    def run(function: Act, **settings: object) -> object:
        async def call() -> object:
            async with make_app(**settings) as app:
                return await function(app)

        return asyncio.run(call())

    return run


def test_a_session_has_the_rights_of_its_user_and_leaves_none(act: Callable[..., object]) -> None:
    async def use(app: App) -> None:
        for user in (1, None, 2, "", 1):
            async with app.session(user_id=user) as db:
                expected = 0 if user in {None, ""} else SEEN
                assert await db.fetch_value(OWN) == expected
                ids = {row["id"] for row in await db.fetch("SELECT id FROM projects")}
                assert ids == {n for n in range(PROJECTS) if n % USERS == user}
        async with app.session(tenant_id="t1") as db:
            assert await db.execute("UPDATE templates SET tenant = tenant") == 1
            assert await db.fetch_one("SELECT FROM projects") is None
        async with app.session(role="worker") as db:
            assert await db.fetch_value(OWN) == PROJECTS + 1

    act(use)


@pytest.mark.parametrize("user", ["' OR true; --", "\\'", '"', "é" * 5_000, "a\nb", "$1", "%s"])
def test_an_id_is_a_value_whatever_it_holds(act: Callable[..., object], user: str) -> None:
    async def use(app: App) -> None:
        async with app.session(user_id=user, tenant_id=user) as db:
            setting = await db.fetch_value("SELECT current_setting('app.user_id')")
            assert setting == user
            assert await db.fetch_value("SELECT count(*) FROM templates") == 3
            assert await db.execute("UPDATE templates SET tenant = 'x'") == 0

    act(use)


def test_a_nul_is_refused(act: Callable[..., object]) -> None:
    async def use(app: App) -> None:
        with pytest.raises(UsageError, match="user_id holds a NUL"):
            async with app.session(user_id="a\0b"):
                pass
        async with app.session(user_id=1) as db:
            assert await db.fetch_value(OWN) == SEEN

    act(use)


def test_rights_are_one_message_with_every_setting(database: str) -> None:
    values = {"app.user_id": "'o''x'", "app.tenant_id": "''", "statement_timeout": "'2000'"}
    with psycopg.connect(database) as connection:
        begin, *others = (text.decode() for text in Rights("o'x", None, 2_000).begin(connection))
        is_new = connection.info.server_version >= 180_000
    assert begin == "BEGIN ISOLATION LEVEL READ COMMITTED"
    if is_new:
        assert others == [f"SET LOCAL {name} = {value}" for name, value in values.items()]
    else:
        calls = [f"set_config('{name}', {value}, true)" for name, value in values.items()]
        assert others == [f"SELECT {', '.join(calls)}"]


def test_the_end_commits_and_an_error_rolls_back(
    act: Callable[..., object], query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    insert = "INSERT INTO projects (id, user_id, name) VALUES (%s, 1, 'new')"

    async def use(app: App) -> None:
        async with app.session(user_id=1) as db:
            assert await db.execute(insert, [900]) == 1
        with pytest.raises(ZeroDivisionError):
            await fail(app)
        with pytest.raises(TargetError, match="violates row-level security"):
            async with app.session(user_id=2) as db:
                await db.execute(insert, [902])
        with pytest.raises(UsageError, match="nothing of the session is written"):
            await pass_over_an_error(app)

    async def fail(app: App) -> None:
        async with app.session(user_id=1) as db:
            await db.execute(insert, [901])
            raise ZeroDivisionError

    async def pass_over_an_error(app: App) -> None:
        async with app.session(user_id=1) as db:
            await db.execute(insert, [903])
            with pytest.raises(TargetError):
                await db.execute(insert, [903])

    act(use)
    assert query("SELECT id FROM projects WHERE id >= 900") == [(900,)]
    assert not caplog.records, "the pool had to clean up"


ENDS = [
    "COMMIT", "ROLLBACK", "SELECT 1; COMMIT", "ABORT", "END", "COMMIT; SELECT 1",
    "COMMIT; BEGIN", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "ROLLBACK; BEGIN",
    "SAVEPOINT a; ROLLBACK TO a; ABORT; START TRANSACTION", "SELECT 1; END; BEGIN; SELECT 2",
]  # fmt: skip


@pytest.mark.parametrize("statement", ENDS)
def test_sql_that_ends_the_transaction_is_an_error(
    act: Callable[..., object], statement: str
) -> None:
    async def use(app: App) -> None:
        with pytest.raises(UsageError, match="ended the transaction of the session"):
            async with app.session(user_id=1) as db:
                await db.execute(statement)
        async with app.session(user_id=2) as db:
            assert await db.fetch_value(OWN) == SEEN

    act(use)


def test_an_end_on_the_raw_connection_is_seen_by_the_next_statement_and_by_the_end(
    act: Callable[..., object],
) -> None:
    """A statement behind it would have no rights, and would stand in no transaction."""
    ended = "ended the transaction of the session"

    async def use(app: App) -> None:
        with pytest.raises(UsageError, match=ended):
            async with app.session(user_id=1) as db:
                await db.connection.execute("COMMIT")
        async with app.session(user_id=1) as db:
            await db.connection.execute("ROLLBACK")
            with pytest.raises(UsageError, match=ended):
                await db.execute("SELECT 1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act(use)


def test_parts_of_a_session_are_rolled_back_to_savepoints(
    act: Callable[..., object], query: Query
) -> None:
    """By several statements at once, too; the rows are those of the first."""
    insert = "INSERT INTO projects (id, user_id) VALUES"
    spellings = ["ROLLBACK TO a", "rollback work to savepoint a", "ROLLBACK\nTRANSACTION TO a"]

    async def use(app: App) -> None:
        async with app.session(user_id=1) as db:
            for number, back in enumerate(spellings):
                await db.execute(f"{insert} ({910 + number}, 1); SAVEPOINT a")
                await db.execute(f"{insert} (999, 1)")
                rows = await db.fetch(f"SELECT 1 AS one; {back}; SELECT 2 AS two")
                assert rows == [{"one": 1}]
            assert await db.fetch_value(OWN) == SEEN + len(spellings)

    act(use)
    assert query("SELECT id FROM projects WHERE id >= 910") == [(910,), (911,), (912,)]


def test_a_setting_of_the_session_does_not_reach_the_next(act: Callable[..., object]) -> None:
    async def use(app: App) -> None:
        async with app.session(user_id=1) as db:
            await db.execute("SET SESSION app.user_id = '3'")
        async with app.session(user_id=2) as db:
            assert await db.fetch_value("SELECT min(user_id) FROM projects") == 2
        async with app.session() as db:
            assert await db.fetch_value(OWN) == 0

    act(use)


def test_what_a_transaction_does_not_end_stays_with_the_connection(
    act: Callable[..., object],
) -> None:
    """As the documentation says: SET LOCAL and ON COMMIT DROP end; what failed was never there."""
    kept = (
        "SELECT to_regclass('ends') IS NULL AS ends, count(*) AS rows,"
        " current_setting('work_mem') AS set, current_setting('lock_timeout') AS local FROM stays"
    )

    async def fail(app: App) -> None:
        async with app.session(user_id=1) as db:
            await db.execute("CREATE TEMP TABLE failed (id int); SET work_mem = '7MB'")
            raise ZeroDivisionError

    async def use(app: App) -> None:
        async with app.session(user_id=1) as db:
            await db.execute("CREATE TEMP TABLE ends ON COMMIT DROP AS SELECT id FROM projects")
            await db.execute("CREATE TEMP TABLE stays AS SELECT id FROM projects")
            await db.execute("SET work_mem = '5MB'; SET LOCAL lock_timeout = '5s'")
        with pytest.raises(ZeroDivisionError):
            await fail(app)
        async with app.session(user_id=2) as db:
            assert await db.fetch_value("SELECT to_regclass('failed') IS NULL")
            assert await db.fetch_one(kept) == {
                "ends": True, "rows": SEEN, "set": "5MB", "local": "0",
            }  # fmt: skip

    act(use)


def test_a_session_that_is_cancelled_leaves_nothing_behind(
    act: Callable[..., object], query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    async def write(app: App) -> None:
        async with app.session(user_id=1) as db:
            await db.execute("INSERT INTO projects (id, user_id) VALUES (900, 1)")
            await db.execute("SELECT pg_sleep(30)")

    async def use(app: App) -> None:
        task = asyncio.create_task(write(app))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with app.session(user_id=2) as db:
            assert await db.fetch_value(OWN) == SEEN

    act(use)
    assert query("SELECT count(*) FROM projects WHERE id = 900") == [(0,)]
    assert not caplog.records, "the pool had to clean up"


@pytest.mark.parametrize("place", ["in the client", "in the server"])
def test_a_session_that_is_cancelled_until_it_ends_gives_its_connection_back(
    act: Callable[..., object], query: Query, place: str
) -> None:
    """As a cancelled scope of anyio does, in which an application answers a request."""

    async def write(app: App) -> None:
        async with app.session(user_id=1) as db:
            await db.execute("INSERT INTO projects (id, user_id) VALUES (900, 1)")
            if place == "in the client":
                await asyncio.sleep(30)
            await db.execute("SELECT pg_sleep(30)")

    async def use(app: App) -> None:
        task = asyncio.create_task(write(app))
        await asyncio.sleep(0.5)
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        assert task.cancelled()
        async with app.session(user_id=2) as db:
            assert await db.fetch_value(OWN) == SEEN

    act(use, app__pool_timeout_ms=5_000)
    assert query("SELECT count(*) FROM projects WHERE id = 900") == [(0,)]


def test_sessions_beside_and_inside_each_other_have_their_own_rights(
    act: Callable[..., object],
) -> None:
    async def see(app: App, user: int) -> None:
        async with app.session(user_id=user) as db:
            await db.execute("SELECT pg_sleep(0.01)")
            query = "SELECT min(user_id), max(user_id) FROM projects"
            assert await db.fetch_one(query) == {"min": user, "max": user}

    async def use(app: App) -> None:
        await asyncio.gather(*(see(app, n % USERS) for n in range(60)))
        async with app.session(user_id=1) as outer, app.session(user_id=2) as inner:
            assert await inner.fetch_value("SELECT min(user_id) FROM projects") == 2
            assert await outer.fetch_value("SELECT min(user_id) FROM projects") == 1

    act(use, app__pool_size=3)


def test_limits_say_which_one_it_was(act: Callable[..., object]) -> None:
    async def use(app: App) -> None:
        with pytest.raises(TargetError, match="statement timeout") as caught:
            async with app.session(user_id=1) as db:
                await db.execute("SELECT pg_sleep(5)")
        assert "app.statement_timeout_ms" in caught.value.remedy
        async with app.session(user_id=1):
            with pytest.raises(TargetError, match=r"0\.1 s \(app\.pool_timeout_ms\)"):
                async with app.session(user_id=2):
                    pass

    act(use, app__statement_timeout_ms=100, app__pool_timeout_ms=100)


def test_a_query_may_be_streamed_twice_at_once(act: Callable[..., object]) -> None:
    async def stream(app: App) -> None:
        query = "SELECT id FROM projects"
        async with app.session(user_id=1) as db:
            pairs = [one async for one in db.stream(query) async for _ in db.stream(query)]
            assert len(pairs) == SEEN * SEEN

    act(stream)


def test_rows_are_streamed_and_copied_out_and_never_copied_in(act: Callable[..., object]) -> None:
    async def use(app: App) -> None:
        async with app.session(user_id=1) as db:
            names = [row["name"] async for row in db.stream("SELECT name FROM projects", size=2)]
            assert len(names) == SEEN
            async with db.copy("COPY (SELECT id FROM projects) TO STDOUT") as copy:
                assert len([row async for row in copy.rows()]) == SEEN
            with pytest.raises(TargetError, match="COPY FROM not supported"):
                async with db.copy("COPY projects (id, user_id) FROM STDIN") as copy:
                    await copy.write_row((900, 1))
            await db.connection.rollback()

    with pytest.raises(UsageError, match="ended the transaction"):
        act(use)


def test_a_connection_that_is_lost_is_an_error_and_is_replaced(
    act: Callable[..., object], query: Query
) -> None:
    async def lose(app: App) -> None:
        async with app.session(user_id=1) as db:
            pid = await db.fetch_value("SELECT pg_backend_pid()")
            query(f"SELECT pg_terminate_backend({pid}), pg_sleep(0.1)")
            await db.fetch(OWN)

    async def use(app: App) -> None:
        with pytest.raises(TargetError) as caught:
            await lose(app)
        assert caught.value.remedy.endswith("Begin a new one.")
        async with app.session(user_id=1) as db:
            assert await db.fetch_value(OWN) == SEEN

    act(use)


GOES_AROUND = [
    ("ALTER ROLE around BYPASSRLS", "has BYPASSRLS"),
    ("ALTER ROLE around SUPERUSER", "is a superuser"),
    ("GRANT apptest_owner TO around", "owns docs, .* or is a member of the owner"),
    ("ALTER TABLE projects OWNER TO around", "owns projects"),
    ("GRANT apptest_admin, apptest_auth TO around", "is or may become apptest_admin, apptest_auth"),
]


@pytest.mark.parametrize(("statement", "message"), GOES_AROUND)
def test_a_role_that_goes_around_the_rules_is_refused(
    ruled: Project, database: str, query: Query, statement: str, message: str
) -> None:
    query("DROP ROLE IF EXISTS around")
    query("CREATE ROLE around LOGIN")
    query(statement)

    async def use() -> None:
        url = make_conninfo(database, user="around")
        async with App(ruled.path, urls={"app": url}) as app, app.session(user_id=1):
            pass

    with pytest.raises(TargetError, match=f"role 'around' {message}") as caught:
        asyncio.run(use())
    assert caught.value.remedy
    query("REASSIGN OWNED BY around TO apptest_owner")
    query("DROP ROLE around")


def test_a_role_without_a_url_is_named(ruled: Project) -> None:
    async def use(app: App) -> None:
        async with app.session(user_id=1):
            pass

    text = ruled.path.read_text()
    ruled.path.write_text(f"{text}postgres: postgresql://nobody@localhost/x\n")
    with pytest.raises(UsageError, match="role app has no URL"):
        asyncio.run(use(App(ruled.path)))
    ruled.path.write_text(f'{text}postgres: {{main: {{app: "${{APP_URL_THAT_NOBODY_SETS}}"}}}}\n')
    with pytest.raises(UsageError, match=r"postgres\.main\.app: the environment variable APP_URL"):
        asyncio.run(use(App(ruled.path)))
    write_plain(ruled)
    with pytest.raises(UsageError, match="has no roles"):
        asyncio.run(use(App(ruled.path)))


def test_roles_have_their_urls_from_the_manifest(
    ruled: Project, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(database)
    for role in ("app", "worker"):
        place = f"host={parts['host']}&user=apptest_{role}"
        monkeypatch.setenv(f"{role}_URL", f"postgresql:///{parts['dbname']}?{place}")
    roles = 'url: "postgresql://h/x", app: "${app_URL}", worker: "${worker_URL}", admin: "${N:-}"'
    ruled.path.write_text(f"{ruled.path.read_text()}postgres: {{main: {{{roles}}}}}\n")

    async def use() -> None:
        async with App(ruled.path) as app:
            async with app.session(user_id=1) as db:
                assert await db.fetch_value(OWN) == SEEN
            async with app.session(role="worker") as db:
                assert await db.fetch_value(OWN) == PROJECTS + 1
            with pytest.raises(UsageError, match="role admin has no URL"):
                async with app.session(role="admin"):
                    pass

    asyncio.run(use())


def test_a_server_that_is_down_is_an_error_at_once(ruled: Project) -> None:
    async def use() -> None:
        url = "postgresql://app:secret@127.0.0.1:1/x"
        async with App(ruled.path, urls={"app": url}) as app, app.session(user_id=1):
            pass

    with pytest.raises(TargetError) as caught:
        asyncio.run(use())
    assert "secret" not in str(caught.value)


def test_on_the_embedded_server_the_application_signs_in_by_itself(
    ruled: Project, embedded_server: Embedded, database: str
) -> None:
    (ruled.path.parent / ".assise").mkdir(exist_ok=True)
    folder = ruled.path.parent / "embedded"
    folder.mkdir()
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    text = ruled.path.read_text().replace("name: app\n", f"name: {name}\n")
    (folder / "assise.yaml").write_text(text)
    (folder / ".assise").symlink_to(embedded_server.folder)

    async def use() -> None:
        async with App(folder) as app, app.session(user_id=1) as db:
            assert await db.fetch_value("SELECT current_user") == "apptest_app"
            assert await db.fetch_value(OWN) == SEEN

    asyncio.run(use())
    assert assise.App is App


def find_user(user: Annotated[str | None, Header()] = None) -> str | None:
    """The application's own dependency: whose request it is."""
    return user


def build_application(app: App) -> FastAPI:
    web = FastAPI(lifespan=app.lifespan)
    session: Any = app.user_session(find_user)

    @web.get("/projects")
    async def list_projects(db: Session = session) -> list[dict[str, Any]]:
        return await db.fetch("SELECT id, name FROM projects ORDER BY id LIMIT 3")

    @web.post("/projects/{number}")
    async def create_project(number: int, owner: int, db: Session = session) -> int:
        return await db.execute(
            "INSERT INTO projects (id, user_id) VALUES (%s, %s)", [number, owner]
        )

    return web


def test_a_dependency_of_fastapi_gives_the_session_of_the_request(
    act: Callable[..., object], query: Query
) -> None:
    async def use(app: App) -> None:
        transport = httpx.ASGITransport(app=build_application(app), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            for user in ("1", "2", "1"):
                found = (await client.get("/projects", headers={"user": user})).json()
                assert [each["id"] % USERS for each in found] == [int(user)] * 3
            assert (await client.get("/projects")).json() == []
            place = "/projects/900?owner=1"
            assert (await client.post(place, headers={"user": "1"})).json() == 1
            assert query("SELECT count(*) FROM projects WHERE id = 900") == [(1,)]
            refused = await client.post("/projects/901?owner=1", headers={"user": "2"})
            assert refused.status_code == 500

    act(use)
    assert query("SELECT count(*) FROM projects WHERE id = 901") == [(0,)]


def test_urls_of_a_role_that_there_is_not_are_refused(ruled: Project) -> None:
    with pytest.raises(UsageError, match="urls: there is no role 'ap'") as caught:
        App(ruled.path, urls={"ap": "postgresql://h/d"})
    assert caught.value.remedy.startswith("Did you mean app? Known: app, auth,")
