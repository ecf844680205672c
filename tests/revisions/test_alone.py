"""A database that revisions alone have made, of a manifest whose tables documents could fill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.api.scene import MANIFEST, Client, serve, user_id
from tests.dumps import confirm, write_dump
from tests.revisions.changing import change, revise
from tests.scenes.databases import Databases

from assise.errors import ChangedError, EditedError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
pytestmark = pytest.mark.contract
PUBLIC = "{}namespace = 'public'::regnamespace"


@pytest.fixture
def alone(tmp_path: Path, database: str) -> Project:
    """The application over HTTP, whose tables the first revision has made."""
    project = Project(tmp_path, to=database)
    project.path.write_text(MANIFEST)
    project.revisions().revise("start")
    assert project.revisions().apply().steps
    return project


def test_its_rows_are_audited_later_and_the_worker_seals_them(
    alone: Project, query: Query, short_folder: Path
) -> None:
    change(alone, "    access: {owner: id}\n", "    access: {owner: id}\n    audit: true\n")
    alone.revisions().apply()
    query("INSERT INTO users (id, name) VALUES (%s, 'Ann')", [user_id(0)])
    assert ("seal the audit log", "1 line sealed") in alone.work(is_once=True).done
    report = alone.audit.check()
    assert (report.findings, report.exit_code) == ([], 0)
    assert [line.op for line in alone.audit.log("users", [user_id(0)]).lines] == ["i"]
    with serve(alone.path.parent, str(alone.workspace.to), short_folder / "a.sock") as client:
        assert _names(client) == ["Ann"]
    assert [gap for gap in alone.access.check() if gap.object == "users"] == []


def _names(client: Client) -> list[str]:
    return [row["name"] for row in client.get(0, "/api/users").json()["items"]]


def test_it_goes_on_by_revisions_and_what_needs_documents_says_why_not(
    alone: Project, query: Query, tmp_path: Path, databases: Databases
) -> None:
    change(alone, "      name: text\n", "      name: {type: text, comment: full}\n")
    revise(alone, "name")
    assert alone.revisions().apply().steps == {"0002 name": 1}
    change(alone, "code: {type: varchar(5)", "code: {type: varchar(9)")
    revise(alone, "longer")
    assert alone.revisions().apply().steps == {"0003 longer": 1}
    assert alone.revisions().status().exit_code == 0
    names = ("users", "projects", "templates", "notes")
    dump = write_dump(tmp_path / "app", {name: [] for name in names})
    says = "revision 0001 start has made the tables of 'app', and no documents"
    verbs = (alone.verify, alone.repair, alone.load, lambda: alone.load(dump), alone.migrate)
    for verb in (*verbs, lambda: alone.migrate(dump), lambda: alone.export("users", print)):
        with pytest.raises(ChangedError, match=says) as refused:
            verb()
        assert "an empty database" in refused.value.remedy
    assert query("SELECT count(*) FROM users") == [(0,)]
    other = databases.create()
    fresh = Project(tmp_path, to=other)
    assert fresh.migrate(dump, confirm=confirm).exit_code == 0
    assert fresh.revisions().status().exit_code == 0
    databases.drop(other)


def test_undo_drops_what_it_has_made_and_asks_for_rows(alone: Project, query: Query) -> None:
    query("INSERT INTO users (id) VALUES (%s)", [user_id(0)])
    query("CREATE FUNCTION theirs() RETURNS int RETURN 1")
    with pytest.raises(EditedError, match="users: 1 row changed"):
        alone.undo(confirm=confirm)
    alone.undo(replace=alone.manifest.tables, confirm=confirm)
    assert query(f"SELECT relname FROM pg_class WHERE {PUBLIC.format('rel')}") == []
    assert query(f"SELECT proname FROM pg_proc WHERE {PUBLIC.format('pro')}") == [("theirs",)]
    assert query("SELECT to_regnamespace('assise')") == [(None,)]


def test_a_load_that_a_revision_has_closed_has_its_worker_and_its_log(
    alone: Project, query: Query, database: str
) -> None:
    query("UPDATE assise.load SET source = '/a/dump'")
    change(alone, "    access: {owner: id}\n", "    access: {owner: id}\n    audit: true\n")
    alone.revisions().apply()
    with psycopg.connect(database) as other:
        other.execute("INSERT INTO users (id) VALUES (%s)", [user_id(1)])
    assert ("seal the audit log", "1 line sealed") in alone.work(is_once=True).done
    assert alone.audit.check().findings == []
    with pytest.raises(ChangedError, match="was closed by revision 0001 start"):
        alone.undo()
