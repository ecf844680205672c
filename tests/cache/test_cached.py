"""Cached functions: hits, keys, tags, stampedes, values, and what they refuse."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from math import exp
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from tests.cache.conftest import MakeApp
from tests.cache.servers import write_app

from assise.app import App
from assise.cache.keys import write_argument
from assise.cache.store import Lease, is_due
from assise.errors import RedisError, UsageError
from assise.postgres.replica import READS_MAIN
from assise.redis.client import Client
from assise.redis.embedded import EmbeddedRedis

pytestmark = pytest.mark.contract

USER, OTHER = UUID(int=1), UUID(int=2)


class Row(msgspec.Struct):
    """A row."""

    id: UUID
    price: Decimal
    made: datetime


class Model(BaseModel):
    """A model."""

    id: UUID
    tags: set[str]


@dataclass
class Holder:
    """A dataclass with a model in it."""

    model: Model


ROW = Row(USER, Decimal("1.50"), datetime(2026, 1, 2, tzinfo=UTC))
MODEL = Model(id=USER, tags={"a", "b"})


def run(app: App, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine in a loop of its own, with the application."""

    async def all_of_it() -> None:
        async with app:
            await work()

    asyncio.run(all_of_it())


class Source:
    """What cached functions read: rows by user, and how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0
        self.value = 1
        self.gate: asyncio.Event | None = None

    async def read(self) -> int:
        self.calls += 1
        value = self.value
        if self.gate is not None:
            await self.gate.wait()
        return value


def test_a_value_is_read_until_its_tag_is_invalidated(make_app: MakeApp) -> None:
    app, source = make_app(), Source()

    @app.cache("projects", ttl="5 minutes", tags=["projects:{user_id}"])
    async def projects(user_id: UUID, limit: int = 20) -> int:
        assert user_id in {USER, OTHER}
        return await source.read() * limit

    async def work() -> None:
        assert [await projects(USER), await projects(user_id=USER, limit=20)] == [20, 20]
        assert (await projects(USER, 3), await projects(OTHER), source.calls) == (3, 20, 3)
        source.value = 2
        await app.cache.invalidate([f"projects:{USER}"])
        assert (await projects(USER), await projects(USER, 3), await projects(OTHER)) == (40, 6, 20)
        assert source.calls == 5
        await projects.invalidate(USER)
        assert (await projects(USER), source.calls) == (40, 6)
        assert app.cache.counts["projects"].hits == 2

    run(app, work)


def test_what_is_kept_is_read_from_no_replica(make_app: MakeApp) -> None:
    app = make_app()
    found = []

    @app.cache("place", ttl=60)
    async def place(number: int) -> int:
        found.append(READS_MAIN.get())
        if number == 2:
            raise ValueError
        return number

    async def work() -> None:
        await place(1)
        with pytest.raises(ValueError):  # noqa: PT011 - ours
            await place(2)
        with app.cache.bypass():
            await place(3)
        assert (found, READS_MAIN.get()) == ([True, True, False], False)

    run(app, work)


def test_a_slow_reader_does_not_store_what_was_invalidated_meanwhile(make_app: MakeApp) -> None:
    """By tag, by key, by pattern, and where the generation was evicted in between."""
    app, source = make_app(), Source()

    @app.cache("slow", ttl=60, tags=["slow:{user_id}"])
    async def slow(user_id: int) -> int:
        assert user_id == 1
        return await source.read()

    async def by_key() -> None:
        await slow.invalidate(1)

    async def by_pattern() -> None:
        await app.cache.invalidate_pattern("slow:*")

    async def by_tag() -> None:
        await app.cache.invalidate(["slow:1"])

    async def by_eviction() -> None:
        await app.cache.store.ask("DEL", app.cache.store.tag_key("slow:1"))

    async def work() -> None:
        ways: list[Callable[[], Awaitable[None]]] = [by_key, by_pattern, by_tag, by_eviction]
        for number, invalidate in enumerate(ways):
            source.gate, source.value = asyncio.Event(), number
            reading = asyncio.create_task(slow(1))
            while source.calls <= 2 * number:
                await asyncio.sleep(0.001)
            source.value += 100
            await invalidate()
            source.gate.set()
            assert await reading == number
            source.gate = None
            assert await slow(1) == number + 100, invalidate
            await app.cache.invalidate(["slow:1"])

    run(app, work)


def test_who_comes_after_an_invalidation_does_not_join_an_older_load(make_app: MakeApp) -> None:
    app, source = make_app(), Source()

    @app.cache("joined", ttl=60, tags=["all"])
    async def joined() -> int:
        return await source.read()

    async def work() -> None:
        source.gate = asyncio.Event()
        first = asyncio.create_task(joined())
        while not source.calls:
            await asyncio.sleep(0.001)
        source.value = 2
        await app.cache.invalidate(["all"])
        later = [asyncio.create_task(joined()) for _ in range(5)]
        await asyncio.sleep(0.05)
        source.gate.set()
        assert await first == 1
        assert await asyncio.gather(*later) == [2] * 5

    run(app, work)


def test_one_of_fifty_callers_loads_and_all_get_its_error(make_app: MakeApp) -> None:
    app, source = make_app(), Source()

    @app.cache("cold", ttl=60)
    async def cold(fails: bool) -> int:
        source.calls += 1
        while app.cache.counts["cold"].waits < 49 * source.calls:
            await asyncio.sleep(0.001)
        if fails:
            raise LookupError("gone")
        return 7

    async def work() -> None:
        assert await asyncio.gather(*(cold(False) for _ in range(50))) == [7] * 50
        assert source.calls == 1
        found = await asyncio.gather(*(cold(True) for _ in range(50)), return_exceptions=True)
        assert {str(each) for each in found} == {"gone"}
        assert source.calls == 2

    run(app, work)


PROCESS = """
import asyncio, sys
from assise.app import App
app = App(sys.argv[1], settings={"cache.timeout_ms": 30_000})

