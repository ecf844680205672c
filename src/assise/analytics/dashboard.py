"""The dashboard: the figures of an application at a glance, each with its definition.

What is not declared, or cannot be known, is None with the reason, never 0.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Any

from assise.analytics.picture import ANY, Picture, make_bitmap
from assise.analytics.revenue.metrics import RevenueMetrics
from assise.analytics.sessions import read_minutes
from assise.analytics.totals import NOTHING, read_totals
from assise.manifest.model import Manifest
from assise.postgres.asking import Asking
from assise.postgres.pool import Record
from assise.schema.analytics import count_deployments, list_counted

DEFINITIONS = {
    "total_users": "rows of analytics.users that are not deleted",
    "active_users_day": "users with any activity today, in the project's time zone",
    "active_users_month": "users with any activity in the 30 days that end today",
    "new_users_today": "rows of analytics.users that were created today",
    "retention_rate_30d": "of the users active 59 to 30 days ago, the percentage active since",
    "churn": "of the users active 59 to 30 days ago, the percentage not active since",
    "mrr": "what paying customers pay a month, now, in the currency of the report",
    "arr": "12 times mrr",
    "average_revenue_per_user": "mrr / total_users",
    "lifetime_value": "mrr per payer / share of payers lost in the last 30 days",
    "total_projects": "rows of analytics.projects that are not deleted",
    "projects_created_today": "rows of analytics.projects that were created today",
    "average_session_duration_minutes": "time of users in sessions / sessions that began, in the 30"
    " days before today; a gap of over 30 minutes ends a session, one event alone has length 0",
    "conversations": "rows of analytics.conversations that are not deleted; where it is not declared,"
    " events conversation_started",
    "messages": "rows of analytics.messages that are not deleted; where it is not declared, events"
    " message_sent",
    "average_query_time_ms": "mean time of what app.monitor measured in the last 24 hours",
    "p50_ms": "half of what was measured stays under it",
    "p95_ms": "95 of 100 stay under it",
    "p99_ms": "99 of 100 stay under it",
    "slow_queries": "how much of what was measured took 500 ms or longer",
    "error_rate": "percentage of what was measured that failed",
    "cache_hit_rate": "percentage of calls that the cache answered in this process; aim at 80",
    "pool_use": "percentage of the connections of the fullest pool of this process that are in use",
    "deployment_success_rate": "of the deployments of the last 30 days, the percentage that are ok",
}
"""Each field in one line, with its window and its denominator."""

EVENTS = {"conversations": "conversation_started", "messages": "message_sent"}
"""The events that are counted where no table is declared."""

MEASURED = "average_query_time_ms p50_ms p95_ms p99_ms slow_queries error_rate".split()
REASONS = {
    "total_users": "analytics.users is not declared",
    "new_users_today": "analytics.users is not declared",
    "retention_rate_30d": "nobody was active 59 to 30 days ago",
    "churn": "nobody was active 59 to 30 days ago",
    "mrr": "analytics.revenue is not declared",
    "arr": "analytics.revenue is not declared",
    "average_revenue_per_user": "analytics.revenue or analytics.users is not declared, or there are"
    " no users",
    "lifetime_value": "analytics.revenue is not declared, or no payer was lost",
    "total_projects": "analytics.projects is not declared",
    "projects_created_today": "analytics.projects is not declared",
    "average_session_duration_minutes": "there was no session in the 30 days before today",
    "conversations": "analytics.conversations is not declared, nor is there an event"
    " conversation_started",
    "messages": "analytics.messages is not declared, nor is there an event message_sent",
    **dict.fromkeys(MEASURED, "app.monitor has measured nothing in the last 24 hours"),
    "cache_hit_rate": "this process has called no cached function",
    "pool_use": "this process has no pool of connections",
    "deployment_success_rate": "analytics.deployments is not declared, or there was none",
}
"""Why a field can be None."""


@dataclass(frozen=True)
class UserMetrics:
    """Users, and how many of them are active, new, and stay."""

    total_users: int | None
    active_users_day: int
    active_users_month: int
    new_users_today: int | None
    retention_rate_30d: float | None
    churn: float | None


@dataclass(frozen=True)
class RevenueFigures:
    """Recurring revenue."""

    mrr: Decimal | None = None
    arr: Decimal | None = None
    average_revenue_per_user: Decimal | None = None
    lifetime_value: Decimal | None = None


@dataclass(frozen=True)
class EngagementMetrics:
    """What users do."""

    total_projects: int | None
    projects_created_today: int | None
    average_session_duration_minutes: float | None
    conversations: int | None
    messages: int | None


@dataclass(frozen=True)
class PerformanceMetrics:
    """How the application fares."""

    deployment_success_rate: float | None = None
    average_query_time_ms: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    slow_queries: int | None = None
    error_rate: float | None = None
    cache_hit_rate: float | None = None
    pool_use: float | None = None


@dataclass(frozen=True)
class Dashboard:
    """All figures; `reasons` says of each that is None why it is."""

    user_metrics: UserMetrics
    revenue_metrics: RevenueFigures
    engagement_metrics: EngagementMetrics
    performance_metrics: PerformanceMetrics
    reasons: Mapping[str, str] = field(default_factory=dict)

    def as_json(self, *, is_defined: bool = False) -> dict[str, Any]:
        """The figures as JSON has them, on request with the definition of each."""
        found: dict[str, Any] = asdict(self)
        if is_defined:
            found["definition"] = DEFINITIONS
        return found


def read_dashboard(picture: Picture, manifest: Manifest, schema: str) -> Asking[Dashboard]:
    """The figures of now, but those of revenue."""
    today, now = picture.today, picture.now
    rows = yield from read_totals(list_counted(manifest, schema), today)
    deployed: Record = {"deployed": None, "deployments": None}
    if query := count_deployments(manifest, schema):
        (deployed,) = yield query, {"month": now - dt.timedelta(30)}
    span = today - dt.timedelta(59), today
    by_day = yield from picture.read_persons([ANY], *span)
    none, middle = make_bitmap(), today - dt.timedelta(29)
    recent = none.union(none, *(each for day, each in by_day.items() if day >= middle))
    before = none.union(none, *(each for day, each in by_day.items() if day < middle))
    stayed = before.intersection_cardinality(recent)
    minutes = yield from read_minutes(picture)
    undeclared = {name: event for name, event in EVENTS.items() if name not in rows}
    counts = (yield from picture.count_events([*undeclared.values()])) if undeclared else {}
    talked = {name: counts[event] or None for name, event in undeclared.items()}
    talked |= {name: total.rows for name, total in rows.items()}
    total = rows.get("users", NOTHING), rows.get("projects", NOTHING)
    users = UserMetrics(
        total_users=total[0].rows,
        active_users_day=len(by_day.get(today, none)),
        active_users_month=len(recent),
        new_users_today=total[0].today,
        retention_rate_30d=_percent(stayed, len(before)),
        churn=_percent(len(before) - stayed, len(before)),
    )
    engagement = EngagementMetrics(
        total_projects=total[1].rows,
        projects_created_today=total[1].today,
        average_session_duration_minutes=None if minutes is None else round(minutes, 2),
        conversations=talked["conversations"],
        messages=talked["messages"],
    )
    performance = PerformanceMetrics(_percent(deployed["deployed"], deployed["deployments"]))
    return Dashboard(users, RevenueFigures(), engagement, performance)


def finish(
    dashboard: Dashboard, revenue: RevenueMetrics | None, performance: Mapping[str, Any]
) -> Dashboard:
    """The dashboard with its revenue, what was measured, and the reasons of what is None."""
    figures = RevenueFigures()
    if revenue is not None:
        figures = RevenueFigures(
            revenue.mrr, revenue.arr, revenue.average_revenue_per_user, revenue.lifetime_value
        )
    groups = (
        dashboard.user_metrics,
        figures,
        dashboard.engagement_metrics,
        replace(dashboard.performance_metrics, **performance),
    )
    values = {name: value for group in groups for name, value in asdict(group).items()}
    reasons = {name: REASONS[name] for name, value in values.items() if value is None}
    return Dashboard(*groups, reasons)


def _percent(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else round(100 * part / whole, 2)
