"""The preflight: whether a server is fit for a load."""

from __future__ import annotations

from dataclasses import dataclass

from assise.errors import TargetError
from assise.postgres.connection import Connection
from assise.postgres.queries import QUERIES

LOCKS_OF_TABLE = 10
"""Locks that creating or dropping one table takes: its own, those of its keys, types and parts."""


@dataclass(frozen=True)
class _Server:
    encoding: str
    is_read_only: bool
    schema: str


@dataclass(frozen=True)
class _Privileges:
    in_database: bool
    in_schema: bool


def check_server(connection: Connection) -> str:
    """Check version, encoding and privileges. Returns the schema that tables will be created in.

    Raises:
        TargetError: the server is not fit; says in what.
    """
    target = connection.target
    if connection.server_version < 150_000:
        raise TargetError(
            f"{target} is PostgreSQL {connection.server_version // 10_000}",
            remedy="Assise needs version 15 or later.",
        )
    (server,) = connection.fetch(_Server, QUERIES["server"])
    if server.encoding != "UTF8":
        raise TargetError(
            f"{target} has the encoding {server.encoding}",
            remedy="Create a database with ENCODING 'UTF8'.",
        )
    if server.is_read_only:
        raise TargetError(f"{target} is read-only", remedy="Give the primary server.")
    if not server.schema:
        raise TargetError(
            f"{target} has no schema on its search_path",
            remedy="Create one, or set search_path.",
        )
    (may_create,) = connection.fetch(_Privileges, QUERIES["may_create"], {"schema": server.schema})
    if not (may_create.in_schema and may_create.in_database):
        missing = "the database" if may_create.in_schema else f"schema {server.schema}"
        raise TargetError(
            f"{target}: the user may not CREATE on {missing}",
            remedy=f"GRANT CREATE ON {missing} …",
        )
    return server.schema


def count_tables_at_once(connection: Connection) -> int:
    """How many tables one transaction may create or drop: they take half of the server's locks."""
    locks = int(str(connection.scalar(QUERIES["locks"])))
    return max(1, locks // 2 // LOCKS_OF_TABLE)
