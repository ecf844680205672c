"""A database of a running MongoDB: what the server says of its collections."""

from __future__ import annotations

import warnings
import weakref
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from typing import Any

import bson
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from assise.errors import SourceError, UsageError
from assise.mongo.cursor import CollectionReader, LiveCollection
from assise.mongo.faults import UNAUTHORIZED, translated
from assise.mongo.ranges import EVERYTHING
from assise.mongo.source import BUCKETS, SERVERS_OWN, SourceOptions, choose_database
from assise.mongo.url import hide_secrets, lacks_password, list_secrets

SELECTION_MS = 10_000
"""Milliseconds in which a server must be found, unless the URL says otherwise."""

SILENCE_MS = 300_000
"""Milliseconds that a server may take for a reply, unless the URL says otherwise."""

_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_CANONICAL = json_util.CANONICAL_JSON_OPTIONS


class Catalog:
    """A database of a server, opened by its URL.

    With `is_known` the database is taken as the options name it, and nothing is asked.

    Raises:
        SourceError: the server cannot be reached, or refuses. UsageError: there is no such
            database, or more than one.
    """

    def __init__(self, url: str, options: SourceOptions, *, is_known: bool) -> None:
        self._options = options
        self.address = hide_secrets(url)
        options.check({"database", "queries"}, f"{self.address} is a live source")
        self._secrets = frozenset(list_secrets(url))
        if lacks_password(url):
            raise SourceError(
                f"{self.address}: a password is required, and none is kept",
                remedy="Give the URL again with its password, such as '${MONGO_URL}'.",
            )
        with self._translated():
            self._client = connect(url)
            self.close = weakref.finalize(self, self._client.close)
            # In a URL `admin` is mostly where the user is known, and never what is moved.
            default = self._client.get_default_database("admin").name
        self.name = options.database or default if is_known else self._choose_database(default)
        self._database: Database[dict[str, Any]] = self._client.get_database(
            self.name, codec_options=_CODEC
        )

    @cached_property
    def facts(self) -> dict[str, LiveCollection]:
        """Return the collections that the options select, as the server describes them."""
        names = sorted(name for name in self.infos if self._is_moved(name))
        for name in self._options.queries:
            if name not in names:
                raise UsageError(
                    f"--query names {name!r}, which {self.address} does not hold",
                    remedy=f"It holds {', '.join(names[:20])}.",
                )
        return {name: self._describe(name) for name in self._options.select(names)}

    @cached_property
    def infos(self) -> dict[str, dict[str, Any]]:
        """Return what the server says of each collection and view."""
        with self._translated():
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

    @cached_property
    def servers_own(self) -> tuple[str, ...]:
        """Return the collections that MongoDB keeps for itself, by name."""
        return tuple(sorted(filter(_is_servers_own, self.infos)))

    @cached_property
    def views(self) -> tuple[str, ...]:
        """Return the views by name."""
        return tuple(sorted(n for n, info in self.infos.items() if info.get("type") == "view"))

    def read_metadata(self, collection: str) -> str | None:
        """Return options and indexes of a collection, or the definition of a view, as JSON.

        It has the form of mongodump's metadata files. The data of a time series has the options of
        the series.
        """
        shown = collection.removeprefix(BUCKETS)
        info = self.infos.get(shown, self.infos.get(collection))
        if info is None:
            return None
        facts: dict[str, Any] = {"options": info.get("options", {}), "indexes": []}
        if info.get("type") != "view":
            with self._translated(shown):
                facts["indexes"] = [dict(index) for index in self._database[shown].list_indexes()]
        if "uuid" in info.get("info", {}):
            facts["uuid"] = bytes(info["info"]["uuid"]).hex()
        facts |= {"collectionName": collection, "type": info.get("type", "collection")}
        return json_util.dumps(facts, json_options=_CANONICAL).replace("\\u0000", "")

    def place(self, name: str) -> str:
        """Return what errors call a collection."""
        return f"{self.address}, collection {name}"

    def open_collection(self, facts: LiveCollection) -> CollectionReader:
        """Return the reader of a collection."""
        place = self.place(facts.name)
        return CollectionReader(facts, self._database[facts.name], place, self._secrets)

    def read_query(self, name: str) -> bytes:
        """Return the filter of a collection as raw BSON.

        Raises:
            UsageError: it is no document of Extended JSON.
        """
        text = self._options.queries.get(name)
        if text is None:
            return EVERYTHING
        try:
            return bson.encode(json_util.loads(text))
        except (ValueError, TypeError, bson.errors.BSONError) as error:
            raise UsageError(
                f"the query of {name} is no document of Extended JSON: {error}",
                remedy="""Write --query 'users={"tenant": 7}'.""",
            ) from error

    def _is_moved(self, name: str) -> bool:
        is_collection = self.infos[name].get("type", "collection") == "collection"
        return is_collection and not _is_servers_own(name)

    def _describe(self, name: str) -> LiveCollection:
        has_collation = "collation" in self.infos[name].get("options", {})
        query = self.read_query(name)
        size, count = self._measure(name, query)
        return LiveCollection(name, size, count, has_collation, query)

    def _measure(self, name: str, query: bytes) -> tuple[int, int]:
        """Return bytes and number of the documents; 0 where the user may not know them."""
        with self._translated(name):
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

    def _choose_database(self, default: str) -> str:
        wanted = self._options.database or (default if default not in SERVERS_OWN else None)
        with self._translated():
            try:
                names = sorted(self._client.list_database_names())
            except OperationFailure as error:
                if wanted is None or error.code != UNAUTHORIZED:
                    raise
                return wanted  # who may read one database need not be allowed to list them
        if wanted is None and not set(names) - SERVERS_OWN:
            raise SourceError(
                f"{self.address} holds no database", remedy="Name another server or user."
            )
        options = replace(self._options, database=wanted)
        return choose_database(names, options, address=self.address)

    def _translated(self, collection: str = "") -> AbstractContextManager[None]:
        place = self.place(collection) if collection else self.address
        return translated(place, self._secrets)


def _is_servers_own(name: str) -> bool:
    return name.startswith("system.") and not name.startswith(BUCKETS)


def connect(url: str, *, silence_ms: int = SILENCE_MS) -> MongoClient[dict[str, Any]]:
    """Open a client; a command may take `silence_ms` for its reply, or, with 0, any time."""
    options = url.partition("?")[2].lower()
    defaults: dict[str, Any] = {}
    if "serverselectiontimeoutms=" not in options:
        defaults["serverSelectionTimeoutMS"] = SELECTION_MS
    if "sockettimeoutms=" not in options and "&timeoutms=" not in f"&{options}":
        defaults["socketTimeoutMS"] = silence_ms or None
    if "appname=" not in options:
        defaults["appname"] = "assise"
    with warnings.catch_warnings():
        # pymongo leaves out what it does not know, tls=ture too, and only warns.
        warnings.simplefilter("error", UserWarning)
        return MongoClient(url, **defaults)
