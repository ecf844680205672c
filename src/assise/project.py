"""Project: what operators do with a manifest and its data. Its verbs are the commands."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from time import perf_counter
from typing import Literal

from assise.errors import AssiseError, UsageError
from assise.infer.propose import Proposal, propose
from assise.manifest.json_schema import json_schema
from assise.manifest.model import Manifest
from assise.manifest.read import load_manifest
from assise.manifest.sections.project import SERVERS_OWN
from assise.manifest.write import dump_manifest
from assise.mongo.dump import Dump, open_dump, read_metadata
from assise.postgres.connection import Connection
from assise.postgres.conninfo import describe
from assise.postgres.embedded import Embedded
from assise.schema.script import script
from assise.schema.sql import all_layouts
from assise.settings import count_cores, expand, read_setting
from assise.transfer import ledger
from assise.transfer.estimate import estimate_dump
from assise.transfer.export import Exported, Write, export_documents, export_folder
from assise.transfer.ledger import Load, Reject
from assise.transfer.load import load_dump
from assise.transfer.pool import Workers, start_workers
from assise.transfer.profile import profile_dump
from assise.transfer.repair import Repair, repair_load
from assise.transfer.report import Report
from assise.transfer.tasks import Log, OnProgress
from assise.transfer.undo import Undo, plan_undo, undo_load
from assise.transfer.verify import Found, verify_dump
from assise.wording import count_of, nearest

Confirm = Callable[[str], bool]
"""Is asked before the first write to a server that is not the embedded one, and before anything is dropped; the text says what, and where."""

Ids = Literal["uuid", "text"]

WORKER_BYTES = 8 << 20
"""Source bytes that are worth a further worker: one takes half a second to start."""

MOST_WORKERS = 8
"""Workers that are started unasked, at most: each has a session, and a server takes a hundred unless told otherwise."""

_WRITABLE = (
    "Give a file in a folder that is there, that this user may write to, and whose disk has room."
)


def refuse(_question: str) -> bool:
    """The answer where nobody can be asked."""
    return False


def keep_silent(_line: object) -> None:
    """Log that nobody listens to, progress that nobody watches."""


@dataclass(frozen=True)
class Plan:
    """What a load would do: the target without its password, the tables to create, the collections with their bytes on disk.

    And about how many documents each of them has, and how many seconds load and verify would take.
    """

    source: str
    target: str
    tables: list[str]
    collections: dict[str, int]
    documents: dict[str, int]
    load_seconds: float
    verify_seconds: float

    def as_json(self) -> dict[str, object]:
        """As `--dry-run --json` prints it."""
        return dict(vars(self))


class Project:
    """A manifest, and beside it the folder `.assise`; for one thread at a time.

    >>> from assise import Project
    >>> project = Project()
    >>> report = project.migrate("dump/app")
    >>> report.documents, report.loaded, report.rejected
    (801, 800, 1)
    >>> report.verified
    Verified(equal=800, different=0, missing=0, extra=0)
    >>> [(reject.collection, reject.offset, reject.detail) for reject in project.rejects()]
    [('projects', 87390, 'a document with the same _id is loaded already')]

    >>> manifest = project.manifest
    >>> [*manifest.tables], manifest.tables["users"].columns["full_name"].type
    (['projects', 'project_files', 'users'], 'text')
    >>> with project.connect(manifest) as connection:
    ...     connection.execute("SELECT email FROM users ORDER BY id LIMIT 1")
    [('user0@example.org',)]

    >>> from bson import decode
    >>> documents = []
    >>> project.export("users", documents.append).documents
    300
    >>> decode(documents[0])["email"]
    'user0@example.org'

    >>> project.undo(confirm=lambda question: True).is_done
    True
    >>> project.verify()
    Traceback (most recent call last):
    assise.errors.UsageError: nothing of 'app' is loaded in postgresql:///app...
    `assise load FOLDER` loads it.
    >>> project.embedded.stop()
    True

    Args:
        manifest: path of `assise.yaml`, or the folder that it lies in or will lie in.
        to: a PostgreSQL URL that takes the place of the manifest's.
        settings: values of `assise.settings.SETTINGS` by name, before those of the environment.
        log: gets a line for people now and then.
        progress: gets the progress of infer, load and verify, chunk by chunk.
    """

    def __init__(
        self,
        manifest: Path | str = ".",
        *,
        to: str | None = None,
        settings: Mapping[str, int] | None = None,
        log: Log = keep_silent,
        progress: OnProgress = keep_silent,
    ) -> None:
        path = Path(manifest).absolute()
        if not path.suffix and not os.path.lexists(path):
            raise UsageError(
                f"there is no file or folder {path}",
                remedy="Make it; a new manifest's name ends in .yaml.",
            )
        self.path = path / "assise.yaml" if path.is_dir() else path
        self.embedded = Embedded(self.path.parent / ".assise")
        self._to, self._settings = to, settings or {}
        self._log, self._progress = log, progress
        self._workers: Workers | None = None
        self._told: Path | None = None

    @property
    def manifest(self) -> Manifest:
        """The manifest, read anew.

        Raises:
            UsageError: there is none yet. ManifestError: it cannot be used.
        """
        if not self.path.exists():
            raise UsageError(
                f"there is no manifest {self.path}",
                remedy="`assise infer FOLDER` writes one from a dump.",
            )
        return load_manifest(self.path)

    def infer(self, source: Path | str, *, ids: Ids = "uuid") -> Proposal:
        """Read every document of a dump and propose a manifest; nothing is written."""
        dump = self._open(source)
        postgres = "embedded" if self._to is None else describe(self._to)
        chunk_bytes, paths = self._setting("load.chunk_bytes"), self._setting("infer.paths")
        with self._working(dump) as workers:
            profiles = profile_dump(
                dump,
                workers,
                chunk_bytes=chunk_bytes,
                paths=paths,
                log=self._log,
                progress=self._progress,
            )
        return propose(profiles, name=_name(dump.path), ids=ids, postgres=postgres)

    def _open(self, source: Path | str) -> Dump:
        """The dump; what it holds beside collections is said once."""
        dump = open_dump(Path(source))
        if dump.ignored and dump.path != self._told:
            self._log(f"not read: {', '.join(dump.ignored)}")
            self._told = dump.path
        return dump

    def _setting(self, name: str) -> int:
        return read_setting(name, self._settings.get(name))

    @contextmanager
    def _working(self, dump: Dump) -> Iterator[Workers]:
        """The workers of a verb, and of the verbs that it calls: as many as were asked for; else one for each core, fewer for a small source."""
        if self._workers is not None:
            yield self._workers
            return
        with start_workers(self._count_workers(dump)) as workers:
            self._workers = workers
            try:
                yield workers
            finally:
                self._workers = None

    def _count_workers(self, dump: Dump) -> int:
        size = sum(collection.size for collection in dump.collections)
        return self._setting("workers") or min(
            count_cores(), MOST_WORKERS, 1 + size // WORKER_BYTES
        )

    def write_manifest(self, proposal: Proposal, path: Path | None = None) -> Path:
        """Write a proposal to a new file, and the JSON Schema for editors to `.assise`.

        Raises:
            UsageError: the file exists. AssiseError: it cannot be written.
        """
        path = path or self.path
        if not _write(
            path, dump_manifest(proposal.manifest, comments=proposal.comments), is_new=True
        ):
            raise _exists(path)
        _write_schema(self.path.parent, self._log)
        return path

    def migrate(
        self, source: Path | str, *, ids: Ids = "uuid", confirm: Confirm = refuse
    ) -> Report:
        """Infer where there is no manifest, load, verify."""
        dump = open_dump(Path(source))
        if not self.path.exists():
            _check_writable(self.path)
        with self._working(dump):
            if not self.path.exists():
                proposal = self.infer(source, ids=ids)
                for note in proposal.notes:
                    self._log(note)
                if _write(
                    self.path,
                    dump_manifest(proposal.manifest, comments=proposal.comments),
                    is_new=True,
                ):
                    self._log(f"wrote {self.path}")
            report = self.load(source, confirm=confirm)
            proof = self.verify(source)
        for collection, proved in zip(report.collections, proof.collections, strict=True):
            collection.verified, collection.differences = proved.verified, proved.differences
        report.seconds += proof.seconds
        return report

    def plan(self, source: Path | str, manifest: Manifest | None = None) -> Plan:
        """What a load of `source` would do, and how long it would take: samples are read. Nothing is written, the embedded server is not started."""
        dump, manifest = self._open(source), manifest or self.manifest
        estimate = estimate_dump(
            dump, manifest, workers=min(self._count_workers(dump), count_cores())
        )
        if self._is_embedded(manifest):
            target = f"the embedded server in {self.embedded.data}, database {manifest.name}"
        else:
            target = describe(self._conninfo(manifest))
        return Plan(
            str(dump.path),
            target,
            [layout.table for layout in all_layouts(manifest.layout)],
            {name: dump.collection(name).size for name in manifest.roots.values()},
            estimate.documents,
            round(estimate.load_s, 1),
            round(estimate.verify_s, 1),
        )

    def load(self, source: Path | str | None = None, *, confirm: Confirm = refuse) -> Report:
        """Load what is not loaded yet; done already, it changes nothing. Without `source` the one of the load goes on.

        Raises:
            ChangedError: source or manifest have changed since the load began.
            TargetError, SourceError: the same call goes on where it stopped.
        """
        started = perf_counter()
        manifest = self.manifest
        _write_schema(self.path.parent, self._log)
        with self.connect(manifest) as connection:
            ledger.lock(connection, manifest.name, log=self._log)
            load = ledger.find_load(connection, manifest.name)
            dump = self._open(source if source is not None else _remembered(load))
            _check_held(manifest, dump, self._log)
            if load is None:
                load = self._begin(connection, manifest, dump, confirm)
            else:
                ledger.check_unchanged(connection, load, manifest.layout)
                ledger.apply_manifest(connection, load, manifest)
            report = Report(str(dump.path), connection.target, was_done=load.is_finished)
            with self._working(dump) as workers:
                report.collections = load_dump(
                    connection, load, dump, workers, log=self._log, progress=self._progress
                )
            ledger.remember_source(connection, load, dump.path)
        report.seconds = perf_counter() - started
        return report

    def verify(self, source: Path | str | None = None, *, sample: int | None = None) -> Report:
        """Compare every document of the source with what the target gives back.

        Args:
            source: where it lies now; without it, where it lay when it was loaded.
            sample: compare so many documents of each collection, drawn at random, and all numbers of rows.

        Raises:
            UsageError: nothing is loaded yet, or not all of it. ChangedError: the source has changed since the load.
        """
        if sample is not None and sample < 1:
            raise UsageError(
                f"a sample of {sample} documents", remedy="Give 1 or more: --sample 1000."
            )
        manifest = self.manifest
        with self.connect(manifest) as connection:
            load = _finished_load(connection, manifest)
            return self._verify(connection, load, open_dump(Path(source or load.source)), sample)[0]

    def _verify(
        self, connection: Connection, load: Load, dump: Dump, sample: int | None = None
    ) -> tuple[Report, dict[str, Found]]:
        started = perf_counter()
        with self._working(dump) as workers:
            found = verify_dump(
                connection,
                load,
                dump,
                workers,
                sample=sample,
                log=self._log,
                progress=self._progress,
            )
            workers.rest()
        report = Report(str(dump.path), connection.target, was_done=True, sample=sample)
        for name, each in found.items():
            collection = ledger.sum_chunks(connection, load, name)
            collection.verified, collection.differences = each.verified, each.differences
            report.collections.append(collection)
        report.seconds = perf_counter() - started
        return report, found

    def repair(
        self,
        source: Path | str | None = None,
        *,
        replace: Collection[str] = (),
        confirm: Confirm = refuse,
        dry_run: bool = False,
    ) -> Repair:
        """Verify, write what differs or is missing as the source has it, whole or not at all, and verify again.

        Args:
            source: where it lies now; without it, where it lay when it was loaded.
            replace: tables whose changed and extra rows may be discarded.
            confirm: is asked whatever the target is, with what would be written.
            dry_run: only say what would be written; `Repair.check` then tells whether it would be refused.

        Raises:
            EditedError: rows were changed since the load, or come from no document. DependentError: rows of others refer to one that goes.
        """
        manifest = self.manifest
        with self.connect(manifest) as connection:
            ledger.lock(connection, manifest.name, log=self._log)
            load = _finished_load(connection, manifest)
            dump = open_dump(Path(source or load.source))
            with self._working(dump):
                report, found = self._verify(connection, load, dump)
                repair = repair_load(
                    connection,
                    load,
                    dump,
                    found,
                    report=report,
                    replace=replace,
                    confirm=None if dry_run else confirm,
                )
                if repair.is_done:
                    repair.report, _ = self._verify(connection, load, dump)
        return repair

    def undo(
        self, *, replace: Collection[str] = (), confirm: Confirm = refuse, dry_run: bool = False
    ) -> Undo:
        """Drop exactly what the load created, finished or not. Where nothing is loaded there is nothing in what it returns.

        Args:
            replace: tables whose edits since the load may be discarded.
            confirm: is asked whatever the target is.
            dry_run: only say what would be dropped; `Undo.check` then tells whether it would be refused.

        Raises:
            EditedError: rows or tables were edited since the load. DependentError: something of others depends on a table.
        """
        manifest = self.manifest
        with self.connect(manifest) as connection:
            if not dry_run:
                ledger.lock(connection, manifest.name, log=self._log)
            load = ledger.find_load(connection, manifest.name)
            if load is None:
                return Undo(connection.target, manifest.name)
            plan = plan_undo(connection, load)
            if dry_run:
                return plan
            plan.check(replace)
            if not confirm(question := plan.describe()):
                raise UsageError(
                    f"not agreed, nothing was dropped: {question}", remedy="Agree with --yes."
                )
            return undo_load(connection, load, replace=replace)

    def export(self, collection: str, write: Write) -> Exported:
        """Give each document of a collection, as its rows are now, to `write` as raw BSON; rejects are not among them.

        Raises:
            UsageError: nothing is loaded, not all of it, or no such collection.
        """
        with self._exporting() as (connection, load):
            return export_documents(connection, load, _known(load, collection), write)

    def export_folder(self, folder: Path | str, collection: str | None = None) -> list[Exported]:
        """Write all collections, or one, as mongorestore reads them, rejects included; all of the files or none.

        Raises:
            UsageError: as `export`; a file exists. AssiseError: a file cannot be written.
        """
        with self._exporting() as (connection, load):
            names = (
                list(load.layout.roots.values())
                if collection is None
                else [_known(load, collection)]
            )
            return export_folder(connection, load, names, Path(folder).absolute())

    @contextmanager
    def _exporting(self) -> Iterator[tuple[Connection, Load]]:
        """The finished load, whatever the manifest says now, in one snapshot."""
        manifest = self.manifest
        with self.connect(manifest) as connection:
            load = _finished_load(connection, manifest, as_loaded=True)
            with connection.transaction(isolation="REPEATABLE READ"):
                yield connection, load

    def rejects(self) -> list[Reject]:
        """The rejects of the load."""
        manifest = self.manifest
        with self.connect(manifest) as connection:
            return ledger.read_rejects(connection, _load_of(connection, manifest))

    def reject_bytes(self, collection: str, offset: int) -> bytes:
        """The bytes of one reject, as far as they are kept."""
        manifest = self.manifest
        with self.connect(manifest) as connection:
            return ledger.read_reject(
                connection, _load_of(connection, manifest), collection, offset
            )

    def schema_sql(self) -> str:
        """What a load creates, as SQL text, for the schema public; no server is asked."""
        return script(self.manifest, "public")

    def connect(self, manifest: Manifest) -> Connection:
        """A connection to the target; the embedded server is started when it is the target."""
        if not self._is_embedded(manifest):
            return Connection(self._conninfo(manifest))
        self.embedded.start()
        self.embedded.create_database(manifest.name)
        return Connection(
            self.embedded.conninfo(manifest.name), shown=self.embedded.url(manifest.name)
        )

    def _conninfo(self, manifest: Manifest) -> str:
        found = expand(manifest.postgres) if self._to is None else self._to
        if not found.strip():
            raise UsageError(
                "the URL of the target is empty",
                remedy="Give --to URL, or set the variables that `postgres:` in the manifest names.",
            )
        return found

    def _is_embedded(self, manifest: Manifest) -> bool:
        return self._to is None and manifest.postgres == "embedded"

    def _begin(
        self, connection: Connection, manifest: Manifest, dump: Dump, confirm: Confirm
    ) -> Load:
        if not self._is_embedded(manifest):
            parts = connection.parts
            tables = [layout.table for layout in all_layouts(manifest.layout)]
            question = (
                f"{parts['host']}:{parts['port']}, database {parts['dbname']}, gets the schema assise and"
                f" {count_of(len(tables), 'table')}: {', '.join(tables[:20])}{', …' if len(tables) > 20 else ''}"
            )
            if not confirm(question):
                raise UsageError(
                    f"not agreed, nothing was written: {question}", remedy="Agree with --yes."
                )
        metadata = [
            (name, text)
            for name in manifest.roots.values()
            if (text := read_metadata(dump.collection(name)))
        ]
        return ledger.begin(
            connection,
            manifest,
            dump.path,
            chunk_bytes=self._setting("load.chunk_bytes"),
            metadata=metadata,
        )


def _check_held(manifest: Manifest, dump: Dump, log: Log) -> None:
    """The dump holds every collection of the manifest; others that it holds are said."""
    known = manifest.roots.values()
    for name in known:
        dump.collection(name)
    for collection in dump.collections:
        if collection.name not in known:
            log(f"{collection.name} has no table in the manifest and is not loaded")


def check_new(path: Path) -> None:
    """Check that a manifest can be written to a new file, before a dump is read for it.

    Raises:
        UsageError: the file exists. AssiseError: nothing can be written there.
    """
    if path.exists() or path.is_symlink():
        raise _exists(path)
    _check_writable(path)


def _check_writable(path: Path) -> None:
    try:
        TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise AssiseError(
            f"{path} cannot be written: {error.strerror}", remedy=_WRITABLE
        ) from error


def _exists(path: Path) -> UsageError:
    return UsageError(
        f"{path} exists, and is not overwritten", remedy="Remove it, or give another file."
    )


def _load_of(connection: Connection, manifest: Manifest) -> Load:
    load = ledger.find_load(connection, manifest.name)
    if load is None:
        raise UsageError(
            f"nothing of {manifest.name!r} is loaded in {connection.target}",
            remedy="`assise load FOLDER` loads it.",
        )
    return load


def _finished_load(connection: Connection, manifest: Manifest, *, as_loaded: bool = False) -> Load:
    load = _load_of(connection, manifest)
    ledger.check_unchanged(connection, load, load.layout if as_loaded else manifest.layout)
    if not load.is_finished:
        raise UsageError(
            f"the load of {manifest.name!r} is not finished",
            remedy="`assise load` goes on where it stopped.",
        )
    return load


def _remembered(load: Load | None) -> Path:
    if load is None:
        raise UsageError(
            "nothing is loaded yet, so that no source is remembered",
            remedy="`assise load FOLDER` names it.",
        )
    return load.source


def _known(load: Load, collection: str) -> str:
    known = load.layout.roots.values()
    if collection not in known:
        raise UsageError(
            f"the load of {load.name!r} has no collection {collection!r}",
            remedy=nearest(collection, known),
        )
    return collection


def _name(path: Path) -> str:
    """A manifest's name from the dump's: letters, digits, _ and -, a letter first, at most 63."""
    name = re.sub(
        r"[^A-Za-z0-9_-]+", "_", path.name.removesuffix(".gz").removesuffix(".bson")
    ).strip("_-")
    return (name if name[:1].isalpha() and name not in SERVERS_OWN else f"db_{name}".strip("_"))[
        :63
    ]


def _write_schema(project: Path, log: Log) -> None:
    """Write `.assise/manifest.schema.json`, which the first line of the manifest names; where it cannot be written editors do without."""
    folder = project / ".assise"
    try:
        folder.mkdir(exist_ok=True)
        _write(folder / ".gitignore", "*\n")
        _write(folder / "manifest.schema.json", json.dumps(json_schema(), indent=2) + "\n")
    except (OSError, AssiseError):
        log(f"{folder} cannot be written: there is no JSON Schema for editors")


def _write(path: Path, text: str, *, is_new: bool = False) -> bool:
    """Write a file whole or not at all; with `is_new` False when it exists, also when another process has just written it."""
    draft = path.with_name(f".assise-{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        if is_new:
            with suppress(OSError):  # it exists, or the file system has no hard links
                path.hardlink_to(draft)
                return True
            if path.exists() or path.is_symlink():
                return False
        draft.replace(path)
        return True
    except OSError as error:
        raise AssiseError(
            f"{path} cannot be written: {error.strerror}", remedy=_WRITABLE
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink()
