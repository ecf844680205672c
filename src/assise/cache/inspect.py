"""What stands in Redis against what the manifest declares, for operators."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Self, get_args

from assise.cache.keys import Template
from assise.cache.store import PAGE
from assise.cache.verbs import read_prefix
from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.redis import RedisUse
from assise.manifest.sections.redis_keys import REDIS_KEYS, RedisKey
from assise.redis.client import Client, translated
from assise.redis.facts import ServerFacts, read_facts
from assise.schema.cached import glob_tag
from assise.wording import count_of
from assise.workspace import CONFIRM, Confirm, Workspace, refuse

TIMEOUT_S = 30.0
BIG_BYTES = 1 << 20
LOOKED_AT = 100_000
"""Keys of a database that are looked at; of a larger one a part stands for all."""

OLDEST = (6, 2)
"""The oldest version that has BLMOVE and GEOSEARCH."""

CACHE_POLICY = "allkeys-lru"


@dataclass(frozen=True)
class KeyCount:
    """A declared key, and how many keys of its pattern are there."""

    name: str
    pattern: str
    type: str
    server: str
    db: int
    keep: str | None
    keys: int


@dataclass(frozen=True)
class RedisFinding:
    """Something that is not as it should be: where, what, and what to do."""

    server: str
    what: str
    remedy: str


@dataclass(frozen=True)
class _Seen:
    """A key: its declared name or nothing, and whether it has no time to live though it should."""

    key: bytes
    name: str
    is_endless: bool
    size: int


@dataclass(frozen=True)
class RedisVerbs:
    """The verbs of `assise redis`."""

    workspace: Workspace

    def keys(self) -> list[KeyCount]:
        """The declared keys, and how many of each are there.

        Raises:
            UsageError: the manifest has no `redis`. RedisError: a server does not answer.
        """
        return asyncio.run(self._keys())

    def check(self) -> list[RedisFinding]:
        """What is wrong with the servers, and with keys: no time to live, unknown, too big.

        Raises:
            UsageError: the manifest has no `redis`. RedisError: a server does not answer.
        """
        return asyncio.run(self._check())

    def ensure(self, *, dry_run: bool = False, confirm: Confirm = refuse) -> list[str]:
        """Give declared keys their time to live, and the cache's server its policy; what it did.

        `confirm` is asked when the plan was logged: what has a time is deleted when it is over.

        Raises:
            UsageError: the manifest has no `redis`, or nobody confirmed.
            RedisError: a server refuses.
        """
        planned = asyncio.run(self._ensure(dry_run=True))
        if dry_run or not planned:
            return planned
        self.workspace.log("\n".join(planned))
        what = f"{count_of(len(planned), 'change')} to the servers of Redis"
        if not confirm(what):
            raise UsageError(f"not confirmed: {what}", remedy=CONFIRM)
        return asyncio.run(self._ensure(dry_run=False))

    def stop(self) -> list[RedisUse]:
        """Stop the embedded servers; those that ran.

        Raises:
            RedisError: one does not stop.
        """
        return [use for use in get_args(RedisUse) if self.workspace.redis(use).stop()]

    async def _keys(self) -> list[KeyCount]:
        manifest, found = self.workspace.manifest(), Counter[str]()
        for database in _list_databases(manifest):
            async with _Database(self.workspace, manifest, *database) as there:
                found.update([seen.name async for seen in there.look()])
        return [
            KeyCount(name, key.pattern, key.type, key.server, key.db, key.keep, found[name])
            for name, key in _list_declared(manifest).items()
        ]

    async def _check(self) -> list[RedisFinding]:
        manifest = self.workspace.manifest()
        findings: list[RedisFinding] = []
        declared = _list_declared(manifest)
        for use, databases in groupby(_list_databases(manifest), key=lambda each: each[0]):
            for number, database in enumerate(databases):
                async with _Database(self.workspace, manifest, *database) as there:
                    if number == 0:
                        facts = await read_facts(there.client)
                        must_stay = any(key.server == use for key in declared.values())
                        findings += judge_server(use, facts, must_stay=must_stay)
                    findings += judge_keys(there.place, [seen async for seen in there.look()])
        return findings

    async def _ensure(self, *, dry_run: bool) -> list[str]:
        manifest, done = self.workspace.manifest(), []
        declared = _list_declared(manifest)
        for use, db in _list_databases(manifest):
            async with _Database(self.workspace, manifest, use, db) as there:
                facts = await read_facts(there.client)
                if use == "cache" and db == 0 and facts.policy == "noeviction":
                    done.append(f"{use}: maxmemory-policy {CACHE_POLICY}")
                    if not dry_run:
                        await there.ask("CONFIG", "SET", "maxmemory-policy", CACHE_POLICY)
                endless = [seen async for seen in there.look() if seen.is_endless]
                for name, count in Counter(seen.name for seen in endless).items():
                    keys = count_of(count, "key")
                    done.append(f"{there.place}: {name}: {keys} kept for {declared[name].keep}")
                for seen in () if dry_run else endless:
                    keep_ms = round((declared[seen.name].keep_s or 0) * 1000)
                    await there.ask("PEXPIRE", seen.key, keep_ms)
        return done


def _list_declared(manifest: Manifest) -> Mapping[str, RedisKey]:
    keys = REDIS_KEYS.of(manifest)
    return keys.root if keys else {}


def _list_databases(manifest: Manifest) -> list[tuple[RedisUse, int]]:
    declared = {(key.server, key.db) for key in _list_declared(manifest).values()}
    return sorted(declared | {("cache", 0), ("data", 0)})


class _Database:
    """A database of a server while a block runs, with the patterns that belong there."""

    def __init__(self, workspace: Workspace, manifest: Manifest, use: RedisUse, db: int) -> None:
        url = workspace.redis_url(manifest, use)
        self.place, self.use = f"{use} {db}", use
        self.client = Client(url, timeout_s=TIMEOUT_S, size=2, database=db or None)
        self.prefix = read_prefix(manifest)
        self.declared = {
            name: (key, _compile(self.prefix + key.pattern, key))
            for name, key in _list_declared(manifest).items()
            if (key.server, key.db) == (use, db)
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def ask(self, *command: bytes | str | int) -> object:
        """The answer to a command.

        Raises:
            RedisError: the server does not answer, or refuses.
        """
        with translated(self.client.target):
            return await self.client.ask(*command)

    async def look(self) -> AsyncIterator[_Seen]:
        """The keys, at most `LOOKED_AT`: of the prefix, where the server has one."""
        pattern, cursor, count = f"{glob_tag(self.prefix)}*", b"0", 0
        while count < LOOKED_AT:
            with translated(self.client.target):
                cursor, keys = await self.client.ask(
                    "SCAN", cursor, "MATCH", pattern, "COUNT", PAGE
                )
                pipeline = self.client.native.pipeline(transaction=False)
                for key in keys:
                    pipeline.pttl(key)
                    pipeline.memory_usage(key)
                facts = await pipeline.execute() if keys else []
            for key, ttl, size in zip(keys, facts[::2], facts[1::2], strict=True):
                if seen := self._name(key, int(ttl), int(size or 0)):
                    yield seen
            count += len(keys)
            if int(cursor) == 0:
                return

    def _name(self, key: bytes, ttl: int, size: int) -> _Seen | None:
        text = key.decode(errors="replace")
        for name, (declared, pattern) in self.declared.items():
            if pattern.fullmatch(text):
                return _Seen(key, name, declared.keep_s is not None and ttl == -1, size)
        # On the server that evicts, cached functions have names of their own.
        is_ours = self.use == "cache" or text.startswith(f"{self.prefix}lock:")
        return None if is_ours else _Seen(key, "", False, size)


def _compile(pattern: str, key: RedisKey) -> re.Pattern[str]:
    parts = Template(pattern).parts
    text = "".join(
        re.escape(before) + ("" if field is None else "[^:]*") for before, field in parts
    )
    return re.compile(f"{text}(:.*)?" if key.type == "queue" else text, re.DOTALL)


def judge_server(use: RedisUse, facts: ServerFacts, *, must_stay: bool) -> list[RedisFinding]:
    """What is wrong with a server for its use; `must_stay`: there are keys that are declared."""
    found = []
    version = tuple(int(each) for each in re.findall(r"\d+", facts.version)[:2])
    if version < OLDEST:
        what = f"version {facts.version} is older than 6.2"
        found.append(RedisFinding(use, what, "Upgrade it: queues and places need 6.2."))
    if facts.role not in {"master", "?"}:
        what = "is a replica, which takes no writes"
        found.append(RedisFinding(use, what, "Give the URL of the main server."))
    if use == "data" and facts.evicts and must_stay:
        what = f"evicts ({facts.policy}), though what stands there must stay"
        remedy = "Set maxmemory-policy noeviction, or give redis: {data} a server of its own."
        found.append(RedisFinding(use, what, remedy))
    if use == "cache" and facts.policy == "noeviction":
        what = "does not evict (noeviction): when it is full nothing is cached"
        found.append(RedisFinding(use, what, "Set maxmemory and maxmemory-policy allkeys-lru."))
    if use == "cache" and facts.evicts and not facts.limit:
        what = "has no maxmemory: it takes all memory of the machine"
        found.append(RedisFinding(use, what, "Set maxmemory, as 256mb."))
    return found


def judge_keys(place: str, seen: Sequence[_Seen]) -> list[RedisFinding]:
    """What is wrong with the keys of a database."""
    found = []
    for name, count in Counter(each.name for each in seen if each.is_endless).items():
        what = f"{name}: {count_of(count, 'key')} without a time to live"
        found.append(RedisFinding(place, what, "`assise redis ensure` gives it."))
    unknown = [each.key.decode(errors="replace") for each in seen if not each.name]
    if unknown:
        shown = ", ".join(sorted(unknown)[:3])
        what = f"{count_of(len(unknown), 'key')} of no declared pattern, as {shown}"
        found.append(RedisFinding(place, what, "Declare it in redis_keys, or delete it."))
    for each in seen:
        if each.size > BIG_BYTES:
            text = each.key.decode(errors="replace")
            what = f"{text} holds {each.size / (1 << 20):,.1f} MiB"
            found.append(RedisFinding(place, what, "Divide it: one command on it blocks all."))
    return found
