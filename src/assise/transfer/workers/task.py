"""A chunk as a task: what is to be read, and what the ledger has recorded of it already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from assise.errors import ChangedError
from assise.mongo.chunks import Chunk
from assise.mongo.source import Collection, Piece, Source, find_collections
from assise.progress import Progress

BUNDLE_TASKS = 200
"""Tasks in a bundle at most: with the end of each collection, a hundred small collections."""

FRAME_BYTES = 40
"""What a document or a run that is read counts at least in a bundle, however short it is."""

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

    `position` is how far the collection is done once the task is. `chunk` is here already where
    only one reader can read the source. `recorded` is here when the ledger has the chunk. `sample`
    is the number of its documents to look at, when not all are. `problems` are those of the whole
    collection, at its end.
    """

    collection: Collection
    start: int
    stop: int
    position: int
    chunk: Chunk | None = None
    recorded: RecordedChunk | None = None
    is_last_try: bool = False
    sample: int | None = None
    problems: tuple[str, ...] = ()
    size: int = 0

    @property
    def weight(self) -> int:
        """The source's bytes, as they count in a bundle."""
        frames = len(self.chunk.documents) + len(self.chunk.runs) if self.chunk else 0
        return max(self.size, FRAME_BYTES * frames)

    @property
    def is_end(self) -> bool:
        """Whether there is nothing to do: all chunks of the collection come before."""
        return self.start == self.stop

    def progress(self, step: str, documents: int, *, is_known: bool = False) -> Progress:
        """How far a step has come with this task."""
        name, size = self.collection.name, self.collection.size
        return Progress(step, name, documents, self.position, size, is_known)

    def read(self, source: Source, restart_hint: str) -> Chunk:
        """Return the chunk.

        Raises:
            ChangedError: it is not what the ledger has; `restart_hint` is the remedy.
        """
        chunk = self.chunk or source.read_chunk(self.collection.name, self.start, self.stop)
        is_same = source.is_live or not self.recorded or self.recorded.sha256 == chunk.digest
        if not is_same:
            difference = f"differs between bytes {self.start:,} and {self.stop:,}"
            raise _changed(self.collection, difference, restart_hint)
        return chunk


class Work(Protocol):
    """The work that is done on each chunk."""

    def run(self, task: Task) -> Result:
        """Do it on one chunk."""

    def run_all(self, tasks: Sequence[Task]) -> list[Result]:
        """Do it on several small chunks together."""

    def cancel(self) -> None:
        """Stop what another thread does, where it waits for a server: it raises an error there."""

    def describe(self) -> Result:
        """Return what a worker process needs to do the same work: `work` names it."""


def bundle_tasks(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    """Yield tasks that follow each other together, as long as they have `size` source bytes at most.

    With a size of 0 each task is alone.
    """
    bundle: list[Task] = []
    left = size
    for task in tasks:
        left -= task.weight
        if bundle and (left < 0 or len(bundle) == BUNDLE_TASKS or not size):
            yield bundle
            bundle, left = [], size - task.weight
        bundle.append(task)
    if bundle:
        yield bundle


def run_bundle(work: Work, tasks: Sequence[Task]) -> list[Result]:
    """Return the results of tasks; the end of a collection has an empty one."""
    chunks = [task for task in tasks if not task.is_end]
    results = iter(work.run_all(chunks) if len(chunks) > 1 else map(work.run, chunks))
    return [{} if task.is_end else next(results) for task in tasks]


Recorded = Mapping[str, Mapping[int, RecordedChunk]]
"""The chunks that the ledger has, by collection and start."""


def list_tasks(
    source: Source, size: int, recorded: Recorded, *, is_read: bool, restart_hint: str
) -> Iterator[Task]:
    """Yield the chunks and the ends of the collections in `recorded`, in the source's order.

    With `is_read` the chunks are read already.

    Raises:
        ChangedError: the source does not have the chunks of the ledger.
        SourceError: it cannot be read.
    """
    left = {name: dict(lines) for name, lines in recorded.items()}
    collections = find_collections(source, [*recorded])
    for piece in source.list_chunks([*recorded], size, is_read=is_read):
        lines, collection = left[piece.collection], collections[piece.collection]
        if piece.start == piece.stop and lines:
            last = max(line.stop for line in lines.values())
            raise _changed(collection, f"ends before byte {last:,}", restart_hint)
        line = lines.pop(piece.start, None)
        if line is not None and line.stop != piece.stop:
            raise _changed(collection, f"differs after byte {piece.start:,}", restart_hint)
        yield _make_task(collection, piece, line)


def _make_task(collection: Collection, piece: Piece, line: RecordedChunk | None) -> Task:
    size = piece.stop - piece.start if piece.size is None else piece.size
    return Task(
        collection,
        piece.start,
        piece.stop,
        piece.position,
        piece.chunk,
        line,
        problems=piece.problems,
        size=size,
    )


def check_bounds(source: Source, size: int, recorded: Recorded, *, restart_hint: str) -> None:
    """Check that the source has the chunks of the ledger, before any between them are loaded.

    Raises:
        ChangedError: it does not. SourceError: it cannot be read.
    """
    names = [name for name, lines in recorded.items() if lines]
    left = {(name, start): line.stop for name in names for start, line in recorded[name].items()}
    for piece in source.list_bounds(names, size) if names else ():
        if left.get((piece.collection, piece.start)) == piece.stop:
            del left[piece.collection, piece.start]
    if left:
        name, start = min(left)
        collection = find_collections(source, [name])[name]
        raise _changed(collection, f"differs after byte {start:,}", restart_hint)


def _changed(collection: Collection, difference: str, restart_hint: str) -> ChangedError:
    message = f"{collection.place} {difference}: it has changed since it was loaded"
    return ChangedError(message, remedy=restart_hint)
