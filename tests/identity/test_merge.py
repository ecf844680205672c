"""app.merge: rows of one server with rows of another, as the caller may see them."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi import FastAPI, Header
from tests.identity.conftest import FALLBACK, USERS, Pair, row_of
from tests.scenes.commands import wait_until

from assise.app import App
from assise.errors import TargetError, UsageError
from assise.manifest.read import parse_manifest
from assise.merge import BATCH, Loader, Merged, RowKey, RowsByKey, Wanted
from assise.postgres.pool import Arguments, Record, Session

pytestmark = pytest.mark.contract


def test_rows_get_those_of_the_other_server_and_the_fallback(pair: Pair) -> None:
    async def use(app: App) -> Merged:
        async with app.session(role="admin") as db:
            query = "SELECT user_id, count(*) AS n FROM conversations GROUP BY 1 ORDER BY 1"
            rows = await db.fetch(query)
        return await app.merge(rows, key="user_id", into="user", table="users", role="admin")

    merged = pair.act(use)
    unknown = UUID(int=USERS + 1)
    fallback = {"id": None, "email": str(unknown), **FALLBACK}
    expected = [row_of(number) for number in range(1, USERS + 1)] + [fallback]
    assert [row["user"] for row in merged.rows] == expected
    assert [row["n"] for row in merged.rows] == [10] * 6
    assert (merged.partial, merged.missing) == (False, [unknown])


def test_the_rights_are_those_of_the_session_around_it(pair: Pair) -> None:
    rows = [{"user_id": str(UUID(int=number))} for number in (1, 2)]

    async def merge(app: App) -> list[str]:
        merged = await app.merge(rows, key="user_id", into="user", table="users", columns=["email"])
        return [row["user"]["email"] for row in merged.rows]

    async def use(app: App) -> None:
        first, second = (str(UUID(int=number)) for number in (1, 2))
        with pytest.raises(UsageError, match="no session is open"):
            await merge(app)
        async with app.session(user_id=first):
            assert await merge(app) == ["user1@example.org", second]
            async with app.session(user_id=second):
                assert await merge(app) == [first, "user2@example.org"]
            assert await merge(app) == ["user1@example.org", second]
        async with app.session():
            assert await merge(app) == [first, second]
        with pytest.raises(UsageError, match="no session is open"):
            await merge(app)

    pair.act(use)


def test_a_loader_reads_both_servers_as_its_user_each_by_one_message(pair: Pair) -> None:
    query = (
        "SELECT user_id FROM conversations WHERE user_id = ANY (%(users)s) GROUP BY 1 ORDER BY 1"
    )
    users = [UUID(int=number) for number in range(1, USERS + 1)]

    async def use(app: App) -> None:
        loader = app.loader(user_id=users[1])
        rows = await loader.fetch(query, {"users": users})
        merged = await loader.merge(rows, key="user_id", into="user", table="users")
        assert merged.rows == [{"user_id": users[1], "user": row_of(2)}]
        everybody = await app.loader(role="admin").fetch(query, {"users": users})
        assert [row["user_id"] for row in everybody] == users
        assert await app.loader().fetch(query, {"users": users}) == []
        with pytest.raises(TargetError, match="read-only"):
            await loader.fetch("DELETE FROM conversations")
        for text in ("SELECT 1; COMMIT", "COMMIT; BEGIN; SELECT 1", "SELECT 1 AS a; SELECT 2 AS a"):
            with pytest.raises(UsageError, match="one statement"):
                await loader.fetch(text)
        assert await loader.fetch("SELECT 7 AS n") == [{"n": 7}]

    pair.act(use, app__pool_size=1)


def test_fifty_users_at_once_never_see_rows_of_each_other(pair: Pair) -> None:
    rows = [{"user_id": UUID(int=number)} for number in range(1, USERS + 1)]

    async def see(app: App, number: int) -> None:
        async with app.session(user_id=UUID(int=number)) as db:
            await db.execute("SELECT pg_sleep(0.01)")
            merged = await app.merge(rows, key="user_id", into="user", table="users")
            seen = [row["user"] for row in merged.rows if row["user"]["id"]]
            assert seen == [row_of(number)]

    async def use(app: App) -> None:
        await asyncio.gather(*(see(app, n % USERS + 1) for n in range(50)))

    pair.act(use, app__pool_size=3)


COUNTED = """
CREATE FUNCTION counted() RETURNS bool STABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
ALTER TABLE plans ENABLE ROW LEVEL SECURITY;
CREATE POLICY counted ON plans USING ((SELECT counted()));
ALTER ROLE twodb_app SET track_functions = pl
"""


def test_one_query_for_each_thousand_distinct_keys_and_none_for_known_ones(pair: Pair) -> None:
    numbers = [n % 2_500 for n in range(5_000)]
    rows = [{"plan": number} for number in numbers]

    async def use(app: App) -> Merged:
        loader = app.loader(user_id=UUID(int=1))
        merged = await loader.merge(rows, key="plan", into="it", table="plans")
        assert await loader.merge(rows, key="plan", into="it", table="plans") == merged
        return merged

    pair.query(COUNTED)
    merged = pair.act(use)
    names = [row["it"]["name"] for row in merged.rows]
    assert names == [f"plan {number}" for number in numbers]
    assert rows[0] == {"plan": 0}
    calls = "SELECT calls FROM pg_stat_user_functions WHERE funcname = 'counted'"
    wait_until(lambda: pair.query(calls), "statistics")
    assert pair.query(calls) == [(-(-2_500 // BATCH),)]
    pair.query("ALTER ROLE twodb_app RESET track_functions; DROP FUNCTION counted CASCADE")
    pair.query("ALTER TABLE plans DISABLE ROW LEVEL SECURITY")


def test_a_loader_reads_other_columns_of_a_row_that_it_has_read(pair: Pair) -> None:
    async def use(app: App) -> list[object]:
        loader, rows = app.loader(role="admin"), [{"plan": 7}]
        asked = (["id"], ["name"], None)
        found = [
            await loader.merge(rows, key="plan", into="it", table="plans", columns=columns)
            for columns in asked
        ]
        return [each.rows[0]["it"] for each in found]

    whole = {"id": 7, "name": "plan 7"}
    assert pair.act(use) == [{"id": 7}, {"name": "plan 7"}, whole]


KEYS: list[tuple[str, object, object]] = [
    ("users", None, None),
    ("users", "no uuid", "fallback"),
    ("users", "00000000000000000000000000000001", "row"),
    ("users", "x' OR true --", "fallback"),
    ("users", "a\0b", "fallback"),
    ("plans", "7", "row"),
    ("plans", 2**31, None),
    ("plans", -(2**31), None),
    ("plans", "9" * 30, None),
    ("plans", True, None),
    ("users", "\ud800", "fallback"),
]


@pytest.mark.parametrize(("table", "key", "found"), KEYS)
def test_a_key_of_any_form_is_looked_up_or_missing(
    pair: Pair, table: str, key: object, found: object
) -> None:
    async def use(app: App) -> Merged:
        loader = app.loader(role="admin")
        return await loader.merge([{"k": key}], key="k", into="it", table=table)

    merged = pair.act(use)
    value = merged.rows[0]["it"]
    if found == "row":
        assert value["id"] == (UUID(int=1) if table == "users" else 7)
    elif found == "fallback":
        assert value == {"id": None, "email": str(key), **FALLBACK}
    else:
        assert value is None
    assert merged.missing == ([] if found == "row" or key is None else [key])


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"table": "user"}, "'user' is not a table of the manifest"),
    ({"columns": ["mail"]}, "'mail' is not a column of 'users'"),
    ({"key": "user"}, "a row has no 'user'"),
    ({"role": "nobody"}, "there is no role 'nobody'"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_what_is_not_there_is_named(pair: Pair, change: dict[str, Any], message: str) -> None:
    async def use(app: App) -> None:
        asked = {"key": "user_id", "into": "user", "table": "users", "role": "admin", **change}
        with pytest.raises(UsageError, match=message) as caught:
            await app.merge([{"user_id": 1}], **asked)
        assert caught.value.remedy

    pair.act(use)


def test_a_number_is_not_the_uuid_of_that_number(pair: Pair) -> None:
    rows = [{"user_id": key} for key in (UUID(int=1), 1, str(UUID(int=1)), UUID(int=1).hex, 1.0)]

    async def use(app: App) -> Merged:
        return await app.merge(rows, key="user_id", into="user", table="users", role="admin")

    merged = pair.act(use)
    ids = [row["user"]["id"] for row in merged.rows]
    assert ids == [UUID(int=1), None, UUID(int=1), UUID(int=1), None]
    assert merged.missing == [1]


def test_a_key_that_equals_another_one_of_another_type_takes_no_row_from_it(pair: Pair) -> None:
    async def use(app: App) -> Merged:
        rows = [{"k": key} for key in (True, 1.0, 1, "1")]
        return await app.loader(role="admin").merge(rows, key="k", into="it", table="plans")

    merged = pair.act(use)
    row = {"id": 1, "name": "plan 1"}
    assert [each["it"] for each in merged.rows] == [None, None, row, row]


@pytest.mark.parametrize("key", [[1], {}, {1}])
def test_a_key_that_cannot_be_compared_is_refused_by_name(pair: Pair, key: object) -> None:
    async def use(app: App) -> None:
        loader = app.loader(role="admin")
        with pytest.raises(UsageError, match=f"a row has a {type(key).__name__} in 'k'"):
            await loader.merge([{"k": key}], key="k", into="it", table="plans")

    pair.act(use)


def test_a_fallback_whose_key_is_no_number_has_none_there() -> None:
    text = """assise: 1
