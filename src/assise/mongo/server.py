"""A running MongoDB as a source.

A chunk is a range of `_id`; the survey has the ranges, so that a load that goes on, and its
verification, read the same ones.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cached_property

from assise.errors import SourceError
from assise.mongo.catalog import Catalog
from assise.mongo.chunks import Chunk
from assise.mongo.cursor import CollectionReader, LiveCollection
from assise.mongo.ranges import Range
from assise.mongo.source import (
    NO_OPTIONS,
    Collection,
    JsonObject,
    Piece,
    Sample,
    SourceOptions,
    Survey,
    describe_queries,
)


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
        self._catalog = Catalog(url, options, is_known=is_known)
        self.address, self.name = self._catalog.address, self._catalog.name
        self._ranges: dict[str, list[Range]] = {}
        self._readers: dict[str, CollectionReader] = {}

    def close(self) -> None:
        """End the connections, as the end of this object does."""
        self._catalog.close()

    @cached_property
    def collections(self) -> tuple[Collection, ...]:
        """Return the collections by name: no views, and none of the server's own."""
        place = self._catalog.place
        facts = self._catalog.facts.values()
        return tuple(Collection(each.name, each.size, place(each.name)) for each in facts)

    @cached_property
    def ignored(self) -> tuple[str, ...]:
        """Return what is not moved, each with the reason."""
        infos, own = self._catalog.infos, self._catalog.servers_own
        bases = [infos[name].get("options", {}).get("viewOn", "?") for name in self.views]
        views = [f"{name} (a view on {base})" for name, base in zip(self.views, bases, strict=True)]
        return (*views, *(f"{name} (the server's own)" for name in own))

    @property
    def views(self) -> tuple[str, ...]:
        """Return the views by name."""
        return self._catalog.views

    @property
    def notes(self) -> tuple[str, ...]:
        """Return the queries that leave documents out."""
        return describe_queries(self._options.queries)

    def read_metadata(self, collection: str) -> str | None:
        """Return options and indexes of a collection, or the definition of a view, as JSON."""
        return self._catalog.read_metadata(collection)

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
                f"{self._catalog.place(collection)}: a range holds too much, and cannot be split",
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

    def count_outside(self, collection: str) -> int:
        """Return how many documents are in no range, as their ids are of types that are new."""
        return self.open_collection(collection).count_outside(self._ranges[collection])

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

    def open_collection(self, name: str) -> CollectionReader:
        """Return the reader of a collection."""
        if name not in self._readers:
            self._readers[name] = self._catalog.open_collection(self._catalog.facts[name])
        return self._readers[name]

    def _take(self, name: str, survey: JsonObject) -> None:
        """Read a collection as its survey says."""
        sizes = survey["size"], survey["count"], survey["collation"]
        facts = LiveCollection(name, *sizes, self._catalog.read_query(name))
        self._readers[name] = self._catalog.open_collection(facts)
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
            raise SourceError(f"{self._catalog.place(name)} has no range from {start} to {stop}")
        return found


def rebuild_server(facts: JsonObject) -> Server:
    """Open the server that `Server.describe` described, in a worker process."""
    options = SourceOptions.from_json(facts["options"])
    server = Server(facts["url"], options, is_known=True)
    server.prepare([*facts["surveys"]], 0, facts["surveys"])
    return server
