"""Movements of recurring revenue, beside a calculation month by month and customer by customer."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assise.analytics.revenue.movements import MonthRow, Stretch, list_months
from assise.analytics.revenue.rates import KnownRates
from assise.analytics.revenue.ratios import find_ratios
from assise.errors import AmountError

PARIS = ZoneInfo("Europe/Paris")
NOW = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)
FIRSTS = [dt.date(2025, 12, 1), *(dt.date(2026, n, 1) for n in range(1, 8))]
MONEY = "mrr_start new reactivation expansion contraction churn fx mrr_end".split()


def at(text: str) -> dt.datetime:
    """A time in Paris."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=PARIS)


def stretch(
    customer: str, monthly: object, start: str, end: str | None = None, currency: str = "EUR"
) -> Stretch:
    """A customer who pays from a day in Paris on."""
    return Stretch(customer, currency, Fraction(str(monthly)), at(start), at(end) if end else None)


def make_rates(*days: tuple[str, str]) -> KnownRates:
    """What a dollar was worth, in euros."""
    found = [(dt.date.fromisoformat(day), "USD", Decimal(rate)) for day, rate in days]
    return KnownRates("EUR", found)


def months(*stretches: Stretch, rates: KnownRates | None = None) -> dict[str, dict[str, Decimal]]:
    """The movements that are not 0, by month."""
    rows = list_months(stretches, rates=rates or KnownRates("EUR"), zone=PARIS, now=NOW)
    found = [(f"{row.month:%Y-%m}", {name: getattr(row, name) for name in MONEY}) for row in rows]
    return {month: {name: each for name, each in row.items() if each} for month, row in found}


def test_example_of_the_issue() -> None:
    rows = list_months(
        [stretch("a", 30, "2026-01-03"), stretch("b", 60, "2026-01-31 23:59")],
        rates=KnownRates("eur"),
        zone=PARIS,
        now=at("2026-02-01"),
    )
    assert rows[0].as_json() == {
        "month": "2026-01",
        "mrr_start": "0.00",
        "new": "90.00",
        "reactivation": "0.00",
        "expansion": "0.00",
        "contraction": "0.00",
        "churn": "0.00",
        "fx": "0.00",
        "mrr_end": "90.00",
    }
    assert list(rows[0].as_json()) == ["month", *MONEY]


def test_each_movement() -> None:
    found = months(
        stretch("new", 10, "2026-01-05"),
        stretch("up", 10, "2026-01-05", "2026-02-10"),
        stretch("up", 25, "2026-02-10"),
        stretch("down", 50, "2026-01-05", "2026-02-10"),
        stretch("down", 20, "2026-02-10"),
        stretch("gone", 7, "2026-01-05", "2026-02-01"),
        stretch("gone", 8, "2026-04-01"),
        stretch("two", 5, "2026-01-05"),
        stretch("two", 3, "2026-01-05", "2026-02-03"),
    )
    assert found["2026-01"] == {"new": 85, "mrr_end": 85}
    assert found["2026-02"] == {
        "mrr_start": 85,
        "expansion": 15,
        "contraction": 33,
        "churn": 7,
        "mrr_end": 60,
    }
    assert found["2026-03"] == {"mrr_start": 60, "mrr_end": 60}
    assert found["2026-04"] == {"mrr_start": 60, "reactivation": 8, "mrr_end": 68}
    assert list(found)[-1] == "2026-06", "the month of now is the last one"


def test_who_comes_and_goes_within_a_month_is_netted_and_known_later() -> None:
    found = months(
        stretch("a", 10, "2026-01-05", "2026-01-20"), stretch("a", 10, "2026-03-05", "2026-03-06")
    )
    assert found["2026-01"] == {}
    again = months(stretch("a", 10, "2026-01-05", "2026-01-20"), stretch("a", 10, "2026-03-05"))
    assert again["2026-03"] == {"reactivation": 10, "mrr_end": 10}


def test_months_begin_at_midnight_of_the_time_zone() -> None:
    last_minute = dt.datetime(2026, 1, 31, 23, 30, tzinfo=dt.UTC)
    found = months(Stretch("a", "EUR", Fraction(10), last_minute))
    assert next(iter(found)) == "2026-02", "it is 00:30 of the first of February in Paris"


