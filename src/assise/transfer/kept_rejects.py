"""The rejects of loads, which the ledger keeps with their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from assise.errors import UsageError
from assise.mongo.chunks import Chunk
from assise.postgres.connection import Connection
from assise.rows.model import Reason
from assise.transfer.ledger import QUERIES, Load
from assise.types.wire import add_length, int4_field, int8_field, write_row

PAGE_REJECTS, PAGE_BYTES = 5_000, 1 << 20
"""Rejects that are read at once, at most, and bytes of them after which no further one is read."""


class Reject(NamedTuple):
    """One reject: where its bytes lie in the uncompressed source, and why it was rejected."""

    collection: str
    offset: int
    size: int
    reason: Reason
    detail: str
    sha256: str


class KeptReject(NamedTuple):
    """One reject with its bytes; `size` is that in the source, of which few may be kept."""

    offset: int
    size: int
    reason: Reason
    raw: bytes


def write_rejects(
    connection: Connection, load: Load, rejects: Iterable[tuple[Reject, bytes]]
) -> None:
    """Rejects with their bytes."""
    connection.copy_in(QUERIES["copy_rejects"], _reject_rows(load, rejects))


def _reject_rows(load: Load, rejects: Iterable[tuple[Reject, bytes]]) -> Iterator[bytes]:
    load_id = int4_field(load.id)
    for (collection, offset, size, reason, detail, sha256), raw in rejects:
        yield write_row(
            load_id,
            add_length(collection.encode()),
            int8_field(offset),
            int8_field(size),
            int4_field(reason),
            add_length(detail.encode()),
            add_length(sha256.encode()),
            add_length(raw),
        )


def read_rejects(connection: Connection, load: Load) -> list[Reject]:
    """The rejects of a load, by collection and offset."""
    rows = connection.fetch(_RejectRow, QUERIES["rejects"], {"load_id": load.id})
    return [row.read() for row in rows]


def rejects_of(
    connection: Connection, load: Load, collection: str, chunk: Chunk
) -> dict[int, Reject]:
    """The rejects of one chunk, by offset."""
    bounds = {"start": chunk.start, "stop": chunk.stop}
    parameters = {"load_id": load.id, "collection": collection, **bounds}
    rows = connection.fetch(_RejectRow, QUERIES["chunk_rejects"], parameters)
    return {row.offset: row.read() for row in rows}


@dataclass(frozen=True)
class _RejectRow:
    collection: str
    offset: int
    size: int
    reason: int
    detail: str
    sha256: str

    def read(self) -> Reject:
        return Reject(**{**vars(self), "reason": Reason(self.reason)})


def read_reject(connection: Connection, load: Load, collection: str, offset: int) -> bytes:
    """The bytes of one reject, as far as they are kept.

    Raises:
        UsageError: there is none at this offset.
    """
    parameters = {"load_id": load.id, "collection": collection, "offset": offset}
    raw = connection.scalar(QUERIES["reject_raw"], parameters)
    if not isinstance(raw, bytes):
        raise UsageError(
            f"{collection} has no reject at offset {offset}", remedy="`assise rejects` lists them."
        )
    return raw


def stream_rejects(connection: Connection, load: Load, collection: str) -> Iterator[KeptReject]:
    """Yield each reject of a collection with its bytes, by offset."""
    for page in page_rejects(connection, load, collection):
        yield from page


def page_rejects(
    connection: Connection,
    load: Load,
    collection: str,
    *,
    count: int = PAGE_REJECTS,
    size: int = PAGE_BYTES,
) -> Iterator[list[KeptReject]]:
    """Yield the rejects of a collection, some at a time: `count` at most.

    A page ends with the first one behind `size` bytes: one may have 16 MiB, and millions a few.
    """

    def make(offset: int, size: int, reason: int, raw: bytes) -> KeptReject:
        return KeptReject(offset, size, Reason(reason), raw)

    facts = {"load_id": load.id, "collection": collection, "count": count, "bytes": size}
    offset = -1
    while page := connection.fetch(make, QUERIES["next_rejects"], {**facts, "offset": offset}):
        yield page
        offset = page[-1].offset
