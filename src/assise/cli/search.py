"""`assise search`: find rows, and build and check the indexes."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import (
    JsonOption,
    ManifestOption,
    TenantOption,
    ToOption,
    UserOption,
    add_command,
    open_project,
)
from assise.cli.search_ask import ask
from assise.cli.search_embed import embed
from assise.cli.search_eval import InOption, Ranked, measure, split_names, write_runs
from assise.cli.search_report import report
from assise.cli.search_suggest import suggest
from assise.errors import UsageError
from assise.schema.guards import find_guards
from assise.search.query import Answer, Request
from assise.search.snippet import highlight
from assise.wording import count_of, show_controls

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["search"].help)


class Needed(StrEnum):
    """How much of a query a row must have."""

    any = "any"
    most = "most"
    all = "all"


class RankBy(StrEnum):
    """How rows are ranked."""

    keyword = "keyword"
    semantic = "semantic"
    hybrid = "hybrid"


class As(StrEnum):
    """Who searches."""

    app = "app"
    admin = "admin"


QueryArgument = Annotated[
    str | None, typer.Argument(help="What to search for.", show_default=False)
]
QueriesOption = Annotated[
    Path | None,
    typer.Option(
        "--queries",
        help="Rank for each query of a file: id and text, parted by a tab, or JSON lines.",
        show_default=False,
    ),
]
RunOption = Annotated[
    Path | None,
    typer.Option("--run", help="Where the rankings go, in the format of TREC.", show_default=False),
]
ExplainArgument = Annotated[str, typer.Argument(help="What is searched for.", show_default=False)]
LimitOption = Annotated[int, typer.Option("--limit", help="At most this many hits.")]
FilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="COLUMN=VALUE",
        help="Only rows with this value, which is JSON or text; repeatable.",
        show_default=False,
    ),
]
CursorOption = Annotated[
    str | None,
    typer.Option("--cursor", help="Go on behind the hit with this cursor.", show_default=False),
]
MatchOption = Annotated[Needed, typer.Option("--match", help="How much of the query a hit has.")]
MethodOption = Annotated[
    RankBy, typer.Option("--method", help="Rank by words, by meaning, or by both.")
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--threshold",
        min=0,
        max=1,
        help="The least similarity of hits by meaning: 0 for nothing in common, 1 for equal texts.",
        show_default=False,
    ),
]
SortOption = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="COLUMNS",
        help="Order by columns of the one table in --in, as -stars,name.",
        show_default=False,
    ),
]
DistinctOption = Annotated[
    str | None,
    typer.Option(
        "--distinct",
        metavar="COLUMN",
        help="One hit for each value of a column of the one table in --in.",
        show_default=False,
    ),
]
AsOption = Annotated[As, typer.Option("--as", help="The role; admin sees all rows.")]
ReindexOption = Annotated[bool, typer.Option("--repair", help="Index again what differs.")]


def read_filters(texts: list[str] | None) -> dict[str, object]:
    """The filters of `--filter COLUMN=VALUE`."""
    found: dict[str, object] = {}
    for text in texts or ():
        column, sign, value = text.partition("=")
        if not sign:
            raise typer.BadParameter(f"--filter {text!r} is not COLUMN=VALUE")
        try:
            found[column] = json.loads(value)
        except ValueError:
            found[column] = value
    return found


@add_command(
    app,
    'assise search query "sécuriser une API" --user 507f1f77-bcf8-86cd-8799-430007000000',
    'assise search query "api" --as admin --in projects --json',
)
def query(
    context: typer.Context,
    text: QueryArgument = None,
    manifest: ManifestOption = Path(),
    *,
    user: UserOption = None,
    tenant: TenantOption = None,
    tables: InOption = None,
    limit: LimitOption = 10,
    filters: FilterOption = None,
    cursor: CursorOption = None,
    match: MatchOption = Needed.any,
    method: MethodOption = RankBy.keyword,
    threshold: ThresholdOption = None,
    sort: SortOption = None,
    distinct: DistinctOption = None,
    role: AsOption = As.app,
    queries: QueriesOption = None,
    run: RunOption = None,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Search as a user does: hits with their scores and snippets. With --queries the rankings of
    many queries go to --run; without --user or --tenant over all rows, with exact scores.
    """
    types = split_names(tables)
    project = open_project(context.obj.terminal, manifest, to)
    search = project.search
    if queries and run and text is None:
        ranked = Ranked(types, user, tenant, limit, match.value)
        context.obj.terminal.say(f"{write_runs(search, queries, run, ranked):,} rows ranked")
        return 0
    if text is None or queries or run:
        raise UsageError(
            "a search has one text, or a file of queries and one for the rankings",
            remedy="Give the text, or --queries FILE --run FILE.",
        )
    request = Request(
        text,
        types,
        limit,
        filters=read_filters(filters),
        cursor=cursor,
        match=match.value,
        method=method.value,
        threshold=threshold,
        sort=sort.split(",") if sort else (),
        distinct=distinct,
    )
    found = search.query(request, user_id=user, tenant_id=tenant, role=role.value)
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False, default=str))
    else:
        _print_hits(found)
        if found.did_you_mean is not None:
            context.obj.terminal.say(show_controls(f"did you mean: {found.did_you_mean}"))
        hits = count_of(found.total or 0, "hit")
        more = "over " if found.estimated else ""
        raised = "; inexact, raised by a moment" if found.inexact else ""
        context.obj.terminal.say(f"{more}{hits} in {found.execution_time_ms:.0f} ms{raised}")
        is_nobody = user is None and tenant is None and role is As.app
        if is_nobody and not found.total and find_guards(project.manifest):
            context.obj.terminal.say("nobody sees public rows alone: --user KEY, or --as admin")
    return 0


