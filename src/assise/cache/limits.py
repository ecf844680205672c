"""How often something may happen: counted in Redis, and in the process while Redis is away."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from assise.cache.breaker import Breaker
from assise.cache.store import read_scripts
from assise.errors import UsageError
from assise.redis.client import Client, explain, list_failures, list_lost

MAX_LOCAL = 10_000
"""Callers that a process counts by itself; those that were seen longest ago are forgotten."""

(_LIMIT,) = read_scripts("limit")


class Allowance(NamedTuple):
    """Whether it may happen, how often it still may, and in how many seconds once more.

    is_local: counted in this process, as Redis was away.
    """

    is_allowed: bool
    remaining: int
    retry_after_s: float
    is_local: bool = False


@dataclass
class _Bucket:
    level: float
    at: float


class Limits:
    """The limits of one database of Redis, with one breaker, and the counts of this process."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.breaker = Breaker(self._probe)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    async def _probe(self) -> None:
        try:
            await self.client.ask("PING")
        except list_failures() as error:
            raise explain(error, self.client.target) from error

    async def hit(
        self,
        key: str,
        rate: tuple[int, float],
        *,
        cost: int = 1,
        only_asks: bool = False,
        at_ms: int | None = None,
    ) -> Allowance:
        """Count `cost` more, unless there are too many in the time that ends now."""
        times, window_s = rate
        if not 1 <= cost <= times:
            raise UsageError(f"cost is {cost}", remedy=f"Give 1 to {times}, the limit of {key}.")
        if not self.breaker.is_open:
            at = "" if at_ms is None else at_ms
            arguments = (times, round(window_s * 1000), cost, "1" if only_asks else "0", at)
            try:
                found = await self.client.run(_LIMIT, (key,), arguments)
            except list_failures() as error:
                reason = explain(error, self.client.target)
                if isinstance(error, list_lost()):
                    self.breaker.open(reason.message)
                self.breaker.reason = reason.message
            else:
                return Allowance(bool(found[0]), found[1], found[2] / 1000)
        return self._hit_here(key, times, window_s / times, 0 if only_asks else cost)

    def _hit_here(self, key: str, times: int, seconds_each: float, cost: int) -> Allowance:
        """By a bucket that leaks: as often, as far as this process knows."""
        now = time.monotonic()
        bucket = self._buckets.pop(key, None) or _Bucket(0, now)
        self._buckets[key] = bucket
        if len(self._buckets) > MAX_LOCAL:
            self._buckets.popitem(last=False)
        bucket.level = max(0.0, bucket.level - (now - bucket.at) / seconds_each)
        bucket.at = now
        wanted = bucket.level + max(cost, 1)
        if wanted > times:
            return Allowance(False, 0, (wanted - times) * seconds_each, is_local=True)
        bucket.level += cost
        return Allowance(True, int(times - bucket.level), 0, is_local=True)

    async def clear(self, key: str) -> None:
        """Forget what was counted."""
        self._buckets.pop(key, None)
        if not self.breaker.is_open:
            try:
                await self.client.ask("DEL", key)
            except list_failures() as error:
                if isinstance(error, list_lost()):
                    self.breaker.open(explain(error, self.client.target).message)

    async def close(self) -> None:
        """End the probe."""
        await self.breaker.close()
