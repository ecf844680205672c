"""Verify: rows are read back in one snapshot, assembled, and compared with the source's bytes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from itertools import chain, islice
from random import SystemRandom

from assise.errors import ChangedError
from assise.manifest.layout import TableLayout
from assise.mongo.dump import Collection, Dump
from assise.postgres.connection import Connection
from assise.postgres.reading import Reading
from assise.progress import Log, OnProgress
from assise.rows.tree import build_tree
from assise.schema.sql import count_orphans, count_rows
from assise.transfer import ledger
from assise.transfer.check import SHOWN, CollectionCheck, Findings
from assise.transfer.ledger import ChunkLine, Load
from assise.transfer.loaded import find_extra_rows, list_loaded, restart_hint
from assise.transfer.report import Verified
from assise.transfer.workers.pool import Workers
from assise.transfer.workers.task import Result, Task
from assise.wording import count_of


def verify_dump(
    connection: Connection,
    load: Load,
    dump: Dump,
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
        workers.begin(VerifyWork(connection, load, workers=workers.count))
        reading = Reading(connection, sessions=workers.count + 1)
        is_read = workers.count == 1
        finished = ledger.list_finished(connection, load)
        tasks = [
            _list_tasks(
                load, dump.collection(name), finished.get(name, []), sample, is_read=is_read
            )
            for name in findings
        ]
        for task, result in workers.run(chain.from_iterable(tasks)):
            name, of_collection = task.collection.name, findings[task.collection.name]
            verified = of_collection.verified
            if task.is_end:
                is_sample = sample is not None
                layouts = build_tree(load.layout, load.layout.table_of(name)).layouts
                reading.open(len(layouts))
                for line in _count_rows(
                    connection,
                    load,
                    task.collection,
                    verified,
                    layouts=layouts,
                    is_sample=is_sample,
                ):
                    of_collection.say(line)
                log(f"{name}: {count_of(verified.equal, 'document')} equal")
            else:
                of_collection.add(Findings.from_json(result))
                checked = verified.equal + verified.different + verified.missing
                progress(task.progress("verify", checked))
    return findings


def _list_tasks(
    load: Load,
    collection: Collection,
    lines: list[ChunkLine],
    sample: int | None,
    *,
    is_read: bool,
) -> Iterator[Task]:
    if sample is None:
        return list_loaded(load, collection, lines, is_read=is_read)
    loaded = sum(line.figures.loaded for line in lines)
    return _draw(list_loaded(load, collection, lines, is_read=False), loaded, sample)


def _draw(tasks: Iterator[Task], loaded: int, count: int) -> Iterator[Task]:
    """Draw `count` documents of all that were loaded.

    Yields the chunks that have some of them, each with their number as its sample.
    """
    numbers = sorted(SystemRandom().sample(range(loaded), min(count, loaded)))
    first = 0
    for task in tasks:
        last = first + (task.recorded.loaded if task.recorded else 0)
        drawn = bisect_left(numbers, last) - bisect_left(numbers, first)
        if drawn or not task.recorded:
            yield replace(task, sample=drawn)
        first = last


class VerifyWork:
    """Verifies chunks, in the transaction that the connection is in; `workers` at the same time."""

    def __init__(self, connection: Connection, load: Load, *, workers: int = 1) -> None:
        self._connection, self._load, self._workers = connection, load, workers
        self._check: CollectionCheck | None = None

    def describe(self) -> Result:
        """Name the work, the load, and the snapshot that all workers read in."""
        snapshot = self._connection.scalar(ledger.QUERIES["snapshot"])
        facts = ledger.describe_load(self._connection, self._load)
        return {"work": "verify", "snapshot": snapshot, "workers": self._workers, **facts}

    @cached_property
    def _reading(self) -> Reading:
        # Made with the first task: a snapshot cannot be exported behind a savepoint.
        return Reading(self._connection, sessions=self._workers + 1)

    def run_all(self, tasks: Sequence[Task]) -> list[Result]:
        """Do chunk after chunk."""
        return [self.run(task) for task in tasks]

    def run(self, task: Task) -> Result:
        """Check a chunk and return the findings, as `Findings.from_json` takes them."""
        hint = restart_hint(self._load)
        chunk = task.read(hint)
        if task.recorded is None:
            changed = f"has changed since it was loaded, after byte {chunk.start:,}"
            raise ChangedError(f"{task.collection.file} {changed}", remedy=hint)
        name = task.collection.name
        if self._check is None or self._check.name != name:
            self._check = CollectionCheck(self._connection, self._load, name)
            self._reading.open(len(self._check.layouts))
        return self._check.check_chunk(chunk, task.recorded.loaded, sample=task.sample).as_json()


def _count_rows(
    connection: Connection,
    load: Load,
    collection: Collection,
    verified: Verified,
    *,
    layouts: Sequence[TableLayout],
    is_sample: bool,
) -> list[str]:
    """Count the rows of a collection's tables, and add those that come from no document.

    Returns the first of these rows in words.
    """
    name, lines = collection.name, list[str]()
    root, *children = layouts
    expected = verified.equal + verified.different
    if is_sample:
        expected = ledger.sum_chunks(connection, load, name).loaded
    extra = _int(connection.scalar(count_rows(root, load.schema))) - expected
    if extra < 0 or (is_sample and extra):
        comparison = "more" if extra > 0 else "fewer"
        surplus = f"{count_of(abs(extra), 'row')} {comparison}"
        lines.append(f"{name}: {root.table} has {surplus} than documents were loaded")
        verified.missing = max(verified.missing, -extra)
    elif extra:
        with closing(find_extra_rows(connection, load, collection)) as rows:
            for row in islice(rows, SHOWN):
                lines.append(f"{name}: row {row.text} of {root.table} comes from no document")
    verified.extra += max(0, extra)
    for child in children:
        orphans = _int(connection.scalar(count_orphans(child, root, schema=load.schema)))
        if orphans:
            documents = count_of(orphans, "document")
            rows_of = f"rows of {documents} in {child.table}"
            lines.append(f"{name}: {rows_of} have no row in {root.table}")
        verified.extra += orphans
    return lines


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
