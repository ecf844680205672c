"""Repair: documents whose rows are not what the source says get them again.

Everything is written in one transaction, and nothing else is.
"""

from __future__ import annotations

import shlex
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, compress, islice
from typing import Literal, NamedTuple

from assise.errors import (
    BusyError,
    DependentError,
    DuplicateKeyError,
    EditedError,
    TargetError,
    UsageError,
)
from assise.manifest.layout import TableLayout
from assise.mongo.source import LiveSource, Source
from assise.postgres.connection import Connection
from assise.rows.keys import compile_keys
from assise.rows.model import Document
from assise.rows.shred import Shredder
from assise.schema.objects import Object
from assise.schema.sql import quote, quote_table
from assise.schema.stage import SHOWN_CHARACTERS, Stage, lock_writers
from assise.transfer import ledger
from assise.transfer.amend import NullAgain
from assise.transfer.check import Findings
from assise.transfer.digests import (
    hash_key,
    pack_digests,
    read_number,
    renew_digests,
    split_digests,
)
from assise.transfer.ledger import QUERIES, Load
from assise.transfer.loaded import find_extra_rows, list_loaded
from assise.transfer.objects import lift_foreign_keys
from assise.transfer.report import Report
from assise.types.wire import Cell, add_length, write_row
from assise.wording import count_of, nearest
from assise.workspace import CONFIRM

SHOWN = 20
"""Changes of each kind of one table that are put into words."""

PATIENCE = "10s"
"""How long to wait for sessions that write."""

ACTIONS = {"c", "n", "d"}
"""CASCADE, SET NULL, SET DEFAULT (pg_constraint): foreign keys that change the rows referring."""

KEYS = 5000
"""Keys of extra rows that are staged at a time."""

_Renewed = dict[int, dict[bytes, bytes]]
"""Digests of documents of a live collection that are written again, by starts of chunks."""


class Change(NamedTuple):
    """A value that changes, or a row that is written or removed, with its key as text.

    A value has its column, what it is now, and what the source has.
    """

    table: str
    key: str
    how: Literal["changed", "missing", "extra"]
    column: str | None = None
    now: str | None = None
    source: str | None = None

    def __str__(self) -> str:
        row = f"{self.table} {repr(self.key)[1:-1]}"
        if self.how == "changed":
            now, source = _show(self.now), _show(self.source)
            return f"{row}: {self.column} is {now}, in the source {source}"
        return f"{row}: {'is missing' if self.how == 'missing' else 'is not in the source'}"


@dataclass(frozen=True)
class RepairedTable:
    """Counts of a table's rows: `written` as the source has them, and `removed`.

    `edited` of the rows written were changed since the load; `removed` are not in the source.
    """

    name: str
    written: int
    removed: int
    edited: int

    @property
    def lost(self) -> list[str]:
        """The rows of the table that are discarded, in words."""
        counts = [
            (self.edited, "changed since the load"),
            (self.removed, "that the source has not"),
        ]
        return [f"{count_of(number, 'row')} {words}" for number, words in counts if number]


@dataclass
class Repair:
    """The rows that a repair writes and removes, or has written and removed if it is done.

    `changes` are the first of each table. `report` is that of a verification, afterwards if the
    repair is done.
    """

    target: str
    report: Report
    tables: list[RepairedTable] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    is_done: bool = False

    def as_json(self) -> dict[str, object]:
        """Return what `--json` prints."""
        tables = [vars(table) for table in self.tables]
        changes = [change._asdict() for change in self.changes]
        repair = {"tables": tables, "mends": changes, "is_done": self.is_done}
        return {**self.report.as_json(), "repair": repair}

    @property
    def lines(self) -> list[str]:
        """The changes in words."""
        counts = Counter((change.table, change.how) for change in self.changes)
        is_cut = SHOWN in counts.values()
        more = [f"… the first {SHOWN} of each kind are shown"] if is_cut else []
        return [*map(str, self.changes), *more]

    def describe(self) -> str:
        """Return the changes and the counts of each table, as a text to confirm."""
        sums = []
        for table in self.tables:
            written = count_of(table.written, "row")
            sums.append(f"{table.name} ({written} written, {table.removed:,} removed)")
        return "\n".join([*self.lines, f"{self.target}: repairs {', '.join(sums)}"])

    def check(self, replace: Collection[str]) -> None:
        """Check that only rows of the tables in `replace` would be discarded.

        Raises:
            UsageError: `replace` names a table that would not be repaired.
            EditedError: rows of other tables would be discarded.
        """
        names = [table.name for table in self.tables]
        for name in replace:
            if name not in names:
                raise UsageError(
                    f"{name!r} is not a table that needs repair", remedy=nearest(name, names)
                )
        lost = [table for table in self.tables if table.lost and table.name not in replace]
        if lost:
            lines = "; ".join(f"{table.name}: {', '.join(table.lost)}" for table in lost)
            names = [f"--replace {shlex.quote(table.name)}" for table in lost]
            raise EditedError(
                f"nothing was repaired, because that would discard edits: {lines}",
                remedy=f"`--dry-run` shows it. To discard it, name each table: `{' '.join(names)}`",
            )