def test_free_future_and_reversed_stretches_are_nothing() -> None:
    assert not months(
        stretch("free", 0, "2026-01-05"),
        stretch("future", 10, "2026-09-01"),
        stretch("reversed", 10, "2026-03-01", "2026-02-01"),
    )


def test_an_end_in_the_future_is_no_churn_yet() -> None:
    assert months(stretch("a", 10, "2026-01-05", "2026-08-01"))["2026-06"]["mrr_end"] == 10


def test_rates_move_what_stays_alone() -> None:
    rates = make_rates(("2026-01-31", "0.90"), ("2026-02-28", "0.80"), ("2026-03-31", "0.80"))
    found = months(
        stretch("stays", 100, "2026-01-05", "2026-04-01", currency="USD"),
        stretch("leaves", 10, "2026-01-05", "2026-02-20", currency="USD"),
        rates=make_rates(("2026-01-31", "0.90"), ("2026-02-28", "0.80"), ("2026-03-31", "0.70"),
                         ("2026-04-30", "0.70")),
    )  # fmt: skip
    assert found["2026-02"] == {"mrr_start": 99, "churn": 9, "fx": -10, "mrr_end": 80}
    assert found["2026-03"] == {"mrr_start": 80, "fx": -10, "mrr_end": 70}
    switched = months(
        stretch("a", 90, "2026-01-05", "2026-02-10"),
        stretch("a", 100, "2026-02-10", "2026-03-03", currency="USD"),
        rates=rates,
    )
    assert switched["2026-02"] == {"mrr_start": 90, "contraction": 10, "mrr_end": 80}


def test_a_missing_rate_is_an_error() -> None:
    dollars = stretch("a", 10, "2026-01-05", currency="USD")
    with pytest.raises(AmountError, match=r"no rate of USD to EUR for 2026-01-31"):
        months(dollars)
    with pytest.raises(AmountError, match=r"for 2026-02-28"):
        months(dollars, rates=make_rates(("2026-01-20", "0.9")))
    with pytest.raises(AmountError, match="rate of USD on 2026-01-31 is 0"):
        make_rates(("2026-01-31", "0"))


def test_decimals_are_those_of_the_currency_and_add_up() -> None:
    thirds = [stretch(f"{n}", "1/3", "2026-01-05") for n in range(4)]
    late = [stretch(f"{n}", "1/3", "2026-02-05") for n in range(4, 8)]
    gone = [stretch(f"{n}", "1/3", "2026-01-05", "2026-02-05") for n in range(8, 12)]
    january, february, *_ = list_months(
        [*thirds, *late, *gone], rates=KnownRates("EUR"), zone=PARIS, now=NOW
    )
    assert (january.new, january.mrr_end) == (Decimal("2.67"), Decimal("2.67"))
    assert_adds_up(february)
    yen = list_months(thirds, rates=KnownRates("JPY", [(dt.date(2026, n, 28), "EUR", Decimal("1.5"))
                      for n in range(1, 7)]), zone=PARIS, now=at("2026-02-01"))  # fmt: skip
    assert str(yen[0].mrr_end) == "2"


def assert_adds_up(row: MonthRow) -> None:
    """The identity, on the amounts as they are shown."""
    gained = row.new + row.reactivation + row.expansion + row.fx
    assert row.mrr_end == row.mrr_start + gained - row.contraction - row.churn
    shown = [getattr(row, name) for name in MONEY if name != "fx"]
    assert min(shown) >= 0


moments = st.integers(0, 220 * 1440).map(
    lambda minutes: dt.datetime(2025, 12, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minutes)
)
stretches_drawn = st.lists(
    st.builds(
        Stretch,
        st.sampled_from("abc"),
        st.sampled_from(["EUR", "USD", "GBP"]),
        st.fractions(0, 100, max_denominator=12),
        moments,
        st.none() | moments,
    ),
    max_size=12,
)
rates_drawn = st.lists(st.decimals("0.5", "2", places=4), min_size=24, max_size=24)


def holdings(stretches: list[Stretch], moment: dt.datetime) -> dict[str, dict[str, Fraction]]:
    """What each customer pays just before a moment, or has paid at it."""
    found: dict[str, dict[str, Fraction]] = {}
    for each in stretches:
        is_there = each.start < moment and (each.end is None or each.end >= moment)
        if is_there and each.monthly and (each.end is None or each.end > each.start):
            mine = found.setdefault(each.customer, {})
            mine[each.currency] = mine.get(each.currency, Fraction(0)) + each.monthly
    return found


