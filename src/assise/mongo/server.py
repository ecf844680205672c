"""A database of a running MongoDB as a source: its collections and what the server says of them.

`cursor.py` reads the documents. A chunk is a range of `_id`; the survey has the ranges, so that a
load that goes on, and its verification, read the same ones.
"""

from __future__ import annotations

import warnings
import weakref
from base64 import b64decode, b64encode
from bisect import bisect_left
from collections.abc import Iterator, Sequence
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
from assise.mongo.chunks import Chunk
from assise.mongo.cursor import CollectionReader, LiveCollection
from assise.mongo.dump import BUCKETS
from assise.mongo.faults import UNAUTHORIZED, translated
from assise.mongo.ranges import EVERYTHING, Range
from assise.mongo.source import (
    NO_OPTIONS,
    SERVERS_OWN,
    Collection,
    JsonObject,
    Piece,
    Sample,
    SourceOptions,
    Survey,
    choose_database,
)
from assise.mongo.url import hide_secrets, lacks_password, list_secrets

SELECTION_MS = 10_000
"""Milliseconds in which a server must be found, unless the URL says otherwise."""

SILENCE_MS = 300_000
"""Milliseconds that a server may take for a reply, unless the URL says otherwise."""

_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(
    unicode_decode_error_handler="replace", datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_CANONICAL = json_util.CANONICAL_JSON_OPTIONS


class Server:
    """A database of a server, opened by its URL.

    Raises:
        SourceError: the server cannot be reached, or refuses. UsageError: there is no such
            database, or more than one.
    """

    is_live = True

    def __init__(
        self, url: str, options: SourceOptions = NO_OPTIONS, *, is_known: bool = False
    ) -> None:
        self._url, self._options = url, options
        self.address = hide_secrets(url)
        self._secrets = frozenset(list_secrets(url))
        self._ranges: dict[str, list[Range]] = {}
        self._readers: dict[str, CollectionReader] = {}
        if lacks_password(url):
            raise SourceError(
                f"{self.address}: a password is required, and none is kept",
                remedy="Give the URL again with its password, such as '${MONGO_URL}'.",
            )
        with self._translated():
            self._client = _connect(url)
            self._close = weakref.finalize(self, self._client.close)
            # In a URL `admin` is mostly where the user is known, and never what is moved.
            default = self._client.get_default_database("admin").name
        self.name = options.database or default if is_known else self._choose_database(default)
        self._database: Database[dict[str, Any]] = self._client.get_database(
            self.name, codec_options=_CODEC
        )

    def close(self) -> None:
        """End the connections, as the end of this object does."""
        self._close()

    @cached_property
    def collections(self) -> tuple[Collection, ...]:
        """Return the collections by name: no views, and none of the server's own."""
        return tuple(
            Collection(each.name, each.size, self._place(each.name))
            for each in self._facts.values()
        )

    @cached_property
    def ignored(self) -> tuple[str, ...]:
        """Return what is not moved, each with the reason."""
        own = [name for name in self._infos if _is_servers_own(name)]
        return (
            *(f"{name} (a view on {self._view_on(name)})" for name in self.views),
            *(f"{name} (the server's own)" for name in sorted(own)),
        )

    @cached_property
    def views(self) -> tuple[str, ...]:
        """Return the views by name."""
        return tuple(sorted(n for n, info in self._infos.items() if info.get("type") == "view"))

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the queries that leave documents out."""
        queries = self._options.queries
        return tuple(f"of {name} only what {query} matches" for name, query in queries.items())

    def read_metadata(self, collection: str) -> str | None:
        """Return options and indexes of a collection, or the definition of a view, as JSON.

        It has the form of mongodump's metadata files. The data of a time series has the options of
        the series.
        """
        shown = collection.removeprefix(BUCKETS)
        info = self._infos.get(shown, self._infos.get(collection))
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

    def prepare(
        self, collections: Sequence[str], size: int, known: Survey, *, is_check: bool = False
    ) -> Survey:
        """Plan the ranges of collections that are not known, of about `size` bytes each."""
        del is_check
        for name in collections:
            if name in known:
                self._take(name, known[name])
            else:
                self._ranges[name] = self.open_collection(name).plan_ranges(size)
        return {name: self._survey(name) for name in collections}

    def split(self, collection: str, start: int, stop: int) -> Survey:
        """Plan smaller ranges in the place of one that holds more than is read at once.

        Returns the survey of the collection as it is then.
        """
        ranges = self._ranges[collection]
        at = ranges.index(self._find_range(collection, start, stop))
        parts = self.open_collection(collection).split(ranges[at])
        if len(parts) < 2:
            raise SourceError(
                f"{self._place(collection)}: a range holds too much, and cannot be split",
                remedy="Move the collection with mongodump, and give its dump.",
            )
        ranges[at : at + 1] = parts
        return {collection: self._survey(collection)}

    def list_chunks(
        self, collections: Sequence[str], size: int, *, is_read: bool
    ) -> Iterator[Piece]:
        """Yield the ranges of one collection after the other; the workers read them."""
        del is_read
        return self.list_bounds(collections, size)

    def list_bounds(self, collections: Sequence[str], size: int) -> Iterator[Piece]:
        """Yield the ranges of one collection after the other."""
        del size
        for name in collections:
            ranges, total = self._ranges[name], self.open_collection(name).facts.size
            stop = 0
            for number, each in enumerate(ranges, 1):
                stop = each.stop
                done = total * number // len(ranges)
                yield Piece(name, each.start, stop, done, size=total // len(ranges))
            yield Piece(name, stop, stop, total)

    def read_chunk(self, collection: str, start: int, stop: int) -> Chunk:
        """Read the documents of a range.

        Raises:
            LargeChunkError: they have more bytes than are read at once.
        """
        return self.open_collection(collection).read_range(
            self._find_range(collection, start, stop)
        )

    def read_parts(self, collection: str, start: int, stop: int) -> Iterator[Chunk]:
        """Read the documents of a range, in several parts if it is large."""
        return self.open_collection(collection).read_parts(
            self._find_range(collection, start, stop)
        )

    def count(self, collection: str) -> int:
        """Return how many documents a collection has, as the server counts them."""
        return self.open_collection(collection).facts.count

    def sample(self, collection: str, count: int) -> Iterator[Chunk]:
        """Read documents that the server draws at random; offsets count from 0."""
        for documents in self.open_collection(collection).sample(count):
            start, stop = documents[0][0], documents[-1][0] + 1
            yield Chunk(start, stop, "", documents, [], stop)

    def read_samples(self, collection: str, size: int, count: int) -> Iterator[Sample]:
        """Read documents that the server draws at random."""
        return self.open_collection(collection).read_samples(size, count)

    def describe(self) -> JsonObject:
        """Return the URL with its password, and the ranges."""
        surveys = {name: self._survey(name) for name in self._ranges}
        options = {**self._options.as_json(), "database": self.name}
        return {"kind": "server", "url": self._url, "options": options, "surveys": surveys}

    def _take(self, name: str, survey: JsonObject) -> None:
        """Read a collection as its survey says."""
        sizes = survey["size"], survey["count"], survey["collation"]
        facts = LiveCollection(name, *sizes, self._query(name))
        self._readers[name] = self._make_reader(facts)
        self._ranges[name] = [
            Range(start, stop, b64decode(text)) for start, stop, text in survey["ranges"]
        ]

    def _survey(self, name: str) -> JsonObject:
        facts = self.open_collection(name).facts
        ranges = [
            [each.start, each.stop, b64encode(each.filter).decode()] for each in self._ranges[name]
        ]
        sizes = {"size": facts.size, "count": facts.count, "collation": facts.has_collation}
        return {**sizes, "ranges": ranges}

    def _find_range(self, name: str, start: int, stop: int) -> Range:
        ranges = self._ranges[name]
        found = ranges[bisect_left(ranges, start, key=lambda each: each.start)]
        if (found.start, found.stop) != (start, stop):
            raise SourceError(f"{self._place(name)} has no range from {start} to {stop}")
        return found

    def open_collection(self, name: str) -> CollectionReader:
        """Return the reader of a collection."""
        if name not in self._readers:
            self._readers[name] = self._make_reader(self._facts[name])
        return self._readers[name]

    def _make_reader(self, facts: LiveCollection) -> CollectionReader:
        place = self._place(facts.name)
        return CollectionReader(facts, self._database[facts.name], place, self._secrets)

    def _place(self, name: str) -> str:
        return f"{self.address}, collection {name}"

    @cached_property
    def _facts(self) -> dict[str, LiveCollection]:
        """The collections that the options select, as the server describes them."""
        names = sorted(name for name in self._infos if self._is_moved(name))
        for name in self._options.queries:
            if name not in names:
                raise UsageError(
                    f"--query names {name!r}, which {self.address} does not hold",
                    remedy=f"It holds {', '.join(names[:20])}.",
                )
        return {name: self._describe(name) for name in self._options.select(names)}

    def _query(self, name: str) -> bytes:
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

    @cached_property
    def _infos(self) -> dict[str, dict[str, Any]]:
        """What the server says of each collection and view."""
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

    def _is_moved(self, name: str) -> bool:
        is_collection = self._infos[name].get("type", "collection") == "collection"
        return is_collection and not _is_servers_own(name)

    def _view_on(self, name: str) -> str:
        return str(self._infos[name].get("options", {}).get("viewOn", "?"))

    def _describe(self, name: str) -> LiveCollection:
        has_collation = "collation" in self._infos[name].get("options", {})
        query = self._query(name)
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
        options = replace(self._options, database=wanted)
        return choose_database(names, options, address=self.address)

    def _translated(self, collection: str = "") -> AbstractContextManager[None]:
        place = self._place(collection) if collection else self.address
        return translated(place, self._secrets)


def rebuild_server(facts: JsonObject) -> Server:
    """Open the server that `Server.describe` described, in a worker process."""
    options = SourceOptions.from_json(facts["options"])
    server = Server(facts["url"], options, is_known=True)
    server.prepare([*facts["surveys"]], 0, facts["surveys"])
    return server


def _is_servers_own(name: str) -> bool:
    return name.startswith("system.") and not name.startswith(BUCKETS)


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
