"""Repair: documents whose rows are not what the source says get them again, in one transaction; nothing else is written."""

from __future__ import annotations

import shlex
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, NamedTuple

from assise.errors import AssiseError, BusyError, DependentError, DuplicateKeyError, EditedError, TargetError, UsageError
from assise.manifest.layout import Layout
from assise.manifest.problems import nearest
from assise.mongo.dump import Dump
from assise.postgres.connection import Connection
from assise.rows.cells import pack_length
from assise.rows.shred import Shredder
from assise.schema import stage
from assise.schema.sql import quote
from assise.transfer import ledger
from assise.transfer.ledger import QUERIES, Load
from assise.transfer.report import Report
from assise.transfer.verify import Found, find_extra, list_loaded

SHOWN = 20
"""Of each kind of mend of a table, how many are put into words."""

PATIENCE = "10s"
"""How long sessions that write are waited for."""

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
            return f"{place}: {self.column} is {_show(self.now)}, in the source {_show(self.source)}"
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
            f"{number:,} {words}"
            for number, words in ((self.edited, "rows changed since the load"), (self.removed, "rows that the source has not"))
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
        tables, mends = [vars(table) for table in self.tables], [mend._asdict() for mend in self.mends]
        return {**self.report.as_json(), "repair": {"tables": tables, "mends": mends, "is_done": self.is_done}}

    def describe(self) -> str:
        """The mends, and what is written in all, as a text to agree to."""
        sums = [f"{table.name} ({table.written:,} rows written, {table.removed:,} removed)" for table in self.tables]
        return "\n".join([*map(str, self.mends), f"{self.target}: repairs {', '.join(sums)}"])

    def check(self, replace: Collection[str]) -> None:
        """Check that nothing would be discarded but what `replace` names.

        Raises:
            UsageError: `replace` names no table that would be repaired. EditedError: something would be.
        """
        names = [table.name for table in self.tables]
        for name in replace:
            if name not in names:
                raise UsageError(f"{name!r} is no table that is repaired", remedy=nearest(name, names))
        lost = [table for table in self.tables if table.lost and table.name not in replace]
        if lost:
            lines = "; ".join(f"{table.name}: {', '.join(table.lost)}" for table in lost)
            names = [f"--replace {shlex.quote(table.name)}" for table in lost]
            raise EditedError(
                f"nothing was repaired, which would discard what is not the load's: {lines}",
                remedy=f"--dry-run shows it. To discard it, name each table: {' '.join(names)}",
            )


def repair_load(
    connection: Connection,
    load: Load,
    dump: Dump,
    found: Mapping[str, Found],
    *,
    report: Report,
    replace: Collection[str],
    agree: Callable[[str], bool] | None,
) -> Repair:
    """Write what verify found wrong as the source has it, whole or not at all; without `agree` only say what would be written.

    Raises:
        EditedError: rows were changed since the load, or come from no document, and `replace` does not name their tables.
        UsageError: not agreed. DependentError: removing a row would reach rows of others. TargetError: another session uses the tables.
    """
    try:
        with connection.transaction():
            stages = [_Stage(connection, load, name).fill(dump, each) for name, each in found.items() if each.wrong or each.verified.extra]
            plan = _plan(stages, Repair(connection.target, report))
            if agree is None or not plan.tables:
                return plan
            plan.check(replace)
            if not agree(question := plan.describe()):
                raise UsageError(f"not agreed, nothing was repaired:\n{question}", remedy="Agree with --yes.")
            connection.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
            connection.execute(stage.lock_writers([layout.table for each in stages for layout in each.layouts], load.schema))
            if _plan(stages, Repair(connection.target, report)).tables != plan.tables:
                raise EditedError("rows have changed since they were shown; nothing was repaired", remedy="The same command shows them as they are.")
            for each in stages:
                each.write()
            ledger.write_repair(connection, load)
            plan.is_done = True
    except BusyError as error:
        raise TargetError(f"another session writes the tables of {load.name!r}", remedy="End it, or wait; nothing was repaired.") from error
    return plan


def _plan(stages: list[_Stage], plan: Repair) -> Repair:
    for each in stages:
        for layout in each.layouts:
            table = each.count(layout)
            if table.written or table.removed:
                plan.tables.append(table)
                plan.mends += each.list_mends(layout)
    return plan


