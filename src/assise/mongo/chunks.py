"""Chunks: consecutive frames of a source, grouped by their size."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from assise.mongo.frames import PackedDocuments, PackedPiece, Run
from assise.rows.model import Document

HASHED_BYTES = 256 << 10
"""Bytes that are hashed together, some: small pieces are joined for it, large ones are not."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive documents and runs of one collection.

    `start` and `stop` are offsets in the source; they depend on the source and on the size asked
    for alone. `hashed` is the sha256 of the source's bytes between them, or these bytes in pieces.
    `position` is how far the file, which may be compressed, was read. `size` are the bytes, where
    they are not `stop - start`. `guesses` counts values of which the source says too little, by
    what was guessed.
    """

    start: int
    stop: int
    hashed: str | Sequence[bytes | memoryview] = field(compare=False)
    documents: Sequence[Document]
    runs: list[Run]
    position: int
    size: int | None = None
    guesses: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """The sha256 of the source's bytes; a run stands for itself with its own."""
        if isinstance(self.hashed, str):
            return self.hashed
        digest, size = sha256(), sum(map(len, self.hashed))
        together = 1 + HASHED_BYTES * len(self.hashed) // max(1, size)
        for start in range(0, len(self.hashed), together):
            some = self.hashed[start : start + together]
            digest.update(some[0] if len(some) == 1 else b"".join(some))
        return digest.hexdigest()


class Group:
    """Frames of one collection, while they become chunks.

    The first frame is at offset `start`; `tell` gives the position in a compressed file.
    """

    def __init__(self, start: int = 0, tell: Callable[[], int] | None = None) -> None:
        self.start = self.stop = start
        self._tell = tell
        self._pieces: list[PackedPiece] = []
        self._runs: list[Run] = []
        self._hashed: list[bytes | memoryview] = []

    def add(self, frame: PackedDocuments | Run, size: int) -> Iterator[Chunk]:
        """Yield the chunks that end in a frame: each has at least `size` source bytes."""
        if isinstance(frame, Run):
            self._runs.append(frame)
            self._hashed.append(frame.digest)
            self.stop = frame.offset + frame.size
            if self.stop - self.start >= size:
                yield self._end()
            return
        for data, base, borders in frame.pieces:
            p, last = 0, len(borders) - 1
            while p < last:
                # The chunk ends with the first document that ends at or after its size.
                q = min(last, bisect_left(borders, self.start + size - base, p + 1))
                self._pieces.append((data, base, borders[p : q + 1]))
                self._hashed.append(memoryview(data)[borders[p] : borders[q]])
                self.stop, p = base + borders[q], q
                if self.stop - self.start >= size:
                    yield self._end()

    def rest(self) -> Iterator[Chunk]:
        """Yield the last chunk, which may be smaller; nothing if there is nothing left."""
        if self.start < self.stop:
            yield self._end()

    def _end(self) -> Chunk:
        position = self._tell() if self._tell else self.stop
        found = (self._hashed, PackedDocuments(self._pieces), self._runs)
        chunk = Chunk(self.start, self.stop, *found, position)
        self.start, self._hashed, self._pieces, self._runs = self.stop, [], [], []
        return chunk


def group_frames(
    frames: Iterable[PackedDocuments | Run],
    size: int,
    *,
    start: int = 0,
    tell: Callable[[], int] | None = None,
) -> Iterator[Chunk]:
    """Group frames into chunks of at least `size` source bytes each; the last may be smaller."""
    group = Group(start, tell)
    for frame in frames:
        yield from group.add(frame, size)
    yield from group.rest()
