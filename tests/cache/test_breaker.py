"""Redis away, hung, full, restarted, or closed to us: calls go on, and no value is wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cache.conftest import PATIENT_MS
from tests.cache.servers import read_pid, run_server, write_app

from assise.app import App
from assise.cache.cached import CachedFunction
from assise.errors import RedisError, UsageError
from assise.redis.client import Client
from assise.redis.embedded import EmbeddedRedis

pytestmark = pytest.mark.contract

FUNCTION_S = 0.01
HASTY_MS = 1_000
Calls = list[int]
Function = CachedFunction[[int], int]


def count(app: App, calls: Calls) -> Function:
    """A cached function of 10 ms that notes its calls, and gives how many there were."""

    @app.cache("counted", ttl=60, tags=["t:{n}"])
    async def counted(n: int) -> int:
        calls.append(n)
        await asyncio.sleep(FUNCTION_S)
        return len(calls)

    return counted


@pytest.fixture
def app(own_server: EmbeddedRedis, tmp_path: Path) -> App:
    return write_app(tmp_path, own_server.url, own_server.url, cache__timeout_ms=PATIENT_MS)


@pytest.fixture
def hasty(own_server: EmbeddedRedis, tmp_path: Path) -> App:
    """An application that does not wait for long."""
    return write_app(tmp_path, own_server.url, own_server.url, cache__timeout_ms=HASTY_MS)


def run(app: App, work: Callable[[Function, Calls], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine with the application."""
    calls: Calls = []
    counted = count(app, calls)

    async def all_of_it() -> None:
        async with app:
            await work(counted, calls)

    asyncio.run(all_of_it())


@contextmanager
def stopped(server: EmbeddedRedis) -> Iterator[None]:
    """The server hangs while the block runs."""
    os.kill(read_pid(server), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(read_pid(server), signal.SIGCONT)


async def wait_until_closed(app: App) -> None:
    """Wait until the breaker has closed."""
    ends = time.monotonic() + 20
    while app.cache.store.breaker.is_open:
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)


def test_a_hung_server_is_waited_for_once_by_fifty_callers(
    hasty: App, own_server: EmbeddedRedis
) -> None:
    async def work(counted: Function, calls: Calls) -> None:
        first = await counted(1)
        with stopped(own_server):
            assert await asyncio.gather(*(counted(1) for _ in range(50))) != [first] * 50
            assert hasty.cache.store.breaker.is_open
            assert "does not answer in time" in hasty.cache.store.breaker.reason
            before = len(calls)
            assert await counted(1) == before + 1
            assert await hasty.cache.set("x", 1, ttl=60) is False
            assert await hasty.cache.get("x", default=2) == 2
            assert hasty.cache.store.breaker.opened == 1
        await wait_until_closed(hasty)
        assert await counted(1) == first
        assert hasty.cache.counts["counted"].bypassed == 51

    run(hasty, work)


def test_what_was_invalidated_while_the_server_hung_is_replayed_before_it_is_asked(
    hasty: App, own_server: EmbeddedRedis
) -> None:
    async def work(counted: Function, _calls: Calls) -> None:
        for n in (1, 2, 3):
            await counted(n)
        await hasty.cache.set("own", 1, ttl=60)
        with stopped(own_server):
            with pytest.raises(RedisError, match="nothing was invalidated") as raised:
                await hasty.cache.invalidate(["t:1"])
            assert "repeated before this process asks Redis again" in raised.value.remedy
            with pytest.raises(RedisError):
                await counted.invalidate(2)
            with pytest.raises(RedisError):
                await hasty.cache.delete("own")
        await wait_until_closed(hasty)
        assert [await counted(n) for n in (1, 2, 3)] == [4, 5, 3]
        assert await hasty.cache.get("own") is None

    run(hasty, work)


def test_a_server_that_is_killed_and_comes_back(app: App, own_server: EmbeddedRedis) -> None:
    async def work(counted: Function, _calls: Calls) -> None:
        assert [await counted(1), await counted(1)] == [1, 1]
        os.kill(read_pid(own_server), signal.SIGKILL)
        while own_server.is_running():
            await asyncio.sleep(0.01)
        assert [await counted(1), await counted(1)] == [2, 3]
        assert "cannot be reached" in app.cache.store.breaker.reason
        own_server.start()
        await wait_until_closed(app)
        assert [await counted(1), await counted(1)] == [4, 4]

    run(app, work)


def test_a_server_that_comes_back_between_two_calls(app: App, own_server: EmbeddedRedis) -> None:
    """Connections of before are gone: nothing is sent twice, and the call answers."""

    async def work(counted: Function, _calls: Calls) -> None:
        await counted(1)
        own_server.stop()
        own_server.start()
        assert await counted(1) == 2
        await wait_until_closed(app)
        assert [await counted(1), await counted(1)] == [3, 3]

    run(app, work)


def test_a_full_server(app: App) -> None:
    """Values are not stored, nobody waits, and what is there is read and invalidated."""

    async def work(counted: Function, calls: Calls) -> None:
        await counted(1)
        client = app.cache.store.client
        await client.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        await client.ask("CONFIG", "SET", "maxmemory", "1")
        assert await counted(1) == 1
        await asyncio.gather(*(counted(2) for _ in range(20)))
        assert calls.count(2) == 20
        assert not app.cache.store.breaker.is_open
        assert "maxmemory" in app.cache.store.breaker.reason
        assert await app.cache.set("x", 1, ttl=60) is False
        await app.cache.invalidate(["t:1"])
        await client.ask("CONFIG", "SET", "maxmemory", "0")
        assert await counted(1) == len(calls)

    run(app, work)


