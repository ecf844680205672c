"""A chunk as a task: what is to be read, and what the ledger says of it already."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from assise.errors import ChangedError
from assise.mongo.bson_file import find_bounds, read_chunk, read_chunks
from assise.mongo.chunks import Chunk
from assise.mongo.dump import Collection
from assise.mongo.frames import Document, Run
from assise.progress import Progress

Result = dict[str, Any]
"""What came of a task; JSON can hold it."""


class Known(NamedTuple):
    """A chunk as the ledger has it: where it ends, its sha256, and how many of its documents were loaded."""

    stop: int
    sha256: str
    loaded: int


@dataclass(frozen=True)
class Task:
    """One chunk, or behind the last chunk of a collection its end.

    `position` is how far the file is done with it; `chunk` is read already where only one reader can read the source; `known` when it is in
    the ledger; `sample` is how many of its documents are looked at when not all are.
    """

    collection: Collection
    start: int
    stop: int
    position: int
    chunk: Chunk | None = None
    known: Known | None = None
    is_last_try: bool = False
    sample: int | None = None

    @property
    def is_end(self) -> bool:
        """Whether there is nothing to do: all chunks of the collection come before."""
        return self.start == self.stop

    def progress(self, step: str, documents: int, *, is_known: bool = False) -> Progress:
        """How far a step has come with this task."""
        return Progress(
            step, self.collection.name, documents, self.position, self.collection.size, is_known
        )

    def read(self, afresh: str) -> Chunk:
        """The chunk.

        Raises:
            ChangedError: it is not what the ledger has, which `afresh` is the remedy for.
        """
        chunk = self.chunk or read_chunk(self.collection, self.start, self.stop)
        if self.known and self.known.sha256 != chunk.digest:
            raise _changed(
                self.collection, f"differs between bytes {self.start:,} and {self.stop:,}", afresh
            )
        return chunk


class Work(Protocol):
    """What is done with each chunk."""

    def run(self, task: Task) -> Result:
        """What came of it."""


def list_tasks(
    collection: Collection, size: int, known: Mapping[int, Known], *, is_read: bool, afresh: str
) -> Iterator[Task]:
    """The chunks of a collection and its end; with `is_read` they are read already. `known` has those of the ledger by their starts.

    Raises:
        ChangedError: the source has not the chunks of the ledger. SourceError: it cannot be read.
    """
    left, stop = dict(known), 0
    found = (
        (
            (chunk.start, chunk.stop, chunk.position, chunk)
            for chunk in read_chunks(collection, size)
        )
        if is_read or collection.is_packed
        else ((start, stop, stop, None) for start, stop in find_bounds(collection, size))
    )
    for start, stop, position, chunk in found:
        line = left.pop(start, None)
        if line is not None and line.stop != stop:
            raise _changed(collection, f"differs behind byte {start:,}", afresh)
        yield Task(collection, start, stop, position, chunk, line)
    if left:
        raise _changed(
            collection, f"ends before byte {max(line.stop for line in left.values()):,}", afresh
        )
    yield Task(collection, stop, stop, collection.size)


def check_bounds(
    collection: Collection, size: int, known: Mapping[int, Known], *, afresh: str
) -> None:
    """Check that the source has the chunks of the ledger, before any that lie between them are loaded.

    Raises:
        ChangedError: it has not. SourceError: it cannot be read.
    """
    bounds = dict(find_bounds(collection, size)) if known else {}
    for start, line in known.items():
        if bounds.get(start) != line.stop:
            raise _changed(collection, f"differs behind byte {start:,}", afresh)


def _changed(collection: Collection, how: str, afresh: str) -> ChangedError:
    return ChangedError(
        f"{collection.file} {how}: it has changed since it was loaded", remedy=afresh
    )


def write_task(task: Task, out: BinaryIO) -> None:
    """A line of JSON, and behind it the bytes of documents and runs that are read already."""
    collection, chunk = task.collection, task.chunk
    message = {
        "collection": [collection.name, str(collection.file), collection.size],
        "bounds": [task.start, task.stop],
        "known": task.known,
        "is_last_try": task.is_last_try,
        "sample": task.sample,
        "chunk": chunk
        and {
            "digest": chunk.digest,
            "documents": [len(raw) for _, raw in chunk.documents],
            "runs": [(run.offset, run.size, len(run.raw), run.digest.hex()) for run in chunk.runs],
        },
    }
    out.write(json.dumps(message).encode() + b"\n")
    if chunk:
        out.writelines(raw for _, raw in chunk.documents)
        out.writelines(run.raw for run in chunk.runs)
    out.flush()


def read_task(message: Result, stream: BinaryIO) -> Task:
    """What `write_task` has written: the line as JSON, and what follows it in the stream.

    Raises:
        EOFError: the stream ends within the bytes.
    """
    name, file, size = message["collection"]
    start, stop = message["bounds"]
    chunk = None
    if found := message["chunk"]:
        documents, gaps = (
            list[Document](),
            {offset: length for offset, length, _, _ in found["runs"]},
        )
        p = start
        for length in found["documents"]:
            p += gaps.get(p, 0)
            documents.append((p, _read_exactly(stream, length)))
            p += length
        runs = [
            Run(offset, length, _read_exactly(stream, kept), bytes.fromhex(digest))
            for offset, length, kept, digest in found["runs"]
        ]
        chunk = Chunk(start, stop, found["digest"], documents, runs, stop)
    known = message["known"] and Known(*message["known"])
    return Task(
        Collection(name, Path(file), size),
        start,
        stop,
        stop,
        chunk,
        known,
        message["is_last_try"],
        message["sample"],
    )


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    found = stream.read(size)
    if len(found) != size:
        raise EOFError(f"{len(found)} of {size} bytes")
    return found
