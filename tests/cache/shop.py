"""A shop with access rules and cached tables: its manifest and documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.dumps import write_dump

USERS = 5
MANIFEST = """assise: 1
name: app
redis: {{cache: "{cache}", data: "{data}", prefix: "{prefix}"}}
roles: {{prefix: apptest}}
tables:
  users:
    collection: users
    primary_key: id
    access: {{owner: id}}
    columns: {{id: {{type: int4, from: _id}}, name: text}}
  projects:
    collection: projects
    primary_key: id
    access: {{owner: user_id}}
    cache: {{tags: ["projects:{{user_id}}", "kind:{{kind}}:all", board], ttl: 5 minutes}}
    columns:
      id: {{type: int4, from: _id}}
      user_id: {{type: int4, from: userId}}
      kind: text
      name: text
"""


def write_shop(folder: Path) -> Path:
    """Write the dump: ten projects, two of each user."""
    users: list[dict[str, Any]] = [{"_id": n, "name": f"user {n}"} for n in range(USERS)]
    projects = [
        {"_id": n, "userId": n % USERS, "kind": "app" if n % 2 else "site", "name": f"p{n}"}
        for n in range(2 * USERS)
    ]
    return write_dump(folder / "app", {"users": users, "projects": projects})
