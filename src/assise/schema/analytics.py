"""The rights of roles on events, and the totals of the application's own tables."""

from __future__ import annotations

from collections.abc import Sequence

from assise.manifest.model import Manifest
from assise.manifest.sections.analytics import ANALYTICS, Analytics, CreatedRows
from assise.manifest.sections.deletion import SOFT_DELETE
from assise.schema.sql import quote, quote_table

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


def is_there(manifest: Manifest, table: str) -> str:
    """The condition of rows that are not deleted."""
    deletion = SOFT_DELETE.of(manifest.tables[table])
    return f"{quote(deletion.column)} IS NULL" if deletion else "true"


def count_rows(manifest: Manifest, schema: str) -> str:
    """One query of all totals that a dashboard shows; what is not declared is NULL.

    Its parameters are `today`, the moment at which the day began, and `month`, 30 days before now.
    """
    analytics = ANALYTICS.of(manifest) or Analytics()
    columns = []
    for name in ("users", "projects"):
        rows: CreatedRows | None = getattr(analytics, name)
        total, today = "NULL::bigint", "NULL::bigint"
        if rows is not None:
            kept = f"{quote_table(schema, rows.table)} WHERE {is_there(manifest, rows.table)}"
            total = f"(SELECT count(*) FROM {kept})"
            today = f"(SELECT count(*) FROM {kept} AND {quote(rows.created)} >= %(today)s)"
        columns += [f"{total} AS {name}", f"{today} AS {name}_today"]
    deployments = analytics.deployments
    good, of = "NULL::bigint", "NULL::bigint"
    if deployments is not None:
        table = quote_table(schema, deployments.table)
        of = f"(SELECT count(*) FROM {table} WHERE {quote(deployments.at)} >= %(month)s)"
        ok = deployments.ok.replace("%", "%%")
        good = (
            f"(SELECT count(*) FROM {table} WHERE {quote(deployments.at)} >= %(month)s AND ({ok}))"
        )
    return f"SELECT {', '.join([*columns, f'{good} AS deployed', f'{of} AS deployments'])}"