def repair_load(
    connection: Connection,
    load: Load,
    source: Source,
    findings: Mapping[str, Findings],
    *,
    objects: Sequence[Object],
    report: Report,
    replace: Collection[str],
    confirm: Callable[[str], bool] | None,
) -> Repair:
    """Write what verify found wrong as the source has it, whole or not at all.

    Without `confirm` nothing is written, and the result says what would be.

    Raises:
        EditedError: rows were changed since the load, or come from no document, and `replace`
            does not name their tables.
        UsageError: the changes were not confirmed.
        DependentError: removing a row would change rows of other tables.
        TargetError: another session uses the tables.
    """
    try:
        with connection.transaction():
            stages: list[Stage] = []
            renewed = dict[str, _Renewed]()
            for name, each in findings.items():
                if each.wrong or each.verified.extra:
                    of_name = renewed[name] = {}
                    stages += _fill_stages(connection, load, source, name, each, renewed=of_name)
            # Taken before anybody is asked, and again under the lock: what is written is what was
            # shown, however long the answer has taken.
            fingerprints = _take_fingerprints(connection, stages)
            plan = _plan(connection, load, stages, Repair(connection.target, report))
            if confirm is None or not plan.tables:
                return plan
            plan.check(replace)
            if not confirm(question := plan.describe()):
                raise UsageError(
                    f"not confirmed, nothing was repaired:\n{question}",
                    remedy=CONFIRM,
                )
            connection.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            connection.execute(lock_writers(stages))
            if _take_fingerprints(connection, stages) != fingerprints:
                raise EditedError(
                    "rows have changed since they were shown; nothing was repaired",
                    remedy="The same command shows them as they are.",
                )
            ledger.write_repair(connection, load)
            again = NullAgain(connection, load, source, objects)
            _write(connection, load, stages, again)
            for name, digests in renewed.items():
                renew_digests(connection, load, name, digests)
            plan.is_done = True
    except DuplicateKeyError as error:
        raise TargetError(
            f"nothing was repaired: {error.message}",
            remedy="Change the row that has this value, or drop the index.",
        ) from error
    except BusyError as error:
        raise TargetError(
            f"another session writes the tables of {load.name!r}",
            remedy="End it, or wait; nothing was repaired.",
        ) from error
    return plan


def _fill_stages(
    connection: Connection,
    load: Load,
    source: Source,
    name: str,
    findings: Findings,
    *,
    renewed: _Renewed,
) -> list[Stage]:
    """Stage the rows that the wrong documents of a collection should have.

    Keys of rows that come from no document are staged, too. `renewed` gets the digests of documents
    of a live source, by the starts of their chunks.
    """
    shredder = Shredder(load.layout, load.layout.table_of(name))
    root = shredder.layouts[0]
    stages = [Stage(layout, root, load.schema) for layout in shredder.layouts]
    for statement in chain.from_iterable(stage.create() for stage in stages):
        connection.execute(statement)
    if isinstance(source, LiveSource):
        found = _read_live(load, source, name, findings.wrong, renewed)
    else:
        found = _read_wrong(connection, load, source, name, findings.wrong)
    for documents in found:
        for stage, rows in zip(stages, shredder.shred(documents).rows, strict=True):
            connection.copy_in(stage.copy(), rows)
    if findings.verified.extra:
        with closing(find_extra_rows(connection, load, source, name)) as extra:
            while part := [_copy_key(row.key) for row in islice(extra, KEYS)]:
                connection.copy_in(stages[0].copy_extra(), part)
    for table in (stages[0].extra, *(stage.name for stage in stages)):
        connection.execute(f"ANALYZE {table}")
    return stages


def _read_wrong(
    connection: Connection, load: Load, source: Source, name: str, wrong: array[int]
) -> Iterator[list[Document]]:
    """Read the documents of a collection at these offsets again."""
    lines = {name: ledger.finished_chunks(connection, load, name)}
    for task in list_loaded(load, source, lines, is_read=False):
        first = bisect_left(wrong, task.start)
        offsets = set(wrong[first : bisect_left(wrong, task.stop)])
        if offsets:
            documents = task.read(source, ledger.restart_hint(load)).documents
            yield [(offset, raw) for offset, raw in documents if offset in offsets]


