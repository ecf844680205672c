"""`assise schema`: the verbs that change a database as the manifest has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from assise.cli.options import (
    DryRunOption,
    JsonOption,
    ManifestOption,
    ToOption,
    YesOption,
    add_command,
    open_project,
)
from assise.cli.schema import app
from assise.revisions.verbs import FIRST
from assise.wording import count_of

NOTHING = "nothing differs: the database is as the manifest has it"
ScratchOption = Annotated[
    str | None,
    typer.Option(
        "--scratch",
        help="The URL of a server of the same version on which a database may be made for a moment.",
        show_default=False,
    ),
]
LossOption = Annotated[
    list[str] | None,
    typer.Option(
        "--drop",
        metavar="NAME",
        help="A column (users.plan) or table whose values may be lost; repeatable.",
        show_default=False,
    ),
]

MakeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--make",
        metavar="NAME",
        help="A key (users.users_email_key) that was left out, as rows broke it; repeatable.",
        show_default=False,
    ),
]


@add_command(app, "assise schema diff", "assise schema diff --json", name="diff")
def diff(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    scratch: ScratchOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say in words and as SQL what the database lacks of the manifest; exit 3 where it does."""
    project = open_project(context.obj.terminal, manifest, to)
    drift = project.revisions(scratch=scratch).diff()
    if as_json:
        print(json.dumps(drift.as_json()))
    else:
        _print_lines({"": drift.differences or [NOTHING], "to restore it": drift.restore})
        _print_lines({"left out": drift.left, "not ours": [item.shown for item in drift.others]})
    return 0 if drift.is_empty else 3


@add_command(app, 'assise schema revise "add plan"', name="revise")
def revise(
    context: typer.Context,
    title: Annotated[str, typer.Argument(help="What changes, in a few words.")],
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    drop: LossOption = None,
    make: MakeOption = None,
    scratch: ScratchOption = None,
    as_json: JsonOption = False,
) -> int:
    """Write the next revision from what the folder and the manifest differ in; the first has all."""
    project = open_project(context.obj.terminal, manifest, to)
    path = project.revisions(scratch=scratch).revise(title, drop=drop or (), make=make or ())
    if as_json:
        print(json.dumps({"file": str(path) if path else None}))
    else:
        print(f"wrote {path}" if path else "the revisions lead to the manifest: nothing to write")
    return 0


@add_command(app, "assise schema apply --dry-run", "assise schema apply", name="apply")
def apply(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    drop: LossOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Run the revisions that the database does not have; the same call goes on after a kill."""
    terminal = context.obj.terminal
    project = open_project(terminal, manifest, to)
    confirm = partial(terminal.ask, yes=yes)
    applied = project.revisions(confirm=confirm).apply(drop=drop or (), dry_run=dry_run)
    _print_applied(applied.steps, applied.statements, "applied", as_json=as_json)
    return 0


@add_command(app, "assise schema revert --dry-run", name="revert")
def revert(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    drop: LossOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Take back the last revision, or the steps of it that were done."""
    project = open_project(context.obj.terminal, manifest, to)
    applied = project.revisions().revert(drop=drop or (), dry_run=dry_run)
    _print_applied(applied.steps, applied.statements, "taken back", as_json=as_json)
    return 0


@add_command(app, "assise schema status", name="status")
def status(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    scratch: ScratchOption = None,
    as_json: JsonOption = False,
) -> int:
    """List the revisions, and how the database differs from them; exit 3 where something does."""
    project = open_project(context.obj.terminal, manifest, to)
    found = project.revisions(scratch=scratch).status()
    if as_json:
        revisions = [each._asdict() for each in found.revisions]
        views = [vars(view) for view in found.views]
        print(json.dumps({"revisions": revisions, "views": views, **found.drift.as_json()}))
        return found.exit_code
    for each in found.revisions:
        print(f"{each.number:04} {each.title}: {each.state} {each.applied_at or ''}".rstrip())
    for view in found.views:
        age = f"refreshed {view.age} ago" if view.is_filled and view.age else "not filled yet"
        print(f"{view.view}: {age}")
    if not found.revisions:
        print(f"no revisions: {FIRST}")
        return found.exit_code
    begun = [each for each in found.revisions if each.state not in {"applied", "marked", "pending"}]
    if begun:
        print(f"nothing was compared: {begun[0].number:04} {begun[0].title} is under way")
        return found.exit_code
    if all(each.state == "pending" for each in found.revisions):
        print("nothing was compared: the database has none of them")
        return found.exit_code
    drift = found.drift
    same = "nothing differs: the database is as its revisions have it"
    _print_lines({"differs": drift.differences} if drift.differences else {"": [same]})
    if not drift.is_empty:
        _print_lines({"to restore it": drift.restore, "to keep it, in a revision": drift.keep})
    _print_lines({"left out": drift.left})
    _print_lines({"not ours": [f"{item.shown}   {item.drop};" for item in drift.others]})
    return found.exit_code


@add_command(app, "assise schema lint", name="lint")
def lint(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    scratch: ScratchOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check that the revisions lead to the manifest, and that they are safe beside running code."""
    project = open_project(context.obj.terminal, manifest, to)
    found = project.revisions(scratch=scratch).lint()
    if as_json:
        print(json.dumps({"findings": [finding._asdict() for finding in found]}))
    for finding in [] if as_json else found:
        place = f"{finding.file}:{finding.line}" if finding.line else finding.file
        print(f"{place}: {finding.says} [{finding.rule}]\n    {finding.remedy}")
    return 3 if found else 0


@add_command(app, "assise schema mark 1", name="mark")
def mark(
    context: typer.Context,
    number: Annotated[int, typer.Argument(help="The number of the last revision that it has.")],
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    scratch: ScratchOption = None,
    as_json: JsonOption = False,
) -> int:
    """Note revisions as ones that the database has already; it must have them, and they do not run."""
    project = open_project(context.obj.terminal, manifest, to)
    names = project.revisions(scratch=scratch).mark(number)
    print(
        json.dumps({"marked": names}) if as_json else "\n".join(f"marked {name}" for name in names)
    )
    return 0


def _print_lines(parts: Mapping[str, list[str]]) -> None:
    for head, lines in parts.items():
        if lines and head:
            print(f"{head}:")
        for line in lines:
            text = line.replace("\n", "\n  ")
            print(f"  {text}" if head else text)


def _print_applied(
    steps: Mapping[str, int], statements: list[str], how: str, *, as_json: bool
) -> None:
    if as_json:
        print(json.dumps({"revisions": steps, "statements": statements}))
        return
    for text in statements:
        print(f"{text};")
    for name, count in steps.items():
        print(f"{name}: {count_of(count, 'step')} {'to run' if statements else how}")
    if not steps:
        print("nothing to do")
