"""The breaker: while a server does not answer it is not asked, but for one probe at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from assise.errors import AssiseError

FIRST_S = 0.05
LAST_S = 2.0
"""How long the probe waits before its first and, doubled each time, before a later try."""


@dataclass
class Breaker:
    """Open from the first call that fails, until a probe has succeeded.

    probe: asks the server, and replays what it missed. It raises `AssiseError` while the server
    does not answer.
    """

    probe: Callable[[], Awaitable[None]]
    is_open: bool = False
    reason: str = ""
    opened: int = 0
    _probing: asyncio.Task[None] | None = field(default=None, repr=False)

    def open(self, reason: str) -> None:
        """Stop asking the server, and probe it in the background."""
        self.reason = reason
        if self.is_open:
            return
        self.is_open = True
        self.opened += 1
        self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        wait_s = FIRST_S
        while self.is_open:
            await asyncio.sleep(wait_s)
            wait_s = min(LAST_S, wait_s * 2)
            try:
                await self.probe()
            except AssiseError as error:
                self.reason = error.message
            else:
                self.is_open, self.reason = False, ""

    async def close(self) -> None:
        """End the probe."""
        probing, self._probing = self._probing, None
        self.is_open = False
        if probing is not None:
            probing.cancel()
            with suppress(asyncio.CancelledError):
                await probing
