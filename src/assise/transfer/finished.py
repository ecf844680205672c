"""The load that verbs find which need one: known, or finished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.postgres.connection import Connection
from assise.postgres.server import check_server
from assise.settings import CHUNK_BYTES
from assise.transfer import creation, ledger
from assise.transfer.followed import describe_tables
from assise.transfer.ledger import Load
from assise.workspace import LoadedTables, Workspace


def find_known(connection: Connection, manifest: Manifest) -> Load:
    """The load of a manifest, finished or not.

    Raises:
        UsageError: there is none.
    """
    load = ledger.find_load(connection, manifest.name)
    if load is None:
        raise UsageError(
            f"nothing of {manifest.name!r} is loaded in {connection.target}",
            remedy="`assise load SOURCE` loads it.",
        )
    return load


def find_finished(connection: Connection, manifest: Manifest, *, as_loaded: bool = False) -> Load:
    """The finished load of a manifest, whose layout must be that of the load.

    Raises:
        UsageError: there is none, or it is not finished. ChangedError: the manifest has changed;
        with `as_loaded` that is not asked.
    """
    load = find_known(connection, manifest)
    ledger.check_unchanged(connection, load, load.layout if as_loaded else manifest.layout)
    check_finished(load)
    return load


def check_finished(load: Load) -> None:
    """Check that a load is finished.

    Raises:
        UsageError: it is not.
    """
    if not load.is_finished:
        raise UsageError(
            f"the load of {load.name!r} is not finished",
            remedy="`assise load` continues where it stopped.",
        )


@contextmanager
def open_loaded(workspace: Workspace) -> Iterator[tuple[Connection, LoadedTables]]:
    """Connect to the tables of the finished load, with the manifest as it is now.

    One that a revision has closed has its tables still, and all but their documents is there.
    """
    manifest = workspace.manifest()
    with workspace.connect(manifest) as connection:
        load = find_known(connection, manifest)
        if not load.closed_by:
            ledger.check_unchanged(connection, load, manifest.layout)
        check_finished(load)
        yield (
            connection,
            describe_tables(connection, load, manifest, home=workspace.path.parent),
        )


def adopt(workspace: Workspace, connection: Connection, first: str) -> LoadedTables:
    """The tables that revisions alone have made, as a load without documents."""
    manifest, home = workspace.manifest(), workspace.path.parent
    schema, chunk_bytes = check_server(connection), workspace.setting(CHUNK_BYTES)
    facts = {"first": first, "schema": schema}
    load = creation.adopt(connection, manifest, **facts, chunk_bytes=chunk_bytes)
    return describe_tables(connection, load, manifest, home=home)


@contextmanager
def open_target(workspace: Workspace) -> Iterator[tuple[Connection, LoadedTables | None]]:
    """Connect to the target, where a load may stand that is finished, whatever the manifest says.

    Raises:
        UsageError: there is one, and it is not finished.
    """
    manifest = workspace.manifest()
    with workspace.connect(manifest) as connection:
        ledger.upgrade(connection)
        load = ledger.find_load(connection, manifest.name)
        if load is None:
            yield connection, None
            return
        check_finished(load)
        yield (
            connection,
            describe_tables(connection, load, manifest, home=workspace.path.parent),
        )
