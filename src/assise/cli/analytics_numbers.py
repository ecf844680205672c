"""The commands of `assise analytics` that count users and events."""

from __future__ import annotations

import csv
import datetime as dt
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from assise.analytics.activity import (
    Buckets,
    RetentionQuestion,
    read_active,
    read_lifecycle,
    read_retention,
)
from assise.analytics.calendar import add
from assise.analytics.dashboard import DEFINITIONS
from assise.analytics.funnels import FunnelQuestion, read_funnel
from assise.analytics.picture import ANY, Picture
from assise.analytics.trends import TrendQuestion, read_trend
from assise.cli.analytics_options import CsvOption, FromOption, UntilOption, read_day, split_to
from assise.cli.options import (
    JsonOption,
    ManifestOption,
    ToOption,
    add_command,
    open_project,
)
from assise.cli.search import read_filters
from assise.errors import UsageError
from assise.postgres.asking import Asking
from assise.settings import parse_duration
from assise.wording import count_of, show_controls

T = TypeVar("T")
app = typer.Typer()
"""The commands, for the noun."""


class Period(StrEnum):
    """How days are put together."""

    day = "day"
    week = "week"
    month = "month"


class CohortMode(StrEnum):
    """Who is in a cohort, and what counts as coming back."""

    first = "first"
    recurring = "recurring"
    unbounded = "unbounded"


class StepOrder(StrEnum):
    """How the steps of a funnel follow each other."""

    ordered = "ordered"
    strict = "strict"
    unordered = "unordered"


class Counted(StrEnum):
    """What a trend counts."""

    events = "count"
    persons = "persons"
    sum = "sum"


class FirstDay(StrEnum):
    """The day that weeks begin with."""

    monday = "monday"
    sunday = "sunday"


ByOption = Annotated[Period, typer.Option("--by", help="How days are put together.")]
WeekOption = Annotated[FirstDay, typer.Option("--week", help="The day that weeks begin with.")]
EventArgument = Annotated[str, typer.Argument(help="The event; any is any activity.")]
StepsArgument = Annotated[list[str], typer.Argument(help="The events, in order.")]
StartOption = Annotated[str, typer.Option("--start", help="The event that makes a cohort.")]
ReturnOption = Annotated[str, typer.Option("--return", help="The event of coming back.")]
PeriodsOption = Annotated[
    int, typer.Option("--periods", help="How many cells a row has.", min=1, max=400)
]
ModeOption = Annotated[CohortMode, typer.Option("--mode", help="Who is in a cohort.")]
WithinOption = Annotated[
    str, typer.Option("--within", help="The time from the first step to the last.")
]
OrderOption = Annotated[StepOrder, typer.Option("--order", help="How steps follow each other.")]
BreakdownOption = Annotated[
    str, typer.Option("--breakdown", metavar="PROPERTY", help="One row for each value of it.")
]
DefinitionsOption = Annotated[
    bool, typer.Option("--definitions", help="With what each figure means.")
]
MeasureOption = Annotated[Counted, typer.Option("--measure", help="What is counted.")]
SumOption = Annotated[
    str, typer.Option("--sum", metavar="PROPERTY", help="The property to add up.")
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="PROPERTY=VALUE",
        help="Only events with this value, which is JSON or text; repeatable.",
        show_default=False,
    ),
]


def _read(
    context: typer.Context, manifest: Path, url: str | None, read: Callable[[Picture], Asking[T]]
) -> T:
    return open_project(context.obj.terminal, manifest, url).analytics.read(read)


def _read_span(
    picture: Picture, first: str | None, last: str | None, *, by: Period, count: int
) -> tuple[dt.date, dt.date]:
    """The days asked for; without them the last `count` periods up to today."""
    end = read_day(last, picture.today)
    begin = read_day(first, add(end.replace(day=1), "month", 1 - count))
    if first is None and by is not Period.month:
        begin = end - dt.timedelta((count - 1) * (7 if by is Period.week else 1))
    if begin > end:
        raise UsageError(f"{begin} lies behind {end}", remedy="Give --from before --to.")
    if (end - begin).days > 3_700:
        raise UsageError("that are over ten years", remedy="Ask for fewer days.")
    return begin, end


