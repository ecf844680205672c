"""`assise audit`: who changed which row, and whether the log of it is whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from assise.audit.seal import AuditHead
from assise.audit.verbs import AuditLine
from assise.cli.nouns import NOUNS
from assise.cli.options import JsonOption, ManifestOption, ToOption, add_command, open_project
from assise.errors import UsageError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["audit"].help)
_OPS = {"i": "inserted", "u": "changed", "d": "deleted", "t": "all rows deleted by TRUNCATE"}

AuditedArgument = Annotated[str, typer.Argument(help="An audited table.", show_default=False)]
AuditKeyArgument = Annotated[
    list[str], typer.Argument(help="The row's key, a value for each column.", show_default=False)
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at", help="A moment, such as 2026-11-30T12:00Z: the row then, and what followed."
    ),
]
HeadOption = Annotated[
    str | None, typer.Option("--head", help="What `assise audit head` printed, kept elsewhere.")
]


@add_command(
    app,
    "assise audit log projects 507f1f77-bcf8-86cd-8799-439011000000",
    name="log",
)
def log(
    context: typer.Context,
    table: AuditedArgument,
    key: AuditKeyArgument,
    manifest: ManifestOption = Path(),
    *,
    at: AtOption = None,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show the changes of one row, newest first; with --at the row as it was then."""
    audit = open_project(context.obj.terminal, manifest, to).audit
    moment = None if at is None else _read_moment(at)
    history = audit.log(table, key, at=moment)
    since = None if history.since is None else history.since.astimezone(UTC).isoformat()
    if as_json:
        lines = [{**vars(line), "at": line.at.isoformat()} for line in history.lines]
        print(json.dumps({"lines": lines, "row": history.row, "since": since}, default=str))
        return 0
    for line in history.lines:
        print(_describe(line))
    if at is not None:
        print(json.dumps(history.row, default=str) if history.row else "there was no such row")
    if moment is not None and (history.since is None or moment < history.since):
        begins = f"begins at {since}" if since else "has no line yet"
        context.obj.terminal.say(f"the log {begins}: what was changed before is not known")
    return 0


@add_command(app, "assise audit check", name="check")
def check(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    head: HeadOption = None,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Compare the log with its seals: lines that were changed, removed or inserted; exit 3."""
    report = open_project(context.obj.terminal, manifest, to).audit.check(head)
    if as_json:
        found = [finding._asdict() for finding in report.findings]
        end = report.head._asdict() if report.head else None
        print(json.dumps({"findings": found, "head": end, "waiting": report.waiting}))
        return report.exit_code
    for finding in report.findings:
        print(str(finding))
    sealed = f"{report.head.lines:,} lines in {report.head.seal:,} seals" if report.head else "none"
    context.obj.terminal.say(f"sealed: {sealed}")
    if report.waiting:
        context.obj.terminal.say(report.waiting)
    return report.exit_code


@add_command(app, "assise audit head > head.txt", name="head")
def head(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Print the end of the chain of seals: keep it where nobody can change both."""
    found = open_project(context.obj.terminal, manifest, to).audit.head()
    if as_json:
        print(json.dumps((found or AuditHead("", 0, 0))._asdict()))
    elif found:
        print(found.chain)
    else:
        context.obj.terminal.say("nothing is sealed yet")
    return 0


def _read_moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        remedy = "Write it as 2026-11-30T12:00Z; without a zone it is UTC."
        raise UsageError(f"{text!r} is no moment", remedy=remedy) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _describe(line: AuditLine) -> str:
    who = f"user {line.actor}" if line.actor else line.login
    names = [*(line.old or {}), *(line.new or {})] if line.op == "u" else []
    changes = [
        f"{name}: {(line.old or {}).get(name)!r} -> {(line.new or {}).get(name)!r}"
        for name in dict.fromkeys(names)
    ]
    changes += [f"{name}: not shown" for name in line.hidden or () if line.op == "u"]
    parts = [f"{line.at:%Y-%m-%d %H:%M:%S} {_OPS[line.op]} by {who}", *changes]
    parts += [f"reason: {line.reason}"] if line.reason else []
    parts += [f"request: {line.request}"] if line.request else []
    return "; ".join(parts)