name: a
postgres: {main: {}, auth: {url: "postgresql:///a"}}
tables:
  people:
    on: auth
    primary_key: id
    fallback: {number: "{key}", name: "{key}"}
    columns: {id: text, number: int8, name: text}
"""

    class Nothing:
        async def read(self, _wanted: Wanted, _keys: Sequence[RowKey]) -> RowsByKey:
            return {}

    async def find_nothing(_query: str, _parameters: Arguments) -> list[Record]:
        return []

    loader = Loader(parse_manifest(text), lambda _server: Nothing(), find_nothing, {})
    rows = [{"k": "anna"}, {"k": "7"}]
    merged = asyncio.run(loader.merge(rows, key="k", into="it", table="people"))
    found = [(row["it"]["number"], row["it"]["name"]) for row in merged.rows]
    assert found == [(None, "anna"), (7, "7")]


def test_a_server_that_is_down_is_an_error_or_partial_as_asked(pair: Pair) -> None:
    keys: list[object] = [UUID(int=1), None, "no uuid"]
    rows = [{"user_id": key} for key in keys]
    asked: dict[str, Any] = {"key": "user_id", "into": "user", "table": "users"}

    async def use(app: App) -> None:
        loader = app.loader(role="admin")
        first = await loader.merge(rows[:1], **asked)
        app.urls["auth.app"] = "postgresql://x@127.0.0.1:1/x"
        loader = app.loader(user_id=UUID(int=1))
        with pytest.raises(TargetError, match=r"127\.0\.0\.1"):
            await loader.merge(rows, **asked)
        merged = await loader.merge(rows, **asked, if_down="partial")
        assert (merged.partial, merged.missing) == (True, ["no uuid"])
        emails = [row["user"] and row["user"]["email"] for row in merged.rows]
        assert emails == [str(UUID(int=1)), None, "no uuid"]
        assert not first.partial
        async with app.session(role="admin") as db:
            assert await db.fetch_value("SELECT count(*) FROM conversations") == 60

    pair.act(use)


def test_a_server_that_does_not_answer_is_not_asked_again_for_a_while(pair: Pair) -> None:
    asked: dict[str, Any] = {"key": "plan", "into": "it", "table": "plans", "if_down": "partial"}

    async def is_partial(app: App) -> bool:
        merged = await app.loader(role="admin").merge([{"plan": 1}], **asked)
        assert merged.rows[0]["it"] == (None if merged.partial else {"id": 1, "name": "plan 1"})
        return merged.partial

    async def use(app: App) -> None:
        assert not await is_partial(app)
        with psycopg.connect(pair.auth) as connection:
            connection.execute("LOCK TABLE plans")
            assert await is_partial(app)
        paused = app.loader(role="admin").asked_again
        assert paused.keys() == {"auth"}
        paused["auth"] += 3_600
        assert await is_partial(app)
        del paused["auth"]
        assert not await is_partial(app)

    pair.act(use)


def test_what_the_server_refuses_is_an_error_and_never_partial(pair: Pair) -> None:
    async def use(app: App) -> None:
        loader = app.loader(user_id=UUID(int=1))
        with pytest.raises(TargetError, match="permission denied"):
            await loader.merge([{"k": 1}], key="k", into="it", table="plans", if_down="partial")

    pair.query("REVOKE SELECT ON plans FROM twodb_app")
    try:
        pair.act(use)
    finally:
        pair.query("GRANT SELECT ON plans TO twodb_app")


def test_a_login_that_goes_around_the_rules_is_refused_for_users_alone(pair: Pair) -> None:
    async def use(app: App) -> None:
        app.urls.update({"auth.app": pair.auth, "auth.admin": pair.auth})
        with pytest.raises(TargetError, match="is a superuser, so that no rule binds it"):
            async with app.session(user_id=UUID(int=1), on="auth"):
                pass
        async with app.session(role="admin", on="auth") as db:
            assert await db.fetch_value("SELECT count(*) FROM users") == USERS
        with pytest.raises(UsageError, match="there is no server 'aut'"):
            app.session(on="aut")

    pair.act(use)


def make_web(app: App) -> FastAPI:
    """Routes that merge in the session of their user, and by a loader of their request."""

    def find_user(x_user: Annotated[UUID, Header()]) -> UUID:
        return x_user

    web = FastAPI()
    session: Any = app.user_session(find_user)
    loader: Any = app.user_loader(find_user)
    asked: dict[str, Any] = {"key": "id", "into": "user", "table": "users", "columns": ["email"]}
    rows = [{"id": UUID(int=number)} for number in range(1, USERS + 1)]

    @web.get("/session")
    async def merge_in_session(db: Session = session) -> list[dict[str, Any]]:
        await db.execute("SELECT pg_sleep(0.005)")
        return (await app.merge(rows, **asked)).rows

    @web.get("/loader")
    async def merge_by_loader(
        first: Loader = loader, second: Loader = loader
    ) -> list[dict[str, Any]]:
        assert first is second
        return (await first.merge(rows, **asked)).rows

    return web


@pytest.mark.parametrize("path", ["/session", "/loader"])
def test_requests_at_once_see_the_row_of_their_own_user(pair: Pair, path: str) -> None:
    async def use(app: App) -> None:
        transport = httpx.ASGITransport(make_web(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://chat") as client:

            async def see(number: int) -> None:
                answer = await client.get(path, headers={"X-User": str(UUID(int=number))})
                emails = [row["user"]["email"] for row in answer.json()]
                assert emails[number - 1] == f"user{number}@example.org"
                assert all("@" not in each for each in emails[: number - 1] + emails[number:])

            await asyncio.gather(*(see(n % USERS + 1) for n in range(30)))

    pair.act(use, app__pool_size=4)
