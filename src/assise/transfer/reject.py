"""Documents that are rejected after they were loaded: their bytes, and the figures of their chunks."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import groupby
from typing import NamedTuple

from assise.documents.equality import fingerprint
from assise.errors import ChangedError
from assise.mongo.source import Source
from assise.postgres.connection import Connection
from assise.rows.keys import compile_keys, normal_key, normal_keys
from assise.rows.model import Document, Reason
from assise.rows.shred import Shredder
from assise.schema.amend import Rejection
from assise.transfer import ledger
from assise.transfer.digests import hash_key, read_digests, write_digests
from assise.transfer.kept_rejects import Reject, write_rejects
from assise.transfer.ledger import QUERIES, ChunkLine, Load
from assise.transfer.loaded import LoadedPart, read_loaded, restart_hint
from assise.transfer.report import CollectionReport
from assise.types.table import array_parameter
from assise.types.wire import Cell

AGAIN = "its _id is that of a document that was rejected after it was loaded"


class _Rejected(NamedTuple):
    """A rejected document, and why."""

    offset: int
    raw: bytes
    detail: str


def reject_documents(
    connection: Connection, load: Load, source: Source, rejection: Rejection, *, count: int
) -> None:
    """Write `count` documents, whose rows are deleted, with their bytes to the rejects.

    The bytes are those of the source. Where a live one has them no more they are made from the
    rows, as they were loaded.

    Raises:
        ChangedError: the source is no longer what was loaded.
    """
    name = load.layout.roots[rejection.root.table]
    work = _Collection(connection, load, name, rejection)
    lines = {line.start: line for line in ledger.finished_chunks(connection, load, name)}
    written = 0
    parts = read_loaded(connection, load, source, name)
    for start, of_chunk in groupby(parts, key=lambda part: part.task.start):
        write = work.write_live if load.is_live else work.write
        written += write(lines[start], of_chunk)
    if written != count:
        raise ChangedError(
            f"of {count:,} documents of {name} to reject the source has {written:,}",
            remedy=restart_hint(load),
        )


@dataclass(frozen=True)
class _Collection:
    connection: Connection
    load: Load
    name: str
    rejection: Rejection

    @cached_property
    def _shredder(self) -> Shredder:
        return Shredder(self.load.layout, self.rejection.root.table)

    @property
    def _key_type(self) -> str:
        return self.rejection.root.key.type

    def _find(self, documents: Sequence[Document]) -> Iterator[tuple[Document, str]]:
        """Yield the documents whose keys are rejected, with the reasons."""
        read_keys = compile_keys(self.load.layout, self.rejection.root.table)
        keyed = zip(read_keys(documents), documents, strict=True)
        keys = {i: key for i, (key, _) in enumerate(keyed) if key is not None}
        array, select = (
            array_parameter(self._key_type, keys.values()),
            self.rejection.select_rejected(),
        )
        details: dict[Hashable, str] = {}
        for key, detail in self.connection.fetch_cells(select, array, self._key_type):
            details[normal_key(self._key_type, key or Cell(b""))] = (detail or b"").decode()
        numbers = normal_keys(self._key_type, [*keys.values()])
        for i, number in zip(keys, numbers, strict=True):
            if number in details:
                yield documents[i], details[number]

    def write(self, line: ChunkLine, parts: Iterator[LoadedPart]) -> int:
        """Reject documents of one chunk; how many of them had rows."""
        [part] = parts
        found = [_Rejected(*document, detail) for document, detail in self._find(part.documents)]
        for (offset, _), _ in self._find(part.duplicates):
            parameters = {"load_id": self.load.id, "collection": self.name, "start": offset}
            facts = {"reason": int(Reason.ASKED_FOR), "detail": AGAIN}
            self.connection.execute(QUERIES["amend_reject"], parameters | facts)
        self._write(line, found)
        return len(found)

    def write_live(self, line: ChunkLine, parts: Iterator[LoadedPart]) -> int:
        """Reject documents of one chunk of a live source, whatever has become of them there."""
        digests = next(read_digests(self.connection, self.load, self.name, line.start), {})
        array = array_parameter("bytea", [Cell(number) for number in digests])
        found: dict[bytes, _Rejected] = {}
        select = self.rejection.select_raws()
        offset = line.stop - line.figures.rejected
        for _, digest, loaded, detail in self.connection.fetch_cells(select, array, "bytea"):
            offset -= 1
            found[digest or b""] = _Rejected(offset, loaded or b"", (detail or b"").decode())
        read_keys = compile_keys(self.load.layout, self.rejection.root.table)
        for part in parts:
            for key, (_, raw) in zip(read_keys(part.documents), part.documents, strict=True):
                number = hash_key(key or b"")
                if number in found and fingerprint(raw) == digests[number]:
                    found[number] = found[number]._replace(raw=raw)
        left = {number: digest for number, digest in digests.items() if number not in found}
        if found:
            write_digests(self.connection, self.load, self.name, line.start, left)
        self._write(line, [*found.values()])
        return len(found)

    def _write(self, line: ChunkLine, found: Sequence[_Rejected]) -> None:
        if not found:
            return
        rejects = []
        for offset, raw, detail in found:
            digest = sha256(raw).hexdigest()
            facts = self.name, offset, len(raw), Reason.ASKED_FOR, detail, digest
            rejects.append((Reject(*facts), raw))
        write_rejects(self.connection, self.load, rejects)
        batch = self._shredder.shred([(offset, raw) for offset, raw, _ in found])
        figures = line.figures
        figures.loaded -= len(found)
        figures.rejected += len(found)
        for layout, owners in zip(self._shredder.layouts, batch.owners, strict=True):
            figures.tables[layout.table] = figures.tables.get(layout.table, 0) - len(owners)
        figures.values.add(batch.values, times=-1)
        figures.columns.add(batch.columns, times=-1)
        amend_chunk(self.connection, self.load, line.start, figures)


def amend_chunk(connection: Connection, load: Load, start: int, figures: CollectionReport) -> None:
    """The figures of a chunk, of which documents were rejected after it was loaded."""
    parameters = {
        "load_id": load.id,
        "collection": figures.name,
        "start": start,
        "loaded": figures.loaded,
        "rejected": figures.rejected,
        "rows": json.dumps(figures.tables),
        "columns": json.dumps(figures.columns.as_json()),
        **vars(figures.values),
    }
    connection.execute(QUERIES["amend_chunk"], parameters)
