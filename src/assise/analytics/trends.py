"""Trends: an event by day, week or month: how often, by how many users, and sums of a property."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from assise.analytics.activity import Buckets
from assise.analytics.calendar import add, begin_of, start_of
from assise.analytics.event import SHARED_IDS
from assise.analytics.picture import Picture
from assise.analytics.tables import QUERIES
from assise.errors import UsageError
from assise.postgres.asking import Asking

Measure = Literal["count", "persons", "sum"]


@dataclass(frozen=True)
class TrendRow:
    """The value of an interval, and of one value of the property that it is broken down by."""

    start: dt.date
    breakdown: str | None
    value: int | Decimal
    complete: bool


@dataclass(frozen=True)
class TrendQuestion:
    """What is counted of an event: `sum` is the property to add up, `where` what properties are."""

    event: str
    buckets: Buckets
    measure: Measure = "count"
    sum: str = ""
    breakdown: str = ""
    where: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises UsageError: a sum of no property, or a property that is not summed."""
        if bool(self.sum) != (self.measure == "sum"):
            raise UsageError(
                "a sum is of a property", remedy="Name both: --measure sum --sum PROPERTY."
            )


def people_of(picture: Picture, since: dt.datetime, until: dt.datetime) -> dict[str, object]:
    """The parameters of the query `people`."""
    changes = picture.changes
    return {
        "since": since,
        "until": until,
        "shared": sorted(SHARED_IDS),
        "ids": [*changes.aliases],
        "persons": [*changes.aliases.values()],
        "old": [*changes.moved],
        "new": [*changes.moved.values()],
        "zone": picture.zone.key,
    }


def is_user(picture: Picture, person: str, *, is_stranger_user: bool) -> bool:
    """Whether somebody is a user; who has no number yet by what he did since."""
    return is_stranger_user if person.startswith("+") else int(person) in picture.users


def read_trend(picture: Picture, asked: TrendQuestion) -> Asking[list[TrendRow]]:
    """The values of an event, by interval and value of the breakdown."""
    buckets, starts = asked.buckets, asked.buckets.starts
    if not starts:
        return []
    since = begin_of(starts[0], picture.zone)
    until = begin_of(add(starts[-1], buckets.by, 1), picture.zone)
    parameters = people_of(picture, since, until)
    parameters |= {"event": asked.event, "breakdown": asked.breakdown, "sum": asked.sum}
    parameters["where"] = json.dumps(asked.where)
    values: dict[tuple[dt.date, str | None], int | Decimal] = {}
    people: dict[tuple[dt.date, str | None], set[str]] = {}
    for row in (yield QUERIES.fill("trend"), parameters):
        key = start_of(row["day"], buckets.by, buckets.week), row["value"]
        if asked.measure == "persons":
            strangers = set(row["strangers"] or ())
            found = people.setdefault(key, set())
            found |= {
                each
                for each in row["persons"] or ()
                if is_user(picture, each, is_stranger_user=each in strangers)
            }
            values[key] = len(found)
        else:
            more = row["total"] or 0 if asked.measure == "sum" else row["events"]
            values[key] = values.get(key, 0) + more
    if not asked.breakdown:
        values = {(start, None): values.get((start, None), 0) for start in starts}
    return [
        TrendRow(start, value, values[start, value], buckets.is_over(start, picture))
        for start, value in sorted(values, key=lambda key: (key[0], key[1] or ""))
    ]
