"""Times of events: as they were sent, and as they were, by the clock of the server.

The rules are those of PostHog's `rust/common/types/src/timestamp.rs`, but for a year that no
calendar has: that time is now, not 1970.
"""

from __future__ import annotations

import datetime as dt
from math import isfinite

AHEAD = dt.timedelta(hours=23)
_MILLISECONDS = 10**11
"""A number above is milliseconds since 1970, below seconds."""


def read_time(value: object) -> dt.datetime | None:
    """A time in ISO 8601, or a number since 1970; None where it is none."""
    try:
        if type(value) is str and value[-6:] == "+00:00":
            return dt.datetime.fromisoformat(value)
        if isinstance(value, bool) or value is None:
            return None
        if isinstance(value, int | float):
            seconds = value / 1000 if abs(value) > _MILLISECONDS else value
            return dt.datetime.fromtimestamp(seconds, dt.UTC) if isfinite(value) else None
        text = str(value).strip()
        if text.isdecimal() and len(text) > 8:
            return read_time(int(text[:20]))
        found = dt.datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def correct(
    sent_time: object, *, offset: object, sent_at: dt.datetime | None, now: dt.datetime
) -> dt.datetime:
    """When an event was, by our clock.

    `offset` is how many milliseconds ago it was; else `sent_at` is when the client's clock sent it,
    None where that clock is to be trusted. Without a time, and over 23 hours ahead, it is now.
    """
    try:
        if isinstance(offset, int | float) and not isinstance(offset, bool):
            return min(now - dt.timedelta(milliseconds=offset), now)
        at = read_time(sent_time)
        if at is None:
            return now
        if sent_at is not None:
            at = now - (sent_at - at)
    except (OverflowError, ValueError):
        return now
    return now if at - now > AHEAD else at
