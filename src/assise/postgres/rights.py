"""The rights of a session of the application: how a transaction begins, and what must hold in it.

Rules of access stop a forgotten filter. They do not stop SQL that calls `set_config` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg import pq, sql
from psycopg.rows import kwargs_row

from assise.errors import TargetError, UsageError
from assise.postgres.queries import QUERIES

if TYPE_CHECKING:
    from psycopg.abc import AdaptContext

_OPEN = {pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR}


class Rights(NamedTuple):
    """Whose session it is, and how long a statement of it may take.

    An id is None where there is none: rules then show only what everybody may see.
    """

    user_id: object = None
    tenant_id: object = None
    statement_timeout_ms: int = 0

    def begin(self, context: AdaptContext) -> bytes:
        """One message that begins a transaction with these rights and no others.

        Every setting is set each time, so that nothing of an earlier transaction counts.

        Raises:
            UsageError: an id holds a NUL.
        """
        settings: Mapping[str, str] = {
            "app.user_id": _as_text("user_id", self.user_id),
            "app.tenant_id": _as_text("tenant_id", self.tenant_id),
            "statement_timeout": str(self.statement_timeout_ms),
        }
        calls = [
            sql.SQL("set_config({}, {}, true)").format(name, value)
            for name, value in settings.items()
        ]
        text = sql.SQL("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT {}")
        return text.format(sql.SQL(", ").join(calls)).as_bytes(context)


def _as_text(name: str, value: object) -> str:
    text = "" if value is None else str(value)
    if "\0" in text:
        raise UsageError(f"{name} holds a NUL", remedy="Give the id as the tables hold it.")
    return text


def check_open(info: psycopg.ConnectionInfo, close: Callable[[], None]) -> None:
    """Check that a statement has not ended the transaction, and with it the session's rights.

    Raises:
        UsageError: it has; the connection is closed.
    """
    if info.transaction_status not in _OPEN and info.status == pq.ConnStatus.OK:
        close()
        raise UsageError(
            "a COMMIT or ROLLBACK in SQL ended the transaction of the session",
            remedy="Leave the block of the session to commit; an exception rolls back."
            " Use SAVEPOINT for parts of it.",
        )


def check_whole(info: psycopg.ConnectionInfo) -> None:
    """Check, before the commit, that no statement has failed.

    Raises:
        UsageError: one has; a COMMIT would take everything back without a word.
    """
    if info.transaction_status == pq.TransactionStatus.INERROR:
        raise UsageError(
            "a statement of the session has failed: nothing of the session is written",
            remedy="Let its error leave the block of the session, or use SAVEPOINT.",
        )


class Login(NamedTuple):
    """A role as the server has it, and what keeps rules from binding it."""

    name: str
    is_superuser: bool
    may_bypass: bool
    tables: list[str]


def check_bound(conninfo: str, target: str) -> None:
    """Check that rules bind the role that an application signs in as.

    Raises:
        TargetError: it goes around them; says why and what to do. psycopg.Error: no connection.
    """
    with (
        psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection,
        connection.cursor(row_factory=kwargs_row(Login)) as cursor,
    ):
        login = cursor.execute(QUERIES["unbound"].encode()).fetchone()
    reason = remedy = ""
    if login is not None and login.is_superuser:
        reason, remedy = "is a superuser", "Sign in as another role, such as PREFIX_app."
    elif login is not None and login.may_bypass:
        reason, remedy = "has BYPASSRLS", f"ALTER ROLE {login.name} NOBYPASSRLS"
    elif login is not None and login.tables:
        reason = f"owns {', '.join(login.tables)}, or is a member of the owner"
        remedy = f"Revoke the owner's role from {login.name}, or sign in as another role."
    if login is not None and reason:
        message = f"{target}: role {login.name!r} {reason}, so that no rule binds it"
        raise TargetError(message, remedy=remedy)
