"""An application whose rows are deleted softly: its manifest and its documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template

from assise.project import Project

DELETED = datetime(2024, 1, 2, 3, 4, 5, 678_000, UTC)
SOFT = "soft_delete: {column: deleted_at, from: deletedAt, keep: 30 days}"
MANIFEST = """assise: 1
name: app
roles: {{prefix: apptest}}
tables:
  projects:
    collection: projects
    primary_key: id
    access: {{owner: user_id}}
    {soft}
    columns:
      id: {{type: int4, from: _id}}
      user_id: {{type: int4, from: userId}}
      slug: {{type: text, unique: true}}
  files:
    parent: projects
    from: files.*
    primary_key: [project_id, position]
    access: {{through: projects}}
    columns: {{path: text}}
  lines:
    parent: files
    from: lines.*
    primary_key: [project_id, position, line]
    access: {{through: files}}
    columns: {{text: text}}
  notes:
    collection: notes
    primary_key: id
    access: {{through: projects}}
    soft_delete: true
    columns:
      id: {{type: int4, from: _id}}
      project_id: {{type: int4, from: projectId, references: projects}}
      title: text
    indexes:
      - {{columns: [title], unique: true}}
  members:
    collection: members
    primary_key: id
    access: {{owner: user_id}}
    soft_delete: {{column: left_at}}
    columns: {{id: {{type: int4, from: _id}}, user_id: int4, team: text}}
  docs:
    collection: docs
    primary_key: id
    access: {{members: {{table: members, user: user_id, group: team}}}}
    columns: {{id: {{type: int4, from: _id}}, team: text}}
  templates:
    collection: templates
    primary_key: id
    access: {{public: read}}
    soft_delete: true
    columns: {{id: {{type: int4, from: _id}}, name: text}}
"""


def write_manifest(project: Project, soft: str = SOFT) -> None:
    """Write the manifest, with this `soft_delete` of the projects."""
    text = MANIFEST.format(soft=soft)
    project.path.write_text("\n".join(line for line in text.splitlines() if line.strip()) + "\n")


def write_documents(folder: Path) -> Path:
    """Write the dump: projects 0 to 9 of users 0 and 1, of which 8 and 9 arrive deleted."""
    files = [{"path": "x", "lines": [{"text": "a"}, {"text": "b"}]}, {"path": "y", "lines": []}]
    projects: list[dict[str, Any]] = [
        {"_id": n, "userId": n % 2, "slug": f"p{n % 8}", "files": files} for n in range(10)
    ]
    for project in projects[8:]:
        project["deletedAt"] = DELETED
    return write_dump(
        folder / "app",
        {
            "projects": projects,
            "notes": [{"_id": n, "projectId": n // 2, "title": f"n{n}"} for n in range(20)],
            "members": [{"_id": n, "user_id": n, "team": "t"} for n in range(2)],
            "docs": [{"_id": 0, "team": "t"}],
            "templates": [{"_id": n, "name": "t"} for n in range(3)],
        },
    )


@contextmanager
def load_application(databases: Databases, folder: Path) -> Iterator[Template]:
    """The application, loaded with its rules."""
    with databases.create_template(folder) as template:
        project = Project(template.folder, to=template.conninfo)
        write_manifest(project)
        report = project.migrate(write_documents(template.folder), confirm=confirm)
        assert report.exit_code == 0, report.findings
        yield template
