"""The noun `analytics` of an application: what has happened, and what it amounts to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, TypeVar

from assise.analytics.activity import (
    ActiveDay,
    Buckets,
    Mode,
    Retention,
    RetentionQuestion,
    RetentionRow,
    read_active,
    read_retention,
)
from assise.analytics.calendar import By, add, start_of
from assise.analytics.cohorts import (
    Churn,
    Cohort,
    SessionRow,
    read_churn,
    read_cohorts,
    read_sessions,
)
from assise.analytics.dashboard import Dashboard, finish, read_dashboard
from assise.analytics.funnels import Funnel, FunnelOrder, FunnelQuestion, read_funnel
from assise.analytics.kinds import EventType
from assise.analytics.known import check_known
from assise.analytics.picture import ANY, Picture, read_whole, run_async
from assise.analytics.revenue.metrics import current
from assise.analytics.tracking import Tracking
from assise.analytics.trends import Measure, TrendQuestion, TrendRow, read_trend
from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.analytics import ANALYTICS, Analytics
from assise.postgres.asking import Asking
from assise.postgres.pool import Session
from assise.settings import parse_duration

T = TypeVar("T")
SubscriptionEvent = Literal[
    "started", "upgraded", "downgraded", "renewed", "canceled", "reactivated"
]


class AppAnalytics:
    """Tracks events, and reads metrics: `await app.analytics.dashboard()`."""

    def __init__(
        self,
        tracking: Tracking,
        open_session: Callable[..., AbstractAsyncContextManager[Session]],
        find_manifest: Callable[[], Manifest],
        *,
        read_performance: Callable[[], Awaitable[Mapping[str, object]]],
    ) -> None:
        self._open_session, self._manifest = open_session, find_manifest
        self._read_performance = read_performance
        self.tracking = tracking
        self.track = tracking.track

    def track_project_created(
        self, user_id: object, project_id: object, project_name: str, project_type: str
    ) -> None:
        """Track that a user has made a project."""
        properties = {"project_id": project_id, "project_name": project_name}
        properties["project_type"] = project_type
        self.track(EventType.PROJECT_CREATED, user_id=user_id, properties=properties)

    def track_code_generation(
        self,
        user_id: object,
        project_id: object,
        model: str,
        *,
        tokens_used: int,
        generation_time_ms: float,
    ) -> None:
        """Track that code was generated, with which model, tokens and time."""
        properties: dict[str, object] = {"project_id": project_id, "model": model}
        properties |= {"tokens_used": tokens_used, "generation_time_ms": generation_time_ms}
        self.track(EventType.CODE_GENERATED, user_id=user_id, properties=properties)

    def track_subscription_event(
        self,
        type: SubscriptionEvent | EventType,  # noqa: A002
        user_id: object,
        subscription_id: object,
        *,
        plan: str,
        amount: float,
    ) -> None:
        """Track what happened to a subscription; `type` is an event, or its end such as started."""
        known = [each.value for each in EventType]
        event = type if type in known else f"subscription_{type}"
        properties = {"subscription_id": str(subscription_id), "plan": plan, "amount": amount}
        self.track(event, user_id=user_id, properties=properties)

    async def read(
        self, make: Callable[[Picture], Asking[T]], *, events: Collection[str] = ()
    ) -> T:
        """Read a metric with the role `admin`: stored bitmaps, and the events since.

        events: those that the metric names.

        Raises:
            UsageError: the manifest asks for no analytics, the role has no URL, or an event is
            neither declared nor has ever been.
        """
        analytics = self._analytics()
        async with self._open_session(role="admin", read_only=True) as session:
            await run_async(check_known(events, analytics.events.own), session)
            return await run_async(read_whole(analytics.timezone, make), session)

    def _analytics(self) -> Analytics:
        found = ANALYTICS.of(self._manifest())
        if found is None:
            raise UsageError(
                "the manifest asks for no analytics",
                remedy="Write analytics: {timezone: Europe/Paris} and run `assise load`.",
            )
        return found

    async def dashboard(self) -> Dashboard:
        """The figures of one moment, each with its definition in `assise.analytics.dashboard`.

        Raises:
            UsageError: the manifest asks for no analytics, or the role `admin` has no URL.
        """
        zone, manifest = self._analytics().timezone, self._manifest()
        measured = await self._read_performance()
        async with self._open_session(role="admin", read_only=True, repeatable=True) as session:
            schema = str(await session.fetch_value("SELECT current_schema()"))
            found = await run_async(
                read_whole(zone, lambda picture: read_dashboard(picture, manifest, schema)),
                session,
            )
            users = found.user_metrics.total_users
            revenue = await current(session, manifest, schema, users=users)
        return finish(found, revenue, measured)

    async def active(self, days: int = 30) -> list[ActiveDay]:
        """Users of each of the last days, and of the 7 and 30 days that end with it."""
        return await self.read(
            lambda picture: read_active(
                picture, picture.today - dt.timedelta(days - 1), picture.today
            )
        )

    async def retention(
        self,
        start: str = "signup",
        back: str = ANY,
        *,
        by: By = "day",
        periods: int = 30,
        mode: Mode = "first",
        did: str = "",
    ) -> Retention:
        """Who came back so many periods after `start`; what is not over is None.

        did: only of users who have ever done this event.
        """

        def read(picture: Picture) -> Asking[Retention]:
            buckets = _last(picture, by, periods)
            asked = RetentionQuestion(start, back, buckets, periods, mode, did)
            return read_retention(picture, asked)

        return await self.read(read, events=(start, back, did))

    async def cohort(self, date: dt.date, days: int, *, start: str = "signup") -> RetentionRow:
        """Of those who did `start` on a day for the first time: how many were active each day."""
        asked = RetentionQuestion(start, ANY, Buckets(date, date), days + 1)
        found = await self.read(lambda picture: read_retention(picture, asked), events=[start])
        return found.rows[0]

    async def cohorts(
        self,
        breakdown: str,
        *,
        start: str = "signup",
        back: str = ANY,
        by: By = "week",
        periods: int = 8,
    ) -> list[Cohort]:
        """A `retention` of the first time for each value that a property had in the first event.

        Raises:
            UsageError: the property has over a thousand values.
        """

        def read(picture: Picture) -> Asking[list[Cohort]]:
            buckets = _last(picture, by, periods)
            return read_cohorts(
                picture, RetentionQuestion(start, back, buckets, periods), breakdown
            )

        return await self.read(read, events=(start, back))

    async def churn(
        self, *, by: By = "month", periods: int = 12, inactive_days: int = 30
    ) -> list[Churn]:
        """Users active before a period, and how many of them were not any more at its end."""
        return await self.read(
            lambda picture: read_churn(picture, _last(picture, by, periods), inactive_days)
        )

    async def sessions(self, *, by: By = "day", periods: int = 30) -> list[SessionRow]:
        """Sessions of users, which a gap of over 30 minutes ends, and their mean length."""
        return await self.read(lambda picture: read_sessions(picture, _last(picture, by, periods)))

    async def funnel(
        self,
        steps: Sequence[str],
        *,
        within: str = "14 days",
        days: int = 30,
        order: FunnelOrder = "ordered",
    ) -> Funnel:
        """How many users did one event after another, of who began in the last days.

        Raises:
            UsageError: `within` is no time.
        """
        return (await self.funnels(steps, within=within, days=days, order=order))[0]

    async def funnels(
        self,
        steps: Sequence[str],
        *,
        within: str = "14 days",
        days: int = 30,
        order: FunnelOrder = "ordered",
        breakdown: str = "",
    ) -> list[Funnel]:
        """A `funnel` for each value that a property had in the first event.

        Raises:
            UsageError: `within` is no time.
        """
        window = parse_duration(within)
        if window is None:
            raise UsageError(f"within {within!r} is no time", remedy="Write it as 14 days.")

        def read(picture: Picture) -> Asking[list[Funnel]]:
            first = picture.today - dt.timedelta(days - 1)
            asked = FunnelQuestion(tuple(steps), first, picture.today, window, order, breakdown)
            return read_funnel(picture, asked)

        return await self.read(read, events=steps)

    async def trend(
        self,
        event: str,
        *,
        by: By = "day",
        periods: int = 12,
        measure: Measure = "count",
        sum: str = "",  # noqa: A002
        breakdown: str = "",
        where: Mapping[str, object] | None = None,
    ) -> list[TrendRow]:
        """How often an event happened, by how many users, or the sum of a property, by interval.

        sum: the property, with `measure="sum"`.
        where: values that properties have.

        Raises:
            UsageError: there is no such event, or a sum is of no property.
        """

        def read(picture: Picture) -> Asking[list[TrendRow]]:
            buckets = _last(picture, by, periods)
            asked = TrendQuestion(event, buckets, measure, sum, breakdown, where or {})
            return read_trend(picture, asked)

        return await self.read(read, events=[event])

    async def drain(self) -> int:
        """Keep what is spooled now; how many events were new."""
        return await self.tracking.drain()


def _last(picture: Picture, by: By, periods: int) -> Buckets:
    """The last periods, with that of today."""
    return Buckets(add(start_of(picture.today, by), by, 1 - periods), picture.today, by)
