"""Access rules on tables of several schemas: `core.projects` beside `business.projects`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from bson import ObjectId
from psycopg.conninfo import make_conninfo
from tests.access.shop import Session, sign_in
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases, Template

from assise.project import Project

pytestmark = pytest.mark.contract

Query = Callable[..., list[tuple[Any, ...]]]
MANIFEST = """assise: 1
name: app
roles: {prefix: apptest}
schemas: {core: {comment: people and what is theirs}}
tables:
  core.users:
    collection: users
    primary_key: id
    access: {owner: id}
    columns: {id: {type: int4, from: _id}, mail: {type: text, personal: email}}
  core.projects:
    collection: projects
    primary_key: id
    access: {owner: user_id}
    soft_delete: {column: deleted_at, from: deletedAt, keep: 30 days}
    columns:
      id: {type: int4, from: _id}
      user_id: {type: int4, from: userId, references: core.users}
      slug: {type: text, unique: true}
  business.files:
    parent: core.projects
    from: files.*
    primary_key: [project_id, position]
    access: {through: core.projects}
    columns: {path: text}
  lines:
    parent: business.files
    from: lines.*
    primary_key: [project_id, position, line]
    access: {through: business.files}
    columns: {text: text}
  business.projects:
    collection: tasks
    primary_key: id
    access: {through: core.projects}
    soft_delete: true
    columns:
      id: {type: int4, from: _id}
      project_id: {type: int4, from: projectId, references: core.projects}
  core.members:
    collection: members
    primary_key: id
    access: none
    columns: {id: {type: int4, from: _id}, user_id: int4, team: text}
  business.docs:
    collection: docs
    primary_key: id
    access: {members: {table: core.members, user: user_id, group: team}}
    columns: {id: {type: int4, from: _id}, team: text}
  public.templates:
    collection: templates
    primary_key: id
    access: {public: read}
    columns: {id: {type: int4, from: _id}}
"""
DELETED = datetime(2024, 1, 2, tzinfo=UTC)
TABLES = (
    "core.users",
    "core.projects",
    "business.files",
    "lines",
    "business.projects",
    "business.docs",
    "templates",
)
OF_A_USER = dict(zip(TABLES, (1, 4, 8, 8, 8, 1, 3), strict=True))
"""How many rows user 0 sees."""

OF_A_PROJECT = {"core.projects": 1, "business.files": 2, "lines": 2, "business.projects": 2}


def write_documents(folder: Path) -> Path:
    """Projects 0 to 9 of users 0 and 1, of which 8 and 9 arrive deleted."""
    files = [{"path": "x", "lines": [{"text": "a"}, {"text": "b"}]}, {"path": "y", "lines": []}]
    projects: list[dict[str, Any]] = [
        {"_id": n, "userId": n % 2, "slug": f"p{n}", "files": files} for n in range(10)
    ]
    for project in projects[8:]:
        project["deletedAt"] = DELETED
    return write_dump(
        folder / "app",
        {
            "users": [{"_id": n, "mail": f"{n}@example.org"} for n in range(2)],
            "projects": projects,
            "tasks": [{"_id": n, "projectId": n // 2} for n in range(20)],
            "members": [{"_id": n, "user_id": n, "team": f"t{n}"} for n in range(2)],
            "docs": [{"_id": n, "team": f"t{n}"} for n in range(2)],
            "templates": [{"_id": n} for n in range(3)],
        },
    )


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The application, loaded with its rules."""
    with databases.create_template(tmp_path_factory.mktemp("schemas")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MANIFEST)
        report = project.migrate(write_documents(template.folder), confirm=confirm)
        assert report.exit_code == 0, report.findings
        yield template


def seen(session: Session) -> dict[str, int]:
    """How many rows of each table a session sees."""
    rows = {}
    for table in TABLES:
        row = session.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        rows[table] = row[0] if row else 0
    return rows


def call(session: Session, function: str, *key: int) -> dict[str, int]:
    """What a function says of the row with a key."""
    row = session.execute(
        f"SELECT {function}({', '.join(['%s'] * len(key))})".encode(), key
    ).fetchone()
    assert row is not None
    found: dict[str, int] = row[0]
    return found


