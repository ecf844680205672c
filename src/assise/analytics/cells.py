"""Cells of retention that are kept with each fold: of those who signed up, by day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Literal

from assise.analytics.picture import ANY, Picture
from assise.analytics.tables import QUERIES
from assise.postgres.asking import Asking

START, BACK = "signup", ANY
MODES: tuple[Literal["first", "recurring"], ...] = ("first", "recurring")
DAYS, PERIODS = 180, 90
Cells = list[list[int | None]]


def list_kept_days(today: dt.date) -> tuple[dt.date, dt.date]:
    """The first and the last day whose cohorts are kept."""
    return today - dt.timedelta(DAYS - 1), today


def read_cells(
    picture: Picture, mode: str, *, starts: Sequence[dt.date], periods: int
) -> Asking[Cells | None]:
    """The cells of cohorts of days, a row for each; None where they are not kept as they are now."""
    first, last = list_kept_days(picture.today)
    is_kept = mode in MODES and starts and first <= starts[0] and starts[-1] <= last
    if picture.has_tail or not picture.is_stored or not is_kept or periods > PERIODS:
        return None
    asked = {"mode": mode, "version": picture.version, "today": picture.today, "periods": periods}
    asked |= {"from": (starts[0] - first).days + 1, "to": (starts[-1] - first).days + 1}
    rows = yield QUERIES["cells"], asked
    return rows[0]["counts"] if rows else None
