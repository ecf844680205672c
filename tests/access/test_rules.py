"""Access rules in the server: who sees and writes which rows, and what the main job leaves right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.access.shop import (
    PLAIN,
    PROJECTS,
    RULES,
    USERS,
    count,
    counts,
    list_queries,
    write_manifest,
    write_plain,
)
from tests.dumps import confirm

from assise.errors import EditedError, ManifestError, TargetError, UsageError
from assise.project import Project

pytestmark = pytest.mark.contract

Query = Callable[..., list[tuple[object, ...]]]


@pytest.mark.usefixtures("ruled")
def test_a_user_sees_exactly_its_rows(sign_in: Callable[..., Any], query: Query) -> None:
    total = {"files": 0, "lines": 0, "notes": 0}
    for user in range(USERS):
        with sign_in(user) as session:
            found = counts(session)
            ids = {row[0] for row in session.execute("SELECT id FROM projects").fetchall()}
        assert ids == {n for n in range(PROJECTS) if n % USERS == user}
        own = f"(SELECT id FROM projects WHERE user_id = {user})"
        for table in total:
            ((expected,),) = query(f"SELECT count(*) FROM {table} WHERE project_id IN {own}")
            assert found[table] == expected
            total[table] += found[table]
        assert found["users"] == 1
        assert found["docs"] == {0: 6, 1: 3}.get(user, 0)
        assert found["templates"] == 3
    assert min(total.values()) > 0


@pytest.mark.usefixtures("ruled")
def test_without_a_user_only_public_rows_are_seen(sign_in: Callable[..., Any]) -> None:
    with sign_in() as session:
        assert counts(session) == {**dict.fromkeys(RULES, 0), "templates": 3}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SELECT FROM members")


@pytest.mark.usefixtures("ruled")
def test_a_session_that_never_names_a_user_sees_only_public_rows(database: str) -> None:
    with psycopg.connect(make_conninfo(database, user="apptest_app")) as session:
        assert counts(session) == {**dict.fromkeys(RULES, 0), "templates": 3}


@pytest.mark.usefixtures("ruled")
def test_an_id_of_the_wrong_form_raises(sign_in: Callable[..., Any]) -> None:
    with sign_in("x' or true --") as session, pytest.raises(psycopg.errors.DataError):
        count(session, "projects")


REFUSED = [
    "INSERT INTO projects (id, user_id) VALUES (900, 2)",
    "UPDATE projects SET user_id = 2 WHERE id = 1",
    "INSERT INTO files (project_id, position) VALUES (2, 7)",
    "UPDATE files SET project_id = 2, position = 9 WHERE project_id = 1",
    "INSERT INTO docs (id, team) VALUES (900, 'team 0')",
    "INSERT INTO templates (tenant) VALUES ('t1')",
    "INSERT INTO projects (id, user_id) VALUES (2, 1) ON CONFLICT (id) DO UPDATE SET name = 'x'",
    "INSERT INTO projects (id, user_id) SELECT 901, 2",
    "COPY projects (id, user_id) FROM STDIN",
    "TRUNCATE projects",
    "ALTER TABLE projects DISABLE ROW LEVEL SECURITY",
    "SET ROLE apptest_owner",
    "SET ROLE apptest_admin",
    "SELECT FROM assise.load",
]


@pytest.mark.usefixtures("ruled")
@pytest.mark.parametrize("statement", REFUSED)
def test_rows_of_others_are_not_written(sign_in: Callable[..., Any], statement: str) -> None:
    refused = (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported)
    with sign_in(1, tenant="t0") as session, pytest.raises(refused):
        session.execute(statement)


SILENT = [
    "UPDATE projects SET name = 'x' WHERE id = 2",
    "DELETE FROM projects WHERE user_id = 2",
    "DELETE FROM files WHERE project_id = 2",
    "UPDATE docs SET team = 'team 1' WHERE team = 'team 0'",
    "DELETE FROM templates WHERE tenant = 't1'",
]


@pytest.mark.usefixtures("ruled")
@pytest.mark.parametrize("statement", SILENT)
def test_rows_that_are_not_seen_are_not_changed(
    sign_in: Callable[..., Any], statement: str
) -> None:
    with sign_in(1, tenant="t0") as session:
        assert session.execute(statement).rowcount == 0


@pytest.mark.usefixtures("ruled")
def test_a_user_writes_its_own_rows_and_children_get_the_key(
    sign_in: Callable[..., Any],
) -> None:
    with sign_in(1, tenant="t0") as session:
        session.execute("INSERT INTO projects (id, user_id, name) VALUES (900, 1, 'new')")
        session.execute("INSERT INTO files (project_id, position, user_id) VALUES (900, 0, 3)")
        session.execute("INSERT INTO lines (project_id, position, line) VALUES (900, 0, 0)")
        row = "SELECT f.user_id, l.user_id FROM files f JOIN lines l USING (project_id, position)"
        assert session.execute(f"{row} WHERE project_id = 900").fetchall() == [(1, 1)]
        session.execute("UPDATE files SET user_id = 3 WHERE project_id = 900")
        assert session.execute(f"{row} WHERE project_id = 900").fetchall() == [(1, 1)]
        session.execute("INSERT INTO templates (tenant) VALUES ('t0')")
        session.execute("INSERT INTO docs (id, team) VALUES (900, 'team 1')")
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            session.execute("INSERT INTO files (project_id, position) VALUES (901, 0)")


@pytest.mark.usefixtures("ruled")
def test_a_child_takes_one_query_beside_its_foreign_key(database: str) -> None:
    insert = "INSERT INTO files (project_id, position) VALUES (1, 900)"
    copied, checked = list_queries(database, insert)
    assert copied.startswith('SELECT p."user_id"')
    assert checked.startswith("SELECT 1 FROM ONLY")


@pytest.mark.usefixtures("ruled")
def test_a_row_that_references_its_parent_has_its_key(
    sign_in: Callable[..., Any], query: Query
) -> None:
    """The copy gives way to the table's own column of that name."""
    keys = "SELECT _user_id FROM notes WHERE id = %s"
    assert query(keys, (0,)) == [(None,)]
    with sign_in(1) as session:
        session.execute("INSERT INTO notes (id, project_id) VALUES (900, 1)")
        assert session.execute(keys, [900]).fetchone() == (1,)
        assert session.execute("UPDATE notes SET project_id = 6 WHERE id = 900").rowcount == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("UPDATE notes SET project_id = 2 WHERE id = 900")
    with sign_in(role="worker") as session:
        session.execute("UPDATE projects SET user_id = 4 WHERE id = 1")
        assert session.execute(keys, [2]).fetchone() == (4,)
        session.execute("UPDATE notes SET project_id = NULL WHERE id = 2")
        assert session.execute(keys, [2]).fetchone() == (None,)


