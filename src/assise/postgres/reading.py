"""Thousands of tables read in one snapshot, with no more locks than the server has."""

from __future__ import annotations

from assise.postgres.connection import Connection
from assise.postgres.server import count_tables_at_once

SAVEPOINT = "assise_reading"


class Reading:
    """Gives back the locks of tables that are read already, before they are too many.

    It is made in the transaction that reads, outside of other savepoints; `sessions` is how many
    such transactions there are at the same time. A rollback to a savepoint ends the locks taken
    since, and keeps the snapshot.
    """

    def __init__(self, connection: Connection, *, sessions: int = 1) -> None:
        self._connection, self._locked = connection, 0
        self._most = count_tables_at_once(connection) // sessions
        connection.execute(f"SAVEPOINT {SAVEPOINT}")

    def open(self, tables: int) -> None:
        """Announce so many further tables; no cursor is open."""
        self._locked += tables
        if self._locked > self._most:
            self._connection.execute(f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
            self._locked = tables
