"""Sessions of an application: a pool of one role, and transactions with a user's rights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from itertools import count
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from psycopg import pq

from assise.errors import TargetError, UsageError
from assise.extras import load
from assise.postgres.plain_rows import plain_row
from assise.postgres.rights import (
    Rights,
    check_login,
    check_open,
    check_reach,
    check_results,
    check_whole,
)
from assise.postgres.translate import translated

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

Record = dict[str, Any]
Arguments = Sequence[object] | Mapping[str, object] | None
AsyncConnection = psycopg.AsyncConnection[Record]
Switch = Callable[[], Awaitable[tuple[AsyncConnection, str]]]
"""Gives the connection that goes on in place of one that is gone, and its target."""

OpenSession = Callable[[], AbstractAsyncContextManager["Session"]]
"""Gives a session of the role `app` that has no user."""

WriteEvent = Callable[..., tuple[str, Arguments]]
"""Gives the statement that keeps an event, and its parameters."""

_numbers = count()


def name_cursor() -> str:
    """A name that no other cursor of this process has."""
    return f"stream_{next(_numbers)}"


class Watch(Protocol):
    """What is told of each transaction that may have written, when it has been committed."""

    async def find_query(self, connection: AsyncConnection) -> bytes:
        """A query that is sent with COMMIT; empty for none."""

    async def note(self, rows: Sequence[Record]) -> None:
        """Take note of its rows, behind the commit."""


class Session:
    """One transaction with the rights of a user; `connection` is psycopg's own.

    Statements are SQL with `%s` or `%(name)s`; rows are dictionaries. `position` is, behind the
    block and where there is a replica, the place in the server's log that holds what was written.
    """

    def __init__(
        self, connection: AsyncConnection, target: str, switch: Switch | None = None
    ) -> None:
        self.connection, self.target = connection, target
        self.position: str | None = None
        self.write_event: WriteEvent | None = None
        self._switch = switch

    async def track(
        self, event: str, *, user_id: object = None, properties: Mapping[str, object] = {}
    ) -> None:
        """Keep an event, if and only if this transaction is committed.

        Raises:
            UsageError: it is no session of an application.
        """
        if self.write_event is None:
            raise UsageError(
                "this session keeps no events", remedy="Use a session of app.session()."
            )
        await self.execute(*self.write_event(event, user_id=user_id, properties=properties))

    async def execute(self, statement: str, parameters: Arguments = None) -> int:
        """Run a statement; how many rows it wrote or found."""
        return (await self._run(statement, parameters)).rowcount

    async def fetch(
        self, query: str, parameters: Arguments = None, *, binary: bool = False
    ) -> list[Record]:
        """All rows of a query; with `binary` large `bytea` comes as it is, and not as digits."""
        cursor = await self._run(query, parameters, binary=binary)
        return [] if cursor.rownumber is None else await cursor.fetchall()

    async def fetch_one(self, query: str, parameters: Arguments = None) -> Record | None:
        """The first row of a query; None where there is none."""
        cursor = await self._run(query, parameters)
        return None if cursor.rownumber is None else await cursor.fetchone()

    async def fetch_value(self, query: str, parameters: Arguments = None) -> Any:  # noqa: ANN401
        """The first value of the first row; None where there is none."""
        row = await self.fetch_one(query, parameters)
        return next(iter(row.values())) if row else None

    async def stream(
        self, query: str, parameters: Arguments = None, *, size: int = 1_000
    ) -> AsyncIterator[Record]:
        """The rows of a query one by one, `size` of them in memory."""
        with translated(self.target, in_session=True):
            async with self.connection.cursor(name=name_cursor()) as cursor:
                cursor.itersize = size
                await cursor.execute(query.encode(), parameters)
                async for row in cursor:
                    yield row

    @asynccontextmanager
    async def copy(
        self, statement: str, parameters: Arguments = None
    ) -> AsyncIterator[psycopg.AsyncCopy]:
        """Psycopg's COPY. Under a rule the server takes COPY TO, and refuses COPY FROM."""
        with translated(self.target, in_session=True):
            async with (
                self.connection.cursor() as cursor,
                cursor.copy(statement.encode(), parameters) as copy,
            ):
                yield copy

    async def _run(
        self, statement: str, parameters: Arguments, *, binary: bool = False
    ) -> psycopg.AsyncCursor[Record]:
        try:
            return await self._execute(statement, parameters, binary=binary)
        except TargetError as error:
            if self._switch is None or not is_gone(error):
                raise
        switch, self._switch = self._switch, None
        self.connection, self.target = await switch()
        return await self._execute(statement, parameters, binary=binary)

    async def _execute(
        self, statement: str, parameters: Arguments, *, binary: bool
    ) -> psycopg.AsyncCursor[Record]:
        check_open(self.connection.pgconn)
        with translated(self.target, in_session=True):
            cursor = await self.connection.execute(statement.encode(), parameters, binary=binary)
        check_open(self.connection.pgconn)
        if check_results(cursor, statement):
            await cursor.set_result(0)
        return cursor


