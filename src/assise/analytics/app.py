"""The noun `analytics` of an application: what has happened, and what it amounts to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal

from assise.analytics.kinds import EventType
from assise.analytics.tracking import Tracking
from assise.postgres.pool import Session
from assise.workspace import Workspace

SubscriptionEvent = Literal[
    "started", "upgraded", "downgraded", "renewed", "canceled", "reactivated"
]


class AppAnalytics:
    """Tracks events, and reads metrics: `await app.analytics.dashboard()`."""

    def __init__(
        self,
        workspace: Workspace,
        open_session: Callable[..., AbstractAsyncContextManager[Session]],
    ) -> None:
        self._open_session = open_session
        self.tracking = Tracking(workspace, open_session)
        self.track = self.tracking.track
        self.write = self.tracking.write

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

    async def drain(self) -> int:
        """Keep what is spooled now; how many events were new."""
        return await self.tracking.drain()

    async def close(self) -> None:
        """Keep what can be kept now."""
        await self.tracking.close()
