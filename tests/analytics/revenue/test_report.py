"""Revenue of a loaded service: its months, how its states are noted, and what it is now."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from psycopg.conninfo import make_conninfo
from tests.analytics.selling import at
from tests.scenes.databases import Template

from assise.analytics.revenue.metrics import RevenueMetrics, current
from assise.analytics.revenue.report import RevenueReport, note_states, read_report
from assise.app import App
from assise.errors import AmountError
from assise.project import Project
from assise.transfer.finished import open_loaded

Query = Callable[..., list[tuple[object, ...]]]
NOW = at("2026-04-20T12:00:00")


@pytest.fixture(scope="module")
def template(selling: Template) -> Template:
    """What tests get copies of."""
    return selling


def report(service: Project, now: dt.datetime = NOW) -> RevenueReport:
    """Its months."""
    with open_loaded(service.workspace) as (connection, loaded):
        return read_report(connection, loaded, now=now)


def note(service: Project) -> str:
    """What the worker does."""
    with open_loaded(service.workspace) as (connection, loaded):
        return note_states(connection, loaded)


def change(service: Project, key: str, value: str) -> None:
    """Change the manifest."""
    text = service.path.read_text()
    assert key in text
    service.path.write_text(text.replace(key, value))


def moved(found: RevenueReport) -> dict[str, dict[str, str]]:
    """The movements that are not 0."""
    rows = [row.as_json() for row in found.rows]
    return {
        row["month"]: {
            name: each for name, each in row.items() if each not in {"0.00", row["month"]}
        }
        for row in rows
    }


def test_months_from_a_table_of_subscriptions(service: Project) -> None:
    found = report(service)
    assert moved(found) == {
        "2026-01": {"new": "100.00", "mrr_end": "100.00"},
        "2026-02": {"mrr_start": "100.00", "new": "9.00", "mrr_end": "109.00"},
        "2026-03": {"mrr_start": "109.00", "churn": "10.00", "fx": "-1.00", "mrr_end": "98.00"},
        "2026-04": {"mrr_start": "98.00", "mrr_end": "98.00"},
    }
    assert found.since is None
    assert [each.split(":")[1] for each in found.left_out] == [" 6", " 7"]
    assert found.as_json()["currency"] == "EUR"
    february = found.between(dt.date(2026, 2, 1), dt.date(2026, 2, 28))
    assert [row["month"] for row in february.as_json()["rows"]] == ["2026-02"]  # type: ignore[attr-defined]


def test_changes_are_known_from_the_first_note_on(service: Project, query: Query) -> None:
    assert note(service) == "7 subscriptions changed"
    assert note(service) == ""
    query("UPDATE assise.analytics_subscription SET seen = '2026-03-20 10:00+01'")
    query("UPDATE subscriptions SET unit_amount = 4000 WHERE id = 1")
    query("UPDATE subscriptions SET status = 'active' WHERE id = 5")
    query("DELETE FROM subscriptions WHERE id = 2")
    today = dt.datetime.now(dt.UTC)
    query("INSERT INTO rates (id, day, code, rate) SELECT 100 + n, '2026-04-30'::date + 20 * n, 'usd', 0.8"
          " FROM generate_series(1, 400) AS n")  # fmt: skip
    before = report(service, today + dt.timedelta(minutes=1))
    assert note(service) == "5 subscriptions changed", "two closed and noted anew, one closed"
    assert note(service) == ""
    for found in (before, report(service, today + dt.timedelta(minutes=1))):
        last = moved(found)[f"{today.astimezone(ZoneInfo('Europe/Paris')):%Y-%m}"]
        assert last == {
            "mrr_start": "98.00",
            "new": "50.00",
            "expansion": "10.00",
            "churn": "60.00",
            "mrr_end": "98.00",
        }
        assert found.since == dt.date(2026, 3, 20)
        assert moved(found)["2026-01"] == {"new": "100.00", "mrr_end": "100.00"}


def test_an_end_that_is_told_late_counts_when_it_was(service: Project, query: Query) -> None:
    note(service)
    query("UPDATE assise.analytics_subscription SET seen = '2026-02-20'")
    query("UPDATE subscriptions SET status = 'canceled', ended_at = '2026-03-15' WHERE id = 1")
    note(service)
    assert moved(report(service))["2026-03"]["churn"] == "40.00"


def test_months_from_invoices(service: Project) -> None:
    change(service, "table: subscriptions", "kind: invoices, table: invoices")
    change(service, "amount: unit_amount", "amount: amount")
    change(service, "interval: interval", "interval: month")
    change(service, "started: started_at, ended: ended_at", "started: created_at")
    change(service, "quantity: quantity, ", "")
    found = moved(report(service))
    assert found["2026-01"] == {"new": "63.00", "mrr_end": "63.00"}
    assert found["2026-03"] == {"mrr_start": "63.00", "churn": "31.50", "mrr_end": "31.50"}
    assert found["2026-04"] == {"mrr_start": "31.50", "churn": "31.50"}


def test_rows_that_cannot_be_used_are_errors_that_name_them(service: Project, query: Query) -> None:
    query("UPDATE subscriptions SET interval = 'lifetime' WHERE id = 4")
    with pytest.raises(AmountError, match="4: the interval lifetime is unknown"):
        report(service)
    query("UPDATE subscriptions SET interval = 'month', currency = 'gbp' WHERE id = 4")
    with pytest.raises(AmountError, match="no rate of GBP to EUR for 2026-02-28"):
        report(service)
    query("UPDATE subscriptions SET currency = NULL WHERE id = 4")
    assert "begin is missing: 4" in report(service).left_out[0]


def ask(service: Project, database: str, users: int | None = None) -> RevenueMetrics | None:
    """Revenue now, as an administrator's dashboard reads it."""

    async def run() -> RevenueMetrics | None:
        urls = {"admin": make_conninfo(database, user="apptest_admin")}
        async with App(service.path, urls=urls) as app, app.session(role="admin") as session:
            return await current(session, app.manifest, "public", users=users)

    return asyncio.run(run())


def test_what_it_is_now(service: Project, database: str, query: Query) -> None:
    query("INSERT INTO rates (id, day, code, rate) SELECT 99, now(), 'usd', 0.5")
    query("UPDATE subscriptions SET ended_at = now() - interval '3 days' WHERE id = 3")
    query("INSERT INTO subscriptions (id, user_id, unit_amount, currency, interval, quantity, started_at,"
          " ended_at, status) SELECT 50, 1, 900, 'EUR', 'month', 1, '2026-01-01', now(), 'canceled'")  # fmt: skip
    found = ask(service, database, users=1523)
    assert found is not None
    assert (found.currency, found.customers, found.churned_30d) == ("EUR", 3, 1)
    assert [found.mrr, found.arr] == [Decimal("95.00"), Decimal("1140.00")]
    assert found.average_revenue_per_user == Decimal("0.06")
    assert found.average_revenue_per_account == Decimal("31.67")
    assert found.lifetime_value == Decimal("126.67"), "95 / 3 customers, of whom 1 of 4 left"
    query("UPDATE subscriptions SET ended_at = NULL, status = 'active' WHERE id = 3")
    query("UPDATE subscriptions SET ended_at = NULL WHERE id = 50")
    lasting = ask(service, database)
    assert lasting is not None
    assert (lasting.lifetime_value, lasting.average_revenue_per_user) == (None, None)


def test_without_revenue_there_is_none(service: Project, database: str) -> None:
    lines = service.path.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("  revenue:", "            "))]
    service.path.write_text("\n".join(kept))
    assert ask(service, database) is None
