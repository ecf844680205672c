"""Repair: documents whose rows are not what the source says get them again, in one transaction; nothing else is written."""

from __future__ import annotations

import shlex
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
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
from assise.mongo.dump import Collection as Source
from assise.mongo.dump import Dump
from assise.postgres.connection import Connection
from assise.rows.cells import pack_length
from assise.rows.shred import Shredder
from assise.schema.stage import SHOWN_CHARACTERS, Stage, lock_writers
from assise.transfer import ledger
from assise.transfer.ledger import QUERIES, Load
from assise.transfer.report import Report
from assise.transfer.verify import Found, find_extra, list_loaded
from assise.wording import count_of, nearest

SHOWN = 20
"""Of each kind of mend of a table, how many are put into words."""

PATIENCE = "10s"
"""How long sessions that write are waited for."""

ACTIONS = {"c", "n", "d"}
"""What foreign keys do to rows that refer to one that goes or changes: CASCADE, SET NULL, SET DEFAULT (pg_constraint)."""

KEYS = 5000
"""Keys of extra rows that are staged at a time."""


class Mend(NamedTuple):
    """A value that changes, or a row that is written or goes: its key as text, and of a value its column, what it is and what the source has."""

    table: str
    key: str
    how: Literal["changed", "missing", "extra"]
    column: str | None = None
    now: str | None = None
    source: str | None = None

    def __str__(self) -> str:
        place = f"{self.table} {repr(self.key)[1:-1]}"
        if self.how == "changed":
            return (
                f"{place}: {self.column} is {_show(self.now)}, in the source {_show(self.source)}"
            )
        return f"{place}: {'is missing' if self.how == 'missing' else 'is not in the source'}"


@dataclass(frozen=True)
class RepairedTable:
    """Rows of a table: `written` as the source has them, over some that were `edited` since the load; `removed`, as the source has none of them."""

    name: str
    written: int
    removed: int
    edited: int

    @property
    def lost(self) -> list[str]:
        """What of the table is discarded, in words."""
        return [
            f"{count_of(number, 'row')} {words}"
            for number, words in (
                (self.edited, "changed since the load"),
                (self.removed, "that the source has not"),
            )
            if number
        ]


@dataclass
class Repair:
    """What a repair writes and removes, or has done so; the first mends of each table; and the report of a verification, afterwards if it is done."""

    target: str
    report: Report
    tables: list[RepairedTable] = field(default_factory=list)
    mends: list[Mend] = field(default_factory=list)
    is_done: bool = False

    def as_json(self) -> dict[str, object]:
        """As `--json` prints it."""
        tables, mends = (
            [vars(table) for table in self.tables],
            [mend._asdict() for mend in self.mends],
        )
        return {
            **self.report.as_json(),
            "repair": {"tables": tables, "mends": mends, "is_done": self.is_done},
        }

    @property
    def lines(self) -> list[str]:
        """The mends in words."""
        kinds = Counter((mend.table, mend.how) for mend in self.mends)
        return [
            *map(str, self.mends),
            *([f"… the first {SHOWN} of each kind are shown"] if SHOWN in kinds.values() else []),
        ]

    def describe(self) -> str:
        """The mends, and what is written in all, as a text to agree to."""
        sums = [
            f"{table.name} ({count_of(table.written, 'row')} written, {table.removed:,} removed)"
            for table in self.tables
        ]
        return "\n".join([*self.lines, f"{self.target}: repairs {', '.join(sums)}"])

    def check(self, replace: Collection[str]) -> None:
        """Check that nothing would be discarded but what `replace` names.

        Raises:
            UsageError: `replace` names no table that would be repaired. EditedError: something would be.
        """
        names = [table.name for table in self.tables]
        for name in replace:
            if name not in names:
                raise UsageError(
                    f"{name!r} is no table that is repaired", remedy=nearest(name, names)
                )
        lost = [table for table in self.tables if table.lost and table.name not in replace]
        if lost:
            lines = "; ".join(f"{table.name}: {', '.join(table.lost)}" for table in lost)
            names = [f"--replace {shlex.quote(table.name)}" for table in lost]
            raise EditedError(
                f"nothing was repaired, which would discard what is not the load's: {lines}",
                remedy=f"`--dry-run` shows it. To discard it, name each table: `{' '.join(names)}`",
            )


