"""`assise partitions`: what tables are cut into by time."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import JsonOption, ManifestOption, ToOption, add_command, open_project
from assise.cli.tables import make_table, open_console
from assise.partitions.verbs import PartitionReport

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["partitions"].help)


@add_command(app, "assise partitions run", name="run")
def run(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Make the partitions that are missing, and retire old ones; the worker does so each hour."""
    report = open_project(context.obj.terminal, manifest, to).partitions.run()
    for each in report.runs:
        if str(each):
            context.obj.terminal.say(str(each))
    return _print(report, as_json=as_json)


@add_command(app, "assise partitions status", "assise partitions status --json", name="status")
def status(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show how many partitions stand ready; exit 3 where there are under three."""
    report = open_project(context.obj.terminal, manifest, to).partitions.status()
    return _print(report, as_json=as_json)


def _print(report: PartitionReport, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(report.as_json()))
        return report.exit_code
    headings = ("table", "partitions", "ahead", "until", "to look at")
    table = make_table(headings, texts={"table", "to look at"})
    for each in report.states:
        said = ["too few ahead: assise partitions run"] if each.is_low else []
        said += ["rows of 20 years ahead"] if each.has_far else []
        said += [f"unfinished: {', '.join(each.unfinished)}"] if each.unfinished else []
        until = f"{each.last:%Y-%m-%d}" if each.last else ""
        table.add_row(each.table, str(each.partitions), str(each.ahead), until, "; ".join(said))
    open_console().print(table)
    return report.exit_code
