"""The verbs of `assise cache`, for operators."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from assise.cache.store import COUNTS, PAGE, AwayError, Drops, Store
from assise.cache.verbs import fits_everything, read_prefix
from assise.errors import RedisError, UsageError
from assise.redis.client import Client, translated
from assise.redis.facts import ServerFacts, read_facts
from assise.workspace import CONFIRM, Confirm, Workspace, refuse

T = TypeVar("T")
TIMEOUT_S = 5.0


@dataclass(frozen=True)
class FunctionStats:
    """What all processes have counted of a cached function in the last thirty days."""

    name: str
    hits: int
    loads: int
    bypassed: int
    unstored: int
    load_ms: float

    @property
    def hit_rate(self) -> float:
        """The share of calls that the cache answered."""
        calls = self.hits + self.loads + self.bypassed
        return self.hits / calls if calls else 0.0


@dataclass(frozen=True)
class CacheStats:
    """The server of the cache, and its functions by name."""

    server: ServerFacts
    functions: Sequence[FunctionStats]


@dataclass(frozen=True)
class CacheVerbs:
    """The verbs of `assise cache`."""

    workspace: Workspace

    def stats(self) -> CacheStats:
        """How the cache is doing.

        Raises:
            UsageError: the manifest has no `redis`. RedisError: the server does not answer.
        """
        return self._run(_read_stats)

    def clear(
        self, *, tags: Sequence[str] = (), pattern: str = "", confirm: Confirm = refuse
    ) -> int:
        """Invalidate tags, and the values whose keys fit a pattern; how many of those.

        `confirm` is asked where the pattern fits every value.

        Raises:
            UsageError: nothing is named, or nobody confirmed.
            RedisError: the server does not answer, or refuses.
        """
        if not tags and not pattern:
            raise UsageError(
                "nothing is named that is to be cleared",
                remedy="Give --tag projects:42, or --pattern 'user_projects:*'.",
            )

        async def clear(store: Store) -> int:
            what = f"all values of the cache at {store.client.target} are deleted"
            if pattern and fits_everything(pattern) and not confirm(what):
                raise UsageError(f"not confirmed: {what}", remedy=CONFIRM)
            await store.drop(Drops(tags))
            return await store.drop_matching(pattern) if pattern else 0

        return self._run(clear)

    def _run(self, work: Callable[[Store], Awaitable[T]]) -> T:
        manifest = self.workspace.manifest()

        async def run() -> T:
            async def replay(_client: Client) -> None:
                raise RedisError("the server does not answer")

            store = Store(
                lambda: self.workspace.redis_url(manifest, "cache"),
                prefix=read_prefix(manifest),
                timeout_s=TIMEOUT_S,
                size=4,
                replay=replay,
            )
            try:
                return await work(store)
            except AwayError as error:
                raise error.args[0] from None
            finally:
                await store.close()

        return asyncio.run(run())


async def _read_stats(store: Store) -> CacheStats:
    client = store.client
    server = await read_facts(client)
    begin = store.prefix + COUNTS
    with translated(client.target):
        keys = [key async for key in client.native.scan_iter(match=f"{begin}*", count=PAGE)]
        found = [await _read_function(client, begin, key) for key in sorted(keys)]
    return CacheStats(server, found)


async def _read_function(client: Client, begin: str, key: bytes) -> FunctionStats:
    fields = await client.ask("HGETALL", key)
    counts = {name.decode(): int(value) for name, value in fields.items()}
    loads = counts.get("loads", 0)
    return FunctionStats(
        key.decode(errors="replace")[len(begin) :],
        hits=counts.get("hits", 0),
        loads=loads,
        bypassed=counts.get("bypassed", 0),
        unstored=counts.get("unstored", 0),
        load_ms=counts.get("load_us", 0) / 1000 / loads if loads else 0.0,
    )
