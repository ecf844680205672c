"""What revenue is now, for a dashboard."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Protocol, cast
from zoneinfo import ZoneInfo

from assise.analytics.revenue.movements import Stretch
from assise.analytics.revenue.rates import KnownRates
from assise.analytics.revenue.ratios import divide
from assise.analytics.revenue.report import QUERIES, make_sql
from assise.analytics.revenue.rows import NEVER, RowReading
from assise.analytics.revenue.states import SubscriptionState, read_states
from assise.analytics.revenue.terms import (
    PAYING,
    find_digits,
    is_paying,
    read_currency,
    read_term,
    round_up,
    to_decimal,
)
from assise.manifest.model import Manifest
from assise.manifest.sections.analytics import ANALYTICS
from assise.postgres.pool import Arguments, Record


@dataclass(frozen=True)
class RevenueMetrics:
    """Revenue as it is now, in `currency`; what has no denominator is None."""

    currency: str
    mrr: Decimal
    arr: Decimal
    average_revenue_per_user: Decimal | None
    average_revenue_per_account: Decimal | None
    lifetime_value: Decimal | None
    customers: int
    churned_30d: int


class Fetches(Protocol):
    """What gives the rows of a query: a session, or what stands for one."""

    async def fetch(self, query: str, parameters: Arguments = None) -> list[Record]:
        """All rows of a query."""


async def current(
    session: Fetches, manifest: Manifest, schema: str, *, users: int | None = None
) -> RevenueMetrics | None:
    """Revenue as it is now; None where the manifest has no revenue.

    `users` are all users, whether they pay or not.

    Raises:
        AmountError: a row or a rate cannot be used.
    """
    analytics = ANALYTICS.of(manifest)
    if analytics is None or analytics.revenue is None:
        return None
    sql, _ = make_sql(manifest, schema)
    today = dt.datetime.now(ZoneInfo(analytics.timezone)).date()
    found = await session.fetch(sql.select_rates()) if sql.revenue.rates else []
    rates = KnownRates(
        sql.revenue.report, [(row["day"], row["currency"], row["rate"]) for row in found]
    )
    rows = sql.select_rows()
    if sql.revenue.kind == "invoices":
        states = await session.fetch(QUERIES.fill("recent", rows=rows))
        charges = read_states(
            (SubscriptionState(**row) for row in states), RowReading(), is_minor=sql.is_minor
        )
        mrr, payers = _measure([*RowReading().read_invoices(charges)], rates, today)
    else:
        mrr = Fraction(0)
        for group in await session.fetch(QUERIES.fill("groups", rows=rows)):
            mrr += _value_group(group, rates, today, is_minor=sql.is_minor)
        names = {"paying": sorted(PAYING), "never": sorted(NEVER)}
        (payers,) = await session.fetch(QUERIES.fill("payers", rows=rows), names)
    return _make_metrics(mrr, payers, rates.report, users)


def _make_metrics(
    mrr: Fraction, payers: Mapping[str, int], currency: str, users: int | None
) -> RevenueMetrics:
    digits = find_digits(currency)
    total = to_decimal(round_up(mrr * 10**digits), digits)
    lost = payers["now"] * payers["churned"]
    return RevenueMetrics(
        currency=currency,
        mrr=total,
        arr=to_decimal(round_up(12 * mrr * 10**digits), digits),
        average_revenue_per_user=divide(total, users, total) if users else None,
        average_revenue_per_account=divide(total, payers["now"], total),
        lifetime_value=divide(total * payers["before"], lost, total),
        customers=payers["now"],
        churned_30d=payers["churned"],
    )


def _measure(
    stretches: Sequence[Stretch], rates: KnownRates, today: dt.date
) -> tuple[Fraction, dict[str, int]]:
    """What is paid a month now; who pays now, who did 30 days ago, and who of these does no more."""
    now = dt.datetime.now(dt.UTC)
    pay, paid = (_find_paying(stretches, at) for at in (now, now - dt.timedelta(days=30)))
    value = sum((each.monthly * rates.at(each.currency, today) for each in pay), Fraction(0))
    customers, before = ({each.customer for each in found} for found in (pay, paid))
    counts = {"now": len(customers), "before": len(before), "churned": len(before - customers)}
    return value, counts


def _find_paying(stretches: Sequence[Stretch], at: dt.datetime) -> list[Stretch]:
    alive = [each for each in stretches if each.start <= at and (not each.end or each.end > at)]
    return [each for each in alive if each.monthly]


def _value_group(
    group: Mapping[str, object], rates: KnownRates, today: dt.date, *, is_minor: bool
) -> Fraction:
    """What subscriptions of one currency, interval and status pay a month."""
    if not is_paying(str(group["status"])) or group["paid"] is None:
        return Fraction(0)
    currency = read_currency(str(group["currency"] or ""))
    scale = 10 ** find_digits(currency) if is_minor else 1
    months = read_term(str(group["interval"] or ""))
    paid = Fraction(cast("Decimal", group["paid"]))
    return paid / months / scale * rates.at(currency, today)
