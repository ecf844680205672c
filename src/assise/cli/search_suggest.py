"""`assise search suggest`: what a text that is being typed may become."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from assise.cli.options import (
    JsonOption,
    ManifestOption,
    TenantOption,
    ToOption,
    UserOption,
    open_project,
)
from assise.cli.search_eval import InOption, split_names
from assise.wording import show_controls

TypedArgument = Annotated[str, typer.Argument(help="What is typed so far.", show_default=False)]
CountOption = Annotated[int, typer.Option("--limit", min=1, max=20, help="Suggestions at most.")]


def suggest(
    context: typer.Context,
    text: TypedArgument,
    manifest: ManifestOption = Path(),
    *,
    user: UserOption = None,
    tenant: TenantOption = None,
    tables: InOption = None,
    limit: CountOption = 10,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Suggest earlier queries, words and titles that begin with a text, of rows that the user sees."""
    search = open_project(context.obj.terminal, manifest, to).search
    types = split_names(tables)
    found = search.suggest(text, types=types, limit=limit, user_id=user, tenant_id=tenant)
    if as_json:
        print(json.dumps([asdict(each) for each in found], ensure_ascii=False))
        return 0
    for each in found:
        print(show_controls(f"{each.type:6} {each.text}"))
    return 0
