"""Notifications of Ismail: a user's preferences x channels x templates, into three queues.

The rows are the truth: PENDING, then SENT by a worker, DELIVERED as the provider says, and READ by
the user, each once and never back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from assise.app import App
from assise.cache.queues import QueuedJob

Status = Literal["SENT", "DELIVERED", "READ"]
Deliver = Callable[[str, str], Awaitable[None]]
QUEUES = {"PUSH": "push", "EMAIL": "email", "SMS": "sms"}
NOTE = """INSERT INTO notifications (id, user_id, type, channel, status, message)
    VALUES (%(id)s, %(user)s, %(type)s, %(channel)s, 'PENDING', %(message)s)
    ON CONFLICT (id) DO NOTHING"""
MOVE = """UPDATE notifications SET status = %(after)s
    WHERE id = %(id)s AND status = ANY(%(before)s)"""
PENDING = """SELECT id, user_id, channel, message FROM notifications
    WHERE status = 'PENDING' AND user_id = %s ORDER BY id"""
BEFORE: Mapping[Status, list[str]] = {
    "SENT": ["PENDING"],
    "DELIVERED": ["SENT"],
    "READ": ["SENT", "DELIVERED"],
}
"""A status, and those that may stand before it: not every provider says what it delivered."""


async def notify(app: App, user_id: int, kind: str, *, event: str, **values: object) -> list[str]:
    """Notify a user of an event by the channels that the user wants; their names.

    The rows come first: a queue that lost a job is filled again by `refill`.
    """
    wanted: dict[str, Any] = await app.redis.value("preferences").get(user_id=user_id, default={})
    template: dict[str, str] = await app.redis.value("templates").get(type=kind, default={})
    channels = [channel for channel in template if wanted.get(channel, channel == "PUSH")]
    async with app.session(user_id=user_id) as session:
        for channel in channels:
            note = {"id": f"{event}:{channel}", "user": user_id, "type": kind, "channel": channel}
            message = template[channel].format(**values)
            await session.execute(NOTE, {**note, "message": message})
    await refill(app, user_id)
    return channels


async def refill(app: App, user_id: int) -> int:
    """Put a job for each notification of a user that is PENDING; how many there are.

    One that is in its queue already is not put a second time.
    """
    async with app.session(user_id=user_id, read_only=True) as session:
        rows = await session.fetch(PENDING, [user_id])
    for row in rows:
        job = {"id": row["id"], "user": row["user_id"], "message": row["message"]}
        await app.redis.queue(QUEUES[row["channel"]]).put(job, once=row["id"])
    return len(rows)


async def send(app: App, channel: str, deliver: Deliver, *, jobs: int | None = None) -> int:
    """Hand the jobs of a channel to its provider, until cancelled or that many; how many.

    A provider may be handed a message twice, with the same id: where a worker dies in between.
    """

    async def handle(job: QueuedJob) -> None:
        await deliver(job.value["id"], job.value["message"])
        await move(app, job.value["user"], job.value["id"], "SENT")

    return await app.redis.queue(QUEUES[channel]).work(handle, jobs=jobs)


async def move(app: App, user_id: int, notification: str, status: Status) -> bool:
    """Give a notification of a user its next status; False where it may not have it now."""
    values = {"id": notification, "after": status, "before": BEFORE[status]}
    async with app.session(user_id=user_id) as session:
        return await session.execute(MOVE, values) == 1