def _name(event: str) -> str:
    return ANY if event == "any" else event


def _print(
    found: dict[str, Any], key: str, *, as_json: bool, as_csv: bool, names: Sequence[str]
) -> int:
    """Print rows as JSON, CSV or a table."""
    if as_json:
        print(json.dumps(found, default=str, ensure_ascii=False))
        return 0
    rows = [[row[name] for name in names] for row in found[key]]
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([names, *map(_flatten, rows)])
        return 0
    print("  ".join(names))
    for row in rows:
        print(
            show_controls("  ".join("-" if each is None else str(each) for each in _flatten(row)))
        )
    return 0


def _flatten(row: Sequence[object]) -> list[object]:
    found: list[object] = []
    for each in row:
        found.extend(each if isinstance(each, list) else [each])
    return found


@add_command(app, "assise analytics active --from 2026-01-01 --to 2026-01-31 --json")
def active(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    first: FromOption = None,
    to: UntilOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Count the users of each day, and of the 7 and 30 days that end with it."""
    last, url = split_to(to)

    def read(picture: Picture) -> Asking[Any]:
        return read_active(picture, *_read_span(picture, first, last, by=Period.day, count=30))

    days = [asdict(each) for each in _read(context, manifest, url, read)]
    names = ("day", "dau", "wau", "mau", "complete")
    return _print({"days": days}, "days", as_json=as_json, as_csv=as_csv, names=names)


@add_command(
    app, "assise analytics retention --start signup --return any --by week --periods 4 --json"
)
def retention(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    start: StartOption = "signup",
    back: ReturnOption = "any",
    by: ByOption = Period.day,
    periods: PeriodsOption = 8,
    mode: ModeOption = CohortMode.first,
    week: WeekOption = FirstDay.monday,
    first: FromOption = None,
    to: UntilOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Count who came back so many periods later; what is not over is null."""
    last, url = split_to(to)

    def read(picture: Picture) -> Asking[Any]:
        span = _read_span(picture, first, last, by=by, count=periods)
        buckets = Buckets(*span, by.value, week.value)
        asked = RetentionQuestion(_name(start), _name(back), buckets, periods, mode.value)
        return read_retention(picture, asked)

    found = asdict(_read(context, manifest, url, read))
    names = ("start", "size", "counts")
    return _print(found, "rows", as_json=as_json, as_csv=as_csv, names=names)


@add_command(
    app, 'assise analytics funnel signup project_created deployed --within "14 days" --json'
)
def funnel(
    context: typer.Context,
    steps: StepsArgument,
    *,
    manifest: ManifestOption = Path(),
    within: WithinOption = "14 days",
    order: OrderOption = StepOrder.ordered,
    breakdown: BreakdownOption = "",
    first: FromOption = None,
    to: UntilOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Count the users who did one event after another, and how long it took them."""
    window = parse_duration(within)
    if window is None:
        raise UsageError(f"--within {within!r} is no time", remedy="Write it as 14 days.")
    last, url = split_to(to)

    def read(picture: Picture) -> Asking[Any]:
        span = _read_span(picture, first, last, by=Period.day, count=30)
        asked = FunnelQuestion(tuple(steps), *span, window, order.value, breakdown)
        return read_funnel(picture, asked)

    found = [asdict(each) for each in _read(context, manifest, url, read)]
    lines = [{"breakdown": each["breakdown"], **step} for each in found for step in each["steps"]]
    if as_json:
        print(json.dumps({"order": order.value, "funnels": found}, ensure_ascii=False))
        return 0
    names = ("event", "breakdown", "count", "overall", "step", "median_s", "mean_s")
    return _print({"rows": lines}, "rows", as_json=False, as_csv=as_csv, names=names)


@add_command(app, "assise analytics trend deployed --by week --breakdown plan --json")
def trend(
    context: typer.Context,
    event: EventArgument,
    *,
    manifest: ManifestOption = Path(),
    by: ByOption = Period.day,
    measure: MeasureOption = Counted.events,
    total: SumOption = "",
    breakdown: BreakdownOption = "",
    where: WhereOption = None,
    week: WeekOption = FirstDay.monday,
    first: FromOption = None,
    to: UntilOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Count an event by day, week or month: how often, its users, or the sum of a property."""
    if bool(total) != (measure is Counted.sum):
        raise UsageError("a sum is of a property", remedy="Give --measure sum --sum PROPERTY.")
    last, url = split_to(to)

    def read(picture: Picture) -> Asking[Any]:
        span = _read_span(picture, first, last, by=by, count=12)
        buckets = Buckets(*span, by.value, week.value)
        asked = TrendQuestion(
            _name(event), buckets, measure.value, total, breakdown, read_filters(where)
        )
        return read_trend(picture, asked)

    rows = [asdict(each) for each in _read(context, manifest, url, read)]
    found = {"event": event, "by": by.value, "measure": measure.value, "rows": rows}
    names = ("start", "breakdown", "value", "complete")
    return _print(found, "rows", as_json=as_json, as_csv=as_csv, names=names)


@add_command(app, "assise analytics lifecycle --by week --json")
def lifecycle(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    by: ByOption = Period.day,
    week: WeekOption = FirstDay.monday,
    first: FromOption = None,
    to: UntilOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Count who is new, stays, comes back after a pause, or stays away."""
    last, url = split_to(to)

    def read(picture: Picture) -> Asking[Any]:
        span = _read_span(picture, first, last, by=by, count=12)
        return read_lifecycle(picture, ANY, Buckets(*span, by.value, week.value))

    rows = [asdict(each) for each in _read(context, manifest, url, read)]
    names = ("start", "new", "returning", "resurrecting", "dormant", "complete")
    found = {"by": by.value, "rows": rows}
    return _print(found, "rows", as_json=as_json, as_csv=as_csv, names=names)


@add_command(app, "assise analytics dashboard", "assise analytics dashboard --definitions --json")
def dashboard(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    definitions: DefinitionsOption = False,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show users, revenue, engagement and performance now; what is not known has its reason."""
    found = open_project(context.obj.terminal, manifest, to).analytics.dashboard()
    if as_json:
        print(json.dumps(found.as_json(is_defined=definitions), default=str, ensure_ascii=False))
        return 0
    facts = found.as_json()
    for group in ("user_metrics", "revenue_metrics", "engagement_metrics", "performance_metrics"):
        for name, value in facts[group].items():
            shown = f"- ({found.reasons[name]})" if value is None else value
            print(f"{name}: {shown}" + (f"   {DEFINITIONS[name]}" if definitions else ""))
    return 0


@add_command(app, "assise analytics check")
def check(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    to: ToOption = None,
    as_json: JsonOption = False,
) -> int:
    """Count everything again from events and rows, and say what differs, and what is not declared."""
    found = open_project(context.obj.terminal, manifest, to).analytics.check()
    if as_json:
        print(json.dumps(asdict(found), default=str, ensure_ascii=False))
    else:
        differing = len(found.differing) + len(found.days)
        print(f"{count_of(found.compared, 'count')} compared, {differing:,} differ")
        for name in found.totals:
            print(
                f"{name}: another number of rows is kept than there is; `assise load` counts anew"
            )
        for name, count in sorted(found.traffic.items()):
            print(f"{name}: {count_of(count, 'event')}")
        if found.shared:
            print(f"{count_of(found.shared, 'event')} with an id that everybody has, such as null")
        for name, count in sorted(found.undeclared.items()):
            print(show_controls(f"{name} is not declared: {count_of(count, 'event')}"))
    return 0 if found.is_right else 3
