"""`assise rejects`, `export`, `undo`: what is done with data that are loaded."""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import typer
from rich.text import Text

from assise.cli.options import (
    DryRunOption,
    ExportCollectionArgument,
    Format,
    FormatOption,
    JsonOption,
    ManifestOption,
    OutOption,
    RejectCollectionArgument,
    RejectOffsetArgument,
    ReplaceOption,
    ToOption,
    YesOption,
    add_command,
    open_project,
)
from assise.cli.progress import Terminal
from assise.cli.tables import (
    NARROW,
    TICK,
    BrokenName,
    format_bytes,
    make_table,
    open_console,
    print_words,
)
from assise.documents.extjson import write_pieces
from assise.errors import UsageError
from assise.project import Project
from assise.transfer.export import Exported
from assise.transfer.kept_rejects import Reject
from assise.transfer.undo import Undo
from assise.wording import count_of, escape

app = typer.Typer(rich_markup_mode=None)


@add_command(app, "assise rejects", "assise rejects users 1024 > one.bson")
def rejects(
    context: typer.Context,
    collection: RejectCollectionArgument = None,
    offset: RejectOffsetArgument = None,
    *,
    manifest: ManifestOption = Path(),
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """List the documents that were not loaded, with reason and place; or print the bytes of one."""
    project = open_project(context.obj.terminal, manifest, to)
    if collection is not None and offset is not None:
        raw = project.reject_bytes(collection, offset)
        if as_json:
            text = b64encode(raw).decode()
            fields = {"collection": collection, "offset": offset, "base64": text}
            print(json.dumps(fields, ensure_ascii=False))
        else:
            sys.stdout.buffer.write(raw)
        return 0
    listed = [reject for reject in project.rejects() if collection in {None, reject.collection}]
    print_rejects(listed, as_json=as_json)
    return 3 if listed else 0


@add_command(app, "assise export users > users.jsonl", "assise export --format bson --out back")
def export(
    context: typer.Context,
    collection: ExportCollectionArgument = None,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    form: FormatOption = Format.jsonl,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> int:
    """Print the documents of a collection as their rows are now, or write what mongorestore
    reads.
    """
    terminal: Terminal = context.obj.terminal
    project = open_project(terminal, manifest, to)
    if form is Format.bson:
        done = _export_folder(project, out, collection)
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
        figures = f"{count_of(each.documents, 'document')}, {count_of(each.rejects, 'reject')}"
        terminal.say(f"{escape(each.name)}: {figures}")
        if each.is_series:
            told = "measurements of a time series, as a collection; its buckets are not kept"
            terminal.say(f"{escape(each.name)}: {told}")
        if each.texts:
            texts = f"{count_of(each.texts, 'reject')} as text in {each.name}.rejects.jsonl"
            terminal.say(f"{escape(each.name)}: {texts}")
        for problem in each.problems:
            terminal.say(problem)
    return 3 if any(each.skipped for each in done) else 0


def _export_folder(project: Project, out: Path | None, collection: str | None) -> list[Exported]:
    if out is None:
        raise UsageError(
            "--format bson needs a folder", remedy="assise export --format bson --out FOLDER"
        )
    return project.export_folder(out, collection)


def _print_document(raw: bytes) -> None:
    for piece in write_pieces(raw):
        sys.stdout.buffer.write(piece.encode())
    sys.stdout.buffer.write(b"\n")


@add_command(app, "assise undo", "assise undo --dry-run", "assise undo --yes --replace users")
def undo(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    replace: ReplaceOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Drop what the load created; refuse where rows or tables were edited since."""
    terminal: Terminal = context.obj.terminal
    names, confirm = replace or [], partial(terminal.ask, yes=yes)
    project = open_project(terminal, manifest, to)
    done = project.undo(replace=names, confirm=confirm, dry_run=dry_run)
    if done.tables or as_json:
        print_undo(done, as_json=as_json)
    if not done.tables:
        terminal.say(
            f"nothing of {done.name!r} is loaded in {done.target}; there is nothing to undo"
        )
    elif dry_run:
        done.check(names)
    else:
        terminal.suggest(manifest, "assise load SOURCE")
    return 0


def print_rejects(rejects: Sequence[Reject], *, as_json: bool) -> None:
    """Print the rejects, a line each; on a narrow terminal a paragraph each.

    Offsets are plain digits, as `assise rejects` takes them.
    """
    if as_json:
        print(json.dumps([_describe(reject) for reject in rejects]))
        return
    if not rejects:
        open_console().print("no rejects")
        return
    console = open_console()
    headings = ["collection", "offset", "size", "reason", "detail"]
    table = make_table(headings, texts={"collection", "reason", "detail"})
    for reject in rejects:
        name, detail = reject.collection, reject.detail
        place, size = str(reject.offset), format_bytes(reject.size)
        reason = _name_reason(reject)
        if console.width < NARROW:
            head = f"{escape(name)} {place}, {size}"
            print_words(console, f"{head}: {reason}, {detail}")
        else:
            table.add_row(BrokenName(name), place, size, reason, Text(detail))
    if table.rows:
        console.print(table)
    counts = Counter(_name_reason(reject) for reject in rejects)
    sums = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
    print_words(console, f"{count_of(len(rejects), 'reject')}: {sums}")


def _name_reason(reject: Reject) -> str:
    return reject.reason.name.lower().replace("_", " ")


def _describe(reject: Reject) -> dict[str, object]:
    number, name = int(reject.reason), reject.reason.name
    return {**reject._asdict(), "reason": number, "reason_name": name}


def print_undo(undo: Undo, *, as_json: bool) -> None:
    """Print what an undo drops or has dropped, a line each."""
    if as_json:
        print(json.dumps(undo.as_json(), ensure_ascii=False))
        return
    first = "table dropped" if undo.is_done else "table to drop"
    headings = [first, "rows", "since the load"]
    table = make_table(headings, texts={first, "since the load"})
    for each in undo.tables:
        rows = f"{each.rows:,}"
        edits = "gone" if each.is_gone else ", ".join(each.edits) or TICK
        table.add_row(BrokenName(each.name), rows, Text(edits))
    console = open_console()
    console.print(table)
    others = [f"function {name}" for name in undo.functions]
    others += [f"schema {name}" for name in undo.schemas]
    if undo.drops_ledger and not undo.others:
        others.append("schema assise")
    head = "dropped" if undo.is_done else "to drop"
    print_words(console, f"{head} as well: {', '.join(others) or 'nothing'}")
    if undo.others:
        print_words(console, f"schema assise stays, it has: {', '.join(undo.others)}")