def test_users_that_may_not(own_server: EmbeddedRedis, tmp_path: Path) -> None:
    """A user who only reads, and a wrong password, which no message shows."""

    async def work() -> None:
        admin = Client(own_server.url, timeout_s=5, size=1)
        rules = ("on", ">s3cret", "~*", "+@read", "+ping")
        await admin.ask("ACL", "SETUSER", "reader", *rules)
        await admin.close()
        place = own_server.url.removeprefix("unix://")
        for password, expected in (("s3cret", "no permissions"), ("s3krit", "username-password")):
            url = f"unix://reader:{password}@{place}"
            async with write_app(
                tmp_path / password, url, url, cache__timeout_ms=PATIENT_MS
            ) as app:
                calls: Calls = []
                counted = count(app, calls)
                assert [await counted(1), await counted(1)] == [1, 2]
                with pytest.raises(RedisError, match="nothing was invalidated") as raised:
                    await app.cache.invalidate(["t:1"])
                assert password not in str(raised.value)
                assert expected in raised.value.message

    asyncio.run(work())


def test_a_replica_is_read_and_never_written(tmp_path: Path, app: App) -> None:
    with run_server(tmp_path / "replica") as replica:

        async def work(counted: Function, calls: Calls) -> None:
            await counted(1)
            admin = Client(replica.url, timeout_s=5, size=1)
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            await admin.ask("REPLICAOF", "127.0.0.1", port)
            async with write_app(
                tmp_path / "other", replica.url, replica.url, cache__timeout_ms=PATIENT_MS
            ) as other:
                calls.clear()
                there = count(other, calls)
                # Its link is down, so it refuses reads too, as it was told to serve stale data not.
                await admin.ask("CONFIG", "SET", "replica-serve-stale-data", "no")
                assert [await there(1), await there(1)] == [1, 2]
                await admin.ask("CONFIG", "SET", "replica-serve-stale-data", "yes")
                assert await there(1) == 3
                with pytest.raises(RedisError, match="nothing was invalidated"):
                    await other.cache.invalidate(["t:1"])
            await admin.close()

        run(app, work)


@pytest.mark.parametrize(
    "url",
    ["redis://127.0.0.1:1/0", "rediss://u:secret@127.0.0.1:1", "unix:///nowhere/redis.sock"],
)
def test_nobody_listens(tmp_path: Path, url: str) -> None:
    async def work(counted: Function, _calls: Calls) -> None:
        assert await asyncio.gather(*(counted(1) for _ in range(5))) == [5] * 5
        with pytest.raises(RedisError, match="nothing was invalidated") as raised:
            await nowhere.cache.invalidate(["t:1"])
        assert "secret" not in str(raised.value)

    nowhere = write_app(tmp_path, url, url)
    run(nowhere, work)


def test_a_server_with_a_port_a_password_and_a_database(
    own_server: EmbeddedRedis, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def work() -> None:
        admin = Client(own_server.url, timeout_s=30, size=1)
        await admin.ask("CONFIG", "SET", "port", port)
        await admin.ask("CONFIG", "SET", "requirepass", "p@ss/word")
        url = f"redis://:p%40ss%2Fword@127.0.0.1:{port}/3"
        async with write_app(tmp_path, url, url, cache__timeout_ms=PATIENT_MS) as there:
            calls: Calls = []
            counted = count(there, calls)
            found = await asyncio.gather(*(counted(1) for _ in range(50)))
            assert (set(found), await counted(1)) == ({1}, 1)
            assert there.cache.store.target == f"redis://127.0.0.1:{port}/3"
        await admin.ask("AUTH", "p@ss/word")
        assert "db3" in await admin.native.info("keyspace")
        await admin.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:1", "begins with none of redis://, rediss://, unix://"),
        ("http://:secret@localhost:6379", "begins with none of"),
        ("", "begins with none of"),
        ("redis://:secret@host:99999999/0", "its port is no number"),
        ("redis://:secret@[host", "it is no URL"),
        ("redis://:secret@host:6379/first", "its database is no number"),
        ("redis://:secret@host:6379/0?db=x", "cannot be used: ValueError"),
        ("unix://", "it has no path"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        Client(url, timeout_s=1, size=1)
    assert "secret" not in str(raised.value)
    assert "redis://host:6379/0" in raised.value.remedy


def test_options_of_the_url_bring_no_retries_back(own_server: EmbeddedRedis) -> None:
    """Redis-py repeats a command whose reply was lost: an INCR would count twice."""

    async def work() -> None:
        options = "retry_on_timeout=true&max_connections=3&decode_responses=true"
        client = Client(f"{own_server.url}?{options}", timeout_s=1, size=1)
        await client.ask("SET", "n", 0)
        with stopped(own_server), pytest.raises(Exception, match="imeout"):
            await client.ask("INCR", "n")
        assert await client.ask("GET", "n") == b"1"
        await client.close()

    asyncio.run(work())
