"""What the commands of `assise analytics` share."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from assise.errors import UsageError

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
