"""The outbox relayed by the worker, every second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assise.cache.store import Drops, drop_by
from assise.cache.verbs import read_prefix
from assise.errors import RedisError
from assise.manifest.sections.redis import REDIS
from assise.postgres.connection import Connection
from assise.redis.client import Client
from assise.schema.cached import take_rows
from assise.wording import count_of
from assise.workspace import Job, LoadedTables

CRON = "* * * * * *"
"""Every second: the sixth field is that of seconds."""

BATCH = 500
TIMEOUT_S = 5.0
PAUSE_S = 30.0
"""How long no relay is tried again when Redis did not answer."""


def list_jobs(tables: LoadedTables) -> Sequence[Job]:
    """The relay of the outbox, where the manifest has a Redis."""
    if REDIS.of(tables.manifest) is None:
        return []
    return [Job("relay cache", CRON, _Relay(tables).run)]


@dataclass
class _Relay:
    tables: LoadedTables
    rests_until: float = 0.0

    def run(self, connection: Connection, should_stop: Callable[[], bool]) -> str:
        """Invalidate what the outbox has, and say how many statements that were.

        Raises:
            RedisError: Redis does not answer, or refuses; what waits stays.
        """
        count = 0
        while time.monotonic() >= self.rests_until and not should_stop():
            with connection.transaction():
                rows = connection.execute(take_rows(self.tables.schema), {"size": BATCH})
                if not rows:
                    break
                try:
                    asyncio.run(self._drop(Drops.of_rows(row[1:] for row in rows)))
                except RedisError:
                    self.rests_until = time.monotonic() + PAUSE_S
                    raise
            count += len(rows)
        return f"{count_of(count, 'invalidation')} relayed" if count else ""

    async def _drop(self, drops: Drops) -> None:
        client = Client(self.tables.find_redis(), timeout_s=TIMEOUT_S, size=1)
        try:
            await drop_by(client, read_prefix(self.tables.manifest), drops)
        finally:
            await client.close()
