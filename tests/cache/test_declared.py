"""Declared keys: values, counters, queues, limits, places; and what `assise redis` says of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cache.servers import run_server, write_app

from assise.app import App
from assise.cache.inspect import judge_server
from assise.cache.limits import Limits
from assise.cache.queues import QueuedJob, QueueState
from assise.cli.run import run as run_command
from assise.errors import ManifestError, RedisError, UsageError
from assise.manifest.read import parse_manifest
from assise.redis.client import Client
from assise.redis.embedded import EmbeddedRedis
from assise.redis.facts import ServerFacts, read_facts

pytestmark = pytest.mark.contract

KEYS = """redis_keys:
  session: {pattern: "user:session:{user_id}", type: json, keep: 24 hours}
  api: {pattern: "api:cache:{endpoint}:{params_hash}", type: json, server: cache, db: 1, keep: 5 minutes}
  emails: {pattern: "queue:emails", type: queue, db: 2, tries: 2, visible: 100ms}
  calls: {pattern: "rate_limit:api:{user_id}:{endpoint}", type: limit, db: 3, limit: 3/hour}
  login: {pattern: "rate_limit:login:{ip}", type: limit, db: 3, limit: 5/15 minutes}
  providers: {pattern: "geo:providers:{category}", type: geo, db: 4}
  daily: {pattern: "stats:daily:transactions:{date}", type: counter, db: 5, keep: 90 days}