@app.cache("cold", ttl=60, tags=["t"])
async def cold(number: int) -> int:
    with open(sys.argv[2], "a") as file:
        print(number, file=file)
    await asyncio.sleep(0.3)
    return 7

async def main():
    async with app:
        await app.cache.store.ask("PING")
        print("ready", flush=True)
        while line := sys.stdin.readline():
            found = await asyncio.gather(*(cold(int(line)) for _ in range(50)))
            print(sum(found), flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("rounds", [1, pytest.param(100, marks=pytest.mark.soak)])
def test_one_of_four_processes_loads_a_cold_key(
    rounds: int, make_app: MakeApp, tmp_path: Path
) -> None:
    app, calls = make_app(), tmp_path / "calls"
    command = [sys.executable, "-c", PROCESS, str(app.workspace.path), str(calls)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for number in range(rounds):
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
        assert [each.stdout and each.stdout.readline() for each in processes] == ["350\n"] * 4
    assert [process.communicate()[0] for process in processes] == [""] * 4
    assert calls.read_text().splitlines() == [str(number) for number in range(rounds)]


def test_a_value_that_was_stored_since_it_was_looked_for_is_not_loaded_again(
    make_app: MakeApp,
) -> None:
    first, second, loads = make_app("first"), make_app("second"), []

    def declare(app: App) -> Callable[[int], Awaitable[int]]:
        @app.cache("rows", ttl=60, tags=["t"])
        async def rows(number: int) -> int:
            loads.append(app)
            return number

        return rows

    async def work() -> None:
        here, there = declare(first), declare(second)
        begin = first.cache.store.begin

        async def begin_late(*args: Any, **kwargs: Any) -> Lease | None:  # noqa: ANN401
            assert await there(7) == 7
            return await begin(*args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(first.cache.store, "begin", begin_late)
            assert await here(7) == 7
        assert loads == [second]
        # What stands there and does not hold any more is loaded.
        await first.cache.invalidate(["t"])
        assert (await here(7), loads) == (7, [second, first])
        await second.close()

    run(first, work)


def test_a_caller_who_is_cancelled_leaves_the_load_to_the_next(make_app: MakeApp) -> None:
    app, source = make_app(), Source()

    @app.cache("cancelled", ttl=60)
    async def cancelled() -> int:
        return await source.read()

    async def work() -> None:
        source.gate = asyncio.Event()
        first = asyncio.create_task(cancelled())
        while not source.calls:
            await asyncio.sleep(0.001)
        waiting = asyncio.create_task(cancelled())
        await asyncio.sleep(0.02)
        first.cancel()
        source.gate.set()
        assert await waiting == 1
        assert source.calls == 2

    run(app, work)


def test_a_stale_value_is_given_while_one_caller_loads_it_again(make_app: MakeApp) -> None:
    app, source = make_app(), Source()

    @app.cache("stale", ttl=0.05, stale=60, tags=["s"])
    async def stale() -> int:
        return await source.read()

    async def work() -> None:
        assert await stale() == 1
        await asyncio.sleep(0.06)
        source.gate, source.value = asyncio.Event(), 2
        loading = asyncio.create_task(stale())
        while source.calls < 2:
            await asyncio.sleep(0.001)
        assert await asyncio.gather(*(stale() for _ in range(5))) == [1] * 5
        source.gate.set()
        assert (await loading, await stale()) == (2, 2)

    run(app, work)


def test_a_dear_value_is_loaded_again_before_its_time_and_nobody_waits(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By XFetch, with the luckiest draw: a value that took 0.5 s is due 18 s before its end."""
    monkeypatch.setattr("random.random", lambda: 1 - 2**-53)
    app, loads, may_end = make_app(), {"dear": 0, "cheap": 0}, asyncio.Event()

    @app.cache("dear", ttl=15)
    async def dear() -> int:
        loads["dear"] += 1
        await (may_end.wait() if loads["dear"] == 2 else asyncio.sleep(0.5))
        return loads["dear"]

    @app.cache("cheap", ttl=600)
    async def cheap() -> int:
        loads["cheap"] += 1
        return loads["cheap"]

    async def work() -> None:
        async with app:
            assert (await dear(), await cheap()) == (1, 1)
            first = asyncio.create_task(dear())
            while loads["dear"] == 1 and not first.done():
                await asyncio.sleep(0)
            assert await dear() == 1
            may_end.set()
            assert (await first, await cheap()) == (2, 1)

    asyncio.run(work())


def test_the_chance_to_be_loaded_early_is_that_of_xfetch() -> None:
    """It is exp(-time left / cost): the exponential draw of the paper, with beta = 1."""
    now = time.time()
    for left_s, cost_s in ((60, 60), (60, 20), (60, 600), (60, 1)):
        draws = [is_due(now + left_s, cost_s) for _ in range(20_000)]
        assert sum(draws) / len(draws) == pytest.approx(exp(-left_s / cost_s), abs=0.02)
    assert all(is_due(now - 1, 0) for _ in range(100))


def test_values_come_back_with_their_types(make_app: MakeApp) -> None:
    app = make_app()
    calls = 0

    def cached(name: str, kind: object, value: object) -> Callable[[], Awaitable[object]]:
        async def function() -> object:
            nonlocal calls
            calls += 1
            return value

        function.__annotations__["return"] = kind
        return app.cache(name, ttl=60)(function)

    cases: Sequence[tuple[object, object]] = [
        (list[Row], [ROW]),
        (dict[UUID, Decimal], {USER: Decimal("0.10")}),
        (list[Model], [MODEL]),
        (Holder, Holder(MODEL)),
        (Row | None, None),
        (float, float("nan")),
        (tuple[int, str], (1, "é")),
        (dict[str, Any], {"a": [1, 2.5, None, "x"]}),
    ]

    async def work() -> None:
        for number, (kind, value) in enumerate(cases):
            function = cached(f"case{number}", kind, value)
            found = [await function(), await function()]
            assert found == [value, value] or repr(found) == repr([value, value])
            assert type(found[1]) is type(value)
        assert calls == len(cases)
        for number, (kind, value) in enumerate(
            [(dict[str, Any], {"id": USER}), (int, "x"), (list[Model], [ROW]), (int, 1.5)]
        ):
            with pytest.raises(UsageError, match="does not fit its type"):
                await cached(f"wrong{number}", kind, value)()

    run(app, work)


def test_new_code_does_not_read_an_old_shape(make_app: MakeApp) -> None:
    old, new = make_app("old"), make_app("new")

    @old.cache("shape", ttl=60)
    async def before() -> int:
        return 1

    @new.cache("shape", ttl=60)
    async def after() -> str:
        return "1"

    async def work() -> None:
        async with new:
            assert (await before(), await after(), await before()) == (1, "1", 1)

    run(old, work)


def test_keys_are_injective() -> None:
    values: list[object] = [
        *(None, "", 1, "1", True, 1.0, Decimal(1), b"1", USER, str(USER)),
        *(["a:b", "c"], ["a", "b:c"], ("a:b", "c"), {"a": 1}, {"a": "1"}, {"a"}, [["a"]]),
        *(
            datetime.fromisoformat("2026-01-01"),
            datetime(2026, 1, 1, tzinfo=UTC),
            ROW,
            MODEL,
            Holder(MODEL),
        ),
        *("list('a')", ["a,'b'"], ["a", "b"], 0.0, -0.0),
    ]
    texts = [write_argument(value, "x") for value in values]
    assert len(set(texts)) == len(values)
    assert write_argument({"a": 1, "b": 2}, "x") == write_argument({"b": 2, "a": 1}, "x")
    with pytest.raises(UsageError, match="argument x is of type object"):
        write_argument([object()], "x")


def test_any_signature_is_bound_as_python_does(make_app: MakeApp) -> None:
    app, seen = make_app(), list[object]()

    @app.cache("bound", ttl=60, ignore=["session"])
    async def bound(
        a: int, /, b: int = 2, *more: int, c: int = 3, session: object, **others: int
    ) -> str:
        del session
        seen.append((a, b, more, c, others))
        return repr(seen[-1])

    async def work() -> None:
        one = await bound(1, session=object())
        assert await bound(1, 2, c=3, session=object()) == one
        assert await bound(1, 2, 4, c=3, x=1, session=None) != one
        assert await bound(1, 2, 4, x=1, session=1) == repr(seen[-1])
        assert len(seen) == 2
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            await bound(session=1)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="session"):
            await bound(1)  # type: ignore[call-arg]

    run(app, work)


def test_equal_arguments_of_other_types_are_other_calls(make_app: MakeApp) -> None:
    app = make_app()

    @app.cache("same", ttl=60)
    async def same(value: object) -> str:
        return repr(value)

    async def work() -> None:
        values = [1, True, 1.0, 0.0, -0.0, Decimal("1.0"), Decimal("1.00"), (1,), (True,), None]
        for _ in range(2):
            assert [await same(each) for each in values] == [repr(each) for each in values]
            assert [await same(value=each) for each in values] == [repr(each) for each in values]
        assert app.cache.counts["same"].loads == len(values)

    run(app, work)


def test_many_calls_are_one_mget(make_app: MakeApp) -> None:
    app, source = make_app(), Source()

    @app.cache("one", ttl=60, tags=["u:{user}", "all"])
    async def one(user: int) -> int:
        return user * await source.read()

    async def work() -> None:
        assert await one(2) == 2
        assert await one.get_many([{"user": n} for n in range(4)]) == [0, 1, 2, 3]
        assert source.calls == 4
        await app.cache.invalidate(["u:3"])
        before = (await app.cache.store.client.native.info("commandstats"))["cmdstat_mget"]
        assert await one.get_many([{"user": n} for n in range(3)]) == [0, 1, 2]
        after = (await app.cache.store.client.native.info("commandstats"))["cmdstat_mget"]
        assert (after["calls"] - before["calls"], source.calls) == (1, 4)

    run(app, work)


def test_own_keys_with_tags_none_and_types(make_app: MakeApp) -> None:
    app = make_app()

    async def work() -> None:
        cache = app.cache
        assert await cache.set("a", None, ttl=60)
        assert await cache.set("b", [ROW], ttl="1 minute", tags=["t:1", "t:2"], kind=list[Row])
        assert await cache.get("a", default=5) is None
        assert await cache.get_many(["a", "x"]) == {"a": None}
        assert await cache.get("b", list[Row]) == [ROW]
        assert await cache.get("b", default="other type") == "other type"
        await cache.invalidate(["t:2"])
        assert await cache.get("b", list[Row]) is None
        await cache.set("b", 1, ttl=60)
        await cache.delete("b", "nothing")
        assert await cache.get("b") is None
        with cache.bypass():
            assert await cache.get("a", default=5) == 5
        with pytest.raises(UsageError, match="does not fit its type"):
            await cache.set("a", USER, ttl=60)

    run(app, work)


def test_patterns(make_app: MakeApp) -> None:
    app = make_app()

    async def work() -> None:
        cache = app.cache
        sets = (cache.set(f"p:{n}:x", n, ttl=60) for n in range(2500))
        assert all(await asyncio.gather(*sets))
        await cache.set("other", 1, ttl=60)
        assert await cache.invalidate_pattern("p:1*") == 1111
        assert await cache.get("p:2:x") == 2
        assert await cache.invalidate_pattern("p:*:x") == 2500 - 1111
        assert await cache.get("other") == 1
        for pattern in ("*", "", "**", "?*"):
            with pytest.raises(UsageError, match="fits every key"):
                await cache.invalidate_pattern(pattern)
        assert await cache.invalidate_pattern("*", everything=True) >= 1

    run(app, work)


@pytest.mark.soak
def test_a_hundred_of_a_million_keys_go(make_app: MakeApp, own_server: EmbeddedRedis) -> None:
    app = write_app(make_app().workspace.path.parent, own_server.url, own_server.url)
    many = 1_000_000

    async def work() -> None:
        client = app.redis.client("cache")
        for begin in range(0, many, 10_000):
            pairs = [f"test:other:{number}" for number in range(begin, begin + 10_000)]
            await client.ask("MSET", *(each for pair in pairs for each in (pair, "1")))
        for number in range(100):
            await app.cache.set(f"mine:{number}", number, ttl=600)
        assert await client.ask("DBSIZE") == many + 100
        asking = asyncio.create_task(app.cache.invalidate_pattern("mine:*"))
        answers = 0
        while not asking.done():
            answers += await client.ask("GET", "test:other:7") == b"1"
        assert answers > 100, "nobody else is kept waiting"
        assert await asking == 100
        assert await client.ask("DBSIZE") == many
        assert await app.cache.get_many(["mine:1", "mine:99"]) == {}

    run(app, work)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 300 << 10


def test_what_cannot_be_cached_is_said(make_app: MakeApp) -> None:
    app = make_app()
    cache = app.cache
    for ttl in (0, -1, "0 s", "soon", True, 1e12, float("nan")):
        with pytest.raises(UsageError, match="no time to keep a value"):
            cache("x", ttl=ttl)
    with pytest.raises(UsageError, match="cannot be the name"):
        cache("a:b", ttl=1)
    with pytest.raises(UsageError, match="no async function"):
        cache("sync", ttl=1)(lambda: None)  # type: ignore[arg-type, return-value]

    @cache("twice", ttl=1, tags=["x:{nobody}"])
    async def tagged() -> int:
        return 1

    @cache("bare", ttl=1)
    async def bare():  # type: ignore[no-untyped-def]  # noqa: ANN202
        return 1

    @cache("shapeless", ttl=1)
    async def shapeless() -> Source:
        return Source()

    with pytest.raises(UsageError, match="there is a cached function 'twice' already"):
        cache("twice", ttl=1)

    async def work() -> None:
        with pytest.raises(UsageError, match="'nobody', which is no argument"):
            await tagged()
        with pytest.raises(UsageError, match="does not say what it returns"):
            await bare()
        with pytest.raises(UsageError, match="Source'> cannot be cached"):
            await shapeless()
        with pytest.raises(UsageError, match="has no value"):
            await cache.invalidate(["projects:{user_id}"])
        with pytest.raises(UsageError, match="list, not a text"):
            await cache.invalidate("projects")
        with pytest.raises(UsageError, match="cannot be a key"):
            await cache.get("tag:x")

    run(app, work)


def test_a_lock_is_held_by_one_at_a_time_and_for_as_long_as_its_block(make_app: MakeApp) -> None:
    app, inside = make_app(), list[int]()

    async def work() -> None:
        async def one(number: int) -> None:
            async with app.cache.lock("report", wait=60):
                inside.append(number)
                assert len(inside) == 1
                await asyncio.sleep(0.01)
                inside.remove(number)

        await asyncio.gather(*(one(number) for number in range(4)))
        observer = Client(app.workspace.redis_url(app.manifest, "data"), timeout_s=30, size=1)
        key = f"{app.cache.prefix}lock:short"
        async with app.cache.lock("short", seconds=3):
            with pytest.raises(RedisError, match="is held by another"):
                await app.cache.lock("short").__aenter__()
            left = before = await observer.ask("PTTL", key)
            while left <= before:
                before = left
                await asyncio.sleep(0.01)
                left = await observer.ask("PTTL", key)
        assert await observer.ask("EXISTS", key) == 0
        await observer.close()

    run(app, work)


def test_a_route_of_fastapi_is_cached(make_app: MakeApp) -> None:
    app, source = make_app(), Source()
    web = FastAPI()

    @web.get("/users/{user_id}")
    @app.cache("route", ttl=60, tags=["u:{user_id}"])
    async def route(user_id: UUID, skip: int = 0) -> list[Model]:
        return [Model(id=user_id, tags={str(await source.read() + skip)})]

    async def work() -> None:
        transport = httpx.ASGITransport(app=web)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            for _ in range(2):
                answer = (await client.get(f"/users/{USER}?skip=3")).json()
                assert answer == [{"id": str(USER), "tags": ["4"]}]
            assert source.calls == 1
            assert (await client.get("/users/x")).status_code == 422

    run(app, work)


def test_the_switch_sends_every_call_to_its_function(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSISE_CACHE_OFF", "true")
    app, source = make_app(), Source()

    @app.cache("off", ttl=60)
    async def off() -> int:
        return await source.read()

    async def work() -> None:
        assert [await off(), await off(), source.calls] == [1, 1, 2]

    run(app, work)


def test_the_module_imports_no_driver_of_redis() -> None:
    script = "import sys, assise.app, assise.project; sys.exit('redis' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False).returncode == 0
    )
