"""Load: chunk by chunk, each in one transaction for its rows and for its line in the ledger.

A killed load loses nothing and doubles nothing: a chunk is in the ledger with all its rows, or it
was never there. Chunks do not wait for the disk, but the line that says that the load is finished
does, and all of them with it.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import compress
from time import perf_counter

from assise.errors import (
    ChangedError,
    DuplicateKeyError,
    LimitError,
    SerializationError,
    TargetError,
)
from assise.mongo.buckets import INDEX_BITS
from assise.mongo.chunks import Chunk
from assise.mongo.opening import rebuild_source
from assise.mongo.source import LargeChunkError, LiveSource, Source
from assise.postgres.connection import Connection, execute_all
from assise.postgres.server import count_tables_at_once
from assise.progress import Log, OnProgress
from assise.rows.keys import compile_keys, normal_keys
from assise.rows.model import Batch, Document, JoinedRows, Reason
from assise.rows.shred import Shredder
from assise.rows.weave import Weaver
from assise.schema.sql import (
    add_foreign_keys,
    all_layouts,
    copy_rows,
    quote_table,
    select_keys,
    validate_constraint,
)
from assise.transfer import ledger
from assise.transfer.digests import pack_digests
from assise.transfer.kept_rejects import Reject, write_rejects
from assise.transfer.ledger import ChunkLine, Load
from assise.transfer.loaded import find_existing_keys, record_chunks
from assise.transfer.report import CollectionReport, describe_guesses
from assise.transfer.workers.pool import Workers
from assise.transfer.workers.session import connect_worker
from assise.transfer.workers.task import Recorded, Result, Task, check_bounds, list_tasks
from assise.types.wire import Cell, strip_lengths
from assise.wording import count_of, escape

DUPLICATE = "a document with the same _id is loaded already"

KEYS_AT_ONCE = 100
"""Foreign keys that are added in one transaction."""

TABLES_AT_ONCE = 20
"""Tables whose statistics one statement collects, each in a transaction of its own."""

REJECTS_AT_ONCE = 1_000
"""Rejects of small chunks that wait to be written together, at most."""

LOADERS = 100
"""Collections whose loaders are kept."""

ATTEMPTS = 3
"""How often a chunk is tried when the server asks for another try; the last time alone."""


def list_measured(connection: Connection, load: Load, source: Source) -> dict[str, list[ChunkLine]]:
    """The finished chunks of all collections, with bytes of the source.

    The bounds of measurements are those of their buckets, times 2^20.
    """
    finished = ledger.list_finished(connection, load)
    for collection in filter(lambda each: each.is_measured, source.collections):
        for line in finished.get(collection.name, ()):
            line.figures.bytes >>= INDEX_BITS
    return finished


def load_source(
    connection: Connection,
    load: Load,
    source: Source,
    workers: Workers,
    *,
    log: Log,
    progress: OnProgress,
) -> list[CollectionReport]:
    """Load what is not loaded yet, then add foreign keys and statistics.

    Returns the figures of everything that is loaded.

    Raises:
        ChangedError: a part of the source that was loaded reads differently now.
        SourceError, TargetError, WorkerError: reading or writing failed; the same call continues
            where it stopped.
    """
    reports = {
        name: CollectionReport(name, tables=dict.fromkeys(load.layout.tree(root), 0))
        for root, name in load.layout.roots.items()
    }
    lines: dict[str, dict[int, ChunkLine]] = {}
    finished = list_measured(connection, load, source)
    for name in reports:
        lines[name] = {line.start: line for line in finished.get(name, ())}
    work = LoadWork(connection, load, source, workers=workers.count)
    workers.begin(work)
    recorded = {name: record_chunks(of_name.values()) for name, of_name in lines.items()}
    tasks: Iterable[Task] = _list_tasks(load, source, recorded, is_read=workers.count == 1)
    again, large = list[Task](), list[Task]()
    while tasks:
        for task, result in workers.run(tasks, bundle_bytes=load.chunk_bytes):
            report = reports[task.collection.name]
            if task.is_end:
                report.problems += task.problems
                documents = count_of(report.documents, "document")
                log(f"{escape(report.name)}: {documents}, {report.rejected:,} rejected")
                for told in describe_guesses(report.name, report.guesses):
                    log(told)
            elif "again" in result:
                again.append(replace(task, is_last_try=True))
            elif "large" in result:
                large.append(task)
            else:
                is_known = task.recorded is not None
                line = lines[report.name].get(task.start)
                report.add(line.figures if line else CollectionReport.from_json(result))
                progress(task.progress("load", report.documents, is_known=is_known))
        tasks = [*_split_large(connection, load, source, large)]
        large.clear()
        if tasks:
            workers.begin(work)
    for task in again:
        for _, result in workers.run([task]):
            reports[task.collection.name].add(CollectionReport.from_json(result))
    workers.rest()
    if not load.is_finished:
        _add_keys(connection, load, workers.count)
        ledger.finish(connection, load)
    return list(reports.values())


def _split_large(
    connection: Connection, load: Load, source: Source, tasks: Sequence[Task]
) -> Iterator[Task]:
    """Yield smaller chunks in the place of those of a live source that have grown."""
    if not isinstance(source, LiveSource):
        return
    for task in tasks:
        survey = source.split(task.collection.name, task.start, task.stop)
        ledger.update_survey(connection, load, survey)
    for task in tasks:
        for piece in source.list_bounds([task.collection.name], load.chunk_bytes):
            if task.start <= piece.start < piece.stop <= task.stop:
                yield replace(task, start=piece.start, stop=piece.stop)


def _list_tasks(load: Load, source: Source, recorded: Recorded, *, is_read: bool) -> Iterator[Task]:
    hint, size = ledger.restart_hint(load), load.chunk_bytes
    if not load.is_finished:
        check_bounds(source, size, recorded, restart_hint=hint)
    for task in list_tasks(source, size, recorded, is_read=is_read, restart_hint=hint):
        if load.is_finished and not task.recorded and not task.is_end:
            grown = f"has grown after byte {task.start:,}: it has changed since it was loaded"
            raise ChangedError(f"{task.collection.place} {grown}", remedy=hint)
        yield task


def _add_keys(connection: Connection, load: Load, workers: int) -> None:
    """Add foreign keys, then statistics.

    All keys are added first, which reads no rows; then their rows are checked, several keys at the
    same time. What an earlier run has added or checked is left out.
    """
    statements = add_foreign_keys(load.layout, load.schema)
    names = [quote_table(load.schema, table) for table, _ in statements]
    has_key = ledger.list_foreign_keys(connection, names)
    missing = [f"{text} NOT VALID" for n, (_, text) in enumerate(statements) if n not in has_key]
    for group in _split(missing, min(KEYS_AT_ONCE, count_tables_at_once(connection))):
        connection.execute(";\n".join(group))
    to_validate = [
        validate_constraint(statements[n][0], name, schema=load.schema)
        for n, (name, is_valid) in ledger.list_foreign_keys(connection, names).items()
        if not is_valid
    ]
    execute_all(connection, to_validate, workers=workers)
    tables = [quote_table(load.schema, layout.table) for layout in all_layouts(load.layout)]
    groups = _split(tables, max(1, min(TABLES_AT_ONCE, len(tables) // workers)))
    execute_all(connection, [f"ANALYZE {', '.join(group)}" for group in groups], workers=workers)


def _split(texts: list[str], size: int) -> list[list[str]]:
    return [texts[i : i + size] for i in range(0, len(texts), size)]


class LoadWork:
    """Loads chunks; `workers` do so at the same time."""

    def __init__(
        self, connection: Connection, load: Load, source: Source, *, workers: int = 1
    ) -> None:
        self._connection, self._load, self._workers = connection, load, workers
        self._source = source
        # Chunks of many collections may come interleaved, and what a loader has learnt is costly.
        self._loader = lru_cache(LOADERS)(
            lambda name: _CollectionLoader(connection, load, name, workers)
        )

    def describe(self) -> Result:
        """Name the work, the load, and the session whose load it is."""
        return {
            "work": "load",
            "workers": self._workers,
            "leader": self._connection.pid,
            "source": self._source.describe(),
            **ledger.describe_load(self._connection, self._load),
        }

    def cancel(self) -> None:
        """Cancel the statement that runs."""
        self._connection.cancel()

    def run(self, task: Task) -> Result:
        """Load a chunk and return its figures; nothing of one that is loaded already.

        Returns `again` when the chunk is to be tried once more, alone.
        """
        try:
            chunk = task.read(self._source, ledger.restart_hint(self._load))
        except LargeChunkError:
            return {"large": True}
        if task.recorded:
            return {}
        loader = self._loader(task.collection.name)
        try:
            return loader.load_chunk(chunk, attempts=self._attempts(task)).as_json()
        except SerializationError:
            if self._workers == 1 or task.is_last_try:
                raise
            return {"again": True}

    def run_all(self, tasks: Sequence[Task]) -> list[Result]:
        """Load small chunks in few transactions; where the server refuses one, one by one."""
        return [result for group in self._split(tasks) for result in self._run_group(group)]

    def _run_group(self, tasks: Sequence[Task]) -> list[Result]:
        if all(task.recorded is None and not task.is_last_try for task in tasks):
            with suppress(SerializationError, DuplicateKeyError, LimitError, LargeChunkError):
                return self._load_together(tasks)
        return [self.run(task) for task in tasks]

    def _split(self, tasks: Sequence[Task]) -> Iterator[list[Task]]:
        """Yield tasks together whose tables have no more locks than the server gives."""
        group, tables, layout = list[Task](), 0, self._load.layout
        for task in tasks:
            count = len(layout.tree(layout.table_of(task.collection.name)))
            tables += count
            if group and tables > self._tables_at_once:
                yield group
                group, tables = [], count
            group.append(task)
        yield group

    @cached_property
    def _tables_at_once(self) -> int:
        return count_tables_at_once(self._connection) // self._workers

    def _load_together(self, tasks: Sequence[Task]) -> list[Result]:
        hint = ledger.restart_hint(self._load)
        lines, rejects = list[ledger.ChunkFigures](), list[tuple[Reject, bytes]]()
        with self._connection.transaction(is_durable=False):
            for task in tasks:
                chunk = task.read(self._source, hint)
                line, rejected = self._loader(task.collection.name).copy_chunk(chunk)
                # What is written already is not kept: of very short texts there are very many.
                bare = replace(chunk, hashed=chunk.digest, documents=[], runs=[])
                lines.append(line._replace(chunk=bare))
                rejects += rejected
                if len(rejects) > REJECTS_AT_ONCE:
                    write_rejects(self._connection, self._load, rejects)
                    rejects.clear()
            if rejects:
                write_rejects(self._connection, self._load, rejects)
            ledger.write_chunks(self._connection, self._load, lines)
        return [line.figures.as_json() for line in lines]

    def _attempts(self, task: Task) -> int:
        """How often to try a chunk now. With several workers the last try comes when all rest."""
        if self._workers == 1:
            return ATTEMPTS
        return 1 if task.is_last_try else ATTEMPTS - 1


def make_work(description: Result, session: ExitStack) -> LoadWork:
    """Make the work of a worker process anew."""
    connection, load = connect_worker(description, session)
    ledger.join(connection, load.name, description["leader"])
    source = rebuild_source(description["source"])
    return LoadWork(connection, load, source, workers=description["workers"])


class _CollectionLoader:
    """Loads the chunks of one collection."""

    def __init__(self, connection: Connection, load: Load, name: str, workers: int) -> None:
        self._connection, self._load, self.name, self._workers = connection, load, name, workers
        table = load.layout.table_of(name)
        self._shredder = Shredder(load.layout, table)
        self._key_type = self._shredder.tree.key.type
        layouts, woven = self._shredder.layouts, load.woven
        self._weaver = Weaver(layouts, woven)
        self._copies = [copy_rows(layout, load.schema) for layout in layouts]
        self._woven_copies = [
            copy_rows(layout, load.schema, more=woven.get(layout.table, ())) for layout in layouts
        ]
        self._select_keys = select_keys(self._shredder.layouts[0], load.schema)
        self._read_keys = compile_keys(load.layout, table)
        self._had_duplicates = False

    def load_chunk(self, chunk: Chunk, *, attempts: int) -> CollectionReport:
        """Load a chunk; it is tried again when the server asks for it."""
        started, documents = perf_counter(), chunk.documents
        duplicates = self._find_duplicates(documents) if self._had_duplicates else set()
        if duplicates:
            documents = [each for i, each in enumerate(documents) if i not in duplicates]
        content = self._shred(chunk, documents)
        for i in sorted(duplicates):
            offset, raw = chunk.documents[i]
            content.reject_document(offset, raw, Reason.DUPLICATE_ID, DUPLICATE)
        for _ in range(attempts - 1):
            with suppress(SerializationError):
                return self._write(content, started)
        return self._write(content, started)

    def copy_chunk(self, chunk: Chunk) -> tuple[ledger.ChunkFigures, list[tuple[Reject, bytes]]]:
        """Copy the rows of a chunk in the caller's transaction; its figures and its rejects."""
        started = perf_counter()
        content = self._shred(chunk, chunk.documents)
        self._copy(content)
        seconds = (perf_counter() - started) / self._workers
        figures = content.figures(self._shredder, seconds)
        return ledger.ChunkFigures(chunk, figures, self._digest(content)), content.rejects

    def _shred(self, chunk: Chunk, documents: Sequence[Document]) -> _ChunkContent:
        batch = self._shredder.shred(documents)
        return _ChunkContent(self.name, chunk, batch, self._weaver.weave(batch))

    def _digest(self, content: _ChunkContent) -> bytes | None:
        """Return the digests of the documents that are loaded, if the source is a live one."""
        if not self._load.is_live:
            return None
        keys, documents = content.loaded()
        return pack_digests(keys, documents)

    def _find_duplicates(self, documents: Sequence[Document]) -> set[int]:
        """Return the positions of documents that are duplicates, before they are shredded.

        They are BSON without a doubt, with a key that the table has. This is asked after a chunk
        that had some; the others are found when COPY is refused.
        """
        whole = self._shredder.find_whole([raw for _, raw in documents])
        whole_keys = self._read_keys([documents[i] for i in whole])
        keys = {i: key for i, key in zip(whole, whole_keys, strict=True) if key is not None}
        existing = self._find_existing(keys.values())
        normal = normal_keys(self._key_type, [*keys.values()])
        duplicates = {i for i, key in zip(keys, normal, strict=True) if key in existing}
        self._had_duplicates = bool(duplicates)
        return duplicates

    def _find_existing(self, keys: Iterable[Cell]) -> set[Hashable]:
        return find_existing_keys(self._connection, self._select_keys, self._key_type, keys)

    def _write(self, content: _ChunkContent, started: float) -> CollectionReport:
        while True:
            try:
                with self._connection.transaction(is_durable=False):
                    self._copy(content)
                    seconds = (perf_counter() - started) / self._workers
                    figures = content.figures(self._shredder, seconds)
                    if content.rejects:
                        write_rejects(self._connection, self._load, content.rejects)
                    line = ledger.ChunkFigures(content.chunk, figures, self._digest(content))
                    ledger.write_chunks(self._connection, self._load, [line])
                return figures
            except DuplicateKeyError as error:
                if not self._reject_duplicates(content):
                    raise TargetError(f"{self.name}: {error.message}") from error
            except LimitError as error:
                # No document is refused for what is ours.
                if not content.unweave():
                    self._reject_oversized(content, error)

    def _copy(self, content: _ChunkContent, only: Collection[int] | None = None) -> None:
        for i, plain in enumerate(self._copies):
            if content.batch.rows[i]:
                statement = self._woven_copies[i] if i in content.woven else plain
                self._connection.copy_in(statement, content.rows(i, only))

    def _reject_duplicates(self, content: _ChunkContent) -> bool:
        """Reject every document whose key the table has, or an earlier document of the chunk.

        Returns whether there was one.
        """
        batch, kept = content.batch, content.kept()
        cells = strip_lengths(batch.keys[i] for i in kept)
        seen = self._find_existing(cells)
        before = len(content.gone)
        keys = normal_keys(self._key_type, cells)
        for i, key in zip(kept, keys, strict=True):
            if key in seen:
                content.reject(i, Reason.DUPLICATE_ID, DUPLICATE)
            seen.add(key)
        self._had_duplicates = len(content.gone) > before
        return self._had_duplicates

    def _reject_oversized(self, content: _ChunkContent, error: LimitError) -> None:
        """Reject the documents that the server refuses one by one.

        They are found by halving, in transactions that are rolled back.
        """
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
                middle = len(part) // 2
                pending += [part[:middle], part[middle:]]
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