class RolePool:
    """Connections of one role, opened when they are needed first.

    With `is_bound` rules must bind the role, which is asked once.
    Each may be one of PgBouncer in transaction mode: nothing outlives a transaction, and no
    statement is prepared.
    """

    def __init__(
        self,
        conninfo: str,
        target: str,
        *,
        size: int,
        timeout_ms: int,
        has_replica: bool = False,
        is_bound: bool = True,
        others: Sequence[str] = (),
    ) -> None:
        self.watch: Watch | None = None
        self.conninfo, self.target, self.size = conninfo, target, size
        self.timeout_s, self.has_replica = timeout_ms / 1000, has_replica
        self.is_bound, self._others = is_bound, others
        self._pool: AsyncConnectionPool[AsyncConnection] | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> AsyncConnectionPool[AsyncConnection]:
        """The pool of psycopg, opened on first use.

        Raises:
            TargetError: the server cannot be reached, or no rule binds the role.
        """
        if self._pool is not None:
            return self._pool
        async with self._opening:
            if self._pool is None:
                module = load("psycopg_pool", extra="app")
                with translated(self.target, in_session=True):
                    wait_s = min(10, max(2, ceil(self.timeout_s)))
                    login = self.conninfo, self.target, wait_s
                    if self.is_bound:
                        await asyncio.to_thread(check_login, *login, self._others)
                    else:
                        await asyncio.to_thread(check_reach, *login)
                settings = {"autocommit": True, "prepare_threshold": None, "row_factory": plain_row}
                pool: AsyncConnectionPool[AsyncConnection]
                pool = module.AsyncConnectionPool(
                    self.conninfo,
                    min_size=0,
                    max_size=self.size,
                    timeout=self.timeout_s,
                    open=False,
                    kwargs=settings,
                )
                await pool.open()
                self._pool = pool
            return self._pool

    def count_used(self) -> tuple[int, int]:
        """How many connections are in use, and how many there may be."""
        if self._pool is None:
            return 0, self.size
        stats = self._pool.get_stats()
        return stats.get("pool_size", 0) - stats.get("pool_available", 0), self.size

    async def close(self) -> None:
        """Close all connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    def lend(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection; at the end nothing of it is left, and it is given back.

        Raises:
            TargetError: the server cannot be reached, or no connection was free in time.
        """
        return _Loan(self)

    @asynccontextmanager
    async def session(self, rights: Rights) -> AsyncIterator[Session]:
        """A transaction with these rights: committed at the end, taken back by an exception.

        Raises:
            TargetError: no connection was free in time, or the server refused something.
            UsageError: SQL ended the transaction, or an error was passed over.
        """
        async with self.lend() as connection:
            await begin(connection, rights, self.target)
            session = Session(connection, self.target)
            yield session
            check_open(connection.pgconn)
            check_whole(connection.pgconn)
            with translated(self.target, in_session=True):
                if rights.is_read_only or not (self.watch or self.has_replica):
                    await connection.commit()
                    return
                query = await self.watch.find_query(connection) if self.watch else b""
                rows, session.position = await _commit(connection, query, self.has_replica)
        if self.watch is not None:
            await self.watch.note(rows)

    async def read(
        self, rights: Rights, query: str, parameters: Sequence[Arguments]
    ) -> list[Record]:
        """The rows of a query, once for each of its parameters, in a transaction with these rights.

        All of it is one message: a server far away is waited for once.

        Raises:
            TargetError: no connection was free in time, or the server refused something.
            UsageError: the query is more than one statement.
        """
        async with self.lend() as connection:
            with translated(self.target, in_session=True):
                bind = psycopg.AsyncClientCursor(connection).mogrify
                texts = (bind(query.encode(), each) for each in parameters)
                queries = [text.encode(connection.info.encoding) for text in texts]
                beginning = rights.begin(connection)
                message = b"; ".join([*beginning, *queries, b"COMMIT"])
                cursor = await connection.execute(message, prepare=False)
                for _ in beginning[1:]:
                    cursor.nextset()
                found: list[Record] = []
                for _ in queries:
                    cursor.nextset()
                    found += [] if cursor.rownumber is None else await cursor.fetchall()
            cursor.nextset()
            if cursor.statusmessage != "COMMIT" or cursor.nextset():
                remedy = "Open a session for several."
                raise UsageError("a query that is read at once is one statement", remedy=remedy)
            return found


