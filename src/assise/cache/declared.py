"""The noun `redis` of an application: what stands at the keys that the manifest declares."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from assise.cache.durations import Time, read_seconds
from assise.cache.keys import Template, write_tag_value
from assise.cache.limits import Allowance, Limits
from assise.cache.queues import JobQueue
from assise.cache.store import read_scripts
from assise.cache.values import encode_checked, find_values
from assise.cache.verbs import read_prefix
from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.redis import RedisUse
from assise.manifest.sections.redis_keys import REDIS_KEYS, RedisKey, RedisKind
from assise.redis.client import Client, translated
from assise.settings import CACHE_SIZE
from assise.wording import nearest
from assise.workspace import Workspace

TIMEOUT_S = 5.0
MAX_LATITUDE = 85.05112878
"""Beyond it Redis holds no places."""

_PLAIN = re.compile(r"[\w.-]*", re.ASCII)
(_ADD,) = read_scripts("add")


def fill_pattern(template: Template, fields: Mapping[str, object]) -> str:
    """A key, from a pattern and the values of its fields.

    A colon in a value is written %3A, so that two lists of values are never one key.

    Raises:
        UsageError: a field is missing, unknown, or has a value that a key cannot take.
    """
    if fields.keys() != template.names:
        said = ", ".join(sorted(template.names.symmetric_difference(fields)))
        raise UsageError(
            f"{template.text!r} and its fields do not fit: {said}",
            remedy=f"Give {', '.join(template.fields) or 'no fields'}.",
        )
    texts = {}
    for name, value in fields.items():
        text = write_tag_value(value, name)
        texts[name] = text if _PLAIN.fullmatch(text) else quote(text, safe="@+/=~!$&'() ,;")
    return template.fill(texts)


class GeoPlace(NamedTuple):
    """A member of a set of places, with its distance from where one is."""

    name: str
    km: float
    longitude: float
    latitude: float


@dataclass(frozen=True)
class _Keyed:
    """What all kinds of keys have."""

    client: Client
    prefix: str
    declared: RedisKey
    name: str
    template: Template

    def key(self, fields: Mapping[str, object]) -> str:
        """The key with these fields."""
        return self.prefix + fill_pattern(self.template, fields)


@dataclass(frozen=True)
class ValueKey(_Keyed):
    """Values of one type, such as sessions and preferences, by the fields of their keys."""

    kind: object = Any

    async def get(self, *, default: object = None, **fields: object) -> Any:  # noqa: ANN401
        """The value; `default` where there is none.

        Raises:
            UsageError: the fields are not those of the pattern, or another type stands there.
            RedisError: Redis does not answer.
        """
        with translated(self.client.target):
            found = await self.client.ask("GET", self.key(fields))
        if found is None:
            return default
        values = find_values(self.kind, is_json=True)
        try:
            return values.decode(found)
        except ValueError as error:
            raise UsageError(
                f"what stands at {self.key(fields)} is no {self.kind}: {error}"
            ) from error

    async def set(self, value: object, *, keep: Time | None = None, **fields: object) -> None:
        """Set the value, for as long as the manifest or `keep` says.

        Raises:
            UsageError: the fields are not those of the pattern, or the value does not fit its type.
            RedisError: Redis does not answer.
        """
        keep_s = read_seconds(keep, "keep") if keep is not None else self.declared.keep_s
        data = encode_checked(find_values(self.kind, is_json=True), value, self.name)
        time: list[str | int] = [] if keep_s is None else ["PX", round(keep_s * 1000)]
        with translated(self.client.target):
            await self.client.ask("SET", self.key(fields), data, *time)

    async def delete(self, **fields: object) -> bool:
        """Delete the value; whether there was one.

        Raises:
            UsageError: the fields are not those of the pattern. RedisError: Redis does not answer.
        """
        with translated(self.client.target):
            return bool(await self.client.ask("DEL", self.key(fields)))


@dataclass(frozen=True)
class CounterKey(_Keyed):
    """Whole numbers by name, such as the statistics of a day."""

    async def add(self, by: Mapping[str, int] = {"count": 1}, **fields: object) -> dict[str, int]:
        """Add to numbers; what they are now. It is sent once: a lost answer is an error.

        Raises:
            UsageError: the fields are not those of the pattern, or what is added is no whole number
            of 64 bits: then nothing is added. RedisError: Redis does not answer.
        """
        for name, number in by.items():
            if type(number) is not int or not -(1 << 63) <= number < 1 << 63:
                remedy = "Add whole numbers: cents in place of euros."
                raise UsageError(f"{name}: {number!r} cannot be added", remedy=remedy)
        keep_ms = round((self.declared.keep_s or 0) * 1000)
        pairs = [each for pair in by.items() for each in pair]
        with translated(self.client.target):
            found = await self.client.run(_ADD, [self.key(fields)], [keep_ms, *pairs])
        return dict(zip(by, map(int, found), strict=True))

    async def read(self, **fields: object) -> dict[str, int]:
        """The numbers; none of those that nothing was added to.

        Raises:
            UsageError: the fields are not those of the pattern. RedisError: Redis does not answer.
        """
        with translated(self.client.target):
            found = await self.client.ask("HGETALL", self.key(fields))
        return {name.decode(): int(value) for name, value in found.items()}


@dataclass(frozen=True)
class LimitKey(_Keyed):
    """How often something may happen for each key. While Redis is away each process counts."""

    limits: Limits
    rate: tuple[int, float]

    async def hit(self, *, cost: int = 1, **fields: object) -> Allowance:
        """Count one more, if the limit lets it.

        Raises:
            UsageError: the fields are not those of the pattern.
        """
        return await self.limits.hit(self.key(fields), self.rate, cost=cost)

    async def check(self, **fields: object) -> Allowance:
        """Whether one more may be, without counting it: for failures, which are hit when they are.

        Raises:
            UsageError: the fields are not those of the pattern.
        """
        return await self.limits.hit(self.key(fields), self.rate, only_asks=True)

    async def clear(self, **fields: object) -> None:
        """Forget what was counted, as failures after a success.

        Raises:
            UsageError: the fields are not those of the pattern.
        """
        await self.limits.clear(self.key(fields))


@dataclass(frozen=True)
class PlacesKey(_Keyed):
    """Places by name, and those near to one."""

    async def add(self, name: str, *, longitude: float, latitude: float, **fields: object) -> None:
        """Put a place, or move it.

        Raises:
            UsageError: it is no place on earth, or too near to a pole. RedisError: Redis does not
            answer.
        """
        at = check_place(longitude, latitude)
        with translated(self.client.target):
            await self.client.ask("GEOADD", self.key(fields), *at, name)

    async def near(
        self, *, longitude: float, latitude: float, km: float, limit: int = 20, **fields: object
    ) -> list[GeoPlace]:
        """The places within `km`, the nearest first.

        Raises:
            UsageError: it is no place on earth. RedisError: Redis does not answer.
        """
        at = check_place(longitude, latitude)
        within = ("BYRADIUS", km, "km", "ASC", "COUNT", limit, "WITHDIST", "WITHCOORD")
        with translated(self.client.target):
            found = await self.client.ask("GEOSEARCH", self.key(fields), "FROMLONLAT", *at, *within)
        return [GeoPlace(name.decode(), float(km), *map(float, at)) for name, km, at in found]

    async def remove(self, *names: str, **fields: object) -> int:
        """Remove places; how many there were.

        Raises:
            RedisError: Redis does not answer.
        """
        with translated(self.client.target):
            return int(await self.client.ask("ZREM", self.key(fields), *names))


def check_place(longitude: float, latitude: float) -> tuple[float, float]:
    """Longitude and latitude as Redis takes them; 180 degrees east are 180 west.

    A search from exactly 180 sees one side alone (Valkey 9.1), from -180 both.

    Raises:
        UsageError: it is no place on earth, or too near to a pole.
    """
    if not (-180 <= longitude <= 180 and -MAX_LATITUDE <= latitude <= MAX_LATITUDE):
        raise UsageError(
            f"longitude {longitude}, latitude {latitude} is no place that Redis holds",
            remedy=f"Give -180 to 180, and -{MAX_LATITUDE} to {MAX_LATITUDE}.",
        )
    return (-180.0 if longitude == 180 else float(longitude)), float(latitude)


class AppRedis:
    """The keys of the manifest's `redis_keys`; for one event loop."""

    def __init__(self, workspace: Workspace, manifest: Manifest) -> None:
        self._workspace, self._manifest = workspace, manifest
        keys = REDIS_KEYS.of(manifest)
        self.declared: Mapping[str, RedisKey] = keys.root if keys else {}
        self._prefix = read_prefix(manifest)
        self._clients: dict[tuple[RedisUse, int], Client] = {}
        self._limits: dict[int, Limits] = {}

    async def close(self) -> None:
        """Close all connections."""
        for limits in self._limits.values():
            await limits.close()
        for client in self._clients.values():
            await client.close()
        self._clients.clear()
        self._limits.clear()

    def client(self, use: RedisUse = "data", database: int = 0) -> Client:
        """The client of a database, for commands of one's own: `await client.ask("GET", key)`.

        Raises:
            UsageError: the manifest has no `redis`. RedisError: the embedded one does not start.
        """
        found = self._clients.get((use, database))
        if found is None:
            url = self._workspace.redis_url(self._manifest, use)
            size = self._workspace.setting(CACHE_SIZE)
            found = Client(url, timeout_s=TIMEOUT_S, size=size, database=database or None)
            self._clients[use, database] = found
        return found

    def value(self, name: str, kind: object = Any) -> ValueKey:
        """The values at a key of type json; `kind` is their type.

        Raises:
            UsageError: no such key is declared, or values of this type cannot be written.
        """
        find_values(kind, is_json=True)
        return ValueKey(*self._find(name, "json"), kind)

    def counter(self, name: str) -> CounterKey:
        """The numbers at a key of type counter.

        Raises:
            UsageError: no such key is declared.
        """
        return CounterKey(*self._find(name, "counter"))

    def queue(self, name: str, **fields: object) -> JobQueue:
        """The queue at a key of type queue.

        Raises:
            UsageError: no such key is declared, or its fields are others.
        """
        found = _Keyed(*self._find(name, "queue"))
        return JobQueue(found.client, found.key(fields), found.declared)

    def limit(self, name: str) -> LimitKey:
        """The limit at a key of type limit.

        Raises:
            UsageError: no such key is declared.
        """
        found = self._find(name, "limit")
        database = self.declared[name].db
        if database not in self._limits:
            self._limits[database] = Limits(found[0])
        return LimitKey(*found, self._limits[database], self.declared[name].rate)

    def places(self, name: str) -> PlacesKey:
        """The places at a key of type geo.

        Raises:
            UsageError: no such key is declared.
        """
        return PlacesKey(*self._find(name, "geo"))

    def _find(self, name: str, kind: RedisKind) -> tuple[Client, str, RedisKey, str, Template]:
        declared = self.declared.get(name)
        if declared is None or declared.type != kind:
            known: Sequence[str] = [key for key, each in self.declared.items() if each.type == kind]
            raise UsageError(
                f"redis_keys has no {name!r} of type {kind}", remedy=nearest(name, known)
            )
        client, template = self.client(declared.server, declared.db), Template(declared.pattern)
        return client, self._prefix, declared, name, template
