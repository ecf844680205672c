"""The tables of jobs, in schema `assise`: those of procrastinate, and the version that made them.

They hold no job that is not made again at its time, so another version of procrastinate gets new
ones instead of changed ones.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files

from assise.postgres import bookkeeping
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.queries import Queries
from assise.postgres.queue import read_schema
from assise.progress import Log

QUERIES = Queries("assise.worker")
IN_SCRIPT = False
PART = Bookkeeping("worker", files("assise.worker").joinpath("sql"))


def ensure(connection: Connection) -> None:
    """Make the tables of jobs, whole or not at all."""
    schema, found = read_schema(), version("procrastinate")
    bookkeeping.ensure(connection, PART)
    if connection.scalar(QUERIES["version"]) == found:
        return
    with bookkeeping.lock(connection), connection.transaction():
        if connection.scalar(QUERIES["version"]) != found:
            _drop(connection)
            connection.execute("SET LOCAL search_path TO assise")
            connection.execute(schema)
            connection.execute("SET LOCAL search_path TO DEFAULT")
            connection.execute(QUERIES["set_version"], {"version": found})


def _drop(connection: Connection) -> None:
    for (statement,) in connection.execute(QUERIES["made"]):
        connection.execute(str(statement))


def apply_manifest(connection: Connection, tables: object, *, log: Log) -> None:
    """Add nothing to the tables of a load."""
    del connection, tables, log


def list_additions(connection: Connection, load: str) -> set[tuple[str, str]]:
    """Nothing is added to the tables of a load."""
    del connection, load
    return set()


def forget(connection: Connection, load: str) -> None:
    """Drop the tables of jobs, in the transaction in which a load is undone; they are made again.

    The caller has the lock of the bookkeeping.
    """
    del load
    if bookkeeping.find_version(connection, PART):
        _drop(connection)
        connection.execute(QUERIES["drop_queue"])
        bookkeeping.forget(connection, PART)