class _Loan(AbstractAsyncContextManager[AsyncConnection]):
    """A connection of a pool, until the end of a block; as a generator it costs four times as much."""

    __slots__ = ("_connection", "_from", "_pool")

    def __init__(self, role_pool: RolePool) -> None:
        self._from = role_pool

    async def __aenter__(self) -> AsyncConnection:
        target, timeout_s = self._from.target, self._from.timeout_s
        self._pool = await self._from.open()
        try:
            self._connection = await self._pool.getconn()
        except load("psycopg_pool", extra="app").PoolTimeout as error:
            raise TargetError(
                f"{target}: none of {self._from.size} connections was free"
                f" in {timeout_s:g} s (app.pool_timeout_ms)",
                remedy="End sessions sooner, or raise app.pool_size.",
            ) from error
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        connection = self._connection
        # A session that was cancelled may still wait for the server: it is not used again.
        if connection.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            connection.pgconn.finish()
        try:
            if connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                with suppress(psycopg.Error):
                    await connection.rollback()
        finally:
            # Cancelled again, as anyio does until the end of a scope: nothing may wait any more.
            if connection.pgconn.transaction_status != pq.TransactionStatus.IDLE:
                connection.pgconn.finish()
            await self._pool.putconn(connection)


async def begin(
    connection: AsyncConnection, rights: Rights, target: str, position: str | None = None
) -> bool:
    """Begin a transaction with these rights.

    Whether the server has replayed its log as far as `position`; without one it always has.
    """
    with translated(target, in_session=True):
        message = b"; ".join(rights.begin(connection, position))
        cursor = await connection.execute(message, prepare=False)
        if position is None:
            return True
        await cursor.set_result(-1)
        row = await cursor.fetchone()
    return row is not None and bool(row["is_fresh"])


async def _commit(
    connection: AsyncConnection, query: bytes, has_replica: bool
) -> tuple[list[Record], str | None]:
    """Commit: the rows of a query before it, and how far the server's log reaches: one message.

    That is the place where the next record goes. What is written to disk by now may lie before the
    commit, where `synchronous_commit` is off.
    """
    position = b"SELECT pg_current_wal_insert_lsn()::text AS position" if has_replica else b""
    message = b"; ".join(filter(None, [query, b"COMMIT", position]))
    cursor = await connection.execute(message, prepare=False)
    rows = await cursor.fetchall() if query else []
    if not has_replica:
        return rows, None
    await cursor.set_result(-1)
    row = await cursor.fetchone()
    return rows, row["position"] if row else None


class UnansweredError(Exception):
    """The cause of an error of ours where a server is not asked by psycopg, and does not answer."""


def is_gone(error: TargetError) -> bool:
    """Whether a server was lost, has no connection left, or ended a query to go on replaying."""
    cause = error.__cause__
    if isinstance(cause, UnansweredError):
        return True
    if isinstance(cause, psycopg.Error):
        state = cause.sqlstate or ""
        is_lost = not state and isinstance(cause, psycopg.OperationalError)
        return is_lost or state.startswith(("08", "57P", "53")) or state in {"40001", "40P01"}
    return isinstance(cause, load("psycopg_pool", extra="app").PoolTimeout)
