"""What the manifest says beside the rows: comments, which are changed in place, and its text."""

from __future__ import annotations

import json
from collections.abc import Sequence

from assise.manifest.model import Manifest
from assise.manifest.names import list_schemas
from assise.manifest.write import dump_manifest
from assise.postgres.connection import Connection
from assise.schema.comments import Comments, change_comments, find_comments
from assise.schema.sql import quote_table
from assise.transfer.ledger import QUERIES, Load


def apply_manifest(connection: Connection, load: Load, manifest: Manifest) -> int:
    """Change in place what the manifest says beside the rows: comments; and keep its text.

    Returns how many comments it changed.
    """
    with connection.transaction():
        return apply_comments(connection, load, manifest)


def plan_changes(connection: Connection, load: Load, manifest: Manifest) -> list[str]:
    """Return the statements of `apply_manifest`; nothing is written."""
    return _plan_comments(connection, load, find_comments(manifest))


def apply_comments(connection: Connection, load: Load, manifest: Manifest) -> int:
    """Like `apply_manifest`, in the caller's transaction."""
    wanted = find_comments(manifest)
    statements = _plan_comments(connection, load, wanted)
    if statements:
        connection.execute(";\n".join(statements))
    parameters = {
        "load_id": load.id,
        "manifest": dump_manifest(manifest, with_secrets=False),
        "comments": json.dumps([[*place, text] for place, text in wanted.items()]),
    }
    connection.execute(QUERIES["update_manifest"], parameters)
    return len(statements)


def _plan_comments(connection: Connection, load: Load, wanted: Comments) -> list[str]:
    (before,) = connection.fetch(_make_comments, QUERIES["load_comments"], {"load_id": load.id})
    named = [table for table, _ in {**before, **wanted} if not table.endswith(".")]
    tables = [*dict.fromkeys([*load.layout.tables, *named])]
    found = _read_comments(connection, load, tables)
    return change_comments(wanted, found, before, schema=load.schema)


def _make_comments(comments: list[tuple[str, str | None, str]]) -> Comments:
    return {(table, column): text for table, column, text in comments}


def _read_comments(connection: Connection, load: Load, tables: Sequence[str]) -> Comments:
    """The comments that the catalog has on tables and on their columns."""
    found: Comments = {}
    parameters = {"tables": [quote_table(load.schema, table) for table in tables]}
    for number, column, text in connection.execute(QUERIES["comments"], parameters):
        table = tables[int(str(number)) - 1]
        found[table, None if column is None else str(column)] = str(text)
    schemas = {"schemas": list_schemas(tables)}
    for schema, text in connection.execute(QUERIES["schema_comments"], schemas):
        found[f"{schema}.", None] = str(text)
    return found
