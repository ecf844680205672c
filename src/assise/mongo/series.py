"""Time series of a dump or an archive: their buckets are read as the measurements in them.

Of the collection `system.buckets.readings` three are made. `readings` has the measurements: the
offset of one is that of its bucket, times 2^20, plus its number in the bucket. `readings_buckets`
has the buckets whose measurements cannot be had, as they are. And `system.buckets.readings` has
all buckets, as they are, for a manifest that names it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import NamedTuple

from assise.errors import SourceError
from assise.mongo.buckets import INDEX_BITS, Series, is_bucket, unpack_bucket, weigh_bucket
from assise.mongo.chunks import Chunk
from assise.mongo.frames import Run
from assise.mongo.simple8b import UnpackError
from assise.mongo.source import (
    BUCKETS,
    Collection,
    CollectionKind,
    JsonObject,
    Piece,
    Sample,
    Source,
    Survey,
)
from assise.rows.model import Document
from assise.wording import escape


class SeriesNames(NamedTuple):
    """The names of a time series: its buckets in the source, and the collections made of them."""

    inner: str
    measurements: str
    rest: str
    buckets: str
    series: Series

    def describe(self) -> list[str | None]:
        """Return the names as JSON can hold them."""
        *four, (time, meta) = self
        return [*four, time.decode() if time else None, meta.decode()]


class SeriesSource:
    """A source with time series, of which the buckets are read as measurements."""

    is_live = False

    def __init__(
        self, inner: Source, names: Sequence[SeriesNames], read: Iterable[str] = ()
    ) -> None:
        self._inner, self._names, self._read = inner, names, set(read)
        self._measurements = {each.measurements: each for each in names}
        self._rests = {each.rest: each for each in names}
        self._inner_names = {
            name: each.inner
            for each in names
            for name in (each.measurements, each.rest, each.buckets)
        }

    @property
    def address(self) -> str:
        """That of the source."""
        return self._inner.address

    @property
    def name(self) -> str:
        """That of the source."""
        return self._inner.name

    @property
    def collections(self) -> Sequence[Collection]:
        """All collections by name, with what is made of buckets."""
        held = {each.name: each for each in self._inner.collections}
        of_buckets = {each.inner for each in self._names}
        found = [each for name, each in held.items() if name not in of_buckets]
        for each in self._names:
            inner = held[each.inner]
            found += [
                replace(inner, name=each.measurements, content=CollectionKind.MEASUREMENTS),
                replace(inner, name=each.rest, content=CollectionKind.REST),
                replace(inner, name=each.buckets, content=CollectionKind.BUCKETS),
            ]
        return sorted(found, key=lambda each: each.name)

    @property
    def ignored(self) -> Sequence[str]:
        """What the source does not read."""
        return self._inner.ignored

    @property
    def notes(self) -> Sequence[str]:
        """Those of the source, and which collections are time series."""
        return (*self._inner.notes, *map(_describe, self._names))

    def read_metadata(self, collection: str) -> str | None:
        """Return options and indexes; the buckets that are left have none."""
        if collection in self._rests:
            return None
        return self._inner.read_metadata(self._find_inner(collection))

    def prepare(
        self, collections: Sequence[str], size: int, known: Survey, *, is_check: bool = False
    ) -> Survey:
        """Prepare the source, and keep in mind what is read of each time series."""
        self._read = {*collections}
        inner = [*dict.fromkeys(map(self._find_inner, collections))]
        return self._inner.prepare(inner, size, known, is_check=is_check)

    def list_chunks(
        self, collections: Sequence[str], size: int, *, is_read: bool
    ) -> Iterator[Piece]:
        """Yield the chunks of measurements among those of the source.

        There are more of them than of their buckets, where measurements are larger.
        """
        for piece in self._list(collections, size, is_read=is_read):
            chunk = piece.chunk
            yield piece._replace(chunk=chunk and self._unpack(piece.collection, chunk))

    def list_bounds(self, collections: Sequence[str], size: int) -> Iterator[Piece]:
        """Yield the bounds of the chunks, as `list_chunks` does."""
        for piece in self._list(collections, size, is_read=False):
            yield piece._replace(chunk=None)

    def read_chunk(self, collection: str, start: int, stop: int) -> Chunk:
        """Read one chunk; of measurements, that of their buckets."""
        if collection in self._measurements:
            start, stop = start >> INDEX_BITS, stop >> INDEX_BITS
        chunk = self._inner.read_chunk(self._find_inner(collection), start, stop)
        return self._unpack(collection, chunk)

    def read_samples(self, collection: str, size: int, count: int) -> Iterator[Sample]:
        """Read documents from several places; of measurements, about `size` bytes of each."""
        for documents, share in self._inner.read_samples(self._find_inner(collection), size, count):
            some, weight = 0, 0
            while some < len(documents) and weight < size:
                raw = documents[some][1]
                weight += weigh_bucket(raw) if collection in self._measurements else 0
                some += 1
            chunk = Chunk(0, 0, "", documents[:some], [], 0)
            part = some / len(documents) if documents else 1.0
            yield self._unpack(collection, chunk).documents, share * part

    def describe(self) -> JsonObject:
        """Describe the source, and the time series in it."""
        names = [each.describe() for each in self._names]
        inner, read = self._inner.describe(), sorted(self._read)
        return {"kind": "series", "inner": inner, "names": names, "read": read}

    def _find_inner(self, collection: str) -> str:
        return self._inner_names.get(collection, collection)

    def _list(self, collections: Sequence[str], size: int, *, is_read: bool) -> Iterator[Piece]:
        """Yield pieces whose chunks are of buckets."""
        asked = dict[str, list[str]]()
        for name in collections:
            asked.setdefault(self._find_inner(name), []).append(name)
        for piece in self._inner.list_chunks([*asked], size, is_read=is_read):
            for name in asked[piece.collection]:
                if name in self._measurements:
                    yield from self._split(piece, name, size)
                else:
                    yield piece._replace(collection=name)

    def _split(self, piece: Piece, name: str, size: int) -> Iterator[Piece]:
        """Yield the chunks of measurements that stand in a chunk of buckets."""
        chunk = piece.chunk
        if piece.start == piece.stop:
            stop = piece.stop << INDEX_BITS
            yield piece._replace(collection=name, start=stop, stop=stop)
            return
        whole = chunk or self._inner.read_chunk(piece.collection, piece.start, piece.stop)
        for part in _split_chunk(whole, size):
            yield piece._replace(
                collection=name,
                start=part.start << INDEX_BITS,
                stop=part.stop << INDEX_BITS,
                chunk=chunk and part,
                size=part.stop - part.start,
            )

    def _unpack(self, collection: str, chunk: Chunk) -> Chunk:
        """Make of a chunk of buckets what a collection has of it."""
        if names := self._measurements.get(collection):
            return self._take_measurements(names, chunk)
        if names := self._rests.get(collection):
            return _take_rest(names, chunk)
        return chunk

    def _take_measurements(self, names: SeriesNames, chunk: Chunk) -> Chunk:
        documents = list[Document]()
        for offset, raw in chunk.documents:
            try:
                unpacked = unpack_bucket(raw, names.series)
            except UnpackError as error:
                self._check_rest(names, offset, str(error))
                continue
            base = offset << INDEX_BITS
            documents += [(base + number, measurement) for number, measurement in unpacked]
        runs = [run._replace(offset=run.offset << INDEX_BITS) for run in chunk.runs]
        start, stop = chunk.start << INDEX_BITS, chunk.stop << INDEX_BITS
        size = chunk.stop - chunk.start
        return replace(chunk, start=start, stop=stop, documents=documents, runs=runs, size=size)

    def _check_rest(self, names: SeriesNames, offset: int, reason: str) -> None:
        """Refuse a bucket that has no place among what is read."""
        if self._read and not self._read & {names.rest, names.buckets}:
            bucket = f"the bucket of {names.measurements} at byte {offset:,}"
            raise SourceError(
                f"{self.address}: {bucket} cannot be unpacked ({reason}), and the manifest has no"
                f" table for {names.rest}",
                remedy=f"Add one: `{names.rest}: {{collection: {names.rest}, primary_key: id,"
                " columns: {id: {type: text, from: _id, kind: any}}}`.",
            )


def _take_rest(names: SeriesNames, chunk: Chunk) -> Chunk:
    documents, reasons = list[Document](), Counter[str]()
    for offset, raw in chunk.documents:
        try:
            unpack_bucket(raw, names.series)
        except UnpackError as error:
            documents.append((offset, raw))
            reasons[f"a bucket that cannot be unpacked, as {error}"] += 1
    size = sum(len(raw) for _, raw in documents)
    return replace(chunk, documents=documents, runs=[], size=size, guesses=reasons)


def _split_chunk(chunk: Chunk, size: int) -> Iterator[Chunk]:
    """Split a chunk of buckets where their measurements have `size` bytes."""
    frames: list[Document | Run] = [*chunk.documents, *chunk.runs]
    frames.sort(key=itemgetter(0))
    start, weight, part = chunk.start, 0, list[Document | Run]()
    for frame in frames:
        part.append(frame)
        if isinstance(frame, Run):
            weight += frame.size
            stop = frame.offset + frame.size
        else:
            offset, raw = frame
            weight += weigh_bucket(raw)
            stop = offset + len(raw)
        if weight >= size or frame is frames[-1]:
            yield _join(chunk, part, start, stop)
            start, weight, part = stop, 0, []


def _join(whole: Chunk, frames: Sequence[Document | Run], start: int, stop: int) -> Chunk:
    """Make a chunk of some frames, as the source itself would."""
    hashed = [frame.digest if isinstance(frame, Run) else frame[1] for frame in frames]
    runs = [frame for frame in frames if isinstance(frame, Run)]
    documents = [frame for frame in frames if not isinstance(frame, Run)]
    return Chunk(start, stop, hashed, documents, runs, whole.position)


def with_series(source: Source) -> Source:
    """Return a source that reads its time series as measurements; itself if it has none."""
    held = {each.name for each in source.collections}
    names, taken = list[SeriesNames](), set(held)
    for inner in sorted(held):
        series = _read_series(source, inner)
        measurements = inner.removeprefix(BUCKETS)
        if series is None or (measurements != inner and measurements in held):
            continue
        rest = f"{measurements}_buckets"
        while rest in taken:
            rest += "_"
        taken.add(rest)
        names.append(SeriesNames(inner, measurements, rest, BUCKETS + measurements, series))
    return SeriesSource(source, names) if names else source


def rebuild_series(inner: Source, facts: JsonObject) -> SeriesSource:
    """Return what `SeriesSource.describe` described, of a source that is open."""
    names = [
        SeriesNames(
            buckets, measurements, rest, alias, Series(time and time.encode(), meta.encode())
        )
        for buckets, measurements, rest, alias, time, meta in facts["names"]
    ]
    return SeriesSource(inner, names, facts["read"])


def _read_series(source: Source, collection: str) -> Series | None:
    """Return the fields of a time series; None for what is none.

    From MongoDB 8.3 on the buckets of a dump have the name of the series; then its first document
    must be a bucket.
    """
    try:
        options = json.loads(source.read_metadata(collection) or "{}")["options"]["timeseries"]
        time, meta = options.get("timeField"), options.get("metaField", "meta")
        series = Series(time.encode() if time else None, meta.encode())
    except (ValueError, LookupError, TypeError, AttributeError):
        return Series() if collection.startswith(BUCKETS) else None
    if collection.startswith(BUCKETS):
        return series
    for documents, _ in source.read_samples(collection, 1, 1):
        return series if documents and is_bucket(documents[0][1]) else None
    return series


def _describe(names: SeriesNames) -> str:
    measurements = escape(names.measurements)
    told = f"{measurements} is a time series: its buckets are read as measurements"
    if names.series.time is None:
        told += "; the name of its meta field is not known, as its metadata are missing: meta"
    return told