@add_command(
    app, 'assise search explain "sécuriser une API" --user 507f1f77-bcf8-86cd-8799-430007000000'
)
def explain(
    context: typer.Context,
    text: ExplainArgument,
    manifest: ManifestOption = Path(),
    *,
    user: UserOption = None,
    tenant: TenantOption = None,
    tables: InOption = None,
    role: AsOption = As.app,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say how a query is answered: the plan of each table, and what its words weigh."""
    request = Request(text, split_names(tables))
    search = open_project(context.obj.terminal, manifest, to).search
    found = search.explain(request, user_id=user, tenant_id=tenant, role=role.value)
    if as_json:
        print(json.dumps([asdict(each) for each in found], ensure_ascii=False))
        return 0
    for each in found:
        average = 0 if each.average is None else each.average
        print(
            f"{each.table}: plan {each.plan or 'none'}; statistics of {count_of(each.n, 'row')},"
            f" {average:.1f} words on average; {each.fresh:,} fresh{'; inexact' * each.inexact}"
        )
        for word in each.words:
            print(
                show_controls(f"  {word.lexeme}  in {count_of(word.df, 'row')}, idf {word.idf:.3f}")
            )
    return 0


def _print_hits(found: Answer) -> None:
    for hit in found.results:
        print(show_controls(f"{hit.score:4.2f}  {hit.type} {hit.id}  {hit.title}"))
        if hit.snippet:
            snippet = show_controls(f"      {hit.snippet}")
            print(highlight(snippet, is_bold=sys.stdout.isatty()))


@add_command(app, "assise search build")
def build(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    tables: InOption = None,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Index the rows that are not yet; queries go on meanwhile."""
    names = split_names(tables)
    built = open_project(context.obj.terminal, manifest, to).search.build(names)
    if as_json:
        print(json.dumps(built))
    else:
        for name, rows in built.items():
            print(f"{name}: {count_of(rows, 'row')} indexed")
    return 0


@add_command(app, "assise search status")
def status(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say how many rows wait for the worker: those without entry, and those scored one by one."""
    found = open_project(context.obj.terminal, manifest, to).search.status()
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
        return 0
    for each in found:
        print(
            f"{each.table}: {count_of(each.rows, 'row')}, {each.pending:,} not indexed,"
            f" {each.fresh:,} fresh; statistics {each.generation} of {each.counted:,}"
        )
    return 0


@add_command(app, "assise search check", "assise search check --repair")
def check(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    repair: ReindexOption = False,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Compare all rows with the index: what is missing, too much, or indexed otherwise."""
    found = open_project(context.obj.terminal, manifest, to).search.check(repair=repair)
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
    else:
        for each in found:
            print(
                f"{each.table}: {each.missing:,} missing, {each.extra:,} too much,"
                f" {each.differing:,} differ"
            )
    return 3 if any(each.count for each in found) and not repair else 0


add_command(app, "assise search embed")(embed)
add_command(
    app,
    'assise search ask "comment sécuriser une API ?" --user 507f1f77-bcf8-86cd-8799-430007000000',
)(ask)
add_command(
    app,
    "assise search eval queries.tsv judgements.tsv --in projects",
    "assise search eval queries.tsv judgements.tsv --in projects --fail-under 0.6",
    "assise search eval --clicks 30 --in projects",
    name="eval",
)(measure)
add_command(app, "assise search report --days 30")(report)
add_command(app, 'assise search suggest "authen" --user 507f1f77-bcf8-86cd-8799-430007000000')(
    suggest
)
