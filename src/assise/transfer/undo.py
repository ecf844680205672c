"""Undo: drop exactly what a load created, in one transaction, and nothing that others made."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from assise.errors import BusyError, EditedError, TargetError, UsageError
from assise.manifest.layout import TableLayout
from assise.postgres import bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.server import count_tables_at_once
from assise.schema.sql import (
    all_layouts,
    drop_schemas,
    drop_tables,
    key_functions,
    lock_tables,
    quote_table,
)
from assise.transfer import ledger
from assise.transfer.born import find_made, list_born
from assise.transfer.functions import drop_old_functions, drop_unused, list_functions
from assise.transfer.ledger import LEDGER, QUERIES, Load
from assise.transfer.objects import drop_foreign_keys, list_made
from assise.wording import count_of, nearest
from assise.workspace import Additions

WITH_SCHEMAS = 9
"""The version of the ledger from which on it lists the schemas that loads have made."""

SHOWN = 20
"""Tables that are named in a question or an error."""


class Changes(NamedTuple):
    """Rows of one table that are not as the load and its repairs left them.

    `changed` rows were updated or inserted: their `xmin` is not a transaction of the load or of a
    repair. `deleted` is how many rows fewer the table has than were loaded; of a table that is
    gone all of them.
    """

    changed: int
    deleted: int


@dataclass(frozen=True)
class Loaded:
    """A table of a load: its rows, what has changed since, and what was added to it.

    An addition is named, such as `column nickname`. A table that is gone, or is a view by now, is
    left alone. What is born in PostgreSQL was never loaded: all of its rows are the application's.
    """

    name: str
    rows: int
    changes: Changes
    additions: tuple[str, ...] = ()
    is_gone: bool = False
    is_born: bool = False

    @property
    def edits(self) -> list[str]:
        """What would be discarded with the table, in words."""
        if self.is_gone:
            return []
        if self.is_born:
            return [f"{count_of(self.rows, 'row')} of the application"] if self.rows else []
        changes = zip(self.changes, ("changed", "deleted"), strict=True)
        counts = [f"{count_of(count, 'row')} {how}" for count, how in changes if count]
        return [*counts, *self.additions]

    def as_json(self) -> dict[str, object]:
        """The table as `--json` prints it."""
        return {
            "name": self.name,
            "rows": self.rows,
            **self.changes._asdict(),
            "additions": self.additions,
            "is_gone": self.is_gone,
            "is_born": self.is_born,
        }

    def describe(self) -> str:
        """The table, its rows and what would be discarded, for a question."""
        facts = self.edits if self.is_born else [count_of(self.rows, "row"), *self.edits]
        return f"{self.name} ({', '.join(facts) or 'empty'})"


@dataclass
class Undo:
    """What an undo drops, or has dropped: tables, functions, schemas, and at last the ledger.

    The ledger's schema goes with it, unless there is something of others in it: `others` names it.
    """

    target: str
    name: str
    tables: list[Loaded] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    schemas: list[str] = field(default_factory=list)
    drops_ledger: bool = False
    others: list[str] = field(default_factory=list)
    is_done: bool = False

    def as_json(self) -> dict[str, object]:
        """The undo as `--json` prints it."""
        return {**vars(self), "tables": [table.as_json() for table in self.tables]}

    def describe(self) -> str:
        """What is dropped, as a question to confirm."""
        tables = [table.describe() for table in self.tables if not table.is_gone]
        shown = [*tables[:SHOWN], "…"] if tables[SHOWN:] else tables
        rest = "the ledger" if self.drops_ledger else "what the ledger knows of it"
        return (
            f"{self.target}: drops the load of {self.name!r},"
            f" {count_of(len(tables), 'table')}: {', '.join(shown)}; and {rest}"
        )

    def check(self, replace: Collection[str]) -> None:
        """Check that nothing of others would be discarded but what `replace` names.

        Raises:
            UsageError: `replace` names no table of the load. EditedError: something would be.
        """
        names = [table.name for table in self.tables]
        for name in replace:
            if name not in names:
                raise UsageError(
                    f"{name!r} is not a table of the load of {self.name!r}",
                    remedy=nearest(name, names),
                )
        edited = [table for table in self.tables if table.edits and table.name not in replace]
        if not edited:
            return
        shown, more = edited[:SHOWN], "; …" if edited[SHOWN:] else ""
        lines = [f"{table.name}: {', '.join(table.edits)}" for table in shown]
        options = " ".join(f"--replace {shlex.quote(table.name)}" for table in shown)
        raise EditedError(
            f"since the load of {self.name!r} there were edits, and nothing was dropped:"
            f" {'; '.join(lines)}{more}",
            remedy=f"To discard them, name each table: `{options}`",
        )


def find_changes(
    connection: Connection, load: Load, layouts: Sequence[TableLayout] | None = None
) -> dict[str, Changes]:
    """For each table of a load, or of some, what has changed since; reads every row's header.

    An `xmin` survives VACUUM FREEZE, but neither a rewrite of the table by ALTER TABLE nor a
    restore of a backup: all rows are changed then.
    """
    layouts = all_layouts(load.layout) if layouts is None else layouts
    loaded = ledger.count_loaded(connection, load)
    existing = ledger.find_tables(connection, load, layouts)
    found = {}
    for layout in layouts:
        changed, rows = 0, 0
        if layout.table in existing:
            statement = QUERIES.fill("changes", table=quote_table(load.schema, layout.table))
            counts = connection.execute(statement, {"load_id": load.id})[0]
            changed, rows = (int(str(number)) for number in counts)
        found[layout.table] = Changes(changed, max(0, loaded[layout.table] - rows))
    return found


def plan_undo(connection: Connection, load: Load, parts: Sequence[Additions] = ()) -> Undo:
    """What an undo would drop now."""
    # A dry run may meet the ledger of the first release, which does not list its functions.
    functions = key_functions(load.layout)
    if ledger.has_layouts(connection):
        functions = [name for _, name in list_functions(connection, load.id)]
    plan = Undo(connection.target, load.name, functions=functions)
    ours = _list_ours(connection, load, parts)
    layouts = _list_created(connection, load)
    plan.tables = [*_look_at(connection, load, layouts, ours), *_list_born(connection, load)]
    plan.schemas = _list_schemas(connection, load, [table.name for table in plan.tables], ours)
    plan.drops_ledger = ledger.is_last(connection, load)
    return plan


def _list_created(connection: Connection, load: Load) -> list[TableLayout]:
    """The tables that the load has created: all, unless it was stopped while it began."""
    return all_layouts(load.layout)[: ledger.count_created(connection, load)]


def _list_born(connection: Connection, load: Load) -> list[Loaded]:
    return [
        Loaded(name, rows or 0, Changes(0, 0), is_gone=rows is None, is_born=True)
        for name, rows in list_born(connection, load)
    ]


def _list_schemas(
    connection: Connection,
    load: Load,
    names: Sequence[str],
    ours: Collection[tuple[str, str]] = (),
) -> list[str]:
    """The schemas that are dropped once these tables are, and what parts have made."""
    if bookkeeping.find_version(connection, LEDGER) < WITH_SCHEMAS:
        return []
    tables = [quote_table(load.schema, name) for name in names]
    made = [text.partition(" ")[2] for _, text in ours]
    parameters = {"load_id": load.id, "tables": tables, "made": made}
    return [str(name) for (name,) in connection.execute(QUERIES["load_schemas"], parameters)]


def _list_ours(
    connection: Connection, load: Load, parts: Sequence[Additions]
) -> set[tuple[str, str]]:
    """What parts have added to the tables and beside them, which goes with them."""
    return {each for part in parts for each in part.list_additions(connection, load.name)}


def _look_at(
    connection: Connection,
    load: Load,
    layouts: Sequence[TableLayout],
    ours: Collection[tuple[str, str]],
) -> list[Loaded]:
    rows = ledger.count_loaded(connection, load)
    changes = find_changes(connection, load, layouts)
    existing = ledger.find_tables(connection, load, layouts)
    found = []
    for layout in layouts:
        name = layout.table
        is_gone = name not in existing
        additions = () if is_gone else _find_additions(connection, load, layout)
        additions = tuple(each for each in additions if (name, each) not in ours)
        found.append(Loaded(name, rows[name], changes[name], additions, is_gone))
    return found


def _find_additions(connection: Connection, load: Load, layout: TableLayout) -> tuple[str, ...]:
    parameters = {
        "table": quote_table(load.schema, layout.table),
        "parent": quote_table(load.schema, layout.parent) if layout.parent else None,
        "names": list(layout.names),
        "made": [name for table, _, name in list_made(connection, load) if table == layout.table],
    }
    return tuple(str(text) for (text,) in connection.execute(QUERIES["additions"], parameters))


def undo_load(
    connection: Connection,
    load: Load,
    parts: Sequence[Additions] = (),
    *,
    replace: Collection[str],
) -> Undo:
    """Drop what a load created, whole or not at all.

    Where it has more tables than the server has locks for, they go in several transactions,
    children before their parents; the load's line goes with the last, and what stops before that is
    continued by the same call.

    Raises:
        EditedError: rows or tables were edited, and `replace` does not name them. DependentError:
        something of others depends on what is to be dropped. TargetError: another session uses it.
    """
    tables: list[Loaded] = []
    try:
        with bookkeeping.lock(connection):
            layouts = _list_created(connection, load)
            size = count_tables_at_once(connection)
            ours = _list_ours(connection, load, parts)
            if len(layouts) > size:
                drop_foreign_keys(connection, load)
            while len(layouts) > size:
                with connection.transaction():
                    tables[:0] = _drop(
                        connection, load, layouts[-size:], replace=replace, ours=ours
                    )
                del layouts[-size:]
            with connection.transaction():
                tables[:0] = _drop(
                    connection, load, layouts, replace=replace, ours=ours, is_last=True
                )
                for part in parts:
                    part.forget(connection, load.name)
                plan = Undo(connection.target, load.name, tables)
                _forget(connection, load, plan)
    except BusyError as error:
        raise TargetError(
            f"another session uses the tables of {load.name!r}",
            remedy="End it, or wait; nothing was dropped."
            if not tables
            else "End it, or wait; the same command drops the rest.",
        ) from error
    plan.is_done = True
    return plan


def _drop(
    connection: Connection,
    load: Load,
    layouts: Sequence[TableLayout],
    *,
    replace: Collection[str],
    ours: Collection[tuple[str, str]],
    is_last: bool = False,
) -> list[Loaded]:
    """Lock tables, look at them again, and drop them; with the last what no load has written."""
    connection.execute("SET LOCAL lock_timeout = '10s'")
    existing = ledger.find_tables(connection, load, layouts)
    names = [layout.table for layout in layouts if layout.table in existing]
    made = find_made(connection, load) if is_last else {}
    names += [name for name, is_there in made.items() if is_there]
    if names:
        connection.execute(lock_tables(names, load.schema))
    found = _look_at(connection, load, layouts, ours)
    found += _list_born(connection, load) if is_last else []
    replaced = {table.name for table in found}.intersection(replace)
    Undo(connection.target, load.name, found).check(replaced)
    if names:
        connection.execute(drop_tables(names, load.schema))
    return found


def _forget(connection: Connection, load: Load, plan: Undo) -> None:
    """Drop the load's functions, schemas and lines, and the ledger with its last load."""
    connection.execute(QUERIES["lock_loads"])
    plan.drops_ledger = ledger.is_last(connection, load)
    functions = list_functions(connection, load.id)
    if plan.drops_ledger:
        drop_old_functions(connection)
    dropped = [each for each in functions if drop_unused(connection, *each)]
    plan.functions = [name for _, name in dropped]
    plan.schemas = _list_schemas(connection, load, ())
    connection.execute(drop_schemas(plan.schemas) or "SELECT")
    ledger.forget(connection, load)
    if plan.drops_ledger:
        connection.execute(QUERIES["drop_ledger"])
        plan.others = bookkeeping.forget(connection, LEDGER)
