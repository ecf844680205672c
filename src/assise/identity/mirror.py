"""The mirror of Supabase's `auth.users`: made, filled, and brought in step again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.resources import files

from assise.errors import (
    BusyError,
    DuplicateKeyError,
    RefusedError,
    TargetError,
    UsageError,
    ViolationError,
)
from assise.manifest.model import Manifest
from assise.postgres import bookkeeping
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.queries import Queries
from assise.schema.mirror import CALLERS, CHANGED, CREATED, Mirror, find_mirror, mirror_script
from assise.schema.sql import quote
from assise.wording import count_of, nearest
from assise.workspace import CONFIRM, Confirm, Workspace, refuse

QUERIES = Queries("assise.identity")
PART = Bookkeeping("identity", files("assise.identity").joinpath("sql"))

BATCH = 1_000
"""Users that one transaction copies."""

_FIRST = "00000000-0000-0000-0000-000000000000"
_ROW_ERRORS = (RefusedError, ViolationError, DuplicateKeyError)


@dataclass(frozen=True)
class Repaired:
    """What a repair did to a mirror, or would do.

    Args:
        created: users who had no row, and have one now.
        corrected: rows that differed from their user.
        failed: users who still have no row, and the `reason` of one of them.
        without_user: rows whose user is gone; they stay.
        failures: copies that had failed since the last repair.
    """

    table: str
    server: str
    created: int
    corrected: int
    failed: int
    without_user: int
    failures: int
    reason: str = ""

    def as_json(self) -> dict[str, object]:
        """The facts as `--json` prints them."""
        return asdict(self)


@dataclass(frozen=True)
class _Users:
    name: str
    now: str
    may_create_roles: bool
    has_callers: bool
    lacks: list[str]
    of_others: list[str]


@dataclass(frozen=True)
class _Failures:
    count: int
    reason: str


@dataclass(frozen=True)
class IdentityVerbs:
    """The verbs of `assise identity`."""

    workspace: Workspace

    def repair(self, *, confirm: Confirm = refuse, dry_run: bool = False) -> list[Repaired]:
        """Make each mirror of the manifest, or make it anew, and copy what is missing or differs.

        It may be called again at any time; sign-ups go on meanwhile. `confirm` is asked before a
        server that is not an embedded one is written to.

        Raises:
            UsageError: the manifest has no mirror, or the answer was no.
            TargetError: the server has no users of Supabase, the user lacks a right, or something
            of others is in the way.
        """
        manifest = self.workspace.whole_manifest()
        mirrors = [(name, find_mirror(manifest, name)) for name in manifest.postgres.others]
        found = [(name, mirror) for name, mirror in mirrors if mirror is not None]
        if not found:
            raise UsageError(
                "no table of the manifest mirrors auth.users",
                remedy="Write on: and mirror: auth.users at the table of the profiles.",
            )
        workspace = replace(self.workspace, confirm=confirm)
        return [_repair(workspace, manifest, *each, dry_run=dry_run) for each in found]


def _repair(
    workspace: Workspace, manifest: Manifest, server: str, mirror: Mirror, *, dry_run: bool
) -> Repaired:
    with workspace.connect(manifest, on=server) as connection:
        users = _check(connection, mirror)
        is_there = _check_columns(connection, mirror)
        if dry_run:
            return _plan(connection, mirror, is_there=is_there)
        if not workspace.is_embedded(manifest, on=server):
            where = workspace.describe_target(manifest, on=server)
            question = f"{where}: table {mirror.name}, kept in step with auth.users. Go on?"
            if not workspace.confirm(question):
                raise UsageError(f"nothing was written to {where}", remedy=CONFIRM)
        bookkeeping.ensure(connection, PART)
        with bookkeeping.lock(connection):
            _make_logins(connection, mirror, users)
            _make(connection, mirror)
        return _fill(connection, mirror, users)


def _check(connection: Connection, mirror: Mirror) -> _Users:
    """Check what the server has, and what the user may do there."""
    parameters = {"triggers": [CREATED, CHANGED], "function": mirror.function}
    found = connection.fetch(_Users, QUERIES["users"], parameters)
    if not found:
        raise TargetError(
            f"{connection.target} has no table auth.users",
            remedy="Name the server of Supabase's users in the manifest: on: at the mirror.",
        )
    (users,) = found
    if users.lacks:
        privileges = ", ".join(users.lacks)
        raise TargetError(
            f"{connection.target}: role {users.name!r} lacks {privileges} on auth.users",
            remedy="Connect as Supabase's role postgres; or let the owner of auth.users run:"
            f" GRANT {privileges} ON auth.users TO {quote(users.name)}",
        )
    if not users.has_callers:
        raise TargetError(
            f"{connection.target} has no role {CALLERS!r}, which Supabase has for its users",
            remedy=f"On a server of your own: CREATE ROLE {CALLERS} NOLOGIN",
        )
    if users.of_others:
        raise TargetError(
            f"{connection.target}: auth.users has a trigger that Assise did not make:"
            f" {', '.join(users.of_others)}",
            remedy=f"Take it away, as its owner: DROP TRIGGER {users.of_others[0].split()[0]}"
            " ON auth.users",
        )
    return users


def _check_columns(connection: Connection, mirror: Mirror) -> bool:
    """Whether the table is there; it then has the columns of the manifest."""
    rows = connection.execute(QUERIES["columns"], {"table": mirror.place})
    found = {str(name) for (name,) in rows}
    lacking = [name for name in mirror.table.columns if name not in found]
    if found and lacking:
        first = lacking[0]
        added = f"{quote(first)} {mirror.table.columns[first].type}"
        raise TargetError(
            f"{connection.target}: {mirror.name} lacks the columns {', '.join(lacking)}",
            remedy=f"ALTER TABLE {mirror.place} ADD COLUMN {added};"
            " or take them out of the manifest.",
        )
    keys = {"table": mirror.place, "key": mirror.key}
    if found and not connection.scalar(QUERIES["is_unique"], keys):
        raise TargetError(
            f"{connection.target}: {mirror.key} of {mirror.name} is not unique",
            remedy=f"ALTER TABLE {mirror.place} ADD PRIMARY KEY ({quote(mirror.key)})",
        )
    return bool(found)


def _make_logins(connection: Connection, mirror: Mirror, users: _Users) -> None:
    rows = connection.execute(QUERIES["missing_roles"], {"names": mirror.roles})
    statements = [mirror.create_role(str(name)) for (name,) in rows]
    if statements and not users.may_create_roles:
        raise TargetError(
            f"{connection.target}: role {users.name!r} may not make the application's logins",
            remedy="Let an administrator run this, then repeat the command:\n"
            + ";\n".join(statements),
        )
    for statement in statements:
        connection.execute(statement)


def _make(connection: Connection, mirror: Mirror) -> None:
    """Make the table, its triggers and its rules, or make them anew, in one transaction."""
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '10s'")
            connection.execute(mirror.create_table())
            for each in mirror.list_objects():
                connection.execute(each.create)
    except BusyError as error:
        raise TargetError(
            f"another session uses {mirror.name} or auth.users: nothing was changed",
            remedy="End it, or wait; then repeat the command.",
        ) from error


def _fill(connection: Connection, mirror: Mirror, users: _Users) -> Repaired:
    before = _count_failures(connection, mirror)
    created, failed = 0, dict[str, str]()
    for ids in _list_missing(connection, mirror):
        created += _copy(connection, mirror, ids, failed)
    corrected = connection.scalar(mirror.correct()) if mirror.followed else 0
    with connection.transaction():
        connection.execute(QUERIES["forget"], {"table": mirror.name, "now": users.now})
        for user, message in failed.items():
            noted = {"table": mirror.name, "user": user, "message": message}
            connection.execute(QUERIES["note"], noted)
    _, _, without_user = _count(connection, mirror)
    return Repaired(
        mirror.name,
        connection.target,
        created,
        int(str(corrected)),
        len(failed),
        without_user,
        before.count,
        next(iter(failed.values()), ""),
    )


def _plan(connection: Connection, mirror: Mirror, *, is_there: bool) -> Repaired:
    if is_there:
        missing, differing, without_user = _count(connection, mirror)
    else:
        missing, differing, without_user = _count_users(connection), 0, 0
    failures = _Failures(0, "")
    if bookkeeping.find_version(connection, PART):
        failures = _count_failures(connection, mirror)
    return Repaired(
        mirror.name,
        connection.target,
        missing,
        differing,
        0,
        without_user,
        failures.count,
        failures.reason,
    )


def _list_missing(connection: Connection, mirror: Mirror) -> Iterator[list[str]]:
    after = _FIRST
    while rows := connection.execute(mirror.missing(), [after, BATCH]):
        ids = [str(row[0]) for row in rows]
        yield ids
        after = ids[-1]


def _copy(connection: Connection, mirror: Mirror, ids: list[str], failed: dict[str, str]) -> int:
    """Copy users, together where that goes, else one by one; how many."""
    try:
        return int(str(connection.scalar(mirror.backfill(), [ids])))
    except _ROW_ERRORS as error:
        if len(ids) == 1:
            failed[ids[0]] = error.message
            return 0
    return sum(_copy(connection, mirror, [each], failed) for each in ids)


def _count(connection: Connection, mirror: Mirror) -> tuple[int, int, int]:
    (counts,) = connection.execute(mirror.count_missing())
    missing, differing, without_user = (int(str(each)) for each in counts)
    return missing, differing, without_user


def _count_users(connection: Connection) -> int:
    return int(str(connection.scalar("SELECT count(*) FROM auth.users")))


def _count_failures(connection: Connection, mirror: Mirror) -> _Failures:
    (found,) = connection.fetch(_Failures, QUERIES["failures"], {"table": mirror.name})
    return found


def write_script(manifest: Manifest, server: str) -> str:
    """What a repair makes on a server, as SQL for Supabase's editor.

    Raises:
        UsageError: there is no such server, or no mirror on it.
    """
    known = manifest.postgres.others
    if server not in known:
        raise UsageError(f"there is no server {server!r}", remedy=nearest(server, known))
    mirror = find_mirror(manifest, server)
    if mirror is None:
        raise UsageError(
            f"the manifest makes nothing on the server {server}",
            remedy="Its tables are as their owner made them; only a mirror is made there.",
        )
    first, *rest = (file.read_text(encoding="utf-8") for file in PART.files.values())
    books = "".join([f"CREATE SCHEMA IF NOT EXISTS assise;\n{first}", *rest])
    return mirror_script(mirror, books)


def describe(repaired: Repaired, *, dry_run: bool = False) -> Iterator[str]:
    """What a repair did, or would do, in lines for people."""
    would = "would be " if dry_run else ""
    made, corrected = count_of(repaired.created, "row"), count_of(repaired.corrected, "row")
    done = [f"{made} {would}created", f"{corrected} {would}corrected"]
    yield f"{repaired.table}: {', '.join(done)}"
    if repaired.failures:
        failures = count_of(repaired.failures, "failure")
        yield f"{failures} at sign-ups and changes since the last repair"
    if repaired.failed:
        yield f"{count_of(repaired.failed, 'user')} still without a row: {repaired.reason}"
    if repaired.without_user:
        yield f"{count_of(repaired.without_user, 'row')} without a user in auth.users: they stay"
