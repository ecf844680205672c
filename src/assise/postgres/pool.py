"""Sessions of an application: a pool of one role, and transactions with a user's rights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq
from psycopg.rows import dict_row

from assise.errors import TargetError
from assise.extras import load
from assise.postgres.rights import Rights, check_bound, check_open, check_whole
from assise.postgres.translate import translated

if TYPE_CHECKING:
    import psycopg_pool

Record = dict[str, Any]
Arguments = Sequence[object] | Mapping[str, object] | None


class Session:
    """One transaction with the rights of a user; `connection` is psycopg's own.

    Statements are SQL with `%s` or `%(name)s`; rows are dictionaries.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Record], target: str) -> None:
        self.connection, self.target = connection, target

    async def execute(self, statement: str, parameters: Arguments = None) -> int:
        """Run a statement; how many rows it wrote or found."""
        return (await self._run(statement, parameters)).rowcount

    async def fetch(self, query: str, parameters: Arguments = None) -> list[Record]:
        """All rows of a query."""
        cursor = await self._run(query, parameters)
        return await cursor.fetchall() if cursor.description else []

    async def fetch_one(self, query: str, parameters: Arguments = None) -> Record | None:
        """The first row of a query; None where there is none."""
        cursor = await self._run(query, parameters)
        return await cursor.fetchone() if cursor.description else None

    async def fetch_value(self, query: str, parameters: Arguments = None) -> Any:  # noqa: ANN401
        """The first value of the first row; None where there is none."""
        row = await self.fetch_one(query, parameters)
        return next(iter(row.values())) if row else None

    async def stream(
        self, query: str, parameters: Arguments = None, *, size: int = 1_000
    ) -> AsyncIterator[Record]:
        """The rows of a query one by one, `size` of them in memory."""
        with translated(self.target):
            async with self.connection.cursor(name=f"stream_{id(query):x}") as cursor:
                cursor.itersize = size
                await cursor.execute(query.encode(), parameters)
                async for row in cursor:
                    yield row

    @asynccontextmanager
    async def copy(
        self, statement: str, parameters: Arguments = None
    ) -> AsyncIterator[psycopg.AsyncCopy]:
        """Psycopg's COPY. Under a rule the server takes COPY TO, and refuses COPY FROM."""
        with translated(self.target):
            async with (
                self.connection.cursor() as cursor,
                cursor.copy(statement.encode(), parameters) as copy,
            ):
                yield copy

    async def _run(self, statement: str, parameters: Arguments) -> psycopg.AsyncCursor[Record]:
        check_open(self.connection.info, self.connection.pgconn.finish)
        with translated(self.target):
            cursor = await self.connection.execute(statement.encode(), parameters)
        check_open(self.connection.info, self.connection.pgconn.finish)
        return cursor


class RolePool:
    """Connections of one role, opened when they are needed first.

    Each may be one of PgBouncer in transaction mode: nothing outlives a transaction, and no
    statement is prepared.
    """

    def __init__(self, conninfo: str, target: str, *, size: int, timeout_ms: int) -> None:
        self.conninfo, self.target, self.size = conninfo, target, size
        self.timeout_s = timeout_ms / 1000
        self._pool: psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Record]] | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Record]]:
        """The pool of psycopg, opened on first use.

        Raises:
            TargetError: the server cannot be reached, or no rule binds the role.
        """
        async with self._opening:
            if self._pool is None:
                module = load("psycopg_pool", extra="app")
                with translated(self.target):
                    await asyncio.to_thread(check_bound, self.conninfo, self.target)
                settings = {"autocommit": True, "prepare_threshold": None, "row_factory": dict_row}
                pool: psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Record]]
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

    async def close(self) -> None:
        """Close all connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @asynccontextmanager
    async def session(self, rights: Rights) -> AsyncIterator[Session]:
        """A transaction with these rights: committed at the end, taken back by an exception.

        Raises:
            TargetError: no connection was free in time, or the server refused something.
            UsageError: SQL ended the transaction, or an error was passed over.
        """
        pool = await self.open()
        try:
            connection = await pool.getconn()
        except load("psycopg_pool", extra="app").PoolTimeout as error:
            raise TargetError(
                f"{self.target}: none of {self.size} connections was free"
                f" in {self.timeout_s:g} s (app.pool_timeout_ms)",
                remedy="End sessions sooner, or raise app.pool_size.",
            ) from error
        try:
            with translated(self.target):
                begin = rights.begin(connection)
                await connection.execute(begin, prepare=False)
            yield Session(connection, self.target)
            check_open(connection.info, connection.pgconn.finish)
            check_whole(connection.info)
            with translated(self.target):
                await connection.commit()
        except BaseException:
            # A session that was cancelled may still wait for the server: it is not used again.
            if connection.info.transaction_status == pq.TransactionStatus.ACTIVE:
                connection.pgconn.finish()
            with suppress(psycopg.Error):
                await connection.rollback()
            raise
        finally:
            await pool.putconn(connection)
