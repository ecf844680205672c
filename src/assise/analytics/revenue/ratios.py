"""What follows from revenue and its movements: each ratio with its definition.

A ratio whose denominator is 0 is None, never 0: nobody has churned is not the same as nobody was
there. Sources: Stripe's glossary of billing analytics, ChartMogul's help, Fight Churn with Data
(Gold 2020), listing 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import ROUND_HALF_UP, Decimal

from assise.analytics.revenue.movements import MonthRow

ZERO = Decimal(0)
_PLACES = Decimal("0.0001")

DEFINITIONS = {
    "arr": "12 x MRR at the month's end",
    "arpa": "MRR at the month's end / customers who pay then",
    "logo_churn": "customers churned in the month / customers at its start",
    "gross_churn": "(churn + contraction) / MRR at the start",
    "net_churn": "(churn + contraction - expansion - reactivation) / MRR at the start",
    "grr": "1 - gross_churn: what is left of the start without what was gained",
    "nrr": "(start - churn - contraction + expansion) / start, over who paid at the start",
    "quick_ratio": "(new + reactivation + expansion) / (churn + contraction)",
    "ltv": "ARPA / logo_churn of the month; no limit is known in a month without churn",
}


@dataclass(frozen=True)
class Ratios:
    """The ratios of a month, as `DEFINITIONS` has them; fractions, not percent."""

    arr: Decimal
    arpa: Decimal | None
    logo_churn: Decimal | None
    gross_churn: Decimal | None
    net_churn: Decimal | None
    grr: Decimal | None
    nrr: Decimal | None
    quick_ratio: Decimal | None
    ltv: Decimal | None


RATIOS = tuple(each.name for each in fields(Ratios))


def divide(value: Decimal, by: Decimal | int, places: Decimal = _PLACES) -> Decimal | None:
    """A quotient with four decimals, or None where there is nothing to divide by."""
    return (value / by).quantize(places, ROUND_HALF_UP) if by else None


def find_ratios(row: MonthRow) -> Ratios:
    """The ratios of a month."""
    lost, start = row.churn + row.contraction, row.mrr_start
    gained = row.expansion + row.reactivation
    cents = row.mrr_end
    churned, begun = row.customers_churned, row.customers_start
    arpa = divide(row.mrr_end, row.customers_end, cents)
    return Ratios(
        arr=12 * row.mrr_end,
        arpa=arpa,
        logo_churn=divide(Decimal(churned), begun),
        gross_churn=divide(lost, start),
        net_churn=divide(lost - gained, start),
        grr=divide(start - lost, start),
        nrr=divide(start - lost + row.expansion, start),
        quick_ratio=divide(row.new + gained, lost),
        ltv=divide(row.mrr_end * begun, row.customers_end * churned, cents),
    )
