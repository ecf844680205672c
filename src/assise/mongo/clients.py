"""The connections of an application to MongoDB: how many, for how long, and what servers allow."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from assise.errors import UsageError
from assise.mongo.pool import PoolSizes
from assise.mongo.source import SERVERS_OWN, JsonObject
from assise.mongo.url import hide_secrets

MOST = 1_000_000
"""A pool of more connections is one without a bound."""

_CODEC: CodecOptions[JsonObject] = CodecOptions(
    tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


def open_client(pool: PoolSizes) -> tuple[AsyncMongoClient[JsonObject], AsyncDatabase[JsonObject]]:
    """A client that connects when it is first used, and the database.

    Raises:
        UsageError: no database is named, or sizes contradict each other.
    """
    options: dict[str, Any] = {**pool.list_options()}
    if "appname=" not in pool.url.lower():
        options["appname"] = "assise"
    with warnings.catch_warnings():
        # pymongo leaves out what it does not know, tls=ture too, and only warns.
        warnings.simplefilter("error", UserWarning)
        client: AsyncMongoClient[JsonObject] = AsyncMongoClient(pool.url, **options)
    name = pool.database or client.get_default_database("admin").name
    if name in SERVERS_OWN:
        raise UsageError(
            f"{hide_secrets(pool.url)} names no database",
            remedy="Write it at the end of the URL, or mongo: {url: …, database: NAME}.",
        )
    return client, client.get_database(name, codec_options=_CODEC)


@dataclass(frozen=True)
class PoolLimit:
    """The connections that a pool may open to a server, and those that the server takes in all.

    `allowed` and `open` are None where the user may not know them.
    """

    max_pool_size: int
    allowed: int | None
    open: int | None


async def read_limit(client: AsyncMongoClient[JsonObject]) -> PoolLimit:
    """Compare the pool with what the server allows.

    Raises:
        UsageError: the pool is larger than all connections that the server takes.
    """
    size = client.options.pool_options.max_pool_size or 0
    size = int(size) if size < MOST else 0
    try:
        status = await client.get_database("admin").command({"serverStatus": 1, "metrics": 0})
    except OperationFailure:
        return PoolLimit(size, None, None)
    counts = status.get("connections", {})
    if "available" not in counts:
        return PoolLimit(size, None, None)
    open_now = int(counts.get("current", 0))
    allowed = open_now + int(counts["available"])
    if not size or size > allowed:
        raise UsageError(
            f"mongo.max_pool_size is {size or 'without end'}, and the server takes {allowed:,}"
            " connections in all",
            remedy="Lower it: each process of the application has a pool of this size.",
        )
    return PoolLimit(size, allowed, open_now)
