"""`assise mongo`: collections that stay in MongoDB."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from bson import json_util

from assise.cli.nouns import NOUNS
from assise.cli.options import (
    DryRunOption,
    JsonOption,
    ManifestOption,
    YesOption,
    add_command,
    open_project,
)
from assise.collections.ensure import Difference
from assise.collections.explain import SLOW_MS, ExplainedQuery, read_saved
from assise.collections.shapes import IndexAdvice
from assise.collections.slow import SlowReport
from assise.errors import UsageError
from assise.settings import parse_duration
from assise.wording import count_of, show_controls

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["mongo"].help)

T = TypeVar("T", dict[str, object], list[dict[str, object]])
ExplainedArgument = Annotated[
    str | None, typer.Argument(metavar="COLLECTION", help="The collection.", show_default=False)
]
FilterArgument = Annotated[str, typer.Argument(metavar="FILTER", help="A filter in JSON.")]
SortOption = Annotated[
    str | None, typer.Option("--sort", help="Fields, such as -created_at,name.", show_default=False)
]
ReadOption = Annotated[int, typer.Option("--limit", help="Read this many; 0 is all.")]
PipelineOption = Annotated[
    str | None,
    typer.Option("--pipeline", help="A pipeline in JSON in place of a filter.", show_default=False),
]
PlanOption = Annotated[
    Path | None,
    typer.Option("--file", help="What `explain` answered, as JSON.", show_default=False),
]
LogOption = Annotated[
    Path | None,
    typer.Option("--file", help="A log of MongoDB 4.4 or later.", show_default=False),
]
WatchOption = Annotated[
    str | None,
    typer.Option("--watch", help="Switch the profiler on for this time: 30s.", show_default=False),
]
OverOption = Annotated[int, typer.Option("--over", help="Milliseconds that are slow.", min=0)]
IndexedArgument = Annotated[
    list[str] | None, typer.Argument(help="Only these collections.", show_default=False)
]
CollectionsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Only these collections of the manifest.", show_default=False),
]
DropOption = Annotated[
    bool,
    typer.Option(
        "--drop",
        help="Hide indexes that the manifest does not have; drop what is hidden, rebuild what"
        " differs.",
    ),
]


@add_command(app, "assise mongo diff", "assise mongo diff users --json")
def diff(
    context: typer.Context,
    collections: CollectionsArgument = None,
    manifest: ManifestOption = Path(),
    *,
    as_json: JsonOption = False,
) -> int:
    """Say how indexes, validators and collections differ from the manifest."""
    found = open_project(context.obj.terminal, manifest).mongo.diff(collections)
    _print_differences(found, as_json=as_json)
    context.obj.terminal.say(count_of(len(found), "difference"))
    return 3 if found else 0


@add_command(app, "assise mongo ensure --yes", "assise mongo ensure users --drop --yes")
def ensure(
    context: typer.Context,
    collections: CollectionsArgument = None,
    manifest: ManifestOption = Path(),
    *,
    drop: DropOption = False,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Make indexes, validators and collections as the manifest says, one at a time. Nothing is
    dropped without --drop; accounts are deleted by their time only with --yes.
    """
    terminal = context.obj.terminal
    project = open_project(terminal, manifest).mongo
    if dry_run:
        found = project.diff(collections)
    else:
        confirm = partial(terminal.ask, yes=yes)
        found = project.ensure(collections, drop=drop, yes=yes, confirm=confirm)
    _print_differences(found, as_json=as_json)
    done = sum(each.state == "done" for each in found)
    left = len(found) - done
    terminal.say(f"{count_of(done, 'change')} made, {left:,} left")
    return 3 if left else 0


