"""A service that sells subscriptions: its manifest asks for revenue, capture and forwarding."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template

from assise.project import Project

KEY = "phc_ours"
MANIFEST = """assise: 1
name: app
roles: {prefix: apptest}
analytics:
  timezone: Europe/Paris
  events: {forward: {posthog: "${POSTHOG_API_KEY:-}", host: "${POSTHOG_HOST:-}"}}
  capture: {keys: ["${CAPTURE_KEY:-phc_ours}"], path: /ingest, origins: [https://app.example.org]}
  users: {table: users, created: created_at}
  revenue: {table: subscriptions, customer: user_id, amount: unit_amount, currency: currency, interval: interval,
            quantity: quantity, started: started_at, ended: ended_at, status: status, report: EUR,
            rates: {table: rates, day: day, currency: code, rate: rate}}
tables:
  users:
    collection: users
    primary_key: id
    access: {owner: id}
    columns: {id: {type: int4, from: _id}, created_at: timestamptz}
  subscriptions:
    collection: subscriptions
    primary_key: id
    access: {owner: user_id}
    columns:
      id: {type: int4, from: _id}
      user_id: int4
      unit_amount: int4
      currency: text
      interval: text
      quantity: int4
      started_at: timestamptz
      ended_at: timestamptz
      status: text
  invoices:
    collection: invoices
    primary_key: id
    access: {owner: user_id}
    columns:
      id: {type: int4, from: _id}
      user_id: int4
      amount: "numeric(12,2)"
      currency: text
      created_at: timestamptz
      status: text
  rates:
    collection: rates
    primary_key: id
    access: {public: read}
    columns: {id: {type: int4, from: _id}, day: date, code: text, rate: numeric}
"""


def at(text: str) -> dt.datetime:
    """A time in UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def subscription(
    number: int, user: int, amount: int, started: str, ended: str | None = None, **fields: object
) -> dict[str, object]:
    """A subscription of a month, paid in cents of a euro."""
    return {
        "_id": number,
        "user_id": user,
        "unit_amount": amount,
        "currency": "eur",
        "interval": "month",
        "quantity": 1,
        "started_at": at(started),
        "status": "canceled" if ended else "active",
        **({"ended_at": at(ended)} if ended else {}),
        **fields,
    }


SUBSCRIPTIONS = [
    subscription(1, 1, 3000, "2026-01-03"),
    subscription(2, 2, 2000, "2026-01-20", quantity=3),
    subscription(3, 3, 12000, "2026-01-05", "2026-03-10", interval="year"),
    subscription(4, 4, 1000, "2026-02-05", currency="usd"),
    subscription(5, 5, 5000, "2026-02-05", status="trialing"),
    subscription(6, 6, 5000, "2026-02-05", status="canceled"),
    subscription(7, 7, 5000, "2026-02-05", "2026-02-01"),
]
INVOICES: list[dict[str, object]] = [
    {
        "_id": n,
        "user_id": n % 3,
        "amount": 10.5 * (n % 3 + 1),
        "currency": "EUR",
        "created_at": at("2026-01-10") + dt.timedelta(days=30 * (n // 3)),
        "status": "void" if n == 8 else "paid",
    }
    for n in range(9)
]
RATES = [
    {"_id": n, "day": at(f"{day}T00:00:00"), "code": "usd", "rate": rate}
    for n, (day, rate) in enumerate(
        [("2026-01-31", 0.9), ("2026-02-28", 0.9), ("2026-03-31", 0.8), ("2026-04-30", 0.8)]
    )
]


def write_service(folder: Path) -> Path:
    """Write the collections."""
    users: list[dict[str, object]] = [{"_id": n, "created_at": at("2026-01-01")} for n in range(10)]
    collections: Mapping[str, list[dict[str, object]]] = {
        "users": users,
        "subscriptions": SUBSCRIPTIONS,
        "invoices": INVOICES,
        "rates": [dict(each) for each in RATES],
    }
    return write_dump(folder / "dump" / "app", collections)


@contextmanager
def load_service(databases: Databases, folder: Path) -> Iterator[Template]:
    """The service, loaded with its roles."""
    with databases.create_template(folder) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        assert project.migrate(write_service(template.folder), confirm=confirm).exit_code == 0
        yield template
