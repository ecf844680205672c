"""`assise search eval`, and `assise search query` over a file of queries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from assise.cli.options import (
    JsonOption,
    ManifestOption,
    TenantOption,
    ToOption,
    UserOption,
    open_project,
)
from assise.errors import UsageError
from assise.files import check_writable, write_file
from assise.search.evaluate import MEASURES, Evaluation, Mean, evaluate
from assise.search.judgements import read_judgements, read_queries, write_run
from assise.search.query import Enough
from assise.search.rankings import METHODS, judge_by_clicks, open_rankings
from assise.search.verbs import SearchVerbs
from assise.wording import show_controls

InOption = Annotated[
    list[str] | None,
    typer.Option(
        "--in",
        metavar="TABLES",
        help="Only these tables: a,b; repeatable.",
        show_default=False,
    ),
]
ALL_METHODS = ",".join(METHODS)
QueriesArgument = Annotated[
    Path | None,
    typer.Argument(
        help="The queries: id and text, parted by a tab, or JSON lines.", show_default=False
    ),
]
JudgementsArgument = Annotated[
    Path | None,
    typer.Argument(help="What fits: query, row and grade, parted by tabs.", show_default=False),
]
ClicksOption = Annotated[
    int | None,
    typer.Option(
        "--clicks",
        metavar="DAYS",
        help="Instead of files: the queries of so many days, and their hits that were opened.",
        show_default=False,
    ),
]
MethodsOption = Annotated[
    str,
    typer.Option(
        "--methods", help="The methods that are compared: the first one is judged by --fail-under."
    ),
]
WorstOption = Annotated[int, typer.Option("--worst", help="How many bad queries are listed.")]
FailOption = Annotated[
    float | None,
    typer.Option(
        "--fail-under",
        metavar="NDCG",
        min=0,
        max=1,
        help="Exit with 3 where nDCG@10 of the first method is lower.",
        show_default=False,
    ),
]


def split_names(texts: Sequence[str] | None) -> list[str] | None:
    """The names of an option that is given once with commas, or often; None for none.

    >>> split_names(["a,b", "c"])
    ['a', 'b', 'c']
    """
    return [name.strip() for text in texts for name in text.split(",")] if texts else None


def measure(
    context: typer.Context,
    queries: QueriesArgument = None,
    judgements: JudgementsArgument = None,
    manifest: ManifestOption = Path(),
    *,
    clicks: ClicksOption = None,
    tables: InOption = None,
    user: UserOption = None,
    tenant: TenantOption = None,
    methods: MethodsOption = ALL_METHODS,
    worst: WorstOption = 10,
    fail_under: FailOption = None,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Measure search on judged queries: nDCG@10, MRR and recall@100 by method, with 95 % intervals,
    and the queries that are answered worst. Without --user or --tenant over all rows.
    """
    search = open_project(context.obj.terminal, manifest, to).search
    types = split_names(tables)
    if clicks is not None and queries is None:
        asked, judged = judge_by_clicks(search.read_clicks(days=clicks), types)
    elif clicks is None and queries and judgements:
        asked, judged = read_queries(queries), read_judgements(judgements)
    else:
        raise UsageError(
            "a measure has queries and judgements, or clicks",
            remedy="Give the files of both, or --clicks DAYS.",
        )
    with open_rankings(
        search, types, user_id=user, tenant_id=tenant, methods=methods.split(",")
    ) as found:
        evaluation = evaluate(found, asked, judged, worst=worst)
    if as_json:
        print(json.dumps(asdict(evaluation), ensure_ascii=False))
    else:
        _print_evaluation(evaluation)
    terminal = context.obj.terminal
    for count, what in (
        (evaluation.unjudged, "queries without judgement"),
        (evaluation.unknown, "judged queries without text"),
    ):
        if count:
            terminal.say(f"{count:,} left out: {what}")
    is_low = fail_under is not None and evaluation.value < fail_under
    if is_low:
        terminal.say(f"nDCG@10 is {evaluation.value:.4f}, under {fail_under}")
    return 3 if is_low else 0


class Ranked(NamedTuple):
    """For whom rows are ranked, in which tables, and how many."""

    types: Sequence[str] | None
    user: str | None
    tenant: str | None
    limit: int
    match: Enough


def write_runs(search: SearchVerbs, queries: Path, run: Path, ranked: Ranked) -> int:
    """Write the rankings of a file of queries; how many rows they have."""
    asked = read_queries(queries)
    check_writable(run)
    types, user, tenant, limit, match = ranked
    with open_rankings(search, types, user_id=user, tenant_id=tenant, methods=[match]) as found:
        lines = list(write_run(found[match], asked, limit=limit, tag="assise"))
    write_file(run, "".join(f"{line}\n" for line in lines))
    return len(lines)


def _print_evaluation(found: Evaluation) -> None:
    print(f"{found.queries:,} judged quer{'y' if found.queries == 1 else 'ies'}")
    for method in found.methods:
        print(f"{method.name:8} {_show_all(method.measures)}")
    first, *others = found.methods
    for method in others:
        print(f"{method.name} against {first.name}: {_show_all(method.gain, '+')}")
    for each in found.worst:
        rank = f"first at {each.first_rank}" if each.first_rank else "not found"
        parts = [f"{each.value:.2f}", each.query, rank, each.text]
        print(show_controls("  ".join(parts)))


def _show_all(found: Mapping[str, Mean], sign: str = "") -> str:
    return "  ".join(f"{name} {_show(found[name], sign)}" for name in MEASURES)


def _show(found: Mean, sign: str) -> str:
    mean, low, high = (f"{each:{sign}.3f}" for each in (found.mean, found.low, found.high))
    return f"{mean} [{low}, {high}]"
