"""Tasks as bytes on the way to a worker process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO

from assise.mongo.chunks import Chunk
from assise.mongo.dump import Collection
from assise.mongo.frames import Run
from assise.rows.model import Document
from assise.transfer.workers.task import RecordedChunk, Result, Task


def write_task(task: Task, out: BinaryIO) -> None:
    """Write a line of JSON, then the bytes of the documents and runs that are read already."""
    collection, chunk = task.collection, task.chunk
    message = {
        "collection": [collection.name, str(collection.file), collection.size],
        "bounds": [task.start, task.stop],
        "recorded": task.recorded,
        "is_last_try": task.is_last_try,
        "sample": task.sample,
        "chunk": chunk and _describe_chunk(chunk),
    }
    out.write(json.dumps(message).encode() + b"\n")
    if chunk:
        out.writelines(raw for _, raw in chunk.documents)
        out.writelines(run.raw for run in chunk.runs)
    out.flush()


def _describe_chunk(chunk: Chunk) -> Result:
    sizes = [len(raw) for _, raw in chunk.documents]
    runs = [_describe_run(run) for run in chunk.runs]
    return {"digest": chunk.digest, "documents": sizes, "runs": runs}


def _describe_run(run: Run) -> tuple[int, int, int, str]:
    return run.offset, run.size, len(run.raw), run.digest.hex()


def read_task(message: Result, stream: BinaryIO) -> Task:
    """Read what `write_task` has written: the line as JSON, and what follows it in the stream.

    Raises:
        EOFError: the stream ends within the bytes.
    """
    name, file, size = message["collection"]
    start, stop = message["bounds"]
    facts = message["chunk"]
    return Task(
        Collection(name, Path(file), size),
        start,
        stop,
        position=stop,
        chunk=_read_chunk(facts, stream, start, stop) if facts else None,
        recorded=message["recorded"] and RecordedChunk(*message["recorded"]),
        is_last_try=message["is_last_try"],
        sample=message["sample"],
    )


def _read_chunk(facts: Result, stream: BinaryIO, start: int, stop: int) -> Chunk:
    run_sizes: dict[int, int] = {offset: size for offset, size, *_ in facts["runs"]}
    documents: list[Document] = []
    p = start
    for length in facts["documents"]:
        # Only lengths cross: a document begins where the one before, or a run after it, ends.
        p += run_sizes.get(p, 0)
        documents.append((p, _read_exactly(stream, length)))
        p += length
    runs = [
        Run(offset, size, _read_exactly(stream, kept), bytes.fromhex(digest))
        for offset, size, kept, digest in facts["runs"]
    ]
    return Chunk(start, stop, facts["digest"], documents, runs, stop)


def _read_exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise EOFError(f"{len(content)} of {size} bytes")
    return content
