"""Load: chunk by chunk, one transaction for the rows of all tables of a chunk and for its line in the ledger.

A killed load loses nothing and doubles nothing: what is committed is in the ledger, everything else was never there.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from itertools import chain, compress
from time import perf_counter

from assise.errors import (
    ChangedError,
    DuplicateKeyError,
    LimitError,
    SerializationError,
    TargetError,
)
from assise.mongo.chunks import Chunk
from assise.mongo.dump import Dump
from assise.mongo.frames import Document
from assise.postgres.connection import Connection, execute_all
from assise.progress import Log, OnProgress
from assise.rows.cells import OIDS, pack_length, write_array_cell
from assise.rows.keys import compile_keys, normal_keys
from assise.rows.shred import Batch, Reason, Shredder
from assise.rows.tally import Values
from assise.schema.sql import (
    add_foreign_keys,
    all_layouts,
    copy_rows,
    quote,
    select_keys,
    validate_constraint,
)
from assise.transfer import ledger
from assise.transfer.ledger import ChunkLine, Load, Reject
from assise.transfer.pool import Workers
from assise.transfer.report import CollectionReport
from assise.transfer.tasks import Known, Result, Task, check_bounds, list_tasks
from assise.wording import count_of

DUPLICATE = "a document with the same _id is loaded already"

ATTEMPTS = 3
"""How often a chunk is tried when the server asks for another try; the last time alone."""


def load_dump(
    connection: Connection,
    load: Load,
    dump: Dump,
    workers: Workers,
    *,
    log: Log,
    progress: OnProgress,
) -> list[CollectionReport]:
    """Load what is not loaded yet, then add foreign keys and statistics. Figures of everything that is loaded.

    Raises:
        ChangedError: a part of the source that was loaded reads differently now.
        SourceError, TargetError, WorkerError: reading or writing failed; the same call goes on where it stopped.
    """
    reports = {
        name: CollectionReport(name, tables=dict.fromkeys(load.layout.tree(root), 0))
        for root, name in load.layout.roots.items()
    }
    lines = {
        name: {line.start: line for line in ledger.finished_chunks(connection, load, name)}
        for name in reports
    }
    workers.begin(
        lambda: LoadWork(connection, load),
        lambda: {
            "work": "load",
            **ledger.describe_load(connection, load),
            "workers": workers.count,
            "leader": connection.pid,
        },
    )
    again = []
    for task, result in workers.run(
        chain.from_iterable(
            _list_tasks(load, dump, lines[name], name, is_read=workers.count == 1)
            for name in reports
        )
    ):
        report = reports[task.collection.name]
        if task.is_end:
            log(
                f"{report.name}: {count_of(report.documents, 'document')}, {report.rejected:,} rejected"
            )
        elif "again" in result:
            again.append(replace(task, is_last_try=True))
        else:
            report.add(
                lines[report.name][task.start].figures
                if task.known
                else CollectionReport.from_json(result)
            )
            progress(task.progress("load", report.documents, is_known=task.known is not None))
    for task in again:
        for _, result in workers.run([task]):
            reports[task.collection.name].add(CollectionReport.from_json(result))
    workers.rest()
    if not load.is_finished:
        _add_keys(connection, load, workers.count)
        ledger.finish(connection, load)
    return list(reports.values())


def _list_tasks(
    load: Load, dump: Dump, lines: Mapping[int, ChunkLine], name: str, *, is_read: bool
) -> Iterator[Task]:
    afresh = ledger.restart_hint(load)
    known = {
        start: Known(line.stop, line.sha256, line.figures.loaded) for start, line in lines.items()
    }
    if not load.is_finished:
        check_bounds(dump.collection(name), load.chunk_bytes, known, afresh=afresh)
    for task in list_tasks(
        dump.collection(name), load.chunk_bytes, known, is_read=is_read, afresh=afresh
    ):
        if load.is_finished and not task.known and not task.is_end:
            raise ChangedError(
                f"{task.collection.file} has grown behind byte {task.start:,}: it has changed since it was loaded",
                remedy=afresh,
            )
        yield task


def _add_keys(connection: Connection, load: Load, workers: int) -> None:
    """Foreign keys, then statistics. The keys are added at once and their old rows checked afterwards, at the same time."""
    to_validate = []
    for table, statement in add_foreign_keys(load.layout, load.schema):
        name = quote(load.schema, table)
        if not connection.scalar(ledger.QUERIES["has_foreign_key"], {"table": name}):
            connection.execute(f"{statement} NOT VALID")
        key = connection.scalar(ledger.QUERIES["foreign_key_to_validate"], {"table": name})
        if key is not None:
            to_validate.append(validate_constraint(table, str(key), schema=load.schema))
    execute_all(connection, to_validate, workers=workers)
    execute_all(
        connection,
        [f"ANALYZE {quote(load.schema, layout.table)}" for layout in all_layouts(load.layout)],
        workers=workers,
    )


def find_known(
    connection: Connection, select: str, column_type: str, keys: Iterable[bytes]
) -> set[Hashable]:
    """Those of the key cells, with their lengths in front, that `select` finds in the table, as normal keys."""
    wanted = write_array_cell(list(keys), OIDS[column_type])[4:]
    return set(
        normal_keys(
            column_type,
            [
                cell
                for (cell,) in connection.fetch_cells(select, wanted, column_type)
                if cell is not None
            ],
        )
    )


class LoadWork:
    """Loads chunks; `workers` do so at the same time."""

    def __init__(self, connection: Connection, load: Load, *, workers: int = 1) -> None:
        self._connection, self._load, self._workers = connection, load, workers
        self._loader: _CollectionLoader | None = None

    def run(self, task: Task) -> Result:
        """The figures of a chunk, nothing of one that is loaded already; `again` when it is to be tried once more, alone."""
        chunk = task.read(ledger.restart_hint(self._load))
        if task.known:
            return {}
        if self._loader is None or self._loader.name != task.collection.name:
            self._loader = _CollectionLoader(
                self._connection, self._load, task.collection.name, self._workers
            )
        attempts = ATTEMPTS if self._workers == 1 else 1 if task.is_last_try else ATTEMPTS - 1
        try:
            return self._loader.load_chunk(chunk, attempts=attempts).as_json()
        except SerializationError:
            if self._workers == 1 or task.is_last_try:
                raise
            return {"again": True}


class _CollectionLoader:
    """Loads the chunks of one collection."""

    def __init__(self, connection: Connection, load: Load, name: str, workers: int) -> None:
        self._connection, self._load, self.name, self._workers = connection, load, name, workers
        table = load.layout.table_of(name)
        self._shredder = Shredder(load.layout, table)
        self._key_type = self._shredder.tree.key.type
        self._copies = [copy_rows(layout, load.schema) for layout in self._shredder.layouts]
        self._select_keys = select_keys(self._shredder.layouts[0], load.schema)
        self._read_keys = compile_keys(load.layout, table)
        self._had_duplicates = False

    def load_chunk(self, chunk: Chunk, *, attempts: int) -> CollectionReport:
        """Load a chunk; tried again when the server asks for it."""
        started = perf_counter()
        known = self._find_duplicates(chunk.documents) if self._had_duplicates else set()
        batch = self._shredder.shred(
            [each for i, each in enumerate(chunk.documents) if i not in known]
            if known
            else chunk.documents
        )
        content = _ChunkContent(self.name, chunk, batch)
        for i in sorted(known):
            content.reject_document(*chunk.documents[i], Reason.DUPLICATE_ID, DUPLICATE)
        for _ in range(attempts - 1):
            with suppress(SerializationError):
                return self._write(content, started)
        return self._write(content, started)

    def _find_duplicates(self, documents: list[Document]) -> set[int]:
        """Which documents are known to be duplicates before they are shredded: BSON without a doubt, with a key that the table has.

        Asked where the chunk before had some; the others are found when COPY is refused.
        """
        whole = self._shredder.find_whole([raw for _, raw in documents])
        keys = {
            i: key
            for i, key in zip(whole, self._read_keys([documents[i] for i in whole]), strict=True)
            if key is not None
        }
        seen = find_known(
            self._connection,
            self._select_keys,
            self._key_type,
            [pack_length(len(key)) + key for key in keys.values()],
        )
        found = {
            i
            for i, key in zip(keys, normal_keys(self._key_type, [*keys.values()]), strict=True)
            if key in seen
        }
        self._had_duplicates = bool(found)
        return found

    def _write(self, content: _ChunkContent, started: float) -> CollectionReport:
        while True:
            try:
                with self._connection.transaction():
                    self._copy(content)
                    figures = content.figures(
                        self._shredder, (perf_counter() - started) / self._workers
                    )
                    if content.rejects:
                        ledger.write_rejects(self._connection, self._load, content.rejects)
                    ledger.write_chunk(self._connection, self._load, content.chunk, figures)
                return figures
            except DuplicateKeyError as error:
                if not self._reject_duplicates(content):
                    raise TargetError(f"{self.name}: {error.message}") from error
            except LimitError as error:
                self._reject_oversized(content, error)

    def _copy(self, content: _ChunkContent, only: Collection[int] | None = None) -> None:
        for i, statement in enumerate(self._copies):
            if content.batch.rows[i]:
                self._connection.copy_in(statement, content.rows(i, only))

    def _reject_duplicates(self, content: _ChunkContent) -> bool:
        """Reject at once every document of the chunk whose key the table has, or an earlier document of the chunk; whether there was one."""
        batch, kept = content.batch, content.kept()
        seen = find_known(
            self._connection, self._select_keys, self._key_type, (batch.keys[i] for i in kept)
        )
        before = len(content.gone)
        for i, key in zip(
            kept, normal_keys(self._key_type, [batch.keys[i][4:] for i in kept]), strict=True
        ):
            if key in seen:
                content.reject(i, Reason.DUPLICATE_ID, DUPLICATE)
            seen.add(key)
        self._had_duplicates = len(content.gone) > before
        return self._had_duplicates

    def _reject_oversized(self, content: _ChunkContent, error: LimitError) -> None:
        """Find by halving, in transactions that are rolled back, the documents that the server refuses by themselves."""
        before = len(content.gone)
        pending = [content.kept()]
        while pending:
            part = pending.pop()
            refusal = self._refusal(content, part)
            if refusal is None:
                continue
            if len(part) == 1:
                content.reject(part[0], Reason.SERVER_LIMIT, refusal.message)
            else:
                pending += [part[: len(part) // 2], part[len(part) // 2 :]]
        if len(content.gone) == before:
            raise TargetError(f"{self.name}: {error.message}") from error

    def _refusal(self, content: _ChunkContent, part: list[int]) -> LimitError | None:
        try:
            with self._connection.transaction():
                self._copy(content, only=frozenset(part))
                raise _RollBackError
        except LimitError as error:
            return error
        except (DuplicateKeyError, _RollBackError):
            return None


class _RollBackError(Exception):
    """A trial ends: its transaction is taken back."""


@dataclass
class _ChunkContent:
    """A chunk on its way: its rows, and what of it is rejected. `gone` are positions in the batch."""

    collection: str
    chunk: Chunk
    batch: Batch
    gone: set[int] = field(default_factory=set)
    rejects: list[tuple[Reject, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for misfit in self.batch.misfits:
            self.reject_document(misfit.offset, misfit.raw, misfit.reason, misfit.detail)
        for run in self.chunk.runs:
            detail = f"{count_of(run.size, 'byte')} that cannot be framed as documents"
            self.rejects.append(
                (
                    Reject(
                        self.collection,
                        run.offset,
                        run.size,
                        Reason.NOT_BSON,
                        detail,
                        run.digest.hex(),
                    ),
                    run.raw,
                )
            )

    @cached_property
    def _bytes(self) -> dict[int, bytes]:
        """The documents by their offsets."""
        return dict(self.chunk.documents)

    def reject(self, document: int, reason: Reason, detail: str) -> None:
        """Take a document's rows out of the chunk."""
        self.gone.add(document)
        offset = self.batch.offsets[document]
        self.reject_document(offset, self._bytes[offset], reason, detail)

    def reject_document(self, offset: int, raw: bytes, reason: Reason, detail: str) -> None:
        """Note a reject that has no rows."""
        self.rejects.append(
            (
                Reject(self.collection, offset, len(raw), reason, detail, sha256(raw).hexdigest()),
                raw,
            )
        )

    def kept(self) -> list[int]:
        """The documents whose rows are to be loaded."""
        return [i for i in range(len(self.batch.offsets)) if i not in self.gone]

    def rows(self, table: int, only: Collection[int] | None = None) -> Iterable[bytes]:
        """The rows of one table, of all documents that are kept or of `only` some."""
        rows, owners = self.batch.rows[table], self.batch.owners[table]
        if only is not None:
            return compress(rows, [owner in only for owner in owners])
        return compress(rows, [owner not in self.gone for owner in owners]) if self.gone else rows

    def _values(self, shredder: Shredder, documents: Collection[int]) -> Values:
        """Where the values of some documents stand: they are shredded again."""
        offsets = [self.batch.offsets[i] for i in sorted(documents)]
        return (
            shredder.shred([(offset, self._bytes[offset]) for offset in offsets]).values
            if offsets
            else Values()
        )

    def figures(self, shredder: Shredder, seconds: float) -> CollectionReport:
        """What the ledger says of this chunk."""
        documents, rejected = len(self.chunk.documents) + len(self.chunk.runs), len(self.rejects)
        report = CollectionReport(
            self.collection,
            documents,
            documents - rejected,
            rejected,
            self.chunk.stop - self.chunk.start,
            seconds,
        )
        for i, layout in enumerate(shredder.layouts):
            owners = self.batch.owners[i]
            report.tables[layout.table] = len(owners) - (
                sum(owner in self.gone for owner in owners) if self.gone else 0
            )
        kept = self.kept()
        if 2 * len(kept) >= len(self.batch.offsets):
            report.values.add(self.batch.values)
            report.values.add(self._values(shredder, self.gone), times=-1)
        else:
            report.values.add(self._values(shredder, kept))
        return report
