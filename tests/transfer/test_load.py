"""Load: what a first, a second and a changed run do."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import bson
import pytest
from bson import Decimal128, ObjectId
from tests.dumps import confirm, write_dump

from assise.errors import ChangedError, SourceError, TargetError, UsageError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
USERS = [
    {"_id": ObjectId(), "name": f"user {i}", "tags": ["a", None], "items": [{"n": i}]}
    for i in range(50)
]


def test_a_dump_is_loaded_and_every_document_is_equal(
    project: Project, tmp_path: Path, query: Query
) -> None:
    report = project.migrate(write_dump(tmp_path / "app", {"users": USERS}), confirm=confirm)
    assert (report.documents, report.loaded, report.rejected, report.exit_code) == (50, 50, 0, 0)
    assert report.verified is not None
    assert report.verified.equal == 50
    assert query("SELECT count(*), count(_extra) FROM users") == [(50, 0)]
    assert query(
        "SELECT name FROM users WHERE id = objectid_to_uuid(%s)", (str(USERS[7]["_id"]),)
    ) == [("user 7",)]
    assert query("SELECT count(*) FROM user_items JOIN users ON users.id = user_id") == [(50,)]


def test_a_second_run_changes_nothing(project: Project, tmp_path: Path, query: Query) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    project.migrate(dump, confirm=confirm)
    before = (
        query("SELECT xmin::text, * FROM users ORDER BY id"),
        query("SELECT xmin::text, * FROM assise.chunk"),
    )
    report = project.migrate(dump, confirm=confirm)
    assert report.was_done
    assert report.verified is not None
    assert report.verified.equal == 50
    assert (
        query("SELECT xmin::text, * FROM users ORDER BY id"),
        query("SELECT xmin::text, * FROM assise.chunk"),
    ) == before


def test_a_touched_and_moved_source_is_not_a_changed_one(project: Project, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    project.migrate(dump, confirm=confirm)
    moved = dump.rename(tmp_path / "elsewhere")
    (moved / "users.bson").touch()
    assert project.load(moved).was_done
    assert project.verify().exit_code == 0


@pytest.mark.parametrize("change", ["grown", "shorter", "other byte"])
def test_a_changed_source_is_refused_with_the_way_to_start_afresh(
    project: Project, tmp_path: Path, change: str
) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    project.migrate(dump, confirm=confirm)
    file = dump / "users.bson"
    content = file.read_bytes()
    changed = {
        "grown": content + content[:-200],
        "shorter": content[: len(content) // 2],
        "other byte": content.replace(b"user 7", b"user X"),
    }
    file.write_bytes(changed[change])
    for verb in (project.load, project.verify):
        with pytest.raises(ChangedError, match="changed since it was loaded") as error:
            verb(dump)
        assert "`assise undo` drops what was loaded of 'app'" in error.value.remedy
        assert error.value.exit_code == 2


def test_a_changed_manifest_is_refused_until_an_undo(project: Project, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    project.migrate(dump, confirm=confirm)
    project.path.write_text(project.path.read_text().replace("name: text", "name: jsonb"))
    with pytest.raises(
        ChangedError, match="the manifest has changed since the load: users"
    ) as error:
        project.load(dump)
    assert "assise undo" in error.value.remedy
    assert project.undo(confirm=confirm).is_done
    assert project.migrate(dump, confirm=confirm).exit_code == 0


def test_a_changed_manifest_is_told_by_its_columns(project: Project, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS, "others": [{"_id": 1}]})
    project.migrate(dump, confirm=confirm)
    text = project.path.read_text().replace("name: text", "full_name: {type: text, from: name}")
    others = text.index("  others:")
    project.path.write_text(text[:others] + text[others:].replace("others:", "rest:", 1))
    with pytest.raises(ChangedError) as error:
        project.load(dump)
    assert error.value.message == (
        "the manifest has changed since the load: others (a table that is left out),"
        " rest (a table that is new), users (columns name, full_name)"
    )


def test_seconds_of_a_report_are_those_of_its_run(project: Project, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    project.migrate(dump, confirm=confirm)
    with project.connect(project.manifest) as connection:
        connection.execute("UPDATE assise.chunk SET seconds = 1000")
    for report in (project.load(dump), project.verify(dump), project.migrate(dump)):
        assert sum(each.seconds for each in report.collections) <= report.seconds


def test_nothing_is_written_to_a_server_without_agreement(
    project: Project, tmp_path: Path, query: Query
) -> None:
    with pytest.raises(
        UsageError, match=r"not confirmed, nothing was written: .* 2 tables: users, user_items"
    ):
        project.migrate(write_dump(tmp_path / "app", {"users": USERS}))
    assert query("SELECT to_regclass('users'), to_regclass('assise.load')") == [(None, None)]


def test_who_has_not_confirmed_in_python_reads_how(
    project: Project, tmp_path: Path, query: Query
) -> None:
    with pytest.raises(UsageError) as error:
        project.migrate(write_dump(tmp_path / "app", {"users": USERS}))
    assert "From Python: confirm=lambda question: True." in error.value.remedy
    project.migrate(tmp_path / "app", confirm=confirm)
    query("DELETE FROM user_items")
    for verb in (project.repair, project.undo):
        with pytest.raises(UsageError) as error:
            verb(replace=["user_items"])
        assert "From Python: confirm=lambda question: True." in error.value.remedy


def test_existing_tables_are_never_overwritten(
    project: Project, tmp_path: Path, query: Query
) -> None:
    query("CREATE TABLE user_items (mine int)")
    with pytest.raises(
        TargetError, match="already has user_items: existing tables are never overwritten"
    ):
        project.migrate(write_dump(tmp_path / "app", {"users": USERS}), confirm=confirm)
    assert query("SELECT to_regclass('users')") == [(None,)]


@pytest.mark.contract
def test_rows_of_the_application_get_a_key_that_sorts_last(
    project: Project, tmp_path: Path, query: Query
) -> None:
    project.migrate(write_dump(tmp_path / "app", {"users": USERS}), confirm=confirm)
    query("INSERT INTO users (name) VALUES ('new')")
    assert query("SELECT name FROM users ORDER BY id DESC LIMIT 1") == [("new",)]
    assert query(
        "SELECT objectid_to_uuid(uuid_to_objectid(id)) = id FROM users WHERE name = 'new'"
    ) == [(True,)]


def test_tables_work_without_the_schema_assise(
    project: Project, tmp_path: Path, query: Query
) -> None:
    project.migrate(write_dump(tmp_path / "app", {"users": USERS}), confirm=confirm)
    query("DROP SCHEMA assise CASCADE")
    query("INSERT INTO users (name) VALUES ('new')")
    query("DELETE FROM users WHERE name = 'user 1'")
    assert query("SELECT count(*) FROM users") == [(50,)]
    assert query("SELECT count(*) FROM user_items") == [(49,)]


def test_keys_of_34_digits_are_told_apart_beside_a_true_duplicate(
    project: Project, tmp_path: Path
) -> None:
    ids = [Decimal128(f"1.{n:033d}") for n in range(1, 10)] + [Decimal128("5.5"), Decimal128("5.5")]
    report = project.migrate(
        write_dump(tmp_path / "app", {"t": [{"_id": key} for key in ids]}), confirm=confirm
    )
    assert (report.documents, report.loaded, report.rejected) == (11, 10, 1)


def test_a_password_in_the_manifest_is_not_kept_in_the_ledger(
    tmp_path: Path, database: str, query: Query
) -> None:
    dump = write_dump(tmp_path / "app", {"users": USERS})
    project = Project(tmp_path, to=database)
    project.write_manifest(project.infer(dump))
    text = project.path.read_text()
    line = next(line for line in text.splitlines() if line.startswith("postgres:"))
    project.path.write_text(
        text.replace(line, "postgres: 'postgresql://me:topsecret@elsewhere/app'")
    )
    project.load(dump, confirm=confirm)
    assert query("SELECT count(*) FROM assise.load WHERE load::text LIKE '%topsecret%'") == [(0,)]


def test_verify_does_not_trust_a_reject_that_the_load_did_not_write(
    project: Project, tmp_path: Path, query: Query
) -> None:
    project.migrate(write_dump(tmp_path / "app", {"users": USERS}), confirm=confirm)
    first = bson.encode(USERS[0])
    row = (len(first), sha256(first).hexdigest(), first)
    query(
        "INSERT INTO assise.reject SELECT id, 'users', 0, %s, 2, 'x', %s, %s FROM assise.load", row
    )
    query("DELETE FROM users WHERE id = objectid_to_uuid(%s)", (str(USERS[0]["_id"]),))
    verified = project.verify().verified
    assert verified is not None
    assert (verified.equal, verified.missing) == (49, 2)
    query("UPDATE assise.reject SET sha256 = 'x'")
    verified = project.verify().verified
    assert verified is not None
    assert (verified.equal, verified.missing) == (49, 1)


@pytest.mark.parametrize("name", ["postgres", "template0", "template1"])
def test_databases_of_the_server_itself_are_never_the_target(tmp_path: Path, name: str) -> None:
    assert (
        Project(tmp_path).infer(write_dump(tmp_path / name, {"users": USERS})).manifest.name
        == f"db_{name}"
    )


def test_names_that_are_not_utf8_are_refused(project: Project, tmp_path: Path) -> None:
    folder = write_dump(tmp_path / "app", {"users": USERS})
    (folder / "users.bson").rename(os.fsdecode(os.fsencode(folder) + b"/c\xff.bson"))
    with pytest.raises(SourceError, match="is not UTF-8"):
        project.migrate(folder, confirm=confirm)


@pytest.mark.contract
def test_what_is_no_objectid_is_null_in_sql(project: Project, tmp_path: Path, query: Query) -> None:
    project.migrate(write_dump(tmp_path / "app", {"users": USERS}), confirm=confirm)
    texts = [
        "",
        "xyz",
        "z" * 24,
        "5" * 22,
        "5" * 25,
        "507f1f77-bcf8-86cd-8799-439011000000",
        "507f1f77bcf86cd799439011",
    ]
    expected = [None] * 6 + ["507f1f77-bcf8-86cd-8799-439011000000"]
    for text, uuid in zip(texts, expected, strict=True):
        assert query(f"SELECT objectid_to_uuid('{text}')::text") == [(uuid,)]
        assert query("SELECT objectid_to_uuid(%s)::text", (text,)) == [(uuid,)]
    query("CREATE TABLE texts (number serial, text text)")
    for text in texts:
        query("INSERT INTO texts (text) VALUES (%s)", (text,))
    assert query("SELECT objectid_to_uuid(text)::text FROM texts ORDER BY number") == [
        (uuid,) for uuid in expected
    ]
    assert query("SELECT count(*) FROM texts JOIN users ON users.id = objectid_to_uuid(text)") == [
        (0,)
    ]
    assert query("SELECT uuid_to_objectid(gen_random_uuid())") == [(None,)]


NOTES = """DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', current_database());
END $$;
CREATE TABLE notes (what text, setting text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO notes VALUES (TG_TABLE_NAME, current_setting('synchronous_commit'));
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON assise.chunk FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE TRIGGER note AFTER UPDATE OF finished_at ON assise.load
FOR EACH STATEMENT EXECUTE FUNCTION note();"""


@pytest.mark.parametrize("workers", [1, 2])
def test_chunks_do_not_wait_for_the_disk_and_the_end_of_the_load_does(
    tmp_path: Path, database: str, query: Query, workers: int
) -> None:
    Project(tmp_path / "one.yaml", to=database).migrate(
        write_dump(tmp_path / "first", {"first": USERS}), confirm=confirm
    )
    query(NOTES)
    project = Project(tmp_path / "two.yaml", to=database, settings={"workers": workers})
    project.migrate(write_dump(tmp_path / "app", {"a": USERS, "b": USERS}), confirm=confirm)
    assert query("SELECT DISTINCT what, setting FROM notes ORDER BY 1") == [
        ("chunk", "off"),
        ("load", "on"),
    ]