@add_command(
    app,
    """assise mongo explain users '{"name": "Anna"}' --sort -createdAt --limit 20""",
    "assise mongo explain --file plan.json --json",
)
def explain(
    context: typer.Context,
    collection: ExplainedArgument = None,
    query: FilterArgument = "{}",
    manifest: ManifestOption = Path(),
    *,
    sort: SortOption = None,
    limit: ReadOption = 0,
    pipeline: PipelineOption = None,
    file: PlanOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say how MongoDB answers a query: its stages and indexes, what it examined and returned. The
    query is run; or the saved answer of `explain` is read.
    """
    if (file is None) == (collection is None):
        raise UsageError(
            "a plan is that of one collection, or that of a file",
            remedy="Give COLLECTION and a filter, or --file FILE.",
        )
    if file is not None:
        found = read_saved(_read_file(file))
    else:
        stages = _read_json(pipeline, list) if pipeline else []
        found = open_project(context.obj.terminal, manifest).mongo.explain(
            collection or "",
            _read_json(query, dict),
            sort=sort.split(",") if sort else (),
            limit=limit,
            pipeline=stages,
        )
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False))
    else:
        _print_plan(found)
    return 0 if found.is_fine else 3


@add_command(
    app, "assise mongo slow", "assise mongo slow --watch 1s --over 50", "assise mongo slow --json"
)
def slow(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    file: LogOption = None,
    watch: WatchOption = None,
    over: OverOption = SLOW_MS,
    as_json: JsonOption = False,
) -> int:
    """Group slow operations by the shape of their queries, and suggest indexes. They are those of
    the profiler, which --watch switches on and off again, or those of a log.
    """
    duration = None if watch is None else parse_duration(watch)
    if watch is not None and (duration is None or file is not None):
        raise UsageError("--watch is no time, or stands beside --file", remedy="Give --watch 30s.")
    project = open_project(context.obj.terminal, manifest).mongo
    with _ended_by_signals():
        report, advice = project.slow(log_file=file, watch=duration, over_ms=over)
    if as_json:
        print(json.dumps(_describe_slow(report, advice), ensure_ascii=False))
    else:
        _print_slow(report, advice)
    for what, count in report.unread.items():
        context.obj.terminal.say(f"not read: {count_of(count, 'operation')} {what}")
    context.obj.terminal.say(count_of(len(report.shapes), "shape"))
    return 3 if report.shapes else 0


@add_command(app, "assise mongo indexes", "assise mongo indexes users --json")
def indexes(
    context: typer.Context,
    collections: IndexedArgument = None,
    manifest: ManifestOption = Path(),
    *,
    as_json: JsonOption = False,
) -> int:
    """Say which indexes are unused, redundant or hidden, by the counts of all members."""
    report = open_project(context.obj.terminal, manifest).mongo.indexes(collections)
    if as_json:
        print(json.dumps(asdict(report), ensure_ascii=False, default=str))
    for use in [] if as_json else report.indexes:
        since = "" if use.since is None else f" since {use.since:%Y-%m-%d %H:%M}"
        uses = f"{count_of(use.uses, 'use')}{since}"
        print(show_controls(f"{use.collection}: {use.name} {use.words}  {uses}"))
        for line in use.says:
            print(show_controls(f"    {line}"))
    for member, why in report.silent.items():
        context.obj.terminal.say(f"{member} was not asked, so nothing is called unused: {why}")
    return 3 if any(use.says for use in report.indexes) else 0


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, so that the profiler is set as it was."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _read_file(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8", remedy="Save the plan as JSON.") from error


def _read_json(text: str, kind: type[T]) -> T:
    try:
        found = json_util.loads(text)
    except (ValueError, TypeError, KeyError, RecursionError):
        found = None
    if not isinstance(found, kind):
        remedy = """Write it as JSON in quotes, such as '{"user_id": 7}'."""
        raise UsageError(f"{text[:80]!r} is no filter or pipeline", remedy=remedy)
    return found


def _print_plan(found: ExplainedQuery) -> None:
    print(show_controls(f"{found.namespace}: {' > '.join(found.stages)}"))
    if found.indexes:
        print(show_controls(f"  by {', '.join(found.indexes)}"))
    if found.returned is not None:
        examined = f"{found.keys:,} keys, {found.documents:,} documents examined"
        print(f"  {found.returned:,} returned, {examined}, {found.ms:,} ms")
    for line in found.says:
        print(show_controls(f"  {line}"))


def _describe_slow(report: SlowReport, advice: Mapping[str, list[IndexAdvice]]) -> object:
    shapes = [
        {
            "query": each.asked.shape.words,
            "count": each.count,
            "total_ms": each.total_ms,
            "max_ms": each.max_ms,
            "examined": each.documents,
            "returned": each.returned,
            "plans": sorted(each.plans),
        }
        for each in report.shapes
    ]
    found = {
        name: [{"index": each.words, "reason": each.reason} for each in listed]
        for name, listed in advice.items()
    }
    return {"shapes": shapes, "indexes": found, "unread": report.unread}


def _print_slow(report: SlowReport, advice: Mapping[str, list[IndexAdvice]]) -> None:
    for each in report.shapes:
        plans = f" by {', '.join(sorted(each.plans))}" if each.plans else ""
        print(show_controls(each.asked.shape.words))
        print(
            f"    {count_of(each.count, 'time')}, {each.total_ms:,} ms in all, {each.max_ms:,} ms at"
            f" most; {each.documents:,} documents examined, {each.returned:,} returned{plans}"
        )
    for name, listed in advice.items():
        for index in listed:
            print(show_controls(f"{name}: index {index.words}: {index.reason}"))


def _print_differences(found: Sequence[Difference], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(each) for each in found], ensure_ascii=False))
        return
    for each in found:
        print(show_controls(f"{each.collection}: {each.words}  [{each.state}]"))
        for line in each.why:
            print(show_controls(f"    {line}"))
