"""Chunks: consecutive frames of a source, grouped by their size."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from assise.mongo.frames import Run
from assise.rows.model import Document


@dataclass(frozen=True)
class Chunk:
    """Consecutive documents and runs of one collection.

    `start` and `stop` are offsets in the source; they depend on the source and on the size asked
    for alone. `digest` is the sha256 of the source's bytes between them. `position` is how far the
    file, which may be compressed, was read. `size` are the bytes, where they are not
    `stop - start`. `guesses` counts values of which the source says too little, by what was guessed.
    """

    start: int
    stop: int
    digest: str
    documents: list[Document]
    runs: list[Run]
    position: int
    size: int | None = None
    guesses: Mapping[str, int] = field(default_factory=dict)


def group_frames(
    frames: Iterable[list[Document] | Run],
    size: int,
    *,
    start: int = 0,
    tell: Callable[[], int] | None = None,
) -> Iterator[Chunk]:
    """Group frames into chunks of at least `size` source bytes each; the last may be smaller.

    The first frame is at offset `start`; `tell` gives the position in a compressed file.
    """
    documents: list[Document] = []
    runs: list[Run] = []
    digest, stop = sha256(), start

    def end() -> Chunk:
        position = tell() if tell else stop
        return Chunk(start, stop, digest.hexdigest(), documents, runs, position)

    for frame in frames:
        p, count = 0, 1 if isinstance(frame, Run) else len(frame)
        while p < count:
            if isinstance(frame, Run):
                runs.append(frame)
                digest.update(frame.digest)
                stop, p = frame.offset + frame.size, 1
            else:
                # The chunk ends with the first document that ends at or after its size.
                q = bisect_left(frame, start + size, p, key=_end_of) + 1
                taken = frame[p:q]
                documents += taken
                digest.update(b"".join([raw for _, raw in taken]))
                stop, p = _end_of(taken[-1]), q
            if stop - start >= size:
                yield end()
                documents, runs, digest, start = [], [], sha256(), stop
    if start < stop:
        yield end()


def _end_of(document: Document) -> int:
    offset, raw = document
    return offset + len(raw)
