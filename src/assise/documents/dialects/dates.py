"""Texts of dates to milliseconds since 1970."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo

from assise.documents.dialects.rules import Guess, Rules
from assise.errors import ExtendedJsonError

LOST = "9999-12-31T23:59:59.999999999Z"
"""How a writer of relaxed Extended JSON says that a date is beyond the year 9999."""

_DATE = re.compile(
    r"(\d{4}|[1-9]\d{4,8}|(?!-000000)[+-]\d{6})-(\d\d)-(\d\d)"
    r"(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:(Z)|([+-])(\d\d)(?::?(\d\d))?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001
_DAYS_OF_400_YEARS = 146_097


def read_date(text: str, rules: Rules, *, usual: tzinfo | None = None) -> int:
    """Read an ISO date to milliseconds; `usual` is the zone that such dates have without a word.

    Raises:
        ExtendedJsonError: it is no date, or has no zone and none is given.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        raise ExtendedJsonError(f"not an ISO date: {text[:80]!r}")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    # The calendar repeats every 400 years; JavaScript and libbson write years that datetime lacks.
    cycles = 0 if 1 <= year <= 9999 else year // 400 - 5
    try:
        moment = datetime(year - 400 * cycles, month, day, hour, minute, second)  # noqa: DTZ001
    except ValueError as error:
        raise ExtendedJsonError(f"not a date of the calendar: {text[:80]!r}") from error
    _, *offset = found.groups()[7:]
    if found[8]:
        seconds = 0
    elif found[9]:
        seconds = _offset_seconds(text, *offset)
    else:
        zone = usual or (None if cycles else rules.zone)
        seconds = _local_seconds(text, moment, zone)
        rules.guesses[Guess.ISODATE if usual else Guess.ZONE] += 1
    fraction = found[7] or ""
    if text == LOST:
        rules.guesses[Guess.LOST_DATE] += 1
    elif fraction[3:].strip("0"):
        rules.guesses[Guess.CUT_DIGITS] += 1
    passed = moment - _EPOCH
    days = passed.days + cycles * _DAYS_OF_400_YEARS
    millis = int(fraction[:3].ljust(3, "0"))
    return (days * 86_400 + passed.seconds - seconds) * 1000 + millis


def _offset_seconds(text: str, sign: str, hours: str, minutes: str | None) -> int:
    hour, minute = int(hours), int(minutes or 0)
    if hour > 15 or minute > 59:
        raise ExtendedJsonError(f"not an offset from UTC: {text[:80]!r}")
    return (hour * 60 + minute) * (-60 if sign == "-" else 60)


def _local_seconds(text: str, moment: datetime, zone: tzinfo | None) -> int:
    if zone is None:
        raise ExtendedJsonError(
            f"the date {text[:40]!r} has no zone: give that of such dates, --zone Europe/Paris"
        )
    offset = moment.replace(tzinfo=zone).utcoffset() or timedelta()
    return round(offset.total_seconds())
