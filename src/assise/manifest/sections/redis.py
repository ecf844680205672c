"""The servers of Redis: one for what may be evicted, one for what may not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from assise.manifest.keys import Key, Keyed, Tables
from assise.manifest.problems import Place, Problem
from assise.wording import show

RedisUse = Literal["cache", "data"]
"""What a server of Redis is for: what may be evicted, and what may not."""

EMBEDDED = "embedded"
_URL = re.compile(r"(rediss?|unix)://.+", re.DOTALL)
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,40}")


class RedisServers(Keyed):
    """The URLs of both servers, or `embedded`; `prefix` begins all names of keys, with a colon."""

    cache: str = EMBEDDED
    data: str = EMBEDDED
    prefix: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _write_out(cls, value: object) -> object:
        return {"cache": value, "data": value} if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _shorten(self, write: SerializerFunctionWrapHandler) -> object:
        return self.cache if self.is_short else write(self)

    @property
    def is_short(self) -> bool:
        """Whether it says no more than one URL."""
        return self.cache == self.data and self.prefix is None

    def url(self, use: RedisUse) -> str:
        """The URL of a server, in which variables are not replaced yet."""
        return self.cache if use == "cache" else self.data


def _check(place: Place, servers: RedisServers, tables: Tables) -> Iterator[Problem]:
    del tables
    uses: tuple[RedisUse, ...] = ("cache",) if servers.is_short else ("cache", "data")
    for name in uses:
        url = servers.url(name)
        if url != EMBEDDED and not _URL.fullmatch(url) and "${" not in url:
            remedy = "Write embedded, redis://host:6379/0, unix:///path.sock, or ${VARIABLE}."
            at = place if servers.is_short else (*place, name)
            yield Problem(at, "is neither embedded nor a URL", remedy=remedy)
    if servers.prefix is not None and not _PREFIX.fullmatch(servers.prefix):
        remedy = "Write letters, digits, _ and -, at most 40."
        yield Problem((*place, "prefix"), "is no prefix", show(servers.prefix), remedy)


REDIS = Key(
    "redis",
    "manifest",
    help="embedded, or a URL for everything; or {cache, data, prefix}: the server of what may be"
    " evicted, the server of what may not, and what all names of keys begin with; ${VAR} and"
    " ${VAR:-default} are replaced by environment variables when somebody connects",
    affects="nothing",
    type=RedisServers,
    check=_check,
    schema={
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {name: {"type": "string"} for name in ("cache", "data", "prefix")},
            },
        ]
    },
    is_secret=True,
    written=lambda _place, servers, _tables: servers.model_dump(exclude_unset=True),
    default="there is no Redis",
)
KEYS = (REDIS,)
