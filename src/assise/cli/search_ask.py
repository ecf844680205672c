"""`assise search ask`: answer a question from the rows that a user sees."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
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
from assise.search.chat.ask import ChatAnswer
from assise.search.chat.verbs import ask as ask_rows
from assise.wording import show_controls

QuestionArgument = Annotated[str, typer.Argument(help="The question.", show_default=False)]


def ask(
    context: typer.Context,
    text: QuestionArgument,
    manifest: ManifestOption = Path(),
    *,
    user: UserOption = None,
    tenant: TenantOption = None,
    tables: InOption = None,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Answer a question from the rows that a user sees, with its sources; without a model, or when
    it is down, with what was found.
    """
    terminal = context.obj.terminal
    search = open_project(terminal, manifest, to).search
    types = split_names(tables)
    tell: Callable[[str], object] = str if as_json else _print_piece
    found = ask_rows(search, text, user_id=user, tenant_id=tenant, types=types, tell=tell)
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False, default=str))
        return 0
    if not found.is_answered:
        terminal.say(show_controls(f"no answer, but search results: {found.problem}"))
        print(show_controls(found.response) if found.sources else "nothing found")
        return 0
    _print_sources(found)
    return 0


def _print_piece(text: str) -> None:
    sys.stdout.write("\n".join(map(show_controls, text.split("\n"))))
    sys.stdout.flush()


def _print_sources(found: ChatAnswer) -> None:
    print("\n")
    wrong = {each.number for each in found.citations if not each.is_right}
    for each in found.sources:
        mark = "  (cited, but not supported)" if each.number in wrong else ""
        title = show_controls(f"{each.title}" or str(each.id))
        print(f"[{each.number}] {each.type}: {title}{mark}")
    given = {each.number for each in found.sources}
    for number in sorted(wrong - given):
        print(f"[{number}] is none of the sources")
