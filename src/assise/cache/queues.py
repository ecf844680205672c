"""A queue that loses no job: each is under way until it is ended, or its time is over.

Redis loses what it had not yet written to disk when it is killed. A job that must exist if and only
if a row does belongs into the row's transaction: there is procrastinate, on PostgreSQL.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from assise.cache.durations import Time, read_seconds
from assise.cache.store import read_scripts
from assise.cache.values import encode_json
from assise.manifest.sections.redis_keys import RedisKey
from assise.redis.client import Client, Command, translated

BLOCK_S = 1.0
"""How long one BLMOVE waits; then jobs that waited are looked for again."""

FIRST_RETRY_S, LAST_RETRY_S = 1.0, 600.0
KEPT_ONCE = "24 hours"
CANCELLED = asyncio.CancelledError("the worker was stopped")
_PUT, _CLAIM, _END, _WAKE = read_scripts("put_job", "claim_job", "end_job", "wake_jobs")


@dataclass(frozen=True)
class QueuedJob:
    """A job under way: its value, and the number of this try, from 1."""

    id: str
    value: Any
    number: int


@dataclass(frozen=True)
class QueueState:
    """How many jobs are ready, under way, wait for a later time, and were given up."""

    ready: int
    processing: int
    later: int
    dead: int


class JobQueue:
    """The queue at a declared key."""

    def __init__(self, client: Client, key: str, declared: RedisKey) -> None:
        self._client, self.key, self.declared = client, key, declared

    def _names(self, *parts: str) -> list[str]:
        return [f"{self.key}:{part}" if part else self.key for part in parts]

    async def put(
        self, value: object, *, once: str = "", keep_once: Time = KEPT_ONCE, delay: Time = 0
    ) -> str:
        """Put a job; its id. Of two with the same `once` only the first is put.

        Raises:
            UsageError: the value is no plain JSON. RedisError: Redis does not answer.
        """
        names = self._names("", "jobs", "later", f"once:{once}")
        kept_ms = round(read_seconds(keep_once, "keep_once") * 1000)
        delay_ms = round(read_seconds(delay, "delay") * 1000) if delay else 0
        job = uuid4().hex
        arguments: list[Command] = [job, encode_json(value, self.key), once, kept_ms, delay_ms]
        with translated(self._client.target):
            found: bytes = await self._client.run(_PUT, names, arguments)
        return found.decode()

    @asynccontextmanager
    async def take(self, *, wait: Time = 5) -> AsyncIterator[QueuedJob | None]:
        """The next job while the block runs; None where there is none in time, or now with 0.

        The job is done at the end of the block. An exception is raised on, and the job is tried
        again, ever later, or given up.

        Raises:
            RedisError: Redis does not answer.
        """
        wait_s = read_seconds(wait, "wait") if wait else 0.0
        job = await self._next(time.monotonic() + wait_s)
        if job is None:
            yield None
            return
        try:
            yield job
        finally:
            await self._end(job, sys.exception())

    async def work(
        self, handle: Callable[[QueuedJob], Awaitable[None]], *, jobs: int | None = None
    ) -> int:
        """Handle jobs until cancelled, or that many; an error of `handle` is the job's alone.

        How many were handled.

        Raises:
            RedisError: Redis does not answer.
        """
        count = 0
        while jobs is None or count < jobs:
            job = await self._next(time.monotonic() + 3_600)
            if job is None:
                continue
            count += 1
            task = asyncio.ensure_future(handle(job))
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
                is_done = task.done() and not task.cancelled()
                await self._end(job, task.exception() if is_done else CANCELLED)
        return count

    async def state(self) -> QueueState:
        """How many jobs there are.

        Raises:
            RedisError: Redis does not answer.
        """
        ready, processing, later, dead = self._names("", "processing", "later", "dead")
        ask = self._client.ask
        with translated(self._client.target):
            return QueueState(
                await ask("LLEN", ready),
                await ask("LLEN", processing),
                await ask("ZCARD", later),
                await ask("HLEN", dead),
            )

    async def dead(self) -> dict[str, tuple[Any, str]]:
        """The jobs that were given up, by id: the value, and what went wrong last.

        Raises:
            RedisError: Redis does not answer.
        """
        jobs, dead = self._names("jobs", "dead")
        with translated(self._client.target):
            said = await self._client.ask("HGETALL", dead)
            values = await self._client.ask("HMGET", jobs, *said) if said else []
        return {
            job.decode(): (json.loads(value), error.decode())
            for (job, error), value in zip(said.items(), values, strict=True)
            if value is not None
        }

    async def revive(self, job: str) -> bool:
        """Try a job again that was given up; False where it is none.

        Raises:
            RedisError: Redis does not answer.
        """
        dead, tries, ready = self._names("dead", "tries", "")
        with translated(self._client.target):
            if not await self._client.ask("HDEL", dead, job):
                return False
            await self._client.ask("HDEL", tries, job)
            await self._client.ask("LPUSH", ready, job)
        return True

    async def _next(self, ends: float) -> QueuedJob | None:
        ready, processing = self._names("", "processing")
        visible_ms = round(self.declared.visible_s * 1000)
        wake = self._names("", "processing", "due", "later", "tries", "dead")
        claim = self._names("jobs", "tries", "due", "processing")
        with translated(self._client.target):
            while True:
                await self._client.run(_WAKE, wake, [visible_ms, self.declared.tries])
                wait_s = max(0.01, min(BLOCK_S, ends - time.monotonic()))
                found = await self._client.ask(
                    "BLMOVE", ready, processing, "RIGHT", "LEFT", f"{wait_s:.3f}"
                )
                if found is not None:
                    begun = await self._client.run(_CLAIM, claim, [found, visible_ms])
                    if begun is not None:
                        return QueuedJob(found.decode(), json.loads(begun[0]), int(begun[1]))
                elif time.monotonic() >= ends:
                    return None

    async def _end(self, job: QueuedJob, error: BaseException | None) -> None:
        how = "done" if error is None else "failed"
        said = f"{type(error).__name__}: {error}"[:500]
        names = self._names("jobs", "tries", "due", "processing", "later", "dead")
        pause_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** (job.number - 1))
        pause_ms = round(pause_s * random.uniform(0.5, 1) * 1000)  # noqa: S311 - no secret
        tries = self.declared.tries
        arguments: list[Command] = [job.id, job.number, how, tries, pause_ms, said]
        with translated(self._client.target):
            await asyncio.shield(self._client.run(_END, names, arguments))