def _read_live(
    load: Load, source: LiveSource, name: str, wrong: array[int], renewed: _Renewed
) -> Iterator[list[Document]]:
    """Read the documents of a live collection again, and yield those whose keys have these hashes.

    They may have changed once more: what is written is what `renewed` has the digests of.
    """
    numbers, read_keys = set(wrong), compile_keys(load.layout, load.layout.table_of(name))
    for piece in source.list_bounds([name], load.chunk_bytes):
        if not numbers or piece.start == piece.stop:
            continue
        for chunk in source.read_parts(name, piece.start, piece.stop):
            keys = [key or Cell(b"") for key in read_keys(chunk.documents)]
            is_wrong = [read_number(hash_key(key)) in numbers for key in keys]
            documents = [*compress(chunk.documents, is_wrong)]
            if documents:
                raws = [raw for _, raw in documents]
                content = pack_digests(compress(keys, is_wrong), raws)
                renewed.setdefault(piece.start, {}).update(split_digests(content))
                yield documents


def _copy_key(key: Cell) -> bytes:
    """Return a key as a row of COPY with one field."""
    return write_row(add_length(key))


def _plan(connection: Connection, load: Load, stages: list[Stage], plan: Repair) -> Repair:
    for stage in stages:
        table = _count(connection, load, stage)
        if table.written or table.removed:
            plan.tables.append(table)
            plan.changes += _list_changes(connection, stage)
    return plan


def _take_fingerprints(connection: Connection, stages: list[Stage]) -> list[object]:
    return [connection.scalar(stage.fingerprint()) for stage in stages]


def _count(connection: Connection, load: Load, stage: Stage) -> RepairedTable:
    edited = QUERIES.fill(
        "edited",
        table=stage.table,
        stage=stage.name,
        same=stage.same,
        differs=stage.differs("t", "s"),
    )
    counts = (
        connection.scalar(stage.count()),
        connection.scalar(stage.count_surplus()),
        connection.scalar(edited, {"load_id": load.id}),
    )
    return RepairedTable(stage.layout.table, *(int(str(count)) for count in counts))


def _list_changes(connection: Connection, stage: Stage) -> Iterator[Change]:
    """Yield the first changes of a table: values, missing rows, rows to remove."""
    name = stage.layout.table
    for key, column, now, source in connection.execute(stage.select_differences(SHOWN)):
        yield Change(name, str(key), "changed", str(column), _text(now), _text(source))
    for (key,) in connection.execute(stage.select_missing(SHOWN)):
        yield Change(name, str(key), "missing")
    for (key,) in connection.execute(stage.select_surplus(SHOWN)):
        yield Change(name, str(key), "extra")


def _write(connection: Connection, load: Load, stages: list[Stage], again: NullAgain) -> None:
    """Remove the rows that are not in the source, then write those that are.

    Child rows go before their parents and are written after them: foreign keys require it. Those
    of the manifest are made again at the end: they may lead in a circle, and allow no old orphan.
    What the load has set to NULL is set to NULL again.
    """
    for stage in stages:
        table = stage.layout.table
        children = [each.layout for each in stages if each.layout.parent == table]
        _check_dependents(connection, stage, children)
    put_back = lift_foreign_keys(connection, load)
    put_back[:0] = again.lift_unique()
    for stage in reversed(stages):
        connection.execute(stage.delete_surplus())
    for stage in stages:
        connection.execute(stage.write())
    again.set_null()
    for statement in put_back:
        connection.execute(statement)


def _check_dependents(connection: Connection, stage: Stage, children: list[TableLayout]) -> None:
    """Refuse where the server would change other rows together with those of a table.

    Foreign keys of the load's own child tables do not count: repair writes those rows itself.
    """
    own = {
        (quote_table(stage.schema, child.table), frozenset(child.primary_key[:-1]))
        for child in children
    }
    dependents = []
    for table, name, on_delete, on_update, schema, columns, referenced in connection.execute(
        QUERIES["foreign_keys"], {"table": stage.table}
    ):
        is_own = (quote(str(schema), str(table)), frozenset(_names(columns))) in own
        deletes = on_delete in ACTIONS and not is_own and connection.scalar(stage.count_surplus())
        updates = on_update in ACTIONS and not _changed(connection, stage).isdisjoint(
            _names(referenced)
        )
        if deletes or updates:
            dependents.append(f"{table} by {name}")
    if dependents:
        refused = "cannot be repaired, as other rows would change with them"
        raise DependentError(
            f"rows of {stage.layout.table} {refused}: {', '.join(dependents)}",
            remedy="Change the rows yourself, or drop the foreign keys; nothing was repaired.",
        )


def _changed(connection: Connection, stage: Stage) -> set[str]:
    """Return the columns of a table that a repair changes."""
    return {str(name) for (name,) in connection.execute(stage.select_changed())}


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _show(value: str | None) -> str:
    if value is None:
        return "NULL"
    shown = repr(value[:SHOWN_CHARACTERS])
    return f"{shown}…" if len(value) > SHOWN_CHARACTERS else shown
