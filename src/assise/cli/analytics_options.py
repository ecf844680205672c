"""What the commands of `assise analytics` share: options, the days asked for, rows printed."""

from __future__ import annotations

import csv
import datetime as dt
import json
import sys
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from assise.analytics.activity import Buckets
from assise.analytics.calendar import add
from assise.analytics.picture import ANY, Picture
from assise.cli.options import open_project
from assise.errors import UsageError
from assise.postgres.asking import Asking
from assise.wording import show_controls

T = TypeVar("T")


class Grouping(StrEnum):
    """How days are put together."""

    day = "day"
    week = "week"
    month = "month"


class FirstDay(StrEnum):
    """The day that weeks begin with."""

    monday = "monday"
    sunday = "sunday"


FromOption = Annotated[
    str | None, typer.Option("--from", metavar="DAY", help="The first day.", show_default=False)
]
UntilOption = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="DAY|URL",
        help="The last day, else today; or a PostgreSQL URL in place of the manifest's.",
        show_default=False,
    ),
]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV on stdout.")]
ByOption = Annotated[Grouping, typer.Option("--by", help="How days are put together.")]
WeekOption = Annotated[FirstDay, typer.Option("--week", help="The day that weeks begin with.")]
StartOption = Annotated[str, typer.Option("--start", help="The event that makes a cohort.")]
ReturnOption = Annotated[str, typer.Option("--return", help="The event of coming back.")]
BreakdownOption = Annotated[
    str, typer.Option("--breakdown", metavar="PROPERTY", help="One row for each value of it.")
]
PeriodsOption = Annotated[
    int, typer.Option("--periods", help="How many cells a row has.", min=1, max=400)
]


def split_to(to: list[str] | None) -> tuple[str | None, str | None]:
    """The last day and the URL, of which `--to` gives one or, said twice, both."""
    found: dict[bool, str | None] = {True: None, False: None}
    for text in to or ():
        found["://" not in text and "=" not in text] = text
    return found[True], found[False]


def read_day(text: str | None, otherwise: dt.date) -> dt.date:
    """A day of an option, or another where it is not given.

    Raises:
        UsageError: it is no day.
    """
    if text is None:
        return otherwise
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no day", remedy="Write it as 2026-01-31.") from None
    if not 1900 <= day.year <= 2200:
        raise UsageError(f"{text} is no day of 1900 to 2200", remedy="Write another day.")
    return day


def read_metric(
    context: typer.Context,
    read: Callable[[Picture], Asking[T]],
    *,
    manifest: Path,
    url: str | None,
    events: Collection[str] = (),
) -> T:
    """Read a metric as an operator; `events` are those that it names.

    Raises:
        UsageError: there is no such event.
    """
    verbs = open_project(context.obj.terminal, manifest, url).analytics
    return verbs.read(read, events={*map(name_event, events)})


def read_periods(
    context: typer.Context,
    read: Callable[[Picture, Buckets], Asking[T]],
    *,
    manifest: Path,
    to: list[str] | None,
    first: str | None,
    by: tuple[Grouping, FirstDay],
    count: int,
    events: Collection[str] = (),
) -> T:
    """Read a metric of the periods asked for; without them of the last `count` up to today."""
    last, url = split_to(to)

    def read_asked(picture: Picture) -> Asking[T]:
        span = read_span(picture, first, last, by=by[0], count=count)
        return read(picture, Buckets(*span, by[0].value, by[1].value))

    return read_metric(context, read_asked, manifest=manifest, url=url, events=events)


def read_span(
    picture: Picture, first: str | None, last: str | None, *, by: Grouping, count: int
) -> tuple[dt.date, dt.date]:
    """The days asked for; without them the last `count` periods up to today."""
    end = read_day(last, picture.today)
    begin = read_day(first, add(end.replace(day=1), "month", 1 - count))
    if first is None and by is not Grouping.month:
        begin = end - dt.timedelta((count - 1) * (7 if by is Grouping.week else 1))
    if begin > end:
        raise UsageError(f"{begin} lies behind {end}", remedy="Give --from before --to.")
    if (end - begin).days > 3_700:
        raise UsageError("that are over ten years", remedy="Ask for fewer days.")
    return begin, end


def name_event(event: str) -> str:
    """The event of an argument; `any` is any activity."""
    return ANY if event == "any" else event


def print_rows(
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
    lines = [[*names], *([_show(each) for each in _flatten(row)] for row in rows)]
    widths = [max(map(len, column)) for column in zip_longest(*lines, fillvalue="")]
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip())
    return 0


def _show(value: object) -> str:
    return "-" if value is None else show_controls(str(value))


def _flatten(row: Sequence[object]) -> list[object]:
    found: list[object] = []
    for each in row:
        found.extend(each if isinstance(each, list) else [each])
    return found
