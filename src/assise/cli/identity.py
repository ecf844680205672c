"""`assise identity`: the users."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

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
from assise.cli.progress import Terminal
from assise.identity.mirror import describe

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["identity"].help)


@app.callback()
def _group() -> None:
    """A group of one command is a group too."""


@add_command(app, "assise identity repair --dry-run", "assise identity repair --yes")
def repair(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Make the table that mirrors Supabase's auth.users, its triggers and its rules, and copy the
    users that it lacks; it may be called again at any time.
    """
    terminal: Terminal = context.obj.terminal
    verbs = open_project(terminal, manifest).identity
    found = verbs.repair(confirm=partial(terminal.ask, yes=yes), dry_run=dry_run)
    if as_json:
        print(json.dumps({"mirrors": [each.as_json() for each in found]}, ensure_ascii=False))
    else:
        for each in found:
            print("\n".join(describe(each, dry_run=dry_run)))
    return 3 if any(each.failed for each in found) else 0
