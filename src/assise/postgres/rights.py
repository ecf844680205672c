"""The rights of a session of the application: how a transaction begins, and what must hold in it.

Rules of access stop a forgotten filter. They do not stop SQL that calls `set_config` itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg import pq, sql
from psycopg.rows import kwargs_row

from assise.errors import TargetError, UsageError
from assise.postgres.queries import QUERIES

if TYPE_CHECKING:
    from psycopg.abc import AdaptContext
    from psycopg.pq.abc import PGconn

_TO_SAVEPOINT = re.compile(r"\brollback\s+(?:(?:work|transaction)\s+)?to\b", re.IGNORECASE)
"""What ends no transaction, and is answered by the same word as what does."""

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the HTTP request that is being answered, which sessions have unless they are given one."""

_PLAIN = re.compile(r"[\w-]*", re.ASCII)
"""What needs no care between quotes: keys of users, nearly always."""

_OPEN = {pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR}


class Rights(NamedTuple):
    """Whose session it is, and how long a statement of it may take.

    An id is None where there is none: rules then show only what everybody may see. `role` is given
    where the roles share one login: empty, or a role that sees all rows. With `has_claims` the
    session has the claims of a token, as Supabase's rules read them. `others` are the roles that see
    more rows than this one, which its login may not be. One that `is_repeatable` sees rows as they
    were at its first statement, and fails where it would change one that was changed since.
    `reason` and `request_id` stand in the log of tables that are audited.
    """

    user_id: object = None
    tenant_id: object = None
    statement_timeout_ms: int = 0
    role: str | None = None
    is_read_only: bool = False
    has_claims: bool = False
    others: tuple[str, ...] = ()
    is_repeatable: bool = False
    reason: str = ""
    request_id: str = ""

    def settings(self) -> Mapping[str, str]:
        """What a transaction with these rights sets, each setting every time.

        Raises:
            UsageError: an id holds a NUL.
        """
        settings = {
            "app.user_id": _as_text("user_id", self.user_id),
            "app.tenant_id": _as_text("tenant_id", self.tenant_id),
            "statement_timeout": str(self.statement_timeout_ms),
        }
        given = {"reason": self.reason, "request_id": self.request_id or REQUEST_ID.get()}
        for name, value in given.items():
            if text := _as_text(name, value):
                settings[f"app.{name}"] = text
        if self.has_claims:
            settings["request.jwt.claims"] = write_claims(settings["app.user_id"])
        return settings if self.role is None else {**settings, "app.role": self.role}

    def begin(self, context: AdaptContext, position: str | None = None) -> list[bytes]:
        """The statements that begin a transaction with these rights and no others: one message.

        Every setting is set each time, so that nothing of an earlier transaction counts. With a
        position the last row says in `is_fresh` whether the server has replayed its log so far.

        Raises:
            UsageError: an id holds a NUL.
        """
        mode = b" READ ONLY" if self.is_read_only else b""
        level = b"REPEATABLE READ" if self.is_repeatable else b"READ COMMITTED"
        values = {name.encode(): _quote(value, context) for name, value in self.settings().items()}
        if _knows_texts(context):
            sets = [b"SET LOCAL %b = %b" % each for each in values.items()]
        else:
            calls = [b"set_config('%b', %b, true)" % each for each in values.items()]
            sets = [b"SELECT " + b", ".join(calls)]
        statements = [b"BEGIN ISOLATION LEVEL %b%b" % (level, mode), *sets]
        if position is not None:
            reached = b"pg_last_wal_replay_lsn() >= %b::pg_lsn" % _quote(position, context)
            statements.append(b"SELECT coalesce(%b, false) AS is_fresh" % reached)
        return statements


def _knows_texts(context: AdaptContext) -> bool:
    """Whether the server counts texts of SET as one, whatever their values.

    SET LOCAL takes a third of the time of `set_config`. Before PostgreSQL 18 pg_stat_statements
    keeps each text of it apart, one for each user, and forgets the queries that people look for.
    """
    connection = context.connection
    return connection is not None and connection.pgconn.server_version >= 180_000


def write_claims(user: str) -> str:
    """The claims of a user's token, as PostgREST hands them to rules; empty without a user.

    https://docs.postgrest.org/en/stable/references/transactions.html
    """
    return json.dumps({"sub": user, "role": "authenticated"}) if user else ""


