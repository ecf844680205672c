"""A chunk as a task: what is to be read, and what the ledger has recorded of it already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from assise.errors import ChangedError
from assise.mongo.bson_file import find_bounds, read_chunk, read_chunks
from assise.mongo.chunks import Chunk
from assise.mongo.dump import Collection
from assise.progress import Progress

BUNDLE_TASKS = 200
"""Tasks in a bundle at most: with the end of each collection, a hundred small collections."""

Result = dict[str, Any]
"""The outcome of a task; JSON can hold it."""


class RecordedChunk(NamedTuple):
    """A recorded chunk: its end, its sha256, and how many of its documents were loaded."""

    stop: int
    sha256: str
    loaded: int


@dataclass(frozen=True)
class Task:
    """One chunk or, after the last chunk of a collection, its end.

    `position` is how far the file is done once the task is. `chunk` is here already where only one
    reader can read the source. `recorded` is here when the ledger has the chunk. `sample` is the
    number of its documents to look at, when not all are.
    """

    collection: Collection
    start: int
    stop: int
    position: int
    chunk: Chunk | None = None
    recorded: RecordedChunk | None = None
    is_last_try: bool = False
    sample: int | None = None

    @property
    def is_end(self) -> bool:
        """Whether there is nothing to do: all chunks of the collection come before."""
        return self.start == self.stop

    def progress(self, step: str, documents: int, *, is_known: bool = False) -> Progress:
        """How far a step has come with this task."""
        name, size = self.collection.name, self.collection.size
        return Progress(step, name, documents, self.position, size, is_known)

    def read(self, restart_hint: str) -> Chunk:
        """Return the chunk.

        Raises:
            ChangedError: it is not what the ledger has; `restart_hint` is the remedy.
        """
        chunk = self.chunk or read_chunk(self.collection, self.start, self.stop)
        if self.recorded and self.recorded.sha256 != chunk.digest:
            difference = f"differs between bytes {self.start:,} and {self.stop:,}"
            raise _changed(self.collection, difference, restart_hint)
        return chunk


class Work(Protocol):
    """The work that is done on each chunk."""

    def run(self, task: Task) -> Result:
        """Do it on one chunk."""

    def run_all(self, tasks: Sequence[Task]) -> list[Result]:
        """Do it on several small chunks together."""

    def describe(self) -> Result:
        """Return what a worker process needs to do the same work: `work` names it."""


def bundle_tasks(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    """Yield tasks that follow each other together, as long as they have `size` source bytes at most.

    With a size of 0 each task is alone.
    """
    bundle: list[Task] = []
    left = size
    for task in tasks:
        left -= task.stop - task.start
        if bundle and (left < 0 or len(bundle) == BUNDLE_TASKS or not size):
            yield bundle
            bundle, left = [], size - (task.stop - task.start)
        bundle.append(task)
    if bundle:
        yield bundle


def run_bundle(work: Work, tasks: Sequence[Task]) -> list[Result]:
    """Return the results of tasks; the end of a collection has an empty one."""
    chunks = [task for task in tasks if not task.is_end]
    results = iter(work.run_all(chunks) if len(chunks) > 1 else map(work.run, chunks))
    return [{} if task.is_end else next(results) for task in tasks]


def list_tasks(
    collection: Collection,
    size: int,
    recorded: Mapping[int, RecordedChunk],
    *,
    is_read: bool,
    restart_hint: str,
) -> Iterator[Task]:
    """Yield the chunks of a collection and its end; with `is_read` they are read already.

    `recorded` has the chunks of the ledger by their starts.

    Raises:
        ChangedError: the source does not have the chunks of the ledger.
        SourceError: it cannot be read.
    """
    left, stop = dict(recorded), 0
    for start, stop, position, chunk in _list_chunks(collection, size, is_read=is_read):
        line = left.pop(start, None)
        if line is not None and line.stop != stop:
            raise _changed(collection, f"differs after byte {start:,}", restart_hint)
        yield Task(collection, start, stop, position, chunk, line)
    if left:
        last = max(line.stop for line in left.values())
        raise _changed(collection, f"ends before byte {last:,}", restart_hint)
    yield Task(collection, stop, stop, collection.size)


def _list_chunks(
    collection: Collection, size: int, *, is_read: bool
) -> Iterator[tuple[int, int, int, Chunk | None]]:
    """Yield start, stop and position of each chunk, and the chunk if it is read already."""
    if is_read or collection.is_packed:
        for chunk in read_chunks(collection, size):
            yield chunk.start, chunk.stop, chunk.position, chunk
    else:
        for start, stop in find_bounds(collection, size):
            yield start, stop, stop, None


def check_bounds(
    collection: Collection, size: int, recorded: Mapping[int, RecordedChunk], *, restart_hint: str
) -> None:
    """Check that the source has the chunks of the ledger, before any between them are loaded.

    Raises:
        ChangedError: it does not. SourceError: it cannot be read.
    """
    bounds = dict(find_bounds(collection, size)) if recorded else {}
    for start, line in recorded.items():
        if bounds.get(start) != line.stop:
            raise _changed(collection, f"differs after byte {start:,}", restart_hint)


def _changed(collection: Collection, difference: str, restart_hint: str) -> ChangedError:
    message = f"{collection.file} {difference}: it has changed since it was loaded"
    return ChangedError(message, remedy=restart_hint)
