"""Profiles by Supabase's REST interface: the same rows, the same rights, and a key nobody sees."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import jwt
import pytest
from tests.identity.conftest import FALLBACK, USERS, Pair, row_of
from tests.servers.rest import SECRET, SERVICE_KEY, RestServer, run_rest

from assise.app import App
from assise.errors import TargetError, UsageError
from assise.merge import Merged
from assise.postgres.rest import BATCH, MAX_BYTES, Rest

T = TypeVar("T")
ASKED: dict[str, Any] = {"key": "user_id", "into": "user", "table": "users"}
ROWS = [{"user_id": str(UUID(int=number))} for number in range(1, USERS + 2)]


@pytest.fixture
def rest(pair: Pair) -> Iterator[RestServer]:
    """The REST interface of the server auth."""
    with run_rest(pair.auth) as server:
        yield server


@pytest.fixture
def folder(pair: Pair, rest: RestServer, tmp_path: Path) -> Path:
    """A manifest whose server auth is read by its REST interface alone."""
    head, _, tables = pair.project.path.read_text().partition("roles:")
    (name,) = [line for line in head.splitlines() if line.startswith("name:")]
    servers = f'postgres: {{main: {{}}, auth: {{rest: "{rest.address}", service_key: "${{KEY}}"}}}}'
    (tmp_path / "assise.yaml").write_text(f"assise: 1\n{name}\n{servers}\nroles:{tables}")
    return tmp_path


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", SERVICE_KEY)


def use(folder: Path, function: Callable[[App], Coroutine[Any, Any, T]]) -> T:
    async def call() -> T:
        async with App(folder) as app:
            return await function(app)

    return asyncio.run(call())


def token_of(number: int) -> str:
    claims = {"sub": str(UUID(int=number)), "role": "authenticated", "aud": "authenticated"}
    return jwt.encode(claims, SECRET)


def test_the_rows_are_those_of_a_direct_connection(pair: Pair, folder: Path) -> None:
    async def merge(app: App) -> Merged:
        return await app.merge(ROWS, **ASKED, role="admin")

    merged = use(folder, merge)
    assert merged == pair.act(merge)
    fallback = {"id": None, "email": str(UUID(int=6)), **FALLBACK}
    assert [row["user"] for row in merged.rows] == [*map(row_of, range(1, 6)), fallback]


def test_a_user_sees_the_own_row_by_the_own_token(folder: Path, rest: RestServer) -> None:
    async def merge(app: App) -> list[Any]:
        with pytest.raises(UsageError, match="asks for the user's token"):
            await app.loader(user_id=UUID(int=1)).merge(ROWS, **ASKED)
        found = await app.loader(token=token_of(2)).merge(ROWS, **ASKED)
        return [row["user"]["id"] for row in found.rows]

    assert use(folder, merge) == [None, UUID(int=2), None, None, None, None]
    ((_, headers),) = rest.asked
    assert headers["authorization"] == f"Bearer {token_of(2)}"


def test_many_keys_are_asked_for_in_short_requests(
    pair: Pair, folder: Path, rest: RestServer
) -> None:
    pair.query("GRANT SELECT ON plans TO service_role")
    rows = [{"plan": n} for n in range(-5, 1_000)]

    async def merge(app: App) -> Merged:
        loader = app.loader(role="admin")
        return await loader.merge(rows, key="plan", into="it", table="plans", columns=["name"])

    merged = use(folder, merge)
    assert merged.missing == [-5, -4, -3, -2, -1]
    names = [row["it"]["name"] for row in merged.rows[5:]]
    assert names == [f"plan {n}" for n in range(1_000)]
    assert len(rest.asked) == -(-len(rows) // BATCH)
    assert max(len(path) for path, _ in rest.asked) < 6_000


BROKEN: list[tuple[tuple[int, bytes], str]] = [
    ((200, b"<html>"), "refuses: HTTP 200"),
    ((200, b'{"a": 1}'), "refuses: HTTP 200"),
    ((200, b"[1]"), "refuses: HTTP 200"),
    ((200, b'[{"id": "no uuid"}]'), "is not of the type"),
    ((200, b'[{"email": "of nobody"}]'), "is not of the type"),
    ((200, b"[" + b" " * MAX_BYTES + b"]"), "an answer of over 16,777,216 bytes"),
    ((302, b""), "refuses: HTTP 302"),
    ((401, b'{"code": "PGRST301"}'), "refuses: HTTP 401, PGRST301"),
    ((404, b'{"code": "x\\n\\u001b[31m"}'), r"refuses: HTTP 404\nCheck"),
    ((503, b"down"), "does not answer: HTTP 503"),
]


@pytest.mark.parametrize(("broken", "message"), BROKEN)
def test_what_is_no_answer_is_an_error(
    folder: Path, rest: RestServer, broken: tuple[int, bytes], message: str
) -> None:
    async def merge(app: App) -> None:
        with pytest.raises(TargetError, match=message):
            await app.merge(ROWS, **ASKED, role="admin")
        found = app.loader(role="admin")
        if broken[0] == 503:
            assert (await found.merge(ROWS, **ASKED, if_down="partial")).partial
        else:
            with pytest.raises(TargetError):
                await found.merge(ROWS, **ASKED, if_down="partial")

    rest.broken = broken
    use(folder, merge)


def test_the_service_key_is_in_no_log_and_no_error(
    folder: Path, rest: RestServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []

    async def merge(app: App) -> None:
        for broken in ((401, SERVICE_KEY.encode()), (500, SERVICE_KEY.encode()), None):
            rest.broken = broken
            for loader in (app.loader(role="admin"), app.loader(token="no token")):
                try:
                    await loader.merge(ROWS, **ASKED)
                except TargetError as error:
                    shown.extend((str(error), repr(error), repr(error.__cause__)))
                shown.append(repr(loader))
        await app.close()
        app.servers._rests["auth"] = Rest("http://127.0.0.1:1", SERVICE_KEY)  # noqa: SLF001
        with pytest.raises(TargetError) as caught:
            await app.loader(role="admin").merge(ROWS, **ASKED)
        shown.extend(
            (str(caught.value), repr(caught.value.__cause__), repr(caught.value.as_json()))
        )

    use(folder, merge)
    assert len(shown) > 10
    assert caplog.text
    assert SERVICE_KEY not in "".join([*shown, caplog.text])


@pytest.mark.parametrize(
    ("address", "key", "message"),
    [
        ("http://project.supabase.co", "k", "is not https"),
        ("https://project.supabase.co", "", "has no service key"),
        ("https://project.supabase.co", "a\nb", "has no service key"),
    ],
)
def test_an_address_or_a_key_that_cannot_be_is_refused(
    address: str, key: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Rest(address, key)


def test_without_a_connection_there_are_no_sessions(folder: Path) -> None:
    async def sign_in(app: App) -> None:
        async with app.session(user_id=UUID(int=1), on="auth"):
            pass

    with pytest.raises(UsageError, match="read by its REST interface alone"):
        use(folder, sign_in)
    assert not (folder / ".assise" / "servers").exists()
