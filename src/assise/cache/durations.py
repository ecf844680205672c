"""Times of the cache and of keys, as people write them."""

from __future__ import annotations

from datetime import timedelta

from assise.errors import UsageError
from assise.settings import parse_duration

Time = str | int | float | timedelta
"""Text such as `5 minutes`, or seconds."""

_LONGEST_S = 3_650 * 86_400


def read_seconds(given: Time, what: str) -> float:
    """The seconds of a time.

    Raises:
        UsageError: it is no time, not over 0, or over ten years.
    """
    found = parse_duration(given) if isinstance(given, str) else given
    seconds = found.total_seconds() if isinstance(found, timedelta) else found
    if seconds is None or isinstance(seconds, bool) or not 0.001 <= seconds <= _LONGEST_S:
        raise UsageError(
            f"{what} is {given!r}, which is no time to keep a value",
            remedy="Give a text such as '5 minutes', or seconds, over 0 and under ten years.",
        )
    return float(seconds)
