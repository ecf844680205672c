"""`assise analytics`: what events and revenue amount to."""

from __future__ import annotations

import typer

from assise.cli import analytics_cohorts, analytics_events, analytics_numbers
from assise.cli.analytics_revenue import revenue
from assise.cli.nouns import NOUNS
from assise.cli.options import add_command

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["analytics"].help)


app.registered_commands += analytics_numbers.app.registered_commands
app.registered_commands += analytics_cohorts.app.registered_commands
app.registered_commands += analytics_events.app.registered_commands
add_command(
    app,
    "assise analytics revenue --by month --json",
    "assise analytics revenue --from 2026-01-01 --ratios",
)(revenue)
