"""Stripe's objects: the lines of invoices as times in which customers pay."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from assise.analytics.revenue.rows import Charge
from assise.errors import AmountError

StripeObject = Mapping[str, Any]
"""An object of Stripe's API, of any of its versions."""


def read_objects(objects: Iterable[StripeObject]) -> Iterator[Charge]:
    """The recurring lines of invoices, each for its time; lists are opened, other objects are not
    needed.

    Discounts are subtracted, and so is a tax that the price includes. Prorations, single charges
    and metered use are no recurring revenue. Refunds change nothing, as at ChartMogul.

    Raises:
        AmountError: an object is no object of Stripe, or a line has no time.
    """
    for each in objects:
        if not isinstance(each.get("object"), str):
            raise AmountError("an object has no field object", remedy="Write objects of Stripe.")
        if each["object"] == "list":
            yield from read_objects(each.get("data") or ())
        elif each["object"] == "invoice" and each.get("status") not in {"draft", None}:
            for line in (each.get("lines") or {}).get("data") or ():
                if _find_subscription(each, line) and not _is_single(line):
                    yield _read_line(each, line)


def _find_subscription(invoice: StripeObject, line: StripeObject) -> str:
    """The subscription that a line is of; it moved in the API version of 2025-03-31."""
    parent = _open(line, "parent", "subscription_item_details")
    of_invoice = _open(invoice, "parent", "subscription_details")
    for each in (line, parent, of_invoice, invoice):
        if found := each.get("subscription"):
            return str(found["id"] if isinstance(found, Mapping) else found)
    return ""


def _open(outer: StripeObject, *names: str) -> StripeObject:
    for name in names:
        outer = outer.get(name) or {}
    return outer


def _is_single(line: StripeObject) -> bool:
    parent = line.get("parent") or {}
    details = parent.get(str(parent.get("type"))) or {}
    price = line.get("price") or line.get("plan") or {}
    usage = price.get("usage_type") or _open(price, "recurring").get("usage_type")
    return (
        bool(line.get("proration") or details.get("proration"))
        or line.get("type") == "invoiceitem"
        or parent.get("type") == "invoice_item_details"
        or price.get("type") == "one_time"
        or usage == "metered"
    )


def _read_line(invoice: StripeObject, line: StripeObject) -> Charge:
    period, key = line.get("period") or {}, str(line.get("id") or invoice.get("id"))
    begun, ended = (_read_time(period.get(name), key) for name in ("start", "end"))
    off = _sum(line.get("discount_amounts"))
    taxes = line.get("taxes") or line.get("tax_amounts") or ()
    included = [each for each in taxes if _is_included(each)]
    interval, times = _find_term(line, begun, ended)
    customer = invoice.get("customer") or ""
    currency = str(line.get("currency") or invoice.get("currency") or "")
    amount = max(Decimal(line["amount"]) - off - _sum(included), Decimal(0))
    return Charge(
        key=key,
        customer=str(customer["id"] if isinstance(customer, Mapping) else customer),
        amount=amount.scaleb(_MORE_DECIMALS.get(currency.upper(), 0)),
        currency=currency,
        interval=interval,
        times=times,
        started=begun,
        ended=ended,
        status=str(invoice["status"]),
        is_minor=True,
        subscription=f"{_find_subscription(invoice, line)} {_find_item(line)}",
    )


_MORE_DECIMALS = {"ISK": -2, "UGX": -2, "MGA": 2}
"""Decimals that ISO 4217 has more than Stripe. Source: docs.stripe.com/currencies."""


def _is_included(tax: StripeObject) -> bool:
    return bool(tax.get("inclusive")) or tax.get("tax_behavior") == "inclusive"


def _find_item(line: StripeObject) -> str:
    parent = _open(line, "parent", "subscription_item_details")
    return str(line.get("subscription_item") or parent.get("subscription_item") or "")


def _sum(amounts: Iterable[StripeObject] | None) -> Decimal:
    return sum((Decimal(each["amount"]) for each in amounts or ()), Decimal(0))


def _read_time(value: object, key: str) -> dt.datetime:
    if not isinstance(value, int | float) or not 0 <= value < 2**36:
        raise AmountError(f"{key}: the period has the time {value}", remedy="Write Unix seconds.")
    return dt.datetime.fromtimestamp(value, dt.UTC)


def _find_term(line: StripeObject, begun: dt.datetime, ended: dt.datetime) -> tuple[str, int]:
    """The price's interval; without one, the months or days that the line is for."""
    price = line.get("price") or {}
    recurring = price.get("recurring") or line.get("plan") or {}
    if recurring.get("interval"):
        return str(recurring["interval"]), int(recurring.get("interval_count") or 1)
    months = (ended.year - begun.year) * 12 + ended.month - begun.month
    if months > 0 and ended.day in {begun.day, 28, 29, 30} and ended.day <= begun.day:
        return "month", months
    return "day", max((ended - begun).days, 1)
