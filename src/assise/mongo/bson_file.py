"""One `.bson` or `.bson.gz` file: its chunks in order or by their bounds, and samples of it."""

from __future__ import annotations

import gzip
import io
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from assise.errors import SourceError
from assise.mongo.chunks import Chunk, group_frames
from assise.mongo.frames import LARGEST, SMALLEST, Run, Stream, read_frames, read_stops
from assise.mongo.gzip_stream import Content, GzipStream, open_content, packed_file
from assise.mongo.source import Sample

SEARCHED_BYTES = 1 << 20
"""Bytes from a position in the middle of a file in which a document must begin, at least."""

_HEAD_BYTES = 64

USUAL_HEAD = b"\x07_id\0"
"""Type and key of the first field of most documents: an ObjectId."""


@dataclass(frozen=True)
class BsonFile:
    """The file of a collection, and its size in bytes; a packed one is a gzip stream.

    A packed file can only be read from its beginning.
    """

    name: str
    path: Path
    size: int
    is_packed: bool = False


def is_json(file: BsonFile) -> bool:
    """Whether a file begins like JSON: with a brace or bracket, and no NUL for a while.

    What cannot be read does not: that is told where it is read.
    """
    with suppress(OSError, EOFError, zlib.error, SourceError), _open(file) as stream:
        head = stream.read(_HEAD_BYTES).removeprefix(b"\xef\xbb\xbf")
        return head.lstrip()[:1] in {b"{", b"["} and b"\0" not in head
    return False


def read_chunks(file: BsonFile, size: int) -> Iterator[Chunk]:
    """Read the chunks of a collection of at least `size` source bytes; the last may be smaller.

    Raises:
        SourceError: the file cannot be read, or its gzip stream is broken; the remedy says how far
            it could be read.
    """
    with _open(file) as stream:
        tell = packed_file(stream).tell if isinstance(stream, gzip.GzipFile) else None
        yield from group_frames(read_frames(stream), size, tell=tell)


def find_bounds(file: BsonFile, size: int) -> Iterator[tuple[int, int]]:
    """Find where the chunks of `read_chunks` begin and end, in a fraction of its time.

    Raises:
        SourceError: the file cannot be read.
    """
    start = stop = 0
    with _open(file) as stream:
        for stops in read_stops(stream):
            p = 0
            while (p := bisect_left(stops, start + size, p)) < len(stops):
                yield start, stops[p]
                start = stops[p]
            stop = stops[-1]
    if start < stop:
        yield start, stop


def read_chunk(file: BsonFile, start: int, stop: int) -> Chunk:
    """Read one chunk of a file that is not packed, by its bounds.

    Raises:
        SourceError: the file cannot be read, or has changed since the bounds were found.
    """
    with _open(file) as stream:
        stream.seek(start)
        frames = read_frames(_Part(stream, stop - start), start)
        chunks = list(group_frames(frames, stop - start, start=start))
    if [(chunk.start, chunk.stop) for chunk in chunks] != [(start, stop)]:
        raise SourceError(
            f"{file.path} has changed between bytes {start:,} and {stop:,} while it was read",
            remedy="Leave it as it is.",
        )
    return chunks[0]


def read_samples(file: BsonFile, size: int, count: int) -> Iterator[Sample]:
    """Read documents of at least `size` source bytes from up to `count` places in a file.

    Each sample comes with its share of the source. The places are spread over the file; a small
    file is read whole, a packed one from its beginning on.

    Raises:
        SourceError: the file cannot be read.
    """
    with _open(file) as stream:
        if not isinstance(stream, gzip.GzipFile) and file.size > count * size:
            yield from _read_spread(stream, file.size, size, count)
            return
        frames = read_frames(_Part(stream, LARGEST + count * size))
        for chunk in islice(group_frames(frames, size), count):
            growth = 1.0
            if isinstance(stream, gzip.GzipFile):
                growth = stream.tell() / packed_file(stream).tell()
            yield chunk.documents, (chunk.stop - chunk.start) / (file.size * growth)


def _read_spread(stream: io.FileIO, total: int, size: int, count: int) -> Iterator[Sample]:
    """Read samples from places spread over a file of `total` bytes that is not packed."""
    head, largest = USUAL_HEAD, 0
    for start in range(0, total, -(-total // count)):
        begin = start
        if start:
            stream.seek(start)
            found = _find_document(stream.read(max(SEARCHED_BYTES, 2 * largest)), head)
            if found < 0:
                continue
            begin += found
        stream.seek(begin)
        frames = read_frames(_Part(stream, LARGEST + size), begin)
        chunks = group_frames(frames, size, start=begin)
        chunk = next((chunk for chunk in chunks if chunk.documents), None)
        if chunk is None:
            continue
        if start == 0:
            # Later documents are found by the first field of the first one.
            _, first = chunk.documents[0]
            head = first[4 : first.find(b"\0", 5) + 1]
        largest = max(largest, *(len(raw) for _, raw in chunk.documents))
        yield chunk.documents, (chunk.stop - chunk.start) / total


def _find_document(data: bytes, head: bytes) -> int:
    """Find the first document of `data` that begins with this type and key; -1 for none.

    The document after it must begin with them too.
    """
    p = data.find(head, 4)
    while p >= 0:
        length = int.from_bytes(data[p - 4 : p], "little")
        if data.startswith(head, p + max(SMALLEST, length)):
            return p - 4
        p = data.find(head, p + 1)
    return -1


class _Part:
    """The next `size` bytes of a stream."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream, self._left = stream, size

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(min(size, self._left))
        self._left -= len(block)
        return block


def _open(file: BsonFile) -> AbstractContextManager[Content]:
    """Open the content of a file."""
    return open_content(
        file.path,
        is_packed=file.is_packed,
        count=_count_readable,
        advice=f"Take the dump again, or unpack what there is: `zcat FILE > {file.name}.bson`.",
    )


def _count_readable(path: Path) -> tuple[int, int]:
    """Count the documents that a broken gzip stream gives, and find where the last one ends."""
    count = stop = 0
    with path.open("rb") as packed:
        for frame in read_frames(GzipStream(packed)):
            if not isinstance(frame, Run):
                count += len(frame)
                offset, raw = frame[-1]
                stop = offset + len(raw)
    return count, stop
