"""What the cache keeps in Redis, and how it is read: values, leases, generations of tags.

A value begins with a header that names the generation of each of its tags. Value and generations
come in one MGET; a value holds while its header names what stands there. Generations are random:
one that was evicted is a miss, and never an older one again. An invalidated tag has none.

A load begins with a lease, and with the generations that stand then. It is stored only while the
lease is ours and they still stand: what was invalidated meanwhile is never stored. The epoch does
the same for keys that are invalidated by a pattern, which a scan cannot see before they are there.
"""

from __future__ import annotations

import asyncio
import os
import random
import struct
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from math import log
from typing import Any, NamedTuple, TypeVar

from assise.cache.breaker import Breaker
from assise.errors import RedisError
from assise.redis.client import (
    Client,
    Command,
    Script,
    explain,
    list_failures,
    list_lost,
    translated,
)

T = TypeVar("T")
LEASE_S = 10.0
"""How long a lease holds unless its owner extends it: so long is a killed one waited for."""

KEPT_S = 600.0
"""How long a load may take before the generations that it read are gone, and it is not stored."""

MAX_TAGS = 30
PAGE = 1_000
_GENERATION = 8
_HEADER = struct.Struct(">BBdf")
_FAR = 50
"""A load is never early by so many times its cost: the chance is under 1e-21."""

_VERSION = 1
_NAMED_VERSION = 2
"""Of values at keys that an application names."""

_EPOCH = "epoch:"
COUNTS = "stats:"
_COUNTED_MS = 30 * 86_400_000
_LEASE_MS = round(LEASE_S * 1000)


Replay = Callable[[Client], Awaitable[None]]
"""Sends a server the invalidations that it missed; it raises `RedisError` while it cannot."""


class AwayError(Exception):
    """Redis is not asked now, or has not answered: the function's own value is used."""


class Entry(NamedTuple):
    """What stands at a key: the bytes of a value whose tags hold, or None.

    head: where it is to be loaded, the first bytes of what stood there, which no two loads share.
    """

    data: bytes | None
    head: bytes | None = None


_NOTHING = Entry(None, b"")


class Lease(NamedTuple):
    """The right to store one value, and the generations that stood when its load began."""

    key: str
    tags: Sequence[str]
    token: bytes
    generations: Sequence[bytes]


class Drops(NamedTuple):
    """What is invalidated: tags, keys, and patterns of tags."""

    tags: Sequence[str] = ()
    keys: Sequence[str] = ()
    patterns: Sequence[str] = ()

    @classmethod
    def of_rows(cls, rows: Iterable[Sequence[Any]]) -> Drops:
        """What rows of the outbox name: tags, and patterns of tags."""
        found = [*rows]
        tags = dict.fromkeys(tag for tags, _ in found for tag in tags)
        patterns = dict.fromkeys(each for _, patterns in found for each in patterns)
        return cls([*tags], (), [*patterns])


async def drop_by(client: Client, prefix: str, drops: Drops) -> None:
    """Invalidate by any client, as one that the breaker does not hold back.

    Raises:
        RedisError: Redis does not answer, or refuses.
    """
    names = [
        *(f"{prefix}tag:{tag}" for tag in drops.tags),
        *(f"{prefix}{kind}{key}" for key in drops.keys for kind in ("lease:", "")),
    ]
    # Also where nothing is to be dropped: a replica answers PING, and takes no DEL.
    names = names or [f"{prefix}none:"]
    with translated(client.target):
        for begin in range(0, len(names), PAGE):
            await client.ask("DEL", *names[begin : begin + PAGE])
        for pattern in drops.patterns:
            await _unlink(client, f"{prefix}tag:{pattern}")


async def _unlink(client: Client, pattern: str) -> int:
    cursor, count = b"0", 0
    while True:
        cursor, keys = await client.ask("SCAN", cursor, "MATCH", pattern, "COUNT", PAGE)
        count += int(await client.ask("UNLINK", *keys)) if keys else 0
        if int(cursor) == 0:
            return count


def read_scripts(*names: str, before: str = "") -> list[Script]:
    """The scripts of this package by name, each behind the functions of the script `before`."""
    folder = files("assise.cache").joinpath("lua")
    texts = [folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in names]
    shared = folder.joinpath(f"{before}.lua").read_text(encoding="utf-8") if before else ""
    return [Script(shared + text) for text in texts]


_BEGIN, _PUT = read_scripts("begin", "put", before="generations")
_STORE, _EXTEND, _RELEASE, _COUNT = read_scripts("store", "extend", "release", "count")


def is_due(expires: float, cost_s: float) -> bool:
    """Whether a value is loaded again before it expires: sooner the more its load costs.

    XFetch of Vattani, Chierichetti and Lowenstein, Optimal Probabilistic Cache Stampede
    Prevention (VLDB 2015), with beta = 1.
    """
    left_s = expires - time.time()
    if left_s > _FAR * cost_s:
        return False
    return -cost_s * log(1.0 - random.random()) >= left_s  # noqa: S311 - no secret


