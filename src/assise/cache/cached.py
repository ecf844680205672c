"""A cached function: what a call does."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, get_type_hints

from assise.cache.counts import Counts
from assise.cache.keys import EXACT, KeyMaker, Signature
from assise.cache.store import LEASE_S, AwayError, Entry, Lease, Store
from assise.cache.values import Written, encode_checked, find_values
from assise.errors import UsageError
from assise.postgres.replica import READS_MAIN

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

POLL_FIRST_S, POLL_LAST_S = 0.005, 0.05
"""How often a process looks for a value that another one loads: ever more rarely."""

KNOWN = 1_000
"""Calls of a function whose keys are kept."""

MAX_BYTES = 8 << 20
"""A larger value is not stored."""


class Look(Enum):
    """What those do who waited for a load: look again, or ask the function themselves."""

    AGAIN = auto()
    NO_MORE = auto()


Outcome = Look | Exception
Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class Sharing(Protocol):
    """What the cached functions of an application share."""

    store: Store
    is_on: bool

    def name_caller(self, ignored: Sequence[object]) -> str:
        """What a call depends on beside the arguments of its key, such as the tenant."""

    def note(self) -> None:
        """Take note that something was counted."""

    async def delete(self, *keys: str) -> None:
        """Delete values."""


@dataclass(frozen=True)
class CachePlan:
    """How a function is cached: times are seconds.

    grace_s: how long, behind its time to live, a value is given while one caller loads it again.
    """

    name: str
    ttl_s: float
    tags: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    grace_s: float = 0.0
    wait_s: float = LEASE_S


class CachedFunction(Protocol, Generic[P, R_co]):
    """A cached function: called as before."""

    cached: Cached

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The value, from the cache or the function."""

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Delete the value of a call with these arguments."""

    async def get_many(self, calls: Sequence[Mapping[str, Any]]) -> Sequence[R_co]:
        """The values of many calls, each given by its arguments: those cached in one MGET."""


@dataclass
class Cached:
    """A function with its plan, and the loads of this process that are under way, by key."""

    around: Sharing
    function: Callable[..., Awaitable[Any]]
    plan: CachePlan
    counts: Counts = field(default_factory=Counts)
    flights: dict[str, asyncio.Future[Outcome]] = field(default_factory=dict)
    _known: dict[object, tuple[str, list[str]]] = field(default_factory=dict, repr=False)

    @cached_property
    def call(self) -> Signature:
        """How arguments are bound."""
        return Signature(self.function, self.plan.ignored)

    @cached_property
    def values(self) -> Written:
        """How values are written, by the annotation of the function's result.

        Raises:
            UsageError: it has none, or one whose values cannot be cached.
        """
        hints = get_type_hints(self.function, include_extras=True)
        if "return" not in hints:
            raise UsageError(
                f"the cached function {self.plan.name} does not say what it returns",
                remedy="Annotate it: async def …(…) -> list[Project].",
            )
        return find_values(hints["return"])

    @cached_property
    def keys(self) -> KeyMaker:
        """What makes keys and tags of calls."""
        plan, schema = self.plan, self.values.schema
        return KeyMaker(plan.name, plan.tags, call=self.call, ignored=plan.ignored, schema=schema)

    @cached_property
    def _ignored(self) -> list[int]:
        return [self.call.all.index(name) for name in self.plan.ignored]

    def find(self, args: Args, kwargs: Kwargs) -> tuple[str, list[str]] | None:
        """Key and tags of a call; None where the function refuses these arguments.

        Raises:
            UsageError: an argument cannot be part of a key.
        """
        types = (*map(type, args), *map(type, kwargs.values()))
        if not EXACT.issuperset(types):
            return self._make(args, kwargs)
        # Equal values of one of these types are one value, so what was found before holds.
        call = (args, types, *kwargs.items(), self.around.name_caller(()))
        found = self._known.get(call)
        if found is None and (found := self._make(args, kwargs)) is not None:
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[call] = found
        return found

    def _make(self, args: Args, kwargs: Kwargs) -> tuple[str, list[str]] | None:
        values = self.call.bind(args, kwargs)
        if values is None:
            return None
        ignored = [values[place] for place in self._ignored]
        return self.keys.make(values, self.around.name_caller(ignored))

    async def run(self, args: Args, kwargs: Kwargs) -> Any:  # noqa: ANN401 - of the function
        """The value of a call."""
        store = self.around.store
        if not self.around.is_on or store.breaker.is_open:
            return await self._bypass(args, kwargs)
        found = self.find(args, kwargs)
        if found is None:
            return await self.function(*args, **kwargs)
        (key, tags), deadline = found, 0.0
        while True:
            try:
                data, head = await store.read(key, tags)
                if data is not None and head is None:
                    return self._hit(data)
                lease = await self._take_lease(key, tags, head or b"")
            except AwayError:
                return await self._bypass(args, kwargs)
            if lease is not None:
                return await self._load(lease, args, kwargs)
            if data is not None:
                return self._hit(data)
            deadline = deadline or time.monotonic() + self.plan.wait_s
            if not await self._wait(key, deadline):
                return await self._bypass(args, kwargs)

    def _hit(self, data: bytes) -> object:
        self.counts.hits += 1
        self.around.note()
        return self.values.decode(data)

    async def _bypass(self, args: Args, kwargs: Kwargs) -> Any:  # noqa: ANN401 - of the function
        self.counts.bypassed += 1
        return await self.function(*args, **kwargs)

    async def _take_lease(self, key: str, tags: list[str], head: bytes) -> Lease | None:
        """The lease, with a flight that others of this process wait for; None for those others.

        Raises:
            AwayError: Redis does not answer.
        """
        if key in self.flights:
            return None
        flight = self.flights[key] = asyncio.get_running_loop().create_future()
        lease = None
        try:
            lease = await self.around.store.begin(key, tags, head=head, ttl_s=self.plan.ttl_s)
        finally:
            if lease is None:
                del self.flights[key]
                flight.set_result(Look.AGAIN)
        return lease

    async def _wait(self, key: str, deadline: float) -> bool:
        """Wait for the load of another; whether to look again, or to ask the function now.

        Raises:
            Exception: what the function raised for the one who called it.
        """
        self.counts.waits += 1
        flight = self.flights.get(key)
        if flight is None:
            flight = self.flights[key] = asyncio.get_running_loop().create_future()
            try:
                await self._watch(key, deadline)
            finally:
                del self.flights[key]
                flight.set_result(Look.AGAIN)
        else:
            await asyncio.wait({flight}, timeout=max(0, deadline - time.monotonic()))
        if time.monotonic() >= deadline or not flight.done():
            return False
        outcome = flight.result()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome is Look.AGAIN

    async def _watch(self, key: str, deadline: float) -> None:
        """Wait until no process has the lease of a value."""
        pause_s = POLL_FIRST_S
        while time.monotonic() < deadline:
            await asyncio.sleep(pause_s)
            pause_s = min(POLL_LAST_S, pause_s * 1.5)
            with suppress(AwayError):
                if await self.around.store.is_leased(key):
                    continue
            return

    async def _load(self, lease: Lease, args: Args, kwargs: Kwargs) -> Any:  # noqa: ANN401
        """Call the function and store what it gives; those who wait are told.

        Raises:
            Exception: what the function raises. UsageError: its value does not fit its type.
        """
        outcome: Outcome = Look.AGAIN
        extending, is_held = asyncio.create_task(self._extend(lease)), True
        try:
            began = time.monotonic()
            value = await self._call_on_main(args, kwargs)
            cost_s = time.monotonic() - began
            self.counts.loads += 1
            self.counts.load_s += cost_s
            self.around.note()
            data = encode_checked(self.values, value, self.plan.name)
            is_held = not await self._store(lease, data, cost_s)
            outcome = Look.NO_MORE if is_held else Look.AGAIN
        finally:
            extending.cancel()
            error = sys.exception()
            outcome = error if isinstance(error, Exception) else outcome
            if is_held:
                self.around.store.release_later(lease)
            self.flights.pop(lease.key).set_result(outcome)
        return value

    async def _call_on_main(self, args: Args, kwargs: Kwargs) -> Any:  # noqa: ANN401
        """What the function gives, whose sessions read from no replica."""
        before = READS_MAIN.set(True)
        try:
            return await self.function(*args, **kwargs)
        finally:
            READS_MAIN.reset(before)

    async def _store(self, lease: Lease, data: bytes, cost_s: float) -> bool:
        """Whether Redis has decided on the value: it is stored, or something was invalidated."""
        if len(data) > MAX_BYTES:
            self.counts.unstored += 1
            return False
        plan = self.plan
        try:
            is_stored = await self.around.store.store(
                lease, data, ttl_s=plan.ttl_s, cost_s=cost_s, grace_s=plan.grace_s
            )
        except AwayError:
            self.counts.unstored += 1
            return False
        self.counts.unstored += not is_stored
        self.counts.bytes += len(data) * is_stored
        return True

    async def _extend(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            with suppress(AwayError):
                await self.around.store.extend(lease)

    async def invalidate(self, args: Args, kwargs: Kwargs) -> None:
        """Delete the value of a call with these arguments.

        Raises:
            RedisError: Redis does not answer; the value may be read until its time is over.
        """
        found = self.find(args, kwargs)
        if found is not None:
            await self.around.delete(found[0])

    async def get_many(self, calls: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The values of many calls: those that are cached in one MGET, the others as single calls.

        Raises:
            UsageError: an argument cannot be part of a key.
        """
        places = [self.find((), dict(call)) for call in calls]
        entries = [Entry(None)] * len(calls)
        store = self.around.store
        if self.around.is_on and not store.breaker.is_open:
            with suppress(AwayError):
                entries = await store.read_all([place or ("", ()) for place in places])
        missing = [n for n, entry in enumerate(entries) if entry.data is None]
        loaded = await asyncio.gather(*(self.run((), dict(calls[n])) for n in missing))
        found = dict(zip(missing, loaded, strict=True))
        return [
            found[n] if each.data is None else self._hit(each.data)
            for n, each in enumerate(entries)
        ]
