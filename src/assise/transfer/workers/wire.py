"""Tasks as bytes on the way to a worker process."""

from __future__ import annotations

import json
from array import array
from typing import BinaryIO

from assise.mongo.chunks import Chunk
from assise.mongo.frames import Run
from assise.mongo.source import Collection
from assise.rows.model import Document
from assise.transfer.workers.task import RecordedChunk, Result, Task


def write_task(task: Task, out: BinaryIO) -> None:
    """Write a line of JSON, then what is read already of the chunk.

    That are the offsets and lengths of its documents, as 8 bytes each, their bytes, and those of
    its runs.
    """
    collection, chunk = task.collection, task.chunk
    message = {
        "collection": [collection.name, collection.size, collection.place],
        "bounds": [task.start, task.stop],
        "recorded": task.recorded,
        "is_last_try": task.is_last_try,
        "sample": task.sample,
        "size": task.size,
        "chunk": chunk and _describe_chunk(chunk),
    }
    out.write(json.dumps(message).encode() + b"\n")
    if chunk:
        out.write(array("q", [offset for offset, _ in chunk.documents]).tobytes())
        out.write(array("q", [len(raw) for _, raw in chunk.documents]).tobytes())
        out.writelines(raw for _, raw in chunk.documents)
        out.writelines(run.raw for run in chunk.runs)
    out.flush()


def _describe_chunk(chunk: Chunk) -> Result:
    runs = [(*run[:2], len(run.raw), run.digest.hex(), run.detail) for run in chunk.runs]
    facts = {"digest": chunk.digest, "size": chunk.size, "position": chunk.position}

    return {
        **facts,
        "guesses": dict(chunk.guesses),
        "documents": len(chunk.documents),
        "runs": runs,
    }


def read_task(message: Result, stream: BinaryIO) -> Task:
    """Read what `write_task` has written: the line as JSON, and what follows it in the stream.

    Raises:
        EOFError: the stream ends within the bytes.
    """
    start, stop = message["bounds"]
    facts = message["chunk"]
    return Task(
        Collection(*message["collection"]),
        start,
        stop,
        position=stop,
        chunk=_read_chunk(facts, stream, start, stop) if facts else None,
        recorded=message["recorded"] and RecordedChunk(*message["recorded"]),
        is_last_try=message["is_last_try"],
        sample=message["sample"],
        size=message["size"],
    )


def _read_chunk(facts: Result, stream: BinaryIO, start: int, stop: int) -> Chunk:
    count = facts["documents"]
    offsets, lengths = (array("q", _read_exactly(stream, 8 * count)) for _ in range(2))
    documents: list[Document] = [
        (offset, _read_exactly(stream, length))
        for offset, length in zip(offsets, lengths, strict=True)
    ]
    runs = [
        Run(offset, size, _read_exactly(stream, kept), bytes.fromhex(digest), detail)
        for offset, size, kept, digest, detail in facts["runs"]
    ]
    digest, size, position = (facts[name] for name in ("digest", "size", "position"))
    return Chunk(start, stop, digest, documents, runs, position, size, facts["guesses"])


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise EOFError(f"{len(content)} of {size} bytes")
    return content
