"""The noun `cache` of an application: `@app.cache("user_projects", ttl="5 minutes")`."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import replace
from functools import partial, wraps
from inspect import iscoroutinefunction
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from assise.cache import explicit
from assise.cache.cached import Cached, CachedFunction, CachePlan
from assise.cache.counts import Counts
from assise.cache.durations import Time, read_seconds
from assise.cache.keys import Template, check_name
from assise.cache.locks import hold
from assise.cache.outbox import Outbox
from assise.cache.store import LEASE_S, MAX_TAGS, AwayError, Drops, Store, drop_by
from assise.errors import RedisError, UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.access import ROLES
from assise.manifest.sections.cached import CACHE, TableCache
from assise.manifest.sections.redis import REDIS
from assise.postgres.pool import OpenSession, Session
from assise.postgres.rights import Rights
from assise.redis.client import Client
from assise.schema.cached import INVALIDATE
from assise.settings import CACHE_OFF, CACHE_SIZE, CACHE_TIMEOUT
from assise.wording import nearest
from assise.workspace import Workspace

P = ParamSpec("P")
R = TypeVar("R")

_OURS = ("tag:", "lease:", "epoch:", "lock:", "stats:")
SEND_S = 10.0
"""How often what a process counts is sent, for `assise cache stats`."""

_ANY = re.compile(r"[*?:]|\[[^\]]*\]?")
_REPEATED = "It is repeated before this process asks Redis again; others may read old values."


def read_prefix(manifest: Manifest) -> str:
    """What all names of keys begin with: empty, or the manifest's prefix and a colon."""
    servers = REDIS.of(manifest)
    return f"{servers.prefix}:" if servers and servers.prefix else ""


def fits_everything(pattern: str) -> bool:
    """Whether a pattern names no character that a key must have."""
    return not _ANY.sub("", pattern)


class Surroundings(NamedTuple):
    """What the cache asks its application for.

    rights, session: those of the block in which a task is. open_session: a new one, of the role
    `app`, that has no user.
    """

    rights: Callable[[], Rights | None]
    session: Callable[[], Session | None]
    open_session: OpenSession


