"""`assise migrate`, `infer`, `load`, `verify`: move data and prove that nothing was lost."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from assise.cli.options import (
    ChunkBytesOption,
    DryRunOption,
    IdForm,
    IdsOption,
    InferSampleOption,
    JsonOption,
    KnownSourceArgument,
    ManifestOption,
    NameOption,
    OnlyOption,
    OutputOption,
    PathsOption,
    QueryOption,
    RepairOption,
    ReplaceOption,
    SampleOption,
    SkipOption,
    SourceArgument,
    SourceDatabaseOption,
    ToOption,
    WorkersOption,
    YesOption,
    ZoneOption,
    add_command,
    make_source_options,
    open_project,
)
from assise.cli.progress import Terminal
from assise.cli.tables import (
    BAD,
    NARROW,
    TICK,
    UNLIMITED,
    BrokenName,
    format_about,
    format_bytes,
    format_seconds,
    make_table,
    open_console,
    print_words,
)
from assise.errors import UsageError
from assise.files import check_new
from assise.manifest.write import dump_manifest
from assise.mongo.source import describe_queries
from assise.settings import CHUNK_BYTES, INFER_PATHS, WORKERS
from assise.transfer.repair import Repair
from assise.transfer.report import CollectionReport, Plan, Report, Verified
from assise.transfer.workers.number import spare_workers
from assise.wording import count_of

app = typer.Typer(rich_markup_mode=None)

DONE_ALREADY = "everything was loaded already; no rows were changed"


@add_command(
    app,
    "assise migrate dump/app",
    "assise migrate mongodb://localhost:27017/app",
    "assise migrate users.json --name app",
    "assise migrate dump/app --to postgresql://me@db.internal/app --yes",
    "assise migrate",
)
def migrate(
    context: typer.Context,
    source: KnownSourceArgument = None,
    manifest: ManifestOption = Path(),
    *,
    db: SourceDatabaseOption = None,
    only: OnlyOption = None,
    skip: SkipOption = None,
    query: QueryOption = None,
    zone: ZoneOption = None,
    name: NameOption = None,
    to: ToOption = None,
    ids: IdsOption = IdForm.uuid,
    sample: InferSampleOption = None,
    yes: YesOption = False,
    chunk_bytes: ChunkBytesOption = None,
    workers: WorkersOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Infer the manifest if there is none, load, and verify every document."""
    terminal: Terminal = context.obj.terminal
    options = make_source_options(db, zone, query, only=only, skip=skip)
    settings = {CHUNK_BYTES: chunk_bytes, WORKERS: workers}
    project = open_project(terminal, manifest, to, settings)
    if dry_run:
        inferred = None
        if not project.path.exists():
            proposal = project.infer(source or "", options, name=name, ids=ids.value, sample=sample)
            inferred = proposal.manifest
        plan = project.plan(source, inferred, options)
        print_plan(plan, as_json=as_json)
        return plan.exit_code
    confirm = partial(terminal.ask, yes=yes)
    with spare_workers(project.workspace, source):
        report = project.migrate(
            source, options, name=name, ids=ids.value, sample=sample, confirm=confirm
        )
    print_report(report, as_json=as_json)
    if report.was_done:
        terminal.say(DONE_ALREADY)
    if report.rejected:
        terminal.suggest(manifest, "assise rejects")
    is_embedded = project.workspace.is_embedded(project.manifest)
    to_verify = "assise verify" if to is None else "assise verify --to …"
    terminal.suggest(manifest, "assise pg shell" if is_embedded else to_verify)
    return report.exit_code


