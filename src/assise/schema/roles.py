"""The roles of an application: what each may do, and the SQL that makes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from assise.schema.sql import quote, quote_text

Rows = Literal["its own", "users", "all", "of the owner", "none"]
WRITING = "SELECT, INSERT, UPDATE, DELETE"


class Role(NamedTuple):
    """A role: the end of its name, the rows that it sees, and its privileges on their tables."""

    name: str
    rows: Rows
    privileges: str
    purpose: str


ROLES = (
    Role("owner", "of the owner", "", "owns the tables; nobody signs in as it"),
    Role("app", "its own", WRITING, "the application, with the user of its session"),
    Role("auth", "users", WRITING, "sign-up and sign-in: only the tables whose rows are users"),
    Role("readonly", "all", "SELECT", "people and reports; no personal columns"),
    Role("worker", "all", WRITING, "background jobs"),
    Role("admin", "all", WRITING, "support"),
    Role(
        "loader", "of the owner", "", "the commands of Assise: a member of the owner and the worker"
    ),
)
ROLE_SETTING = "app.role"
"""The setting by which a session says its role, where the server has one login for all."""

COMMENT = "made by Assise"
"""The comment of a role that Assise has made, or has been given."""


def role_name(prefix: str, name: str) -> str:
    """The name of a role in the server."""
    return f"{prefix}_{name}"


def quote_role(name: str) -> str:
    """Whether the session has said that it is this role, where the roles share one login."""
    return f"(select current_setting('{ROLE_SETTING}', true)) = {quote_text(name)}"


def list_others(prefix: str, name: str) -> tuple[str, ...]:
    """The roles that see more rows than the application's or that of sign-up, if it is one of them.

    >>> list_others("shop", "app"), list_others("shop", "worker")
    (('shop_auth', 'shop_readonly', 'shop_worker', 'shop_admin'), ())
    """
    if name not in {"app", "auth"}:
        return ()
    seen = ("users", "all") if name == "app" else ("all",)
    return tuple(role_name(prefix, role.name) for role in ROLES if role.rows in seen)


def create_role(prefix: str, role: Role) -> str:
    """The statements that make a role; a login gets its password from an administrator."""
    name = role_name(prefix, role.name)
    login = "NOLOGIN" if role.name == "owner" else "LOGIN"
    return f"CREATE ROLE {quote(name)} {login};\n{mark_role(name)}"


def ensure_role(prefix: str, role: Role) -> str:
    """The statement that makes a role where it is missing: roles are the whole server's."""
    create = create_role(prefix, role).replace(";\n", "; ")
    name = quote_text(role_name(prefix, role.name))
    return (
        f"DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {name}) THEN"
        f" {create}; END IF; END $$"
    )


def admit_loader(prefix: str) -> str:
    """The statement by which the loader has the rights of Assise's commands, the worker's too."""
    owner, worker, loader = (role_name(prefix, name) for name in ("owner", "worker", "loader"))
    return f"GRANT {quote(owner)}, {quote(worker)} TO {quote(loader)}"


def mark_role(name: str) -> str:
    """The statement that tells a role as made by Assise."""
    return f"COMMENT ON ROLE {quote(name)} IS {quote_text(COMMENT)}"


def describe_roles(prefix: str) -> Iterator[str]:
    """The roles as lines of a table, in comments of SQL."""
    yield f"-- {'role':<{len(prefix) + 10}} {'rows':<13} privileges"
    for role in ROLES:
        name, privileges = role_name(prefix, role.name), role.privileges or "none of its own"
        yield f"-- {name:<{len(prefix) + 10}} {role.rows:<13} {privileges}: {role.purpose}"
