"""What `api:` and `identity:` are in the database: made in place, changed, checked, taken away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.api.scene import MANIFEST
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template

from assise.errors import ManifestError
from assise.manifest.read import parse_manifest
from assise.project import Project

OURS = """SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace"""
GRANTED = """SELECT column_name::text FROM information_schema.column_privileges
    WHERE grantee = 'apihttp_app' AND table_name = 'projects' AND privilege_type = %s ORDER BY 1"""


@pytest.fixture
def project(scene: Template, databases: Databases, tmp_path: Path) -> Iterator[Project]:
    """A copy of the application."""
    conninfo = databases.create(scene.database)
    yield scene.copy(tmp_path / "copy", conninfo)
    databases.drop(conninfo)


def granted(project: Project, privilege: str) -> list[str]:
    with project.connect(project.manifest) as connection:
        query = GRANTED.replace("%s", f"'{privilege}'")
        return [str(name) for (name,) in connection.execute(query)]


def test_grants_follow_the_manifest_in_place(project: Project) -> None:
    update = ["code", "data", "due_at", "name", "price", "stars", "status", "tags"]
    assert granted(project, "UPDATE") == update
    assert granted(project, "INSERT") == sorted([*update, "id", "user_id", "user_ref"])
    assert not {"secret", "_extra"} & {*granted(project, "SELECT")}
    text = project.path.read_text().replace("update: [name, status, stars,", "update: [stars,")
    project.path.write_text(text)
    project.load()
    assert granted(project, "UPDATE") == [each for each in update if each not in {"name", "status"}]


def test_what_is_served_is_no_way_around_the_rules(project: Project) -> None:
    assert [(gap.check, gap.object) for gap in project.access.check()] == []


def test_undo_takes_away_what_was_made(project: Project) -> None:
    with project.connect(project.manifest) as connection:
        assert "api_requests" in {name for (name,) in connection.execute(OURS)}
    project.undo(confirm=confirm)
    with project.connect(project.manifest) as connection:
        assert connection.execute(OURS) == []


def test_old_requests_are_forgotten_by_the_worker(project: Project) -> None:
    row = "INSERT INTO api_requests VALUES ('u', 'POST', 'r', '{0}', '', 201, '{{}}', now() - interval '{0}')"
    with psycopg.connect(str(project.workspace.to)) as connection:
        for age in ("23 hours", "25 hours"):
            connection.execute(row.format(age).encode())
    done = project.work(is_once=True)
    assert done.failed == []
    assert ("purge requests", "1 request forgotten") in done.done
    with psycopg.connect(str(project.workspace.to)) as connection:
        rows = connection.execute("SELECT key FROM api_requests").fetchall()
    assert rows == [("23 hours",)]


WRONG = {
    "create: [name, status,": ("create: [name, user_id, status,", "user_id: says whose the row is"),
    "update: [name]": ("update: [name, id]", "id: says whose the row is"),
    "update: [name, status,": ("update: [name, created_at, status,", "created_at: says when"),
    "update: [path, size], delete": ("update: [path, position], delete", "position: is the key"),
    "update: [path, size]": ("update: [path, _extra]", "_extra: is kept by Assise"),
    "read: [title]": ("read: [titel]", "titel: is not a column of this table"),
    "filter: [title]": ("filter: [title], update: [title]", "no user may write"),
    "delete: true}": ("delete: true, restore: true}", "needs soft_delete"),
    "api: {read: all, create: [path": ("api: {create: [path", "read: is missing"),
    "audience: app": ('audience: ""', "audience: is missing"),
    "secret: ": ("jwks: x, secret: ", "has jwks, secret"),
    "roles: {map: {boss: admin}}": ("roles: {map: {boss: king}}", "is no role"),
    "audience: app,": ("audience: app, match: users.nothing,", "is not a column"),
    "audience: app, ": ("audience: app, user: email, ", "is no key of a user"),
    "identity:": ("http: {rate_limit: often}\nidentity:", "is no rate"),
    "identity: ": ("http: {origins: [example.org]}\nidentity: ", "is no origin"),
}


@pytest.mark.parametrize("old", WRONG)
def test_a_key_that_cannot_be_is_refused_with_line_and_remedy(old: str) -> None:
    new, message = WRONG[old]
    assert old in MANIFEST
    with pytest.raises(ManifestError) as caught:
        parse_manifest(MANIFEST.replace(old, new, 1))
    assert message in caught.value.message
    assert caught.value.remedy or "\n" in str(caught.value)
    assert "nobody else knows" not in str(caught.value)


def test_the_grants_are_printed_without_a_server(project: Project) -> None:
    script = project.schema_sql()
    assert 'GRANT SELECT ("id", "name", ' in script
    assert "api_requests" in script
    with psycopg.connect(str(project.workspace.to)) as connection:
        row = connection.execute("SELECT count(*) FROM api_requests").fetchone()
    assert row == (0,)
