"""Devora's events until the move: who signed up, made projects and deployed them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from random import Random
from typing import cast
from uuid import UUID

from bson import ObjectId

from documents import END, Document, Scale, moment

AFTER = dt.timedelta(minutes=1)


def write_uuid(key: ObjectId) -> str:
    """The key that an id has in the new tables, which the application sends with its events."""
    digits = str(key)
    return str(UUID(f"{digits[:12]}8{digits[12:15]}8{digits[15:]}000000"))


def make_event(
    chances: Random, name: str, user: object, at: dt.datetime, **properties: object
) -> Document:
    """An event as PostHog's export has it."""
    return {
        "uuid": str(UUID(int=chances.getrandbits(128), version=4)),
        "event": name,
        "distinct_id": user,
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
        "properties": {**properties, "$lib": "posthog-node", "$lib_version": "5.70.0"},
    }


def make_signup(scale: Scale, n: int, user: Document) -> Document:
    """That user n came."""
    chances, key = scale.random("signup", n), write_uuid(cast("ObjectId", user["_id"]))
    at = cast("dt.datetime", user["created_at"])
    return make_event(chances, "signup", key, at, plan=user["plan"])


def make_project_events(scale: Scale, k: int, project: Document) -> Iterator[Document]:
    """That project k was made, and each time it went live, also before MongoDB forgot it."""
    chances = scale.random("project events", k)
    user, key = (write_uuid(cast("ObjectId", project[name])) for name in ("user_id", "_id"))
    created = cast("dt.datetime", project["created_at"])
    facts = {"project_id": key, "project_type": project["type"]}
    yield make_event(
        chances, "project_created", user, created, **facts, project_name=project["name"]
    )
    until = cast("dt.datetime", project.get("deleted_at", END))
    since = min(created + AFTER, until)
    for at in sorted(moment(chances, since, until) for _ in range(chances.randrange(5))):
        yield make_event(chances, "deployed", user, at, **facts)