"""


class Session(msgspec.Struct):
    """A session."""

    user_id: int
    roles: list[str]


@pytest.fixture
def app(cache_server: EmbeddedRedis, data_server: EmbeddedRedis, tmp_path: Path) -> App:
    return declare(tmp_path, cache_server.url, data_server.url, tmp_path.name)


def declare(folder: Path, cache: str, data: str, prefix: str) -> App:
    app = write_app(folder, cache, data, prefix)
    app.workspace.path.write_text(app.workspace.path.read_text() + KEYS)
    return app


def run(app: App, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def all_of_it() -> None:
        async with app:
            await work()

    asyncio.run(all_of_it())


def test_values_and_counters(app: App) -> None:
    async def work() -> None:
        sessions = app.redis.value("session", Session)
        await sessions.set(Session(7, ["a"]), user_id=7)
        assert await sessions.get(user_id=7) == Session(7, ["a"])
        assert await sessions.get(user_id=8, default="none") == "none"
        client = app.redis.client()
        key = f"{app.cache.prefix}user:session:7"
        assert json.loads(await client.ask("GET", key)) == {"user_id": 7, "roles": ["a"]}
        assert 0 < await client.ask("TTL", key) <= 86_400
        await client.ask("SET", key, '{"user_id": "x"}')
        with pytest.raises(UsageError, match=r"what stands at .*user:session:7 is no"):
            await sessions.get(user_id=7)
        assert (await sessions.delete(user_id=7), await sessions.delete(user_id=7)) == (True, False)
        with pytest.raises(UsageError, match="its fields do not fit: user_id"):
            await sessions.get()
        api = app.redis.value("api")
        await api.set([1], endpoint="a:b", params_hash="c")
        assert await api.get(endpoint="a", params_hash="b:c") is None
        daily = app.redis.counter("daily")
        assert await daily.add(date="2026-01-01") == {"count": 1}
        added = await daily.add({"count": 2, "cents": 550}, date="2026-01-01")
        assert added == await daily.read(date="2026-01-01") == {"count": 3, "cents": 550}
        for odd in (1.5, "1", True, 1 << 63):
            with pytest.raises(UsageError, match="cannot be added"):
                await daily.add({"count": 1, "cents": odd}, date="2026-01-01")  # type: ignore[dict-item]
        assert await daily.read(date="2026-01-01") == added
        with pytest.raises(UsageError, match="no 'sesion' of type json") as raised:
            app.redis.value("sesion")
        assert "session" in raised.value.remedy

    run(app, work)


def test_limits_count_in_redis(app: App) -> None:
    async def work() -> None:
        calls = app.redis.limit("calls")
        limits: Limits = calls.limits
        key = calls.key({"user_id": 1, "endpoint": "x"})
        rate, hour = (3, 3_600.0), 3_600_000
        at = 1_000 * hour

        async def hit(ms: int, cost: int = 1) -> tuple[bool, int, float]:
            found = await limits.hit(key, rate, at_ms=at + ms, cost=cost)
            assert not found.is_local
            return found.is_allowed, found.remaining, found.retry_after_s

        assert [await hit(0) for _ in range(3)] == [(True, 2, 0), (True, 1, 0), (True, 0, 0)]
        assert await hit(hour // 2) == (False, 0, 3_600 / 2 + 3_600 / 3)
        assert (await hit(hour + hour // 3 - 2))[0] is False
        assert (await hit(hour + hour // 3 + 1))[0] is True
        assert (await hit(hour + hour // 3 + 2))[0] is False
        assert await hit(10 * hour, cost=3) == (True, 0, 0)
        with pytest.raises(UsageError, match="cost is 4"):
            await calls.hit(cost=4, user_id=1, endpoint="x")
        login = app.redis.limit("login")
        for left in (4, 3, 2, 1, 0):
            assert (await login.check(ip="::1")).is_allowed
            assert (await login.hit(ip="::1")).remaining == left
        refused = await login.check(ip="::1")
        assert not refused.is_allowed
        assert 0 < refused.retry_after_s <= 1_800
        await login.clear(ip="::1")
        assert (await login.check(ip="::1")).is_allowed

    run(app, work)


def test_limits_go_on_by_themselves_while_redis_is_away(tmp_path: Path) -> None:
    nowhere = "unix:///nowhere/redis.sock"

    async def work() -> None:
        calls = away.redis.limit("calls")
        found = [await calls.hit(user_id=1, endpoint="x") for _ in range(4)]
        assert [each.is_allowed for each in found] == [True, True, True, False]
        assert {each.is_local for each in found} == {True}
        assert 0 < found[-1].retry_after_s <= 1_200
        await calls.clear(user_id=1, endpoint="x")
        assert (await calls.check(user_id=1, endpoint="x")).remaining == 3
        with pytest.raises(RedisError, match="cannot be reached"):
            await away.redis.counter("daily").add(date="x")

    away = declare(tmp_path, nowhere, nowhere, "p")
    run(away, work)


def test_a_job_is_done_once_tried_again_and_given_up(app: App) -> None:
    async def work() -> None:
        queue = app.redis.queue("emails")
        first = await queue.put({"to": "a"}, once="welcome:1")
        assert await queue.put({"to": "b"}, once="welcome:1") == first
        await queue.put({"to": "c"})
        await queue.put({"to": "later"}, delay=3_600)
        assert await queue.state() == QueueState(2, 0, 1, 0)
        async with queue.take() as job:
            assert job == QueuedJob(first, {"to": "a"}, 1)
        fails = pytest.raises(LookupError)
        with fails:
            async with queue.take() as job:
                raise LookupError("no such address")
        assert job is not None
        assert await queue.state() == QueueState(0, 0, 2, 0)
        # Not waited for: its next try is due now.
        later = f"{queue.key}:later"
        await app.redis.client("data", 2).ask("ZADD", later, 0, job.id)

        async def handle(job: QueuedJob) -> None:
            assert job.number == 2
            raise LookupError("still none")

        assert await queue.work(handle, jobs=1) == 1
        assert await queue.dead() == {job.id: ({"to": "c"}, "LookupError: still none")}
        assert await queue.revive(job.id)
        async with queue.take() as again:
            assert again == QueuedJob(job.id, {"to": "c"}, 1)
        for wait_s in (0.05, 0):
            async with queue.take(wait=wait_s) as nothing:
                assert nothing is None
        assert await queue.state() == QueueState(0, 0, 1, 0)
        for odd in ({1: 2}, float("nan"), (1, 2), object()):
            with pytest.raises(UsageError, match="no plain JSON") as raised:
                await queue.put(odd)
            assert "dictionaries whose keys are texts" in str(raised.value.remedy)

    run(app, work)


def test_a_job_whose_worker_is_gone_is_given_to_another(app: App) -> None:
    """It was killed behind BLMOVE, or in the job; who comes late ends nothing."""

    async def work() -> None:
        queue = app.redis.queue("emails")
        client = app.redis.client("data", 2)
        await queue.put(1)
        await client.ask("LMOVE", queue.key, f"{queue.key}:processing", "RIGHT", "LEFT")
        async with queue.take(wait=10) as job:
            assert job is not None
            await client.ask("ZADD", f"{queue.key}:due", 0, job.id)
            async with queue.take(wait=10) as second:
                assert second is not None
                assert (second.id, second.number) == (job.id, 2)
        assert await queue.state() == QueueState(0, 0, 0, 0)
        await queue.put(2)
        async with queue.take() as lost:
            assert lost is not None
            await client.ask("HSET", f"{queue.key}:tries", lost.id, 2)
            await client.ask("ZADD", f"{queue.key}:due", 0, lost.id)
            async with queue.take(wait=0.05) as nothing:
                assert nothing is None
        assert await queue.dead() == {lost.id: (2, "its worker did not end it in time")}

    run(app, work)


def test_places_on_both_sides_of_the_date_line(app: App) -> None:
    async def work() -> None:
        places = app.redis.places("providers")
        for name, longitude in {"east": 179.9, "line": 180, "west": -179.9, "far": 10}.items():
            await places.add(name, longitude=longitude, latitude=0, category="a")
        found = []
        for longitude in (180, -180, 179.95):
            found = await places.near(longitude=longitude, latitude=0, km=30, category="a")
            assert {each.name for each in found} == {"east", "line", "west"}
        assert found[0].km <= found[1].km <= found[2].km
        assert await places.remove("line", "none", category="a") == 1
        for longitude, latitude in ((181, 0), (0, 86), (float("nan"), 0)):
            with pytest.raises(UsageError, match="is no place that Redis holds"):
                await places.add("x", longitude=longitude, latitude=latitude, category="a")

    run(app, work)


def test_check_and_ensure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def command(verb: str, *options: str) -> tuple[int, str]:
        code = run_command(["redis", verb, "-f", str(shop.workspace.path), *options])
        return code, capsys.readouterr().out

    with run_server(tmp_path / "c", "cache") as cache, run_server(tmp_path / "d", "data") as data:
        shop = declare(tmp_path, cache.url, data.url, "p")
        assert command("check") == (0, "")

        async def work() -> None:
            await shop.redis.value("session").set(1, user_id=1)
            client = shop.redis.client()
            await client.ask("SET", "p:user:session:2", "1")
            await client.ask("SET", "p:nobody", "x" * ((2 << 20) - 1_000))
            await client.ask("SET", "other:nobody", "1")
            await client.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            await shop.redis.queue("emails").put(1)
            cache = shop.redis.client("cache")
            await cache.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")

        run(shop, work)
        code, out = command("keys")
        assert (code, out.splitlines()[0]) == (
            0,
            "session: user:session:{user_id}, json in data 0, for 24 hours: 2 keys",
        )
        code, out = command("check", "--json")
        assert code == 3
        assert [(each["server"], each["what"]) for each in json.loads(out)] == [
            ("cache", "does not evict (noeviction): when it is full nothing is cached"),
            ("data", "evicts (allkeys-lru), though what stands there must stay"),
            ("data 0", "session: 1 key without a time to live"),
            ("data 0", "1 key of no declared pattern, as p:nobody"),
            ("data 0", "p:nobody holds 2.0 MiB"),
        ]
        done = "cache: maxmemory-policy allkeys-lru\ndata 0: session: 1 key kept for 24 hours\n"
        assert command("ensure", "--dry-run") == (0, done)
        assert command("ensure") == (2, "")
        assert command("ensure", "--dry-run") == command("ensure", "--yes") == (0, done)
        assert command("ensure") == (0, "all is as declared\n")


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("{pattern: ':a', type: json}", "begins with no name"),
        ("{pattern: 'a:{b}{c}', type: json}", "has two fields side by side"),
        ("{pattern: 'a:{b', type: json}", "expected '}'"),
        ("{pattern: a, type: limit}", "belongs to type limit"),
        ("{pattern: a, type: json, limit: 1/hour}", "belongs to type limit"),
        ("{pattern: a, type: limit, limit: often}", "is no rate"),
        ("{pattern: a, type: queue, server: cache}", "evicts, which a queue does not bear"),
        ("{pattern: a, type: json, keep: soon}", "is no time"),
        ("{pattern: 'x:{b}', type: json}", "is that of first"),
    ],
)
def test_mistakes_in_declared_keys(key: str, said: str) -> None:
    keys = f"redis_keys:\n  first: {{pattern: 'x:{{a}}', type: json}}\n  second: {key}\n"
    with pytest.raises(ManifestError, match=r"redis_keys\.second") as raised:
        parse_manifest(f"assise: 1\nname: a\nredis: embedded\n{keys}tables: {{}}\n")
    assert said in str(raised.value)


def test_the_server_is_the_one_that_is_meant(
    data_server: EmbeddedRedis, redis_folder: Path
) -> None:
    async def read() -> str:
        client = Client(data_server.url, timeout_s=30, size=1)
        facts = await read_facts(client)
        await client.close()
        return facts.version

    expected = {"redis-server": "7.", "old": "6.2.", "": "9."}
    kind = next(name for name in expected if not name or (redis_folder / name).exists())
    assert asyncio.run(read()).startswith(expected[kind])


def test_an_old_server_is_told() -> None:
    facts = ServerFacts("6.0.16", "master", 1, 1, "allkeys-lru", evicted=0, keys=0)
    (finding,) = judge_server("cache", facts, must_stay=False)
    assert finding.what == "version 6.0.16 is older than 6.2"
    assert judge_server("cache", replace(facts, version="6.2.0"), must_stay=False) == []


def test_servers_that_take_no_writes_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(url: str) -> tuple[int, str]:
        shop = declare(tmp_path, url, url, "p")
        code = run_command(["redis", "check", "-f", str(shop.workspace.path)])
        said = capsys.readouterr()
        return code, said.out + said.err

    async def put(url: str) -> RedisError:
        async with declare(tmp_path, url, url, "p") as shop:
            with pytest.raises(RedisError) as raised:
                await shop.redis.queue("emails").put(1)
            return raised.value

    async def prepare(server: EmbeddedRedis) -> None:
        client = Client(server.url, timeout_s=30, size=1)
        await client.ask("ACL", "SETUSER", "reader", "on", ">s3cret", "~*", "+@read", "+ping")
        await client.ask("REPLICAOF", "127.0.0.1", "1")
        await client.close()

    with run_server(tmp_path, "data") as server:
        asyncio.run(prepare(server))
        code, said = check(server.url)
        assert (code, "data: is a replica, which takes no writes" in said) == (3, True)
        assert asyncio.run(put(server.url)).remedy.startswith("It is a replica")
        place = server.url.removeprefix("unix://")
        for password, remedy in {"s3cret": "Let its user run", "s3krit": "Check user and"}.items():
            url = f"unix://reader:{password}@{place}"
            assert asyncio.run(put(url)).remedy.startswith(remedy)
            code, said = check(url)
            assert (code, remedy in said, password in said) == (1, True, False)
