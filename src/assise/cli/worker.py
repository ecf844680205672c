"""`assise worker`: the jobs that parts declare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import (
    JsonOption,
    ManifestOption,
    ToOption,
    add_command,
    open_project,
)

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["worker"].help)

OnceOption = Annotated[bool, typer.Option("--once", help="Run every job now, then end: for cron.")]


@add_command(app, "assise worker", "assise worker --once")
def worker(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    once: OnceOption = False,
    as_json: JsonOption = False,
) -> int:
    """Run the jobs of the manifest when they are due, such as the purge of deleted rows."""
    work = open_project(context.obj.terminal, manifest, to).work(is_once=once)
    if as_json:
        print(json.dumps(work.as_json()))
    return work.exit_code if once else 0
