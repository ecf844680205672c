"""`assise analytics`: what events and revenue amount to."""

from __future__ import annotations

import typer

from assise.cli.analytics_revenue import revenue
from assise.cli.nouns import NOUNS
from assise.cli.options import add_command

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["analytics"].help)


@app.callback()
def analytics() -> None:
    """Keep the words of commands: one command alone would take the place of the noun."""


add_command(
    app,
    "assise analytics revenue --by month --json",
    "assise analytics revenue --from 2026-01-01 --ratios",
)(revenue)