@pytest.mark.usefixtures("ruled")
def test_users_see_their_rows_in_every_schema(database: str) -> None:
    for user in range(2):
        with sign_in(database, user) as session:
            assert seen(session) == OF_A_USER
            own = session.execute("SELECT DISTINCT user_id FROM core.projects").fetchall()
            assert own == [(user,)]
            assert session.execute("SELECT team FROM business.docs").fetchall() == [(f"t{user}",)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute("SELECT FROM core.members")
    with sign_in(database) as session:
        assert seen(session) == {**dict.fromkeys(TABLES, 0), "templates": 3}
    with sign_in(database, role="auth") as session:
        assert session.execute("SELECT count(*) FROM core.users").fetchone() == (2,)


@pytest.mark.usefixtures("ruled")
def test_rows_go_with_their_parents_from_schema_to_schema(database: str) -> None:
    with sign_in(database, 0) as session:
        session.execute("INSERT INTO business.files (project_id, position) VALUES (2, 7)")
        session.execute("INSERT INTO business.projects (id, project_id) VALUES (100, 2)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("INSERT INTO business.files (project_id, position) VALUES (1, 7)")
    with sign_in(database, role="worker") as session:
        session.execute("UPDATE core.projects SET user_id = 1 WHERE id = 2")
        for table in ("business.files", "lines", "business.projects"):
            rows = f"SELECT DISTINCT user_id FROM {table} WHERE project_id = 2"
            assert session.execute(rows.encode()).fetchall() == [(1,)], table


@pytest.mark.usefixtures("ruled")
def test_a_row_is_deleted_and_restored_with_its_children(database: str) -> None:
    with sign_in(database, 0) as session:
        assert call(session, "core.projects_delete", 2) == OF_A_PROJECT
        assert seen(session) == {
            name: n - OF_A_PROJECT.get(name, 0) for name, n in OF_A_USER.items()
        }
        assert call(session, "core.projects_restore", 2) == OF_A_PROJECT
        assert seen(session) == OF_A_USER
        assert call(session, "business.projects_delete", 4) == {"business.projects": 1}
        assert call(session, "core.projects_delete", 3) == {"core.projects": 0}


def test_all_lies_in_the_schemas_of_the_tables(ruled: Project, query: Query, database: str) -> None:
    """Policies, triggers and functions work without the schema `assise`, and call nothing there."""
    functions = """SELECT pronamespace::regnamespace::text, regexp_replace(proname, '_[0-9a-f]{8}$', '')
        FROM pg_proc WHERE pronamespace::regnamespace::text IN ('core', 'business', 'public') ORDER BY 1, 2"""
    assert query(functions) == [
        ("business", "_copy_files__core_projects"),
        ("business", "_copy_projects__core_projects"),
        ("business", "_move__lines__files"),
        ("business", "projects_delete"),
        ("business", "projects_restore"),
        ("core", "_memberships_members__user_id__team"),
        ("core", "_move_business_files__projects"),
        ("core", "_move_business_projects__projects"),
        ("core", "projects_delete"),
        ("core", "projects_restore"),
        ("public", "_copy_lines__business_files"),
    ]
    calls = """SELECT DISTINCT pronamespace = relnamespace FROM pg_trigger
        JOIN pg_class AS c ON c.oid = tgrelid JOIN pg_proc AS p ON p.oid = tgfoid
        WHERE NOT tgisinternal"""
    assert query(calls) == [(True,)]
    query("DROP SCHEMA assise CASCADE")
    with sign_in(database, 0) as session:
        assert seen(session) == OF_A_USER
        assert call(session, "core.projects_delete", 2) == OF_A_PROJECT
        session.execute("INSERT INTO business.projects (id, project_id) VALUES (100, 4)")
    del ruled


GAPS = [
    (
        "CREATE TABLE core.bare (id int); GRANT SELECT ON core.bare TO apptest_app",
        "table_without_rules",
        "core.bare",
    ),
    (
        "ALTER TABLE business.projects DISABLE ROW LEVEL SECURITY",
        "rule_not_applied",
        "business.projects",
    ),
    (
        "ALTER POLICY app_read ON core.projects USING (true)",
        "rule_altered",
        "app_read of core.projects",
    ),
    (
        "ALTER POLICY app_read ON templates USING (false)",
        "rule_altered",
        "app_read of public.templates",
    ),
    ("DROP FUNCTION core.projects_delete", "rule_altered", "core.projects_delete"),
    (
        "CREATE POLICY more ON business.projects USING (true)",
        "policy_of_others",
        "business.projects",
    ),
    ("CREATE VIEW seen AS SELECT * FROM business.docs", "view_around_rules", "seen"),
    (
        (
            "CREATE FUNCTION business._memberships_members__user_id__team() RETURNS int LANGUAGE sql"
            " SECURITY DEFINER AS 'SELECT 1'"
        ),
        "function_around_rules",
        "business._memberships_members__user_id__team()",
    ),
    ("GRANT TRUNCATE ON business.docs TO apptest_app", "grant_around_rules", "business.docs"),
    ("GRANT SELECT ON core.users TO apptest_readonly", "personal_column_shown", "core.users.mail"),
    (
        "SET session_replication_role = replica; UPDATE business.files SET user_id = NULL",
        "copy_not_filled",
        "business.files",
    ),
]


@pytest.mark.parametrize(("statement", "check", "place"), GAPS)
def test_what_goes_around_the_rules_is_found_in_every_schema(
    ruled: Project, query: Query, statement: str, check: str, place: str
) -> None:
    assert ruled.access.check() == []
    query(statement)
    assert (check, place) in [(each.check, each.object) for each in ruled.access.check()]


def test_a_table_of_another_schema_is_explained(ruled: Project) -> None:
    found = ruled.access.explain("business.projects", user_id=0)
    assert (found.rows, found.of) == (8, 20)
    assert found.first == ["0", "1", "4", "5", "8"]
    assert next(each.name for each in found.policies) == "app_read"


def test_rules_are_kept_changed_and_undone(ruled: Project, query: Query, database: str) -> None:
    made = "SELECT xmin::text FROM assise.rule ORDER BY position"
    before = query(made)
    ruled.load()
    assert query(made) == before
    ruled.path.write_text(MANIFEST.replace("access: {public: read}", "access: none"))
    ruled.load()
    with sign_in(database, 0) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute("SELECT FROM templates")
    assert ruled.verify().exit_code == 0
    query("DELETE FROM business.files WHERE project_id = 4")
    assert ruled.repair(replace=["business.files"], confirm=confirm).is_done
    with sign_in(database, 0) as session:
        rows = session.execute("SELECT count(*) FROM business.files").fetchone()
        assert rows == (8,)
    assert ruled.undo(dry_run=True).schemas == ["business", "core"]
    assert ruled.undo(confirm=confirm).schemas == ["business", "core"]
    left = """SELECT nspname::text FROM pg_namespace
        WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"""
    assert query(left) == [("public",)]


def test_the_script_makes_the_same(ruled: Project, databases: Databases) -> None:
    conninfo = databases.create()
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(ruled.schema_sql().encode())
            connection.execute("INSERT INTO core.users (id) VALUES (0), (1)")
            connection.execute("INSERT INTO core.projects (id, user_id) VALUES (0, 0), (1, 1)")
            connection.execute(
                "INSERT INTO business.projects (id, project_id) VALUES (0, 0), (1, 1)"
            )
        with sign_in(conninfo, 1) as session:
            rows = session.execute("SELECT id, user_id FROM business.projects").fetchall()
            assert rows == [(1, 1)]
    finally:
        databases.drop(conninfo)


def test_without_roles_rules_bind_the_owner_in_every_schema(
    project: Project, query: Query, database: str, tmp_path: Path
) -> None:
    query("DROP ROLE IF EXISTS hosted")
    query("CREATE ROLE hosted LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS")
    query(f"GRANT CREATE ON DATABASE {query('SELECT current_database()')[0][0]} TO hosted")
    query("GRANT CREATE ON SCHEMA public TO hosted")
    hosted = Project(project.path, to=make_conninfo(database, user="hosted"))
    lines = [
        line.replace("{type: text, personal: email}", "text")
        for line in MANIFEST.replace("{prefix: apptest}", "none").splitlines()
        if "soft_delete" not in line
    ]
    hosted.path.write_text("\n".join(lines) + "\n")
    assert hosted.migrate(write_documents(tmp_path), confirm=confirm).exit_code == 0
    with hosted.session(user_id=0) as db:
        assert db.fetch_value("SELECT count(*) FROM business.projects") == 10
        assert db.fetch_value("SELECT count(*) FROM lines") == 10
        assert db.fetch_value("SELECT string_agg(team, '') FROM business.docs") == "t0"
    assert query("SELECT count(*) FROM business.projects") == [(20,)]
    assert hosted.access.check() == []
    assert hosted.undo(confirm=confirm).schemas == ["business", "core"]
    query("DROP OWNED BY hosted; DROP ROLE hosted")


def test_keys_are_made_where_public_is_closed_and_has_no_table(
    project: Project, tmp_path: Path, database: str, query: Query
) -> None:
    """The functions of keys stand in public, which an application calls without a schema."""
    project.path.write_text(
        "assise: 1\nname: app\nroles: {prefix: apptest}\ntables:\n  core.notes:\n"
        "    collection: notes\n    primary_key: id\n    access: {owner: user_id}\n"
        "    columns: {id: {type: uuid, from: _id}, user_id: int4}\n"
    )
    query("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    key = ObjectId("507f1f77bcf86cd799430007")
    dump = write_dump(tmp_path / "app", {"notes": [{"_id": key, "user_id": 1}]})
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    places = (
        "SELECT DISTINCT pronamespace::regnamespace::text FROM pg_proc WHERE proname ~ 'objectid'"
    )
    assert query(places) == [("public",)]
    with sign_in(database, 1) as session:
        session.execute("INSERT INTO core.notes (user_id) VALUES (1)")
        find = "SELECT count(*) FROM core.notes WHERE id = objectid_to_uuid(%s)"
        assert session.execute(find, [str(key)]).fetchone() == (1,)
        assert session.execute("SELECT count(*) FROM core.notes").fetchone() == (2,)
