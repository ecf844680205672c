"""`roles: none`: one login, which owns the tables and may make no roles, and which rules bind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.access.shop import PROJECTS, RULES, USERS, write_manifest, write_plain
from tests.dumps import confirm

from assise.app import App
from assise.errors import AssiseError, ManifestError, TargetError
from assise.postgres.embedded import Embedded
from assise.project import Project

pytestmark = pytest.mark.contract

OWN = "SELECT count(*) FROM projects"
NONE = "roles: none"
Query = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def hosted(project: Project, query: Query, database: str, dump: Path) -> Project:
    """The application on a server that gives its user one login: no superuser, no CREATEROLE."""
    query("DROP ROLE IF EXISTS hosted")
    query("CREATE ROLE hosted LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS")
    query(f"GRANT CREATE ON DATABASE {query('SELECT current_database()')[0][0]} TO hosted")
    query("GRANT CREATE ON SCHEMA public TO hosted")
    hosted = Project(project.path, to=make_conninfo(database, user="hosted"))
    write_manifest(hosted, roles=NONE)
    assert hosted.migrate(dump, confirm=confirm).exit_code == 0
    return hosted


@pytest.fixture
def owned(hosted: Project, database: str) -> Callable[..., Any]:
    """Runs SQL as the login, without the settings of a session."""

    def run(statement: str) -> list[tuple[object, ...]]:
        conninfo = make_conninfo(database, user="hosted")
        with psycopg.connect(conninfo, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    del hosted
    return run


def test_rules_bind_the_owner_and_its_commands_see_all(
    hosted: Project, owned: Callable[..., Any], dump: Path
) -> None:
    assert owned(OWN) == [(0,)]
    assert hosted.verify().exit_code == 0
    for user in range(USERS):
        with hosted.session(user_id=user) as db:
            ids = {row["id"] for row in db.fetch("SELECT id FROM projects")}
            assert ids == {n for n in range(PROJECTS) if n % USERS == user}
            files = db.fetch_value("SELECT count(*) FROM files")
            assert files == sum(n % 3 for n in ids)
    with hosted.session(user_id=0) as db:
        assert {row["team"] for row in db.fetch("SELECT team FROM docs")} == {"team 0", "team 1"}
    assert owned("SELECT count(*) FROM templates") == [(3,)]
    documents: list[bytes] = []
    hosted.export("projects", documents.append)
    assert len(documents) == PROJECTS + 1
    owned("SET app.role = 'owner'; DELETE FROM lines WHERE project_id = 2 AND position = 0")
    assert hosted.verify().exit_code == 3
    assert hosted.repair(replace=["lines"], confirm=confirm).is_done
    with hosted.session(user_id=2) as db:
        assert db.fetch_value("SELECT count(*) FROM lines WHERE project_id = 2") == 3
    assert hosted.load().was_done
    write_plain(hosted)
    hosted.load()
    assert owned(OWN) == [(PROJECTS + 1,)]
    write_manifest(hosted, roles=NONE)
    hosted.load()
    assert hosted.undo(confirm=confirm).is_done
    assert hosted.migrate(dump, confirm=confirm).exit_code == 0


def test_the_application_uses_the_login_and_other_roles_see_all(hosted: Project) -> None:
    async def use() -> None:
        async with App(hosted.path, urls={"app": url, "worker": url, "auth": url}) as app:
            async with app.session(user_id=1) as db:
                assert await db.fetch_value(OWN) == PROJECTS // USERS
                assert await db.fetch_value("SELECT current_user") == "hosted"
            async with app.session(role="worker") as db:
                assert await db.fetch_value(OWN) == PROJECTS + 1
            async with app.session(role="auth") as db:
                assert await db.fetch_value("SELECT count(*) FROM users") == USERS
                assert await db.fetch_value(OWN) == 0
            async with app.session() as db:
                assert await db.fetch_value(OWN) == 0

    url = str(hosted.workspace.to)
    asyncio.run(use())
    with hosted.session(role="readonly") as db:
        assert db.fetch_value(OWN) == PROJECTS + 1
        assert db.execute("UPDATE projects SET name = 'x'") == 0


def test_triggers_see_the_parents_of_others_and_leave_the_session_its_role(
    hosted: Project,
) -> None:
    """A parent that its child's writer does not see is found; afterwards rules bind as before."""
    with hosted.session(user_id=1) as db:
        db.execute("INSERT INTO projects (id, user_id) VALUES (900, 1)")
        db.execute("INSERT INTO files (project_id, position) VALUES (900, 0)")
        assert db.fetch_value("SELECT user_id FROM files WHERE project_id = 900") == 1
        assert db.fetch_value("SELECT current_setting('app.role')") == ""
        assert db.fetch_value(OWN) == PROJECTS // USERS + 1
        db.execute("SAVEPOINT a")
        with pytest.raises(TargetError, match="row-level security"):
            db.execute("INSERT INTO files (project_id, position) VALUES (2, 9)")
        db.execute("ROLLBACK TO a")
        with pytest.raises(TargetError, match="without its row in projects"):
            db.execute("INSERT INTO files (project_id, position) VALUES (901, 9)")
        db.execute("ROLLBACK TO a")
        assert db.fetch_value(OWN) == PROJECTS // USERS + 1
    with hosted.session(role="worker") as db:
        db.execute("UPDATE projects SET user_id = 4 WHERE id = 2")
        moved = "SELECT DISTINCT user_id FROM lines WHERE project_id = 2"
        assert db.fetch(moved) == [{"user_id": 4}]
        assert db.fetch_value("SELECT current_setting('app.role')") == "worker"


