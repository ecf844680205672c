"""The roles of a manifest in the server: made where they are missing, never taken from others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assise.errors import TargetError
from assise.postgres.connection import Connection
from assise.postgres.queries import Queries
from assise.schema.access import AccessRules
from assise.schema.roles import COMMENT, ROLES, admit_loader, create_role, mark_role, role_name
from assise.schema.sql import quote, quote_list

QUERIES = Queries("assise.access")


@dataclass(frozen=True)
class _Found:
    name: str
    is_ours: bool
    is_unbound: bool


@dataclass(frozen=True)
class _User:
    name: str
    is_superuser: bool
    may_create: bool
    is_member: bool


def make_roles(connection: Connection, rules: AccessRules) -> None:
    """Make the roles that are missing; the user and the loader become members of the owner.

    The user becomes one of the worker's role too, in which jobs run.

    Raises:
        TargetError: a role is somebody else's, no rule binds it, or the user may not make roles.
    """
    prefix = rules.prefix
    names = [role_name(prefix, role.name) for role in ROLES]
    parameters = {"names": names, "comment": COMMENT}
    found = connection.fetch(_Found, QUERIES["roles"], parameters)
    _check_found(connection, found)
    owner, loader = (role_name(prefix, name) for name in ("owner", "loader"))
    (user,) = connection.fetch(
        _User, QUERIES["user"], {"roles": [owner, role_name(prefix, "worker")]}
    )
    if user.name in names and user.name not in {owner, loader}:
        raise TargetError(
            f"{connection.target}: the commands of Assise connect as {user.name!r},"
            " which rules are for",
            remedy=f"Connect as the user that made the roles, or as {loader!r}.",
        )
    known = {each.name for each in found}
    missing = [role for role in ROLES if role_name(prefix, role.name) not in known]
    statements = [create_role(prefix, role) for role in missing]
    if any(role.name in {"owner", "worker", "loader"} for role in missing):
        statements.append(admit_loader(prefix))
    if not user.is_member:
        options = " WITH SET TRUE, INHERIT TRUE" if connection.server_version >= 160_000 else ""
        granted = quote_list([owner, role_name(prefix, "worker")])
        statements.append(f"GRANT {granted} TO {quote(user.name)}{options}")
    if statements:
        _check_rights(connection, user, statements)
        with connection.transaction():
            connection.execute(";\n".join(statements))
    connection.execute(";\n".join(rules.admit_owner()))


def _check_found(connection: Connection, found: Sequence[_Found]) -> None:
    for each in found:
        if not each.is_ours:
            raise TargetError(
                f"{connection.target} has a role {each.name!r} that Assise did not make",
                remedy="Choose another prefix; or hand it over, with all that it may do:"
                f" {mark_role(each.name)}",
            )
        if each.is_unbound:
            raise TargetError(
                f"{connection.target}: role {each.name!r} is a superuser or has BYPASSRLS,"
                " so that no rule binds it",
                remedy=f"ALTER ROLE {quote(each.name)} NOSUPERUSER NOBYPASSRLS",
            )


def _check_rights(connection: Connection, user: _User, statements: Sequence[str]) -> None:
    if not user.may_create:
        raise TargetError(
            f"{connection.target}: role {user.name!r} may not make the roles of the manifest",
            remedy="Let an administrator run this, then repeat the command:\n"
            + ";\n".join(statements),
        )
