"""The connection when a statement does not come to its end."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from assise.errors import TargetError
from assise.postgres.connection import Connection
from assise.postgres.environment import EMBEDDED


def begin_and_be_interrupted(connection: Connection) -> None:
    with connection.transaction():
        connection.execute("INSERT INTO t VALUES (1)")
        connection._connection.pgconn.send_query(b"SELECT pg_sleep(20)")  # noqa: SLF001
        raise KeyboardInterrupt


def begin_and_fail(connection: Connection) -> None:
    with connection.transaction():
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("SELECT nothing")


def test_ctrl_c_while_a_statement_is_being_sent_ends_the_transaction_and_stays_ctrl_c(
    database: str,
) -> None:
    with Connection(database) as connection:
        connection.execute("CREATE TABLE t (n int)")
        with pytest.raises(KeyboardInterrupt):
            begin_and_be_interrupted(connection)
        with pytest.raises(TargetError):
            connection.execute("SELECT 1")
    with psycopg.connect(database, autocommit=True) as other:
        deadline = time.monotonic() + 10
        while other.execute(
            "SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
        ).fetchall():
            assert time.monotonic() < deadline, "the statement runs on"
            time.sleep(0.05)
        assert other.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_failed_statement_takes_its_transaction_back_and_the_connection_goes_on(
    database: str,
) -> None:
    with Connection(database) as connection:
        connection.execute("CREATE TABLE t (n int)")
        with pytest.raises(TargetError):
            begin_and_fail(connection)
        assert connection.scalar("SELECT count(*) FROM t") == 0


def begin_and_be_terminated(connection: Connection, database: str) -> None:
    with connection.transaction():
        connection.execute("INSERT INTO t VALUES (1)")
        pid = connection.scalar("SELECT pg_backend_pid()")
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        connection.execute("INSERT INTO t VALUES (2)")


@pytest.mark.contract
def test_a_session_that_the_server_ends_is_an_error_in_words(database: str) -> None:
    with Connection(database) as connection:
        connection.execute("CREATE TABLE t (n int)")
        with pytest.raises(
            TargetError, match="terminating connection due to administrator command"
        ):
            begin_and_be_terminated(connection, database)


def test_a_server_that_does_not_run_is_told_in_one_line_by_its_folder(tmp_path: Path) -> None:
    secret = "hush"
    conninfo = make_conninfo(
        host=str(tmp_path),
        user="chat_app",
        dbname="chat",
        password=secret,
        client_encoding="UTF8",
        gssencmode="disable",
        fallback_application_name=EMBEDDED,
    )
    with pytest.raises(TargetError) as caught:
        Connection(conninfo)
    said = caught.value.message
    assert said.startswith(f"postgresql://chat_app@/chat?host={quote(str(tmp_path), safe='')}: ")
    assert "Is the server running" in said
    assert not {"\t", "\n"} & {*said}
    assert not [word for word in (secret, "gssencmode", EMBEDDED, "UTF8") if word in said]
