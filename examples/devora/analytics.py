"""Devora's metrics and events under the names that its code knows: each is a call of `app.analytics`.

`from analytics import EventType, get_metrics_service` with this folder on the path.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from assise.analytics.app import SubscriptionEvent
from assise.analytics.dashboard import Dashboard
from assise.analytics.funnels import Funnel
from assise.analytics.kinds import EventType
from assise.app import App

__all__ = ["CohortRetention", "EventType", "MetricsService", "get_metrics_service"]

CONVERSION = ("signup", "project_created", "deployed")


@dataclass(frozen=True)
class CohortRetention:
    """Who signed up on a day, and the percentage active so many days later; None where it is early."""

    cohort_date: dt.date
    size: int
    retention: dict[int, float | None]


@dataclass(frozen=True)
class MetricsService:
    """Figures for administrators, and what happened."""

    app: App

    async def get_dashboard_metrics(self) -> Dashboard:
        """`user_metrics`, `revenue_metrics`, `engagement_metrics`, `performance_metrics`, `reasons`."""
        return await self.app.analytics.dashboard()

    async def get_cohort_retention(
        self, cohort_date: dt.date, period_days: int = 30
    ) -> CohortRetention:
        """How many of those who signed up on a day were active on each of the days after."""
        row = await self.app.analytics.cohort(cohort_date, period_days)
        days = list(enumerate(row.counts))[1:] if row.size else []
        rates = {
            n: None if count is None else round(100 * count / row.size, 1) for n, count in days
        }
        return CohortRetention(cohort_date, row.size, rates)

    async def get_conversion_funnel(self, days: int = 30) -> Funnel:
        """How many who signed up in the last days made a project, and deployed one."""
        return await self.app.analytics.funnel(CONVERSION, days=days)

    def track_event(
        self, event: EventType, user_id: object, properties: Mapping[str, object] | None = None
    ) -> None:
        """Keep that something happened; timestamp, environment and release are added."""
        self.app.track(event, user_id=user_id, properties=properties or {})

    def track_project_created(
        self, user_id: object, project_id: object, project_name: str, project_type: str
    ) -> None:
        """Keep that a user has made a project."""
        self.app.analytics.track_project_created(user_id, project_id, project_name, project_type)

    def track_code_generation(
        self,
        user_id: object,
        project_id: object,
        model: str,
        tokens_used: int,
        generation_time_ms: float,
    ) -> None:
        """Keep that code was generated."""
        self.app.analytics.track_code_generation(
            user_id,
            project_id,
            model,
            tokens_used=tokens_used,
            generation_time_ms=generation_time_ms,
        )

    def track_subscription_event(
        self,
        type: SubscriptionEvent | EventType,  # noqa: A002
        user_id: object,
        subscription_id: object,
        plan: str,
        amount: float,
    ) -> None:
        """Keep what happened to a subscription."""
        self.app.analytics.track_subscription_event(
            type, user_id, subscription_id, plan=plan, amount=amount
        )


def get_metrics_service(app: App) -> MetricsService:
    """The metrics of an application."""
    return MetricsService(app)
