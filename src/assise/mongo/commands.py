"""A database of MongoDB that commands ask and change: collections, indexes, queries."""

from __future__ import annotations

import datetime as dt
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import MongoClient

from assise.errors import CollectionError, UsageError
from assise.mongo.catalog import connect
from assise.mongo.faults import translated
from assise.mongo.source import SERVERS_OWN, JsonObject
from assise.mongo.url import hide_secrets, list_secrets, point_at

_CODEC: CodecOptions[JsonObject] = CodecOptions(
    tz_aware=True,
    unicode_decode_error_handler="replace",
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
SINGLE = "the server"
"""The name of a server that is no member of a replica set."""

REMEDIES: Mapping[int, str] = {
    2: "Check the keys of this collection in the manifest against the version of the server.",
    9: "Check the keys of this collection in the manifest against the version of the server.",
    13: "Grant the user the role `dbAdmin` on the database, to read members `clusterMonitor` too.",
    59: "The server does not know this command: use a newer one.",
    67: "Check this index in the manifest against the version of the server.",
    85: "Another index has these fields: `assise mongo ensure --drop` builds it anew.",
    86: "Another index has this name: `assise mongo ensure --drop` builds it anew.",
    48: "Another call has made the collection: run this one again.",
    8000: "Atlas refuses it: check user and password; smaller tiers have no such command.",
    11000: "Documents share a value: `assise mongo diff` lists them.",
}


class MongoDatabase:
    """A database of a server, by its URL; nothing is asked before the first call.

    Raises:
        UsageError: neither the URL nor `name` names a database, or it is one of the server's own.
        CollectionError: the URL cannot be used.
    """

    def __init__(self, url: str, name: str | None = None) -> None:
        self._url = url
        self.address = hide_secrets(url)
        self._secrets = frozenset(list_secrets(url))
        with self._translated():
            self._client: MongoClient[JsonObject] = connect(url, silence_ms=0)
            self.close = weakref.finalize(self, self._client.close)
            self.name = name or self._client.get_default_database("admin").name
        if self.name in SERVERS_OWN:
            raise UsageError(
                f"{self.address} names no database",
                remedy="Write it at the end of the URL, or mongo: {url: …, database: NAME}.",
            )
        self._database = self._client.get_database(self.name, codec_options=_CODEC)

    def run(self, command: Mapping[str, Any], *, on_admin: bool = False) -> JsonObject:
        """The server's reply to a command."""
        database = self._client.get_database("admin", codec_options=_CODEC)
        with self._translated(str(next(iter(command.values()), ""))):
            return dict((database if on_admin else self._database).command(dict(command)))

    def read_version(self) -> tuple[int, ...]:
        """The version of the server, such as (7, 0, 14)."""
        found = self.run({"buildInfo": 1}, on_admin=True)
        return tuple(found.get("versionArray", ()))[:3]

    def read_time(self) -> dt.datetime:
        """The time by the server's clock."""
        local = self.run({"hello": 1}, on_admin=True).get("localTime")
        return local if isinstance(local, dt.datetime) else dt.datetime.now(dt.UTC)

    def list_collections(self) -> dict[str, JsonObject]:
        """What the server says of each collection and view, by name."""
        with self._translated():
            return {each["name"]: dict(each) for each in self._database.list_collections()}

    def list_indexes(self, collection: str) -> list[JsonObject]:
        """The indexes of a collection; none where it is not there."""
        with self._translated(collection):
            return [dict(each) for each in self._database[collection].list_indexes()]

    def aggregate(
        self, collection: str, pipeline: Sequence[Mapping[str, Any]], **options: object
    ) -> Iterator[JsonObject]:
        """The documents that a pipeline gives; it may use the server's disk."""
        given: dict[str, Any] = {"allowDiskUse": True, "batchSize": 1000, **options}
        with self._translated(collection):
            yield from self._database[collection].aggregate(list(pipeline), **given)

    def count(self, collection: str, query: Mapping[str, Any]) -> int:
        """How many documents a query finds."""
        with self._translated(collection):
            return self._database[collection].count_documents(dict(query))

    def list_members(self) -> list[str]:
        """The members that have data, as `host:port`; a single server is one.

        Those that are hidden are among them where the user may know them.
        """
        try:
            status = self.run({"replSetGetStatus": 1}, on_admin=True)
            with_data = {"PRIMARY", "SECONDARY"}
            members = [each for each in status["members"] if each.get("stateStr") in with_data]
            return sorted(str(each["name"]) for each in members)
        except (CollectionError, KeyError):
            hello = self.run({"hello": 1}, on_admin=True)
        members = [*hello.get("hosts", ()), *hello.get("passives", ())]
        return sorted(members) or [SINGLE]

    @contextmanager
    def open_member(self, member: str) -> Iterator[MongoDatabase]:
        """This database on one member, until the block ends.

        Raises:
            CollectionError: the member cannot be asked.
        """
        if member == SINGLE:
            yield self
            return
        direct = MongoDatabase(point_at(self._url, member), self.name)
        try:
            yield direct
        finally:
            direct.close()

    def find(
        self, collection: str, query: Mapping[str, Any], *, limit: int = 0
    ) -> Iterator[JsonObject]:
        """The documents that a query finds, or the first of them."""
        with self._translated(collection):
            yield from self._database[collection].find(dict(query), limit=limit, batch_size=1000)

    def _translated(self, collection: str = "") -> AbstractContextManager[None]:
        place = f"{self.address}, {collection}" if collection else self.address
        return translated(place, self._secrets, error_class=CollectionError, remedies=REMEDIES)