def _tell_unframed(size: int) -> str:
    return f"{count_of(size, 'byte')} that cannot be framed as documents"


class _RollBackError(Exception):
    """The end of a trial: its transaction is rolled back."""


@dataclass
class _ChunkContent:
    """The rows of a chunk and its rejects; `gone` has the rejected positions in `batch`.

    `woven` has the rows of tables that are loaded in place of those in `batch`.
    """

    collection: str
    chunk: Chunk
    batch: Batch
    woven: dict[int, JoinedRows]
    gone: set[int] = field(default_factory=set)
    rejects: list[tuple[Reject, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for rejected in self.batch.rejected:
            self.reject_document(rejected.offset, rejected.raw, rejected.reason, rejected.detail)
        for run in self.chunk.runs:
            detail = run.detail or _tell_unframed(run.size)
            digest = run.digest.hex()
            reject = Reject(self.collection, run.offset, run.size, Reason.NOT_BSON, detail, digest)
            self.rejects.append((reject, run.raw))

    @cached_property
    def _bytes(self) -> dict[int, bytes]:
        """The documents by their offsets."""
        return dict(self.chunk.documents)

    def unweave(self) -> bool:
        """Let the rows be loaded without columns of ours; whether some had them."""
        had, self.woven = bool(self.woven), {}
        return had

    def reject(self, document: int, reason: Reason, detail: str) -> None:
        """Reject a document that has rows in the batch: they are not loaded."""
        self.gone.add(document)
        offset = self.batch.offsets[document]
        self.reject_document(offset, self._bytes[offset], reason, detail)

    def reject_document(self, offset: int, raw: bytes, reason: Reason, detail: str) -> None:
        """Reject a document that has no rows in the batch."""
        digest = sha256(raw).hexdigest()
        reject = Reject(self.collection, offset, len(raw), reason, detail, digest)
        self.rejects.append((reject, raw))

    def kept(self) -> list[int]:
        """Return the positions of the documents whose rows are to be loaded."""
        return [i for i in range(len(self.batch.offsets)) if i not in self.gone]

    def loaded(self) -> tuple[list[Cell], list[bytes]]:
        """Return the keys of the documents whose rows are loaded, and their bytes."""
        if not self.rejects:
            return strip_lengths(self.batch.keys), [raw for _, raw in self.chunk.documents]
        kept = self.kept()
        keys = strip_lengths(self.batch.keys[i] for i in kept)
        return keys, [self._bytes[self.batch.offsets[i]] for i in kept]

    def rows(self, table: int, only: Collection[int] | None = None) -> Iterable[bytes]:
        """Return the rows of one table, of all documents that are kept or of `only` some."""
        rows, owners = self.woven.get(table, self.batch.rows[table]), self.batch.owners[table]
        if only is not None:
            return compress(rows, [owner in only for owner in owners])
        if not self.gone:
            return rows.joined()
        return compress(rows, [owner not in self.gone for owner in owners])

    def figures(self, shredder: Shredder, seconds: float) -> CollectionReport:
        """Return what the ledger says of this chunk."""
        chunk, rejected = self.chunk, len(self.rejects)
        documents = len(chunk.documents) + len(chunk.runs)
        loaded = documents - rejected
        size = chunk.stop - chunk.start if chunk.size is None else chunk.size
        report = CollectionReport(self.collection, documents, loaded, rejected, size, seconds)
        for i, layout in enumerate(shredder.layouts):
            owners = self.batch.owners[i]
            left_out = sum(owner in self.gone for owner in owners) if self.gone else 0
            report.tables[layout.table] = len(owners) - left_out
        report.values.add(self.batch.values)
        report.columns.add(self.batch.columns)
        gone = {i: self._bytes[self.batch.offsets[i]] for i in self.gone}
        if gone:
            values, columns = shredder.count_values(self.batch, gone)
            report.values.add(values, times=-1)
            report.columns.add(columns, times=-1)
        report.guesses = dict(chunk.guesses)
        return report
