"""`assise search embed`: turn the texts of rows into vectors."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from assise.cli.options import JsonOption, ManifestOption, ToOption, YesOption, open_project
from assise.wording import count_of

StateOption = Annotated[
    bool, typer.Option("--status", help="Say how many rows wait, and since when; embed nothing.")
]


def embed(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    state: StateOption = False,
    yes: YesOption = False,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Embed the rows that are new or changed; a stopped run goes on where it was.

    Before texts go to another machine it says how many tokens they have, and what that costs.
    """
    terminal = context.obj.terminal
    search = open_project(terminal, manifest, to).search
    if state:
        found = search.embedding_status()
        if as_json:
            print(json.dumps([asdict(each) for each in found], default=str))
            return 0
        for each in found:
            since = f", since {each.since:%Y-%m-%d %H:%M}" if each.since else ""
            print(
                f"{each.table}: {count_of(each.passages, 'passage')}, {each.stale:,} stale;"
                f" {each.waiting:,} rows wait{since}"
            )
        return 0
    done = search.embed(partial(terminal.ask, yes=yes))
    if as_json:
        print(json.dumps({name: asdict(spent) for name, spent in done.items()}))
        return 0
    for name, spent in done.items():
        print(
            f"{name}: {count_of(spent.rows, 'row')}, {count_of(spent.passages, 'passage')},"
            f" {count_of(spent.texts, 'text')} embedded"
        )
    return 0
