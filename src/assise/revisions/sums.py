"""Sums: what a manifest, or the revisions of a folder, make of an empty database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from assise.errors import AssiseError, TargetError, UsageError
from assise.files import write_file
from assise.manifest.model import Manifest
from assise.postgres.connection import Connection
from assise.postgres.scratch import may_create, open_scratch
from assise.postgres.snapshot import read_snapshot
from assise.revisions.files import Block, Revision
from assise.schema.catalog import CatalogItem, Snapshot, collect
from assise.schema.objects import Lesser
from assise.schema.script import SqlText, list_statements
from assise.schema.sql import quote
from assise.workspace import Workspace

KEPT_SNAPSHOTS = 20


@dataclass(frozen=True)
class ScratchSums:
    """Builds sums in scratch databases of `server`; those of a folder are kept in `.assise`."""

    server: Connection
    folder: Path
    schema: str

    def of_manifest(
        self, manifest: Manifest, texts: Sequence[str], lesser: Mapping[str, Lesser]
    ) -> Snapshot:
        """What the manifest makes, with the texts of its files of SQL and these lesser keys.

        Raises:
            UsageError: the server refuses what a key or a file of it says.
        """
        made = list_statements(manifest, self.schema, texts, lesser=lesser)
        statements = [*self._begin(), *made]
        return self._keep(statements, lambda: self._build(statements))

    def of_revisions(
        self, revisions: Sequence[Revision], *, made: Connection | None = None
    ) -> Snapshot:
        """What the revisions make, one after the other; `made` is a database where they have.

        Raises:
            UsageError: the server refuses a statement; names its file and line.
        """
        texts = [*self._begin(), *(each.text for each in revisions)]
        if made is not None:
            return self._keep(texts, lambda: read_snapshot(made))
        return self._keep(texts, lambda: self._build(self._begin(), revisions))

    @contextmanager
    def open_after(self, revisions: Sequence[Revision]) -> Iterator[Connection]:
        """A scratch database in which these revisions were run."""
        with open_scratch(self.server) as scratch:
            run_all(scratch, self._begin(), revisions)
            yield scratch

    def _begin(self) -> list[str]:
        is_other = self.schema != "public"
        return [f"CREATE SCHEMA IF NOT EXISTS {quote(self.schema)}"] if is_other else []

    def _build(self, statements: Sequence[str], revisions: Sequence[Revision] = ()) -> Snapshot:
        with open_scratch(self.server) as scratch:
            try:
                scratch.execute(";\n".join(statements) or "SELECT")
            except TargetError as error:
                raise _refuse(_find_refused(scratch, statements), error) from error
            run_all(scratch, (), revisions)
            return read_snapshot(scratch)

    def _keep(self, texts: Sequence[str], build: Callable[[], Snapshot]) -> Snapshot:
        """The snapshot of these texts, which is built once for each major version."""
        version = self.server.server_version // 10_000
        key = sha256("\0".join([str(version), FORM, *texts]).encode()).hexdigest()
        path = self.folder / f"{key[:32]}.json"
        with suppress(OSError, ValueError, TypeError):
            return collect(CatalogItem(*line) for line in json.loads(path.read_text()))
        snapshot = build()
        with suppress(OSError, AssiseError):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_file(path, json.dumps([[*item] for item in snapshot.values()]))
            old = sorted(self.folder.glob("*.json"), key=lambda file: file.stat().st_mtime)
            for file in old[:-KEPT_SNAPSHOTS]:
                file.unlink()
        return snapshot


def _find_refused(scratch: Connection, statements: Sequence[str]) -> str:
    """The first statement that the server refuses, when all of them were taken back."""
    for statement in statements:
        try:
            scratch.execute(statement)
        except TargetError:
            return statement
    return ""


def _refuse(statement: str, error: TargetError) -> UsageError:
    if isinstance(statement, SqlText):
        return UsageError(
            f"{statement.file}: the server refuses it: {error.message}",
            remedy="Correct the file.",
        )
    return UsageError(
        f"the server refuses what the manifest makes: {error.message}",
        remedy="Correct the key that says it.",
    )


FORM = "4"
"""Of the query of snapshots: another one makes those that are kept useless."""


def run_all(
    scratch: Connection, statements: Sequence[str], revisions: Sequence[Revision] = ()
) -> None:
    """Run statements and then the up parts of revisions in a scratch database."""
    scratch.execute(";\n".join(statements) or "SELECT")
    for revision in revisions:
        if not _run_whole(scratch, revision):
            run_blocks(scratch, revision, revision.up)


def _run_whole(scratch: Connection, revision: Revision) -> bool:
    """Run a revision that has nothing but statements for one transaction at once, if it can be."""
    if "-- assise: down" in revision.text or "CONCURRENTLY" in revision.text:
        return False
    with suppress(TargetError):
        scratch.execute(revision.text)
        return True
    return False


def run_blocks(scratch: Connection, revision: Revision, blocks: Sequence[Block]) -> None:
    """Run blocks of a revision in a scratch database, which nobody else uses.

    Raises:
        UsageError: the server refuses a statement; names file and line.
    """
    for block in blocks:
        try:
            scratch.execute(block.text)
        except TargetError as error:
            line = revision.text.count("\n", 0, block.statements[0].start) + 1
            raise UsageError(
                f"{revision.file}:{line}: the server refuses it: {error.message}",
                remedy="Correct the statement there.",
            ) from error


@contextmanager
def open_sums(
    workspace: Workspace,
    manifest: Manifest,
    target: Connection,
    *,
    scratch: str | None,
    schema: str,
) -> Iterator[ScratchSums]:
    """Sums on the target's server, at the URL `scratch`, or on the embedded server.

    Raises:
        UsageError: the user may not create databases on any of them.
    """
    folder = workspace.path.parent / ".assise" / "snapshots"
    if scratch is not None:
        with Connection(scratch) as server:
            yield ScratchSums(server, folder, schema)
    elif may_create(target):
        yield ScratchSums(target, folder, schema)
    else:
        with _open_embedded(workspace, manifest, target) as server:
            yield ScratchSums(server, folder, schema)


def _open_embedded(workspace: Workspace, manifest: Manifest, target: Connection) -> Connection:
    """The embedded server, whose major version must be the target's: others print otherwise."""
    embedded = workspace.embedded
    try:
        embedded.start()
        server = Connection(embedded.conninfo("postgres"), shown="the embedded server")
        if server.server_version // 10_000 == target.server_version // 10_000:
            return server
        found = f"is PostgreSQL {server.server_version // 10_000}"
        server.close()
    except AssiseError as error:
        found = f"cannot be used: {error.message}"
    raise UsageError(
        f"{target.target}: the user may not create databases, and one is needed for a moment to"
        f" build {manifest.name!r} in; the embedded server {found}",
        remedy="ALTER ROLE … CREATEDB, or give --scratch URL: another server of the same version.",
    )
