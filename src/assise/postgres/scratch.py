"""Databases for a moment, in which sums are built: made on a server, and dropped afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex
from time import time

from psycopg.conninfo import make_conninfo

from assise.errors import TargetError
from assise.postgres.connection import Connection
from assise.postgres.queries import QUERIES
from assise.schema.sql import quote, quote_text


def may_create(connection: Connection) -> bool:
    """Whether the user may create databases there."""
    return bool(connection.scalar(QUERIES["may_create_database"]))


@contextmanager
def open_scratch(server: Connection) -> Iterator[Connection]:
    """An empty database on the server of a connection, until the end of the block.

    It is made in a session of its own, so that several can be made beside each other. What commands
    that were killed have left there goes first. Its comment tells it.

    Raises:
        TargetError: the user may not create databases.
    """
    name = f"assise_scratch_{os.getpid()}_{token_hex(3)}"
    comment = quote_text(f"assise: a scratch database of {int(time())}")
    with Connection(server.conninfo, shown=server.target) as own:
        for (left,) in own.execute(QUERIES["scratch_left"]):
            with suppress(TargetError):
                own.execute(f"DROP DATABASE IF EXISTS {quote(str(left))}")
        own.execute(f"CREATE DATABASE {quote(name)} TEMPLATE template0")
        try:
            own.execute(f"COMMENT ON DATABASE {quote(name)} IS {comment}")
            conninfo = make_conninfo(server.conninfo, dbname=name)
            with Connection(conninfo, shown=f"{server.target} (scratch)") as connection:
                connection.execute("SET synchronous_commit = off")
                yield connection
        finally:
            own.execute(f"DROP DATABASE IF EXISTS {quote(name)} WITH (FORCE)")
