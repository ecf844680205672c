"""The commands. Each parses its options, calls one verb of `Project`, and renders what it gives."""

from __future__ import annotations

import inspect
import json
import os
import shlex
import sys
from base64 import b64encode
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from shutil import get_terminal_size
from typing import Annotated, cast

import typer
from rich.console import Console

from assise.cli.progress import Talker
from assise.cli.render import (
    print_plan,
    print_rejects,
    print_repair,
    print_report,
    print_status,
    print_undo,
    wrap,
)
from assise.documents.extjson import write_pieces
from assise.errors import AssiseError, UsageError
from assise.manifest.write import dump_manifest
from assise.project import Project, check_new
from assise.settings import SETTINGS
from assise.wording import count_of

EXIT_STOPPED = 130

HELP_COLUMNS = 80
"""The widest help; on a narrower terminal it is as wide as that."""


class Ids(StrEnum):
    """What becomes of ObjectIds."""

    uuid = "uuid"
    text = "text"


class Format(StrEnum):
    """What an export writes."""

    jsonl = "jsonl"
    bson = "bson"


# typer carries its own copy of click under a private name; this is click's root of errors, reached through what typer exports.
_CommandLineError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])

app = typer.Typer(
    name="assise",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The data layer under an application, declared in one file. Moves an application's data out of MongoDB and proves that nothing was lost.",
)
pg = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The embedded PostgreSQL: start, stop, status, shell, url.",
)
schema = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The tables of the manifest: sql."
)
for _name, _group in (("pg", pg), ("schema", schema)):
    app.add_typer(_group, name=_name, short_help=cast(str, _group.info.help))


def _help(name: str) -> str:
    setting = next(setting for setting in SETTINGS if setting.name == name)
    return (
        f"{setting.help[:1].upper()}{setting.help[1:]} ({setting.variable}, {setting.default:,})."
    )


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


