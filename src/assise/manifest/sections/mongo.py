"""The MongoDB of the collections that stay there: its URL, and the pool of an application."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import model_validator

from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem

_URL = re.compile(r"mongodb(\+srv)?://.+", re.DOTALL)


class MongoAddress(Keyed):
    """The URL of a MongoDB, its database, and the pool of an application's connections.

    A text stands for `{url: …}`. Variables in it are not replaced yet. Milliseconds where a name
    ends in `_ms`; what is not given is a setting of the same name.
    """

    url: str
    database: str | None = None
    max_pool_size: int | None = None
    min_pool_size: int | None = None
    max_idle_ms: int | None = None
    wait_queue_ms: int | None = None
    selection_ms: int | None = None
    heartbeat_ms: int | None = None
    timeout_ms: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _write_out(cls, value: object) -> object:
        return {"url": value} if isinstance(value, str) else value


def _check(place: Place, address: MongoAddress, tables: Tables) -> Iterator[Problem]:
    del tables
    at = place if address.model_fields_set == {"url"} else (*place, "url")
    if not _URL.fullmatch(address.url) and "${" not in address.url:
        remedy = "Write mongodb://host/database, or ${VARIABLE}."
        yield Problem(at, "is no URL of MongoDB", remedy=remedy)
    for name, value in address.model_dump(exclude_none=True).items():
        if isinstance(value, int) and value < 0:
            remedy = "Write 0 or more."
            yield Problem((*place, name), "is negative", str(value), remedy)
    low, high = address.min_pool_size, address.max_pool_size
    if low is not None and high is not None and low > high > 0:
        remedy = "Write at most the number of max_pool_size."
        yield Problem((*place, "min_pool_size"), "is above max_pool_size", str(low), remedy)


def _write(place: Place, address: MongoAddress, tables: Tables) -> object:
    del place, tables
    found = address.model_dump(exclude_unset=True)
    return address.url if found.keys() == {"url"} else found


_TEXTS = ("url", "database")
_PROPERTIES: dict[str, Schema] = {
    name: {"type": "string" if name in _TEXTS else "integer"} for name in MongoAddress.model_fields
}
MONGO = Key(
    "mongo",
    "manifest",
    help="the URL of the MongoDB that has `collections`; or {url, database, max_pool_size,"
    " min_pool_size, max_idle_ms, wait_queue_ms, selection_ms, heartbeat_ms, timeout_ms};"
    " ${VAR} and ${VAR:-default} in it are replaced when a command connects",
    affects="nothing",
    type=MongoAddress,
    check=_check,
    schema={
        "anyOf": [
            {"type": "string"},
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["url"],
                "properties": _PROPERTIES,
            },
        ]
    },
    is_secret=True,
    written=_write,
    default="no collection stays in MongoDB",
)
KEYS = (MONGO,)