@given(stretches_drawn, rates_drawn)
@settings(max_examples=150, deadline=None)
def test_every_month_adds_up_and_is_what_brute_force_finds(
    drawn: list[Stretch], numbers: list[Decimal]
) -> None:
    lasts = [first - dt.timedelta(days=1) for first in FIRSTS] + [NOW.date()]
    table = [
        (day, code, numbers[2 * n + i])
        for n, day in enumerate(lasts)
        for i, code in enumerate(("USD", "GBP"))
    ]
    rates = KnownRates("EUR", table)
    rows = list_months(drawn, rates=rates, zone=PARIS, now=NOW)
    for row in rows:
        assert_adds_up(row)
        begin = dt.datetime.combine(row.month, dt.time(), PARIS)
        next_month = (row.month + dt.timedelta(days=31)).replace(day=1)
        end = min(dt.datetime.combine(next_month, dt.time(), PARIS), NOW)
        before, after = holdings(drawn, begin), holdings(drawn, end)
        last = min(next_month - dt.timedelta(days=1), NOW.date())
        started = worth(before, rates, row.month - dt.timedelta(days=1))
        ended = worth(after, rates, last)
        assert abs(Fraction(row.mrr_start) - sum(started.values())) <= Fraction(1, 200)
        assert abs(Fraction(row.mrr_end) - sum(ended.values())) <= Fraction(1, 200)
        lost = sum(started[each] for each in started.keys() - ended.keys())
        assert abs(Fraction(row.churn) - lost) < Fraction(1, 100)
        gained = sum(ended[each] for each in ended.keys() - started.keys())
        assert abs(Fraction(row.new + row.reactivation) - gained) < Fraction(2, 100)
        assert (row.customers_start, row.customers_end) == (len(started), len(ended))
    for first, second in pairwise(rows):
        assert (first.mrr_end, first.customers_end) == (second.mrr_start, second.customers_start)


def worth(
    held: dict[str, dict[str, Fraction]], rates: KnownRates, day: dt.date
) -> dict[str, Fraction]:
    """What each customer pays, in euros."""
    return {
        customer: sum((each * rates.at(code, day) for code, each in mine.items()), Fraction(0))
        for customer, mine in held.items()
    }


def test_in_the_currency_itself_there_is_no_fx() -> None:
    dollars = [stretch("a", 10, "2026-01-05", "2026-03-05", currency="USD")]
    rows = list_months(dollars, rates=KnownRates("USD"), zone=PARIS, now=NOW)
    assert {row.fx for row in rows} == {Decimal("0.00")}
    for row in rows:
        assert_adds_up(row)


def test_ratios_have_their_definitions() -> None:
    rows = list_months(
        [
            *(stretch(f"{n}", 100, "2026-01-05") for n in range(6)),
            stretch("gone", 100, "2026-01-05", "2026-02-05"),
            stretch("less", 100, "2026-01-05", "2026-02-05"),
            stretch("less", 60, "2026-02-05"),
            stretch("more", 100, "2026-01-05"),
            stretch("more", 50, "2026-02-05"),
            stretch("late", 100, "2026-02-07"),
            stretch("tenth", 100, "2026-01-05"),
        ],
        rates=KnownRates("EUR"),
        zone=PARIS,
        now=NOW,
    )
    found = find_ratios(rows[1])
    assert [rows[1].mrr_start, rows[1].mrr_end] == [1000, 1010]
    assert found.arr == 12120
    assert found.arpa == Decimal("101.00")
    assert found.logo_churn == Decimal("0.1")
    assert found.gross_churn == Decimal("0.14")
    assert found.net_churn == Decimal("0.09")
    assert [found.grr, found.nrr] == [Decimal("0.86"), Decimal("0.91")]
    assert found.quick_ratio == Decimal("1.0714")
    assert found.ltv == Decimal("1010.00")
    first, third = find_ratios(rows[0]), find_ratios(rows[2])
    assert (first.grr, first.logo_churn, first.quick_ratio) == (None, None, None)
    assert (third.quick_ratio, third.ltv) == (None, None), "nobody has left"
    assert third.grr == 1
