"""The noun `monitor` of an application: `await app.monitor.measure("projects", load(user))`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol, TypeVar

from assise.errors import AssiseError, UsageError
from assise.monitor.histogram import WARN_MS, Histogram, Percentiles

T = TypeVar("T")
LOG = logging.getLogger("assise.monitor")

ALERT_MS = 1_000.0
LOW_HIT_RATE, TARGET_HIT_RATE = 0.6, 0.8
FULL_POOL = 0.9
FEW_CALLS = 100
"""Of fewer calls of the cache a rate says nothing."""

SLOW_KEPT = 1_000
NAMES = 1_000
"""Names that a process measures; further ones are `other`."""

SEND_S = 10.0
KEPT_HOURS = 24 * 31


class SlowCall(NamedTuple):
    """A call that took over half a second."""

    name: str
    ms: float
    at: datetime
    level: Literal["warning", "alert"]


class PoolUse(NamedTuple):
    """The connections of a role: in use, and at most."""

    role: str
    used: int
    size: int


class CacheFigures(NamedTuple):
    """The calls of all cached functions of a process."""

    hits: int
    loads: int
    bypassed: int
    is_open: bool
    refused: int


class MetricSample(NamedTuple):
    """A figure for Prometheus: a name, what it is, its labels."""

    name: str
    help: str
    labels: Mapping[str, str]
    value: float


class Hours(Protocol):
    """Where figures are kept by hour and name, and added up over all processes."""

    async def add(self, hour: int, name: str, numbers: Mapping[str, int]) -> None:
        """Add numbers to those of an hour."""

    async def read(self, first: int, last: int) -> dict[str, dict[str, int]]:
        """The numbers of some hours by name."""


@dataclass(frozen=True)
class PerformanceStats:
    """What was measured in some hours, by name, over all processes."""

    hours: int
    by_name: Mapping[str, Percentiles]


class AppMonitor:
    """What this process measures; the hours are shared by all, where the manifest has a Redis."""

    def __init__(
        self,
        *,
        find_pools: Callable[[], list[PoolUse]],
        find_cache: Callable[[], CacheFigures | None],
        hours: Hours | None,
    ) -> None:
        self._find_pools, self._find_cache, self._hours = find_pools, find_cache, hours
        self.histograms: dict[str, Histogram] = {}
        self.slow: deque[SlowCall] = deque(maxlen=SLOW_KEPT)
        self._new: dict[str, Histogram] = {}
        self._sends_at = time.monotonic() + SEND_S
        self._sending: asyncio.Task[None] | None = None

    async def measure(self, name: str, work: Awaitable[T]) -> T:
        """Await something, and note how long it took and whether it failed."""
        began, is_done = time.perf_counter(), False
        try:
            found = await work
            is_done = True
        finally:
            self.note(name, (time.perf_counter() - began) * 1000, is_error=not is_done)
        return found

    def note(self, name: str, ms: float, *, is_error: bool = False) -> None:
        """Note a time that was measured elsewhere."""
        if name not in self.histograms and len(self.histograms) >= NAMES:
            name = "other"
        for histograms in (self.histograms, self._new):
            histograms.setdefault(name, Histogram()).add(ms, is_error=is_error)
        if ms >= WARN_MS:
            level: Literal["warning", "alert"] = "alert" if ms >= ALERT_MS else "warning"
            self.slow.append(SlowCall(name, ms, datetime.now(UTC), level))
            LOG.log(
                logging.ERROR if level == "alert" else logging.WARNING,
                "%s took %.0f ms",
                name,
                ms,
            )
        self._send_soon()

    def summarize(self) -> dict[str, Percentiles]:
        """What this process has measured, by name."""
        return {name: each.summarize() for name, each in self.histograms.items()}

    @property
    def hit_rate(self) -> float | None:
        """The share of calls that the cache answered; None without calls."""
        found = self._find_cache()
        calls = found.hits + found.loads + found.bypassed if found else 0
        return found.hits / calls if found and calls else None

    def list_alerts(self) -> list[str]:
        """What is over a threshold now, in words."""
        return [*self._list_alerts()]

    def _list_alerts(self) -> Iterator[str]:
        for name, each in self.summarize().items():
            if each.p95_ms >= ALERT_MS:
                yield f"{name}: 95 of 100 take up to {each.p95_ms:,.0f} ms"
        cache, rate = self._find_cache(), self.hit_rate
        if cache is not None and cache.is_open:
            yield "the cache does not answer"
        calls = cache.hits + cache.loads + cache.bypassed if cache else 0
        if rate is not None and calls >= FEW_CALLS and rate < LOW_HIT_RATE:
            yield f"the cache answers {rate:.0%} of the calls, under {LOW_HIT_RATE:.0%}"
        for pool in self._find_pools():
            if pool.used > FULL_POOL * pool.size:
                yield f"the pool of {pool.role} uses {pool.used} of {pool.size} connections"

    async def performance_metrics(self, hours: int = 24) -> dict[str, float | None]:
        """The figures of a dashboard, of all that was measured in the last hours.

        Rates are percentages. `cache_hit_rate` and `pool_use` are those of this process, of the
        fullest pool. None is what was not measured.

        Raises:
            UsageError: hours is not 1 to 744. RedisError: Redis does not answer.
        """
        every = Histogram()
        for each in (await self._read_hours(hours)).values():
            every.merge(each.as_numbers())
        found, rate = every.summarize(), self.hit_rate
        uses = [100 * pool.used / pool.size for pool in self._find_pools()]
        measured: dict[str, float] = {}
        if found.count:
            measured = {
                "average_query_time_ms": found.mean_ms,
                "p50_ms": found.p50_ms,
                "p95_ms": found.p95_ms,
                "p99_ms": found.p99_ms,
                "slow_queries": found.slow,
                "error_rate": 100 * found.errors / found.count,
            }
        return {
            **{name: round(value, 2) for name, value in measured.items()},
            "cache_hit_rate": None if rate is None else round(100 * rate, 2),
            "pool_use": round(max(uses), 2) if uses else None,
        }

    async def get_performance_stats(self, hours: int = 24) -> PerformanceStats:
        """What all processes have measured in the last hours, by name.

        Without Redis it is what this process has measured.

        Raises:
            UsageError: hours is not 1 to 744. RedisError: Redis does not answer.
        """
        found = await self._read_hours(hours)
        return PerformanceStats(hours, {name: each.summarize() for name, each in found.items()})

    async def _read_hours(self, hours: int) -> dict[str, Histogram]:
        if not 1 <= hours <= KEPT_HOURS:
            raise UsageError(f"hours is {hours}", remedy=f"Give 1 to {KEPT_HOURS}.")
        if self._hours is None:
            return self.histograms
        await self._send()
        last, found = int(time.time() // 3_600), dict[str, Histogram]()
        for name, numbers in (await self._hours.read(last - hours + 1, last)).items():
            found[name] = Histogram()
            found[name].merge(numbers)
        return found

    def list_samples(self) -> Iterator[MetricSample]:
        """The figures for Prometheus."""
        for name, each in self.summarize().items():
            help_text = "Milliseconds of what is measured, by name and quantile"
            for quantile, value in (
                ("0.5", each.p50_ms),
                ("0.95", each.p95_ms),
                ("0.99", each.p99_ms),
            ):
                labels = {"name": name, "quantile": quantile}
                yield MetricSample("assise_monitor_ms", help_text, labels, value)
            labels = {"name": name}
            yield MetricSample(
                "assise_monitor_calls", "What is measured, by name", labels, each.count
            )
            yield MetricSample("assise_monitor_errors", "What failed, by name", labels, each.errors)
            help_text = "What took 500 ms or longer, by name"
            yield MetricSample("assise_monitor_slow", help_text, labels, each.slow)
        for pool in self._find_pools():
            labels = {"role": pool.role}
            yield MetricSample("assise_pool_used", "Connections in use, by role", labels, pool.used)
            yield MetricSample(
                "assise_pool_size", "Connections at most, by role", labels, pool.size
            )
        if (cache := self._find_cache()) is not None:
            named = {"hits": cache.hits, "loads": cache.loads, "bypassed": cache.bypassed}
            for name, value in named.items():
                help_text = "Calls of cached functions, by what answered"
                yield MetricSample("assise_cache_calls", help_text, {"by": name}, value)
            help_text = "1 while Redis is not asked, as it does not answer"
            yield MetricSample("assise_cache_breaker_state", help_text, {}, cache.is_open)
            yield MetricSample(
                "assise_cache_refused", "Commands that Redis refused", {}, cache.refused
            )

    def _send_soon(self) -> None:
        if self._hours is None or time.monotonic() < self._sends_at:
            return
        if self._sending is None or self._sending.done():
            self._sends_at = time.monotonic() + SEND_S
            with suppress(RuntimeError):  # outside of a loop it waits for the next
                self._sending = asyncio.get_running_loop().create_task(self._send_quietly())

    async def _send_quietly(self) -> None:
        with suppress(AssiseError):
            await self._send()

    async def _send(self) -> None:
        new, self._new = self._new, {}
        hour = int(time.time() // 3_600)
        for name, histogram in new.items():
            if self._hours is not None:
                await self._hours.add(hour, name, histogram.as_numbers())

    async def close(self) -> None:
        """Send what was measured."""
        if self._sending is not None:
            await self._sending
        await self._send_quietly()
