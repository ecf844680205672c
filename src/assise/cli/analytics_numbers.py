"""The commands of `assise analytics` that count users and events."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from assise.analytics.activity import (
    Buckets,
    Lifecycle,
    Retention,
    RetentionQuestion,
    read_active,
    read_lifecycle,
    read_retention,
)
from assise.analytics.dashboard import DEFINITIONS
from assise.analytics.funnels import FunnelQuestion, read_funnel
from assise.analytics.picture import ANY, Picture
from assise.analytics.trends import TrendQuestion, TrendRow, read_trend
from assise.cli.analytics_options import (
    BreakdownOption,
    ByOption,
    CsvOption,
    FirstDay,
    FromOption,
    Grouping,
    PeriodsOption,
    ReturnOption,
    StartOption,
    UntilOption,
    WeekOption,
    name_event,
    print_rows,
    read_metric,
    read_periods,
    read_span,
    split_to,
)
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

app = typer.Typer()
"""The commands, for the noun."""


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


EventArgument = Annotated[str, typer.Argument(help="The event; any is any activity.")]
StepsArgument = Annotated[list[str], typer.Argument(help="The events, in order.")]
DidOption = Annotated[
    str,
    typer.Option(
        "--did", metavar="EVENT", help="Only users who have ever done this.", show_default=False
    ),
]
ModeOption = Annotated[CohortMode, typer.Option("--mode", help="Who is in a cohort.")]
WithinOption = Annotated[
    str, typer.Option("--within", help="The time from the first step to the last.")
]
OrderOption = Annotated[StepOrder, typer.Option("--order", help="How steps follow each other.")]
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
        return read_active(picture, *read_span(picture, first, last, by=Grouping.day, count=30))

    days = [asdict(each) for each in read_metric(context, read, manifest=manifest, url=url)]
    names = ("day", "dau", "wau", "mau", "complete")
    return print_rows({"days": days}, "days", as_json=as_json, as_csv=as_csv, names=names)


@add_command(
    app, "assise analytics retention --start signup --return any --by week --periods 4 --json"
)
def retention(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    start: StartOption = "signup",
    back: ReturnOption = "any",
    by: ByOption = Grouping.day,
    periods: PeriodsOption = 8,
    mode: ModeOption = CohortMode.first,
    did: DidOption = "",
    week: WeekOption = FirstDay.monday,
    first: FromOption = None,
    to: UntilOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Count who came back so many periods later; what is not over is null."""

    def read(picture: Picture, buckets: Buckets) -> Asking[Retention]:
        events = name_event(start), name_event(back)
        asked = RetentionQuestion(*events, buckets, periods, mode.value, name_event(did))
        return read_retention(picture, asked)

    named = [each for each in (start, back, did) if each]
    retained = read_periods(
        context,
        read,
        manifest=manifest,
        to=to,
        first=first,
        by=(by, week),
        count=periods,
        events=named,
    )
    found = asdict(retained)
    names = ("start", "size", "counts")
    return print_rows(found, "rows", as_json=as_json, as_csv=as_csv, names=names)


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
        span = read_span(picture, first, last, by=Grouping.day, count=30)
        asked = FunnelQuestion(tuple(steps), *span, window, order.value, breakdown)
        return read_funnel(picture, asked)

    found = [
        asdict(each)
        for each in read_metric(context, read, manifest=manifest, url=url, events=steps)
    ]
    lines = [{"breakdown": each["breakdown"], **step} for each in found for step in each["steps"]]
    if as_json:
        print(json.dumps({"order": order.value, "funnels": found}, ensure_ascii=False))
        return 0
    names = ("event", "breakdown", "count", "overall", "step", "median_s", "mean_s")
    return print_rows({"rows": lines}, "rows", as_json=False, as_csv=as_csv, names=names)


@add_command(app, "assise analytics trend deployed --by week --breakdown plan --json")
def trend(
    context: typer.Context,
    event: EventArgument,
    *,
    manifest: ManifestOption = Path(),
    by: ByOption = Grouping.day,
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

    def read(picture: Picture, buckets: Buckets) -> Asking[list[TrendRow]]:
        asked = TrendQuestion(
            name_event(event), buckets, measure.value, total, breakdown, read_filters(where)
        )
        return read_trend(picture, asked)

    listed = read_periods(
        context,
        read,
        manifest=manifest,
        to=to,
        first=first,
        by=(by, week),
        count=12,
        events=[event],
    )
    rows = [asdict(each) for each in listed]
    found = {"event": event, "by": by.value, "measure": measure.value, "rows": rows}
    names = ("start", "breakdown", "value", "complete")
    return print_rows(found, "rows", as_json=as_json, as_csv=as_csv, names=names)


@add_command(app, "assise analytics lifecycle --by week --json")
def lifecycle(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    by: ByOption = Grouping.day,
    week: WeekOption = FirstDay.monday,
    first: FromOption = None,
    to: UntilOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Count who is new, stays, comes back after a pause, or stays away."""

    def read(picture: Picture, buckets: Buckets) -> Asking[list[Lifecycle]]:
        return read_lifecycle(picture, ANY, buckets)

    listed = read_periods(
        context, read, manifest=manifest, to=to, first=first, by=(by, week), count=12
    )
    rows = [asdict(each) for each in listed]
    names = ("start", "new", "returning", "resurrecting", "dormant", "complete")
    found = {"by": by.value, "rows": rows}
    return print_rows(found, "rows", as_json=as_json, as_csv=as_csv, names=names)


GROUPS = ("user_metrics", "revenue_metrics", "engagement_metrics", "performance_metrics")


@add_command(app, "assise analytics dashboard", "assise analytics dashboard --definitions --json")
def dashboard(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    definitions: DefinitionsOption = False,
    to: ToOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Show users, revenue, engagement and performance now; what is not known has its reason."""
    found = open_project(context.obj.terminal, manifest, to).analytics.dashboard()
    if as_json:
        print(json.dumps(found.as_json(is_defined=definitions), default=str, ensure_ascii=False))
        return 0
    facts = found.as_json()
    if as_csv:
        rows = [
            {"name": name, "value": value, "reason": found.reasons.get(name)}
            for group in GROUPS
            for name, value in facts[group].items()
        ]
        names = ("name", "value", "reason")
        return print_rows({"rows": rows}, "rows", as_json=False, as_csv=True, names=names)
    for group in GROUPS:
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
        for name, misfits in sorted(found.misfits.items()):
            for what, count in misfits.items():
                print(show_controls(f"{name}: {what}: {count_of(count, 'event')}"))
    return 0 if found.is_right else 3
