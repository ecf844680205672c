"""Sources as the contract tests read them: whole, chunk by chunk, whatever they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from assise.errors import AssiseError
from assise.mongo.chunks import Chunk
from assise.mongo.opening import open_source
from assise.mongo.source import NO_OPTIONS, NOTHING, Piece, Source, SourceOptions

CHUNK_BYTES = 4096
PATIENCE_S = 60


def open_prepared(place: Path | str, options: SourceOptions = NO_OPTIONS) -> Source:
    """Open a source, ready to be read in small chunks."""
    source = open_source(place, options)
    source.prepare(names(source), CHUNK_BYTES, NOTHING)
    return source


def names(source: Source) -> list[str]:
    return [collection.name for collection in source.collections]


def read_all(source: Source, *, is_read: bool = True) -> Iterator[tuple[Piece, Chunk | None]]:
    """Yield every piece with its chunk, read here where the source has left it out."""
    for piece in source.list_chunks(names(source), CHUNK_BYTES, is_read=is_read):
        is_end = piece.start == piece.stop
        chunk = piece.chunk
        if chunk is None and not is_end:
            chunk = source.read_chunk(piece.collection, piece.start, piece.stop)
        yield piece, chunk


@dataclass
class Read:
    """What was read of a source: documents by collection, runs, problems, or the error."""

    documents: dict[str, list[bytes]] = field(default_factory=dict)
    runs: int = 0
    problems: list[str] = field(default_factory=list)
    error: AssiseError | None = None

    @property
    def is_told(self) -> bool:
        """Whether it says that something is wrong."""
        return bool(self.runs or self.problems or self.error)


def read(place: Path | str) -> Read:
    """Read a source, whatever it holds; only errors of ours end it."""
    found, until = Read(), monotonic() + PATIENCE_S
    try:
        for piece, chunk in read_all(open_prepared(place)):
            assert monotonic() < until, "it does not end"
            documents = found.documents.setdefault(piece.collection, [])
            found.problems += piece.problems
            if chunk:
                documents += [raw for _, raw in chunk.documents]
                found.runs += len(chunk.runs)
    except AssiseError as error:
        found.error = error
    return found


def data_files(place: Path | str) -> list[Path]:
    """The files that hold documents."""
    place = Path(place)
    if place.is_file():
        return [place]
    return sorted(file for file in place.rglob("*") if file.is_file() and "admin" not in file.parts)
