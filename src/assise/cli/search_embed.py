"""`assise search embed`: turn the texts of rows into vectors."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer

from assise.cli.options import JsonOption, ManifestOption, ToOption, open_project
from assise.wording import count_of


def embed(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Embed the rows that are new or changed; a stopped run goes on where it was."""
    done = open_project(context.obj.terminal, manifest, to).search.embed()
    if as_json:
        print(json.dumps({name: asdict(spent) for name, spent in done.items()}))
        return 0
    for name, spent in done.items():
        print(
            f"{name}: {count_of(spent.rows, 'row')}, {count_of(spent.passages, 'passage')},"
            f" {count_of(spent.texts, 'text')} embedded"
        )
    return 0
