"""A lock that at most one holds, over all processes, until its time is over."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from assise.cache.store import read_scripts
from assise.errors import RedisError
from assise.redis.client import Client, translated

POLL_S = 0.05
_EXTEND, _RELEASE = read_scripts("extend", "release")


@asynccontextmanager
async def hold(client: Client, key: str, *, for_s: float, wait_s: float) -> AsyncIterator[None]:
    """Hold the lock of a key while the block runs; it is kept for as long as the block takes.

    A process that is killed holds it for `for_s` at most. The server forgets it when it loses its
    memory: a lock saves work, and guards nothing that must not happen twice.

    Raises:
        RedisError: another has it for longer than `wait_s`, or Redis does not answer.
    """
    token, ends = os.urandom(16), time.monotonic() + wait_s
    kept_ms = max(1, round(for_s * 1000))
    with translated(client.target):
        while not await client.ask("SET", key, token, "NX", "PX", kept_ms):
            if time.monotonic() >= ends:
                raise RedisError(
                    f"the lock {key!r} is held by another",
                    remedy="Wait longer, with wait=, or try again later.",
                )
            await asyncio.sleep(POLL_S)

    async def extend() -> None:
        while True:
            await asyncio.sleep(for_s / 3)
            with suppress(RedisError), translated(client.target):
                await client.run(_EXTEND, [key], [token, kept_ms])

    extending = asyncio.create_task(extend())
    try:
        yield
    finally:
        extending.cancel()
        with suppress(RedisError), translated(client.target):
            await client.run(_RELEASE, [key], [token])
