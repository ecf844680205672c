"""An application with access rules: its manifest, its documents, and sessions of its roles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from bson import ObjectId
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template

from assise.project import Project

Session = psycopg.Connection[tuple[Any, ...]]
RULES = {
    "users": "access: {owner: id}",
    "projects": "access: {owner: user_id}",
    "files": "access: {through: projects}",
    "lines": "access: {through: files}",
    "docs": "access: {members: {table: members, user: user_id, group: team}}",
    "templates": "access: {tenant: tenant, public: read}",
    "notes": "access: {through: projects}",
}
MANIFEST = """assise: 1
name: app
{roles}
tables:
  lines:
    parent: files
    from: lines.*
    primary_key: [project_id, position, line]
    {lines}
    columns: {{text: text}}
  users:
    collection: users
    primary_key: id
    {users}
    columns: {{id: {{type: int4, from: _id}}, name: text}}
  projects:
    collection: projects
    primary_key: id
    {projects}
    columns: {{id: {{type: int4, from: _id}}, user_id: {{type: int4, from: userId}}, name: text}}
  files:
    parent: projects
    from: files.*
    primary_key: [project_id, position]
    {files}
    columns: {{path: text}}
  docs:
    collection: docs
    primary_key: id
    {docs}
    columns: {{id: {{type: int4, from: _id}}, team: text}}
  members:
    collection: members
    primary_key: id
    columns: {{id: {{type: int4, from: _id}}, user_id: int4, team: text}}
  notes:
    collection: notes
    primary_key: id
    {notes}
    columns:
      id: {{type: int4, from: _id}}
      user_id: {{type: text, from: userId}}
      project_id: {{type: int4, from: projectId, references: projects}}
  templates:
    collection: templates
    primary_key: id
    {templates}
    columns: {{id: {{type: uuid, from: _id}}, tenant: text}}
"""
PLAIN = dict.fromkeys(RULES, "")
USERS, PROJECTS = 5, 40


def write_manifest(project: Project, **rules: str) -> None:
    """Write the manifest with the rules of all tables, but for those that are given."""
    texts = {"roles": "roles: {prefix: apptest}", **RULES, **rules}
    lines = MANIFEST.format(**texts).splitlines()
    project.path.write_text("\n".join(line for line in lines if line.strip()) + "\n")


def write_plain(project: Project) -> None:
    """Write the manifest without rules."""
    write_manifest(project, roles="", **PLAIN)


def write_shop(folder: Path) -> Path:
    """Write the dump."""
    lines = [{"text": "a"}, {"text": "b"}]
    files = [{"path": "x", "lines": lines}, {"path": "y", "lines": lines[:1]}]
    projects: list[dict[str, Any]] = [
        {"_id": n, "userId": n % USERS, "name": f"project {n}", "files": files[: n % 3]}
        for n in range(PROJECTS)
    ]
    projects.append({"_id": PROJECTS, "userId": None, "name": "nobody's", "files": files})
    return write_dump(
        folder / "app",
        {
            "users": [{"_id": n, "name": f"user {n}"} for n in range(USERS)],
            "projects": projects,
            "docs": [{"_id": n, "team": f"team {n % 4}"} for n in range(12)],
            "members": [
                {"_id": 0, "user_id": 0, "team": "team 0"},
                {"_id": 1, "user_id": 0, "team": "team 1"},
                {"_id": 2, "user_id": 1, "team": "team 1"},
            ],
            "notes": [
                {"_id": n, "userId": "u", "projectId": n // 2 if n else None} for n in range(30)
            ],
            "templates": [{"_id": ObjectId(f"{n:024x}"), "tenant": f"t{n}"} for n in range(3)],
        },
    )


@contextmanager
def load_shop(databases: Databases, folder: Path) -> Iterator[Template]:
    """The application, loaded with its rules, for tests to copy."""
    with databases.create_template(folder) as template:
        project = Project(template.folder, to=template.conninfo)
        write_manifest(project)
        assert project.migrate(write_shop(template.folder), confirm=confirm).exit_code == 0
        yield template


@contextmanager
def sign_in(
    conninfo: str,
    user: object = "",
    *,
    role: str = "app",
    tenant: str = "",
    prefix: str = "apptest",
) -> Iterator[Session]:
    """A transaction of a role of the application, with the settings of a session; taken back."""
    with psycopg.connect(make_conninfo(conninfo, user=f"{prefix}_{role}")) as session:
        settings = {"app.user_id": str(user), "app.tenant_id": tenant}
        for name, value in settings.items():
            session.execute("SELECT set_config(%s, %s, true)", [name, value])
        yield session
        session.rollback()


def count(session: Session, table: str) -> int:
    statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    row = session.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def counts(session: Session) -> dict[str, int]:
    return {table: count(session, table) for table in RULES}


def list_queries(conninfo: str, statement: str) -> list[str]:
    """The queries that triggers run for a statement of a superuser, which is taken back."""
    found: list[str] = []
    with psycopg.connect(conninfo) as session:
        session.execute(
            "LOAD 'auto_explain'; SET auto_explain.log_nested_statements = on;"
            " SET auto_explain.log_level = notice; SET auto_explain.log_min_duration = 0"
        )
        session.add_notice_handler(lambda notice: found.append(str(notice.message_primary)))
        session.execute(statement.encode())
        session.rollback()
    return [text.partition("Query Text: ")[2] for text in found if statement not in text]
