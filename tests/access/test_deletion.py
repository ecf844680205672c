"""Soft delete in the server: what is hidden, deleted with its parent, restored, and never lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bson
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.access.recycled import DELETED, SOFT, load_application, write_documents, write_manifest
from tests.access.shop import Session, count, list_queries, sign_in
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template

from assise.errors import ManifestError, TargetError
from assise.project import Project

pytestmark = pytest.mark.contract

Query = Callable[..., list[tuple[Any, ...]]]
TABLES = ("projects", "files", "lines", "notes")
ALL = {"projects": 1, "files": 2, "lines": 2, "notes": 2}


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """The application, loaded with its rules."""
    with load_application(databases, tmp_path_factory.mktemp("recycled")) as template:
        yield template


def call(session: Session, function: str, *key: int) -> dict[str, int]:
    """What a function says of the row with a key."""
    places = ", ".join(["%s"] * len(key))
    row = session.execute(f"SELECT {function}({places})", key).fetchone()
    assert row is not None
    found: dict[str, int] = row[0]
    return found


def seen(session: Session) -> dict[str, int]:
    """How many rows of each table a session sees."""
    return {table: count(session, table) for table in TABLES}


@pytest.mark.usefixtures("ruled")
def test_documents_that_arrive_deleted_are_deleted_with_their_children(
    database: str, query: Query
) -> None:
    for user in range(2):
        with sign_in(database, user) as session:
            assert seen(session) == {"projects": 4, "files": 8, "lines": 8, "notes": 8}
    stamps = "SELECT DISTINCT deleted_at FROM {} WHERE project_id >= 8"
    assert query(stamps.format("files")) == query(stamps.format("lines")) == [(DELETED,)]
    assert query(stamps.format("notes")) == [(None,)]
    assert query("SELECT DISTINCT _deleted_at FROM notes WHERE project_id = 8") == [(DELETED,)]
    with sign_in(database, role="readonly") as session:
        assert count(session, "projects") == 10


@pytest.mark.usefixtures("ruled")
def test_a_row_is_deleted_and_restored_with_its_children(database: str) -> None:
    with sign_in(database, 0) as session:
        before = seen(session)
        assert call(session, "projects_delete", 2) == ALL
        assert seen(session) == {name: before[name] - ALL[name] for name in TABLES}
        assert call(session, "projects_delete", 2) == {"projects": 0}
        assert call(session, "projects_restore", 2) == ALL
        assert seen(session) == before
        assert call(session, "projects_restore", 2) == {"projects": 0}


@pytest.mark.usefixtures("ruled")
def test_children_get_the_same_point_in_time_and_keep_their_own(database: str) -> None:
    """What was deleted before its parent stays deleted when that is restored."""
    with sign_in(database, 0) as session:
        assert call(session, "notes_delete", 4) == {"notes": 1}
        session.execute("COMMIT")
        session.execute("SELECT set_config('app.user_id', '0', true)")
        assert call(session, "projects_delete", 2) == {**ALL, "notes": 1}
        with sign_in(database, role="worker") as worker:
            assert count(worker, "notes") == 20
        assert call(session, "projects_restore", 2) == {**ALL, "notes": 1}
        assert session.execute("SELECT id FROM notes WHERE project_id = 2").fetchall() == [(5,)]
        session.execute("COMMIT")
    with sign_in(database, role="admin") as session:
        assert call(session, "projects_delete", 2) == {**ALL, "notes": 1}
        stamps = """SELECT count(DISTINCT s) FROM (
            SELECT deleted_at AS s FROM projects WHERE id = 2 UNION ALL
            SELECT deleted_at FROM files WHERE project_id = 2 UNION ALL
            SELECT deleted_at FROM lines WHERE project_id = 2 UNION ALL
            SELECT _deleted_at FROM notes WHERE project_id = 2) AS stamps"""
        assert session.execute(stamps).fetchone() == (1,)
        with pytest.raises(psycopg.errors.ForeignKeyViolation, match="restore that one first"):
            call(session, "notes_restore", 4)


@pytest.mark.usefixtures("ruled")
def test_rows_of_others_are_neither_deleted_nor_restored(database: str) -> None:
    with sign_in(database, 1) as session:
        assert call(session, "projects_delete", 2) == {"projects": 0}
        assert call(session, "projects_restore", 8) == {"projects": 0}
        assert call(session, "templates_delete", 0) == {"templates": 0}
    with sign_in(database) as session:
        assert call(session, "projects_delete", 2) == {"projects": 0}
    with sign_in(database, role="admin") as session:
        assert call(session, "projects_delete", 2)["projects"] == 1
        assert call(session, "templates_delete", 0) == {"templates": 1}
        with sign_in(database) as other:
            assert count(other, "templates") == 3
    for role in ("readonly", "auth"):
        with (
            sign_in(database, 0, role=role) as session,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            call(session, "projects_delete", 2)


REFUSED = [
    "UPDATE projects SET deleted_at = now() WHERE id = 2",
    "INSERT INTO projects (id, user_id, deleted_at) VALUES (900, 0, now())",
    "INSERT INTO notes (id, project_id, deleted_at) VALUES (900, 2, now())",
]


@pytest.mark.usefixtures("ruled")
@pytest.mark.parametrize("statement", REFUSED)
def test_the_column_is_written_by_the_functions_alone(database: str, statement: str) -> None:
    with sign_in(database, 0) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(statement)


@pytest.mark.usefixtures("ruled")
def test_a_row_below_a_deleted_one_is_refused(database: str) -> None:
    with sign_in(database, 0) as session:
        call(session, "projects_delete", 2)
        with pytest.raises(psycopg.errors.ForeignKeyViolation, match="projects is deleted"):
            session.execute("INSERT INTO files (project_id, position) VALUES (2, 7)")
        session.rollback()
    with sign_in(database, 0) as session:
        call(session, "projects_delete", 2)
        with pytest.raises(psycopg.errors.ForeignKeyViolation, match="projects is deleted"):
            session.execute("UPDATE notes SET project_id = 2 WHERE id = 0")


@pytest.mark.usefixtures("ruled")
def test_a_unique_key_is_free_meanwhile_and_is_named_when_it_is_taken(database: str) -> None:
    with sign_in(database, 0) as session:
        call(session, "projects_delete", 2)
        session.execute("INSERT INTO projects (id, user_id, slug) VALUES (900, 0, 'p2')")
        with pytest.raises(psycopg.errors.UniqueViolation, match="projects_slug_key") as caught:
            call(session, "projects_restore", 2)
    assert caught.value.diag.constraint_name == "projects_slug_key"
    assert caught.value.diag.message_detail == "Key (slug)=(p2) already exists."
    with sign_in(database, 0) as session:
        call(session, "projects_delete", 2)
        session.execute("INSERT INTO notes (id, project_id, title) VALUES (900, 0, 'n4')")
        with pytest.raises(psycopg.errors.UniqueViolation, match="notes_title_key"):
            call(session, "projects_restore", 2)


@pytest.mark.usefixtures("ruled")
def test_membership_that_is_deleted_gives_no_rows(database: str) -> None:
    with sign_in(database, 0) as session:
        assert count(session, "docs") == 1
        call(session, "members_delete", 0)
        assert count(session, "docs") == 0


@pytest.mark.usefixtures("ruled")
def test_a_query_of_live_rows_uses_the_partial_index(database: str, query: Query) -> None:
    definition = "SELECT indexdef FROM pg_indexes WHERE indexname = '_access_projects__user_id'"
    assert query(definition)[0][0].endswith("WHERE (deleted_at IS NULL)")
    with sign_in(database, 0) as session:
        session.execute("SET LOCAL enable_seqscan = off")
        plan = session.execute("EXPLAIN SELECT id FROM projects ORDER BY id").fetchall()
    assert "_access_projects__user_id" in str(plan)


def run_beside(query: Query, session: Session, work: Callable[[], None]) -> threading.Thread:
    """Run work of a session in a thread, until it waits for a lock."""
    thread = threading.Thread(target=work)
    thread.start()
    pid = session.info.backend_pid
    waits = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND wait_event_type = 'Lock'"
    while query(waits) != [(1,)]:
        assert thread.is_alive()
    return thread


INSERT = "INSERT INTO files (project_id, position) VALUES (2, {})"


@pytest.mark.usefixtures("ruled")
def test_a_child_of_a_live_parent_takes_one_query_beside_its_foreign_key(database: str) -> None:
    copied, checked = list_queries(database, INSERT.format(7))
    assert "deleted_at" in copied.partition(" FROM ")[0]
    assert checked.startswith("SELECT 1 FROM ONLY")


@pytest.mark.usefixtures("ruled")
def test_a_child_that_is_inserted_first_is_deleted_too(database: str, query: Query) -> None:
    with sign_in(database, 0) as inserting, sign_in(database, 0) as deleting:
        inserting.execute(INSERT.format(7))
        counts: list[object] = []
        thread = run_beside(
            query, deleting, lambda: counts.append(call(deleting, "projects_delete", 2))
        )
        inserting.execute(INSERT.format(8))
        inserting.commit()
        thread.join()
        assert counts == [{**ALL, "files": 4}]
        deleting.commit()
    assert query("SELECT count(*) FROM files WHERE project_id = 2 AND deleted_at IS NULL") == [(0,)]


@pytest.mark.usefixtures("ruled")
def test_a_child_that_comes_second_is_refused(database: str, query: Query) -> None:
    with sign_in(database, 0) as inserting, sign_in(database, 0) as deleting:
        call(deleting, "projects_delete", 2)
        errors: list[psycopg.Error] = []

        def insert() -> None:
            try:
                inserting.execute(INSERT.format(7))
            except psycopg.Error as error:
                errors.append(error)

        thread = run_beside(query, inserting, insert)
        deleting.commit()
        thread.join()
    assert [error.sqlstate for error in errors] == ["23503"]
    assert query("SELECT count(*) FROM files WHERE project_id = 2 AND deleted_at IS NULL") == [(0,)]


@pytest.mark.usefixtures("ruled")
def test_a_child_is_inserted_when_the_deletion_is_taken_back(database: str, query: Query) -> None:
    with sign_in(database, 0) as inserting, sign_in(database, 0) as deleting:
        call(deleting, "projects_delete", 2)
        thread = run_beside(query, inserting, lambda: void(inserting.execute(INSERT.format(7))))
        deleting.rollback()
        thread.join()
        inserting.commit()
    assert query("SELECT deleted_at FROM files WHERE position = 7") == [(None,)]


def void(_value: object) -> None:
    pass


@pytest.mark.usefixtures("ruled")
@pytest.mark.parametrize("locked", ["", " FOR UPDATE"])
def test_a_child_that_stays_does_not_wait_for_its_parent(database: str, locked: str) -> None:
    """An ORM writes all columns; to wait here with the child locked would be a deadlock."""
    with sign_in(database, 0) as session, sign_in(database, 0) as other:
        other.execute("SET LOCAL lock_timeout = '10s'")
        session.execute(f"SELECT FROM projects WHERE id = 2{locked}".encode())
        other.execute("UPDATE notes SET project_id = 2, user_id = 1, title = 'x' WHERE id = 4")
        other.commit()
        assert call(session, "projects_delete", 2) == ALL
        session.commit()
    with sign_in(database, role="worker") as session:
        row = "SELECT user_id, _deleted_at IS NULL FROM notes WHERE id = 4"
        assert session.execute(row).fetchone() == (0, False)


@pytest.mark.usefixtures("ruled")
def test_of_two_that_delete_a_row_one_does(database: str, query: Query) -> None:
    with sign_in(database, 0) as first, sign_in(database, 0) as second:
        assert call(first, "projects_delete", 2) == ALL
        counts: list[object] = []
        thread = run_beside(
            query, second, lambda: counts.append(call(second, "projects_delete", 2))
        )
        first.commit()
        thread.join()
    assert counts == [{"projects": 0}]


def test_the_main_job_stays_right(ruled: Project, query: Query, tmp_path: Path) -> None:
    assert ruled.verify().exit_code == 0
    documents: list[bytes] = []
    ruled.export("projects", documents.append)
    assert len(documents) == 10
    query("DELETE FROM files WHERE project_id = 8")
    assert ruled.repair(confirm=confirm).is_done
    assert query("SELECT DISTINCT deleted_at FROM files WHERE project_id = 8") == [(DELETED,)]
    assert ruled.verify().exit_code == 0
    assert ruled.undo(confirm=confirm).is_done
    assert query("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace") == []
    report = ruled.migrate(write_documents(tmp_path / "again"), confirm=confirm)
    assert report.exit_code == 0
    assert query("SELECT count(*) FROM files WHERE deleted_at IS NOT NULL") == [(4,)]


def test_what_is_deleted_is_exported_as_deleted(ruled: Project, database: str) -> None:
    with psycopg.connect(make_conninfo(database, user="apptest_admin")) as session:
        session.execute("SELECT projects_delete(2)")
    documents: list[bytes] = []
    ruled.export("projects", documents.append)
    found = {each["_id"]: each.get("deletedAt") for each in map(bson.decode, documents)}
    assert {number for number, stamp in found.items() if stamp} == {2, 8, 9}


def test_rows_that_would_be_seen_again_are_not_forgotten(
    ruled: Project, database: str, query: Query
) -> None:
    with psycopg.connect(make_conninfo(database, user="apptest_admin")) as session:
        session.execute("SELECT notes_delete(2)")
    text = ruled.path.read_text()
    ruled.path.write_text(text.replace("    soft_delete: true\n    columns:\n", "    columns:\n"))
    with pytest.raises(
        TargetError, match=r"notes has 1 deleted row, .* column deleted_at"
    ) as caught:
        ruled.load()
    assert "DELETE FROM" in caught.value.remedy
    assert query("SELECT count(*) FROM notes WHERE deleted_at IS NOT NULL") == [(1,)]
    query("SELECT notes_restore(2)")
    assert ruled.load().was_done
    assert ruled.verify().exit_code == 0


def test_soft_delete_comes_goes_and_changes_in_place(
    project: Project, tmp_path: Path, query: Query, database: str
) -> None:
    write_manifest(project, "")
    dump = write_documents(tmp_path)
    # Slugs of projects that are deleted in the source stand twice as long as nothing hides them.
    assert project.migrate(dump, confirm=confirm).exit_code == 3
    write_manifest(project, "soft_delete: true")
    project.load()
    with sign_in(database, 0) as session:
        assert call(session, "projects_delete", 2) == ALL
        assert count(session, "projects") == 4
    assert project.verify().exit_code == 0
    write_manifest(project, "")
    project.load()
    assert query("SELECT proname FROM pg_proc WHERE proname = 'projects_delete'") == []
    columns = "SELECT table_name FROM information_schema.columns WHERE column_name = 'deleted_at'"
    assert sorted(query(columns)) == [("notes",), ("templates",)]
    assert project.verify().exit_code == 0
    assert project.undo(confirm=confirm).is_done


WRONG = [
    ("soft_delete: {column: id}", "soft_delete.column: id: is the key of the table"),
    ("soft_delete: {column: slug}", "soft_delete.column: slug: is of type text"),
    ("soft_delete: {column: ctid}", "soft_delete.column: ctid: is the name of a system column"),
    ("soft_delete: {keep: 30}", "soft_delete.keep"),
    ("soft_delete: {keep: soon}", "soft_delete.keep: soon: is no time to keep rows"),
    ("soft_delete: {keep: 0 days}", "soft_delete.keep: 0 days: is no time to keep rows"),
    ("soft_delete: false", "soft_delete"),
    ("soft_delete: {form: deletedAt}", "soft_delete.form"),
    ("soft_delete: {from: slug}", "reads the same field as"),
]


@pytest.mark.parametrize(("soft", "message"), WRONG)
def test_what_cannot_be_is_refused(project: Project, soft: str, message: str) -> None:
    write_manifest(project, soft)
    with pytest.raises(ManifestError) as caught:
        _ = project.manifest
    assert message in str(caught.value)
    assert caught.value.remedy


def test_a_column_is_read_from_one_field_and_needs_a_rule(project: Project) -> None:
    write_manifest(project, SOFT)
    text = project.path.read_text()
    two = text.replace("slug:", "deleted_at: {type: timestamptz, from: removedAt}\n      slug:")
    project.path.write_text(two)
    with pytest.raises(ManifestError, match="deletedAt: is not what column deleted_at reads"):
        _ = project.manifest
    project.path.write_text(two.replace("removedAt", "deletedAt"))
    assert project.manifest.tables["projects"].columns["deleted_at"].from_ == "deletedAt"
    project.path.write_text(text.replace("access: {public: read}\n    ", ""))
    with pytest.raises(ManifestError, match=r"templates\.soft_delete: needs access"):
        _ = project.manifest


@pytest.mark.usefixtures("ruled")
def test_rules_and_soft_delete_work_without_the_schema_assise(database: str, query: Query) -> None:
    query("DROP SCHEMA assise CASCADE")
    with sign_in(database, 0) as session:
        assert seen(session) == {"projects": 4, "files": 8, "lines": 8, "notes": 8}
        assert count(session, "docs") == 1
        session.execute("INSERT INTO projects (id, user_id, slug) VALUES (900, 0, 'new')")
        session.execute("INSERT INTO files (project_id, position) VALUES (900, 0)")
        session.execute("INSERT INTO lines (project_id, position, line) VALUES (900, 0, 0)")
        found = call(session, "projects_delete", 900)
        assert found == call(session, "projects_restore", 900)
        assert found == {"projects": 1, "files": 1, "lines": 1, "notes": 0}
        assert session.execute("SELECT user_id FROM lines WHERE project_id = 900").fetchone() == (
            0,
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("INSERT INTO projects (id, user_id) VALUES (901, 1)")
    with sign_in(database, role="worker") as session:
        session.execute("UPDATE projects SET user_id = 1 WHERE id = 2")
        moved = "SELECT DISTINCT user_id FROM files WHERE project_id = 2"
        assert session.execute(moved).fetchall() == [(1,)]


def test_nothing_of_soft_delete_goes_around_the_rules(ruled: Project) -> None:
    assert not ruled.access.check()


def test_a_key_that_others_refer_to_is_unique_among_all_rows(project: Project) -> None:
    """A foreign key needs a whole unique key, so that a deleted row's is not free again."""
    write_manifest(project)
    text = project.path.read_text()
    made = project.schema_sql()
    assert 'CREATE UNIQUE INDEX "projects_slug_key"' in made
    reference = 'team: {type: text, references: "projects(slug)"}'
    project.path.write_text(
        text.replace("user_id: int4, team: text}", f"user_id: int4, {reference}}}")
    )
    assert 'ADD CONSTRAINT "projects_slug_key" UNIQUE ("slug")' in project.schema_sql()
