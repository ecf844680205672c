"""Keys of a manifest that need others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from assise.manifest.keys import Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections import keys_on
from assise.manifest.sections.access import ACCESS, Access, Roles
from assise.manifest.sections.audit import AUDIT
from assise.manifest.sections.deletion import SOFT_DELETE
from assise.manifest.sections.personal import PERSONAL
from assise.manifest.sections.references import list_foreign_keys
from assise.manifest.sections.revisions import WAS_TABLE
from assise.manifest.sections.servers import MAIN, MIRROR, ON
from assise.manifest.table import Table
from assise.wording import nearest, show

_ELSEWHERE = frozenset("on primary_key columns fallback type from kind personal".split())
"""The keys of a table on another server, and of its columns."""

_NAMED = frozenset("search embed audit cache partition".split())
"""The keys by which objects are made that have the name of the table in theirs."""

_MIRRORED = _ELSEWHERE | {"mirror", "access", "default", "not_null"}


def check_roles(roles: Roles | None, tables: Tables) -> Iterator[Problem]:
    """Rules need roles, or `none`; what differs from role to role needs roles of its own."""
    if roles is None or roles.are_none:
        for place in list(_list_needing(tables, is_any=roles is None))[:1]:
            remedy = "Write roles: {prefix: NAME} at the top: NAME_app is the application's login."
            yield Problem(place, "needs roles", remedy=remedy)


def _list_needing(tables: Tables, *, is_any: bool) -> Iterator[Place]:
    for name, table in tables.items():
        if is_any and ACCESS.of(table) is not None:
            yield "tables", name, "access"
        if SOFT_DELETE.of(table) is not None:
            yield "tables", name, "soft_delete"
        is_logged = AUDIT.of(table)
        for column_name, column in () if is_logged else table.columns.items():
            if PERSONAL.of(column) is not None:
                yield "tables", name, "columns", column_name, "personal"


def check_elsewhere(place: Place, table: Table, servers: Iterable[str]) -> Iterator[Problem]:
    """A table on another server has the keys that count there, and the server is one."""
    server, known = str(ON.of(table)), [*servers]
    if server not in known and server != MAIN:
        remedy = nearest(server, known) if known else f"Write postgres: {{{server}: {{url: …}}}}."
        yield Problem((*place, "on"), "is not a server of postgres", show(server), remedy)
    allowed = _MIRRORED if MIRROR.of(table) else _ELSEWHERE
    given = [(place, key.name) for key in keys_on("table") if key.of(table) is not None]
    for name, column in table.columns.items():
        at = (*place, "columns", name)
        given += [(at, key.name) for key in keys_on("column") if key.of(column) is not None]
    for at, key_name in given:
        if key_name not in allowed | {"references"}:
            message = f"has no effect on a table on the server {server}"
            remedy = "Remove it: who made the table there sees to that."
            yield Problem((*at, key_name), message, remedy=remedy)
    access = ACCESS.of(table)
    if access is not None and MIRROR.of(table) and access != Access(owner=table.primary_key[0]):
        remedy = (
            f"Write access: {{owner: {table.primary_key[0]}}}: its user sees the row, no other."
        )
        yield Problem((*place, "access"), "is not the rule of a mirror", remedy=remedy)


def check_renamed(name: str, table: Table) -> Iterator[Problem]:
    """A table that is renamed has nothing whose objects keep the old name."""
    if WAS_TABLE.of(table) is not None:
        for key in keys_on("table"):
            if key.name in _NAMED and key.of(table) is not None:
                message = f"cannot be beside {key.name}: what that makes has the table's old name"
                remedy = f"Take {key.name} out, rename by a revision, and put it back without was."
                yield Problem(("tables", name, "was"), message, remedy=remedy)


def list_across(name: str, tables: Tables) -> Iterator[Problem]:
    """What joins a table to one on another server, which no server can."""
    table = tables[name]
    found = [(each.place, each.target.table) for each in list_foreign_keys(name, tables)]
    if table.parent in tables:
        found.append((("tables", name, "parent"), str(table.parent)))
    access = ACCESS.of(table)
    for at, rule in access.list_rules(("tables", name, "access")) if access else ():
        for inner, entry in rule.list_entries(at):
            if entry.members is not None and entry.members.table in tables:
                found.append(((*inner, "members"), entry.members.table))
    for place, other in found:
        ours, theirs = (ON.of(tables[each]) or MAIN for each in (name, other))
        if ours != theirs:
            message = f"joins the server {ours} to {show(other)}, which is on the server {theirs}"
            remedy = f"Remove it; app.merge(rows, key=…, table={other!r}) puts their rows together."
            yield Problem(place, message, remedy=remedy)
