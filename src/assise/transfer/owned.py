"""Who owns the schema of a load's tables: the manifest alone, or revisions."""

from __future__ import annotations

from dataclasses import replace

from assise.errors import ChangedError
from assise.manifest.model import Manifest
from assise.mongo.source import Source
from assise.postgres.connection import Connection
from assise.schema.constraints import list_objects
from assise.schema.objects import lessen
from assise.transfer.amend import make_objects
from assise.transfer.followed import describe_tables
from assise.transfer.ledger import Load
from assise.transfer.report import Report
from assise.transfer.workers.pool import Workers
from assise.workspace import LoadedTables, Workspace


def make_rest(
    workspace: Workspace,
    connection: Connection,
    load: Load,
    source: Source,
    manifest: Manifest,
    report: Report,
    workers: Workers,
) -> None:
    """Make what stands on the rows: what parts add, keys, indexes; then all revisions are there.

    Where revisions own the schema already, the keys and indexes are theirs.
    """
    tables = _make_parts(workspace, connection, load, manifest)
    if load.is_revised:
        return
    owner = workspace.owner
    is_owned = owner is not None and owner.owns_schema(workspace.path)
    lesser = owner.list_lesser(workspace.path) if owner and is_owned else {}
    make_objects(
        connection,
        load,
        source,
        [*lessen(list_objects(manifest, load.schema), lesser)],
        report=report,
        workers=workers.count,
        log=workspace.log,
        progress=workspace.progress,
    )
    if owner and is_owned:
        owner.mark_all(connection, workspace.path, tables)


def add_woven(
    workspace: Workspace, connection: Connection, *, load: Load, manifest: Manifest
) -> Load:
    """Make the columns of ours that the rows are loaded with; returns the load with them."""
    if workspace.add_woven is None or load.is_finished or load.is_revised:
        return load
    tables = describe_tables(connection, load, manifest, home=workspace.path.parent)
    return replace(load, woven=workspace.add_woven(connection, tables))


def _make_parts(
    workspace: Workspace, connection: Connection, load: Load, manifest: Manifest
) -> LoadedTables:
    """Make what parts add to the tables, but for what revisions own; returns the tables."""
    tables = describe_tables(connection, load, manifest, home=workspace.path.parent)
    for part in workspace.additions:
        if not (load.is_revised and part.IN_SCRIPT):
            part.apply_manifest(connection, tables, log=workspace.log)
    return tables


def check_owner(
    workspace: Workspace, connection: Connection, manifest: Manifest, load: Load
) -> None:
    """Where revisions own the schema, they must lead to the manifest, and tables stay as they are.

    Raises:
        ChangedError: they do not; or the database lacks some, or was loaded before there were any.
    """
    owner = workspace.owner
    if owner is None or not owner.owns_schema(workspace.path):
        return
    owner.check_manifest(workspace.path, manifest, load.schema)
    if load.is_finished and not load.is_revised:
        raise ChangedError(
            f"revisions own the schema of {load.name!r}, and this database knows of none",
            remedy="next: assise schema mark NUMBER, of the last revision that it has",
        )
    if load.is_revised:
        owner.check_applied(connection, workspace.path, load.name)
