"""The synchronous twin of `assise.postgres.pool`: one session, with a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg

from assise.postgres.plain_rows import plain_row
from assise.postgres.pool import Arguments, Record, name_cursor
from assise.postgres.rights import Rights, check_bound, check_open, check_results, check_whole
from assise.postgres.translate import translated


class SyncSession:
    """One transaction with the rights of a user; `connection` is psycopg's own.

    The methods are those of `assise.postgres.pool.Session`, without await.
    """

    def __init__(self, connection: psycopg.Connection[Record], target: str) -> None:
        self.connection, self.target = connection, target

    def execute(self, statement: str, parameters: Arguments = None) -> int:
        """Run a statement; how many rows it wrote or found."""
        return self._run(statement, parameters).rowcount

    def fetch(self, query: str, parameters: Arguments = None) -> list[Record]:
        """All rows of a query."""
        cursor = self._run(query, parameters)
        return cursor.fetchall() if cursor.description else []

    def fetch_one(self, query: str, parameters: Arguments = None) -> Record | None:
        """The first row of a query; None where there is none."""
        cursor = self._run(query, parameters)
        return cursor.fetchone() if cursor.description else None

    def fetch_value(self, query: str, parameters: Arguments = None) -> Any:  # noqa: ANN401
        """The first value of the first row; None where there is none."""
        row = self.fetch_one(query, parameters)
        return next(iter(row.values())) if row else None

    def stream(
        self, query: str, parameters: Arguments = None, *, size: int = 1_000
    ) -> Iterator[Record]:
        """The rows of a query one by one, `size` of them in memory."""
        with (
            translated(self.target, in_session=True),
            self.connection.cursor(name=name_cursor()) as rows,
        ):
            rows.itersize = size
            rows.execute(query.encode(), parameters)
            yield from rows

    @contextmanager
    def copy(self, statement: str, parameters: Arguments = None) -> Iterator[psycopg.Copy]:
        """Psycopg's COPY. Under a rule the server takes COPY TO, and refuses COPY FROM."""
        with (
            translated(self.target, in_session=True),
            self.connection.cursor() as cursor,
            cursor.copy(statement.encode(), parameters) as copy,
        ):
            yield copy

    def _run(self, statement: str, parameters: Arguments) -> psycopg.Cursor[Record]:
        check_open(self.connection.pgconn)
        with translated(self.target, in_session=True):
            cursor = self.connection.execute(statement.encode(), parameters)
        check_open(self.connection.pgconn)
        if check_results(cursor, statement):
            cursor.set_result(0)
        return cursor


@contextmanager
def open_session(
    conninfo: str, target: str, rights: Rights, *, is_bound: bool = True
) -> Iterator[SyncSession]:
    """A transaction with these rights: committed at the end, taken back by an exception.

    Without roles in the manifest there are no rules, which could bind the login.

    Raises:
        TargetError: the server cannot be reached, it refused something, or no rule binds the role.
        UsageError: SQL ended the transaction, or an error was passed over.
    """
    with translated(target, in_session=True):
        connection = psycopg.connect(
            conninfo,
            autocommit=True,
            prepare_threshold=None,
            row_factory=plain_row,
            application_name="assise",
        )
    with closing(connection):
        with translated(target, in_session=True):
            if is_bound:
                check_bound(connection, target, rights.others)
            connection.execute(b"; ".join(rights.begin(connection)), prepare=False)
        yield SyncSession(connection, target)
        check_open(connection.pgconn)
        check_whole(connection.pgconn)
        with translated(target, in_session=True):
            connection.commit()
