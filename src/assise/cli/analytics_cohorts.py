"""The commands of `assise analytics` about cohorts, sessions, and who is lost."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from assise.analytics.activity import Buckets, RetentionQuestion
from assise.analytics.cohorts import Cohort, read_churn, read_cohorts, read_sessions
from assise.analytics.picture import Picture
from assise.cli.analytics_options import (
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
    read_periods,
)
from assise.cli.options import JsonOption, ManifestOption, add_command
from assise.errors import UsageError
from assise.postgres.asking import Asking
from assise.settings import parse_duration

app = typer.Typer()
"""The commands, for the noun."""

PropertyOption = Annotated[
    str,
    typer.Option(
        "--property", metavar="PROPERTY", help="One cohort for each value it had at the start."
    ),
]
InactiveOption = Annotated[
    str, typer.Option("--inactive", metavar="TIME", help="How long who is lost was not active.")
]


@add_command(
    app,
    "assise analytics cohorts --by week --periods 4 --json",
    "assise analytics cohorts --start signup --property plan --by month --csv",
)
def cohorts(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    start: StartOption = "signup",
    back: ReturnOption = "any",
    breakdown: PropertyOption = "",
    by: ByOption = Grouping.day,
    periods: PeriodsOption = 8,
    week: WeekOption = FirstDay.monday,
    first: FromOption = None,
    to: UntilOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Count who came back, of those who began in a period with each value of a property."""

    def read(picture: Picture, buckets: Buckets) -> Asking[list[Cohort]]:
        asked = RetentionQuestion(name_event(start), name_event(back), buckets, periods)
        return read_cohorts(picture, asked, breakdown)

    listed = read_periods(
        context,
        read,
        manifest=manifest,
        to=to,
        first=first,
        by=(by, week),
        count=periods,
        events=(start, back),
    )
    rows = [asdict(each) for each in listed]
    found = {"property": breakdown or None, "by": by.value, "rows": rows}
    names = ("value", "start", "size", "counts")
    return print_rows(found, "rows", as_json=as_json, as_csv=as_csv, names=names)


@add_command(app, "assise analytics sessions --by week --json")
def sessions(
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
    """Count sessions of users, which a gap of over 30 minutes ends, and how long they were."""
    listed = read_periods(
        context, read_sessions, manifest=manifest, to=to, first=first, by=(by, week), count=12
    )
    rows = [asdict(each) for each in listed]
    names = ("start", "sessions", "minutes", "complete")
    found = {"by": by.value, "rows": rows}
    return print_rows(found, "rows", as_json=as_json, as_csv=as_csv, names=names)


@add_command(app, 'assise analytics churn --by month --inactive "30 days" --json')
def churn(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    by: ByOption = Grouping.month,
    inactive: InactiveOption = "30 days",
    week: WeekOption = FirstDay.monday,
    first: FromOption = None,
    to: UntilOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Count the users who were active before a period, and not any more at its end."""
    length = parse_duration(inactive)
    if length is None or length < dt.timedelta(1) or length % dt.timedelta(1):
        raise UsageError(
            f"--inactive {inactive!r} is no number of days", remedy="Write it as 30 days."
        )
    read = partial(read_churn, days=length.days)
    listed = read_periods(
        context, read, manifest=manifest, to=to, first=first, by=(by, week), count=12
    )
    rows = [asdict(each) for each in listed]
    names = ("start", "active", "lost", "rate", "complete")
    found = {"by": by.value, "inactive_days": length.days, "rows": rows}
    return print_rows(found, "rows", as_json=as_json, as_csv=as_csv, names=names)
