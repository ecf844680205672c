"""Rows of subscriptions and invoices: what counts, and what is refused."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction

import pytest

from assise.analytics.revenue.rows import Charge, RowReading
from assise.analytics.revenue.terms import read_term
from assise.errors import AmountError


def day(text: str) -> dt.datetime:
    """Midnight, in UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


ROW = Charge("s1", "c1", Decimal(120), "eur", "month", day("2026-01-31"))


@pytest.mark.parametrize(
    ("interval", "times", "monthly"),
    [
        ("year", 1, Fraction(10)),
        ("2 years", 1, Fraction(5)),
        ("year", 3, Fraction(10, 3)),
        ("Quarterly", 1, Fraction(40)),
        ("6 months", 1, Fraction(20)),
        ("week", 1, Fraction(520)),
        ("day", 1, Fraction(3650)),
        ("every 2 weeks", 1, Fraction(260)),
    ],
)
def test_terms_are_parts_of_a_year(interval: str, times: int, monthly: Fraction) -> None:
    assert ROW._replace(interval=interval, times=times).read().monthly == monthly


@pytest.mark.parametrize("interval", ["", "biweekly", "lifetime", "0 months", "once", "-1 month"])
def test_an_unknown_interval_is_an_error_and_no_guess(interval: str) -> None:
    with pytest.raises(AmountError, match="s1: the interval"):
        ROW._replace(interval=interval).read()
    with pytest.raises(AmountError):
        read_term("month", count=0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ROW._replace(currency="euro"), "s1: the currency euro is unknown"),
        (ROW._replace(currency=""), "the currency '' is unknown"),
        (ROW._replace(amount=Decimal(-5)), "s1: the amount is -5"),
        (ROW._replace(amount=Decimal("NaN")), "the amount is NaN"),
        (ROW._replace(quantity=Decimal(-1)), "the quantity is -1"),
        (ROW._replace(status="aktiv"), "s1: the status aktiv is unknown"),
    ],
)
def test_rows_that_say_nothing_certain_are_named(row: Charge, said: str) -> None:
    for read in (RowReading().read_subscriptions, RowReading().read_invoices):
        with pytest.raises(AmountError, match=said):
            list(read([row]))


def test_minor_units_are_those_of_the_currency() -> None:
    found = [ROW._replace(is_minor=True, currency=each).read() for each in ("USD", "JPY", "KWD")]
    assert [each.monthly for each in found] == [Fraction(6, 5), Fraction(120), Fraction(3, 25)]


def test_quantity_multiplies() -> None:
    assert ROW._replace(quantity=Decimal("2.5")).read().monthly == 300


def test_statuses_of_subscriptions() -> None:
    reading, ended = RowReading(), day("2026-03-01")
    rows = [
        ROW._replace(key="late", status="past_due"),
        ROW._replace(key="trial", status="trialing"),
        ROW._replace(key="lost", status="canceled"),
        ROW._replace(key="gone", status="canceled", ended=ended),
        ROW._replace(key="backwards", ended=day("2026-01-30")),
        ROW._replace(key="never", status="incomplete_expired", ended=ended),
    ]
    found = list(reading.read_subscriptions(rows))
    assert [each.end for each in found] == [None, ended], "that which is late, and that gone"
    assert (reading.without_end, reading.reversed) == (["lost"], ["backwards"])


def test_invoices_follow_each_other() -> None:
    reading = RowReading()
    rows = [
        ROW,
        ROW._replace(amount=Decimal(150), started=day("2026-02-28")),
        ROW._replace(amount=Decimal(150), started=day("2026-04-02"), status="open"),
        ROW._replace(started=day("2026-05-02"), status="void"),
        ROW._replace(started=day("2026-06-20")),
        ROW._replace(customer="c2", started=day("2026-03-15"), ended=day("2026-03-22")),
    ]
    found = [(each.start, each.end) for each in reading.read_invoices(reversed(rows))]
    by_day = sorted((str(begun.date()), str(end and end.date())) for begun, end in found)
    assert by_day == [
        ("2026-01-31", "2026-02-28"),
        ("2026-02-28", "2026-04-02"),
        ("2026-03-15", "2026-03-22"),
        ("2026-04-02", "2026-05-02"),
        ("2026-06-20", "2026-07-20"),
    ]


def test_an_upgrade_takes_the_place_of_an_invoice() -> None:
    yearly = ROW._replace(interval="year", amount=Decimal(1200))
    rows = [yearly, yearly._replace(started=day("2026-03-10"), amount=Decimal(2400))]
    first, second = RowReading().read_invoices(rows)
    assert first.end == day("2026-03-10")
    assert [first.monthly, second.monthly] == [100, 200]
    other = RowReading().read_invoices([yearly, rows[1]._replace(subscription="another")])
    assert [each.end for each in other] == [day("2027-01-31"), day("2027-03-10")]
