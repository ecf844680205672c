"""The cache against a dictionary, with random invalidations, crashes, evictions and delays.

After an invalidation has returned nobody reads what stood before, whoever was loading meanwhile.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from tests.cache.conftest import PATIENT_MS
from tests.cache.servers import write_app

from assise.cache.cached import CachedFunction
from assise.redis.embedded import EmbeddedRedis

pytestmark = pytest.mark.contract

T = TypeVar("T")
USERS = st.integers(0, 2)
HOW = st.sampled_from(["tag", "all", "key", "pattern"])


def make_machine(server: EmbeddedRedis) -> type[RuleBasedStateMachine]:
    class Machine(RuleBasedStateMachine):
        """Two processes read rows that are written; loads stand still where they are told."""

        def __init__(self) -> None:
            super().__init__()
            self.loop = asyncio.new_event_loop()
            self.rows = dict.fromkeys(range(3), 0)
            self.loading: list[tuple[int, int, asyncio.Event, asyncio.Task[int]]] = []
            self.gate: asyncio.Event | None = None
            folder = Path(tempfile.mkdtemp(prefix="assise-m-"))
            self.apps = [
                write_app(
                    folder / str(n),
                    server.url,
                    server.url,
                    folder.name,
                    cache__timeout_ms=PATIENT_MS,
                )
                for n in range(2)
            ]
            self.functions: list[CachedFunction[[int], int]] = []
            for app in self.apps:

                @app.cache("rows", ttl=60, tags=["rows:{user}", "all"], wait=0.05)
                async def read(user: int) -> int:
                    value = self.rows[user]
                    if (gate := self.gate) is not None:
                        self.gate = None
                        await gate.wait()
                    return value

                self.functions.append(read)

        def run(self, work: Coroutine[Any, Any, T]) -> T:
            return self.loop.run_until_complete(work)

        @rule(process=st.integers(0, 1), user=USERS)
        def read(self, process: int, user: int) -> None:
            assert self.run(self.functions[process](user)) == self.rows[user]

        @rule(process=st.integers(0, 1), user=USERS)
        def begin_to_load(self, process: int, user: int) -> None:
            """A reader that stands still in its function, if it is not a hit."""

            async def begin() -> None:
                gate = asyncio.Event()
                self.gate = gate
                task = asyncio.create_task(self.functions[process](user))
                while self.gate is gate and not task.done():
                    await asyncio.sleep(0)
                self.gate = None
                if not task.done():
                    self.loading.append((user, self.rows[user], gate, task))

            self.run(begin())

        @rule(crashes=st.booleans())
        def end_a_load(self, *, crashes: bool) -> None:
            async def end() -> None:
                _, value, gate, task = self.loading.pop(0)
                if crashes:
                    task.cancel()
                    await asyncio.wait({task})
                else:
                    gate.set()
                    assert await task == value

            if self.loading:
                self.run(end())

        @rule(
            process=st.integers(0, 1),
            user=USERS,
            how=st.sampled_from("tag all key pattern".split()),
        )
        def write(self, process: int, user: int, how: str) -> None:
            cache = self.apps[process].cache
            self.rows[user] += 1
            work: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
                "tag": lambda: cache.invalidate([f"rows:{user}"]),
                "all": lambda: cache.invalidate(["all"]),
                "key": lambda: self.functions[process].invalidate(user),
                "pattern": lambda: cache.invalidate_pattern(f"rows:{user}:*"),
            }
            self.run(work[how]())

        @rule(process=st.integers(0, 1), user=USERS, how=HOW)
        def race(self, process: int, user: int, how: str) -> None:
            """A reader is overtaken by a write, and by its invalidation from the other process."""
            self.begin_to_load(process, user)
            self.write(1 - process, user, how)
            while self.loading:
                self.end_a_load(crashes=False)
            self.read(process, user)

        @rule(key=st.sampled_from(["tag:rows:0", "tag:all", "epoch:"]))
        def evict(self, key: str) -> None:
            store = self.apps[0].cache.store
            self.run(store.ask("DEL", store.prefix + key))

        @rule()
        def forget_everything(self) -> None:
            store = self.apps[0].cache.store
            self.run(store.drop_matching("*"))

        @invariant()
        def redis_is_asked(self) -> None:
            assert not any(app.cache.store.breaker.is_open for app in self.apps)

        def teardown(self) -> None:
            async def end() -> None:
                for *_, task in self.loading:
                    task.cancel()
                    await asyncio.wait({task})
                for app in self.apps:
                    await app.close()

            self.run(end())
            self.loop.close()

    return Machine


def test_nothing_is_stale_after_its_invalidation_returned(cache_server: EmbeddedRedis) -> None:
    few = settings(max_examples=15, stateful_step_count=25)
    run_state_machine_as_test(make_machine(cache_server), settings=few)


@pytest.mark.soak
def test_nothing_is_stale_in_long_runs(cache_server: EmbeddedRedis) -> None:
    run_state_machine_as_test(
        make_machine(cache_server), settings=settings(max_examples=300, stateful_step_count=80)
    )
