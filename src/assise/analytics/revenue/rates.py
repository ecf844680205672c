"""Exchange rates: what one unit of a currency is worth in the currency of the report."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from assise.analytics.revenue.terms import read_currency
from assise.errors import AmountError

MAX_AGE = dt.timedelta(days=31)
"""A rate holds until the next one, at most this long: banks publish none at weekends."""


class KnownRates:
    """The rates of days; an amount in the report's currency is amount x rate.

    Raises:
        AmountError: a rate is not above 0, or a currency is unknown.
    """

    def __init__(self, report: str, rates: Iterable[tuple[dt.date, str, Decimal]] = ()) -> None:
        self.report = read_currency(report)
        self._days: dict[str, list[dt.date]] = {}
        self._rates: dict[str, list[Fraction]] = {}
        for day, code, rate in sorted(rates, key=lambda each: each[0]):
            currency = read_currency(code)
            if not rate.is_finite() or rate <= 0:
                message = f"the rate of {currency} on {day} is {rate}"
                raise AmountError(message, remedy="A rate is above 0.")
            self._days.setdefault(currency, []).append(day)
            self._rates.setdefault(currency, []).append(Fraction(rate))

    def at(self, currency: str, day: dt.date) -> Fraction:
        """The rate of a day: the last one, which may be a month old.

        Raises:
            AmountError: there is none.
        """
        if currency == self.report:
            return Fraction(1)
        days = self._days.get(currency, [])
        n = bisect_right(days, day)
        if not n or day - days[n - 1] > MAX_AGE:
            raise AmountError(
                f"there is no rate of {currency} to {self.report} for {day}",
                remedy="Add it to the table of analytics.revenue.rates: one for each day, or at"
                " least one a month.",
            )
        return self._rates[currency][n - 1]
