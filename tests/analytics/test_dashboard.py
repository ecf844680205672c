"""The dashboard: every field is counted, or is None with its reason; read with and without a fold."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from uuid import uuid4

import pytest
from psycopg.conninfo import make_conninfo
from tests.analytics.shop import DEPLOYMENTS, PROJECTS, USERS
from tests.cache.servers import run_server

from assise.analytics.dashboard import (
    DEFINITIONS,
    MEASURED,
    REASONS,
    Dashboard,
    EngagementMetrics,
    PerformanceMetrics,
    RevenueFigures,
    UserMetrics,
)
from assise.analytics.event import Event
from assise.analytics.store import insert_sync
from assise.app import App
from assise.errors import UsageError
from assise.postgres.connection import Connection
from assise.project import Project

GROUPS = (UserMetrics, RevenueFigures, EngagementMetrics, PerformanceMetrics)


def make_events(now: dt.datetime) -> list[Event]:
    """Ten users 40 days ago, of whom four come back; a session of 20 minutes, and one of 0."""

    def make(name: str, person: str, **ago: float) -> Event:
        return Event(uuid4(), name, person, now - dt.timedelta(**ago))

    return [
        *(make("login", f"u{n}", days=40) for n in range(10)),
        *(make("login", f"u{n}", days=5) for n in range(3)),
        make("login", "u3", days=2, minutes=20),
        make("message_sent", "u3", days=2),
        make("conversation_started", "null", days=2),
        make("$exception", "u9", days=1),
    ]


def read(project: Project, database: str) -> Dashboard:
    """As an application does, whose role reads only: nothing is folded by it."""

    async def use() -> Dashboard:
        urls = {role: make_conninfo(database, user=f"apptest_{role}") for role in ("app", "admin")}
        async with App(project.path, urls=urls) as app:
            found = await app.analytics.dashboard()
            assert (await app.analytics.active(3))[-3].dau == 1
            cohort = dt.datetime.now(dt.UTC).date() - dt.timedelta(40)
            row = await app.analytics.cohort(cohort, 40, start="login")
            assert row.size in {0, 10}  # the day before, where it is past midnight in Paris alone
            assert (await app.analytics.trend("message_sent", by="month"))[-1].value in {0, 1}
            assert (await app.analytics.funnel(["login", "message_sent"])).steps[1].count == 1
            assert (await app.analytics.retention("login", periods=3)).rows[-1].counts[1:] == [
                None
            ] * 2
            return found

    return asyncio.run(use())


async def ask_wrongly(app: App, what: str) -> object:
    """A question of an application about an event that has never been, or a sum of nothing."""
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "trend": lambda: app.analytics.trend("mesage_sent"),
        "funnel": lambda: app.analytics.funnel(["login", "mesage_sent"]),
        "retention": lambda: app.analytics.retention(back="mesage_sent"),
        "did": lambda: app.analytics.retention(did="mesage_sent"),
        "cohort": lambda: app.analytics.cohort(dt.date(2026, 1, 1), 3, start="mesage_sent"),
        "cohorts": lambda: app.analytics.cohorts("plan", start="mesage_sent"),
        "sum": lambda: app.analytics.trend("message_sent", measure="sum"),
        "no sum": lambda: app.analytics.trend("message_sent", sum="tokens"),
    }
    return await asked[what]()


@pytest.mark.parametrize(
    "what", ["trend", "funnel", "retention", "did", "cohort", "cohorts", "sum", "no sum"]
)
def test_what_has_never_been_is_refused_and_is_not_zero(
    what: str, shop: Project, database: str
) -> None:
    async def use() -> None:
        urls = {"admin": make_conninfo(database, user="apptest_admin")}
        async with App(shop.path, urls=urls) as app:
            with pytest.raises(UsageError) as raised:
                await ask_wrongly(app, what)
            if "sum" in what:
                assert "a sum is of a property" in str(raised.value)
            else:
                assert "there is no event 'mesage_sent'" in str(raised.value)
                assert "message_sent" in str(raised.value.remedy)

    asyncio.run(use())


def test_an_application_sums_a_property_of_some_events(shop: Project, database: str) -> None:
    now = dt.datetime.now(dt.UTC)
    events = [
        Event(uuid4(), "template_forked", f"u{n}", now, "", json.dumps({"tokens": n, "plan": plan}))
        for n, plan in enumerate(["a", "b", "a", "a"])
    ]
    with Connection(database) as connection:
        insert_sync(connection, events)

    async def use() -> None:
        urls = {"admin": make_conninfo(database, user="apptest_admin")}
        async with App(shop.path, urls=urls) as app:
            rows = await app.analytics.trend(
                "template_forked", measure="sum", sum="tokens", where={"plan": "a"}
            )
            assert sum(row.value for row in rows) == 0 + 2 + 3

    asyncio.run(use())


def test_every_figure_is_counted_or_has_its_reason(shop: Project, database: str) -> None:
    with Connection(database) as connection:
        insert_sync(connection, make_events(dt.datetime.now(dt.UTC)))
    found = read(shop, database)
    assert found == shop.analytics.dashboard()
    users, work = found.user_metrics, found.engagement_metrics
    assert (users.total_users, users.new_users_today) == (USERS, 0)
    assert (users.active_users_day, users.active_users_month) == (0, 4)
    assert (users.retention_rate_30d, users.churn) == (40.0, 60.0)
    assert (work.total_projects, work.projects_created_today) == (PROJECTS, 0)
    assert work.average_session_duration_minutes == 5.0
    assert (work.conversations, work.messages) == (1, 1)
    assert found.reasons["deployment_success_rate"] == REASONS["deployment_success_rate"]
    with Connection(database) as connection:
        connection.execute("UPDATE deployments SET created_at = now() - interval '1 hour'")
        connection.execute("UPDATE users SET created_at = now() WHERE id < 3")
    later = read(shop, database)
    assert later == shop.analytics.dashboard()
    good = sum(n % 3 != 1 for n in range(DEPLOYMENTS))
    assert later.performance_metrics.deployment_success_rate == round(100 * good / DEPLOYMENTS, 2)
    assert later.user_metrics.new_users_today == 3
    assert set(later.reasons) == {
        *("mrr", "arr", "average_revenue_per_user", "lifetime_value"),
        *MEASURED,
        *("cache_hit_rate", "pool_use"),
    }


def test_deleted_deployments_do_not_count(shop: Project, database: str) -> None:
    text = shop.path.read_text().replace(
        "  deployments:\n    c", "  deployments:\n    soft_delete: true\n    c"
    )
    shop.path.write_text(text)
    assert shop.load(confirm=lambda _: True).exit_code == 0
    with Connection(database) as connection:
        connection.execute(
            "UPDATE deployments SET created_at = now() - interval '1 hour',"
            " deleted_at = CASE status WHEN 'failed' THEN now() END"
        )
    assert shop.analytics.dashboard().performance_metrics.deployment_success_rate == 100


def test_what_an_application_measures_stands_in_the_dashboard_and_on_the_command_line(
    shop: Project, database: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    urls = {role: make_conninfo(database, user=f"apptest_{role}") for role in ("app", "admin")}

    async def use() -> Dashboard:
        async with App(shop.path, urls=urls) as app:
            for ms in (10.0, 10.0, 600.0):
                app.monitor.note("projects", ms)
            app.monitor.note("search", 10.0, is_error=True)
            await app.analytics.active(1)
            return await app.analytics.dashboard()

    with run_server(tmp_path_factory.mktemp("redis"), "data") as server:
        text = shop.path.read_text()
        shop.path.write_text(text.replace("analytics:", f'redis: "{server.url}"\nanalytics:', 1))
        found = asyncio.run(use()).performance_metrics
        assert (found.average_query_time_ms, found.error_rate) == (157.5, 25.0)
        assert (found.slow_queries, found.pool_use) == (1, 0.0)
        assert found.p50_ms == pytest.approx(10, rel=0.05)
        assert found.p99_ms == pytest.approx(600, rel=0.05)
        shown = shop.analytics.dashboard()
        assert shown.performance_metrics == replace(found, pool_use=None)
        assert set(shown.reasons) >= {"cache_hit_rate", "pool_use"}
        assert not set(shown.reasons) & {*MEASURED}
    assert set(shop.analytics.dashboard().reasons) >= {*MEASURED}


def test_each_field_has_a_definition_and_may_have_a_reason() -> None:
    names = {each.name for group in GROUPS for each in fields(group)}
    assert names == set(DEFINITIONS)
    assert names - set(REASONS) == {"active_users_day", "active_users_month"}


def test_without_the_section_nothing_is_read_and_the_remedy_is_said(shop: Project) -> None:
    text = shop.path.read_text()
    start, end = text.index("analytics:"), text.index("tables:")
    shop.path.write_text(text[:start] + text[end:])
    for ask in (shop.analytics.dashboard, shop.analytics.check):
        with pytest.raises(UsageError, match="asks for no analytics"):
            ask()