@pytest.mark.usefixtures("ruled")
@pytest.mark.parametrize("owner", [3, None])
def test_children_move_with_their_parent(sign_in: Callable[..., Any], owner: int | None) -> None:
    keys = "SELECT count(*) FROM {} WHERE project_id = 2 AND user_id IS NOT DISTINCT FROM %s"
    with sign_in(role="worker") as session:
        session.execute("UPDATE projects SET user_id = %s WHERE id = 2", [owner])
        for table, number in (("files", 2), ("lines", 3)):
            assert session.execute(keys.format(table), [owner]).fetchone() == (number,)


@pytest.mark.usefixtures("ruled")
def test_a_child_that_is_inserted_while_its_parent_moves_goes_with_it(
    sign_in: Callable[..., Any], database: str
) -> None:
    moving = make_conninfo(database, user="apptest_worker", options="-c lock_timeout=200ms")
    with sign_in(role="worker") as session, psycopg.connect(moving) as other:
        session.execute("INSERT INTO files (project_id, position) VALUES (0, 9)")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("UPDATE projects SET user_id = 4 WHERE id = 0")
        other.rollback()
        other.execute("UPDATE projects SET name = 'not held up' WHERE id = 0")


@pytest.mark.usefixtures("ruled")
@pytest.mark.parametrize(
    ("role", "rows"),
    [("readonly", PROJECTS + 1), ("worker", PROJECTS + 1), ("admin", PROJECTS + 1)],
)
def test_other_roles_see_all_rows(sign_in: Callable[..., Any], role: str, rows: int) -> None:
    with sign_in(role=role) as session:
        assert count(session, "projects") == rows
        if role == "readonly":
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute("UPDATE projects SET name = 'x'")
        else:
            assert session.execute("UPDATE projects SET name = 'x'").rowcount == rows


