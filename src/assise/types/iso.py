"""Moments and days as texts: ISO 8601 as programs write it, in years 0001 to 9999."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""PostgreSQL counts microseconds and days from here."""

_DAY = r"([0-9]{4})-([0-9]{2})-([0-9]{2})"
_MOMENT = re.compile(
    _DAY + r"T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_ONLY_DAY = re.compile(_DAY)
_LARGEST_OFFSET = 16
_MICROSECOND = timedelta(microseconds=1)


def parse_moment(text: str) -> tuple[int, str] | None:
    """Microseconds from 2000 of an ISO moment, and the digits of its fraction.

    Digits behind the sixth are cut, not rounded. None for another text, for a moment that is none
    (30 February, 24:00, second 60), and for an offset of 16 hours or more.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    *parts, fraction, sign, hours, minutes = match.groups()
    offset = timedelta()
    if sign:
        if int(hours) >= _LARGEST_OFFSET or int(minutes) > 59:
            return None
        offset = timedelta(hours=int(hours), minutes=int(minutes))
    offset = -offset if sign == "-" else offset
    fraction = fraction or ""
    year, month, day, hour, minute, second = map(int, parts)
    try:
        local = datetime(year, month, day, hour, minute, second, int(f"{fraction:0<6}"[:6]), UTC)
    except ValueError:
        return None
    return (local - EPOCH - offset) // _MICROSECOND, fraction


def show_moment(microseconds: int, places: int) -> str | None:
    """The ISO text in UTC of microseconds from 2000, with so many places if these are enough.

    Otherwise with six; None outside of the years 0001 to 9999.
    """
    try:
        moment = EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None
    text, fraction = moment.strftime("%H:%M:%S"), f"{moment.microsecond:06}"
    shown = fraction[:places] if not fraction[places:].strip("0") else fraction
    return f"{moment.date().isoformat()}T{text}{'.' if shown else ''}{shown}Z"


def parse_day(text: str) -> int | None:
    """Days from 2000 of a text YYYY-MM-DD; None for another text and for a day that is none."""
    match = _ONLY_DAY.fullmatch(text)
    if match is None:
        return None
    try:
        return (date(*map(int, match.groups())) - EPOCH.date()).days
    except ValueError:
        return None


def show_day(days: int) -> str | None:
    """The text of a day, given from 2000; None outside of the years 0001 to 9999."""
    try:
        return (EPOCH.date() + timedelta(days=days)).isoformat()
    except OverflowError:
        return None
