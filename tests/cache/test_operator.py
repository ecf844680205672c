"""`assise cache` and the embedded servers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cache.conftest import MakeApp
from tests.cache.servers import read_pid

from assise.cli.run import run as run_command
from assise.errors import RedisError
from assise.redis.client import Client
from assise.redis.embedded import EmbeddedRedis
from assise.redis.facts import ServerFacts, read_facts

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = run_command([str(each) for each in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def ask(url: str) -> ServerFacts:
    async def read() -> ServerFacts:
        client = Client(url, timeout_s=5, size=1)
        try:
            return await read_facts(client)
        finally:
            await client.close()

    return asyncio.run(read())


def test_one_server_evicts_and_the_other_keeps_all(
    cache_server: EmbeddedRedis, data_server: EmbeddedRedis
) -> None:
    cache, data = ask(cache_server.url), ask(data_server.url)
    assert (cache.policy, cache.limit, cache.evicts) == ("allkeys-lru", 256 << 20, True)
    assert (data.policy, data.limit, data.evicts) == ("noeviction", 0, False)
    assert stat.S_IMODE(cache_server.socket.parent.stat().st_mode) == 0o700


def test_what_the_second_server_holds_survives_its_end(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path, "data")

    async def work(*command: str) -> object:
        client = Client(server.url, timeout_s=5, size=1)
        try:
            return await client.ask(*command)
        finally:
            await client.close()

    assert server.stop() is False
    server.start()
    assert server.start() == server.url
    asyncio.run(work("SET", "kept", "1"))
    assert server.stop() is True
    server.start()
    assert asyncio.run(work("GET", "kept")) == b"1"
    os.kill(read_pid(server), signal.SIGKILL)
    while server.is_running():
        pass
    server.start()
    assert asyncio.run(work("GET", "kept")) == b"1"
    server.stop()


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    server = EmbeddedRedis(tmp_path, "cache")
    server.data.mkdir(parents=True)
    server.socket.parent.mkdir()
    server.socket.parent.chmod(0o755)
    with pytest.raises(RedisError, match="is not private"):
        server.start()
    server.socket.parent.rmdir()


def test_stats_and_clear(make_app: MakeApp, command: Run) -> None:
    app = make_app()
    path = app.workspace.path

    @app.cache("reports", ttl=60, tags=["reports:{user}"])
    async def reports(user: int) -> int:
        return user

    async def work(*users: int) -> None:
        async with app:
            for user in users:
                await reports(user)

    asyncio.run(work(1, 1, 1, 2))
    code, out, _ = command("cache", "stats", "-f", path, "--json")
    found = json.loads(out)
    assert (code, found["server"]["policy"]) == (0, "allkeys-lru")
    (stats,) = found["functions"]
    assert {"name": "reports", "hits": 2, "loads": 2, "hit_rate": 0.5}.items() <= stats.items()
    assert command("cache", "clear", "--tag", "reports:1", "-f", path)[:2] == (
        0,
        "1 tag invalidated\n",
    )
    asyncio.run(work(1, 2))
    assert (
        "reports: 50% of 6 calls were hits; 3 loads of" in command("cache", "stats", "-f", path)[1]
    )
    cleared = command("cache", "clear", "--pattern", "reports:*", "-f", path)
    assert cleared[:2] == (0, "2 keys deleted\n")
    asyncio.run(work(1, 2))
    everything = ("cache", "clear", "--pattern", "[a-z]*", "-f", path)
    code, _, err = command(*everything)
    assert (code, "not confirmed: all values of the cache at unix://" in err) == (2, True)
    code, out, _ = command(*everything, "--yes")
    assert (code, int(out.split()[0]) >= 2) == (0, True)
    code, _, err = command("cache", "clear", "-f", path)
    assert (code, "nothing is named" in err) == (2, True)


def test_servers_that_are_not_there(tmp_path: Path, command: Run) -> None:
    path = tmp_path / "assise.yaml"
    table = "tables: {users: {collection: users, primary_key: id, columns: {id: {type: int4, from: _id}}}}"
    for redis, code, said in [
        ("", 2, "has no Redis"),
        ("redis: unix:///nowhere.sock", 1, "cannot be reached"),
        ("redis: {cache: '${NOWHERE}'}", 2, "NOWHERE is not set"),
        ("redis: http://host", 2, "redis: is neither embedded nor a URL"),
        ("redis: {prefix: 'a:b'}", 2, "is no prefix"),
    ]:
        path.write_text(f"assise: 1\nname: app\n{redis}\n{table}\n")
        found = command("cache", "stats", "-f", path)
        assert (found[0], said in found[2]) == (code, True), found
