"""One collection of a running MongoDB, read in ranges of `_id`, each with a cursor of its own.

`_id` never changes; so a document that exists while its range is read is in it once, whatever is
written meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from bson import Int64
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collation import Collation
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, CursorNotFound, OperationFailure

from assise.documents.reader import NOT_BSON, elements, open_document, read_int32, read_int64
from assise.mongo.chunks import Chunk
from assise.mongo.faults import translated
from assise.mongo.ranges import (
    EVERYTHING,
    MISSING,
    NOT_EVERYWHERE,
    Range,
    RawId,
    both,
    bracket_of,
    brackets_between,
    divide,
    find_bracket,
    match_bracket,
    number_ranges,
    read_id,
    read_ids,
    split_range,
)
from assise.mongo.source import LargeChunkError
from assise.native import find_native
from assise.rows.model import Document

BATCH_BYTES = 4 << 20
"""Bytes of documents that one reply of the server should hold."""

ID_BYTES = 40
"""Bytes of a document that has no field but an `_id`, about."""

LARGEST_REPLY = 16 << 20
"""Bytes of documents that one reply of a server may hold (MongoDB's manual: "getMore")."""

WALKED = 2_000_000
"""Documents whose ids are all read to plan the ranges; of more a sample is taken."""

SAMPLED = 10
"""Ids of a sample for each range: their sizes then vary by a third."""

RARELY = 25
"""At most one document in so many is sampled: of more than 5 % MongoDB would read all."""

FINE = 100
"""The bounds of ranges are exact to one in so many of their documents."""

LARGEST_RANGE = 40 << 20
"""Bytes of a range that is read at once: two documents, and as much again. A larger one is split."""

ATTEMPTS = 3
"""How often a range is read when the connection is lost meanwhile."""

_Stage = dict[str, object]
"""A stage of a pipeline."""

_SIMPLE = Collation("simple")
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_OBJECT_ID_FIRST = b"\7_id\0"


@dataclass(frozen=True)
class LiveCollection:
    """A collection as the server describes it; `size` is of its documents, in bytes."""

    name: str
    size: int
    count: int
    has_collation: bool = False
    query: bytes = EVERYTHING

    @property
    def batch(self) -> int:
        """How many documents a reply should have."""
        average = max(1, self.size // max(1, self.count))
        return max(1, min(100_000, BATCH_BYTES // average))


@dataclass(frozen=True)
class CollectionReader:
    """Reads a collection; `place` and `secrets` are what errors show and hide."""

    facts: LiveCollection
    collection: Collection[dict[str, Any]]
    place: str
    secrets: frozenset[str]

    def plan_ranges(self, size: int) -> list[Range]:
        """Return ranges of about `size` bytes that hold every document there is.

        Raises:
            SourceError: the server refuses, or cannot be reached.
        """
        parts = -(-self.facts.size // size)
        if parts <= 1:
            return number_ranges([EVERYTHING])
        with self._translated():
            if self.facts.count <= WALKED:
                step = -(-self.facts.count // parts)
                return number_ranges(self._divide(EVERYTHING, step))
            count = min(SAMPLED * parts, self.facts.count // RARELY)
            sample = self._sample_ids(count)
            step = max(1, sum(weight for _, weight in sample) // parts)
            return number_ranges(divide(sample, step, self._find_brackets()))

    def split(self, large: Range) -> list[Range]:
        """Return smaller ranges in the place of a large one; itself where it cannot be split."""
        with self._translated():
            count = self._count(large.filter)
            average = max(1, self.facts.size // max(1, self.facts.count))
            parts = max(4, 4 * count * average // LARGEST_RANGE)
            filters = self._divide(large.filter, -(-count // parts))
        filters = [both(large.filter, each) for each in filters or [EVERYTHING]]
        return split_range(large, filters)

    def read_range(self, each: Range, *, limit: int | None = LARGEST_RANGE) -> Chunk:
        """Read the documents of a range.

        Of a document that is deleted and inserted again meanwhile the later one is read.

        Raises:
            LargeChunkError: they have more than `limit` bytes.
            SourceError: the server refuses, or the connection is lost again and again.
        """
        with self._translated():
            for _ in range(ATTEMPTS - 1):
                with suppress(AutoReconnect, CursorNotFound):
                    return self._read(each, limit)
            return self._read(each, limit)

    def read_parts(self, each: Range) -> Iterator[Chunk]:
        """Read the documents of a range, in several parts if it is large."""
        pending = [each]
        while pending:
            part = pending.pop()
            try:
                yield self.read_range(part)
            except LargeChunkError:
                parts = self.split(part)
                if len(parts) < 2:
                    yield self.read_range(part, limit=None)
                else:
                    pending += reversed(parts)

    def _read(self, each: Range, limit: int | None) -> Chunk:
        raws, size = self._find(each.filter, limit)
        documents: list[Document] = list(enumerate(raws, each.start))
        return Chunk(each.start, each.stop, "", documents, [], each.stop, size)

    def read_samples(self, size: int, count: int) -> Iterator[tuple[list[Document], float]]:
        """Read documents of about `count` times `size` bytes, with their share.

        They are drawn at random, or of one place the first ones, for which the server reads no more.
        """
        average = max(1, self.facts.size // max(1, self.facts.count))
        wanted = max(1, min(self.facts.count, count * size // average))
        for documents in self._read_first(wanted) if count == 1 else self.sample(wanted):
            part = sum(len(raw) for _, raw in documents)
            if documents:
                yield documents, min(1.0, part / max(1, self.facts.size))

    def _read_first(self, count: int) -> Iterator[list[Document]]:
        with self._translated():
            found = self._batches(EVERYTHING, limit=count)
            yield [*enumerate(raw for batch in found for raw in _split(batch))]

    def sample(self, count: int) -> Iterator[list[Document]]:
        """Read `count` documents drawn at random, some at a time."""
        documents: list[Document] = []
        size = 0
        with self._translated():
            for offset, raw in enumerate(self._aggregate([{"$sample": {"size": count}}])):
                documents.append((offset, raw))
                size += len(raw)
                if size >= BATCH_BYTES:
                    yield documents
                    documents, size = [], 0
            if documents:
                yield documents

    def _find(self, condition: bytes, limit: int | None) -> tuple[list[bytes], int]:
        """Return the documents that match, of those with one `_id` the last; and their bytes."""
        reply = self._find_at_once(condition, 2 * self.facts.batch)
        if reply is not None and reply.is_distinct:
            size = sum(map(len, reply.documents))
            self._check_size(size, limit)
            return reply.documents, size
        raws, size = list[bytes](), 0
        for some in [reply.documents] if reply else map(_split, self._batches(condition)):
            size += sum(map(len, some))
            self._check_size(size, limit)
            raws += some
        raws = _keep_last(raws)
        return raws, sum(map(len, raws))

    def _check_size(self, size: int, limit: int | None) -> None:
        if limit is not None and size > limit:
            raise LargeChunkError(f"a range of {self.facts.name} has over {limit:,} bytes")

    def _options_for(self, condition: bytes) -> dict[str, Any]:
        if self.facts.has_collation and condition != EVERYTHING:
            return {"collation": _SIMPLE.document}
        # By an index on a field that is written meanwhile a document may be passed over.
        return {"hint": "_id_"} if self.facts.query != EVERYTHING else {}

    def _match(self, condition: bytes) -> RawBSONDocument:
        return RawBSONDocument(both(self.facts.query, condition))

    def _batches(self, condition: bytes, limit: int = 0) -> Iterator[bytes]:
        """Yield the documents that match by a cursor, some at a time, as the server sends them."""
        options = {"batch_size": self.facts.batch, "limit": limit} | self._options_for(condition)
        return _batches(self.collection.find_raw_batches(self._match(condition), **options))

    def _find_at_once(self, condition: bytes, count: int, **more: object) -> Reply | None:
        """Return the documents that match, or None if one reply of the server does not hold them.

        A cursor of pymongo makes an object of each document even where its batches are raw, which
        takes longer than all else here.
        """
        collection, level = self.collection, self.collection.read_concern.document
        preference = collection.read_preference
        command = {"find": self.facts.name, "filter": self._match(condition), "batchSize": count}
        command |= self._options_for(condition) | more
        found = collection.database.command(
            command | ({"readConcern": level} if level else {}),
            codec_options=_RAW,
            read_preference=preference,
        )
        reply = read_reply(bytes(found["cursor"].raw))
        if reply is None or not reply.cursor:
            return reply
        kill = {"killCursors": self.facts.name, "cursors": [Int64(reply.cursor)]}
        collection.database.command(kill, check=False, read_preference=preference)
        return None

    def _walk(self, condition: bytes, every: int = 1) -> Iterator[tuple[RawId, int]]:
        """Yield ids of the documents that match, in MongoDB's order; only the index is read.

        With each comes how many documents it stands for: `every` at most, up to the next one.
        """
        for batch in self._find_ids(condition):
            yield from read_ids(batch, every)

    def _find_ids(self, condition: bytes) -> Iterator[bytes]:
        is_simple = not self.facts.has_collation
        if is_simple and self.facts.count * ID_BYTES < LARGEST_REPLY:
            count = 2 * self.facts.count
            reply = self._find_at_once(condition, count, projection={"_id": 1}, sort={"_id": 1})
            if reply is not None:
                yield b"".join(reply.documents)
                return
        options: dict[str, Any] = {} if is_simple else {"collation": _SIMPLE}
        yield from _batches(
            self.collection.find_raw_batches(
                self._match(condition),
                {"_id": 1},
                sort=[("_id", 1)],
                batch_size=BATCH_BYTES // ID_BYTES,
                allow_disk_use=self.facts.has_collation or None,
                **options,
            )
        )

    def _divide(self, condition: bytes, step: int) -> list[bytes]:
        return divide(self._walk(condition, max(1, step // FINE)), step)

    def _count(self, condition: bytes) -> int:
        return sum(count for _, count in self._walk(condition, BATCH_BYTES))

    def _sample_ids(self, count: int) -> list[tuple[RawId, int]]:
        """Return ids drawn at random in MongoDB's order, with the sizes of their documents."""
        sized = {"_id": 1, "size": {"$bsonSize": "$$ROOT"}}
        with suppress(OperationFailure):  # $bsonSize is there from MongoDB 4.4 on
            return self._draw_ids(count, sized)
        return self._draw_ids(count, {"_id": 1})

    def _draw_ids(self, count: int, fields: dict[str, object]) -> list[tuple[RawId, int]]:
        stages: list[_Stage] = [{"$sample": {"size": count}}, {"$project": fields}]
        return [_read_sample(raw) for raw in self._aggregate([*stages, {"$sort": {"_id": 1}}])]

    def _aggregate(self, stages: list[_Stage]) -> Iterator[bytes]:
        """Yield the documents that a pipeline gives; the query comes first."""
        if self.facts.query != EVERYTHING:
            stages = [{"$match": RawBSONDocument(self.facts.query)}, *stages]
        # aggregate_raw_batches() of pymongo 4.20 asserts that a server sends no first batch.
        found = self.collection.with_options(codec_options=_RAW).aggregate(
            stages,
            allowDiskUse=True,
            collation=_SIMPLE if self.facts.has_collation else None,
            batchSize=self.facts.batch,
        )
        return (bytes(document.raw) for document in found)

    def _find_brackets(self) -> list[tuple[int, ...]]:
        """Return the brackets that occur, as far as the outermost ids do not say it."""
        ends = [self._find_end(direction) for direction in (1, -1)]
        between = brackets_between(ends[0], ends[1])
        occurring = [kinds for kinds in between if self._has(kinds)]
        return [*map(bracket_of, ends), *occurring]

    def count_outside(self, ranges: Sequence[Range]) -> int:
        """Return how many documents are in no range: their ids have a bracket that was not there.

        Raises:
            SourceError: the server refuses, or cannot be reached.
        """
        planned = {find_bracket(each.filter) for each in ranges}
        if None in planned:
            return 0
        with self._translated():
            outside = {*self._find_brackets()} - planned
            return sum(self._count(match_bracket(kinds)) for kinds in outside)

    def _find_end(self, direction: int) -> int:
        cursor = self.collection.find_raw_batches(
            RawBSONDocument(self.facts.query), {"_id": 1}, sort=[("_id", direction)], limit=1
        )
        return next((read_id(batch)[0] for batch in _batches(cursor)), MISSING)

    def _has(self, kinds: tuple[int, ...]) -> bool:
        condition = match_bracket(kinds)
        found = self.collection.find_raw_batches(
            RawBSONDocument(both(self.facts.query, condition)), {"_id": 1}, limit=1
        )
        try:
            return any(found)
        except OperationFailure:
            if not NOT_EVERYWHERE.issuperset(kinds):
                raise
            return False  # a server that does not know the type has no such _id

    def _translated(self) -> AbstractContextManager[None]:
        return translated(self.place, self.secrets)


def _batches(cursor: Iterable[object]) -> Iterator[bytes]:
    """Return what a cursor of raw batches yields: pymongo calls it documents."""
    return cast(Iterator[bytes], iter(cursor))


def _split(batch: bytes) -> list[bytes]:
    """Return the documents of a batch."""
    found = []
    p, stop = 0, len(batch)
    while p < stop:
        end = p + read_int32(batch, p)[0]
        found.append(batch[p:end])
        p = end
    return found


class Reply(NamedTuple):
    """What a server replies to `find`: the id of its cursor, 0 for none, and the first documents.

    `is_distinct` says that all begin with an ObjectId as `_id`, and no two with the same; where it
    is not set they may.
    """

    cursor: int
    documents: list[bytes]
    is_distinct: bool = False


def read_reply(cursor: bytes, *, is_native: bool = True) -> Reply | None:
    """Cut the field `cursor` of a reply; None where it is not well-formed."""
    module = find_native() if is_native else None
    if module is not None:
        found = module.cut_reply(cursor)
        return Reply(*found) if found else None
    return _cut_reply(cursor)


def _cut_reply(cursor: bytes) -> Reply | None:
    found = []
    with suppress(*NOT_BSON):
        fields = {key: p for _, key, p, _ in elements(cursor)}
        p = fields[b"firstBatch"]
        last, p = open_document(cursor, p), p + 4
        while p < last:
            p = cursor.index(0, p + 1) + 1
            end = open_document(cursor, p) + 1
            found.append(cursor[p:end])
            p = end
        if p == last:
            return Reply(read_int64(cursor, fields[b"id"])[0], found)
    return None


def _keep_last(raws: Sequence[bytes]) -> list[bytes]:
    """Return the documents, of those with one `_id` the last."""
    if {raw[4:9] for raw in raws} == {_OBJECT_ID_FIRST}:
        return list({raw[9:21]: raw for raw in raws}.values())
    return list({_find_id(raw) or n: raw for n, raw in enumerate(raws)}.values())


def _find_id(raw: bytes) -> RawId | None:
    with suppress(*NOT_BSON):
        for kind, key, p, end in elements(raw):
            if key == b"_id":
                return kind, raw[p:end]
    return None


def _read_sample(raw: bytes) -> tuple[RawId, int]:
    each, size = (0, b""), 1
    for kind, key, p, end in elements(raw):
        if key == b"_id":
            each = kind, raw[p:end]
        else:
            size = read_int32(raw, p)[0]
    return each, size
