"""What is said before a load: columns that would be empty, and changes of what is loaded."""

from __future__ import annotations

from assise.errors import ChangedError, ManifestError, UsageError
from assise.manifest.model import Manifest
from assise.manifest.names import list_schemas
from assise.manifest.sections.access import ROLES
from assise.mongo.source import Source
from assise.postgres.connection import Connection
from assise.schema.constraints import list_objects
from assise.schema.sql import all_layouts
from assise.transfer import born, comments, ledger
from assise.transfer.amend import check_notes
from assise.transfer.estimate import count_samples
from assise.transfer.misfits import find_misfits
from assise.transfer.objects import plan_objects
from assise.transfer.report import Plan
from assise.wording import count_of
from assise.workspace import CONFIRM, Workspace

MOST_TABLES = 20
"""Tables that a question names."""

MOST_COLUMNS = 10
"""Columns that a question names."""

SAMPLES_S = 1.0
"""Seconds after which no further collection is looked at before a load."""


def plan_changes(connection: Connection, manifest: Manifest, plan: Plan) -> None:
    """Add to a plan what the manifest changes of a load that is there already."""
    load = ledger.find_load(connection, manifest.name)
    if load is None:
        return
    plan.is_loaded = load.is_finished
    try:
        ledger.check_unchanged(connection, load, manifest.layout)
        if not load.is_revised:
            check_notes(load, manifest)
    except (ChangedError, ManifestError) as error:
        plan.refusals += [error.message, error.remedy]
    else:
        if load.is_revised:
            return
        plan.changes += born.plan_tables(connection, load, manifest)
        plan.changes += comments.plan_changes(connection, load, manifest)
        if load.is_finished:
            plan.changes += plan_objects(connection, load, list_objects(manifest, load.schema))


def ask_of_empty(workspace: Workspace, manifest: Manifest, source: Source) -> None:
    """Ask before columns are loaded that would be empty, as far as samples of a prepared source tell."""
    counts = count_samples(source, manifest, seconds=SAMPLES_S)
    misfits = find_misfits(counts, manifest.layout, is_sample=True)
    empty = [misfit.describe() for misfit in misfits if not misfit.held]
    if not empty:
        return
    more = [f"and {len(empty) - MOST_COLUMNS:,} more"] if len(empty) > MOST_COLUMNS else []
    shown = "\n".join([*empty[:MOST_COLUMNS], *more])
    count = count_of(len(empty), "column")
    question = f"{count} would be empty, all values would stand in _extra:\n{shown}"
    if not workspace.confirm(question):
        raise UsageError(
            f"not confirmed, nothing was written: {question}",
            remedy=f"Write the types into the manifest. Or: {CONFIRM}",
        )


def ask_to_begin(connection: Connection, manifest: Manifest) -> str:
    """The question before the first write: server, database, and what it gets."""
    parts = connection.parts
    tables = [*(layout.table for layout in all_layouts(manifest.layout)), *manifest.born]
    names = ", ".join(tables[:MOST_TABLES])
    more = ", …" if len(tables) > MOST_TABLES else ""
    server = f"{parts['host']}:{parts['port']}"
    count = count_of(len(tables), "table")
    schemas = ["assise", *list_schemas(manifest.tables)]
    gets = f"the {'schema' if len(schemas) == 1 else 'schemas'} {', '.join(schemas)}"
    asked = f"{gets} and {count}: {names}{more}{_name_roles(manifest)}"
    return f"{server}, database {parts['dbname']}, gets {asked}"


def _name_roles(manifest: Manifest) -> str:
    roles = ROLES.of(manifest)
    if roles is None or roles.are_none:
        return ""
    return f"; and the server gets the roles {roles.prefix}_…, where they are missing"
