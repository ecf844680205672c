"""Load: what a first, a second and a changed run do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bson import ObjectId
from tests.dumps import agree, write_dump

from assise.errors import ChangedError, TargetError, UsageError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
USERS = [{"_id": ObjectId(), "name": f"user {i}", "tags": ["a", None], "items": [{"n": i}]} for i in range(50)]


def test_a_dump_is_loaded_and_every_document_is_equal(project: Project, tmp_path: Path, query: Query) -> None:
    report = project.migrate(write_dump(tmp_path / "app", {"users": USERS}), agree=agree)
    assert (report.documents, report.loaded, report.rejected, report.exit_code) == (50, 50, 0, 0)
    assert report.verified is not None
    assert report.verified.equal == 50
    assert query("SELECT count(*), count(_extra) FROM users") == [(50, 0)]
    assert query("SELECT name FROM users WHERE id = assise.objectid_to_uuid(%s)", (str(USERS[7]["_id"]),)) == [("user 7",)]
    assert query("SELECT count(*) FROM user_items JOIN users ON users.id = user_id") == [(50,)]


def test_a_second_run_changes_nothing(project: Project, tmp_path: Path, query: Query) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    project.migrate(dump, agree=agree)
    before = query("SELECT xmin::text, * FROM users ORDER BY id"), query("SELECT xmin::text, * FROM assise.chunk")
    report = project.migrate(dump, agree=agree)
    assert report.was_done
    assert report.verified is not None
    assert report.verified.equal == 50
    assert (query("SELECT xmin::text, * FROM users ORDER BY id"), query("SELECT xmin::text, * FROM assise.chunk")) == before


def test_a_touched_and_moved_source_is_not_a_changed_one(project: Project, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    project.migrate(dump, agree=agree)
    moved = dump.rename(tmp_path / "elsewhere")
    (moved / "users.bson").touch()
    assert project.load(moved).was_done
    assert project.verify().exit_code == 0


@pytest.mark.parametrize("change", ["grown", "shorter", "other byte"])
def test_a_changed_source_is_refused_with_the_statements_that_start_afresh(project: Project, tmp_path: Path, change: str) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    project.migrate(dump, agree=agree)
    file = dump / "users.bson"
    content = file.read_bytes()
    changed = {"grown": content + content[:-200], "shorter": content[: len(content) // 2], "other byte": content.replace(b"user 7", b"user X")}
    file.write_bytes(changed[change])
    for verb in (project.load, project.verify):
        with pytest.raises(ChangedError, match="changed since it was loaded") as error:
            verb(dump)
        assert 'DROP TABLE IF EXISTS "public"."users"' in error.value.remedy
        assert error.value.exit_code == 2


def test_a_changed_manifest_is_refused(project: Project, tmp_path: Path, query: Query) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    project.migrate(dump, agree=agree)
    project.path.write_text(project.path.read_text().replace("name: text", "name: jsonb"))
    with pytest.raises(ChangedError, match="the manifest has changed since the load: users") as error:
        project.load(dump)
    for statement in error.value.remedy.splitlines()[1:]:
        query(statement)
    assert project.migrate(dump, agree=agree).exit_code == 0


def test_nothing_is_written_to_a_server_without_agreement(project: Project, tmp_path: Path, query: Query) -> None:
    with pytest.raises(UsageError, match=r"not agreed, nothing was written: .* 2 tables: users, user_items"):
        project.migrate(write_dump(tmp_path / "app", {"users": USERS}))
    assert query("SELECT to_regclass('users'), to_regclass('assise.load')") == [(None, None)]


def test_existing_tables_are_never_overwritten(project: Project, tmp_path: Path, query: Query) -> None:
    query("CREATE TABLE user_items (mine int)")
    with pytest.raises(TargetError, match="already has user_items: existing tables are never overwritten"):
        project.migrate(write_dump(tmp_path / "app", {"users": USERS}), agree=agree)
    assert query("SELECT to_regclass('users')") == [(None,)]


def test_rows_of_the_application_get_a_key_that_sorts_last(project: Project, tmp_path: Path, query: Query) -> None:
    project.migrate(write_dump(tmp_path / "app", {"users": USERS}), agree=agree)
    query("INSERT INTO users (name) VALUES ('new')")
    assert query("SELECT name FROM users ORDER BY id DESC LIMIT 1") == [("new",)]
    assert query("SELECT assise.objectid_to_uuid(assise.uuid_to_objectid(id)) = id FROM users WHERE name = 'new'") == [(True,)]


def test_tables_work_without_the_schema_assise(project: Project, tmp_path: Path, query: Query) -> None:
    project.migrate(write_dump(tmp_path / "app", {"users": USERS}), agree=agree)
    query("DROP SCHEMA assise CASCADE")
    query("INSERT INTO users (name) VALUES ('new')")
    query("DELETE FROM users WHERE name = 'user 1'")
    assert query("SELECT count(*) FROM users") == [(50,)]
    assert query("SELECT count(*) FROM user_items") == [(49,)]
