"""Sessions that read from a replica, and from the main server where the replica cannot serve them.

Between two statements the server may change: each statement has a snapshot of its own.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic

from assise.errors import TargetError
from assise.postgres.pool import AsyncConnection, RolePool, Session, begin, is_gone
from assise.postgres.rights import Rights

PAUSE_S = 5.0
"""How long a replica that was gone is not asked again."""

WAIT_MS = 1_000
"""How long a session waits for a connection to the replica."""

READS_MAIN: ContextVar[bool] = ContextVar("reads_main", default=False)
"""Whether no replica is asked: what is read is kept, and a replica may be behind an invalidation."""

_POSITION = re.compile("[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_LOG = logging.getLogger(__name__)


@dataclass
class Replica:
    """A replica and the server that it follows, for sessions of one role."""

    pool: RolePool
    main: RolePool
    _asked_again: float = field(default=0.0, init=False)

    @asynccontextmanager
    async def session(self, rights: Rights, position: str | None) -> AsyncIterator[Session]:
        """A transaction that reads what was written up to a position, a place in the server's log.

        It is on the main server where the replica is behind or gone. A statement that the replica
        loses, or ends to go on replaying, is sent to the main server.

        Raises:
            TargetError: the main server cannot be reached, or refused something.
        """
        async with AsyncExitStack() as lent:

            async def switch() -> tuple[AsyncConnection, str]:
                await lent.aclose()
                connection = await lent.enter_async_context(self.main.lend())
                await begin(connection, rights, self.main.target)
                return connection, self.main.target

            connection = await self._begin(lent, rights, position)
            if connection is None:
                yield Session(*await switch())
            else:
                yield Session(connection, self.pool.target, switch)

    async def _begin(
        self, lent: AsyncExitStack, rights: Rights, position: str | None
    ) -> AsyncConnection | None:
        """A transaction on the replica; None where it is behind, or gone."""
        is_known = position is None or _POSITION.fullmatch(position)
        if monotonic() < self._asked_again or not is_known:
            return None
        try:
            connection = await lent.enter_async_context(self.pool.lend())
            if await begin(connection, rights, self.pool.target, position):
                return connection
        except TargetError as error:
            if not is_gone(error):
                raise
            self._asked_again = monotonic() + PAUSE_S
            _LOG.warning("the replica is not asked for %g s: %s", PAUSE_S, error.message)
        return None

    async def close(self) -> None:
        """Close the connections to the replica."""
        await self.pool.close()
