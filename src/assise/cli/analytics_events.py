"""The commands of `assise analytics` that bring events in, and take them out."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from assise.cli.options import (
    DryRunOption,
    JsonOption,
    ManifestOption,
    ToOption,
    YesOption,
    add_command,
    open_project,
)
from assise.cli.progress import Terminal
from assise.wording import show_controls

app = typer.Typer()
"""The commands, for the noun."""

EventsArgument = Annotated[
    Path, typer.Argument(help="A file of one event a line, also packed by gzip.")
]

PersonArgument = Annotated[
    str, typer.Argument(help="An id of the person, as events have it in distinct_id.")
]


@add_command(
    app,
    "assise analytics import events.jsonl --dry-run",
    "assise analytics import events.jsonl.gz --yes",
    name="import",
)
def import_events(
    context: typer.Context,
    events: EventsArgument,
    *,
    manifest: ManifestOption = Path(),
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Keep the events of a file, as PostHog exports them or its SDKs send them, each once. What is
    no event is told with its line; the command may be repeated at any time.
    """
    terminal: Terminal = context.obj.terminal
    verbs = open_project(terminal, manifest, to).analytics
    found = verbs.import_events(events, confirm=partial(terminal.ask, yes=yes), dry_run=dry_run)
    terminal.stop()
    if as_json:
        bad = [each._asdict() for each in found.bad]
        print(json.dumps({**asdict(found), "bad": bad}, default=str, ensure_ascii=False))
    else:
        print(show_controls("\n".join(found.describe(is_dry=dry_run))))
    return 3 if found.malformed else 0


@add_command(
    app, "assise analytics erase user-17 --dry-run", "assise analytics erase user-17 --yes"
)
def erase(
    context: typer.Context,
    person: PersonArgument,
    *,
    manifest: ManifestOption = Path(),
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Erase a person from the events, with all its ids, and from all numbers; nothing of before
    comes back, from a spool or a file.
    """
    terminal: Terminal = context.obj.terminal
    verbs = open_project(terminal, manifest, to).analytics
    found = verbs.erase(person, confirm=partial(terminal.ask, yes=yes), dry_run=dry_run)
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        print("\n".join(found.describe(is_dry=dry_run)))
    return 0
