"""The options of all commands, each once, and the project that they open."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from assise.cli.progress import Terminal
from assise.errors import UsageError
from assise.mongo.source import SourceOptions
from assise.project import Project
from assise.settings import CHUNK_BYTES, INFER_PATHS, WORKERS, Setting

F = TypeVar("F", bound=Callable[..., object])


class IdForm(StrEnum):
    """What becomes of ObjectIds."""

    uuid = "uuid"
    text = "text"


class Format(StrEnum):
    """What an export writes."""

    jsonl = "jsonl"
    bson = "bson"


def _describe(setting: Setting[int]) -> str:
    text = setting.help[:1].upper() + setting.help[1:]
    default = setting.kind.show(setting.default)
    return f"{text} ({setting.variable}, {default})."


SourceArgument = Annotated[
    str,
    typer.Argument(
        help="mongodb://… or mongodb+srv://…, a mongodump folder or archive, or a .bson or JSON file.",
        show_default=False,
    ),
]
KnownSourceArgument = Annotated[
    str | None,
    typer.Argument(
        help="The URL, folder or file; without it the source of the load is used.",
        show_default=False,
    ),
]
RejectCollectionArgument = Annotated[
    str | None,
    typer.Argument(help="Print the bytes of one reject: its collection …", show_default=False),
]
RejectOffsetArgument = Annotated[
    int | None, typer.Argument(help="… and its offset.", show_default=False)
]
ExportCollectionArgument = Annotated[
    str | None,
    typer.Argument(
        help="The collection; with --format bson all of them without it.", show_default=False
    ),
]
ManifestOption = Annotated[
    Path,
    typer.Option("--manifest", "-f", help="The manifest, or the folder that holds assise.yaml."),
]
ToOption = Annotated[
    str | None,
    typer.Option("--to", help="A PostgreSQL URL in place of the manifest's.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
UserOption = Annotated[
    str | None, typer.Option("--user", help="The id of the user.", show_default=False)
]
TenantOption = Annotated[
    str | None, typer.Option("--tenant", help="The id of the tenant.", show_default=False)
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database", "-d", help="Another database than the manifest's.", show_default=False
    ),
]
ServerOption = Annotated[
    str, typer.Option("--on", metavar="SERVER", help="Another server of the manifest, by its name.")
]
SourceDatabaseOption = Annotated[
    str | None,
    typer.Option("--db", help="The database, of several in the source.", show_default=False),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="PATTERN",
        help="Only the collections that fit this shell pattern; repeatable.",
        show_default=False,
    ),
]
SkipOption = Annotated[
    list[str] | None,
    typer.Option(
        "--skip",
        metavar="PATTERN",
        help="No collections that fit this shell pattern; repeatable.",
        show_default=False,
    ),
]
ZoneOption = Annotated[
    str | None,
    typer.Option(
        "--zone",
        help="The time zone of dates in JSON that have none, such as Europe/Paris.",
        show_default=False,
    ),
]
QueryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--query",
        metavar="COLLECTION=FILTER",
        help="""Of a collection on a live server only what fits: 'users={"tenant": 7}'; repeatable.""",
        show_default=False,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name", help="The manifest's name; else that of the source.", show_default=False
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Agree to what is shown.")]
ReplaceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        metavar="TABLE",
        help="A table whose edits since the load may be discarded; repeatable.",
        show_default=False,
    ),
]
SampleOption = Annotated[
    int | None,
    typer.Option(
        "--sample",
        help="Compare this many random documents of each collection, not all.",
        show_default=False,
    ),
]
InferSampleOption = Annotated[
    int | None,
    typer.Option(
        "--sample",
        help="Of a collection with over a million documents on a live server infer from this many.",
        show_default=False,
    ),
]
RepairOption = Annotated[
    bool,
    typer.Option("--repair", help="Show what differs, ask, and write it as the source has it."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
]
IdsOption = Annotated[
    IdForm, typer.Option("--ids", help="Keys of ObjectIds as uuid, or as text of 24 digits.")
]
ChunkBytesOption = Annotated[
    int | None, typer.Option(CHUNK_BYTES.option, help=_describe(CHUNK_BYTES), show_default=False)
]
WorkersOption = Annotated[
    int | None, typer.Option(WORKERS.option, help=_describe(WORKERS), show_default=False)
]
PathsOption = Annotated[
    int | None, typer.Option(INFER_PATHS.option, help=_describe(INFER_PATHS), show_default=False)
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format",
        help="One document of Extended JSON a line, or the files that mongorestore reads.",
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="The folder for --format bson.", show_default=False)
]
OutputOption = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", help="Another file for the manifest; - is stdout.", show_default=False
    ),
]


def add_command(app: typer.Typer, *examples: str, name: str | None = None) -> Callable[[F], F]:
    """Make a function a command, with examples below its help."""

    def add(function: F) -> F:
        # Without a short help the list of commands would cut the docstring to one line.
        lines = "".join(f"\n  {example}" for example in examples)
        register = app.command(
            name, short_help=inspect.getdoc(function), epilog=f"\b\nExamples:{lines}"
        )
        return register(function)

    return add


def make_source_options(
    database: str | None,
    zone: str | None,
    queries: Sequence[str] | None,
    *,
    only: Sequence[str] | None = None,
    skip: Sequence[str] | None = None,
) -> SourceOptions:
    """Return the options of a source as a command has them."""
    by_collection: dict[str, str] = {}
    for query in queries or ():
        collection, is_given, text = query.partition("=")
        if not is_given or collection in by_collection:
            raise UsageError(
                f"--query {query!r} is not one query of one collection",
                remedy="""Write --query 'users={"tenant": 7}', once for each collection.""",
            )
        by_collection[collection] = text
    return SourceOptions(database, tuple(only or ()), tuple(skip or ()), zone, by_collection)


def open_project(
    terminal: Terminal,
    manifest: Path,
    to: str | None = None,
    settings: Mapping[Setting[int], int | None] = {},
) -> Project:
    """Open the project of a command."""
    return Project(
        manifest,
        to=to,
        settings={each.name: value for each, value in settings.items() if value is not None},
        log=terminal.say,
        progress=terminal.progress,
    )