@add_command(
    app, "assise infer dump/app", "assise infer dump/app -o -", "assise infer dump/app --ids text"
)
def infer(
    context: typer.Context,
    source: SourceArgument,
    manifest: ManifestOption = Path(),
    *,
    db: SourceDatabaseOption = None,
    only: OnlyOption = None,
    skip: SkipOption = None,
    query: QueryOption = None,
    zone: ZoneOption = None,
    name: NameOption = None,
    to: ToOption = None,
    ids: IdsOption = IdForm.uuid,
    sample: InferSampleOption = None,
    output: OutputOption = None,
    paths: PathsOption = None,
    workers: WorkersOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Read every document and write the manifest that fits them, with the evidence as comments."""
    terminal: Terminal = context.obj.terminal
    project = open_project(terminal, manifest, to, {INFER_PATHS: paths, WORKERS: workers})
    path = project.path if output is None else Path(output)
    is_written = output != "-" and not dry_run
    if is_written:
        check_new(path)
    options = make_source_options(db, zone, query, only=only, skip=skip)
    with spare_workers(project.workspace, source):
        proposal = project.infer(source, options, name=name, ids=ids.value, sample=sample)
    for note in proposal.notes:
        terminal.say(note)
    if as_json:
        print(proposal.manifest.as_json())
    elif not is_written:
        print(dump_manifest(proposal.manifest, comments=proposal.comments), end="")
    if is_written:
        terminal.say(f"wrote {project.write_manifest(proposal, path)}")
        given = manifest if output is None else path
        # A URL may hold a password, which is not for a screen.
        shown = "URL" if "://" in source else shlex.quote(source)
        chosen = [("--db", db), ("--zone", zone), *(("--query", each) for each in query or ())]
        more = [f"{option} {shlex.quote(value)}" for option, value in chosen if value]
        terminal.suggest(given, " ".join(["assise load", shown, *more]))
    return 0


@add_command(app, "assise load dump/app", "assise load", "assise load --dry-run dump/app")
def load(
    context: typer.Context,
    source: KnownSourceArgument = None,
    manifest: ManifestOption = Path(),
    *,
    db: SourceDatabaseOption = None,
    query: QueryOption = None,
    zone: ZoneOption = None,
    to: ToOption = None,
    yes: YesOption = False,
    chunk_bytes: ChunkBytesOption = None,
    workers: WorkersOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Load what is not loaded yet into the tables of the manifest."""
    terminal: Terminal = context.obj.terminal
    options = make_source_options(db, zone, query)
    settings = {CHUNK_BYTES: chunk_bytes, WORKERS: workers}
    project = open_project(terminal, manifest, to, settings)
    if dry_run:
        if source is None:
            raise UsageError("--dry-run needs the source", remedy="assise load --dry-run SOURCE")
        plan = project.plan(source, options=options)
        print_plan(plan, as_json=as_json)
        return plan.exit_code
    with spare_workers(project.workspace, source):
        report = project.load(source, options, confirm=partial(terminal.ask, yes=yes))
    print_report(report, as_json=as_json)
    if report.was_done:
        terminal.say(DONE_ALREADY)
    terminal.suggest(manifest, "assise verify", *(["assise rejects"] if report.rejected else []))
    return report.exit_code


@add_command(
    app,
    "assise verify",
    "assise verify dump/app --json",
    "assise verify --sample 1000",
    "assise verify --repair",
)
def verify(
    context: typer.Context,
    source: KnownSourceArgument = None,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    workers: WorkersOption = None,
    sample: SampleOption = None,
    repair: RepairOption = False,
    replace: ReplaceOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Compare every document of the source, value by value, with what the tables give back;
    with --repair write what differs again.
    """
    terminal: Terminal = context.obj.terminal
    project = open_project(terminal, manifest, to, {WORKERS: workers})
    if repair:
        if sample is not None:
            raise UsageError(
                "--repair compares every document",
                remedy="assise verify --repair, without --sample.",
            )
        confirm = partial(terminal.ask, yes=yes)
        names = replace or []
        repaired = project.repair(source, replace=names, confirm=confirm, dry_run=dry_run)
        print_repair(repaired, as_json=as_json)
        if dry_run:
            repaired.check(names)
        return repaired.report.exit_code
    if replace or yes or dry_run:
        raise UsageError(
            "--replace, --yes and --dry-run belong to --repair", remedy="assise verify --repair …"
        )
    with spare_workers(project.workspace, source):
        report = project.verify(source, sample=sample)
    print_report(report, as_json=as_json)
    if sample is not None:
        terminal.say(f"compared: {count_of(sample, 'document')} of each collection, or all")
    if report.verified and not report.verified.is_clean:
        terminal.suggest(manifest, "assise verify --repair")
    return report.exit_code


_ALL = ("collection, table", "documents", "loaded", "rejected", "size", "seconds")
_LESS_NEEDED = ("size", "seconds")
_TEXTS = {"collection", "collection, table", "verified"}


def print_report(report: Report, *, as_json: bool) -> None:
    """Print one table in the manner of pgloader: a line a collection, its tables below it, sums.

    Zeros are a tick. A terminal that is too narrow goes without sizes, then without seconds. Where
    no table fits, long names are folded, and below 80 columns each figure has a line of its own.
    """
    if as_json:
        print(json.dumps(report.as_json(), ensure_ascii=False))
        return
    console = open_console()
    table, width = _fit_table(report, console)
    if console.width < min(width, NARROW):
        _print_lines(console, report)
    else:
        console.print(table)
    print_words(console, *describe_queries(report.queries))
    for collection in report.collections:
        print_words(console, *collection.differences, *collection.problems)
    print_words(console, *(misfit.describe() for misfit in report.misfits))
    for finding in report.findings:
        print_words(console, *finding.describe())


def _fit_table(report: Report, console: Console) -> tuple[Table, int]:
    """Return the table with most columns that fits, or else the narrowest; and its width."""
    unlimited = console.options.update(width=UNLIMITED)
    dropped = 0
    while True:
        table = _report_table(report, without=_LESS_NEEDED[:dropped])
        width = console.measure(table, options=unlimited).maximum
        if width <= console.width or dropped == len(_LESS_NEEDED):
            return table, width
        dropped += 1


def _print_lines(console: Console, report: Report) -> None:
    total = _total(report)
    total.tables = {}
    for collection in [*report.collections, total]:
        console.print(Text(collection.name, style="bold"))
        for heading, cell in list(_figures(collection).items())[1:]:
            if heading != "verified" or collection.verified:
                console.print(Text.assemble(f"  {heading:<10}", cell))
        for name, rows in collection.tables.items():
            line = f"  {name}: {count_of(rows, 'row')}"
            console.print(Text(line, style="dim"))


def _report_table(report: Report, *, without: Sequence[str]) -> Table:
    headings = [*_ALL, *(["verified"] if report.verified is not None else [])]
    kept = [heading for heading in headings if heading not in without]
    table = make_table(kept, texts=_TEXTS)
    for collection in report.collections:
        figures = _figures(collection)
        table.add_row(*(figures[heading] for heading in kept))
        for name, rows in collection.tables.items():
            row = Text(count_of(rows, "row"), style="dim")
            table.add_row(BrokenName(f"  {name}", style="dim"), "", row)
    figures = _figures(_total(report))
    table.add_row(*(figures[heading] for heading in kept), style="bold")
    return table


def _total(report: Report) -> CollectionReport:
    total = CollectionReport("total", verified=report.verified)
    for collection in report.collections:
        total.add(collection)
    total.seconds = report.seconds
    return total


def _figures(collection: CollectionReport) -> dict[str, Text | str]:
    """Return the cells of a line, by heading."""
    rejected = collection.rejected
    return {
        "collection, table": BrokenName(collection.name),
        "documents": f"{collection.documents:,}",
        "loaded": f"{collection.loaded:,}",
        "rejected": Text(f"{rejected:,}", style=BAD) if rejected else TICK,
        "size": format_bytes(collection.bytes),
        "seconds": f"{collection.seconds:,.2f}",
        "verified": _show_verified(collection.verified or Verified()),
    }


def _show_verified(verified: Verified) -> Text | str:
    if verified.is_clean:
        return f"{TICK} {verified.equal:,} equal"
    problems = []
    for name, count in vars(verified).items():
        if count and name != "equal":
            problems.append(f"{count:,} {name}")
    return Text(", ".join(problems), style=BAD)


def print_plan(plan: Plan, *, as_json: bool = False) -> None:
    """Print what a load would do."""
    if as_json:
        print(json.dumps(plan.as_json()))
        return
    console = open_console()
    print_words(console, f"source  {plan.source}", f"target  {plan.target}")
    table = make_table(["collection", "size", "≈ documents"], texts=_TEXTS)
    for name, size in plan.collections.items():
        table.add_row(BrokenName(name), format_bytes(size), format_about(plan.documents[name]))
    console.print(table)
    load, verify = format_seconds(plan.load_seconds), format_seconds(plan.verify_seconds)
    print_words(console, f"time    load {load}, verify {verify}")
    print_words(console, f"tables  {', '.join(plan.tables)}")
    if plan.is_loaded:
        print_words(console, "loaded  everything already; no rows would be written")
    print_words(console, *(f"in place: {statement}" for statement in plan.changes))
    if plan.refusals:
        print_words(console, f"refused: {plan.refusals[0]}", *plan.refusals[1:])
    print_words(console, *(misfit.describe() for misfit in plan.misfits))


def print_repair(repair: Repair, *, as_json: bool) -> None:
    """Print what verify found, and what a repair would do, or what it has done."""
    if as_json:
        print(json.dumps(repair.as_json(), ensure_ascii=False))
        return
    print_report(repair.report, as_json=False)
    written, removed = ("written", "removed") if repair.is_done else ("to write", "to remove")
    lines = [] if repair.is_done else [*repair.lines]
    for table in repair.tables:
        rows = count_of(table.written, "row")
        lines.append(f"{table.name}: {rows} {written}, {table.removed:,} {removed}")
    print_words(open_console(), *(lines or ["nothing to repair"]))
