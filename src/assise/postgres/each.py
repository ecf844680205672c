"""An index or a foreign key of a table that is cut, made for one partition after the other.

The server builds neither CONCURRENTLY on such a table, and on PostgreSQL 15 adds no foreign key NOT
VALID. Made beside writers on each partition, both are found there by that of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from assise.errors import RefusedError
from assise.postgres.connection import Connection
from assise.postgres.queries import QUERIES
from assise.postgres.steps import Note, Runner


def build_index(runner: Runner, table: str, *, index: str, only: str) -> None:
    """Build an index: `only` makes that of the whole, invalid until each partition has its part.

    What a killed run has made stays; an invalid part is dropped and built again.

    Raises:
        RefusedError: the table is not cut. BusyError: a lock could not be had.
    """
    connection = runner.connection
    _check_cut(connection, table)
    if connection.scalar(QUERIES["index_state"], {"index": index}) is None:
        runner.run_together([only], [table], _nothing)
    for part, name, build, attach in connection.execute(QUERIES["index_parts"], {"index": index}):
        runner.run_alone(str(build), str(name), _nothing, _nothing)
        runner.run_together([str(attach)], [table, str(part)], _nothing)


def add_foreign_key(
    runner: Runner, table: str, *, name: str, write: Callable[[str | None], str], note: Note
) -> None:
    """Add a foreign key: to each partition NOT VALID, then VALIDATE, then to the whole.

    `write` gives the statement for a partition, or for the whole; `note` is in its transaction.

    Raises:
        RefusedError: the table is not cut. ViolationError: rows break it.
    """
    _check_cut(runner.connection, table)
    for part, state in _list_states(runner.connection, table, name):
        if state is None:
            runner.run_together([write(part)], [part], _nothing)
        if not state:
            validate = f"ALTER TABLE {part} VALIDATE CONSTRAINT {name}"
            runner.run_together([validate], [part], _nothing)
    runner.run_together([write(None)], [table], note)


def _list_states(connection: Connection, table: str, name: str) -> Iterator[tuple[str, object]]:
    found = connection.execute(QUERIES["constraint_parts"], {"table": table, "name": name})
    yield from ((str(part), state) for part, state in found)


def _check_cut(connection: Connection, table: str) -> None:
    if not connection.scalar(QUERIES["partitioned_by"], {"table": table}):
        raise RefusedError(f"{table} has no partitions", remedy="Remove `-- assise: each` there.")


def _nothing() -> None:
    """Note nothing: what is there tells how far it is."""