Source = Annotated[
    Path,
    typer.Argument(help="A mongodump folder, or a .bson or .bson.gz file.", show_default=False),
]
KnownSource = Annotated[
    Path | None,
    typer.Argument(
        help="A mongodump folder or file; without it the source of the load is used.",
        show_default=False,
    ),
]
ManifestFile = Annotated[
    Path,
    typer.Option("--manifest", "-f", help="The manifest, or the folder that holds assise.yaml."),
]
To = Annotated[
    str | None,
    typer.Option("--to", help="A PostgreSQL URL in place of the manifest's.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Database = Annotated[
    str | None,
    typer.Option(
        "--database", "-d", help="Another database than the manifest's.", show_default=False
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Agree to what is shown.")]
Replace = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        help="A table whose edits since the load may be discarded; repeatable.",
        show_default=False,
    ),
]
Sample = Annotated[
    int | None,
    typer.Option(
        "--sample",
        help="Compare so many documents of each collection, drawn at random, not all.",
        show_default=False,
    ),
]
RepairOption = Annotated[
    bool,
    typer.Option("--repair", help="Show what differs, ask, and write it as the source has it."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
]
IdsOption = Annotated[
    Ids, typer.Option("--ids", help="Keys of ObjectIds as uuid, or as text of 24 digits.")
]
ChunkBytes = Annotated[
    int | None, typer.Option("--chunk-bytes", help=_help("load.chunk_bytes"), show_default=False)
]
Workers = Annotated[
    int | None, typer.Option("--workers", help=_help("workers"), show_default=False)
]
Paths = Annotated[
    int | None, typer.Option("--paths", help=_help("infer.paths"), show_default=False)
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        help="One document of Extended JSON a line, or the files that mongorestore reads.",
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", help="The folder for --format bson.", show_default=False)
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", help="Another file for the manifest; - is stdout.", show_default=False
    ),
]


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; errors are printed as plain lines, the chain of causes below."""
    try:
        code = app(
            args=list(arguments),
            standalone_mode=False,
            terminal_width=min(get_terminal_size().columns, HELP_COLUMNS) - 2,
        )
        if code == EXIT_STOPPED:  # typer's answer to Ctrl-C
            raise KeyboardInterrupt
        if sys.stdout:
            sys.stdout.flush()
    except _CommandLineError as error:
        error.show()
        return 2
    except (typer.Abort, KeyboardInterrupt):
        _say(
            "\nstopped"
            + "; the same command goes on where it stopped"
            * (arguments[:1] in (["load"], ["migrate"]))
        )
        return EXIT_STOPPED
    except OSError as error:
        if error.filename is not None:  # a path that was given
            _say(f"error: {error.filename}: {error.strerror}")
            return 1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _say(f"error: stdout cannot be written: {error.strerror}")
        return 1
    except AssiseError as error:
        _print_error(error)
        return error.exit_code
    finally:
        _talker.stop()
    return code if isinstance(code, int) else 0


def _print_error(error: AssiseError) -> None:
    _say(f"error: {error.message}")
    cause = error.__cause__
    while isinstance(cause, AssiseError):
        if cause.message not in error.message:
            _say(f"because: {cause.message}")
        cause = cause.__cause__
    if error.remedy:
        _say(error.remedy)


_talker = Talker()
_say = _talker.say


def _next(manifest: Path, *lines: str) -> None:
    more = "" if manifest == Path() else f" -f {shlex.quote(str(manifest))}"
    for line in lines:
        _say(f"next: {line}{more}")


def _project(
    manifest: Path,
    to: str | None = None,
    *,
    chunk_bytes: int | None = None,
    workers: int | None = None,
    paths: int | None = None,
) -> Project:
    given = {"load.chunk_bytes": chunk_bytes, "workers": workers, "infer.paths": paths}
    return Project(
        manifest,
        to=to,
        settings={name: value for name, value in given.items() if value is not None},
        log=_say,
        progress=_talker.progress,
    )


def _ask(yes: bool, question: str) -> bool:
    """Ask on the terminal; agree where --yes was given, and refuse where nobody can answer."""
    if yes:
        _say(question)
        return True
    return sys.stdin.isatty() and typer.confirm(
        wrap(f"{question}. Go on?", Console(stderr=True)), err=True
    )


@app.command(
    epilog=_examples(
        "assise migrate dump/app",
        "assise migrate dump/app --to postgresql://me@db.internal/app --yes",
    )
)
def migrate(
    source: Source,
    manifest: ManifestFile = Path(),
    *,
    to: To = None,
    ids: IdsOption = Ids.uuid,
    yes: Yes = False,
    chunk_bytes: ChunkBytes = None,
    workers: Workers = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Infer the manifest if there is none, load, and verify every document."""
    project = _project(manifest, to, chunk_bytes=chunk_bytes, workers=workers)
    if dry_run:
        proposal = None if project.path.exists() else project.infer(source, ids=ids.value)
        print_plan(project.plan(source, proposal.manifest if proposal else None), as_json=as_json)
        return 0
    report = project.migrate(source, ids=ids.value, confirm=partial(_ask, yes))
    print_report(report, as_json=as_json)
    if report.was_done:
        _say("everything was loaded already; nothing was changed")
    to_verify = "assise verify" if to is None else "assise verify --to …"
    is_embedded = to is None and project.manifest.postgres == "embedded"
    _next(
        manifest,
        *(["assise rejects"] if report.rejected else []),
        "assise pg shell" if is_embedded else to_verify,
    )
    return report.exit_code


@app.command(
    epilog=_examples(
        "assise infer dump/app", "assise infer dump/app -o -", "assise infer dump/app --ids text"
    )
)
def infer(
    source: Source,
    manifest: ManifestFile = Path(),
    *,
    to: To = None,
    ids: IdsOption = Ids.uuid,
    output: Output = None,
    paths: Paths = None,
    workers: Workers = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Read every document and write the manifest that fits them, with the evidence as comments."""
    project = _project(manifest, to, paths=paths, workers=workers)
    path = project.path if output is None else Path(output)
    is_written = output != "-" and not dry_run
    if is_written:
        check_new(path)
    proposal = project.infer(source, ids=ids.value)
    for note in proposal.notes:
        _say(note)
    if as_json:
        print(proposal.manifest.as_json())
    elif not is_written:
        print(dump_manifest(proposal.manifest, comments=proposal.comments), end="")
    if is_written:
        _say(f"wrote {project.write_manifest(proposal, path)}")
        _next(manifest if output is None else path, f"assise load {shlex.quote(str(source))}")
    return 0


@app.command(
    epilog=_examples("assise load dump/app", "assise load", "assise load --dry-run dump/app")
)
def load(
    source: KnownSource = None,
    manifest: ManifestFile = Path(),
    *,
    to: To = None,
    yes: Yes = False,
    chunk_bytes: ChunkBytes = None,
    workers: Workers = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Load what is not loaded yet into the tables of the manifest."""
    project = _project(manifest, to, chunk_bytes=chunk_bytes, workers=workers)
    if dry_run:
        if source is None:
            raise UsageError("--dry-run wants the source", remedy="assise load --dry-run FOLDER")
        print_plan(project.plan(source), as_json=as_json)
        return 0
    report = project.load(source, confirm=partial(_ask, yes))
    print_report(report, as_json=as_json)
    if report.was_done:
        _say("everything was loaded already; nothing was changed")
    _next(manifest, "assise verify", *(["assise rejects"] if report.rejected else []))
    return report.exit_code


@app.command(
    epilog=_examples(
        "assise verify",
        "assise verify dump/app --json",
        "assise verify --sample 1000",
        "assise verify --repair",
    )
)
def verify(
    source: KnownSource = None,
    manifest: ManifestFile = Path(),
    *,
    to: To = None,
    workers: Workers = None,
    sample: Sample = None,
    repair: RepairOption = False,
    replace: Replace = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Compare every document of the source, value by value, with what the tables give back; with --repair write what differs again."""
    project = _project(manifest, to, workers=workers)
    if repair:
        if sample is not None:
            raise UsageError(
                "--repair compares every document",
                remedy="assise verify --repair, without --sample.",
            )
        found = project.repair(
            source, replace=replace or [], confirm=partial(_ask, yes), dry_run=dry_run
        )
        print_repair(found, as_json=as_json)
        if dry_run:
            found.check(replace or [])
        return found.report.exit_code
    if replace or yes or dry_run:
        raise UsageError(
            "--replace, --yes and --dry-run belong to --repair", remedy="assise verify --repair …"
        )
    report = project.verify(source, sample=sample)
    print_report(report, as_json=as_json)
    if sample is not None:
        _say(f"compared: {count_of(sample, 'document')} of each collection, or all")
    if report.verified and not report.verified.is_clean:
        _next(manifest, "assise verify --repair")
    return report.exit_code


@app.command(epilog=_examples("assise rejects", "assise rejects users 1024 > one.bson"))
def rejects(
    collection: Annotated[
        str | None,
        typer.Argument(help="Print the bytes of one reject: its collection …", show_default=False),
    ] = None,
    offset: Annotated[
        int | None, typer.Argument(help="… and its offset.", show_default=False)
    ] = None,
    *,
    manifest: ManifestFile = Path(),
    to: To = None,
    as_json: Json = False,
) -> int:
    """List the documents that were not loaded, with reason and place; or print the bytes of one."""
    project = _project(manifest, to)
    if collection is not None and offset is not None:
        raw = project.reject_bytes(collection, offset)
        if as_json:
            print(
                json.dumps(
                    {"collection": collection, "offset": offset, "base64": b64encode(raw).decode()},
                    ensure_ascii=False,
                )
            )
        else:
            sys.stdout.buffer.write(raw)
        return 0
    found = [reject for reject in project.rejects() if collection in {None, reject.collection}]
    print_rejects(found, as_json=as_json)
    return 3 if found else 0


@app.command(
    epilog=_examples("assise export users > users.jsonl", "assise export --format bson --out back")
)
def export(
    collection: Annotated[
        str | None,
        typer.Argument(
            help="The collection; with --format bson all of them without it.", show_default=False
        ),
    ] = None,
    manifest: ManifestFile = Path(),
    *,
    to: To = None,
    form: FormatOption = Format.jsonl,
    out: Out = None,
    as_json: Json = False,
) -> int:
    """Print the documents of a collection as their rows are now, or write what mongorestore reads."""
    project = _project(manifest, to)
    if form is Format.bson:
        if out is None:
            raise UsageError(
                "--format bson wants a folder", remedy="assise export --format bson --out FOLDER"
            )
        done = project.export_folder(out, collection)
        if as_json:
            print(json.dumps([vars(each) for each in done], ensure_ascii=False))
    else:
        if collection is None or out is not None:
            raise UsageError(
                "JSON goes to stdout, one collection at a time",
                remedy="assise export COLLECTION, or --format bson --out FOLDER",
            )
        done = [project.export(collection, _print_document)]
        sys.stdout.flush()
    for each in done:
        _say(
            f"{each.name}: {count_of(each.documents, 'document')}, {each.rejects:,} of the rejects"
        )
        for problem in each.problems:
            _say(problem)
    return 3 if any(each.skipped for each in done) else 0


def _print_document(raw: bytes) -> None:
    for piece in write_pieces(raw):
        sys.stdout.buffer.write(piece.encode())
    sys.stdout.buffer.write(b"\n")


@app.command(
    epilog=_examples("assise undo", "assise undo --dry-run", "assise undo --yes --replace users")
)
def undo(
    manifest: ManifestFile = Path(),
    *,
    to: To = None,
    replace: Replace = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> int:
    """Drop what the load created; refuse where rows or tables were edited since."""
    names = replace or []
    found = _project(manifest, to).undo(replace=names, confirm=partial(_ask, yes), dry_run=dry_run)
    if found.tables or as_json:
        print_undo(found, as_json=as_json)
    if not found.tables:
        _say(f"nothing of {found.name!r} is loaded in {found.target}; there is nothing to undo")
    elif dry_run:
        found.check(names)
    else:
        _next(manifest, "assise load FOLDER")
    return 0


def _start_embedded(manifest: Path, database: str | None) -> tuple[Project, str]:
    """The project with its server running, and the name of the database; the manifest's own is there."""
    project = _project(manifest)
    if database is None and project.manifest.postgres != "embedded":
        raise UsageError(
            "the manifest's target is a server of yours",
            remedy="Ask it with psql; --database names a database of the embedded server.",
        )
    project.embedded.start()
    if database is None:
        project.embedded.create_database(project.manifest.name)
    return project, database or project.manifest.name


@pg.command("start", epilog=_examples("assise pg start"))
def pg_start(manifest: ManifestFile = Path(), *, as_json: Json = False) -> int:
    """Start the embedded server; it goes on when this command ends."""
    project = _project(manifest)
    project.embedded.start()
    _say(f"running, data in {project.embedded.data}")
    if as_json:
        print(json.dumps({"running": True}))
    return 0


@pg.command("stop", epilog=_examples("assise pg stop"))
def pg_stop(manifest: ManifestFile = Path(), *, as_json: Json = False) -> int:
    """Stop the embedded server."""
    was_running = _project(manifest).embedded.stop()
    _say("stopped" if was_running else "was not running")
    if as_json:
        print(json.dumps({"running": False, "was_running": was_running}))
    return 0


@pg.command("status", epilog=_examples("assise pg status", "assise pg status --json"))
def pg_status(manifest: ManifestFile = Path(), *, as_json: Json = False) -> int:
    """Whether the embedded server runs, and where."""
    print_status(_project(manifest).embedded.status(), as_json=as_json)
    return 0


@pg.command(
    "shell",
    epilog=_examples("assise pg shell", "echo 'SELECT count(*) FROM users' | assise pg shell"),
)
def pg_shell(manifest: ManifestFile = Path(), database: Database = None) -> int:
    """Open psql on the embedded server, in the manifest's database."""
    project, name = _start_embedded(manifest, database)
    command, environment = project.embedded.shell_command(name)
    os.execvpe(command[0], command, environment)  # noqa: S606
    return 0


@pg.command("url", epilog=_examples("psql $(assise pg url)"))
def pg_url(
    manifest: ManifestFile = Path(), database: Database = None, *, as_json: Json = False
) -> int:
    """Print a URL of the embedded server for other programs on this machine."""
    project, name = _start_embedded(manifest, database)
    url = project.embedded.url(name)
    print(json.dumps({"url": url}) if as_json else url)
    return 0


@schema.command("sql", epilog=_examples("assise schema sql | less"))
def schema_sql(manifest: ManifestFile = Path(), *, as_json: Json = False) -> int:
    """Print the SQL of the manifest's tables; no server is asked."""
    text = _project(manifest).schema_sql()
    print(json.dumps({"sql": text}) if as_json else text, end="\n" if as_json else "")
    return 0


for _group in (app, pg, schema):
    for _command in _group.registered_commands:
        _command.short_help = inspect.getdoc(
            _command.callback
        )  # else the list of commands cuts it to one line
