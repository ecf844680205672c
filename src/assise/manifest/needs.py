"""Keys of a manifest that need others."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.keys import Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.access import ACCESS, Roles
from assise.manifest.sections.deletion import SOFT_DELETE
from assise.manifest.sections.personal import PERSONAL


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
        for column_name, column in table.columns.items():
            if PERSONAL.of(column) is not None:
                yield "tables", name, "columns", column_name, "personal"
