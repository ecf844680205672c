"""Totals of the application's tables: kept by triggers, statement by statement, and counted again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from assise.postgres.asking import Asking
from assise.postgres.connection import Connection
from assise.postgres.made import MadeObjects, change
from assise.postgres.queries import Queries
from assise.progress import Log
from assise.schema.analytics import CountedTable, list_counted
from assise.workspace import LoadedTables

QUERIES = Queries("assise.analytics")


class Total(NamedTuple):
    """How many rows a table has, and how many were made today; None where it is not declared."""

    rows: int | None
    today: int | None


NOTHING = Total(None, None)


def apply(connection: Connection, made: MadeObjects, tables: LoadedTables, *, log: Log) -> None:
    """Let triggers count the tables of the manifest; what they have counted wrong is counted anew.

    Raises:
        TargetError: another session uses the tables, or the server refuses something.
    """
    before = made.find(connection, tables.name)
    counted = _list_kept(list_counted(tables.manifest, tables.schema))
    wanted = [each for table in counted for each in table.list_triggers()]
    places = {"tables": [table.quoted for table in counted]}
    is_whole = connection.scalar(QUERIES["counting"], places) == len(wanted)
    if wanted == before and is_whole and not find_differing(connection, counted):
        return

    def run() -> None:
        for each in reversed(before):
            connection.execute(each.drop)
        for table in counted:
            _count(connection, table)
        made.keep(connection, tables.name, wanted, schema=tables.schema)

    change(connection, run, name=tables.name, what="totals", log=log)


def _list_kept(tables: Sequence[CountedTable]) -> list[CountedTable]:
    return [each for each in tables if not each.is_cut]


def _count(connection: Connection, table: CountedTable) -> None:
    """Make the triggers of a table, whose locks hold writers off, and count it once."""
    for each in table.list_triggers():
        connection.execute(f"{each.drop};\n{each.create}")
    connection.execute(QUERIES["empty_total"], {"table": table.quoted})
    connection.execute(table.fill())


def read_totals(tables: Sequence[CountedTable], today: dt.date) -> Asking[dict[str, Total]]:
    """The rows of each table by its key: its total, or counted now where none is kept."""
    kept = _list_kept(tables)
    asked = {"names": [each.name for each in kept], "tables": [each.quoted for each in kept]}
    rows = yield QUERIES["totals"], {**asked, "today": today}
    found = {str(row["name"]): Total(row["rows"], row["today"]) for row in rows}
    for table in tables:
        if table.name not in found:
            (row,) = yield table.count(), {"today": today}
            found[table.name] = Total(row["rows"], row["today"])
    return found


def find_differing(connection: Connection, tables: Sequence[CountedTable]) -> list[str]:
    """The tables of which another number of rows is kept for some day than there is."""
    return [each.table for each in _list_kept(tables) if connection.execute(each.compare())]


def add_up(connection: Connection) -> None:
    """Make one line of the lines of each day."""
    connection.execute(QUERIES["add_up_totals"])
