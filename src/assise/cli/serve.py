"""`assise serve`: the tables of the manifest over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import ManifestOption, add_command
from assise.extras import load

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["serve"].help)

HostOption = Annotated[str, typer.Option("--host", help="The address to listen on.")]
PortOption = Annotated[
    int, typer.Option("--port", min=0, max=65_535, help="The port; 0 takes a free one.")
]
DevelopmentOption = Annotated[
    bool,
    typer.Option(
        "--development",
        help="Take tokens of `assise identity token` too, on an address of this machine.",
    ),
]


@add_command(app, "assise serve --port 0")
def serve(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8000,
    development: DevelopmentOption = False,
) -> int:
    """Serve the tables that say `api:` over HTTP, with health, metrics and their documentation."""
    from assise.app import App

    running = load("assise.api.running", extra="api")
    running.serve(
        App(manifest),
        host=host,
        port=port,
        is_development=development,
        log=context.obj.terminal.say,
    )
    return 0
