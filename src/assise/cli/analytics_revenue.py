"""`assise analytics revenue`: recurring revenue month by month."""

from __future__ import annotations

import csv
import datetime as dt
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from assise.cli.analytics_options import CsvOption, FromOption, UntilOption, read_day, split_to
from assise.cli.options import JsonOption, ManifestOption, open_project


class RevenuePeriod(StrEnum):
    """What a row is."""

    month = "month"


RevenueByOption = Annotated[RevenuePeriod, typer.Option("--by", help="What a row is.")]
RatiosOption = Annotated[
    bool,
    typer.Option("--ratios", help="Add customers, ARR, ARPA, churn, GRR, NRR, quick ratio, LTV."),
]
StripeOption = Annotated[
    Path | None,
    typer.Option(
        "--stripe", help="Read invoices of Stripe's API from this file.", show_default=False
    ),
]


def revenue(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    by: RevenueByOption = RevenuePeriod.month,
    first: FromOption = None,
    to: UntilOption = None,
    ratios: RatiosOption = False,
    stripe: StripeOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> int:
    """Print recurring revenue month by month, and why it moved: new, reactivation, expansion,
    contraction, churn, and fx, which is what exchange rates did.
    """
    del by
    say = context.obj.terminal.say
    last, url = split_to(to)
    days = read_day(first, dt.date.min), read_day(last, dt.date.max)
    report = open_project(context.obj.terminal, manifest, url).analytics.revenue(stripe)
    for line in report.left_out:
        say(line)
    report = report.between(*days)
    if as_json:
        print(json.dumps(report.as_json(has_ratios=ratios)))
        return 0
    if report.since:
        say(f"until {report.since} by begin and end of each row alone; from then on by its changes")
    lines = report.list_lines(has_ratios=ratios)
    if as_csv:
        csv.writer(sys.stdout, lineterminator="\n").writerows(lines)
    else:
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for cells in lines:
            print("  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
    return 0