LOSSES = [
    "DROP POLICY owner ON projects",
    "ALTER POLICY owner ON projects USING (user_id = 1)",
    "ALTER POLICY owner ON files TO pg_monitor",
    "CREATE POLICY fewer ON projects AS RESTRICTIVE USING (id < 5)",
    "CREATE TABLE other (); ALTER TABLE other ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
]


@pytest.mark.parametrize("statement", LOSSES)
def test_a_command_that_does_not_see_all_rows_fails_and_calls_nothing_missing(
    hosted: Project, owned: Callable[..., Any], statement: str
) -> None:
    owned(statement)
    for act in (hosted.verify, lambda: hosted.export("projects", list[bytes]().append)):
        with pytest.raises(AssiseError, match="row-level security policy") as caught:
            act()
        assert caught.value.exit_code == 1


def test_a_policy_that_is_lost_is_made_again(hosted: Project, owned: Callable[..., Any]) -> None:
    for statement in (
        "DROP POLICY owner ON projects",
        "ALTER TABLE files NO FORCE ROW LEVEL SECURITY",
    ):
        owned(statement)
        hosted.load()
        assert hosted.verify().exit_code == 0
        assert owned("SELECT count(*) FROM files") == [(0,)]


def test_a_membership_table_may_be_ruled_by_itself(hosted: Project) -> None:
    text = hosted.path.read_text()
    rule = "access: {members: {table: members, user: user_id, group: team}}"
    hosted.path.write_text(text.replace("  members:\n", f"  members:\n    {rule}\n"))
    hosted.load()
    with hosted.session(user_id=0) as db:
        assert db.fetch_value("SELECT count(*) FROM members") == 3
    with hosted.session(user_id=1) as db:
        assert db.fetch_value("SELECT count(*) FROM members") == 2
    assert hosted.verify().exit_code == 0


def test_a_login_whose_tables_are_not_forced_is_refused(
    hosted: Project, owned: Callable[..., Any]
) -> None:
    owned("ALTER TABLE files NO FORCE ROW LEVEL SECURITY")
    with pytest.raises(TargetError, match="'hosted' owns files"):
        hosted.session(user_id=1).__enter__()


def test_rules_hold_without_the_schema_assise(hosted: Project, owned: Callable[..., Any]) -> None:
    owned("DROP SCHEMA assise CASCADE")
    with hosted.session(user_id=0) as db:
        assert db.fetch_value(OWN) == PROJECTS // USERS
        assert db.fetch_value("SELECT count(*) FROM docs") == 6
        db.execute("INSERT INTO projects (id, user_id) VALUES (900, 0)")
        db.execute("INSERT INTO files (project_id, position) VALUES (900, 0)")
        assert db.fetch_value("SELECT user_id FROM files WHERE project_id = 900") == 0


def test_check_and_explain_know_forced_tables(hosted: Project, owned: Callable[..., Any]) -> None:
    assert [each.object for each in hosted.access.check()] == ["members"]
    owned("CREATE VIEW seen AS SELECT * FROM docs; ALTER TABLE files NO FORCE ROW LEVEL SECURITY")
    found = [(each.check, each.object) for each in hosted.access.check()]
    assert found == [("table_without_rules", "members"), ("rule_not_applied", "files")]
    hosted.load()
    shown = hosted.access.explain("projects", user_id=1)
    assert (shown.rows, shown.of) == (PROJECTS // USERS, PROJECTS + 1)
    assert "owner" in {policy.name for policy in shown.policies}


def test_the_login_is_that_of_the_application_or_of_the_commands(
    tmp_path: Path, embedded_server: Embedded
) -> None:
    write_manifest(Project(tmp_path), roles=NONE)
    (tmp_path / ".assise").symlink_to(embedded_server.folder)
    text, workspace = (tmp_path / "assise.yaml").read_text(), Project(tmp_path).workspace
    assert workspace.login(workspace.manifest(), "worker") == embedded_server.conninfo("app")
    for server, login in (
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ('{main: {url: "postgresql://u@h/d"}}', "postgresql://u@h/d"),
        ('{main: {url: "postgresql://u@h/d", app: "postgresql://a@h/d"}}', "postgresql://a@h/d"),
    ):
        (tmp_path / "assise.yaml").write_text(f"{text}postgres: {server}\n")
        assert workspace.login(workspace.manifest(), "worker") == login


def test_what_needs_roles_is_refused_without_them(project: Project) -> None:
    users = "  users:\n    collection: users\n    primary_key: id\n    columns: {id: {type: int4, from: _id}, name: "
    text = f"assise: 1\nname: app\nroles: none\ntables:\n{users}{{type: text, personal: name}}}}\n"
    project.path.write_text(text)
    with pytest.raises(ManifestError, match=r"columns\.name\.personal: needs roles"):
        _ = project.manifest
    project.path.write_text(text.replace("{type: text, personal: name}", "text"))
    assert project.manifest.tables
    deleted = "    access: {owner: id}\n    soft_delete: true\n    columns: {id: {type: int4, from: _id}}\n"
    project.path.write_text(text[: text.index("    columns")] + deleted)
    with pytest.raises(ManifestError, match=r"users\.soft_delete: needs roles"):
        _ = project.manifest
    for roles in ("roles: {}", "roles: {are_none: true}", "roles: some"):
        project.path.write_text(text.replace("roles: none", roles))
        with pytest.raises(ManifestError, match="roles"):
            _ = project.manifest


def test_the_schema_is_printed_without_roles(project: Project) -> None:
    write_manifest(project, roles=NONE)
    text = project.schema_sql()
    assert "CREATE ROLE" not in text
    assert "OWNER TO" not in text
    assert text.count("FORCE ROW LEVEL SECURITY") == len(RULES)
