"""`assise schema`: the tables of the manifest; `cli/revisions.py` adds its other verbs."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import (
    JsonOption,
    ManifestOption,
    ServerOption,
    ToOption,
    add_command,
    open_project,
)
from assise.manifest.sections.servers import MAIN

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["schema"].help)


@add_command(app, "assise schema sql | less", name="sql")
def write_sql(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    on: ServerOption = MAIN,
    as_json: JsonOption = False,
) -> int:
    """Print the SQL of the manifest's tables; no server is asked."""
    text = open_project(context.obj.terminal, manifest).schema_sql(on=on)
    print(json.dumps({"sql": text}) if as_json else text, end="\n" if as_json else "")
    return 0


@add_command(app, "assise schema diagram > schema.mmd", name="diagram")
def write_diagram(
    context: typer.Context, manifest: ManifestOption = Path(), *, as_json: JsonOption = False
) -> int:
    """Print the manifest's tables and their references as a diagram in Mermaid; no server is
    asked.
    """
    text = open_project(context.obj.terminal, manifest).schema_diagram()
    print(json.dumps({"mermaid": text}) if as_json else text, end="\n" if as_json else "")
    return 0


@add_command(app, "assise schema models > models.py", name="models")
def write_models(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Print the loaded tables as classes of SQLAlchemy 2; needs the extra schema."""
    text = open_project(context.obj.terminal, manifest, to).schema_models()
    print(json.dumps({"python": text}) if as_json else text, end="\n" if as_json else "")
    return 0