class AppCache:
    """The cache of an application; for one event loop.

    Raises:
        UsageError: a setting cannot be used.
    """

    def __init__(self, workspace: Workspace, manifest: Manifest, around: Surroundings) -> None:
        self._workspace, self._manifest, self._around = workspace, manifest, around
        self.prefix = read_prefix(manifest)
        setting = workspace.setting
        self.store = Store(
            lambda: workspace.redis_url(manifest, "cache"),
            prefix=self.prefix,
            timeout_s=setting(CACHE_TIMEOUT) / 1000,
            size=setting(CACHE_SIZE),
            replay=self._replay,
        )
        self.is_on = not setting(CACHE_OFF)
        self.functions: dict[str, Cached] = {}
        # Without roles an application has no sessions.
        has_sessions = ROLES.of(manifest) is not None
        self.outbox = Outbox(around.open_session, self.store.drop) if has_sessions else None
        self._missed_tags: set[str] = set()
        self._missed_keys: set[str] = set()
        self._data: Client | None = None
        self._sent: dict[str, Counts] = {}
        self._sends_at = 0.0
        self._sending: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Send what was counted, and close all connections."""
        if self.outbox is not None:
            await self.outbox.settle()
        if self._sending is not None:
            await self._sending
        if not self.store.breaker.is_open:
            await self._send_counts()
        await self.store.close()
        client, self._data = self._data, None
        if client is not None:
            await client.close()

    def __call__(
        self,
        name: str,
        *,
        ttl: Time | None = None,
        tags: Sequence[str] = (),
        table: str | None = None,
        ignore: Sequence[str] = (),
        stale: Time | None = None,
        wait: Time = LEASE_S,
    ) -> Callable[[Callable[P, Awaitable[R]]], CachedFunction[P, R]]:
        """Cache an async function, or a route of FastAPI, under a name that no other one has.

        Args:
            ttl: how long a value is kept: a text such as `5 minutes`, or seconds.
            tags: names with fields that are arguments: a value is gone when one is invalidated.
            table: a table of the manifest whose `cache` gives the tags, and ttl where none is.
            ignore: arguments that are no part of the key, such as a session.
            stale: how much longer a value is given while one caller loads it again.
            wait: how long a call waits at most for the load of another, before it does its own.

        Raises:
            UsageError: a name, a time or a tag cannot be used.
        """
        check_name(name)
        if name in self.functions:
            raise UsageError(f"there is a cached function {name!r} already")
        if table is not None:
            declared = self._find_table(table)
            tags, ttl = [*tags, *declared.tags], ttl or declared.ttl
        if ttl is None:
            raise UsageError(f"{name} has no ttl", remedy="Write ttl='5 minutes'.")
        if len(tags) > MAX_TAGS:
            raise UsageError(f"{name} has {len(tags)} tags, over {MAX_TAGS}")
        plan = CachePlan(
            name,
            read_seconds(ttl, f"ttl of {name}"),
            tuple(tags),
            tuple(ignore),
            0.0 if stale is None else read_seconds(stale, f"stale of {name}"),
            read_seconds(wait, f"wait of {name}"),
        )

        def decorate(function: Callable[P, Awaitable[R]]) -> CachedFunction[P, R]:
            if not iscoroutinefunction(function):
                raise UsageError(f"{name} is no async function", remedy="Write async def.")
            cached = self.functions[name] = Cached(self, function, plan)
            for tag in plan.tags:
                Template(tag)

            @wraps(function)
            async def call(*args: P.args, **kwargs: P.kwargs) -> R:
                return cast("R", await cached.run(args, kwargs))

            async def invalidate(*args: P.args, **kwargs: P.kwargs) -> None:
                await cached.invalidate(args, kwargs)

            vars(call).update(cached=cached, invalidate=invalidate, get_many=cached.get_many)
            return cast("CachedFunction[P, R]", call)

        return decorate

    def _find_table(self, name: str) -> TableCache:
        table = self._manifest.tables.get(name)
        found = CACHE.of(table) if table else None
        if found is None:
            declared = [each for each, table in self._manifest.tables.items() if CACHE.of(table)]
            raise UsageError(f"no table {name!r} has cache: {{…}}", remedy=nearest(name, declared))
        return found

    @contextmanager
    def bypass(self) -> Iterator[None]:
        """In the block every call asks its function, and nothing is read or stored: for tests."""
        before, self.is_on = self.is_on, False
        try:
            yield
        finally:
            self.is_on = before

    def name_caller(self, ignored: Sequence[object]) -> str:
        """The tenant of the session around; of a call that takes a session its user and role too.

        What such a session sees is what the rules let its user see.
        """
        rights = self._around.rights()
        if rights is None:
            return ""
        if any(isinstance(each, Session) for each in ignored):
            return repr((rights.tenant_id, rights.user_id, rights.role))
        return "" if rights.tenant_id is None else repr(rights.tenant_id)

    async def get(self, key: str, kind: object = Any, *, default: object = None) -> Any:  # noqa: ANN401
        """The value at a key of one's own; `default` where there is none, or Redis is away.

        `kind` is the type that it was set with.
        """
        return (await self.get_many([key], kind)).get(key, default)

    async def get_many(self, keys: Sequence[str], kind: object = Any) -> dict[str, Any]:
        """The values of those keys that are there, in one MGET."""
        _check_keys(keys)
        if not self.is_on:
            return {}
        try:
            return await explicit.find_many(self.store, keys, kind)
        except AwayError:
            return {}

    async def set(
        self, key: str, value: object, *, ttl: Time, tags: Sequence[str] = (), kind: object = Any
    ) -> bool:
        """Set the value at a key of one's own; False where Redis is away or full.

        Raises:
            UsageError: the time cannot be used, or the value does not fit its type.
        """
        _check_keys([key])
        ttl_s = read_seconds(ttl, f"ttl of {key}")
        try:
            await explicit.put(self.store, key, value, kind=kind, ttl_s=ttl_s, tags=tags)
        except AwayError:
            return False
        return True

    async def delete(self, *keys: str) -> None:
        """Delete values at keys.

        Raises:
            RedisError: Redis does not answer.
        """
        _check_keys(keys)
        try:
            await self.store.drop(Drops(keys=keys))
        except AwayError as error:
            self._missed_keys.update(keys)
            raise _away(error, self.store) from None

    async def invalidate(self, tags: Sequence[str], *, session: Session | None = None) -> None:
        """Let no value hold that has one of these tags: nobody reads it once this has returned.

        In the block of a session it is part of the transaction: values are invalidated when it
        commits, and not when it is rolled back.

        While Redis is away it waits in the database: this process does not ask Redis before it was
        told, and the worker tells it too.

        Raises:
            RedisError: Redis does not answer, and there is no outbox in the database.
            TargetError: the outbox cannot be written.
        """
        _check_tags(tags)
        session = session or self._around.session()
        if session is not None and self.outbox is not None:
            await session.execute(INVALIDATE, [list(tags)])
            return
        try:
            await self.store.drop(Drops(tags))
        except AwayError as error:
            self._missed_tags.update(tags)
            if self.outbox is None or not await self.outbox.put(tags):
                raise _away(error, self.store) from None

    async def invalidate_pattern(self, pattern: str, *, everything: bool = False) -> int:
        """Delete all values whose keys fit a pattern of Redis, as `user_projects:*`; how many.

        It reads all keys of the database, some at a time: tags cost less.

        Raises:
            UsageError: it fits everything, and `everything` does not say so.
            RedisError: Redis does not answer.
        """
        if fits_everything(pattern) and not everything:
            raise UsageError(
                f"the pattern {pattern!r} fits every key",
                remedy="Begin with a name, as user_projects:*; or give everything=True.",
            )
        try:
            return await self.store.drop_matching(pattern)
        except AwayError as error:
            raise _away(error, self.store) from None

    def lock(
        self, name: str, *, seconds: Time = 30, wait: Time | None = None
    ) -> AbstractAsyncContextManager[None]:
        """A lock that one process holds at a time: `async with app.cache.lock("report"): …`.

        It stands on the server that does not evict.

        Raises:
            RedisError: another has it for longer than `wait`, or Redis does not answer.
        """
        wait_s = 0.0 if wait is None else read_seconds(wait, f"wait of {name}")
        for_s = read_seconds(seconds, f"seconds of {name}")
        key, url = f"{self.prefix}lock:{name}", self._workspace.redis_url(self._manifest, "data")
        if self._data is None:
            self._data = Client(url, timeout_s=5, size=self._workspace.setting(CACHE_SIZE))
        return hold(self._data, key, for_s=for_s, wait_s=wait_s)

    @property
    def counts(self) -> dict[str, Counts]:
        """What this process has counted, by cached function."""
        return {name: each.counts for name, each in self.functions.items()}

    def count_calls(self) -> tuple[int, int, int]:
        """The calls of all functions: hits, loads, and those past the cache."""
        found = [each.counts for each in self.functions.values()]
        hits, loads = sum(each.hits for each in found), sum(each.loads for each in found)
        return hits, loads, sum(each.bypassed for each in found)

    def note(self) -> None:
        """Send what was counted, in the background and every ten seconds at most."""
        if time.monotonic() >= self._sends_at and (self._sending is None or self._sending.done()):
            self._sends_at = time.monotonic() + SEND_S
            self._sending = asyncio.create_task(self._send_counts())

    async def _send_counts(self) -> None:
        for name, counts in self.counts.items():
            new = counts.list_new(self._sent.get(name, Counts()))
            if new:
                self._sent[name] = replace(counts)
                with suppress(AwayError):
                    await self.store.add_counts(name, new)

    async def _replay(self, client: Client) -> None:
        """Repeat what was invalidated while Redis was away: the breaker is closed behind it.

        Raises:
            RedisError: Redis does not answer, or refuses. TargetError: PostgreSQL does not.
        """
        drops = Drops([*self._missed_tags], [*self._missed_keys])
        drop = partial(drop_by, client, self.prefix)
        await drop(drops)
        if self.outbox is not None:
            await self.outbox.drain(drop)
        self._missed_tags.difference_update(drops.tags)
        self._missed_keys.difference_update(drops.keys)


def _away(error: AwayError, store: Store) -> RedisError:
    said = error.args[0].message if error.args else store.breaker.reason
    return RedisError(f"nothing was invalidated: {said}", remedy=_REPEATED)


def _check_keys(keys: Sequence[str]) -> None:
    for key in keys:
        if not key or key.startswith(_OURS) or "\0" in key:
            raise UsageError(
                f"{key!r} cannot be a key of the cache",
                remedy=f"It begins with none of {', '.join(_OURS)}.",
            )


def _check_tags(tags: Sequence[str]) -> None:
    if isinstance(tags, str):
        raise UsageError("tags are a list, not a text", remedy=f"Write tags=[{tags!r}].")
    for tag in tags:
        if not isinstance(tag, str):
            remedy = f"Write it as functions do, such as 'projects:{tag}'."
            raise UsageError(f"the tag {tag!r} is no text", remedy=remedy)
        if "{" in tag:
            Template(tag)
            raise UsageError(f"the field in {tag!r} has no value", remedy="Fill it in: f'…'.")
