"""The outbox of an application: what a transaction wrote there is invalidated when it commits.

The tags come in the message that commits. They are invalidated before the session's block ends, and
then their rows are deleted. Rows that stay, as Redis was away or the process was killed, are relayed
by the worker, or by the breaker before it closes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from assise.cache.store import AwayError, Drops
from assise.errors import AssiseError
from assise.postgres.pool import AsyncConnection, OpenSession, Record
from assise.schema.cached import DONE, INVALIDATE, IS_THERE, TAKE, WRITTEN

LOOK_S = 30.0
"""How often it is looked whether the outbox is there, where it was not."""

BATCH = 500


class Outbox:
    """What a pool asks when a session commits; `drop` invalidates."""

    def __init__(self, open_session: OpenSession, drop: Callable[[Drops], Awaitable[None]]) -> None:
        self._open_session, self._drop = open_session, drop
        self._is_there, self._looks_at = False, 0.0
        self._deleting: set[asyncio.Task[None]] = set()

    async def find_query(self, connection: AsyncConnection) -> bytes:
        """The query that is sent with COMMIT; empty where there is no outbox yet."""
        if not self._is_there and time.monotonic() >= self._looks_at:
            self._looks_at = time.monotonic() + LOOK_S
            cursor = await connection.execute(IS_THERE.encode())
            row = await cursor.fetchone()
            self._is_there = bool(row and row["found"])
        return WRITTEN.encode() if self._is_there else b""

    async def note(self, rows: Sequence[Record]) -> None:
        """Invalidate what a transaction wrote that has been committed."""
        if not rows:
            return
        try:
            await self._drop(Drops.of_rows((row["tags"], row["patterns"]) for row in rows))
        except AwayError:
            return
        deleting = asyncio.create_task(self._delete([row["id"] for row in rows]))
        self._deleting.add(deleting)
        deleting.add_done_callback(self._deleting.discard)

    async def _delete(self, ids: list[Any]) -> None:
        with suppress(AssiseError):
            async with self._open_session() as session:
                await session.execute(DONE, [ids])

    async def put(self, tags: Sequence[str]) -> bool:
        """Let tags wait in the outbox; False where there is none, or no session."""
        try:
            async with self._open_session() as session:
                if not await session.fetch_value(IS_THERE):
                    return False
                await session.execute(INVALIDATE, [list(tags)])
        except AssiseError:
            return False
        return True

    async def settle(self) -> None:
        """Wait until rows that were relayed are deleted."""
        if self._deleting:
            await asyncio.wait([*self._deleting])

    async def drain(self, drop: Callable[[Drops], Awaitable[None]]) -> None:
        """Relay all that waits, by `drop`.

        Raises:
            RedisError: Redis does not answer. TargetError: PostgreSQL does not.
        """
        rows: Sequence[Record] = [{}]
        while rows:
            async with self._open_session() as session:
                if not await session.fetch_value(IS_THERE):
                    return
                rows = await session.fetch(TAKE, [BATCH])
                if rows:
                    await drop(Drops.of_rows((row["tags"], row["patterns"]) for row in rows))
