"""What amounts mean: terms as months, statuses, and the decimals of currencies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from math import floor
from types import MappingProxyType

from assise.errors import AmountError
from assise.wording import show

_UNITS: Mapping[str, Fraction] = MappingProxyType(
    {
        "day": Fraction(12, 365),
        "week": Fraction(12, 52),
        "month": Fraction(1),
        "quarter": Fraction(3),
        "year": Fraction(12),
    }
)
"""Months of a unit. A year has 52 weeks and 365 days, as Stripe and ChartMogul count."""

_ADVERBS = {
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "quarterly": "quarter",
    "yearly": "year",
    "annual": "year",
    "annually": "year",
}
_TERM = re.compile(r"(?:every )?(?:([1-9]\d{0,2})[ _-]?)?(day|week|month|quarter|year)s?")

PAYING = frozenset({"active", "past_due", "paid", "open"})
"""Statuses that count. A payment that is late counts until the subscription ends, as at Stripe."""

ENDED = frozenset(
    {"canceled", "cancelled", "ended", "expired", "unpaid", "void", "uncollectible", "inactive"}
)
NOT_PAYING = frozenset(
    {"trialing", "trial", "incomplete", "incomplete_expired", "paused", "pending", "draft", "none"}
)
_WITHOUT_DECIMALS = frozenset(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split()
)
_WITH_THREE = frozenset("BHD IQD JOD KWD LYD OMR TND".split())


def read_term(text: str, *, count: int = 1, row: str = "") -> Fraction:
    """The months of a term, such as `month`, `2 years` or `quarterly`, `count` times.

    Raises:
        AmountError: it is no term that is known; `biweekly`, which means two things, is none.
    """
    word = text.strip().lower()
    found = _TERM.fullmatch(_ADVERBS.get(word, word))
    if found is None or count < 1:
        raise AmountError(
            f"{row}the interval {show(text)} is unknown"
            if found is None
            else f"{row}the interval of {count} {text} is none",
            remedy="Known are day, week, month, quarter and year, also as 2 years or quarterly.",
        )
    return _UNITS[found[2]] * int(found[1] or 1) * count


def read_currency(text: str, *, row: str = "") -> str:
    """A currency's code in capitals.

    Raises:
        AmountError: it is no code of three letters.
    """
    code, empty = text.strip().upper(), "''"
    if not re.fullmatch(r"[A-Z]{3}", code):
        remedy = "Write the three letters of ISO 4217, such as EUR."
        raise AmountError(f"{row}the currency {show(text) or empty} is unknown", remedy=remedy)
    return code


def find_digits(currency: str) -> int:
    """How many decimals a currency's amounts have, by ISO 4217."""
    if currency in _WITHOUT_DECIMALS:
        return 0
    return 3 if currency in _WITH_THREE else 2


def is_paying(status: str, *, row: str = "") -> bool:
    """Whether a subscription or an invoice of this status counts.

    Raises:
        AmountError: the status is unknown.
    """
    word = status.strip().lower()
    if word not in PAYING | ENDED | NOT_PAYING:
        known = ", ".join(sorted(PAYING | ENDED | NOT_PAYING))
        raise AmountError(f"{row}the status {show(status)} is unknown", remedy=f"Known: {known}.")
    return word in PAYING


def to_decimal(units: int, digits: int) -> Decimal:
    """An amount of a currency's smallest units, with all its decimals."""
    return Decimal(units).scaleb(-digits)


def round_up(value: Fraction) -> int:
    """The nearest integer; halves go up."""
    return floor(value + Fraction(1, 2))
