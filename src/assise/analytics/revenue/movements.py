"""Monthly recurring revenue, and why it moved from one month's end to the next.

For each month: end = start + new + reactivation + expansion - contraction - churn + fx.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import NamedTuple
from zoneinfo import ZoneInfo

from assise.analytics.revenue.rates import KnownRates
from assise.analytics.revenue.terms import find_digits, round_up, to_decimal

ZERO = Fraction(0)
Eight = tuple[Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal, Decimal]
Amounts = dict[str, Fraction]
"""Amounts a month by currency."""


MONEY = "mrr_start new reactivation expansion contraction churn fx mrr_end".split()


class Stretch(NamedTuple):
    """A time in which a customer pays `monthly` a month: from `start` on, and before `end`."""

    customer: str
    currency: str
    monthly: Fraction
    start: dt.datetime
    end: dt.datetime | None = None


@dataclass(frozen=True)
class MonthRow:
    """A month: amounts in the report's currency, and how many customers there were.

    contraction and churn are positive, and are subtracted.
    """

    month: dt.date
    mrr_start: Decimal
    new: Decimal
    reactivation: Decimal
    expansion: Decimal
    contraction: Decimal
    churn: Decimal
    fx: Decimal
    mrr_end: Decimal
    customers_start: int
    customers_new: int
    customers_reactivated: int
    customers_churned: int

    @property
    def customers_end(self) -> int:
        """Who pays at the month's end."""
        gained = self.customers_new + self.customers_reactivated
        return self.customers_start + gained - self.customers_churned

    def count_customers(self) -> dict[str, int]:
        """How many customers there were, and what became of them."""
        return {
            "start": self.customers_start,
            "new": self.customers_new,
            "reactivated": self.customers_reactivated,
            "churned": self.customers_churned,
            "end": self.customers_end,
        }

    def as_json(self) -> dict[str, str]:
        """The amounts, as decimals in strings."""
        amounts = {name: str(getattr(self, name)) for name in MONEY}
        return {"month": f"{self.month:%Y-%m}", **amounts}


@dataclass
class _Change:
    """What a month changes for one customer, by currency."""

    deltas: Amounts = field(default_factory=lambda: defaultdict(Fraction))
    has_begun: bool = False


@dataclass
class _Sums:
    """The movements of a month, exact."""

    new: Fraction = ZERO
    reactivation: Fraction = ZERO
    expansion: Fraction = ZERO
    contraction: Fraction = ZERO
    churn: Fraction = ZERO
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def list_months(
    stretches: Iterable[Stretch], *, rates: KnownRates, zone: ZoneInfo, now: dt.datetime
) -> list[MonthRow]:
    """The months from the first with revenue to the one of `now`, which ends at `now`.

    A customer's changes within a month are netted: a change of plan by an end and a begin is an
    expansion or a contraction, and who comes and goes within one month is not seen.

    Raises:
        AmountError: a rate is missing.
    """
    changes = _sort_changes(stretches, zone, now)
    if not changes:
        return []
    today = now.astimezone(zone).date()
    sweep, rows = _Sweep(rates), []
    for month in _list_firsts(min(changes), today.replace(day=1)):
        last = _next_month(month) - dt.timedelta(days=1)
        rows.append(sweep.move(month, changes.get(month, {}), min(last, today)))
    return rows


def _sort_changes(
    stretches: Iterable[Stretch], zone: ZoneInfo, now: dt.datetime
) -> dict[dt.date, dict[str, _Change]]:
    """Changes by month and customer; a change at midnight belongs to the month that begins."""
    found: dict[dt.date, dict[str, _Change]] = {}

    def add(customer: str, currency: str, delta: Fraction, at: dt.datetime) -> None:
        month = at.astimezone(zone).date().replace(day=1)
        change = found.setdefault(month, {}).setdefault(customer, _Change())
        change.deltas[currency] += delta
        change.has_begun |= delta > 0

    for each in stretches:
        if each.monthly <= 0 or each.start > now or (each.end and each.end <= each.start):
            continue
        add(each.customer, each.currency, each.monthly, each.start)
        if each.end and each.end <= now:
            add(each.customer, each.currency, -each.monthly, each.end)
    return found


