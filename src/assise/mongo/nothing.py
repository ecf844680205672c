"""The source of a manifest whose tables are all born in PostgreSQL: it holds no documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assise.errors import SourceError
from assise.mongo.chunks import Chunk
from assise.mongo.source import NOTHING, Collection, JsonObject, Piece, Sample, Survey

ADDRESS = "none:"
"""What stands for this source where another one has its path or its URL."""


@dataclass(frozen=True)
class Nothing:
    """A source without collections."""

    address: str = ADDRESS
    name: str = "none"
    collections: Sequence[Collection] = ()
    ignored: Sequence[str] = ()
    notes: Sequence[str] = ()
    is_live: bool = False

    def read_metadata(self, collection: str) -> str | None:
        """Return nothing."""
        del collection
        return None

    def prepare(
        self, collections: Sequence[str], size: int, known: Survey, *, is_check: bool = False
    ) -> Survey:
        """Find out nothing."""
        del collections, size, known, is_check
        return NOTHING

    def list_chunks(
        self, collections: Sequence[str], size: int, *, is_read: bool
    ) -> Iterator[Piece]:
        """Yield nothing."""
        del collections, size, is_read
        return iter(())

    def list_bounds(self, collections: Sequence[str], size: int) -> Iterator[Piece]:
        """Yield nothing."""
        del collections, size
        return iter(())

    def read_chunk(self, collection: str, start: int, stop: int) -> Chunk:
        """Refuse: there are no chunks."""
        raise SourceError(f"{ADDRESS} holds no {collection} from {start} to {stop}")

    def read_samples(self, collection: str, size: int, count: int) -> Iterator[Sample]:
        """Yield nothing."""
        del collection, size, count
        return iter(())

    def describe(self) -> JsonObject:
        """Return the kind alone."""
        return {"kind": "none"}