class _Stage:
    """The rows that the wrong documents of one collection should have, and the keys of rows that come from no document."""

    def __init__(self, connection: Connection, load: Load, name: str) -> None:
        self._connection, self._load, self._name = connection, load, name
        self._shredder = Shredder(load.manifest, load.manifest.table_of(name))
        self.layouts = self._shredder.layouts

    def fill(self, dump: Dump, found: Found) -> _Stage:
        for layout in self.layouts:
            for statement in stage.create_stage(layout, self._load.schema):
                self._connection.execute(statement)
        self._connection.execute(stage.create_extra(self.layouts[0], self._load.schema))
        copies = [stage.copy_stage(layout) for layout in self.layouts]
        for task in list_loaded(self._connection, self._load, dump, self._name, is_read=False):
            wrong = set(found.wrong[bisect_left(found.wrong, task.start) : bisect_left(found.wrong, task.stop)])
            if wrong:
                chunk = task.read(ledger.start_afresh(self._load))
                batch = self._shredder.shred([(offset, raw) for offset, raw in chunk.documents if offset in wrong])
                for statement, rows in zip(copies, batch.rows, strict=True):
                    self._copy(statement, rows)
        if found.verified.extra:
            with closing(find_extra(self._connection, self._load, dump.collection(self._name))) as keys:
                while part := [b"\0\1" + pack_length(len(key)) + key for _, key in islice(keys, KEYS)]:
                    self._copy(f"COPY {stage.extra_of(self.layouts[0])} FROM STDIN (FORMAT binary)", part)
        for table in (*(stage.stage_of(layout.table) for layout in self.layouts), stage.extra_of(self.layouts[0])):
            self._connection.execute(f"ANALYZE {table}")
        return self

    def _copy(self, statement: str, rows: list[bytes]) -> None:
        try:
            self._connection.copy_in(statement, rows)
        except DuplicateKeyError as error:
            raise AssiseError(f"{self._name}: the ledger has lost rejects: {error.message}", remedy=ledger.start_afresh(self._load)) from error

    def count(self, layout: Layout) -> RepairedTable:
        schema, table = self._load.schema, layout.table
        places = {"{table}": quote(schema, table), "{stage}": stage.stage_of(table), "{same}": stage.same_row(layout)}
        edited = QUERIES["edited"]
        for name, text in places.items():
            edited = edited.replace(name, text.replace("%", "%%"))
        surplus = stage.count_surplus(layout, self.layouts[0], schema)
        scalars = (
            self._scalar(stage.count_stage(layout)),
            self._scalar(surplus),
            self._scalar(edited, self._load.id, self._load.id),
        )
        return RepairedTable(table, *scalars)

    def _scalar(self, statement: str, *parameters: int) -> int:
        return int(str(self._connection.scalar(statement, parameters)))

    def list_mends(self, layout: Layout) -> Iterator[Mend]:
        """The first of the table, in words: what changes, what is missing, what goes."""
        schema, select = self._load.schema, self._connection.execute
        for key, column, now, source in select(stage.select_differences(layout, schema, SHOWN)):
            yield Mend(layout.table, str(key), "changed", str(column), _text(now), _text(source))
        for (key,) in select(stage.select_missing(layout, schema, SHOWN)):
            yield Mend(layout.table, str(key), "missing")
        for (key,) in select(stage.select_surplus(layout, self.layouts[0], schema, SHOWN)):
            yield Mend(layout.table, str(key), "extra")

    def write(self) -> None:
        """Take away what the source has not, the deepest first, then write what it has, the collection's rows first."""
        schema, root = self._load.schema, self.layouts[0]
        for layout in reversed(self.layouts):
            statement = stage.delete_surplus(layout, root, schema)
            if self._scalar(stage.count_surplus(layout, root, schema)):
                self._check_dependents(layout)
                self._connection.execute(statement)
        for layout in self.layouts:
            self._connection.execute(stage.write_stage(layout, schema))

    def _check_dependents(self, layout: Layout) -> None:
        """Refuse where the server would delete or change rows of others with those of a table."""
        ours = [quote(self._load.schema, each.table) for each in self.layouts if each.parent == layout.table]
        found = self._connection.execute(QUERIES["dependents"], [quote(self._load.schema, layout.table), ours])
        if found:
            raise DependentError(
                f"rows of {layout.table} cannot be removed, as rows of others would go with them: {', '.join(str(name) for (name,) in found)}",
                remedy="Remove the rows yourself, or drop the foreign keys; nothing was repaired.",
            )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _show(value: str | None) -> str:
    if value is None:
        return "NULL"
    shown = repr(value[: stage.SHOWN_CHARACTERS])
    return f"{shown}…" if len(value) > stage.SHOWN_CHARACTERS else shown
