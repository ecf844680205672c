"""Tables of a load that hold no documents: made beside the others, and changed in place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from assise.errors import ChangedError, TargetError
from assise.manifest.model import Manifest, Table
from assise.manifest.names import list_schemas
from assise.manifest.sections.computed import GENERATED
from assise.postgres import bookkeeping
from assise.postgres.connection import Connection
from assise.progress import Log
from assise.schema.born import add_columns, create_one
from assise.schema.sql import count_rows, quote, quote_table
from assise.transfer.ledger import LEDGER, QUERIES, Load
from assise.types.table import find_type
from assise.wording import count_of

WITH_BORN = 11
"""The version of the ledger from which on it lists such tables."""

SHOWN = 10
"""Existing tables that an error names."""


class BornRows(NamedTuple):
    """A table that is born in PostgreSQL, and the rows that it holds; None where it is gone."""

    name: str
    rows: int | None


def make_schemas(connection: Connection, load: Load, names: Sequence[str]) -> None:
    """Create the schemas that the names of tables give, where they are missing."""
    if not names:
        return
    rows = connection.execute(QUERIES["found_schemas"], {"names": [*names]})
    found = {str(name): bool(is_ours) for name, is_ours in rows}
    statements = [f"CREATE SCHEMA {quote(name)}" for name in names if name not in found]
    connection.execute(";\n".join(statements) or "SELECT")
    ours = [name for name in names if found.get(name, True)]
    connection.execute(QUERIES["insert_schemas"], {"load_id": load.id, "names": ours})


def make_tables(connection: Connection, load: Load, manifest: Manifest) -> None:
    """Create all of a manifest, in the caller's transaction, and note them as the load's."""
    for name, table in manifest.born.items():
        connection.execute(create_one(name, table, schema=load.schema))
    note(connection, load, [*manifest.born])


def note(connection: Connection, load: Load, names: Sequence[str]) -> None:
    """Note tables as made for a load."""
    connection.execute(QUERIES["insert_born"], {"load_id": load.id, "names": [*names]})


def list_born(connection: Connection, load: Load) -> list[BornRows]:
    """The tables that were made for a load, with the rows that they hold now."""
    return [
        BornRows(name, _count(connection, load, name) if is_there else None)
        for name, is_there in find_made(connection, load).items()
    ]


def find_made(connection: Connection, load: Load) -> dict[str, bool]:
    """The tables that were made for a load, by name; whether each is there."""
    if bookkeeping.find_version(connection, LEDGER) < WITH_BORN:
        return {}
    names = [str(name) for (name,) in connection.execute(QUERIES["born"], {"load_id": load.id})]
    places = [quote_table(load.schema, name) for name in names]
    there = {number for (number,) in connection.execute(QUERIES["are_tables"], {"tables": places})}
    return {name: number in there for number, name in enumerate(names, 1)}


def _count(connection: Connection, load: Load, name: str) -> int:
    return int(str(connection.scalar(count_rows(name, load.schema))))


def apply_tables(connection: Connection, load: Load, manifest: Manifest, *, log: Log) -> None:
    """Create what the manifest has more: tables, and columns of those that are there.

    Raises:
        ChangedError: a table is left out that holds rows, or a column has another type.
        TargetError: the application has a table of such a name.
    """
    statements, new = _plan(connection, load, manifest)
    if not statements:
        return
    with connection.transaction():
        make_schemas(connection, load, list_schemas(new))
        connection.execute(";\n".join(statements))
        note(connection, load, new)
        names = {"load_id": load.id, "names": [*manifest.born]}
        connection.execute(QUERIES["forget_born"], names)
    log(f"tables born in PostgreSQL: {count_of(len(statements), 'change')} made in place")


def plan_tables(connection: Connection, load: Load, manifest: Manifest) -> list[str]:
    """The statements of `apply_tables`; nothing is written. Raises as it does."""
    return _plan(connection, load, manifest)[0]


def _plan(connection: Connection, load: Load, manifest: Manifest) -> tuple[list[str], list[str]]:
    """The statements, and the tables that are new."""
    known = [name for name, is_there in find_made(connection, load).items() if is_there]
    new = [name for name in manifest.born if name not in known]
    check_free(
        connection,
        [(quote_table(load.schema, name), name) for name in new],
        remedy="Rename the tables in the manifest, or drop them yourself.",
    )
    statements = [create_one(name, manifest.born[name], schema=load.schema) for name in new]
    for name in known:
        if name in manifest.born:
            statements += _plan_columns(connection, load, name, manifest.born[name])
    for name in known:
        if name not in manifest.tables:
            if rows := _count(connection, load, name):
                raise _refuse(f"{name} is left out, and it holds {count_of(rows, 'row')}")
            statements.append(f"DROP TABLE {quote_table(load.schema, name)}")
    return statements, new


def check_free(connection: Connection, places: Sequence[tuple[str, str]], *, remedy: str) -> None:
    """Check that no table or index has one of these places, each with the name that is shown.

    Raises:
        TargetError: it names those that are taken.
    """
    taken = connection.execute(QUERIES["existing"], {"tables": [place for place, _ in places]})
    existing = [places[int(str(number)) - 1][1] for (number,) in taken]
    if existing:
        raise TargetError(
            f"{connection.target} already has {', '.join(existing[:SHOWN])}:"
            " existing tables are never overwritten",
            remedy=remedy,
        )


def _plan_columns(connection: Connection, load: Load, name: str, table: Table) -> Iterator[str]:
    parameters = {"tables": [quote_table(load.schema, name)]}
    rows = connection.execute(QUERIES["columns"], parameters)
    found = {str(column): str(kind) for _, column, kind in rows}
    for column, kind in found.items():
        wanted = table.columns.get(column)
        if wanted is not None and find_type(wanted.type).catalog_name != kind:
            raise _refuse(f"{name}.{column} is {kind}, and {wanted.type} in the manifest")
    stored = {name: each for name, each in table.columns.items() if GENERATED.of(each) is None}
    new = {each: column for each, column in stored.items() if each not in found}
    if new:
        yield add_columns(name, new, load.schema)


def _refuse(what: str) -> ChangedError:
    return ChangedError(
        f"the manifest has changed: {what}",
        remedy='next: assise schema revise "what changes", which writes down what becomes of rows',
    )
