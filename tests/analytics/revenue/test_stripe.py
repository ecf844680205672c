"""Objects of Stripe, as its own fixtures have them, and their lines as times that are paid for."""

from __future__ import annotations

import copy
import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from tests.conftest import DATA

from assise.analytics.revenue.rows import Charge, RowReading
from assise.analytics.revenue.stripe import read_objects
from assise.errors import AmountError

FILE = DATA / "analytics" / "stripe_fixtures" / "fixtures3.json"
BEGUN, ENDED = (int(dt.datetime(2026, n, 1, tzinfo=dt.UTC).timestamp()) for n in (1, 2))


pytestmark = pytest.mark.skipif(
    not FILE.exists(), reason=f"no data of others in {FILE}: set ASSISE_TEST_DATA"
)


@pytest.fixture(scope="module")
def fixtures() -> dict[str, Any]:
    """The objects that Stripe publishes, by their names."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))["resources"]
    return found


@pytest.fixture
def invoice(fixtures: dict[str, Any]) -> dict[str, Any]:
    """Stripe's invoice with a line of its subscription, in the form of before 2025-03-31."""
    made: dict[str, Any] = copy.deepcopy(fixtures["invoice"])
    made.update(status="paid", subscription="sub_1", parent=None)
    (line,) = made["lines"]["data"]
    line.update(amount=1000, period={"start": BEGUN, "end": ENDED}, parent=None)
    line["price"] = copy.deepcopy(fixtures["price"])
    line["price"]["recurring"] = {"interval": "month", "interval_count": 1}
    line["price"]["type"] = "recurring"
    return made


def read(*objects: dict[str, Any]) -> list[Charge]:
    """Their lines."""
    return list(read_objects(objects))


def monthly(*objects: dict[str, Any]) -> list[str]:
    """What their lines pay a month."""
    return [str(each.monthly) for each in RowReading().read_invoices(read(*objects))]


def test_a_line_is_a_time_that_is_paid_for(invoice: dict[str, Any]) -> None:
    (found,) = read({"object": "list", "data": [invoice]})
    assert found.customer == "cus_QXg1o8vcGmoR32"
    assert (found.amount, found.currency, found.is_minor) == (Decimal(1000), "usd", True)
    assert (found.started.timestamp(), found.ended and found.ended.timestamp()) == (BEGUN, ENDED)
    assert monthly(invoice) == ["10"]


def test_the_form_of_2025_is_read_too(invoice: dict[str, Any]) -> None:
    line = invoice["lines"]["data"][0]
    del line["price"]
    invoice["subscription"] = None
    line["parent"] = {
        "type": "subscription_item_details",
        "subscription_item_details": {
            "subscription": "sub_2",
            "subscription_item": "si_1",
            "proration": False,
        },
    }
    assert read(invoice)[0].subscription == "sub_2 si_1"
    assert monthly(invoice) == ["10"]
    line["period"]["end"] = BEGUN + 7 * 86_400
    assert monthly(invoice) == ["1825/42"], "a week is 12 x 7 / 365 of a month"


def test_what_is_not_recurring_is_left_out(
    invoice: dict[str, Any], fixtures: dict[str, Any]
) -> None:
    for change in (
        {"proration": True},
        {"type": "invoiceitem"},
        {"price": {"type": "one_time"}},
        {"price": {"recurring": {"interval": "month", "usage_type": "metered"}}},
        {"parent": {"type": "invoice_item_details"}},
    ):
        made = copy.deepcopy(invoice)
        made["lines"]["data"][0].update(change)
        assert not read(made), change
    assert not read({**invoice, "status": "draft"}, {**invoice, "subscription": None})
    assert not monthly({**invoice, "status": "void"}), "it has not been paid"
    assert not read(fixtures["invoice"], fixtures["refund"], fixtures["subscription"])


def test_discounts_and_taxes_that_are_included_are_subtracted(invoice: dict[str, Any]) -> None:
    line = invoice["lines"]["data"][0]
    line["discount_amounts"] = [{"amount": 250, "discount": "di_1"}]
    line["tax_amounts"] = [{"amount": 125, "inclusive": True}, {"amount": 99, "inclusive": False}]
    assert monthly(invoice) == ["25/4"]
    line["discount_amounts"] = [{"amount": 5000, "discount": "di_1"}]
    assert read(invoice)[0].amount == 0, "a coupon above the price makes no negative revenue"


def test_objects_of_others_are_refused(invoice: dict[str, Any]) -> None:
    with pytest.raises(AmountError, match="no field object"):
        read({"id": "in_1"})
    invoice["lines"]["data"][0]["period"] = None
    with pytest.raises(AmountError, match="the period has the time None"):
        read(invoice)


@pytest.mark.parametrize(
    ("currency", "paid"), [("isk", "10"), ("UGX", "10"), ("mga", "1000"), ("jpy", "1000")]
)
def test_currencies_have_stripes_decimals(
    invoice: dict[str, Any], currency: str, paid: str
) -> None:
    # Stripe's 100 is one krona of Iceland, and a hundred ariary of Madagascar.
    invoice["lines"]["data"][0]["currency"] = currency
    assert monthly(invoice) == [paid]
