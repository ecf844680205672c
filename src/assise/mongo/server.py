"""A database of a running MongoDB: its collections and what the server says of them."""

from __future__ import annotations

import json
import warnings
import weakref
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from assise.errors import SourceError, UsageError
from assise.mongo.cursor import CollectionReader, LiveCollection
from assise.mongo.dump import BUCKETS
from assise.mongo.faults import UNAUTHORIZED, translated
from assise.mongo.ranges import EVERYTHING
from assise.mongo.url import hide_secrets, list_secrets

SELECTION_MS = 10_000
"""Milliseconds in which a server must be found, unless the URL says otherwise."""

SILENCE_MS = 300_000
"""Milliseconds that a server may take for a reply, unless the URL says otherwise."""

_SERVERS_OWN = {"admin", "config", "local"}
_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_CANONICAL = json_util.CANONICAL_JSON_OPTIONS


@dataclass
class Server:
    """A database of a server, opened by its URL."""

    url: str
    database: str = ""
    queries: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.address = hide_secrets(self.url)
        self._secrets = frozenset(list_secrets(self.url))
        with self._translated():
            self._client = _connect(self.url)
            self._close = weakref.finalize(self, self._client.close)
            self._client.admin.command("ping")
            # In a URL `admin` is mostly where the user is known, and never what is moved.
            default = self._client.get_default_database("admin").name
        if not self.database:
            self.database = default if default not in _SERVERS_OWN else self._choose_database()

    def close(self) -> None:
        """End the connections, as the end of this object does."""
        self._close()

    def list_databases(self) -> list[str]:
        """Return the databases that are not the server's own."""
        with self._translated("the list of databases"):
            names = self._client.list_database_names()
        return sorted(set(names) - _SERVERS_OWN)

    @cached_property
    def collections(self) -> tuple[LiveCollection, ...]:
        """Return the collections by name: no views, and none of the server's own."""
        names = [name for name in self._infos if self._is_moved(name)]
        return tuple(self._describe(name) for name in sorted(names))

    @cached_property
    def ignored(self) -> tuple[str, ...]:
        """Return what is not moved, each with the reason."""
        views = [name for name, info in self._infos.items() if info.get("type") == "view"]
        own = [
            name
            for name, info in self._infos.items()
            if name.startswith("system.") and not name.startswith(BUCKETS)
        ]
        return (
            *(f"{name} (a view on {self._view_on(name)})" for name in sorted(views)),
            *(f"{name} (the server's own)" for name in sorted(own)),
        )

    def read_metadata(self, name: str) -> str | None:
        """Return options and indexes of a collection, or the definition of a view, as JSON.

        It has the form of mongodump's metadata files. The data of a time series has the options of
        the series.
        """
        shown = name.removeprefix(BUCKETS)
        info = self._infos.get(shown, self._infos.get(name))
        if info is None:
            return None
        facts: dict[str, Any] = {"options": info.get("options", {}), "indexes": []}
        if info.get("type") != "view":
            with self._translated(f"collection {shown}"):
                facts["indexes"] = list(self._database[shown].list_indexes())
        if "uuid" in info.get("info", {}):
            facts["uuid"] = bytes(info["info"]["uuid"]).hex()
        facts |= {"collectionName": name, "type": info.get("type", "collection")}
        return json.dumps(json.loads(json_util.dumps(facts, json_options=_CANONICAL)))

    @cached_property
    def _infos(self) -> dict[str, dict[str, Any]]:
        """What the server says of each collection and view."""
        self._check_database()
        with self._translated(f"database {self.database}"):
            try:
                found = list(self._database.list_collections())
            except OperationFailure as error:
                if error.code != UNAUTHORIZED:
                    raise
                # Names are all that a user may see who may read single collections.
                found = list(
                    self._database.list_collections(authorizedCollections=True, nameOnly=True)
                )
        return {info["name"]: dict(info) for info in found}

    def _is_moved(self, name: str) -> bool:
        if name.startswith("system."):
            return name.startswith(BUCKETS)
        return str(self._infos[name].get("type", "collection")) == "collection"

    def _view_on(self, name: str) -> str:
        return str(self._infos[name].get("options", {}).get("viewOn", "?"))

    def _describe(self, name: str) -> LiveCollection:
        has_collation = "collation" in self._infos[name].get("options", {})
        query = self.queries.get(name, EVERYTHING)
        size, count = self._measure(name, query)
        return LiveCollection(name, size, count, has_collation, query)

    def _measure(self, name: str, query: bytes) -> tuple[int, int]:
        """Return bytes and number of the documents; 0 where the user may not know them."""
        try:
            stats = self._database.command("collStats", name)
        except OperationFailure as error:
            if error.code == UNAUTHORIZED:
                return 0, 0
            raise
        size, count = int(stats.get("size", 0)), int(stats.get("count", 0))
        if query != EVERYTHING:
            matched = self._database[name].count_documents(RawBSONDocument(query))
            size, count = size * matched // max(1, count), matched
        return size, count

    def _choose_database(self) -> str:
        names = self.list_databases()
        if len(names) == 1:
            return names[0]
        if not names:
            raise SourceError(
                f"{self.address} holds no database", remedy="Name another server or user."
            )
        raise UsageError(
            f"{self.address} holds several databases: {', '.join(names)}",
            remedy=f"Name one: --db {names[0]}.",
        )

    def _check_database(self) -> None:
        try:
            names = self.list_databases()
        except SourceError:
            return  # who may read one database need not be allowed to list them
        if self.database not in names:
            raise UsageError(
                f"{self.address} holds no database {self.database!r}",
                remedy=f"It holds: {', '.join(names) or 'none'}.",
            )

    def open_collection(self, facts: LiveCollection) -> CollectionReader:
        """Return the reader of a collection."""
        collection = self._database.get_collection(facts.name)
        return CollectionReader(facts, collection, self.address, self._secrets)

    @property
    def _database(self) -> Database[dict[str, Any]]:
        return self._client.get_database(self.database, codec_options=_CODEC)

    def _translated(self, place: str = "") -> AbstractContextManager[None]:
        where = f"{self.address}, {place}" if place else self.address
        return translated(where, self._secrets)


def _connect(url: str) -> MongoClient[dict[str, Any]]:
    options = url.partition("?")[2].lower()
    defaults: dict[str, Any] = {}
    if "serverselectiontimeoutms=" not in options:
        defaults["serverSelectionTimeoutMS"] = SELECTION_MS
    if "sockettimeoutms=" not in options and "&timeoutms=" not in f"&{options}":
        defaults["socketTimeoutMS"] = SILENCE_MS
    if "appname=" not in options:
        defaults["appname"] = "assise"
    with warnings.catch_warnings():
        # pymongo leaves out what it does not know, tls=ture too, and only warns.
        warnings.simplefilter("error", UserWarning)
        return MongoClient(url, **defaults)
