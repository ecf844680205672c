"""The protocol of sources: what the main job needs of a dump, an archive, JSON, or a live server.

Each kind of source is a module beside this one; `mongo/opening.py` chooses among them.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection as Names
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

from assise.errors import SourceError, UsageError
from assise.mongo.chunks import Chunk
from assise.rows.model import Document

SERVERS_OWN = {"admin", "config", "local"}
"""Databases that MongoDB keeps for itself."""

BUCKETS = "system.buckets."
"""The prefix of a collection that holds the data of a time series.

Its metadata file has the name of the time series itself.
"""

SHOWN = 20
"""Collections that an error names."""

REMEDY_UNREADABLE = "Let this user read it, or copy it to a disk without errors."

JsonObject = dict[str, Any]

Survey = Mapping[str, JsonObject]
"""For collections by name: what is found before the first chunk is read, and decides how it is.

Such as the dialect of a JSON file, or the ranges of a live collection. The ledger keeps it, so that
a load that goes on, and its verification, read as the load did.
"""

NOTHING: Survey = {}
"""The survey of a source that is read in one way only."""

Sample = tuple[Sequence[Document], float]
"""Documents of a collection, and their share of it, from 0 to 1."""


class CollectionKind(Enum):
    """What the documents of a collection are.

    Measurements of a time series may share an `_id`. Buckets are those that are read as
    measurements; the rest are the buckets that cannot be.
    """

    DOCUMENTS = auto()
    MEASUREMENTS = auto()
    REST = auto()
    BUCKETS = auto()


@dataclass(frozen=True)
class Collection:
    """A collection of a source.

    `size` is in bytes, and may be an estimate: it is for the progress, the estimate and the number
    of workers. `place` is what errors call it, such as the path of its file.
    """

    name: str
    size: int
    place: str
    content: CollectionKind = CollectionKind.DOCUMENTS

    @property
    def is_listed(self) -> bool:
        """Whether a source holds it for everybody, not only where a manifest names it."""
        return self.content in {CollectionKind.DOCUMENTS, CollectionKind.MEASUREMENTS}

    @property
    def is_measured(self) -> bool:
        """Whether its documents are the measurements of a time series."""
        return self.content is CollectionKind.MEASUREMENTS


class Piece(NamedTuple):
    """The bounds of one chunk of a collection or, with `start == stop`, the collection's end.

    `position` is how far the collection's `size` bytes are done with it. `chunk` is here if it is
    read already. `problems` stand at the end: what is wrong with the collection as a whole, though
    its documents could be read. They make the exit code 3. `size` are the bytes of its documents,
    about, where `stop - start` are not.
    """

    collection: str
    start: int
    stop: int
    position: int
    chunk: Chunk | None = None
    problems: tuple[str, ...] = ()
    size: int | None = None


_OPTIONS = {"database": "--db", "zone": "--zone", "queries": "--query"}


@dataclass(frozen=True)
class SourceOptions:
    """How a source is opened, beside its address.

    `database` names one of several, `only` and `skip` are shell patterns of collections. `zone` is
    that of dates in JSON that have none. `queries` are filters, as Extended JSON, by collection.
    """

    database: str | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    zone: str | None = None
    queries: Mapping[str, str] = field(default_factory=dict)

    def _selects(self, collection: str) -> bool:
        is_named = not self.only or any(_fits(collection, each) for each in self.only)
        return is_named and not any(_fits(collection, each) for each in self.skip)

    def select(self, collections: Sequence[str]) -> list[str]:
        """Return those of a source's collections that are to be read.

        Raises:
            UsageError: a pattern of `only` fits none, or none is left.
        """
        selected = [name for name in collections if self._selects(name)]
        unused = [each for each in self.only if not any(_fits(n, each) for n in collections)]
        if unused or (collections and not selected):
            given = f"--only {unused[0]!r} fits" if unused else "--only and --skip leave"
            names = ", ".join(collections[:SHOWN])
            more = f" and {len(collections) - SHOWN:,} more" if len(collections) > SHOWN else ""
            raise UsageError(f"{given} no collection", remedy=f"There are: {names}{more}.")
        return selected

    def check(self, known: Names[str], what: str) -> None:
        """Check that only options are given that a kind of source has, such as `database`.

        Raises:
            UsageError: `what` is of a kind that has no use for one.
        """
        for name in self.as_json():
            if name not in known:
                raise UsageError(
                    f"{what}, where {_OPTIONS[name]} has no meaning",
                    remedy=f"Leave {_OPTIONS[name]} out.",
                )

    def as_json(self) -> JsonObject:
        """Return what `from_json` takes, and the ledger keeps: those that say how it is read."""
        facts = {"database": self.database, "zone": self.zone, "queries": dict(self.queries)}
        return {name: value for name, value in facts.items() if value}

    def show(self, name: str) -> str:
        """Return a value of `as_json` as people give it, such as `with --db shop`."""
        value = self.as_json().get(name)
        if value is None:
            return f"without {_OPTIONS[name]}"
        if name == "queries":
            value = " ".join(f"{key}={query}" for key, query in self.queries.items())
        return f"with {_OPTIONS[name]} {value}"

    def show_selection(self) -> str:
        """Return the patterns of collections as people give them, such as `--only users`."""
        named = {"--only": self.only, "--skip": self.skip}
        pairs = [f"{option} {shlex.quote(each)}" for option, of in named.items() for each in of]
        return " ".join(pairs)

    @classmethod
    def from_json(cls, facts: JsonObject) -> Self:
        """Return the options that `as_json` described."""
        return cls(**facts)


def _fits(collection: str, pattern: str) -> bool:
    """Return whether a pattern fits a collection; a time series has the name of its buckets, too."""
    return fnmatchcase(collection, pattern) or (
        collection.startswith(BUCKETS) and fnmatchcase(collection.removeprefix(BUCKETS), pattern)
    )


NO_OPTIONS = SourceOptions()


def is_mongodb_url(text: str) -> bool:
    """Return whether a text names a server of MongoDB."""
    return text.lower().startswith(("mongodb://", "mongodb+srv://"))


def describe_queries(queries: Mapping[str, str]) -> tuple[str, ...]:
    """Say of each collection with a query that not all of its documents are read."""
    return tuple(f"of {name} only what {query} matches" for name, query in queries.items())


def choose_database(names: Sequence[str], options: SourceOptions, *, address: str) -> str:
    """Return the database to read, of those that a source holds, at least one.

    It is the one that is asked for or, where nothing is, the only one; the server's own come last.

    Raises:
        UsageError: there is no such database, or more than one.
    """
    users = [name for name in names if name not in SERVERS_OWN] or names
    if options.database is not None:
        if options.database in names:
            return options.database
        raise UsageError(
            f"{address} holds no database {options.database!r}",
            remedy=f"It holds {', '.join(users)}.",
        )
    if len(users) > 1:
        raise UsageError(
            f"{address} holds {len(users)} databases: {', '.join(users)}",
            remedy=f"Name one of them: --db {shlex.quote(users[0])}",
        )
    return users[0]


class Source(Protocol):
    """Collections, and their documents as raw BSON in chunks.

    A chunk has bounds, `start < stop`, that depend on the source and on the size asked for alone,
    never on workers: offsets of an uncompressed file, or numbers that the source hands out. Those
    of a collection rise, and each of its documents and runs has an offset of its own from `start`
    on, before `stop`. All documents of a collection are in its chunks, once.

    Everything here raises SourceError where the source cannot be read.
    """

    @property
    def address(self) -> str:
        """What output, errors and the ledger call it, and `open_source` takes; no password."""

    @property
    def name(self) -> str:
        """A name for the manifest, such as that of the database: any text."""

    @property
    def collections(self) -> Sequence[Collection]:
        """The collections that the options select, by name."""

    @property
    def ignored(self) -> Sequence[str]:
        """What is not read, each in a few words."""

    @property
    def notes(self) -> Sequence[str]:
        """What people should know of how it is read; more may come with `prepare`."""

    @property
    def is_live(self) -> bool:
        """Whether it may change while it is read, so that digests of its chunks say nothing."""

    def read_metadata(self, collection: str) -> str | None:
        """Return options and indexes of a collection, as JSON text as mongodump writes it.

        None when there is nothing that can be read.
        """

    def prepare(
        self, collections: Sequence[str], size: int, known: Survey, *, is_check: bool = False
    ) -> Survey:
        """Find out what decides how these collections are read, in chunks of `size` bytes.

        It is called before any chunk is read or listed. `known` is what the ledger has: it is
        taken as it is, and only the rest is found. With `is_check` documents are read by the second
        implementation, where there is one: verify does so.

        Returns what the ledger is to keep of each collection; nothing where that is nothing.
        """

    def list_chunks(
        self, collections: Sequence[str], size: int, *, is_read: bool
    ) -> Iterator[Piece]:
        """Yield all chunks of some collections and the end of each, in the source's own order.

        Collections may be interleaved. With `is_read`, or where only one reader can read the
        source, each piece has its chunk.
        """

    def list_bounds(self, collections: Sequence[str], size: int) -> Iterator[Piece]:
        """Yield what `list_chunks` yields, without the chunks, as fast as it can."""

    def read_chunk(self, collection: str, start: int, stop: int) -> Chunk:
        """Read one chunk by its bounds, where `list_chunks` has left it out."""

    def read_samples(self, collection: str, size: int, count: int) -> Iterator[Sample]:
        """Read documents of about `size` bytes from up to `count` places of a collection.

        A small collection is read whole.
        """

    def describe(self) -> JsonObject:
        """Return what a worker process needs to open the same source, prepared, for its `read`.

        `kind` is the kind of the source; passwords are in it.
        """


class LargeChunkError(SourceError):
    """A chunk of a live source that has grown: it holds more than is read at once.

    It is split, and each part is read.
    """


@runtime_checkable
class LiveSource(Source, Protocol):
    """A source that may change while it is read; `read_chunk` may raise LargeChunkError."""

    @property
    def views(self) -> Sequence[str]:
        """The views, which hold no documents of their own; `read_metadata` knows them."""

    def count(self, collection: str) -> int:
        """Return about how many documents a collection has."""

    def count_outside(self, collection: str) -> int:
        """Return how many documents are in no chunk, as none was like them when it was planned."""

    def sample(self, collection: str, count: int) -> Iterator[Chunk]:
        """Read documents that the server draws at random; offsets count from 0."""

    def split(self, collection: str, start: int, stop: int) -> Survey:
        """Put smaller chunks in the place of one; returns the survey of the collection."""

    def read_parts(self, collection: str, start: int, stop: int) -> Iterator[Chunk]:
        """Read one chunk, in several parts if it is large."""


def find_collections(source: Source, names: Names[str]) -> dict[str, Collection]:
    """Return the collections of these names.

    Raises:
        SourceError: the source lacks one.
    """
    held = {collection.name: collection for collection in source.collections}
    for name in names:
        if name not in held:
            raise SourceError(
                f"{source.address} holds no collection {name!r}, which the manifest has",
                remedy="Take its table out of the manifest, or name the source that holds it.",
            )
    return {name: held[name] for name in names}
