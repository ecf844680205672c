"""`assise search report`: what people search for, and what they do not find."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from assise.cli.options import JsonOption, ManifestOption, ToOption, open_project
from assise.search.log import Asked
from assise.wording import count_of, show_controls

DaysOption = Annotated[int, typer.Option("--days", min=1, help="Searches of so many days.")]
TopOption = Annotated[int, typer.Option("--limit", min=1, help="Queries of each kind.")]


def report(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    days: DaysOption = 7,
    limit: TopOption = 10,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say what was searched: the slowest queries, those without hits, those that are asked more than
    in the days before, and those of whose hits none was opened. Needs search_log in the manifest.
    """
    search = open_project(context.obj.terminal, manifest, to).search
    found = search.report(days=days, limit=limit)
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False))
        return 0
    sums = found.sums
    searches = "1 search" if sums.queries == 1 else f"{sums.queries:,} searches"
    print(f"{searches} of {count_of(sums.users, 'user')} in {count_of(days, 'day')}")
    if sums.p95_ms is not None:
        print(
            f"p50 {sums.p50_ms:.0f} ms, p95 {sums.p95_ms:.0f} ms;"
            f" {sums.without_hits:,} without hits, {sums.with_clicks:,} with a hit that was opened"
        )
    _print_queries("slow", found.slow)
    _print_queries("without hits", found.empty)
    _print_queries("trending", found.trending)
    _print_queries("no hit was opened", found.unclicked)
    return 0


def _print_queries(title: str, queries: list[Asked]) -> None:
    if queries:
        print(f"{title}:")
    for each in queries:
        hits = "" if each.hits is None else f", {count_of(each.hits, 'hit')}"
        before = f", {each.before:,} before" if each.before else ""
        print(show_controls(f"  {each.text}  {each.times:,} x{before}, {each.ms:.0f} ms{hits}"))
