"""The tables of parts in schema `assise`, made, upgraded and forgotten part by part."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable

from assise.errors import TargetError
from assise.postgres import locks
from assise.postgres.connection import Connection
from assise.postgres.queries import QUERIES

LOCK = "assise bookkeeping"
PATIENCE_S = 60

READING = ("SELECT",)
WRITING = ("SELECT", "INSERT", "UPDATE", "DELETE")
"""What a role needs on the tables of schema `assise`, to verify and to load."""

Step = Callable[[Connection], None]
"""What cannot be said in SQL; it runs behind the file of its version, in the same transaction."""


@dataclass(frozen=True)
class Bookkeeping:
    """A part of Assise: the folder of its files `NNNN_what.sql`, and the steps behind some of them.

    The number of a file is the version that its tables then have. Files are never edited.
    """

    name: str
    folder: Traversable
    steps: Mapping[int, Step] = field(default_factory=dict)

    @property
    def files(self) -> dict[int, Traversable]:
        """The files by version, in order."""
        found = sorted(self.folder.iterdir(), key=lambda file: file.name)
        return {int(file.name[:4]): file for file in found if file.name[:4].isdecimal()}

    @property
    def tables(self) -> dict[str, int]:
        """Its tables, each with the version from which on there is one."""
        found: dict[str, int] = {}
        for version, file in self.files.items():
            text = file.read_text("utf-8")
            for word, name in re.findall(r"^(CREATE|DROP) TABLE assise\.(\w+)", text, re.MULTILINE):
                if word == "CREATE":
                    found[name] = version
                else:
                    del found[name]
        return found

    @property
    def version(self) -> int:
        """The version that this program knows."""
        return max(self.files)


def lock(connection: Connection) -> AbstractContextManager[None]:
    """Let nobody else make, upgrade or drop tables of parts for a while."""
    return locks.hold(connection, LOCK, patience_s=PATIENCE_S)


def ensure(connection: Connection, part: Bookkeeping) -> None:
    """Make a part's tables, or upgrade them, whole or not at all.

    Raises:
        TargetError: a newer program wrote them.
    """
    if find_version(connection, part) == part.version:
        return
    with lock(connection), connection.transaction():
        upgrade(connection, part)


def upgrade(connection: Connection, part: Bookkeeping) -> None:
    """Like `ensure`; the caller has the lock, and a transaction that began after it."""
    if not connection.scalar(QUERIES["has_parts"]):
        first = files("assise.postgres").joinpath("sql", "0001_part.sql")
        connection.execute(first.read_text(encoding="utf-8"))
    found = find_version(connection, part)
    if found == part.version:
        return
    for version, file in part.files.items():
        if version > found:
            connection.execute(file.read_text(encoding="utf-8"))
            if version in part.steps:
                part.steps[version](connection)
    connection.execute(QUERIES["set_part"], {"name": part.name, "version": part.version})


@dataclass(frozen=True)
class _Access:
    owner: str
    user: str
    on_schema: list[str]
    on_tables: list[str]


def check_access(connection: Connection, privileges: Sequence[str]) -> None:
    """Check that the user may use schema `assise`, if there is one, and has these on its tables.

    Raises:
        TargetError: something is missing; says who owns the schema, and what he must grant.
    """
    is_made = connection.scalar(QUERIES["has_parts"])
    parameters = {"is_made": is_made, "privileges": [*privileges]}
    for access in connection.fetch(_Access, QUERIES["access"], parameters):
        grants = []
        if access.on_schema:
            grants.append(f"{', '.join(access.on_schema)} ON SCHEMA assise")
        if access.on_tables:
            grants.append(f"{', '.join(access.on_tables)} ON ALL TABLES IN SCHEMA assise")
        if grants:
            raise TargetError(
                f"{connection.target}: schema assise belongs to role {access.owner!r},"
                f" and role {access.user!r} lacks {' and '.join(grants)}",
                remedy=f"Connect as {access.owner!r}, or let that role grant it: "
                + "; ".join(f"GRANT {grant} TO {access.user}" for grant in grants),
            )


def find_version(connection: Connection, part: Bookkeeping) -> int:
    """The version of a part's tables; 0 where it has none.

    Raises:
        TargetError: a newer program wrote them.
    """
    if not connection.scalar(QUERIES["has_parts"]):
        return 0
    version = connection.scalar(QUERIES["part_version"], {"name": part.name})
    found = version if isinstance(version, int) else 0
    if found > part.version:
        raise TargetError(
            f"part {part.name} in {connection.target} has version {found},"
            f" this program knows version {part.version}",
            remedy="Use a newer Assise.",
        )
    return found


def has_tables(connection: Connection, part: Bookkeeping) -> bool:
    """Whether a part has tables, of whatever version, which the user may then read.

    Raises:
        TargetError: some of them are gone, a newer program wrote them, or the user may not.
    """
    tables = part.tables
    names = {"names": ["part", *tables]}
    found = {str(name) for (name,) in connection.execute(QUERIES["tables"], names)}
    if not found:
        return False
    check_access(connection, READING)
    version = find_version(connection, part)
    found.discard("part")
    # Only the first release had no line in assise.part; without its table they are somebody else's.
    if not version and "version" not in found:
        return False
    gone = [name for name, first in tables.items() if first <= max(1, version)]
    gone = [name for name in gone if name not in found]
    # Only the first version of a part had no line.
    if not version and any(tables[name] > 1 for name in found):
        gone.append("part")
    if gone:
        shown = ", ".join(f"assise.{name}" for name in gone)
        raise TargetError(
            f"{connection.target}: of the tables of part {part.name} some are gone: {shown}",
            remedy="Restore them from a backup. Or start anew: drop the tables that were loaded,"
            " DROP SCHEMA assise CASCADE, and load again.",
        )
    return True


def forget(connection: Connection, part: Bookkeeping) -> list[str]:
    """Forget a part whose tables are dropped, and with the last part drop the schema.

    Returns what of others stands in the schema, which then stays. The caller has the lock, and a
    transaction.
    """
    connection.execute(QUERIES["delete_part"], {"name": part.name})
    if connection.scalar(QUERIES["is_last_part"]):
        connection.execute(QUERIES["drop_parts"])
    others = [str(text) for (text,) in connection.execute(QUERIES["others"])]
    if not others:
        connection.execute(QUERIES["drop_schema"])
    return others
