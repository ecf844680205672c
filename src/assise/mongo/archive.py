"""A file of `mongodump --archive`, gzip or not: all its collections in one pass.

Each collection is read as if its documents stood in a `.bson` file of their own: offsets are those
in that file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from assise.errors import SourceError, UsageError
from assise.mongo.archive_chunks import read_chunks
from assise.mongo.archive_contents import Contents, survey_archive
from assise.mongo.chunks import Chunk, Group
from assise.mongo.dump import BUCKETS, SERVERS_OWN, describe_view, is_servers_own
from assise.mongo.segments import Namespace
from assise.mongo.source import Collection, JsonObject, Piece, Sample, SourceOptions, Survey
from assise.wording import escape

SAMPLE_BYTES = 32 << 20
"""Bytes of the samples of all collections, about."""

_Metadata = dict[Namespace, Mapping[str, object]]


@dataclass(frozen=True)
class Archive:
    """The collections of one database in an archive."""

    path: Path
    options: SourceOptions = SourceOptions()
    is_live = False

    @property
    def address(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def name(self) -> str:
        """The name of the database."""
        return self._database

    @cached_property
    def _contents(self) -> Contents:
        return survey_archive(self.path)

    @cached_property
    def _metadata(self) -> _Metadata:
        """What the prelude says of each collection of the database chosen, and of all others."""
        found: _Metadata = {}
        for each in self._contents.prelude.collections:
            database, collection = each.get("db"), each.get("collection")
            if isinstance(database, str) and isinstance(collection, str):
                found[Namespace(database, collection)] = each
        return found

    @cached_property
    def _database(self) -> str:
        """The database that is given, or the only one that is not of MongoDB's own."""
        names = {each.database for each in (*self._metadata, *self._contents.extents)} - {""}
        given = self.options.database
        users = sorted(names - SERVERS_OWN) or sorted(names)
        if given is not None and given in names:
            return given
        if given is None and len(users) == 1:
            return users[0]
        if not users:
            raise SourceError(
                f"{self.path} holds no collections", remedy="Give an archive of a database."
            )
        listed = ", ".join(map(escape, users))
        has = f"no database {given!r}, but" if given is not None else f"{len(users)} databases:"
        raise UsageError(
            f"{self.path} holds {has} {listed}", remedy=f"Name one of them: --db {users[0]}"
        )

    @cached_property
    def _collections(self) -> dict[str, Collection]:
        """All that can be loaded, by name."""
        found = {}
        for namespace in sorted({*self._data_namespaces(), *self._contents.extents}):
            name, extent = namespace.collection, self._contents.extents.get(namespace)
            if namespace.database == self._database and not is_servers_own(name):
                size = extent.size if extent else 0
                found[name] = Collection(name, size, f"{name} in {self.path}")
        return found

    def _data_namespaces(self) -> Iterator[Namespace]:
        """Yield where the documents stand of what the prelude lists; views have none."""
        for namespace, metadata in self._metadata.items():
            if metadata.get("type") == "timeseries" and namespace not in self._contents.extents:
                yield Namespace(namespace.database, BUCKETS + namespace.collection)
            elif not _view_of(metadata):
                yield namespace

    @property
    def collections(self) -> tuple[Collection, ...]:
        """The collections that the options select, by name; their sizes are exact."""
        found = self._collections.items()
        return tuple(each for name, each in found if self.options.selects(name))

    @property
    def ignored(self) -> tuple[str, ...]:
        """Views, other databases, what is MongoDB's own, and the oplog."""
        found = {}
        for namespace in sorted({*self._metadata, *self._contents.extents}):
            database, name = namespace
            if database and database != self._database:
                found[f"database {escape(database)}"] = None
            elif view := _view_of(self._metadata.get(namespace, {})):
                found[f"{escape(name)} ({describe_view(view)})"] = None
            elif not database:
                found[f"{escape(name)} (each document is loaded as it was dumped)"] = None
            elif is_servers_own(name):
                found[escape(name)] = None
        return tuple(found)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of the archive, and of collections without metadata."""
        named = {*self._data_namespaces()}
        known = (Namespace(self._database, name) in named for name in self._collections)
        pairs = zip(self._collections, known, strict=True)
        unknown = [
            f"{escape(name)} is not in the prelude: its options and indexes are not known"
            for name, is_known in pairs
            if not is_known
        ]
        return (*self._contents.notes, *unknown)

    def read_metadata(self, collection: str) -> str | None:
        """Return what mongodump wrote of a collection's options and indexes, as JSON text."""
        names = (collection.removeprefix(BUCKETS), collection)
        found = (self._metadata.get(Namespace(self._database, name), {}) for name in names)
        texts = (str(metadata["metadata"]) for metadata in found if _parse(metadata))
        return next((text for text in texts if "\0" not in text), None)

    def prepare(
        self, collections: Sequence[str], size: int, known: Survey, *, is_check: bool = False
    ) -> Survey:
        """Find out nothing: BSON is read in one way."""
        del collections, size, known, is_check
        return {}

    def list_chunks(
        self, collections: Sequence[str], size: int, *, is_read: bool
    ) -> Iterator[Piece]:
        """Yield the chunks of all collections in one pass; they are read already."""
        del is_read
        stops = dict.fromkeys(collections, 0)
        for (_, name), chunk in self._read_chunks(collections, size):
            if chunk is not None:
                stops[name] = chunk.stop
                yield Piece(name, chunk.start, chunk.stop, chunk.stop, chunk)
                continue
            stop = stops.pop(name)
            if stop != self._collections[name].size:
                raise SourceError(
                    f"{self.path} has changed while it was read", remedy="Leave it as it is."
                )
            yield Piece(name, stop, stop, stop, problems=self._list_problems(name, not stops))

    def _list_problems(self, name: str, is_last: bool) -> tuple[str, ...]:
        """Return what is wrong with a collection and, for the last one, with the archive."""
        extent = self._contents.extents.get(Namespace(self._database, name))
        own = extent.problems if extent else ["nothing of it is in the archive: the archive is cut"]
        return (*own, *self._contents.problems) if is_last else tuple(own)

    def list_bounds(self, collections: Sequence[str], size: int) -> Iterator[Piece]:
        """Yield the bounds of the chunks, as `list_chunks` does."""
        for piece in self.list_chunks(collections, size, is_read=True):
            yield piece._replace(chunk=None)

    def read_chunk(self, collection: str, start: int, stop: int) -> Chunk:
        """Refuse: `list_chunks` leaves no chunk out."""
        raise NotImplementedError

    def read_samples(self, collection: str, size: int, count: int) -> Iterator[Sample]:
        """Read the first documents of a collection."""
        total = self._collections[collection].size
        most = max(1, min(count, SAMPLE_BYTES // (size * len(self._collections))))
        found = (chunk for _, chunk in self._read_chunks([collection], size) if chunk)
        for chunk in islice(found, most):
            yield chunk.documents, (chunk.stop - chunk.start) / total

    def _read_chunks(
        self, collections: Sequence[str], size: int
    ) -> Iterator[tuple[Namespace, Chunk | None]]:
        extents = self._contents.extents.items()
        continued = {namespace for namespace, extent in extents if extent.goes_on}
        groups = {Namespace(self._database, name): Group() for name in collections}
        return read_chunks(self.path, groups, size, continued=continued)

    def describe(self) -> JsonObject:
        """Name the file: workers get the chunks, and do not open it."""
        return {"kind": "archive", "path": str(self.path), "database": self._database}


def rebuild_archive(facts: JsonObject) -> Archive:
    """Return the archive that `Archive.describe` described."""
    return Archive(Path(facts["path"]), SourceOptions(database=facts["database"]))


def open_archive(path: Path, options: SourceOptions = SourceOptions()) -> Archive:
    """Open an archive.

    Raises:
        SourceError: it cannot be read. UsageError: it holds several databases, and none is given.
    """
    archive = Archive(path.absolute(), options)
    if not archive.collections:
        raise SourceError(
            f"{archive.path} holds no collections of {escape(archive.name)} that can be read"
            " or are asked for",
            remedy="Give another database with --db, or other patterns.",
        )
    return archive


def _view_of(metadata: Mapping[str, object]) -> Mapping[str, object] | None:
    """Return the options of a view; None for a collection."""
    options = (_parse(metadata) or {}).get("options")
    if isinstance(options, dict) and "viewOn" in options:
        return options
    return {"viewOn": "?"} if metadata.get("type") == "view" else None


def _parse(metadata: Mapping[str, object]) -> Mapping[str, object] | None:
    try:
        found = json.loads(str(metadata.get("metadata", "")))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
