"""The partitions of a manifest's tables: made with them, and kept up by the worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.postgres.connection import Connection
from assise.postgres.partitions import keep_up_partitions, run_partitions
from assise.progress import Log
from assise.schema.audit import list_cut
from assise.schema.partitions import Partitioning
from assise.workspace import Job, LoadedTables, keep_silent

IN_SCRIPT = False
CRON = "23 * * * *"


def apply_manifest(connection: Connection, tables: LoadedTables, *, log: Log) -> None:
    """Make the partitions that are missing, and retire those that are old enough.

    Raises:
        ChangedError: a table is not partitioned as the manifest says. BusyError: a lock could not
        be had; the same command goes on.
    """
    keep_up_partitions(connection, list_cut(tables.manifest, tables.schema), log=log)


def list_additions(connection: Connection, load: str) -> set[tuple[str, str]]:
    """Nothing that undo would ask for: partitions go with their table."""
    del connection, load
    return set()


def forget(connection: Connection, load: str) -> None:
    """Nothing: the tables are gone."""
    del connection, load


def list_jobs(tables: LoadedTables) -> Sequence[Job]:
    """A job for each table that is cut, each hour; it needs the tables' owner."""
    return [
        Job(f"partitions of {each.table}", CRON, partial(keep_up, of=each), as_owner=True)
        for each in list_cut(tables.manifest, tables.schema)
    ]


def keep_up(connection: Connection, _should_stop: Callable[[], bool], *, of: Partitioning) -> str:
    """Make and retire partitions; says which."""
    return str(run_partitions(connection, of, log=keep_silent))


def find_all(manifest: Manifest, schema: str) -> list[Partitioning]:
    """How the tables of a manifest are cut.

    Raises:
        UsageError: none is.
    """
    found = list_cut(manifest, schema)
    if not found:
        raise UsageError(
            f"no table of {manifest.name!r} has partitions",
            remedy="A table without collection has some with partition: {by: created_at}.",
        )
    return found
