"""The verbs of the main job: infer, load, verify, repair, undo, export, and all of a migration."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from assise import extras
from assise.errors import ChangedError, UsageError
from assise.files import check_writable, exists_error, write_file
from assise.infer.fields import Ids
from assise.infer.propose import Proposal, propose
from assise.manifest.model import Manifest
from assise.manifest.sections.project import NAME, SERVERS_OWN
from assise.manifest.write import dump_manifest
from assise.mongo.nothing import ADDRESS
from assise.mongo.opening import open_source
from assise.mongo.source import (
    NO_OPTIONS,
    NOTHING,
    LiveSource,
    Source,
    SourceOptions,
    Survey,
    find_collections,
)
from assise.postgres.connection import Connection
from assise.postgres.conninfo import describe
from assise.postgres.server import check_server
from assise.schema.constraints import list_objects
from assise.schema.sql import all_layouts
from assise.settings import CHUNK_BYTES, INFER_PATHS, count_cores
from assise.transfer import born, comments, creation, export, ledger
from assise.transfer.amend import check_notes
from assise.transfer.check import Findings
from assise.transfer.estimate import estimate_source
from assise.transfer.export import Exported, Write
from assise.transfer.finished import find_finished, find_known
from assise.transfer.kept_rejects import Reject, read_reject, read_rejects
from assise.transfer.ledger import Load
from assise.transfer.load import list_measured, load_source
from assise.transfer.misfits import find_misfits
from assise.transfer.owned import add_woven, check_owner, make_rest
from assise.transfer.planning import MOST_TABLES, ask_of_empty, ask_to_begin, plan_changes
from assise.transfer.profile import profile_source
from assise.transfer.repair import Repair, repair_load
from assise.transfer.report import CollectionReport, Plan, Report
from assise.transfer.sources import (
    check_database,
    check_held,
    check_keys,
    check_sampled,
    suggest_another,
)
from assise.transfer.undo import Undo, plan_undo, undo_load
from assise.transfer.verify import verify_source
from assise.transfer.workers.number import count_needed, count_workers
from assise.transfer.workers.pool import Workers
from assise.wording import count_of, nearest
from assise.workspace import CONFIRM, Workspace, read_sql


class Begun(NamedTuple):
    """What the verbs of one migration share: the source, and who works on it.

    is_inferred: whether its manifest has just been inferred from the source.
    """

    source: Source
    workers: Workers
    is_inferred: bool = False


def infer(
    workspace: Workspace,
    place: Path | str,
    options: SourceOptions = NO_OPTIONS,
    *,
    name: str | None = None,
    ids: Ids = "uuid",
    sample: int | None = None,
    begun: Begun | None = None,
) -> Proposal:
    """Read every document of a source and propose a manifest; nothing is written.

    Of a live collection of over a million documents `sample` of them are enough, if it is given.
    """
    _check_sample(sample)
    if name is not None:
        _check_name(name)
    source = begun.source if begun else _open(workspace, place, options)
    check_sampled(source, sample)
    postgres = "embedded" if workspace.to is None else describe(workspace.to)
    chunk_bytes = workspace.setting(CHUNK_BYTES)
    _prepare(workspace, source, [each.name for each in source.collections], chunk_bytes)
    with _working(workspace, source, begun) as workers:
        profiles = profile_source(
            source,
            workers,
            chunk_bytes=chunk_bytes,
            paths=workspace.setting(INFER_PATHS),
            sample=sample,
            log=workspace.log,
            progress=workspace.progress,
            says=begun is None,
        )
    name = name or _name_manifest(source.name)
    return propose(
        profiles,
        name=name,
        ids=ids,
        postgres=postgres,
        has_parser=extras.is_installed("pglast"),
    )


def write_manifest(workspace: Workspace, proposal: Proposal, path: Path | None = None) -> Path:
    """Write a proposal to a new file, and the JSON Schema for editors to `.assise`."""
    path = path or workspace.path
    if not _write_new(path, proposal):
        raise exists_error(path)
    workspace.write_schema()
    return path


def migrate(
    workspace: Workspace,
    place: Path | str | None = None,
    options: SourceOptions = NO_OPTIONS,
    *,
    name: str | None = None,
    ids: Ids = "uuid",
    sample: int | None = None,
) -> Report:
    """Infer where there is no manifest, load, verify; `sample` is that of `infer`.

    Without a place the source of the load goes on; a manifest without collections needs none.
    """
    _check_sample(sample)
    place = place or find_place(workspace)
    source = _open(workspace, place, options)
    check_sampled(source, sample)
    if workspace.path.exists():
        _check_manifest(workspace, source, options, name)
    else:
        check_writable(workspace.path)
    with _working(workspace, source) as workers:
        begun = Begun(source, workers)
        if not workspace.path.exists():
            proposal = infer(workspace, place, name=name, ids=ids, sample=sample, begun=begun)
            for note in proposal.notes:
                workspace.log(note)
            if _write_new(workspace.path, proposal):
                workspace.log(f"wrote {workspace.path}")
                begun = begun._replace(is_inferred=True)
        report = load(workspace, place, options, begun=begun)
        proof = verify(workspace, place, begun=begun)
    for collection, proved in zip(report.collections, proof.collections, strict=True):
        collection.verified, collection.differences = proved.verified, proved.differences
        collection.since = proved.since
    report.seconds += proof.seconds
    return report


def find_place(workspace: Workspace) -> Path | str:
    """Return the source where none is given: that of the load, or of no documents at all.

    Raises:
        UsageError: there is no manifest, or nothing is loaded.
    """
    manifest = workspace.manifest()
    if not manifest.roots:
        return ADDRESS
    connection = workspace.find_connection(manifest)
    with connection or nullcontext():
        found = ledger.find_load(connection, manifest.name) if connection else None
        return _remembered(found)


def plan(
    workspace: Workspace,
    place: Path | str | None,
    options: SourceOptions = NO_OPTIONS,
    *,
    manifest: Manifest | None = None,
) -> Plan:
    """Say what a load would do, from samples; nothing is written, no server is started.

    Of a load that is there already it says what the manifest would change.
    """
    place = place or find_place(workspace)
    source = _open(workspace, place, options, is_said=manifest is not None)
    manifest = manifest or workspace.manifest()
    roots = manifest.roots.values()
    collections = find_collections(source, roots)
    check_keys(manifest, source)
    source.prepare([*roots], workspace.setting(CHUNK_BYTES), {})
    workers = min(count_workers(workspace, source), count_cores())
    estimate = estimate_source(source, manifest, workers=workers)
    plan = Plan(
        source.address,
        workspace.describe_target(manifest),
        [*(layout.table for layout in all_layouts(manifest.layout)), *manifest.born],
        {name: each.size for name, each in collections.items()},
        estimate.documents,
        round(estimate.load_s, 1),
        round(estimate.verify_s, 1),
        [*find_misfits(estimate.columns, manifest.layout, is_sample=True)],
    )
    connection = workspace.find_connection(manifest)
    if connection is not None:
        with connection:
            workspace.check_parts(connection, manifest)
            plan_changes(connection, manifest, plan)
    return plan


def load(
    workspace: Workspace,
    place: Path | str | None = None,
    options: SourceOptions = NO_OPTIONS,
    *,
    begun: Begun | None = None,
) -> Report:
    """Load what is not loaded yet; without a place the source of the load goes on."""
    started = perf_counter()
    manifest = workspace.manifest()
    workspace.write_schema()
    with workspace.connect(manifest) as connection:
        ledger.lock(connection, manifest.name, log=workspace.log)
        workspace.check_parts(connection, manifest)
        ledger.upgrade(connection)
        found = ledger.find_load(connection, manifest.name)
        if found is not None:
            options = _check_options(found, options, is_whole=begun is not None)
        if place is None:
            place = _remembered(found) if manifest.roots else ADDRESS
        source = begun.source if begun else _open(workspace, place, options)
        check_held(manifest, source, workspace.log)
        with _working(workspace, source, begun) as workers:
            if found is None:
                begun = begun or Begun(source, workers)
                found = _begin(workspace, connection, manifest, begun, options)
            else:
                creation.create_rest(connection, found, read_sql(workspace.path, manifest))
                ledger.check_unchanged(connection, found, manifest.layout)
                check_owner(workspace, connection, manifest, found)
                if not found.is_revised:
                    check_notes(found, manifest)
                    born.apply_tables(connection, found, manifest, log=workspace.log)
                    if count := comments.apply_manifest(connection, found, manifest):
                        workspace.log(f"{count_of(count, 'comment')} changed in place")
                _prepare_again(workspace, connection, found, source)
            report = Report(source.address, connection.target, was_done=found.is_finished)
            report.queries = found.options.queries
            found = add_woven(workspace, connection, load=found, manifest=manifest)
            report.collections = load_source(
                connection, found, source, workers, log=workspace.log, progress=workspace.progress
            )
            make_rest(workspace, connection, found, source, manifest, report, workers)
        ledger.remember_source(connection, found, source.address)
    for each in report.collections:
        report.misfits += find_misfits(each.columns, found.layout)
    report.seconds = perf_counter() - started
    return report


def verify(
    workspace: Workspace,
    place: Path | str | None = None,
    *,
    sample: int | None = None,
    begun: Begun | None = None,
) -> Report:
    """Compare every document of the source, or a sample, with what the target gives back."""
    _check_sample(sample)
    manifest = workspace.manifest()
    with workspace.connect(manifest) as connection:
        found = find_finished(connection, manifest)
        source = begun.source if begun else open_source(place or found.source, found.options)
        with _working(workspace, source, begun) as workers:
            return _verify(workspace, connection, found, source, workers, sample=sample)[0]


def _verify(
    workspace: Workspace,
    connection: Connection,
    load: Load,
    source: Source,
    workers: Workers,
    *,
    sample: int | None = None,
) -> tuple[Report, dict[str, Findings]]:
    started = perf_counter()
    _prepare_again(workspace, connection, load, source, is_check=True)
    found = verify_source(
        connection,
        load,
        source,
        workers,
        sample=sample,
        log=workspace.log,
        progress=workspace.progress,
    )
    workers.rest()
    report = Report(source.address, connection.target, was_done=True, sample=sample)
    report.queries = load.options.queries
    finished = list_measured(connection, load, source)
    for name, each in found.items():
        collection = CollectionReport(name)
        for line in finished.get(name, ()):
            collection.add(line.figures)
        collection.verified, collection.differences = each.verified, each.differences
        collection.problems = each.problems
        collection.since = each.since if source.is_live else None
        report.collections.append(collection)
    report.seconds = perf_counter() - started
    return report, found


def repair(
    workspace: Workspace,
    place: Path | str | None = None,
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
        load = find_finished(connection, manifest)
        source = open_source(place or load.source, load.options)
        with _working(workspace, source) as workers:
            report, found = _verify(workspace, connection, load, source, workers)
            repair = repair_load(
                connection,
                load,
                source,
                found,
                objects=list_objects(manifest, load.schema),
                report=report,
                replace=replace,
                confirm=None if dry_run else workspace.confirm,
            )
            if repair.is_done:
                repair.report, _ = _verify(workspace, connection, load, source, workers)
    return repair


def undo(workspace: Workspace, *, replace: Collection[str] = (), dry_run: bool = False) -> Undo:
    """Drop exactly what the load created, finished or not."""
    manifest = workspace.manifest()
    with workspace.connect(manifest) as connection:
        if not dry_run:
            ledger.lock(connection, manifest.name, log=workspace.log)
            ledger.upgrade(connection)
        if (load := ledger.find_load(connection, manifest.name)) is None:
            return Undo(connection.target, manifest.name)
        if not load.is_bare:
            ledger.check_open(load)
        plan = plan_undo(connection, load, workspace.additions)
        if dry_run:
            return plan
        plan.check(replace)
        question = plan.describe()
        if not workspace.confirm(question):
            raise UsageError(f"not confirmed, nothing was dropped: {question}", remedy=CONFIRM)
        return undo_load(connection, load, workspace.additions, replace=replace)


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
        load = find_finished(connection, manifest, as_loaded=True)
        with connection.transaction(isolation="REPEATABLE READ"):
            yield connection, load


def rejects(workspace: Workspace) -> list[Reject]:
    """List the rejects of the load."""
    manifest = workspace.manifest()
    with workspace.connect(manifest) as connection:
        return read_rejects(connection, find_known(connection, manifest))


def reject_bytes(workspace: Workspace, collection: str, offset: int) -> bytes:
    """Return the bytes of one reject, as far as they are kept."""
    manifest = workspace.manifest()
    with workspace.connect(manifest) as connection:
        return read_reject(connection, find_known(connection, manifest), collection, offset)


def _open(
    workspace: Workspace, place: Path | str, options: SourceOptions, *, is_said: bool = False
) -> Source:
    """Open a source; say what it holds beside collections, unless a verb before has said it."""
    source = open_source(place, options)
    if source.ignored and not is_said:
        workspace.log(f"not read: {', '.join(source.ignored)}")
    for note in () if is_said else source.notes:
        workspace.log(note)
    return source


def _prepare(
    workspace: Workspace,
    source: Source,
    collections: Sequence[str],
    size: int,
    known: Survey = NOTHING,
    *,
    is_check: bool = False,
) -> Survey:
    """Prepare a source, and say what was found of it."""
    before = [*source.notes]
    survey = source.prepare(collections, size, known, is_check=is_check)
    for note in source.notes:
        if note not in before:
            workspace.log(note)
    return survey


def _prepare_again(
    workspace: Workspace,
    connection: Connection,
    load: Load,
    source: Source,
    *,
    is_check: bool = False,
) -> None:
    """Prepare a source to be read as the load did."""
    check_database(load, source)
    known, names = ledger.read_surveys(connection, load), [*load.layout.roots.values()]
    _prepare(workspace, source, names, load.chunk_bytes, known, is_check=is_check)


def _working(
    workspace: Workspace, source: Source, begun: Begun | None = None
) -> AbstractContextManager[Workers]:
    """Start workers, or go on with those of the verb that calls this one."""
    if begun is not None:
        return nullcontext(begun.workers)
    return Workers(count_workers(workspace, source))


def _begin(
    workspace: Workspace,
    connection: Connection,
    manifest: Manifest,
    begun: Begun,
    options: SourceOptions,
) -> Load:
    """Create ledger and tables, on a server that is not the embedded one after a yes; start workers."""
    source = begun.source
    if not workspace.is_embedded(manifest):
        question = ask_to_begin(connection, manifest)
        if not workspace.confirm(question):
            raise UsageError(f"not confirmed, nothing was written: {question}", remedy=CONFIRM)
    names, chunk_bytes = [*manifest.roots.values()], workspace.setting(CHUNK_BYTES)
    views = source.views if isinstance(source, LiveSource) else ()
    survey = _prepare(workspace, source, names, chunk_bytes)
    if not begun.is_inferred:
        ask_of_empty(workspace, manifest, source)
    if workspace.owner is not None and workspace.owner.owns_schema(workspace.path):
        workspace.owner.check_manifest(workspace.path, manifest, check_server(connection))
    begun.workers.prepare("load", count_needed(source))
    return creation.begin(
        connection,
        manifest,
        source.address,
        options,
        chunk_bytes=chunk_bytes,
        metadata={name: source.read_metadata(name) for name in (*names, *views)},
        survey=survey,
        texts=read_sql(workspace.path, manifest),
    )


def _check_sample(sample: int | None) -> None:
    if sample is not None and sample < 1:
        raise UsageError(f"a sample of {sample} documents", remedy="Give 1 or more: --sample 1000.")


def _check_options(load: Load, options: SourceOptions, *, is_whole: bool) -> SourceOptions:
    """Return the options of a load that goes on; those that are given must be the same.

    With `is_whole` all of its options must be given.

    Raises:
        ChangedError: they are others.
    """
    kept, given = load.options.as_json(), options.as_json()
    for name in kept if is_whole else given:
        if kept.get(name) != given.get(name):
            raise ChangedError(
                f"{load.name!r} was loaded {load.options.show(name)}, not {options.show(name)}",
                remedy=suggest_another(load),
            )
    return load.options


def _check_manifest(
    workspace: Workspace, source: Source, options: SourceOptions, name: str | None
) -> None:
    """Check that a manifest that is there already is what was asked for."""
    manifest = workspace.manifest()
    if name not in {None, manifest.name}:
        raise UsageError(
            f"{workspace.path} is called {manifest.name!r}, not {name!r}",
            remedy="Leave --name out, or write the name into the manifest.",
        )
    held, listed = {*manifest.roots.values()}, {each.name: each for each in source.collections}
    differing = [name for name in held ^ {*listed} if name not in listed or listed[name].is_listed]
    if (options.only or options.skip) and differing:
        tables, others = (", ".join(sorted(names)[:MOST_TABLES]) for names in (held, {*listed}))
        raise UsageError(
            f"{workspace.path} has the tables of {tables}, not of {others}, as"
            f" {options.show_selection()} asks",
            remedy="The manifest decides what is loaded: leave --only and --skip out, or change it"
            " there.",
        )


def _check_name(name: str) -> None:
    for problem in NAME.check(("name",), name, {}):
        message = f"--name: {problem.value} {problem.message}"
        raise UsageError(message, remedy=problem.remedy)


def _remembered(load: Load | None) -> str:
    if load is None:
        raise UsageError(
            "nothing is loaded yet, so that no source is remembered",
            remedy="`assise load SOURCE` names it.",
        )
    ledger.check_open(load)
    return load.source


def _check_collection(load: Load, collection: str) -> str:
    known = load.layout.roots.values()
    if collection not in known:
        raise UsageError(
            f"the load of {load.name!r} has no collection {collection!r}",
            remedy=nearest(collection, known),
        )
    return collection


def _name_manifest(name: str) -> str:
    """Make a manifest's name of the source's: 63 letters, digits, _ and -, a letter first."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")
    if not name[:1].isalpha() or name in SERVERS_OWN:
        name = f"db_{name}".strip("_")
    return name[:63]


def _write_new(path: Path, proposal: Proposal) -> bool:
    text = dump_manifest(proposal.manifest, comments=proposal.comments)
    return write_file(path, text, is_new=True)