def repair_load(
    connection: Connection,
    load: Load,
    dump: Dump,
    found: Mapping[str, Found],
    *,
    report: Report,
    replace: Collection[str],
    confirm: Callable[[str], bool] | None,
) -> Repair:
    """Write what verify found wrong as the source has it, whole or not at all; without `confirm` only say what would be written.

    Raises:
        EditedError: rows were changed since the load, or come from no document, and `replace` does not name their tables.
        UsageError: not agreed. DependentError: removing a row would reach rows of others. TargetError: another session uses the tables.
    """
    try:
        with connection.transaction():
            stages = [
                stage
                for name, each in found.items()
                if each.wrong or each.verified.extra
                for stage in _fill_stages(connection, load, dump.collection(name), each)
            ]
            fingerprints = _take_fingerprints(connection, stages)
            plan = _plan(connection, load, stages, Repair(connection.target, report))
            if confirm is None or not plan.tables:
                return plan
            plan.check(replace)
            if not confirm(question := plan.describe()):
                raise UsageError(
                    f"not agreed, nothing was repaired:\n{question}", remedy="Agree with --yes."
                )
            connection.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            connection.execute(lock_writers(stages))
            if _take_fingerprints(connection, stages) != fingerprints:
                raise EditedError(
                    "rows have changed since they were shown; nothing was repaired",
                    remedy="The same command shows them as they are.",
                )
            _write(connection, stages)
            ledger.write_repair(connection, load)
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
    connection: Connection, load: Load, collection: Source, found: Found
) -> list[Stage]:
    """The rows that the wrong documents of a collection should have, and the keys of rows that come from no document."""
    shredder = Shredder(load.layout, load.layout.table_of(collection.name))
    root = shredder.layouts[0]
    stages = [Stage(layout, root, load.schema) for layout in shredder.layouts]
    for statement in chain.from_iterable(stage.create() for stage in stages):
        connection.execute(statement)
    for task in list_loaded(connection, load, collection, is_read=False):
        wrong = set(
            found.wrong[bisect_left(found.wrong, task.start) : bisect_left(found.wrong, task.stop)]
        )
        if wrong:
            documents = task.read(ledger.restart_hint(load)).documents
            batch = shredder.shred([(offset, raw) for offset, raw in documents if offset in wrong])
            for stage, rows in zip(stages, batch.rows, strict=True):
                connection.copy_in(stage.copy(), rows)
    if found.verified.extra:
        with closing(find_extra(connection, load, collection)) as keys:
            while part := [b"\0\1" + pack_length(len(key)) + key for _, key in islice(keys, KEYS)]:
                connection.copy_in(stages[0].copy_extra(), part)
    for table in (stages[0].extra, *(stage.name for stage in stages)):
        connection.execute(f"ANALYZE {table}")
    return stages


def _plan(connection: Connection, load: Load, stages: list[Stage], plan: Repair) -> Repair:
    for stage in stages:
        table = _count(connection, load, stage)
        if table.written or table.removed:
            plan.tables.append(table)
            plan.mends += _list_mends(connection, stage)
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
    found = (
        connection.scalar(stage.count()),
        connection.scalar(stage.count_surplus()),
        connection.scalar(edited, {"load_id": load.id}),
    )
    return RepairedTable(stage.layout.table, *(int(str(number)) for number in found))


def _list_mends(connection: Connection, stage: Stage) -> Iterator[Mend]:
    """The first of a table, in words: what changes, what is missing, what goes."""
    name = stage.layout.table
    for key, column, now, source in connection.execute(stage.select_differences(SHOWN)):
        yield Mend(name, str(key), "changed", str(column), _text(now), _text(source))
    for (key,) in connection.execute(stage.select_missing(SHOWN)):
        yield Mend(name, str(key), "missing")
    for (key,) in connection.execute(stage.select_surplus(SHOWN)):
        yield Mend(name, str(key), "extra")


def _write(connection: Connection, stages: list[Stage]) -> None:
    """Take away what the source has not, the deepest first, then write what it has, the collections' rows first."""
    for stage in stages:
        _check_dependents(
            connection,
            stage,
            [each.layout for each in stages if each.layout.parent == stage.layout.table],
        )
    for stage in reversed(stages):
        connection.execute(stage.delete_surplus())
    for stage in stages:
        connection.execute(stage.write())


def _check_dependents(connection: Connection, stage: Stage, children: list[TableLayout]) -> None:
    """Refuse where the server would delete or change rows of others, or other rows of ours, with those of a table."""
    own = {(child.table, child.primary_key[:-1]) for child in children}
    found = []
    for table, name, on_delete, on_update, schema, columns, referenced in connection.execute(
        QUERIES["foreign_keys"], {"table": stage.table}
    ):
        is_own = schema == stage.schema and any(
            table == child and set(_names(columns)) == set(key) for child, key in own
        )
        deletes = on_delete in ACTIONS and not is_own and connection.scalar(stage.count_surplus())
        updates = on_update in ACTIONS and {
            name for (name,) in connection.execute(stage.select_changed())
        } & {*_names(referenced)}
        if deletes or updates:
            found.append(f"{table} by {name}")
    if found:
        raise DependentError(
            f"rows of {stage.layout.table} cannot be repaired, as other rows would change with them: {', '.join(found)}",
            remedy="Change the rows yourself, or drop the foreign keys; nothing was repaired.",
        )


def _names(value: object) -> list[str]:
    return [str(name) for name in value] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _show(value: str | None) -> str:
    if value is None:
        return "NULL"
    shown = repr(value[:SHOWN_CHARACTERS])
    return f"{shown}…" if len(value) > SHOWN_CHARACTERS else shown
