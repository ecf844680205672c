"""One connection to the target: statements go in, rows come out, as Python's values or as bytes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import repeat
from queue import SimpleQueue
from typing import Self, TypeVar, cast

import psycopg
from psycopg import generators, pq, sql
from psycopg.pq.abc import PGresult
from psycopg.rows import kwargs_row

from assise.errors import TargetError
from assise.postgres.conninfo import describe, list_variables
from assise.postgres.copy import write_rows
from assise.postgres.environment import without_service
from assise.postgres.queries import QUERIES
from assise.postgres.session import SETTINGS
from assise.postgres.translate import describe_error, translated
from assise.types.table import find_type
from assise.types.wire import Cell

Parameter = str | int | float | bytes | None | Sequence[str]
Parameters = Sequence[Parameter] | Mapping[str, object]
BinaryRow = tuple[Cell | None, ...]
"""The cells of a row in binary format, without their lengths; None for NULL."""

CANCEL_S = 5
"""Seconds in which a server takes the request to end a statement."""

Made = TypeVar("Made")


class Connection:
    """A connection of psycopg, in autocommit outside of `transaction`.

    Its session has the settings that texts and bytes rely on.
    """

    def __init__(self, conninfo: str, *, shown: str | None = None) -> None:
        """Connect; `shown` is what people read as the target, without a secret.

        Raises:
            TargetError: the server cannot be reached or refuses.
        """
        self.target, self.conninfo = shown or describe(conninfo), conninfo
        try:
            with without_service(conninfo):
                self._connection = psycopg.connect(
                    conninfo, autocommit=True, application_name="assise", prepare_threshold=None
                )
        except psycopg.Error as error:
            remedy = "Check that the server runs and that the URL is right."
            if variables := ", ".join(list_variables(conninfo)):
                remedy += f" The environment sets {variables}. Try it with them unset."
            raise TargetError(f"{self.target}: {describe_error(error)}", remedy=remedy) from error
        settings = {"names": [*SETTINGS], "values": [*SETTINGS.values()]}
        self.execute(QUERIES["set_session"], settings)
        self.see_all_rows()
        # A killed command's statement then ends with it, and its locks. A server on Windows cannot.
        with suppress(TargetError):
            self.execute("SET client_connection_check_interval = '1s'")

    def see_all_rows(self) -> None:
        """See all rows of tables whose rules bind their owner too, where it is proved that one may.

        Otherwise the server refuses each statement from which a rule would take rows.
        """
        self.execute(QUERIES["see_all"])

    def another(self) -> Connection:
        """A second connection to the same place."""
        return Connection(self.conninfo, shown=self.target)

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        self._connection.close()

    def cancel(self) -> None:
        """End the statement that another thread waits for; a server that is cut off ends none."""
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=CANCEL_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def server_version(self) -> int:
        """Such as 180003 for 18.3."""
        return self._connection.info.server_version

    @property
    def pid(self) -> int:
        """The process of the server that serves this session."""
        return self._connection.info.backend_pid

    @property
    def parts(self) -> Mapping[str, str]:
        """Host, port, database and user, as connected."""
        info = self._connection.info
        return {"host": info.host, "port": str(info.port), "dbname": info.dbname, "user": info.user}

    @contextmanager
    def transaction(
        self, *, isolation: str = "READ COMMITTED", is_durable: bool = True
    ) -> Iterator[None]:
        """BEGIN … COMMIT, or ROLLBACK on an error.

        With `is_durable` False the commit does not wait for the disk: the next one that does makes
        both durable, and when the server crashes before it, all of the transaction is lost.
        """
        begin = f"BEGIN ISOLATION LEVEL {isolation}"
        self.execute(begin if is_durable else f"{begin}; SET LOCAL synchronous_commit = off")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            # When the connection is lost the server takes the transaction back.
            with suppress(psycopg.Error):
                match self._connection.info.transaction_status:
                    case pq.TransactionStatus.INTRANS | pq.TransactionStatus.INERROR:
                        self._connection.rollback()
                    case pq.TransactionStatus.ACTIVE:  # Ctrl-C while a statement was sent
                        self._connection.close()
            raise

    def begin_at(self, snapshot: str) -> None:
        """Begin to read what the transaction reads that has exported this snapshot."""
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        self.execute(f"SET TRANSACTION SNAPSHOT {sql.quote(snapshot)}")

    def execute(self, statement: str, parameters: Parameters = ()) -> list[tuple[object, ...]]:
        """Run one statement, whose parameters are `%s` or `%(name)s`; its rows, if it has some."""
        with translated(self.target):
            cursor = self._connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def fetch(
        self,
        make: Callable[..., Made],
        statement: str,
        parameters: Parameters = (),
        *,
        binary: bool = False,
    ) -> list[Made]:
        """Run a query and make each of its rows: `make(column=value, …)`, such as a dataclass.

        With `binary` large `bytea` comes as it is, and not as digits.
        """
        with (
            translated(self.target),
            self._connection.cursor(binary=binary, row_factory=kwargs_row(make)) as cursor,
        ):
            return cursor.execute(statement.encode(), parameters or None).fetchall()

    def scalar(self, statement: str, parameters: Parameters = ()) -> object:
        """The first value of the first row; None without rows."""
        rows = self.execute(statement, parameters)
        return rows[0][0] if rows else None

    def fetch_cells(self, statement: str, array: bytes, column_type: str) -> Iterator[BinaryRow]:
        """The rows of a query over one array $1 of `column_type`, every cell in binary format."""
        with translated(self.target):
            return _read_rows(self._query(statement, [array], [find_type(column_type).array_oid]))

    def fetch_column(self, statement: str, array: bytes, column_type: str) -> list[Cell]:
        """The cells of a query of one column that is never NULL, otherwise as `fetch_cells`."""
        with translated(self.target):
            result = self._query(statement, [array], [find_type(column_type).array_oid])
            return [*_read_column(result, 0)]

    def stream(
        self,
        query: str,
        array: bytes | None = None,
        column_type: str = "text",
        *,
        cursor: str = "assise_stream",
    ) -> Generator[BinaryRow, None, None]:
        """Like `fetch_cells`, but through a server-side cursor, some thousand rows at a time.

        Needs a transaction, in which the names of cursors are unique.
        """
        with translated(self.target):
            parameters = [] if array is None else [array]
            self._query(
                f"DECLARE {cursor} NO SCROLL CURSOR FOR {query}",
                parameters,
                [find_type(column_type).array_oid][: len(parameters)],
            )
            try:
                while (result := self._query(f"FETCH 5000 FROM {cursor}", [], [])).ntuples:
                    yield from _read_rows(result)
            finally:
                if self._connection.info.transaction_status is pq.TransactionStatus.INTRANS:
                    self.execute(f"CLOSE {cursor}")

    def _query(self, statement: str, parameters: list[bytes], oids: list[int]) -> PGresult:
        """One statement with everything in binary format; Ctrl-C cancels it."""
        pgconn = self._connection.pgconn
        pgconn.send_query_params(statement.encode(), parameters, oids, [1] * len(parameters), 1)
        result: PGresult = self._connection.wait(generators.execute(pgconn))[0]
        if result.status not in {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK}:
            raise psycopg.errors.error_from_result(result, encoding="utf-8")
        return result

    def copy_in(self, statement: str, rows: Iterable[bytes]) -> None:
        """Send rows of binary COPY.

        Raises:
            DuplicateKeyError, LimitError, SerializationError: the server refused a row, or the
            moment. TargetError: anything else.
        """
        with translated(self.target), self._connection.cursor().copy(statement.encode()) as copy:
            write_rows(copy, rows)


def execute_all(connection: Connection, statements: Sequence[str], *, workers: int) -> None:
    """Run statements that do not wait for each other, in as many sessions as are of use."""
    calls = [partial(_execute, statement) for statement in statements]
    for _ in run_all(connection, calls, workers=workers):
        pass


def _execute(statement: str, session: Connection) -> None:
    session.execute(statement)


def run_all(
    connection: Connection, calls: Sequence[Callable[[Connection], Made]], *, workers: int
) -> Iterator[Made]:
    """The results of calls that do not wait for each other, in as many sessions as are of use.

    Where the server or the role has fewer sessions left, in those that connect. The first error
    ends all.
    """
    with ExitStack() as stack:
        sessions: list[Connection] = []
        with suppress(TargetError):
            while len(sessions) < min(workers, len(calls)) > 1:
                sessions.append(stack.enter_context(connection.another()))
        if not sessions:
            for call in calls:
                yield call(connection)
            return
        idle = SimpleQueue[Connection]()
        for session in sessions:
            idle.put(session)

        is_over = False

        def run(call: Callable[[Connection], Made]) -> Made | None:
            session = idle.get()
            try:
                return None if is_over else call(session)
            finally:
                idle.put(session)

        executor = stack.enter_context(ThreadPoolExecutor(len(sessions)))
        try:
            for future in as_completed([executor.submit(run, call) for call in calls]):
                yield cast(Made, future.result())
        except BaseException:
            is_over = True
            executor.shutdown(wait=False, cancel_futures=True)
            for session in sessions:
                session.cancel()
            raise


def _read_column(result: PGresult, column: int) -> Iterator[Cell]:
    cells = map(result.get_value, range(result.ntuples), repeat(column))
    return cast(Iterator[Cell], cells)


def _read_rows(result: PGresult) -> Iterator[BinaryRow]:
    columns = [_read_column(result, column) for column in range(result.nfields)]
    return cast(Iterator[BinaryRow], zip(*columns, strict=True))
