"""Undo: drop exactly what a load created, in one transaction, and nothing that others made or changed."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from assise.errors import BusyError, EditedError, TargetError, UsageError
from assise.postgres.connection import Connection
from assise.schema.sql import (
    all_layouts,
    drop_function,
    drop_tables,
    key_functions,
    lock_tables,
    quote,
)
from assise.transfer import ledger
from assise.transfer.ledger import QUERIES, Load, fill_query
from assise.wording import count_of, nearest

SHOWN = 20
"""Tables that are put into words."""


class Changes(NamedTuple):
    """Rows of one table that are not as the load and its repairs left them.

    `changed` rows were updated or inserted: their `xmin` is no transaction of the load or of a repair. `deleted` is how many rows
    fewer the table has than were loaded; of a table that is gone all of them.
    """

    changed: int
    deleted: int


@dataclass(frozen=True)
class Loaded:
    """A table of a load: the rows that it got, what has changed since, and what was added to it, such as `column nickname`.

    One that is gone, or that is a view by now, is left alone.
    """

    name: str
    rows: int
    changes: Changes
    additions: tuple[str, ...] = ()
    is_gone: bool = False

    @property
    def edits(self) -> list[str]:
        """What would be discarded with the table, in words."""
        counts = [
            f"{count_of(count, 'row')} {how}"
            for count, how in zip(self.changes, ("changed", "deleted"), strict=True)
            if count
        ]
        return [] if self.is_gone else [*counts, *self.additions]


@dataclass
class Undo:
    """What an undo drops, or has dropped: the load's tables, functions, and the schema assise with its last load."""

    target: str
    name: str
    tables: list[Loaded] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    drops_ledger: bool = False
    is_done: bool = False

    def as_json(self) -> dict[str, object]:
        """As `--json` prints it."""
        tables = [
            {
                "name": table.name,
                "rows": table.rows,
                **table.changes._asdict(),
                "additions": table.additions,
                "is_gone": table.is_gone,
            }
            for table in self.tables
        ]
        return {**vars(self), "tables": tables}

    def describe(self) -> str:
        """What is dropped, as a sentence to agree to."""
        tables = [
            f"{table.name} ({count_of(table.rows, 'row')}{''.join(f', {edit}' for edit in table.edits)})"
            for table in self.tables
            if not table.is_gone
        ]
        shown = f"{', '.join(tables[:SHOWN])}{', …' if tables[SHOWN:] else ''}"
        others = "the schema assise" if self.drops_ledger else "what the ledger knows of it"
        return f"{self.target}: drops the load of {self.name!r}, {count_of(len(tables), 'table')}: {shown}; and {others}"

    def check(self, replace: Collection[str]) -> None:
        """Check that nothing of others would be discarded but what `replace` names.

        Raises:
            UsageError: `replace` names no table of the load. EditedError: something would be.
        """
        names = [table.name for table in self.tables]
        for name in replace:
            if name not in names:
                raise UsageError(
                    f"{name!r} is no table of the load of {self.name!r}",
                    remedy=nearest(name, names),
                )
        edited = [table for table in self.tables if table.edits and table.name not in replace]
        if edited:
            lines = [f"{table.name}: {', '.join(table.edits)}" for table in edited[:SHOWN]]
            raise EditedError(
                f"since the load of {self.name!r} there were edits, and nothing was dropped: {'; '.join(lines)}{'; …' if edited[SHOWN:] else ''}",
                remedy=f"To discard them, name each table: `{' '.join(f'--replace {shlex.quote(table.name)}' for table in edited[:SHOWN])}`",
            )


def find_changes(connection: Connection, load: Load) -> dict[str, Changes]:
    """For each table of a load what has changed since; reads every row's header.

    An `xmin` survives VACUUM FREEZE, but neither a rewrite of the table by ALTER TABLE nor a restore of a backup: all rows are changed then.
    """
    loaded = ledger.count_loaded(connection, load)
    found = {}
    for layout in all_layouts(load.manifest):
        changed, rows = 0, 0
        if ledger.has_table(connection, load.schema, layout.table):
            statement = fill_query("changes", table=quote(load.schema, layout.table))
            changed, rows = (
                int(str(number)) for number in connection.execute(statement, [load.id, load.id])[0]
            )
        found[layout.table] = Changes(changed, max(0, loaded[layout.table] - rows))
    return found


def plan_undo(connection: Connection, load: Load) -> Undo:
    """What an undo would drop now."""
    plan = Undo(connection.target, load.name, functions=key_functions(load.manifest))
    rows, changes = ledger.count_loaded(connection, load), find_changes(connection, load)
    for layout in all_layouts(load.manifest):
        places = [
            quote(load.schema, layout.table),
            quote(load.schema, layout.parent) if layout.parent else None,
        ]
        is_gone = not ledger.has_table(connection, load.schema, layout.table)
        additions = (
            ()
            if is_gone
            else connection.execute(QUERIES["additions"], [*places, list(layout.names)])
        )
        plan.tables.append(
            Loaded(
                layout.table,
                rows[layout.table],
                changes[layout.table],
                tuple(str(text) for (text,) in additions),
                is_gone,
            )
        )
    plan.drops_ledger = len(ledger.find_loads(connection)) == 1
    return plan


def undo_load(connection: Connection, load: Load, *, replace: Collection[str]) -> Undo:
    """Drop what a load created, whole or not at all.

    Raises:
        EditedError: rows or tables were edited, and `replace` does not name them. DependentError: something of others depends on what
        is to be dropped. TargetError: another session uses it.
    """
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '10s'")
            tables = [
                layout.table
                for layout in all_layouts(load.manifest)
                if ledger.has_table(connection, load.schema, layout.table)
            ]
            if tables:
                connection.execute(lock_tables(tables, load.schema))
            plan = plan_undo(connection, load)
            plan.check(replace)
            if tables:
                connection.execute(drop_tables(tables, load.schema))
            plan.functions = [
                name for name in plan.functions if _drop_unused(connection, name, load.schema)
            ]
            plan.drops_ledger = ledger.forget(connection, load)
    except BusyError as error:
        raise TargetError(
            f"another session uses the tables of {load.name!r}",
            remedy="End it, or wait; nothing was dropped.",
        ) from error
    plan.is_done = True
    return plan


def _drop_unused(connection: Connection, function: str, schema: str) -> bool:
    """Drop a key's function unless another table, or anything else, uses it."""
    signature = f"{quote(schema, function)}()"
    is_unused = bool(connection.scalar(QUERIES["is_unused"], [signature, signature]))
    if is_unused:
        connection.execute(drop_function(function, schema))
    return is_unused
