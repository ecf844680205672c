"""What was loaded, read again: chunks of the ledger, keys in the table, rows without a document."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from typing import NamedTuple

from assise.mongo.chunks import Chunk
from assise.mongo.source import LiveSource, Source
from assise.postgres.connection import Connection
from assise.rows.keys import compile_keys, normal_keys
from assise.rows.model import Document, Reason
from assise.rows.tree import build_tree
from assise.schema.sql import select_all_keys
from assise.transfer import ledger
from assise.transfer.digests import hash_key, read_digests
from assise.transfer.kept_rejects import Reject, rejects_of
from assise.transfer.ledger import ChunkLine, Load
from assise.transfer.workers.task import RecordedChunk, Task, list_tasks
from assise.types.table import array_parameter
from assise.types.wire import Cell
from assise.wording import escape


def record_chunks(lines: Iterable[ChunkLine]) -> dict[int, RecordedChunk]:
    """Return lines of the ledger as tasks carry them, by their starts."""
    return {
        line.start: RecordedChunk(line.stop, line.sha256, line.figures.loaded) for line in lines
    }


def list_loaded(
    load: Load, source: Source, lines: Mapping[str, Iterable[ChunkLine]], *, is_read: bool
) -> Iterator[Task]:
    """Yield the chunks of collections, each with its line of the ledger, and their ends.

    `lines` has all lines of each of these collections.
    """
    recorded = {name: record_chunks(of_name) for name, of_name in lines.items()}
    hint = restart_hint(load)
    return list_tasks(source, load.chunk_bytes, recorded, is_read=is_read, restart_hint=hint)


def restart_hint(load: Load) -> str:
    """Return the remedy where the source is not the one that was loaded."""
    folder = "Give the source that was loaded: assise verify SOURCE."
    return f"{folder} {ledger.restart_hint(load)}"


def find_existing_keys(
    connection: Connection, select: str, column_type: str, keys: Iterable[Cell]
) -> set[Hashable]:
    """Return the keys that already exist in the table, normalised for comparison.

    `select` asks for them by these key cells.
    """
    found = connection.fetch_cells(select, array_parameter(column_type, keys), column_type)
    return set(normal_keys(column_type, [cell for (cell,) in found if cell is not None]))


class ExtraRow(NamedTuple):
    """A row of a collection's table that comes from no document: its key as text and as cell."""

    text: str
    key: Cell


def find_extra_rows(
    connection: Connection, load: Load, source: Source, name: str
) -> Generator[ExtraRow, None, None]:
    """Yield the rows of a collection's table that come from no document.

    The source is read once more. Of each key a hash of 8 bytes is kept: an extra row whose key has
    the hash of a document's key is not seen (once in 2^64 pairs), and no other row is accused.
    """
    table = load.layout.table_of(name)
    root = build_tree(load.layout, table).layouts[0]
    read_keys, hashes = compile_keys(load.layout, table), array("Q")
    for digests in read_digests(connection, load, name) if load.is_live else ():
        hashes.extend([int.from_bytes(key, "big") for key in digests])
    lines = {} if load.is_live else {name: ledger.finished_chunks(connection, load, name)}
    for task in list_loaded(load, source, lines, is_read=False):
        if task.is_end:
            break
        chunk = task.read(source, restart_hint(load))
        rejects = rejects_of(connection, load, name, chunk)
        documents, _ = split_chunk(chunk, rejects)
        hashes.extend([_hash(key) for key in read_keys(documents) if key is not None])
    known = array("Q", sorted(hashes))
    with closing(connection.stream(select_all_keys(root, load.schema))) as rows:
        for text, key in rows:
            number = _hash(key or b"")
            position = bisect_left(known, number)
            if position == len(known) or known[position] != number:
                shown = (text or b"").decode(errors="replace")[:200]
                yield ExtraRow(escape(shown), key or Cell(b""))


class LoadedPart(NamedTuple):
    """Documents of one chunk as the source has them, and those of it rejected as duplicates."""

    task: Task
    documents: Sequence[Document]
    duplicates: list[Document]


def read_loaded(
    connection: Connection, load: Load, source: Source, name: str
) -> Iterator[LoadedPart]:
    """Read what was loaded of a collection again; a chunk of a live source in one part or more.

    Raises:
        ChangedError: the source is no longer what was loaded; a live one may have changed.
    """
    lines = {name: ledger.finished_chunks(connection, load, name)}
    for task in list_loaded(load, source, lines, is_read=False):
        if task.is_end:
            continue
        if isinstance(source, LiveSource):
            for chunk in source.read_parts(name, task.start, task.stop):
                yield LoadedPart(task, chunk.documents, [])
        else:
            chunk = task.read(source, restart_hint(load))
            rejects = rejects_of(connection, load, name, chunk)
            yield LoadedPart(task, *split_chunk(chunk, rejects))


def _hash(key: bytes) -> int:
    return int.from_bytes(hash_key(key), "big")


def split_chunk(
    chunk: Chunk, rejects: dict[int, Reject]
) -> tuple[Sequence[Document], list[Document]]:
    """Return the documents of a chunk that must have rows, and those rejected as duplicates.

    The rejects of the documents are taken out of `rejects`.
    """
    if not rejects:
        return chunk.documents, []
    loaded: list[Document] = []
    duplicates: list[Document] = []
    for document in chunk.documents:
        offset, raw = document
        reject = rejects.get(offset)
        if reject is None or not take_reject(
            rejects, offset, size=len(raw), digest=sha256(raw).hexdigest()
        ):
            loaded.append(document)
        elif reject.reason is Reason.DUPLICATE_ID:
            duplicates.append(document)
    return loaded, duplicates


def take_reject(rejects: dict[int, Reject], offset: int, *, size: int, digest: str) -> bool:
    """Take the reject at an offset out of `rejects`; whether it has this size and this sha256."""
    reject = rejects.pop(offset, None)
    return reject is not None and (reject.size, reject.sha256) == (size, digest)
