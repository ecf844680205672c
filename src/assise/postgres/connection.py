"""One connection to the target: statements in, binary cells out, and psycopg's errors translated."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, suppress
from itertools import repeat
from queue import SimpleQueue
from typing import Self, cast
from urllib.parse import quote as percent
from urllib.parse import urlencode

import psycopg
from psycopg import generators, pq, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq.abc import PGresult

from assise.errors import (
    BusyError,
    DependentError,
    DuplicateKeyError,
    LimitError,
    SerializationError,
    TargetError,
    UsageError,
)
from assise.types.table import TYPES
from assise.types.wire import COPY_HEAD, COPY_TAIL, Cell

_SECRET = {
    "password",
    "sslpassword",
    "passfile",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
}

_WRITE_BYTES, _SLICE_BYTES = 1 << 20, 4 << 20

Parameter = str | int | float | bytes | None | Sequence[str]
Cells = tuple[Cell | None, ...]


def describe(conninfo: str) -> str:
    """A connection string as a URL without its password, for people, manifests and ledgers.

    Raises:
        UsageError: it is no connection string of libpq.
    """
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError as error:
        raise UsageError(
            "this is no PostgreSQL URL or connection string",
            remedy="Write postgresql://user@host/database.",
        ) from error
    shown = {
        key: str(value) for key, value in parts.items() if key not in _SECRET and value is not None
    }
    user, host, port, database = (shown.pop(key, "") for key in ("user", "host", "port", "dbname"))
    if "@" in host[1:] or "@" in database or not re.fullmatch("[0-9,]*", port):
        raise UsageError(
            "this PostgreSQL URL has an odd host or port",
            remedy="In a user or password write @ as %40, : as %3A and / as %2F.",
        )
    is_plain = bool(host) and not set(host) & set("/,@:[]%")
    query = urlencode(
        {**({} if is_plain or not host else {"host": host}), **shown}, quote_via=percent
    )
    place = f"{percent(user)}@" * bool(user) + (host if is_plain else "") + f":{port}" * bool(port)
    return f"postgresql://{place}/{percent(database)}" + f"?{query}" * bool(query)


class Connection:
    """A psycopg connection, in autocommit outside of `transaction`, with the session settings that texts and bytes rely on."""

    def __init__(self, conninfo: str, *, shown: str | None = None) -> None:
        """Connect; `shown` is what people read as the target, without a secret.

        Raises:
            TargetError: the server cannot be reached or refuses.
        """
        self.target, self.conninfo = shown or describe(conninfo), conninfo
        try:
            self._connection = psycopg.connect(
                conninfo, autocommit=True, application_name="assise", prepare_threshold=None
            )
        except psycopg.Error as error:
            raise TargetError(
                f"{self.target}: {_words(error)}",
                remedy="Check that the server runs and that the URL is right.",
            ) from error
        self.execute("SET TimeZone = 'UTC'")
        self.execute("SET client_encoding = 'UTF8'")
        self.execute("SET statement_timeout = 0")
        self.execute("SET idle_in_transaction_session_timeout = 0")
        self.execute("SET idle_session_timeout = 0")
        with suppress(
            TargetError
        ):  # a server on Windows cannot do it: that a killed command's statement ends with it, and its locks
            self.execute("SET client_connection_check_interval = '1s'")

    def another(self) -> Connection:
        """A second connection to the same place."""
        return Connection(self.conninfo, shown=self.target)

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        self._connection.close()

    def cancel(self) -> None:
        """End the statement that another thread waits for."""
        with suppress(psycopg.Error):
            self._connection.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def server_version(self) -> int:
        """Such as 180003 for 18.3."""
        return self._connection.info.server_version

    @property
    def parts(self) -> Mapping[str, str]:
        """Host, port, database and user, as connected."""
        info = self._connection.info
        return {"host": info.host, "port": str(info.port), "dbname": info.dbname, "user": info.user}

    @contextmanager
    def transaction(self, *, isolation: str = "READ COMMITTED") -> Iterator[None]:
        """BEGIN … COMMIT, or ROLLBACK on an error."""
        self.execute(f"BEGIN ISOLATION LEVEL {isolation}")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            with suppress(
                psycopg.Error
            ):  # a lost connection: the server takes the transaction back
                match self._connection.info.transaction_status:
                    case pq.TransactionStatus.INTRANS | pq.TransactionStatus.INERROR:
                        self._connection.rollback()
                    case pq.TransactionStatus.ACTIVE:  # Ctrl-C while a statement was being sent
                        self._connection.close()
            raise

    def begin_at(self, snapshot: str) -> None:
        """Begin to read what the transaction reads that has exported this snapshot."""
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        self.execute(f"SET TRANSACTION SNAPSHOT {sql.quote(snapshot)}")

    def execute(
        self, statement: str, parameters: Sequence[Parameter] = ()
    ) -> list[tuple[object, ...]]:
        """Run one statement; parameters are $1, $2, … as psycopg's %s. The rows, if it gives some."""
        with _translated(self.target):
            cursor = self._connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def scalar(self, statement: str, parameters: Sequence[Parameter] = ()) -> object:
        """The first value of the first row, None without rows."""
        rows = self.execute(statement, parameters)
        return rows[0][0] if rows else None

    def fetch_cells(self, statement: str, array: bytes, column_type: str) -> Iterator[Cells]:
        """The rows of a query over one array parameter $1 of `column_type`, every cell in binary format."""
        with _translated(self.target):
            return _cells(self._query(statement, [array], [TYPES[column_type].array_oid]))

    def stream(
        self,
        query: str,
        array: bytes | None = None,
        column_type: str = "text",
        *,
        cursor: str = "assise_stream",
    ) -> Generator[Cells, None, None]:
        """As `fetch_cells`, some thousand rows at a time; inside a transaction, one at a time of each name `cursor`."""
        with _translated(self.target):
            parameters = [] if array is None else [array]
            self._query(
                f"DECLARE {cursor} NO SCROLL CURSOR FOR {query}",
                parameters,
                [TYPES[column_type].array_oid][: len(parameters)],
            )
            try:
                while (result := self._query(f"FETCH 5000 FROM {cursor}", [], [])).ntuples:
                    yield from _cells(result)
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
            DuplicateKeyError, LimitError, SerializationError: the server refused a row, or the moment; TargetError otherwise.
        """
        with _translated(self.target), self._connection.cursor().copy(statement.encode()) as copy:
            block, size = [COPY_HEAD], 0
            for row in rows:
                block.append(row)
                size += len(row)
                if size >= _WRITE_BYTES:
                    _write(copy, block)
                    block, size = [], 0
            _write(copy, [*block, COPY_TAIL])


def execute_all(connection: Connection, statements: Sequence[str], *, workers: int) -> None:
    """Run statements that do not wait for each other, some at the same time, in as many sessions as are of use."""
    if min(workers, len(statements)) < 2:
        for statement in statements:
            connection.execute(statement)
        return
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(connection.another()) for _ in range(min(workers, len(statements)))
        ]
        idle = SimpleQueue[Connection]()
        for session in sessions:
            idle.put(session)

        is_over = False

        def run(statement: str) -> None:
            session = idle.get()
            try:
                if not is_over:
                    session.execute(statement)
            finally:
                idle.put(session)

        executor = stack.enter_context(ThreadPoolExecutor(len(sessions)))
        try:
            for future in as_completed(
                [executor.submit(run, statement) for statement in statements]
            ):
                future.result()
        except BaseException:
            is_over = True
            executor.shutdown(wait=False, cancel_futures=True)
            for session in sessions:
                session.cancel()
            raise


def _write(copy: psycopg.Copy, block: list[bytes]) -> None:
    """Small rows together, large ones in slices: a row may be a hundred MB, and psycopg copies what it is given."""
    joined = block[0] if len(block) == 1 else b"".join(block)
    for start in range(0, len(joined), _SLICE_BYTES):
        copy.write(joined[start : start + _SLICE_BYTES])


def _cells(result: PGresult) -> Iterator[Cells]:
    columns = [
        map(result.get_value, range(result.ntuples), repeat(column))
        for column in range(result.nfields)
    ]
    return cast(Iterator[Cells], zip(*columns, strict=True))


@contextmanager
def _translated(target: str) -> Iterator[None]:
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        raise DuplicateKeyError(_words(error)) from error
    except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected) as error:
        raise SerializationError(_words(error)) from error
    except psycopg.errors.LockNotAvailable as error:
        raise BusyError(f"{target}: {_words(error)}") from error
    except psycopg.errors.DependentObjectsStillExist as error:
        raise DependentError(
            f"{target}: {_words(error)}: {error.diag.message_detail or ''}",
            remedy="Drop what is named, or move it away.",
        ) from error
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if state.startswith("54"):
            raise LimitError(_words(error)) from error
        raise TargetError(f"{target}: {_words(error)}", remedy=_remedy(state)) from error


def _words(error: psycopg.Error) -> str:
    """What the server says, without the parts that quote a row's data at length."""
    diag = error.diag
    text = diag.message_primary or str(error).strip() or type(error).__name__
    place = re.match(r"COPY [^\n]*, line \d+", diag.context or "")
    words = f"{text} ({place.group()})" if place else text
    return re.sub(r"(password|passwd)=\S+", r"\1=…", words)


def _remedy(state: str) -> str:
    if state in {"42501", "28000", "28P01"}:
        return "Grant the user what is missing, or connect as another one."
    if state.startswith("53"):
        return "The server is out of disk, memory or connections. Make room; the same command then goes on where it stopped."
    if state.startswith(("57P", "08")) or not state:
        return "The connection was lost. When the server is back, the same command goes on where it stopped."
    if state.startswith("22"):
        return "This is a defect of Assise: the row should not have been sent. Nothing of its chunk was stored."
    return ""
