"""The chunks of an archive's collections, which are interleaved, in one pass over it."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path

from assise.mongo.archive_contents import read_archive
from assise.mongo.chunks import Chunk, Group
from assise.mongo.frames import PackedDocuments, Run, read_frames
from assise.mongo.segments import BrokenSegment, Header, Namespace, Whole

OPEN_BYTES = 32 << 20
"""Bytes of all chunks that are begun, or of one. With many collections chunks are smaller."""

SMALLEST_CHUNK = 16 << 10


def read_chunks(
    path: Path, groups: Mapping[Namespace, Group], size: int, *, continued: Container[Namespace]
) -> Iterator[tuple[Namespace, Chunk | None]]:
    """Yield the chunks of some collections, and None at the end of each.

    Chunks are of at least `size` bytes, or smaller while many collections of the archive are begun
    and not ended, whichever are read. `continued` are those with documents after their end.

    Raises:
        SourceError: the archive cannot be read.
    """
    left = dict(groups)
    begun: set[Namespace] = set()
    with read_archive(path) as archive:
        for part in archive.parts:
            namespace = part.namespace
            if isinstance(part, Header):
                (begun.discard if part.is_end else begun.add)(part.namespace)
                if part.is_end and part.namespace not in continued:
                    yield from _end(left, part.namespace)
            elif namespace in left:
                group, now = left[namespace], _limit(size, len(begun))
                for frame in _read_frames(part, group.stop):
                    for chunk in group.add(frame, now):
                        yield namespace, chunk
    for namespace in list(left):
        yield from _end(left, namespace)


def _limit(size: int, begun: int) -> int:
    """Return the size of a chunk while that many collections are begun."""
    return min(size, max(SMALLEST_CHUNK, max(size, OPEN_BYTES) // max(1, begun)))


def _end(
    left: dict[Namespace, Group], namespace: Namespace
) -> Iterator[tuple[Namespace, Chunk | None]]:
    group = left.pop(namespace, None)
    if group is not None:
        for chunk in group.rest():
            yield namespace, chunk
        yield namespace, None


def _read_frames(part: Whole | BrokenSegment, offset: int) -> Iterable[PackedDocuments | Run]:
    """Return the frames of a part whose first byte is at `offset` of its collection."""
    if isinstance(part, BrokenSegment):
        return read_frames(part, offset)
    _, data, borders = part
    # A copy: the chunks of many collections are in memory, and each would hold all of `data`.
    start = borders[0]
    own = data[start : borders[-1]]
    return [PackedDocuments([(own, offset, [border - start for border in borders])])]
