"""Notifications of Ismail: a user's preferences x channels x templates, into three queues."""

from __future__ import annotations

from typing import Any

from assise.app import App
from assise.cache.queues import QueuedJob

QUEUES = {"PUSH": "push", "EMAIL": "email", "SMS": "sms"}
NOTE = """INSERT INTO notifications (id, user_id, type, channel, status, message)
    VALUES (%(id)s, %(user)s, %(type)s, %(channel)s, 'PENDING', %(message)s)
    ON CONFLICT (id) DO NOTHING"""
MOVE = """UPDATE notifications SET status = %(after)s
    WHERE id = %(id)s AND status = %(before)s"""
STEPS = {"SENT": "PENDING", "DELIVERED": "SENT", "READ": "DELIVERED"}
"""A status, and the one before it."""


async def notify(app: App, user_id: int, kind: str, *, event: str, **values: object) -> list[str]:
    """Notify a user of an event by the channels that the user wants; their names.

    The rows come first: a queue that lost a job is filled again from rows that are PENDING.
    """
    wanted: dict[str, Any] = await app.redis.value("preferences").get(user_id=user_id, default={})
    template: dict[str, str] = await app.redis.value("templates").get(type=kind, default={})
    channels = [channel for channel in template if wanted.get(channel, channel == "PUSH")]
    notes = [
        {
            "id": f"{event}:{channel}",
            "user": user_id,
            "type": kind,
            "channel": channel,
            "message": template[channel].format(**values),
        }
        for channel in channels
    ]
    async with app.session(user_id=user_id) as session:
        for note in notes:
            await session.execute(NOTE, note)
    for note in notes:
        job = {"id": note["id"], "user": user_id, "message": note["message"]}
        await app.redis.queue(QUEUES[str(note["channel"])]).put(job, once=str(note["id"]))
    return channels


async def move(app: App, job: QueuedJob, status: str) -> bool:
    """Give a notification its next status; False where it has another one."""
    values = {"id": job.value["id"], "after": status, "before": STEPS[status]}
    async with app.session(user_id=job.value["user"]) as session:
        return await session.execute(MOVE, values) == 1
