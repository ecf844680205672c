"""`assise mongo`: collections that stay in MongoDB."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import (
    DryRunOption,
    JsonOption,
    ManifestOption,
    YesOption,
    add_command,
    open_project,
)
from assise.collections.ensure import Difference
from assise.wording import count_of, show_controls

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["mongo"].help)

CollectionsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Only these collections of the manifest.", show_default=False),
]
DropOption = Annotated[
    bool,
    typer.Option(
        "--drop",
        help="Hide indexes that the manifest does not have; drop what is hidden, rebuild what"
        " differs.",
    ),
]


@add_command(app, "assise mongo diff", "assise mongo diff users --json")
def diff(
    context: typer.Context,
    collections: CollectionsArgument = None,
    manifest: ManifestOption = Path(),
    *,
    as_json: JsonOption = False,
) -> int:
    """Say how indexes, validators and collections differ from the manifest."""
    found = open_project(context.obj.terminal, manifest).mongo.diff(collections)
    _print_differences(found, as_json=as_json)
    context.obj.terminal.say(count_of(len(found), "difference"))
    return 3 if found else 0


@add_command(app, "assise mongo ensure --yes", "assise mongo ensure users --drop --yes")
def ensure(
    context: typer.Context,
    collections: CollectionsArgument = None,
    manifest: ManifestOption = Path(),
    *,
    drop: DropOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Make indexes, validators and collections as the manifest says, one at a time. Nothing is
    dropped without --drop; accounts are deleted by their time only with --yes.
    """
    terminal = context.obj.terminal
    project = open_project(terminal, manifest).mongo
    if dry_run:
        found = project.diff(collections)
    else:
        confirm = partial(terminal.ask, yes=yes)
        found = project.ensure(collections, drop=drop, yes=yes, confirm=confirm)
    _print_differences(found, as_json=as_json)
    done = sum(each.state == "done" for each in found)
    terminal.say(f"{count_of(done, 'change')} made, {len(found) - done:,} left")
    return 3 if done < len(found) else 0


def _print_differences(found: Sequence[Difference], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(each) for each in found], ensure_ascii=False))
        return
    for each in found:
        print(show_controls(f"{each.collection}: {each.words}  [{each.state}]"))
        for line in each.why:
            print(show_controls(f"    {line}"))
