"""`assise schema`: the tables of the manifest."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import JsonOption, ManifestOption, add_command, open_project

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["schema"].help)


@add_command(app, "assise schema sql | less", name="sql")
def write_sql(
    context: typer.Context, manifest: ManifestOption = Path(), *, as_json: JsonOption = False
) -> int:
    """Print the SQL of the manifest's tables; no server is asked."""
    text = open_project(context.obj.terminal, manifest).schema_sql()
    print(json.dumps({"sql": text}) if as_json else text, end="\n" if as_json else "")
    return 0
