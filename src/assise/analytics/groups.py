"""Group commit: batches of events that come while others are kept share the next transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from assise.analytics.event import Event

SIZE = 5_000
"""Events of a transaction at most, unless a single batch has more."""

Insert = Callable[[Sequence[Event]], Awaitable[object]]


class GroupCommit:
    """Keeps batches by `insert`, in one transaction at a time; for one event loop."""

    def __init__(self, insert: Insert) -> None:
        self._insert = insert
        self._last: tuple[list[Event], asyncio.Task[None]] | None = None
        self._is_open = False

    async def keep(self, events: Sequence[Event]) -> None:
        """Return once these events are committed.

        What `insert` raises, all of its group get: nothing of it is kept then.
        """
        if self._last is None or not self._is_open or len(self._last[0]) + len(events) > SIZE:
            group = list[Event]()
            kept = asyncio.create_task(self._keep_behind(self._last and self._last[1], group))
            self._last, self._is_open = (group, kept), True
        group, kept = self._last
        group += events
        await asyncio.shield(kept)

    async def _keep_behind(self, before: asyncio.Task[None] | None, group: list[Event]) -> None:
        """Keep a group when the one before it is done; until then others may join it."""
        if before is not None:
            await asyncio.wait([before])
        if self._last is not None and self._last[0] is group:
            self._is_open = False
        await self._insert(group)
