"""Rows of subscriptions and of invoices as times in which customers pay."""

from __future__ import annotations

import calendar
import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from assise.analytics.revenue.movements import Stretch
from assise.analytics.revenue.terms import find_digits, is_paying, read_currency, read_term
from assise.errors import AmountError
from assise.wording import count_of

SHOWN = 5
GRACE = dt.timedelta(days=7)
"""An invoice that comes this late is no churn: the one before counts until it is there."""


class Charge(NamedTuple):
    """A subscription, or an invoice, as its row has it: `amount` for each `times` x `interval`.

    `key` names the row; `is_minor` says that the amount is in the currency's smallest units.
    """

    key: str
    customer: str
    amount: Decimal
    currency: str
    interval: str
    started: dt.datetime
    ended: dt.datetime | None = None
    status: str = "active"
    quantity: Decimal = Decimal(1)
    times: int = 1
    is_minor: bool = False
    subscription: str = ""

    def read(self) -> Stretch:
        """The time in which it pays, with the amount of a month.

        Raises:
            AmountError: its amount, quantity, interval or currency is none.
        """
        row = f"{self.key}: "
        for name, value in (("amount", self.amount), ("quantity", self.quantity)):
            if not value.is_finite() or value < 0:
                remedy = "A refund is no subscription: leave it out, it does not change MRR."
                raise AmountError(f"{row}the {name} is {value}", remedy=remedy)
        currency = read_currency(self.currency, row=row)
        months = read_term(self.interval, count=self.times, row=row)
        scale = 10 ** find_digits(currency) if self.is_minor else 1
        monthly = Fraction(self.amount) * Fraction(self.quantity) / months / scale
        return Stretch(self.customer, currency, monthly, self.started, self.ended)


@dataclass
class RowReading:
    """Reads rows, and keeps the keys of those that say nothing certain."""

    reversed: list[str] = field(default_factory=list)
    without_end: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)

    def read_subscriptions(self, charges: Iterable[Charge]) -> Iterator[Stretch]:
        """Each subscription from its begin to its end, by what its row says now.

        One that has ended without a time of its end, and one that ends before it begins, is left
        out. Several of one customer add up.

        Raises:
            AmountError: an amount, an interval, a currency or a status is none.
        """
        for each in charges:
            stretch = each.read()
            if not is_paying(each.status, row=f"{each.key}: ") and each.ended is None:
                if each.status.strip().lower() not in NEVER:
                    self.without_end.append(each.key)
            elif each.ended is not None and each.ended < each.started:
                self.reversed.append(each.key)
            elif each.status.strip().lower() not in NEVER:
                yield stretch

    def tell(self) -> Iterator[str]:
        """What was left out, in words, with the first keys."""
        said = {
            "a customer, an amount, an interval or a begin is missing": self.incomplete,
            "they have ended, and nothing says when": self.without_end,
            "they end before they begin": self.reversed,
        }
        for why, keys in said.items():
            if keys:
                shown = ", ".join(keys[:SHOWN]) + (", …" if len(keys) > SHOWN else "")
                yield f"{count_of(len(keys), 'row')} left out, as {why}: {shown}"

    def read_invoices(self, charges: Iterable[Charge]) -> Iterator[Stretch]:
        """Each invoice from the begin of its time to its end, or to the next one.

        An invoice of the same subscription takes the place of the one before. Invoices that do not
        count leave a gap.

        Raises:
            AmountError: an amount, an interval, a currency or a status is none.
        """
        found: dict[tuple[str, str], list[Stretch]] = defaultdict(list)
        for each in charges:
            stretch = each.read()
            end = each.ended or _add_term(each)
            if end < each.started:
                self.reversed.append(each.key)
            elif is_paying(each.status, row=f"{each.key}: "):
                owner = (each.customer, each.subscription)
                found[owner].append(stretch._replace(end=end))
        for stretches in found.values():
            yield from _join(sorted(stretches, key=lambda each: each.start))


NEVER = frozenset({"incomplete", "incomplete_expired", "trialing", "trial", "pending", "draft"})
"""Statuses of subscriptions that have never paid."""


def _join(stretches: list[Stretch]) -> Iterator[Stretch]:
    """Let each end where the next one begins, where that is before its end or soon after."""
    for each, following in pairwise([*stretches, None]):
        if each is not None:
            is_joined = following is not None and following.start - _end_of(each) <= GRACE
            yield each._replace(end=following.start) if following and is_joined else each


def _end_of(stretch: Stretch) -> dt.datetime:
    return stretch.end or dt.datetime.max.replace(tzinfo=dt.UTC)


def _add_term(charge: Charge) -> dt.datetime:
    """The end of an invoice's time: the same day some months later, or some days later."""
    months = read_term(charge.interval, count=charge.times)
    if months.denominator != 1:
        return charge.started + dt.timedelta(days=round(months * 365 / 12))
    month = charge.started.month - 1 + int(months)
    year, month = charge.started.year + month // 12, month % 12 + 1
    day = min(charge.started.day, calendar.monthrange(year, month)[1])
    return charge.started.replace(year=year, month=month, day=day)
