"""What Devora's customers pay a month, straight from the documents of its invoices."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from itertools import zip_longest
from zoneinfo import ZoneInfo

from tests.examples.values import Plain, as_kind, as_moment

PARIS = ZoneInfo("Europe/Paris")
LATE = dt.timedelta(days=7)
CENT = Decimal("0.01")
Span = tuple[dt.datetime, dt.datetime, str, Decimal]


def list_months(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """The first days of months."""
    while first <= last:
        yield first
        first = (first + dt.timedelta(31)).replace(day=1)


def add_month(at: dt.datetime) -> dt.datetime:
    """The same day of the next month, or its last one."""
    following = at.replace(day=1) + dt.timedelta(32)
    last = following.replace(day=1) + dt.timedelta(31)
    days = (last.replace(day=1) - dt.timedelta(1)).day
    return at.replace(year=following.year, month=following.month, day=min(at.day, days))


@dataclass
class Invoices:
    """Invoices as documents, and what they say of a moment."""

    found: Sequence[Plain]

    def count_mrr(self, month: dt.date, *, only: str = "", report: str = "eur") -> Decimal:
        """MRR at the end of a month, of all currencies or of one."""
        following = (month + dt.timedelta(31)).replace(day=1)
        end = dt.datetime(following.year, following.month, 1, tzinfo=PARIS)
        total = Decimal(0)
        for spans in self.spans.values():
            for start, until, currency, amount in spans:
                # What begins at midnight begins in the month after; what ends then ends there too.
                if start < end <= until and only in {"", currency}:
                    rate = 1 if currency == report else self.find_rate(end - dt.timedelta(1))
                    total += amount * rate
        return total.quantize(CENT, ROUND_HALF_UP)

    @cached_property
    def spans(self) -> dict[object, list[Span]]:
        """For each customer: from when to when it pays how much, one behind the other."""
        by_user: dict[object, list[Plain]] = defaultdict(list)
        for each in self.found:
            if each["status"] in {"paid", "open"} and "currency" in each:
                by_user[each["user_id"]].append(each)
        spans: dict[object, list[Span]] = defaultdict(list)
        for user, own in by_user.items():
            ordered = sorted(own, key=lambda each: as_moment(each["created_at"]))
            for each, later in zip_longest(ordered, ordered[1:]):
                start = as_moment(each["created_at"])
                until = add_month(start)
                if later and as_moment(later["created_at"]) - until <= LATE:
                    until = as_moment(later["created_at"])
                amount = as_kind(each["plan_amount"], Decimal)
                spans[user].append((start, until, str(each["currency"]), amount))
        return spans

    def find_rate(self, at: dt.datetime) -> Decimal:
        """Euros for a dollar on the day of `at`: that of the last invoice in dollars."""
        day = at.astimezone(PARIS).date()
        rates = [
            (as_moment(each["created_at"]), each["exchange_rate"])
            for each in self.found
            if "exchange_rate" in each and "currency" in each
        ]
        known = [each for each in rates if each[0].astimezone(PARIS).date() <= day]
        return as_kind(max(known)[1], Decimal)