def _quote(value: str, context: AdaptContext) -> bytes:
    if _PLAIN.fullmatch(value):
        return b"'%b'" % value.encode()
    return sql.Literal(value).as_bytes(context)


def _as_text(name: str, value: object) -> str:
    text = "" if value is None else str(value)
    if "\0" in text:
        raise UsageError(f"{name} holds a NUL", remedy="Give the id as the tables hold it.")
    return text


def check_open(pgconn: PGconn) -> None:
    """Check that a statement has not ended the transaction, and with it the session's rights.

    Raises:
        UsageError: it has; the connection is closed.
    """
    if pgconn.transaction_status not in _OPEN and pgconn.status == pq.ConnStatus.OK:
        _refuse_end(pgconn)


def check_results(
    cursor: psycopg.Cursor[Any] | psycopg.AsyncCursor[Any],
    statement: str,
) -> bool:
    """Check that no statement of a text has ended the transaction, though another one began since.

    Of several results the last is the current one then; whether there were several.

    Raises:
        UsageError: one has; the connection is closed.
    """
    tags = [cursor.statusmessage]
    while cursor.nextset():
        tags.append(cursor.statusmessage)
    ends = tags.count("ROLLBACK")
    if "COMMIT" in tags or (ends and ends > len(_TO_SAVEPOINT.findall(statement))):
        _refuse_end(cursor.connection.pgconn)
    return len(tags) > 1


def _refuse_end(pgconn: PGconn) -> None:
    pgconn.finish()
    raise UsageError(
        "a COMMIT or ROLLBACK in SQL ended the transaction of the session",
        remedy="Leave the block of the session to commit; an exception rolls back."
        " Use SAVEPOINT for parts of it.",
    )


def check_whole(pgconn: PGconn) -> None:
    """Check, before the commit, that no statement has failed.

    Raises:
        UsageError: one has; a COMMIT would take everything back without a word.
    """
    if pgconn.transaction_status == pq.TransactionStatus.INERROR:
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
    others: list[str]


def check_login(conninfo: str, target: str, wait_s: int, others: Sequence[str]) -> None:
    """Sign in as an application does, within `wait_s` seconds; check that rules bind the role.

    Raises:
        TargetError: it goes around them. psycopg.Error: no connection.
    """
    with psycopg.connect(
        conninfo, autocommit=True, connect_timeout=wait_s, prepare_threshold=None
    ) as connection:
        check_bound(connection, target, others)


def check_reach(conninfo: str, target: str, wait_s: int) -> None:
    """Sign in within `wait_s` seconds, as a role that rules need not bind.

    Raises:
        psycopg.Error: no connection.
    """
    del target
    psycopg.connect(conninfo, connect_timeout=wait_s, prepare_threshold=None).close()


def check_bound(connection: psycopg.Connection[Any], target: str, others: Sequence[str]) -> None:
    """Check that rules bind the role that a connection has, and that it is none of the others.

    Raises:
        TargetError: it goes around them; says why and what to do.
    """
    with connection.cursor(row_factory=kwargs_row(Login)) as cursor:
        login = cursor.execute(QUERIES["unbound"].encode(), {"others": [*others]}).fetchone()
    if login is not None:
        refuse_unbound(login, target)


def refuse_unbound(login: Login, target: str) -> None:
    """Check that nothing keeps rules from binding a login.

    Raises:
        TargetError: something does; says what, and what to do.
    """
    reason = remedy = ""
    if login.is_superuser:
        reason, remedy = "is a superuser", "Sign in as another role, such as PREFIX_app."
    elif login.may_bypass:
        reason, remedy = "has BYPASSRLS", f"ALTER ROLE {login.name} NOBYPASSRLS"
    elif login.tables:
        reason = f"owns {', '.join(login.tables)}, or is a member of the owner"
        remedy = f"Revoke the owner's role from {login.name}, or sign in as another role."
    elif login.others:
        reason = f"is or may become {', '.join(login.others)}"
        remedy = "Sign in as another role, such as PREFIX_app."
    if reason:
        message = f"{target}: role {login.name!r} {reason}, so that no rule binds it"
        raise TargetError(message, remedy=remedy)
