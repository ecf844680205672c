"""Revisions as the owner of the schema, and as what they add to the tables of a load."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from assise.errors import ChangedError
from assise.manifest.model import Manifest
from assise.postgres import bookkeeping
from assise.postgres.connection import Connection
from assise.progress import Log
from assise.revisions.applying import PART, QUERIES, check_files, list_noted
from assise.revisions.files import FOLDER, read_folder
from assise.schema.objects import Lesser
from assise.schema.script import hash_script
from assise.workspace import LoadedTables, read_sql

IN_SCRIPT = False


def owns_schema(path: Path) -> bool:
    """Whether there are revisions beside the manifest at `path`."""
    return any((path.parent / FOLDER).glob("*.sql"))


def check_manifest(path: Path, manifest: Manifest, schema: str) -> None:
    """Check that the last revision leads to the manifest.

    Raises:
        ChangedError: the manifest was changed since.
    """
    last = read_folder(path.parent / FOLDER)[-1]
    if last.manifest != hash_script(manifest, schema, read_sql(path, manifest)):
        raise ChangedError(
            f"the manifest differs from what revision {last.name} leads to, and tables that are"
            " there are altered by revisions alone",
            remedy='next: assise schema revise "what changes"',
        )


def check_applied(connection: Connection, path: Path, name: str) -> None:
    """Check that a database has all revisions, whole, before anything is made for the manifest.

    Raises:
        ChangedError: it lacks one, or one is under way; or a file was edited after it began.
    """
    revisions, noted = read_folder(path.parent / FOLDER), list_noted(connection, name)
    check_files(revisions, noted)
    begun = next((each for each in noted if not each.is_done), None)
    if begun is not None:
        verb = "revert" if begun.state == "reverting" else "apply"
        raise ChangedError(
            f"revision {begun.name} is half done in {connection.target}",
            remedy=f"next: assise schema {verb}, which goes on with it",
        )
    if len(noted) < len(revisions):
        raise ChangedError(
            f"{connection.target} lacks revision {revisions[len(noted)].name}",
            remedy="next: assise schema apply",
        )


def list_lesser(path: Path) -> Mapping[str, Lesser]:
    """The keys that the last revision leaves out, by their ids."""
    return read_folder(path.parent / FOLDER)[-1].lesser


def mark_all(connection: Connection, path: Path, tables: LoadedTables) -> None:
    """Note that a database which was built from the manifest has all revisions."""
    bookkeeping.ensure(connection, PART)
    with connection.transaction():
        for revision in read_folder(path.parent / FOLDER):
            line = {"name": tables.name, **vars(revision), "sha256": revision.sha256}
            connection.execute(QUERIES["mark"], line)
        tables.move([("own",)])


def apply_manifest(connection: Connection, tables: LoadedTables, *, log: Log) -> None:
    """Nothing: what revisions add, `assise schema apply` makes."""
    del connection, tables, log


def list_additions(connection: Connection, load: str) -> set[tuple[str, str]]:
    """Nothing that undo may drop: what revisions have added are edits, which it asks for."""
    del connection, load
    return set()


def forget(connection: Connection, load: str) -> None:
    """Forget the revisions of a load whose tables are gone.

    The caller has the lock of the bookkeeping, and a transaction.
    """
    if not bookkeeping.find_version(connection, PART):
        return
    bookkeeping.upgrade(connection, PART)
    connection.execute(QUERIES["forget"], {"name": load})
    if not connection.scalar(QUERIES["has_revisions"]):
        connection.execute(QUERIES["drop_revisions"])
        bookkeeping.forget(connection, PART)
