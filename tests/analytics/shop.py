"""A shop: users, projects and deployments, whose manifest asks for analytics."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from tests.dumps import write_dump

USERS, PROJECTS, DEPLOYMENTS = 20, 40, 30
NOW = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
MANIFEST = """assise: 1
name: app
roles: {prefix: apptest}
analytics:
  timezone: Europe/Paris
  events: {own: {template_forked: {template_id: uuid}}}
  users: {table: users, created: created_at}
  projects: {table: projects, created: created_at}
  deployments: {table: deployments, at: created_at, ok: "status = 'success'"}
tables:
  users:
    collection: users
    primary_key: id
    access: {owner: id}
    columns: {id: {type: int4, from: _id}, created_at: timestamptz}
  projects:
    collection: projects
    primary_key: id
    access: {owner: user_id}
    columns: {id: {type: int4, from: _id}, user_id: int4, created_at: timestamptz}
  deployments:
    collection: deployments
    primary_key: id
    access: {owner: user_id}
    columns: {id: {type: int4, from: _id}, user_id: int4, status: text, created_at: timestamptz}
"""


def write_shop(folder: Path) -> Path:
    """Write the collections: each row a day before the next."""

    def make(n: int) -> dict[str, object]:
        return {"_id": n, "created_at": NOW - dt.timedelta(days=n), "user_id": n % USERS}

    states = ["success", "failed", "success"]
    collections = {
        "users": [make(n) for n in range(USERS)],
        "projects": [make(n) for n in range(PROJECTS)],
        "deployments": [{**make(n), "status": states[n % 3]} for n in range(DEPLOYMENTS)],
    }
    return write_dump(folder / "dump" / "app", collections)