def test_columns_of_people_are_kept_from_readers(
    ruled: Project, sign_in: Callable[..., Any]
) -> None:
    def mark(old: str, new: str) -> None:
        text = ruled.path.read_text()
        assert old in text
        ruled.path.write_text(text.replace(old, new))
        assert ruled.load().was_done

    def refuse(query: str) -> None:
        with (
            sign_in(role="readonly") as session,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            session.execute(query)

    mark("from: _id}, name: text}", "from: _id}, name: {type: text, personal: name}}")
    mark("user_id: int4, team: text}", "user_id: int4, team: {type: text, personal: team}}")
    for table, column in (("users", "name"), ("users", "_extra"), ("members", "team")):
        refuse(f"SELECT {column} FROM {table}")
    refuse("SELECT * FROM users")
    with sign_in(role="readonly") as session:
        assert session.execute("SELECT count(id) FROM users").fetchone() == (USERS,)
        assert session.execute("SELECT name FROM projects WHERE id = 1").fetchone()
    with sign_in(role="worker") as session:
        assert session.execute("SELECT name FROM users WHERE id = 1").fetchone() == ("user 1",)
    mark("{type: text, personal: name}", "text")
    with sign_in(role="readonly") as session:
        assert session.execute("SELECT name, _extra FROM users WHERE id = 1").fetchone()
    mark("team: {type: text, personal: team}", "team: text")


@pytest.mark.usefixtures("ruled")
def test_sign_up_sees_the_table_of_users_alone(sign_in: Callable[..., Any]) -> None:
    with sign_in(role="auth") as session:
        assert count(session, "users") == USERS
        session.execute("INSERT INTO users (id, name) VALUES (900, 'new')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            count(session, "projects")


@pytest.mark.usefixtures("ruled")
def test_rules_hold_without_the_schema_assise(sign_in: Callable[..., Any], query: Query) -> None:
    query("DROP SCHEMA assise CASCADE")
    with sign_in(0) as session:
        assert count(session, "projects") == PROJECTS // USERS
        assert count(session, "docs") == 6
        session.execute("INSERT INTO projects (id, user_id) VALUES (900, 0)")
        session.execute("INSERT INTO files (project_id, position) VALUES (900, 0)")
        key = "SELECT user_id FROM files WHERE project_id = 900"
        assert session.execute(key).fetchone() == (0,)
    with sign_in(role="worker") as session:
        session.execute("UPDATE projects SET user_id = 4 WHERE id = 2")
        moved = "SELECT DISTINCT user_id FROM lines WHERE project_id = 2"
        assert session.execute(moved).fetchall() == [(4,)]


def test_verify_export_repair_and_undo_stay_right(ruled: Project, query: Query, dump: Path) -> None:
    assert ruled.verify().exit_code == 0
    documents: list[bytes] = []
    ruled.export("projects", documents.append)
    assert len(documents) == PROJECTS + 1
    query("UPDATE files SET path = 'edited' WHERE project_id = 2")
    query("DELETE FROM lines WHERE project_id = 2 AND position = 0")
    repair = ruled.repair(replace=["files", "lines"], confirm=confirm)
    assert repair.is_done
    assert query("SELECT DISTINCT user_id FROM lines WHERE project_id = 2") == [(2,)]
    plan = ruled.undo(dry_run=True)
    assert [table.edits for table in plan.tables] == [[]] * len(plan.tables)
    assert ruled.undo(confirm=confirm).is_done
    assert query("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == []
    assert query("SELECT to_regnamespace('assise')::text") == [(None,)]
    assert ruled.migrate(dump, confirm=confirm).exit_code == 0
    assert query("SELECT count(*) FROM pg_policy")[0][0] != 0


def test_rules_are_added_changed_and_removed_in_place(
    project: Project, dump: Path, query: Query, sign_in: Callable[..., Any]
) -> None:
    write_plain(project)
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    query("UPDATE files SET path = 'edited' WHERE project_id = 2 AND position = 0")
    write_manifest(project)
    lines: list[str] = []
    logged = Project(project.path, to=project.workspace.to, log=lines.append)
    logged.load()
    assert "access rules: 7 tables with rules, for role apptest_app" in lines
    assert "projects: 1 row without user_id, which no user owns" in lines
    with pytest.raises(EditedError, match=r": files: 1 row changed\n"):
        project.undo(confirm=confirm)
    query("UPDATE files SET path = 'x' WHERE project_id = 2 AND position = 0")
    with sign_in(2) as session:
        assert count(session, "files") == count_files(query, 2)

    oids = query("SELECT oid FROM pg_policy ORDER BY oid")
    lines.clear()
    logged.load()
    assert not [line for line in lines if "rules" in line]
    assert query("SELECT oid FROM pg_policy ORDER BY oid") == oids

    write_manifest(project, projects="access: {owner: id}", docs="")
    logged.load()
    with sign_in(7) as session:
        assert count(session, "projects") == 1
        assert count(session, "files") == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            count(session, "docs")
    assert query("SELECT count(*) FROM pg_attribute WHERE attname = 'user_id'") == [(3,)]

    write_plain(project)
    logged.load()
    assert query("SELECT count(*) FROM pg_policy") == [(0,)]
    with sign_in(7) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        count(session, "projects")
    assert project.verify().exit_code == 0


def count_files(query: Query, user: int) -> int:
    own = f"(SELECT id FROM projects WHERE user_id = {user})"
    return int(str(query(f"SELECT count(*) FROM files WHERE project_id IN {own}")[0][0]))


@pytest.mark.parametrize(
    "statement",
    [
        "DROP POLICY app_read ON projects",
        "DROP TRIGGER _copy_files__projects ON files",
        "ALTER TABLE projects DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE projects OWNER TO current_user",
        "DROP INDEX _access_projects__user_id",
    ],
)
def test_what_is_lost_is_made_again(
    ruled: Project, query: Query, statement: str, sign_in: Callable[..., Any]
) -> None:
    catalog = """SELECT polname, pg_get_expr(polqual, polrelid), relowner, relrowsecurity
        FROM pg_policy JOIN pg_class c ON c.oid = polrelid ORDER BY relname, polname"""
    before = query(catalog)
    query(statement)
    ruled.load()
    assert query(catalog) == before
    with sign_in(1) as session:
        assert count(session, "projects") == PROJECTS // USERS


def test_a_job_that_a_rule_binds_fails_and_calls_nothing_missing(
    ruled: Project, database: str, query: Query
) -> None:
    query("GRANT USAGE ON SCHEMA assise TO apptest_admin")
    query("GRANT SELECT ON ALL TABLES IN SCHEMA assise TO apptest_admin")
    bound = Project(ruled.path, to=make_conninfo(database, user="apptest_admin"))
    with pytest.raises(TargetError, match="row-level security policy"):
        bound.verify()
    with pytest.raises(TargetError, match="row-level security policy"):
        bound.export("projects", list[bytes]().append)
    query("REVOKE ALL ON ALL TABLES IN SCHEMA assise FROM apptest_admin")
    query("REVOKE USAGE ON SCHEMA assise FROM apptest_admin")


def test_a_role_of_others_is_left_alone(project: Project, dump: Path, query: Query) -> None:
    query("CREATE ROLE other_app LOGIN")
    write_manifest(project, roles="roles: {prefix: other}")
    with pytest.raises(TargetError, match="role 'other_app' that Assise did not make") as caught:
        project.migrate(dump, confirm=confirm)
    assert "COMMENT ON ROLE \"other_app\" IS 'made by Assise'" in caught.value.remedy
    query("COMMENT ON ROLE other_app IS 'made by Assise'")
    query("ALTER ROLE other_app BYPASSRLS")
    with pytest.raises(TargetError, match="BYPASSRLS"):
        project.load()
    query("ALTER ROLE other_app NOBYPASSRLS")
    assert project.load().was_done
    assert query("SELECT relowner::regrole::text FROM pg_class WHERE relname = 'docs'") == [
        ("other_owner",)
    ]


def test_a_login_that_may_not_make_roles_is_told_what_an_administrator_runs(
    project: Project, dump: Path, query: Query, database: str
) -> None:
    query("DROP ROLE IF EXISTS humble")
    query("CREATE ROLE humble LOGIN")
    query(f"GRANT CREATE ON DATABASE {database_name(query)} TO humble")
    query("GRANT CREATE ON SCHEMA public TO humble WITH GRANT OPTION")
    humble = Project(project.path, to=make_conninfo(database, user="humble"))
    write_manifest(project, roles="roles: {prefix: humbletest}")
    with pytest.raises(TargetError, match="may not make the roles") as caught:
        humble.migrate(dump, confirm=confirm)
    for statement in caught.value.remedy.partition("\n")[2].split(";\n"):
        query(statement)
    assert humble.load().was_done
    assert humble.verify().exit_code == 0


def database_name(query: Query) -> str:
    return str(query("SELECT quote_ident(current_database())")[0][0])


def test_a_login_with_createrole_and_no_more_makes_all(
    project: Project, dump: Path, query: Query, database: str
) -> None:
    query("DROP ROLE IF EXISTS maker")
    query("CREATE ROLE maker LOGIN CREATEROLE NOSUPERUSER")
    query(f"GRANT CREATE ON DATABASE {database_name(query)} TO maker")
    query("GRANT CREATE ON SCHEMA public TO maker WITH GRANT OPTION")
    maker = Project(project.path, to=make_conninfo(database, user="maker"))
    write_manifest(project, roles="roles: {prefix: made}")
    assert maker.migrate(dump, confirm=confirm).exit_code == 0
    assert maker.load().was_done
    assert maker.verify().exit_code == 0
    with psycopg.connect(make_conninfo(database, user="made_app")) as session:
        session.execute("SELECT set_config('app.user_id', '1', true)")
        assert count(session, "projects") == PROJECTS // USERS
    assert maker.undo(confirm=confirm).is_done


WRONG = [
    ("projects", "access: {owner: owner_id}", "owner: owner_id: is not a column of projects"),
    ("projects", "access: {}", "access: has no condition"),
    ("projects", "access: {write: {public: read}}", "write.public: is no rule for writing"),
    (
        "docs",
        "access: {through: projects}",
        "through: projects: is neither the parent of this table",
    ),
    ("projects", "access: {through: projects}", "through: projects: is neither the parent"),
    ("docs", "access: {through: nothing}", "through: nothing: is not a table of this manifest"),
    (
        "docs",
        "access: {members: {table: x, user: a, group: b}}",
        "members.table: x: is not a table",
    ),
    (
        "docs",
        "access: {members: {table: members, user: user_id, group: id}}",
        None,
    ),
    (
        "projects",
        "access: {members: {table: members, user: user_id, group: user_id}}",
        None,
    ),
    ("projects", "access: {to: [public], owner: user_id}", "to.0: public: cannot be given rows"),
    ("files", "access: {owner: position}", None),
    ("files", "", "lines.access.through: files: has no access rule"),
]


@pytest.mark.parametrize(("table", "rule", "message"), WRONG)
def test_a_rule_that_cannot_be_is_refused_with_its_line(
    project: Project, table: str, rule: str, message: str | None
) -> None:
    write_manifest(project, **{table: rule})
    if message is None:
        assert project.manifest.tables
        return
    with pytest.raises(ManifestError) as caught:
        _ = project.manifest
    assert message in str(caught.value)
    assert caught.value.line
    assert caught.value.remedy


def test_roles_are_named_before_they_are_made(project: Project, dump: Path, query: Query) -> None:
    write_manifest(project, roles="roles: {prefix: unasked}")
    asked: list[str] = []

    def refuse(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(UsageError, match="not confirmed"):
        project.migrate(dump, confirm=refuse)
    assert "; and the server gets the roles unasked_…, where they are missing" in asked[0]
    assert query("SELECT count(*) FROM pg_roles WHERE rolname ~ 'unasked'") == [(0,)]


def test_rules_need_roles(project: Project) -> None:
    write_manifest(project, roles="")
    with pytest.raises(ManifestError, match="access: needs roles"):
        _ = project.manifest


@pytest.mark.parametrize("prefix", ["A", "pg_x", "a b", "x" * 51, "1a"])
def test_a_prefix_that_cannot_begin_names_is_refused(project: Project, prefix: str) -> None:
    write_manifest(project, roles=f"roles: {{prefix: {prefix}}}")
    with pytest.raises(ManifestError, match="cannot begin the names of roles"):
        _ = project.manifest


def test_a_personal_column_needs_roles(project: Project) -> None:
    write_manifest(project, roles="", **PLAIN)
    text = project.path.read_text().replace("name: text", "name: {type: text, personal: name}")
    project.path.write_text(text)
    with pytest.raises(ManifestError, match=r"users\.columns\.name\.personal: needs roles"):
        _ = project.manifest
    project.path.write_text(text.replace("personal: name", "personal: full name"))
    with pytest.raises(ManifestError, match="personal: full name: is no word"):
        _ = project.manifest


@pytest.mark.usefixtures("ruled")
def test_an_upsert_writes_own_rows_alone(sign_in: Callable[..., Any]) -> None:
    upsert = "INSERT INTO projects (id, user_id, name) VALUES (%s, %s, 'new')"
    upsert += " ON CONFLICT (id) DO UPDATE SET name = excluded.name, user_id = excluded.user_id"
    with sign_in(1) as session:
        assert session.execute(upsert, [1, 1]).rowcount == 1
        assert session.execute(upsert, [900, 1]).rowcount == 1
        names = session.execute("SELECT id FROM projects WHERE name = 'new' ORDER BY 1").fetchall()
        assert names == [(1,), (900,)]
    for row in ((1, 2), (2, 1), (2, 2)):
        with sign_in(1) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(upsert, row)


MEMBERS = "collection: members\n    primary_key: id\n"


@pytest.mark.parametrize(
    ("members", "docs"),
    [
        ("{table: members, user: user_id, group: team}", RULES["docs"]),
        ("{table: docs, user: id, group: team}", RULES["docs"]),
    ],
)
def test_membership_may_be_ruled_by_itself_or_in_a_circle(
    project: Project, dump: Path, sign_in: Callable[..., Any], members: str, docs: str
) -> None:
    """Policies that read each other's tables would not end (42P17)."""
    write_manifest(project, docs=docs)
    text = project.path.read_text()
    rule = f"{MEMBERS}    access: {{members: {members}}}\n"
    project.path.write_text(text.replace(MEMBERS, rule))
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    with sign_in(0) as session:
        assert count(session, "docs") == 6
        teams = session.execute("SELECT DISTINCT team FROM members ORDER BY 1").fetchall()
        assert ("team 0",) in teams
