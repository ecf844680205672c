"""Verify: rows are read back in one snapshot, assembled, and compared with the source's bytes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import islice
from random import SystemRandom

from assise.errors import ChangedError
from assise.manifest.layout import TableLayout
from assise.mongo.opening import rebuild_source
from assise.mongo.source import LiveSource, Source
from assise.postgres.connection import Connection
from assise.postgres.reading import Reading
from assise.progress import Log, OnProgress
from assise.rows.tree import build_tree
from assise.schema.sql import count_orphans, count_rows
from assise.transfer import ledger
from assise.transfer.check import SHOWN, CollectionCheck, Findings
from assise.transfer.digests import read_digests
from assise.transfer.ledger import ChunkLine, Load
from assise.transfer.loaded import find_extra_rows, list_loaded, restart_hint
from assise.transfer.report import Verified
from assise.transfer.workers.pool import Workers
from assise.transfer.workers.session import connect_worker
from assise.transfer.workers.task import Result, Task
from assise.wording import count_of, escape

CHECKS = 100
"""Collections whose checks are kept: chunks of many may come interleaved."""


def verify_source(
    connection: Connection,
    load: Load,
    source: Source,
    workers: Workers,
    *,
    sample: int | None = None,
    log: Log,
    progress: OnProgress,
) -> dict[str, Findings]:
    """Check each collection, or `sample` of its documents drawn at random, and its counts of rows.

    Raises:
        ChangedError: the source has changed since the load, so that there is nothing to compare.
    """
    findings = {name: Findings() for name in load.layout.roots.values()}
    with connection.transaction(isolation="REPEATABLE READ"):
        workers.begin(VerifyWork(connection, load, source, workers=workers.count))
        reading = Reading(connection, sessions=workers.count + 1)
        finished = ledger.list_finished(connection, load)
        lines = {name: finished.get(name, []) for name in findings}
        is_read = workers.count == 1 and sample is None
        tasks = list_loaded(load, source, lines, is_read=is_read)
        if sample is not None:
            tasks = _draw(tasks, lines, sample)
        for task, result in workers.run(tasks):
            name, of_collection = task.collection.name, findings[task.collection.name]
            verified = of_collection.verified
            if task.is_end:
                is_sample = sample is not None
                layouts = build_tree(load.layout, load.layout.table_of(name)).layouts
                reading.open(len(layouts))
                of_collection.problems += task.problems
                if isinstance(source, LiveSource) and not is_sample:
                    of_collection.since.added += source.count_outside(name)
                if of_collection.gone:
                    check = CollectionCheck(connection, load, name)
                    of_collection.add(check.check_gone(of_collection.gone))
                for line in _count_rows(
                    connection,
                    load,
                    source,
                    name,
                    verified=verified,
                    layouts=layouts,
                    is_sample=is_sample,
                ):
                    of_collection.say(line)
                log(f"{escape(name)}: {count_of(verified.equal, 'document')} equal")
                if str(of_collection.since):
                    log(f"{escape(name)}: {of_collection.since}")
            else:
                of_collection.add(Findings.from_json(result))
                checked = verified.equal + verified.different + verified.missing
                progress(task.progress("verify", checked))
    return findings


def _draw(
    tasks: Iterator[Task], lines: Mapping[str, list[ChunkLine]], count: int
) -> Iterator[Task]:
    """Draw `count` documents of all that were loaded of each collection.

    Yields the chunks that have some of them, each with their number as its sample.
    """
    numbers, firsts = dict[str, list[int]](), dict.fromkeys(lines, 0)
    for name, of_name in lines.items():
        loaded = sum(line.figures.loaded for line in of_name)
        numbers[name] = sorted(SystemRandom().sample(range(loaded), min(count, loaded)))
    for task in tasks:
        name = task.collection.name
        first = firsts[name]
        last = firsts[name] = first + (task.recorded.loaded if task.recorded else 0)
        drawn = bisect_left(numbers[name], last) - bisect_left(numbers[name], first)
        if drawn or not task.recorded:
            yield replace(task, sample=drawn)


class VerifyWork:
    """Verifies chunks, in the transaction that the connection is in; `workers` at the same time."""

    def __init__(
        self, connection: Connection, load: Load, source: Source, *, workers: int = 1
    ) -> None:
        self._connection, self._load, self._source = connection, load, source
        self._workers = workers
        self._check = lru_cache(CHECKS)(lambda name: CollectionCheck(connection, load, name))
        self._opened = ""

    def describe(self) -> Result:
        """Name the work, the load, and the snapshot that all workers read in."""
        snapshot = self._connection.scalar(ledger.QUERIES["snapshot"])
        facts = ledger.describe_load(self._connection, self._load)
        facts |= {"source": self._source.describe(), "workers": self._workers}
        return {"work": "verify", "snapshot": snapshot, **facts}

    @cached_property
    def _reading(self) -> Reading:
        # Made with the first task: a snapshot cannot be exported behind a savepoint.
        return Reading(self._connection, sessions=self._workers + 1)

    def cancel(self) -> None:
        """Cancel the statement that runs."""
        self._connection.cancel()

    def run_all(self, tasks: Sequence[Task]) -> list[Result]:
        """Do chunk after chunk."""
        return [self.run(task) for task in tasks]

    def run(self, task: Task) -> Result:
        """Check a chunk and return the findings, as `Findings.from_json` takes them."""
        hint, name = restart_hint(self._load), task.collection.name
        if task.recorded is not None and isinstance(self._source, LiveSource):
            chunks = self._source.read_parts(name, task.start, task.stop)
            digests = next(read_digests(self._connection, self._load, name, task.start), {})
            return self._open(name).check_live(chunks, digests, sample=task.sample).as_json()
        chunk = task.read(self._source, hint)
        if task.recorded is None:
            changed = f"has changed since it was loaded, after byte {chunk.start:,}"
            raise ChangedError(f"{task.collection.place} {changed}", remedy=hint)
        check = self._open(name)
        return check.check_chunk(chunk, task.recorded.loaded, sample=task.sample).as_json()

    def _open(self, name: str) -> CollectionCheck:
        check = self._check(name)
        if name != self._opened:
            self._reading.open(len(check.layouts))
            self._opened = name
        return check


def make_work(description: Result, session: ExitStack) -> VerifyWork:
    """Make the work of a worker process anew."""
    connection, load = connect_worker(description, session)
    connection.begin_at(description["snapshot"])
    source = rebuild_source(description["source"])
    return VerifyWork(connection, load, source, workers=description["workers"])


def _count_rows(
    connection: Connection,
    load: Load,
    source: Source,
    name: str,
    *,
    verified: Verified,
    layouts: Sequence[TableLayout],
    is_sample: bool,
) -> list[str]:
    """Count the rows of a collection's tables, and add those that come from no document.

    Returns the first of these rows in words.
    """
    lines = list[str]()
    root, *children = layouts
    expected = verified.equal + verified.different
    if is_sample:
        expected = ledger.sum_chunks(connection, load, name).loaded
    extra = _int(connection.scalar(count_rows(root.table, load.schema))) - expected
    if extra < 0 or (is_sample and extra):
        comparison = "more" if extra > 0 else "fewer"
        surplus = f"{count_of(abs(extra), 'row')} {comparison}"
        lines.append(f"{escape(name)}: {root.table} has {surplus} than documents were loaded")
        verified.missing = max(verified.missing, -extra)
    elif extra:
        with closing(find_extra_rows(connection, load, source, name)) as rows:
            for row in islice(rows, SHOWN):
                lines.append(
                    f"{escape(name)}: row {row.text} of {root.table} comes from no document"
                )
    verified.extra += max(0, extra)
    for child in children:
        orphans = _int(connection.scalar(count_orphans(child, root, schema=load.schema)))
        if orphans:
            documents = count_of(orphans, "document")
            rows_of = f"rows of {documents} in {child.table}"
            lines.append(f"{escape(name)}: {rows_of} have no row in {root.table}")
        verified.extra += orphans
    return lines


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
