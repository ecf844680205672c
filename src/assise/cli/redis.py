"""`assise redis`: the servers of Redis."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import JsonOption, ManifestOption, add_command, open_project

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["redis"].help)


@add_command(app, "assise redis stop", name="stop")
def stop(
    context: typer.Context, manifest: ManifestOption = Path(), *, as_json: JsonOption = False
) -> int:
    """Stop the embedded servers of Redis; what must not be lost is on disk then."""
    stopped = open_project(context.obj.terminal, manifest).cache.stop()
    context.obj.terminal.say(f"stopped: {', '.join(stopped)}" if stopped else "was not running")
    if as_json:
        print(json.dumps({"stopped": stopped}))
    return 0
