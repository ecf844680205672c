"""A file of `mongodump --archive`, gzip or not: all its collections in one pass.

Each collection is read as if its documents stood in a `.bson` file of their own: offsets are those
in that file.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from assise.errors import SourceError
from assise.mongo.archive_chunks import read_chunks
from assise.mongo.archive_contents import REMEDY_CHANGED, Contents, Extent, survey_archive
from assise.mongo.chunks import Chunk, Group
from assise.mongo.dump import describe_view, is_servers_own
from assise.mongo.segments import Namespace
from assise.mongo.source import (
    BUCKETS,
    NO_OPTIONS,
    NOTHING,
    SHOWN,
    Collection,
    JsonObject,
    Piece,
    Sample,
    SourceOptions,
    Survey,
    choose_database,
)
from assise.wording import escape

SAMPLE_BYTES = 32 << 20
"""Bytes of all samples of a collection, at most."""


@dataclass(frozen=True)
class Archive:
    """The collections of one database in an archive, named like it.

    `extents` are what stands of each, `metadata` their options and indexes as mongodump writes
    them, `problems` those of the whole archive.
    """

    path: Path
    name: str
    collections: tuple[Collection, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    extents: Mapping[str, Extent] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    is_live = False

    @property
    def address(self) -> str:
        """The path."""
        return str(self.path)

    def read_metadata(self, collection: str) -> str | None:
        """Return what mongodump wrote of a collection's options and indexes, as JSON text."""
        return self.metadata.get(collection)

    def prepare(
        self, collections: Sequence[str], size: int, known: Survey, *, is_check: bool = False
    ) -> Survey:
        """Find out nothing: BSON is read in one way."""
        del collections, size, known, is_check
        return NOTHING

    def list_chunks(
        self, collections: Sequence[str], size: int, *, is_read: bool
    ) -> Iterator[Piece]:
        """Yield the chunks of all collections in one pass; they are read already."""
        del is_read
        stops = dict.fromkeys(collections, 0)
        for name, chunk in self._read_chunks(collections, size):
            if chunk is not None:
                stops[name] = chunk.stop
                yield Piece(name, chunk.start, chunk.stop, chunk.stop, chunk)
                continue
            stop, extent = stops.pop(name), self.extents[name]
            if stop != extent.size:
                raise SourceError(
                    f"{self.path} has changed while it was read", remedy=REMEDY_CHANGED
                )
            # What is wrong with the archive as a whole is told with the last collection.
            problems = (*extent.problems, *(self.problems if not stops else ()))
            yield Piece(name, stop, stop, stop, problems=problems)

    def list_bounds(self, collections: Sequence[str], size: int) -> Iterator[Piece]:
        """Yield the bounds of the chunks, as `list_chunks` does."""
        for piece in self.list_chunks(collections, size, is_read=True):
            yield piece._replace(chunk=None)

    def read_chunk(self, collection: str, start: int, stop: int) -> Chunk:
        """Refuse: `list_chunks` leaves no chunk out."""
        raise NotImplementedError

    def read_samples(self, collection: str, size: int, count: int) -> Iterator[Sample]:
        """Read the first documents of a collection."""
        total = self.extents[collection].size
        found = (chunk for _, chunk in self._read_chunks([collection], size) if chunk)
        for chunk in islice(found, max(1, min(count, SAMPLE_BYTES // size))):
            yield chunk.documents, (chunk.stop - chunk.start) / total

    def _read_chunks(
        self, collections: Sequence[str], size: int
    ) -> Iterator[tuple[str, Chunk | None]]:
        groups = {Namespace(self.name, name): Group() for name in collections}
        continued = {
            Namespace(self.name, name) for name, extent in self.extents.items() if extent.goes_on
        }
        for namespace, chunk in read_chunks(self.path, groups, size, continued=continued):
            yield namespace.collection, chunk

    def describe(self) -> JsonObject:
        """Name the file: workers are given the chunks, and do not open it."""
        return {"kind": "archive", "path": str(self.path), "name": self.name}


def rebuild_archive(facts: JsonObject) -> Archive:
    """Return the archive that `Archive.describe` described, without its contents."""
    return Archive(Path(facts["path"]), facts["name"])


def open_archive(path: Path, options: SourceOptions = NO_OPTIONS) -> Archive:
    """Open an archive: the database that is given, or its only one.

    Raises:
        SourceError: it cannot be read, or holds nothing.
        UsageError: it holds several databases and none is given, or not what is given.
    """
    path = path.absolute()
    options.check({"database"}, f"{path} is an archive")
    contents = survey_archive(path)
    listed = _list_metadata(contents)
    databases = {each.database for each in (*listed, *contents.extents)} - {""}
    if not databases:
        raise SourceError(
            f"{path} holds no collections; perhaps it is cut",
            remedy="Give the archive of a database that has some, or take the dump again.",
        )
    database = choose_database(sorted(databases), options, address=str(path))
    views = _find_views(listed, contents)
    extents = {
        each.collection: extent
        for each, extent in contents.extents.items()
        if each.database == database and each not in views
    }
    named = {
        each.collection: metadata
        for each, metadata in _place_metadata(listed, contents).items()
        if each.database == database and each not in views
    }
    held = [name for name in sorted({*named, *extents}) if not is_servers_own(name)]
    if not held:
        raise SourceError(
            f"{path} holds of the database {escape(database)} only what is MongoDB's own",
            remedy="Give the archive of another database, or another one with --db.",
        )
    extents |= {name: Extent.missing(name) for name in named if name not in extents}
    return Archive(
        path,
        database,
        tuple(
            Collection(name, extents[name].size, f"{name} in {path}")
            for name in options.select(held)
        ),
        tuple(_list_ignored({*listed, *contents.extents}, views, database)),
        tuple(_list_notes(contents, extents, named=named, held=held)),
        extents,
        {name: metadata for name, metadata in named.items() if metadata},
        contents.problems,
    )


def _list_metadata(contents: Contents) -> dict[Namespace, JsonObject]:
    """Return what the prelude says of each collection and view."""
    found = {}
    for each in contents.prelude.collections:
        database, collection = each.get("db"), each.get("collection")
        if isinstance(database, str) and isinstance(collection, str) and collection:
            found[Namespace(database, collection)] = dict(each)
    return found


def _place_metadata(
    listed: Mapping[Namespace, JsonObject], contents: Contents
) -> dict[Namespace, str]:
    """Return options and indexes, as JSON text, by where the documents are."""
    found = {}
    for namespace, metadata in listed.items():
        text, options = _read_text(metadata)
        is_series = metadata.get("type") == "timeseries" or "timeseries" in options
        if is_series and namespace not in contents.extents:
            found[Namespace(namespace.database, BUCKETS + namespace.collection)] = text
        else:
            found.setdefault(namespace, text)
    return found


def _find_views(
    listed: Mapping[Namespace, JsonObject], contents: Contents
) -> dict[Namespace, JsonObject]:
    """Return the views with their options. mongodump begins and ends them, without documents."""
    found = {}
    for namespace, metadata in listed.items():
        text, options = _read_text(metadata)
        is_view = "viewOn" in options if text else metadata.get("type") == "view"
        if is_view and contents.extents.get(namespace, Extent()).size == 0:
            found[namespace] = {"viewOn": "?", **options}
    return found


def _list_notes(
    contents: Contents,
    extents: Mapping[str, Extent],
    *,
    named: Container[str],
    held: Sequence[str],
) -> Iterator[str]:
    """Tell what people should know before anything is read."""
    yield from contents.notes
    for name in held:
        if name not in named:
            yield f"{escape(name)} is not in the prelude: its options and indexes are not known"
    broken = [escape(name) for name in held if extents[name].problems]
    if broken or contents.problems or any(each.problems for each in contents.extents.values()):
        names = f": {', '.join(broken[:SHOWN])}" if broken else ""
        more = ", …" if len(broken) > SHOWN else ""
        yield f"the archive is not whole, and what can be read of it is read{names}{more}"


def _list_ignored(
    namespaces: Iterable[Namespace], views: Mapping[Namespace, JsonObject], database: str
) -> Iterator[str]:
    """Name other databases, views, what is MongoDB's own, and the oplog."""
    others = sorted({each.database for each in namespaces} - {"", database})
    yield from (f"{escape(name)}/" for name in others)
    for namespace in sorted(namespaces):
        name = escape(namespace.collection)
        if not namespace.database:
            yield f"{name} (documents are loaded as each was when it was dumped)"
        elif namespace.database == database and namespace in views:
            yield f"{name} ({escape(describe_view(views[namespace]))})"
        elif namespace.database == database and is_servers_own(namespace.collection):
            yield name


def _read_text(metadata: JsonObject) -> tuple[str, JsonObject]:
    """Return the JSON text of a collection's metadata, and its options; nothing for another."""
    text = metadata.get("metadata")
    try:
        parsed = json.loads(text) if isinstance(text, str) and "\0" not in text else None
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        return "", {}
    options = parsed.get("options")
    return str(text), options if isinstance(options, dict) else {}
