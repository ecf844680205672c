"""Figures by hour and name in Redis: one hash an hour for each name, and no row for a call."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from assise.cache.declared import AppRedis
from assise.cache.store import read_scripts
from assise.cache.verbs import read_prefix
from assise.errors import RedisError
from assise.manifest.sections.redis import REDIS
from assise.redis.client import Command, translated
from assise.workspace import Workspace

T = TypeVar("T")

KEPT_MS = 32 * 86_400_000
(_ADD,) = read_scripts("add")


class RedisHours:
    """Where `app.monitor` keeps what all processes have measured."""

    def __init__(self, redis: AppRedis, prefix: str) -> None:
        self._redis, self._prefix = redis, f"{prefix}stats:performance:"

    async def add(self, hour: int, name: str, numbers: Mapping[str, int]) -> None:
        """Add numbers to those of an hour.

        Raises:
            RedisError: Redis does not answer; they are lost.
        """
        client = self._redis.client()
        pairs: list[Command] = [each for pair in numbers.items() for each in pair]
        names = f"{self._prefix}{hour}"
        with translated(client.target):
            await client.run(_ADD, [f"{names}:{name}"], [KEPT_MS, *pairs])
            await client.ask("SADD", names, name)
            await client.ask("PEXPIRE", names, KEPT_MS)

    async def read(self, first: int, last: int) -> dict[str, dict[str, int]]:
        """The numbers of some hours by name.

        Raises:
            RedisError: Redis does not answer.
        """
        client, found = self._redis.client(), dict[str, Counter[str]]()
        with translated(client.target):
            for hour in range(first, last + 1):
                names = f"{self._prefix}{hour}"
                for name in await client.ask("SMEMBERS", names):
                    numbers = await client.ask("HGETALL", f"{names}:{name.decode()}")
                    counter = found.setdefault(name.decode(), Counter())
                    counter.update({key.decode(): int(value) for key, value in numbers.items()})
        return {name: dict(counter) for name, counter in found.items()}


def read_shared(
    workspace: Workspace, read: Callable[[RedisHours], Awaitable[Mapping[str, T]]]
) -> Mapping[str, T]:
    """What `read` finds in the hours of all processes; nothing without a Redis that answers."""
    manifest = workspace.manifest()
    if REDIS.of(manifest) is None:
        return {}

    async def run() -> Mapping[str, T]:
        redis = AppRedis(workspace, manifest)
        try:
            return await read(RedisHours(redis, read_prefix(manifest)))
        except RedisError:
            return {}
        finally:
            await redis.close()

    return asyncio.run(run())
