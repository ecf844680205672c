"""Fifty users of five tenants: their manifest, their documents, and who sees which of them.

What somebody sees is computed from the documents, by code that knows nothing of rules.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.dumps import write_dump

USERS, TENANTS, GROUPS = 50, 5, 8
PROJECTS = 300
TABLES = ("projects", "notes", "docs", "boards", "templates")
MANIFEST = """assise: 1
name: app
roles: {prefix: apptest}
tables:
  projects:
    collection: projects
    primary_key: id
    access: {owner: user_id}
    soft_delete: {from: deletedAt}
    columns: {id: {type: int4, from: _id}, user_id: {type: int4, from: userId}, name: text}
  files:
    parent: projects
    from: files.*
    primary_key: [project_id, position]
    access: {through: projects}
    columns: {size: int4}
  notes:
    collection: notes
    primary_key: id
    access: {through: projects}
    columns:
      id: {type: int4, from: _id}
      project_id: {type: int4, from: projectId, references: projects}
  docs:
    collection: docs
    primary_key: id
    access: {tenant: tenant_id}
    columns: {id: {type: int4, from: _id}, tenant_id: {type: text, from: tenantId}}
  boards:
    collection: boards
    primary_key: id
    access: {members: {table: members, user: user_id, group: group_id}}
    columns: {id: {type: int4, from: _id}, group_id: int4}
  members:
    collection: members
    primary_key: id
    columns: {id: {type: int4, from: _id}, user_id: int4, group_id: int4}
  templates:
    collection: templates
    primary_key: id
    access: {public: read}
    columns: {id: {type: int4, from: _id}}
"""
DOCUMENTS: dict[str, list[dict[str, Any]]] = {
    "projects": [
        {
            "_id": n,
            "userId": n % USERS,
            "name": f"project {n}",
            "files": [{"size": size} for size in range(n % 3)],
            **({"deletedAt": datetime(2024, 5, 5, tzinfo=UTC)} if n % 7 == 0 else {}),
        }
        for n in range(PROJECTS)
    ],
    "notes": [{"_id": n, "projectId": n * 3 % PROJECTS} for n in range(400)],
    "docs": [{"_id": n, "tenantId": f"t{n % TENANTS}"} for n in range(100)],
    "boards": [{"_id": n, "group_id": n % GROUPS} for n in range(40)],
    "members": [
        {"_id": user * 2 + n, "user_id": user, "group_id": (user * 3 + n) % GROUPS}
        for user in range(USERS)
        if user % 11
        for n in range(2)
    ],
    "templates": [{"_id": n} for n in range(10)],
}
FUNCTIONS = """
CREATE VIEW live_projects WITH (security_invoker) AS SELECT * FROM projects;
CREATE FUNCTION count_notes() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM notes';
CREATE FUNCTION count_docs() RETURNS bigint LANGUAGE plpgsql AS
    'BEGIN RETURN (SELECT count(*) FROM docs); END';
GRANT SELECT ON live_projects TO apptest_app;
"""
Rows = list[dict[str, Any]]


def write_office(folder: Path) -> Path:
    """Write the dump."""
    return write_dump(folder / "app", DOCUMENTS)


def find_visible(user: int | None) -> dict[str, Rows]:
    """The documents that a user of its tenant sees; None is nobody."""
    if user is None:
        return {name: DOCUMENTS[name] if name == "templates" else [] for name in TABLES}
    projects = [
        each for each in DOCUMENTS["projects"] if each["userId"] == user and "deletedAt" not in each
    ]
    own = {each["_id"] for each in projects}
    groups = {each["group_id"] for each in DOCUMENTS["members"] if each["user_id"] == user}
    return {
        "projects": projects,
        "notes": [each for each in DOCUMENTS["notes"] if each["projectId"] in own],
        "docs": [each for each in DOCUMENTS["docs"] if each["tenantId"] == tenant_of(user)],
        "boards": [each for each in DOCUMENTS["boards"] if each["group_id"] in groups],
        "templates": DOCUMENTS["templates"],
    }


def tenant_of(user: int) -> str:
    """The tenant of a user."""
    return f"t{user % TENANTS}"
