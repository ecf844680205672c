"""The verbs of the main job: infer, load, verify, repair, undo, export, and all of a migration."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from time import perf_counter

from assise.errors import UsageError
from assise.files import check_writable, exists_error, write_file
from assise.infer.fields import Ids
from assise.infer.metadata import read_metadata
from assise.infer.propose import Proposal, propose
from assise.manifest.model import Manifest
from assise.manifest.sections.project import SERVERS_OWN
from assise.manifest.write import dump_manifest
from assise.mongo.dump import Dump, open_dump
from assise.mongo.dump import read_metadata as read_texts
from assise.postgres.connection import Connection
from assise.postgres.conninfo import describe
from assise.progress import Log
from assise.schema.constraints import list_objects
from assise.schema.sql import all_layouts
from assise.settings import CHUNK_BYTES, INFER_PATHS, WORKERS, count_cores
from assise.transfer import creation, export, ledger
from assise.transfer.check import Findings
from assise.transfer.estimate import estimate_dump
from assise.transfer.export import Exported, Write
from assise.transfer.ledger import Load, Reject
from assise.transfer.load import load_dump
from assise.transfer.objects import apply_objects
from assise.transfer.profile import profile_dump
from assise.transfer.repair import Repair, repair_load
from assise.transfer.report import CollectionReport, Plan, Report
from assise.transfer.undo import Undo, plan_undo, undo_load
from assise.transfer.verify import verify_dump
from assise.transfer.workers.pool import Workers, start_workers
from assise.wording import count_of, nearest
from assise.workspace import Workspace

WORKER_BYTES = 8 << 20
"""Source bytes that are worth a further worker: one takes half a second to start."""

MOST_WORKERS = 8
"""Workers started unasked, at most: each has a session, of which a server usually takes 100."""

MOST_TABLES = 20
"""Tables that a question names."""


def infer(
    workspace: Workspace,
    source: Path | str,
    *,
    ids: Ids = "uuid",
    workers: Workers | None = None,
) -> Proposal:
    """Read every document of a dump and propose a manifest; nothing is written."""
    dump = _open(workspace, source, is_said=workers is not None)
    postgres = "embedded" if workspace.to is None else describe(workspace.to)
    metadata = {each.name: read_metadata(read_texts(each)) for each in dump.collections}
    with _working(workspace, dump, workers) as running:
        profiles = profile_dump(
            dump,
            running,
            targets={name: each.targets for name, each in metadata.items()},
            chunk_bytes=workspace.setting(CHUNK_BYTES),
            paths=workspace.setting(INFER_PATHS),
            log=workspace.log,
            progress=workspace.progress,
        )
    name = _name_manifest(dump.path)
    return propose(profiles, name=name, ids=ids, postgres=postgres, metadata=metadata)


def write_manifest(workspace: Workspace, proposal: Proposal, path: Path | None = None) -> Path:
    """Write a proposal to a new file, and the JSON Schema for editors to `.assise`."""
    path = path or workspace.path
    if not _write_new(path, proposal):
        raise exists_error(path)
    workspace.write_schema()
    return path


def migrate(workspace: Workspace, source: Path | str, *, ids: Ids = "uuid") -> Report:
    """Infer where there is no manifest, load, verify."""
    dump = _open(workspace, source, is_said=False)
    if not workspace.path.exists():
        check_writable(workspace.path)
    with _working(workspace, dump) as workers:
        if not workspace.path.exists():
            proposal = infer(workspace, source, ids=ids, workers=workers)
            for note in proposal.notes:
                workspace.log(note)
            if _write_new(workspace.path, proposal):
                workspace.log(f"wrote {workspace.path}")
        report = load(workspace, source, workers=workers)
        proof = verify(workspace, source, workers=workers)
    for collection, proved in zip(report.collections, proof.collections, strict=True):
        collection.verified, collection.differences = proved.verified, proved.differences
    report.seconds += proof.seconds
    return report


def plan(workspace: Workspace, source: Path | str, manifest: Manifest | None = None) -> Plan:
    """Say what a load would do, from samples; nothing is written, no server is started."""
    dump = _open(workspace, source, is_said=manifest is not None)
    manifest = manifest or workspace.manifest()
    workers = min(_count_workers(workspace, dump), count_cores())
    estimate = estimate_dump(dump, manifest, workers=workers)
    return Plan(
        str(dump.path),
        workspace.describe_target(manifest),
        [layout.table for layout in all_layouts(manifest.layout)],
        {name: dump.collection(name).size for name in manifest.roots.values()},
        estimate.documents,
        round(estimate.load_s, 1),
        round(estimate.verify_s, 1),
    )


def load(
    workspace: Workspace, source: Path | str | None = None, *, workers: Workers | None = None
) -> Report:
    """Load what is not loaded yet; without `source` the source of the load goes on."""
    started = perf_counter()
    manifest = workspace.manifest()
    workspace.write_schema()
    with workspace.connect(manifest) as connection:
        ledger.lock(connection, manifest.name, log=workspace.log)
        ledger.upgrade(connection)
        found = ledger.find_load(connection, manifest.name)
        path = source if source is not None else _remembered(found)
        dump = _open(workspace, path, is_said=workers is not None)
        _check_held(manifest, dump, workspace.log)
        if found is None:
            begun = _begin(workspace, connection, manifest, dump)
        else:
            creation.create_rest(connection, found)
            ledger.check_unchanged(connection, found, manifest.layout)
            if count := ledger.apply_manifest(connection, found, manifest):
                workspace.log(f"{count_of(count, 'comment')} changed in place")
            begun = found
        report = Report(str(dump.path), connection.target, was_done=begun.is_finished)
        with _working(workspace, dump, workers) as running:
            report.collections = load_dump(
                connection, begun, dump, running, log=workspace.log, progress=workspace.progress
            )
            report.findings = apply_objects(
                connection,
                begun,
                list_objects(manifest, begun.schema),
                workers=running.count,
                log=workspace.log,
                progress=workspace.progress,
            )
        ledger.remember_source(connection, begun, dump.path)
    report.seconds = perf_counter() - started
    return report


def verify(
    workspace: Workspace,
    source: Path | str | None = None,
    *,
    sample: int | None = None,
    workers: Workers | None = None,
) -> Report:
    """Compare every document of the source, or a sample, with what the target gives back."""
    if sample is not None and sample < 1:
        raise UsageError(f"a sample of {sample} documents", remedy="Give 1 or more: --sample 1000.")
    manifest = workspace.manifest()
    with workspace.connect(manifest) as connection:
        found = _finished_load(connection, manifest)
        dump = open_dump(Path(source or found.source))
        with _working(workspace, dump, workers) as running:
            return _verify(workspace, connection, found, dump, running, sample=sample)[0]


def _verify(
    workspace: Workspace,
    connection: Connection,
    load: Load,
    dump: Dump,
    workers: Workers,
    *,
    sample: int | None = None,
) -> tuple[Report, dict[str, Findings]]:
    started = perf_counter()
    found = verify_dump(
        connection,
        load,
        dump,
        workers,
        sample=sample,
        log=workspace.log,
        progress=workspace.progress,
    )
    workers.rest()
    report = Report(str(dump.path), connection.target, was_done=True, sample=sample)
    finished = ledger.list_finished(connection, load)
    for name, each in found.items():
        collection = CollectionReport(name)
        for line in finished.get(name, ()):
            collection.add(line.figures)
        collection.verified, collection.differences = each.verified, each.differences
        report.collections.append(collection)
    report.seconds = perf_counter() - started
    return report, found


def repair(
    workspace: Workspace,
    source: Path | str | None = None,
    *,
    replace: Collection[str] = (),
    dry_run: bool = False,
) -> Repair:
    """Verify, write what differs or is missing as the source has it, and verify again."""
    manifest = workspace.manifest()
    with workspace.connect(manifest) as connection:
        ledger.lock(connection, manifest.name, log=workspace.log)
        if not dry_run:
            ledger.upgrade(connection)
        load = _finished_load(connection, manifest)
        dump = open_dump(Path(source or load.source))
        with _working(workspace, dump) as workers:
            report, found = _verify(workspace, connection, load, dump, workers)
            repair = repair_load(
                connection,
                load,
                dump,
                found,
                report=report,
                replace=replace,
                confirm=None if dry_run else workspace.confirm,
            )
            if repair.is_done:
                repair.report, _ = _verify(workspace, connection, load, dump, workers)
    return repair


def undo(workspace: Workspace, *, replace: Collection[str] = (), dry_run: bool = False) -> Undo:
    """Drop exactly what the load created, finished or not."""
    manifest = workspace.manifest()
    with workspace.connect(manifest) as connection:
        if not dry_run:
            ledger.lock(connection, manifest.name, log=workspace.log)
            ledger.upgrade(connection)
        load = ledger.find_load(connection, manifest.name)
        if load is None:
            return Undo(connection.target, manifest.name)
        plan = plan_undo(connection, load)
        if dry_run:
            return plan
        plan.check(replace)
        question = plan.describe()
        if not workspace.confirm(question):
            raise UsageError(
                f"not confirmed, nothing was dropped: {question}", remedy="Confirm with --yes."
            )
        return undo_load(connection, load, replace=replace)


def export_documents(workspace: Workspace, collection: str, write: Write) -> Exported:
    """Give each document of a collection, as its rows are now, to `write` as raw BSON."""
    with _exporting(workspace) as (connection, load):
        name = _check_collection(load, collection)
        return export.export_documents(connection, load, name, write)


def export_folder(
    workspace: Workspace, folder: Path | str, collection: str | None = None
) -> list[Exported]:
    """Write all collections, or one, as mongorestore reads them; all of the files or none."""
    with _exporting(workspace) as (connection, load):
        names = list(load.layout.roots.values())
        if collection is not None:
            names = [_check_collection(load, collection)]
        return export.export_folder(connection, load, names, Path(folder).absolute())


@contextmanager
def _exporting(workspace: Workspace) -> Iterator[tuple[Connection, Load]]:
    """Open the finished load, whatever the manifest says now, in one snapshot."""
    manifest = workspace.manifest()
    with workspace.connect(manifest) as connection:
        load = _finished_load(connection, manifest, as_loaded=True)
        with connection.transaction(isolation="REPEATABLE READ"):
            yield connection, load


def rejects(workspace: Workspace) -> list[Reject]:
    """List the rejects of the load."""
    manifest = workspace.manifest()
    with workspace.connect(manifest) as connection:
        return ledger.read_rejects(connection, _find_load(connection, manifest))


def reject_bytes(workspace: Workspace, collection: str, offset: int) -> bytes:
    """Return the bytes of one reject, as far as they are kept."""
    manifest = workspace.manifest()
    with workspace.connect(manifest) as connection:
        load = _find_load(connection, manifest)
        return ledger.read_reject(connection, load, collection, offset)


def _open(workspace: Workspace, source: Path | str, *, is_said: bool) -> Dump:
    """Open a dump; say what it holds beside collections, unless a verb before has said it."""
    dump = open_dump(Path(source))
    if dump.ignored and not is_said:
        workspace.log(f"not read: {', '.join(dump.ignored)}")
    for note in () if is_said else dump.notes:
        workspace.log(note)
    return dump


def _working(
    workspace: Workspace, dump: Dump, running: Workers | None = None
) -> AbstractContextManager[Workers]:
    """Start workers, or go on with those of the verb that calls this one."""
    if running is not None:
        return nullcontext(running)
    return start_workers(_count_workers(workspace, dump))


def _count_workers(workspace: Workspace, dump: Dump) -> int:
    """As many as the user gives; else one for each core, fewer for a small source."""
    given = workspace.setting(WORKERS)
    size = sum(collection.size for collection in dump.collections)
    return given or min(count_cores(), MOST_WORKERS, 1 + size // WORKER_BYTES)


def _begin(workspace: Workspace, connection: Connection, manifest: Manifest, dump: Dump) -> Load:
    """Create ledger and tables; a server that is not the embedded one only after a yes."""
    if not workspace.is_embedded(manifest):
        question = _ask_to_begin(connection, manifest)
        if not workspace.confirm(question):
            raise UsageError(
                f"not confirmed, nothing was written: {question}", remedy="Confirm with --yes."
            )
    texts = {name: read_texts(dump.collection(name)) for name in manifest.roots.values()}
    return creation.begin(
        connection,
        manifest,
        dump.path,
        chunk_bytes=workspace.setting(CHUNK_BYTES),
        metadata=[(name, text) for name, text in texts.items() if text],
    )


def _ask_to_begin(connection: Connection, manifest: Manifest) -> str:
    parts = connection.parts
    tables = [layout.table for layout in all_layouts(manifest.layout)]
    names = ", ".join(tables[:MOST_TABLES])
    more = ", …" if len(tables) > MOST_TABLES else ""
    server = f"{parts['host']}:{parts['port']}"
    count = count_of(len(tables), "table")
    return (
        f"{server}, database {parts['dbname']}, gets the schema assise and {count}: {names}{more}"
    )


def _check_held(manifest: Manifest, dump: Dump, log: Log) -> None:
    """Check that the dump holds every collection of the manifest; say which others it holds."""
    known = manifest.roots.values()
    for name in known:
        dump.collection(name)
    for collection in dump.collections:
        if collection.name not in known:
            log(f"{collection.name} has no table in the manifest and is not loaded")


def _find_load(connection: Connection, manifest: Manifest) -> Load:
    load = ledger.find_load(connection, manifest.name)
    if load is None:
        raise UsageError(
            f"nothing of {manifest.name!r} is loaded in {connection.target}",
            remedy="`assise load FOLDER` loads it.",
        )
    return load


def _finished_load(connection: Connection, manifest: Manifest, *, as_loaded: bool = False) -> Load:
    load = _find_load(connection, manifest)
    ledger.check_unchanged(connection, load, load.layout if as_loaded else manifest.layout)
    if not load.is_finished:
        raise UsageError(
            f"the load of {manifest.name!r} is not finished",
            remedy="`assise load` continues where it stopped.",
        )
    return load


def _remembered(load: Load | None) -> Path:
    if load is None:
        raise UsageError(
            "nothing is loaded yet, so that no source is remembered",
            remedy="`assise load FOLDER` names it.",
        )
    return load.source


def _check_collection(load: Load, collection: str) -> str:
    known = load.layout.roots.values()
    if collection not in known:
        raise UsageError(
            f"the load of {load.name!r} has no collection {collection!r}",
            remedy=nearest(collection, known),
        )
    return collection


def _name_manifest(path: Path) -> str:
    """Make a manifest's name of the dump's: at most 63 letters, digits, _ and -, a letter first."""
    stem = path.name.removesuffix(".gz").removesuffix(".bson")
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")
    if not name[:1].isalpha() or name in SERVERS_OWN:
        name = f"db_{name}".strip("_")
    return name[:63]


def _write_new(path: Path, proposal: Proposal) -> bool:
    text = dump_manifest(proposal.manifest, comments=proposal.comments)
    return write_file(path, text, is_new=True)