class Store:
    """The cache's database of Redis. `prefix` begins all keys; it is empty, or ends in a colon."""

    def __init__(
        self,
        find_url: Callable[[], str],
        *,
        prefix: str,
        timeout_s: float,
        size: int,
        replay: Replay,
    ) -> None:
        self._find_url, self.prefix, self.target = find_url, prefix, "Redis"
        self._timeout_s, self._size = timeout_s, size
        self._client: Client | None = None
        self._replay = replay
        self.breaker = Breaker(self._probe)
        self.refused = 0
        self._releasing: set[asyncio.Task[None]] = set()

    @property
    def client(self) -> Client:
        """The client; an embedded server is started when it is asked for first.

        Raises:
            UsageError: the manifest has no `redis`. RedisError: the embedded server does not start.
        """
        if self._client is None:
            url = self._find_url()
            self._client = Client(
                url, timeout_s=self._timeout_s, size=self._size, check=self._check_open
            )
            self.target = self._client.target
        return self._client

    def _check_open(self) -> None:
        if self.breaker.is_open:
            raise AwayError

    async def close(self) -> None:
        """End the probe, and close all connections."""
        if self._releasing:
            await asyncio.wait([*self._releasing], timeout=2 * self._timeout_s)
        await self.breaker.close()
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _probe(self) -> None:
        """Send the server the invalidations that it missed, over new connections.

        Raises:
            RedisError: it does not answer, or takes no writes.
        """
        probe = Client(self._find_url(), timeout_s=self._timeout_s, size=1)
        try:
            await self._replay(probe)
        finally:
            await probe.close()
        await self.client.disconnect()

    async def ask(self, *command: Command) -> Any:  # noqa: ANN401 - what a command answers
        """The answer to a command.

        Raises:
            AwayError: Redis does not answer, or refuses.
        """
        if self.breaker.is_open:
            raise AwayError
        try:
            return await self.client.ask(*command)
        except list_failures() as error:
            raise self._note(error) from error

    async def _run(self, script: Script, keys: list[str], arguments: list[Command]) -> Any:  # noqa: ANN401
        if self.breaker.is_open:
            raise AwayError
        try:
            return await self.client.run(script, keys, arguments)
        except list_failures() as error:
            raise self._note(error) from error

    def _note(self, error: Exception) -> AwayError:
        reason = explain(error, self.target)
        cause = error.__cause__ if isinstance(error, RedisError) else error
        if cause is None or isinstance(cause, list_lost()):
            self.breaker.open(reason.message)
        else:
            self.refused += 1
            self.breaker.reason = reason.message
        return AwayError(reason)

    def _lease(self, key: str) -> str:
        return f"{self.prefix}lease:{key}"

    def tag_key(self, tag: str) -> str:
        """The key of a tag's generation."""
        return f"{self.prefix}tag:{tag}"

    async def read(self, key: str, tags: Sequence[str]) -> Entry:
        """A value whose tags hold.

        Raises:
            AwayError: Redis does not answer.
        """
        if self.breaker.is_open:
            raise AwayError
        prefix = self.prefix
        try:
            found = await self.client.ask(
                "MGET", prefix + key, *[f"{prefix}tag:{tag}" for tag in tags]
            )
        except list_failures() as error:
            raise self._note(error) from error
        return read_entry(found[0], found[1:])

    async def read_all(self, places: Sequence[tuple[str, Sequence[str]]]) -> list[Entry]:
        """The values of many keys, each with its tags, in one MGET.

        Raises:
            AwayError: Redis does not answer.
        """
        keys = [self.prefix + key for key, _ in places]
        tags = [*dict.fromkeys(tag for _, tags in places for tag in tags)]
        found = await self.ask("MGET", *keys, *map(self.tag_key, tags)) if keys else []
        stand = dict(zip(tags, found[len(keys) :], strict=True))
        return [
            read_entry(found[n], [stand[tag] for tag in tags]) for n, (_, tags) in enumerate(places)
        ]

    async def read_raw(self, keys: Sequence[str]) -> list[bytes | None]:
        """What stands at keys, in one MGET; their tags are not looked at.

        Raises:
            AwayError: Redis does not answer.
        """
        found: list[bytes | None] = []
        if keys:
            found = await self.ask("MGET", *[self.prefix + key for key in keys])
        return found

    async def generations(self, tags: Sequence[str]) -> dict[str, bytes | None]:
        """The generation of each tag, in one MGET.

        Raises:
            AwayError: Redis does not answer.
        """
        if not tags:
            return {}
        found = await self.ask("MGET", *map(self.tag_key, tags))
        return dict(zip(tags, found, strict=True))

    async def begin(
        self, key: str, tags: Sequence[str], *, head: bytes, ttl_s: float
    ) -> Lease | None:
        """The lease of a value; None where somebody else loads it, or has stored it meanwhile.

        `head` is that of the entry that was read.

        Raises:
            AwayError: Redis does not answer.
        """
        token = os.urandom(16)
        place = [self._lease(key), self.prefix + key]
        keys = [*place, self.prefix + _EPOCH, *map(self.tag_key, tags)]
        fresh = [os.urandom(_GENERATION) for _ in keys[2:]]
        kept_ms = round((ttl_s + KEPT_S) * 1000)
        found = await self._run(_BEGIN, keys, [token, _LEASE_MS, kept_ms, head, *fresh])
        return None if found is None else Lease(key, tags, token, found)

    async def store(
        self, lease: Lease, data: bytes, *, ttl_s: float, cost_s: float, grace_s: float = 0
    ) -> bool:
        """Store a value for `ttl_s`, and `grace_s` more while it is loaded again.

        False where something it depends on was invalidated since its load began.

        Raises:
            AwayError: Redis does not answer, or is full.
        """
        generations = lease.generations[1:]
        header = _HEADER.pack(_VERSION, len(generations), time.time() + ttl_s, cost_s)
        entry = b"".join([header, *generations, data])
        tags = map(self.tag_key, lease.tags)
        keys = [self._lease(lease.key), self.prefix + lease.key, self.prefix + _EPOCH, *tags]
        live_ms = max(1, round((ttl_s + grace_s) * 1000))
        arguments: list[Command] = [lease.token, entry, live_ms, *lease.generations]
        return bool(await self._run(_STORE, keys, arguments))

    async def put(self, key: str, data: bytes, *, tags: Sequence[str], ttl_s: float) -> None:
        """Set a value at a key, whatever stands or is loaded there.

        Raises:
            AwayError: Redis does not answer, or is full.
        """
        header = _HEADER.pack(_NAMED_VERSION, len(tags), time.time() + ttl_s, 0)
        ttl_ms = max(1, round(ttl_s * 1000))
        keys = [self.prefix + key, self._lease(key), *map(self.tag_key, tags)]
        fresh = [os.urandom(_GENERATION) for _ in tags]
        await self._run(_PUT, keys, [header, data, ttl_ms, ttl_ms, *fresh])

    async def extend(self, lease: Lease) -> None:
        """Keep a lease while its value is still being loaded.

        Raises:
            AwayError: Redis does not answer.
        """
        await self._run(_EXTEND, [self._lease(lease.key)], [lease.token, _LEASE_MS])

    def release_later(self, lease: Lease) -> None:
        """Give a lease back without a value, also where the caller was cancelled."""

        async def release() -> None:
            with suppress(AwayError):
                await self._run(_RELEASE, [self._lease(lease.key)], [lease.token])

        task = asyncio.create_task(release())
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    async def is_leased(self, key: str) -> bool:
        """Whether somebody loads a value.

        Raises:
            AwayError: Redis does not answer.
        """
        return bool(await self.ask("EXISTS", self._lease(key)))

    async def drop(self, drops: Drops) -> None:
        """Invalidate: no value holds that has one of these tags, or is at one of these keys.

        Raises:
            AwayError: Redis does not answer, or refuses.
        """
        await self._guard(drop_by(self.client, self.prefix, drops))

    async def add_counts(self, name: str, counts: Mapping[str, int]) -> None:
        """Add to the counts of a cached function, which all processes share.

        Raises:
            AwayError: Redis does not answer.
        """
        pairs: list[Command] = [each for pair in counts.items() for each in pair]
        await self._run(_COUNT, [f"{self.prefix}{COUNTS}{name}"], [_COUNTED_MS, *pairs])

    async def drop_matching(self, pattern: str) -> int:
        """Delete the values whose keys fit a pattern of Redis; how many.

        A new epoch first: what is being loaded now is not stored.

        Raises:
            AwayError: Redis does not answer, or refuses.
        """
        await self.ask("DEL", self.prefix + _EPOCH)
        return await self._guard(_unlink(self.client, self.prefix + pattern))

    async def _guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Await commands; what goes wrong with them opens the breaker."""
        try:
            return await work
        except list_failures() as error:
            raise self._note(error) from error


def split_entry(found: bytes | None) -> tuple[list[bytes], bytes] | None:
    """The generations that a value at an application's key names, and its bytes; or None."""
    if found is None or len(found) < _HEADER.size or found[0] != _NAMED_VERSION:
        return None
    begin = _HEADER.size + found[1] * _GENERATION
    places = range(_HEADER.size, begin, _GENERATION)
    return [found[place : place + _GENERATION] for place in places], found[begin:]


def read_entry(found: bytes | None, generations: Sequence[bytes | None]) -> Entry:
    """What stands at a key, if it is a value of ours and its tags still hold."""
    if found is None:
        return _NOTHING
    head = found[: _HEADER.size]
    if None in generations or len(found) < _HEADER.size:
        return Entry(None, head)
    version, count, expires, cost_s = _HEADER.unpack_from(found)
    begin = _HEADER.size + count * _GENERATION
    if version != _VERSION or count != len(generations):
        return Entry(None, head)
    named = found[_HEADER.size : begin]
    if named != (generations[0] if count == 1 else b"".join(filter(None, generations))):
        return Entry(None, head)
    return Entry(found[begin:], head if is_due(expires, cost_s) else None)
