"""The rights of roles on events."""

from __future__ import annotations

from collections.abc import Sequence

from assise.schema.sql import quote

_RIGHTS = {"worker": "SELECT, INSERT, UPDATE, DELETE", "admin": "SELECT"}


def grant_events(role: str, name: str, tables: Sequence[str]) -> str:
    """The statements that let a role keep events; the worker folds them, administrators read them."""
    to = quote(role)
    statements = [
        f"GRANT USAGE ON SCHEMA assise TO {to}",
        f"GRANT EXECUTE ON FUNCTION assise.analytics_track TO {to}",
    ]
    if rights := _RIGHTS.get(name):
        shown = ", ".join(f"assise.{quote(table)}" for table in tables)
        statements.append(f"GRANT {rights} ON {shown} TO {to}")
    if name == "worker":
        statements.append(f"GRANT USAGE ON SEQUENCE assise.analytics_person_number TO {to}")
        made = "assise.analytics_partitions, assise.analytics_drop_old"
        statements.append(f"GRANT EXECUTE ON FUNCTION {made} TO {to}")
    return ";\n".join(statements)
