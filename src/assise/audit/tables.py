"""The log and its triggers: made behind a load, and changed in place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from importlib.resources import files

from assise.postgres import bookkeeping
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.made import MadeObjects, change, find_missing
from assise.postgres.partitions import keep_up_partitions
from assise.postgres.queries import Queries
from assise.progress import Log
from assise.schema.audit import (
    list_audit_objects,
    list_audited,
    name_function,
    partition_log,
    write_function,
)
from assise.schema.managed import Managed
from assise.schema.sql import quote, quote_table
from assise.schema.views import revoke_defaults
from assise.wording import count_of
from assise.workspace import LoadedTables

QUERIES = Queries("assise.audit")
PART = Bookkeeping("audit", files("assise.audit").joinpath("sql"))
IN_SCRIPT = False
_MADE = MadeObjects(PART, QUERIES)
list_additions, forget = _MADE.list_additions, _MADE.forget


def apply_manifest(connection: Connection, tables: LoadedTables, *, log: Log) -> None:
    """Make the log, its partitions, and then the triggers that write to it.

    Where the manifest audits nothing any more, the triggers go, and the log stays with its lines.

    Raises:
        TargetError: the server refuses something, or something has one of our names.
    """
    wanted = list_audit_objects(tables.manifest, tables.schema)
    made = _MADE.find(connection, tables.name)
    if not wanted and not made:
        return
    bookkeeping.ensure(connection, PART)
    missing = find_missing(connection, wanted, tables.schema)
    kept = [each for each in made if each.kind == "table" and each not in wanted]
    if [*wanted, *kept] == made and not missing:
        return

    def make_tables() -> None:
        for each in wanted:
            if each.kind == "table" and each in missing:
                connection.execute(each.create)
                # Who writes to it could forge it.
                connection.execute(revoke_defaults(quote(tables.schema, each.name)))
        _keep(connection, tables, [each for each in made if each.kind != "table"], wanted, kept)

    def make_rest() -> None:
        for each in reversed(made):
            if each.kind != "table":
                connection.execute(each.drop)
        for each in wanted:
            if each.kind != "table":
                connection.execute(each.create)
        _keep(connection, tables, [each for each in wanted if each.kind != "table"], wanted, kept)

    change(connection, make_tables, name=tables.name, what="log", log=log)
    if wanted:
        keep_up_partitions(connection, [partition_log(tables.schema)], log=log)
    change(connection, make_rest, name=tables.name, what="log", log=log)
    count = len(list_audited(tables.manifest))
    log(f"audit: changes of {count_of(count, 'table')} are logged" if count else "audit: no more")


def follow(connection: Connection, tables: LoadedTables) -> None:
    """Let the functions of the log read what columns their tables have now, in a step's transaction.

    Else a table that has lost a column could not be written to, and the values of a new one that is
    personal would be logged.
    """
    made = _MADE.find(connection, tables.name)
    names = [*dict.fromkeys(each.table for each in made if each.kind == "trigger")]
    places = {"tables": [quote_table(tables.schema, name) for name in names]}
    types, keys = defaultdict[str, dict[str, str]](dict), defaultdict[str, list[str]](list)
    for number, column, kind, is_key in connection.execute(QUERIES["columns_now"], places):
        table = names[int(str(number)) - 1]
        types[table][str(column)] = str(kind)
        keys[table] += [str(column)] if is_key else []
    tables_of = {name_function(table): table for table in names if keys[table]}
    found = list[Managed]()
    for each in made:
        table = tables_of.get(each.name, "") if each.kind == "function" else ""
        new = each
        if table:
            new = write_function(
                tables.manifest,
                tables.schema,
                each,
                table=table,
                types=types[table],
                key=keys[table],
            )
        if new != each:
            connection.execute(_replace(new))
        found.append(new)
    if found != made:
        _MADE.keep(connection, tables.name, found, schema=tables.schema)


def _replace(function: Managed) -> str:
    """The statement that puts a function in the place of one that is there."""
    return function.create.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION", 1)


def _keep(
    connection: Connection,
    tables: LoadedTables,
    others: Sequence[Managed],
    wanted: Sequence[Managed],
    kept: Sequence[Managed],
) -> None:
    """Note what is there: the tables, then the rest; a log that nothing writes to any more stays."""
    logs = [each for each in wanted if each.kind == "table"]
    _MADE.keep(connection, tables.name, [*logs, *others, *kept], schema=tables.schema)