def _next_month(month: dt.date) -> dt.date:
    return (month + dt.timedelta(days=31)).replace(day=1)


def _list_firsts(first: dt.date, last: dt.date) -> Iterator[dt.date]:
    while first <= last:
        yield first
        first = _next_month(first)


@dataclass
class _Sweep:
    """Goes through the months with what each customer pays."""

    rates: KnownRates
    paid: dict[str, Amounts] = field(default_factory=dict)
    totals: Amounts = field(default_factory=lambda: defaultdict(Fraction))
    known: set[str] = field(default_factory=set)
    day: dt.date = dt.date.min

    def move(self, month: dt.date, changes: dict[str, _Change], day: dt.date) -> MonthRow:
        """The row of a month, whose last day has the rates of its end."""
        begun, customers = self._worth(self.totals, self.day), len(self.paid)
        sums, stayed = _Sums(), self.totals.copy()
        for customer, change in changes.items():
            self._change(customer, change, sums, stayed, day)
        fx = self._worth(stayed, day) - self._worth(stayed, self.day)
        self.day = day
        row = _round(
            [begun, self._worth(self.totals, day)],
            [sums.new, sums.reactivation, sums.expansion, -sums.contraction, -sums.churn, fx],
            find_digits(self.rates.report),
        )
        counts = (sums.counts[name] for name in ("new", "reactivation", "churn"))
        return MonthRow(month, *row, customers, *counts)

    def _worth(self, amounts: Amounts, day: dt.date) -> Fraction:
        worth = [each * self.rates.at(code, day) for code, each in amounts.items() if each]
        return sum(worth, ZERO)

    def _change(
        self, customer: str, change: _Change, sums: _Sums, stayed: Amounts, day: dt.date
    ) -> None:
        """Change one customer. What is gained counts at the end's rate, what is lost at the
        begin's, and what stays has the difference of rates as fx.
        """
        before = self.paid.get(customer, {})
        gained, lost = ZERO, ZERO
        after = dict(before)
        for code, delta in change.deltas.items():
            after[code] = after.get(code, ZERO) + delta
            self.totals[code] += delta
            if delta > 0:
                gained += delta * self.rates.at(code, day)
            elif delta < 0:
                lost -= delta * self.rates.at(code, self.day)
                stayed[code] += delta
        after = {code: each for code, each in after.items() if each}
        if after:
            self.paid[customer] = after
        elif before:
            del self.paid[customer]
        name = _name_movement(bool(before), bool(after), gained - lost, customer in self.known)
        if name:
            setattr(sums, name, getattr(sums, name) + abs(gained - lost))
            sums.counts[name] += 1
        if change.has_begun:
            self.known.add(customer)


def _name_movement(has_paid: bool, pays: bool, net: Fraction, is_known: bool) -> str:
    if not net:
        return ""
    if not has_paid:
        return "reactivation" if is_known else "new"
    if not pays:
        return "churn"
    return "expansion" if net > 0 else "contraction"


def _round(ends: list[Fraction], moves: list[Fraction], digits: int) -> Eight:
    """Begin, movements and end as decimals that add up: what rounding leaves goes to the movements
    with the largest remainders.
    """
    scale = 10**digits
    begin, end = (round_up(each * scale) for each in ends)
    units = [floor(each * scale) for each in moves]
    order = sorted(range(len(moves)), key=lambda n: units[n] - moves[n] * scale)
    for n in order[: end - begin - sum(units)]:
        units[n] += 1
    units[3:5] = [-each for each in units[3:5]]
    new, reactivation, expansion, contraction, churn, fx = (to_decimal(n, digits) for n in units)
    first, last = (to_decimal(each, digits) for each in (begin, end))
    return first, new, reactivation, expansion, contraction, churn, fx, last
