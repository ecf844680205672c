"""A database that the first release wrote: every verb goes on, and users lose nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

import bson
import psycopg
import pytest
from tests.dumps import confirm
from tests.oracle.equality import differences
from tests.scenes.commands import wait_until
from tests.transfer.first_release import CHUNK_BYTES, NAMES, restore, write_manifest, write_sources

from assise.errors import ManifestError, TargetError, UsageError
from assise.postgres import bookkeeping
from assise.postgres.connection import Connection
from assise.project import Project
from assise.transfer import ledger
from assise.transfer.ledger import LEDGER

Query = Callable[..., list[tuple[object, ...]]]
FUNCTIONS = """SELECT pronamespace::regnamespace::text || '.' || proname FROM pg_proc
    WHERE pronamespace IN ('public'::regnamespace, to_regnamespace('assise')) ORDER BY 1"""
CATALOG = """
    SELECT attrelid::regclass::text, attname::text, format_type(atttypid, atttypmod), attnotnull,
        pg_get_expr(adbin, adrelid), attidentity::text, attcollation::regcollation::text,
        col_description(attrelid, attnum)
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0
    AND attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'assise'::regnamespace)
    UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated,
        NULL, NULL, NULL, NULL FROM pg_constraint WHERE connamespace = 'assise'::regnamespace
    UNION ALL SELECT proname, pg_get_functiondef(oid), NULL, NULL, NULL, NULL, NULL, NULL
    FROM pg_proc WHERE pronamespace IN ('assise'::regnamespace, 'public'::regnamespace)
    UNION ALL SELECT name, version::text, NULL, NULL, NULL, NULL, NULL, NULL FROM assise.part
    ORDER BY 1, 2, 3"""
WAITING = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND query LIKE '%ALTER TABLE assise.load%'"""
OF_USERS = [
    """CREATE TABLE mine (
        text text, key uuid GENERATED ALWAYS AS (assise.objectid_to_uuid(text)) STORED
    )""",
    "CREATE INDEX mine_key ON mine (assise.objectid_to_uuid(text))",
    "CREATE VIEW mine_view AS SELECT assise.uuid_to_objectid(key) AS text FROM mine",
    "INSERT INTO mine VALUES ('507f1f77bcf86cd799439011')",
]


@pytest.fixture
def projects(tmp_path: Path, database: str) -> dict[str, Project]:
    """A project for each load of the restored database."""
    restore(database)
    return {
        name: Project(
            write_manifest(database, name, tmp_path / f"project-{name}"),
            to=database,
            settings={"load.chunk_bytes": CHUNK_BYTES, "workers": 1},
        )
        for name in NAMES
    }


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    return write_sources(tmp_path)


def upgrade(database: str) -> None:
    """Do what the first verb that writes does."""
    with Connection(database) as connection:
        ledger.upgrade(connection)


def split(content: bytes, rejects: dict[int, int]) -> dict[str, bytes]:
    """The documents of a file by `_id`, but for the rejects, offset -> size."""
    found, offset = {}, 0
    while offset < len(content):
        size = rejects.get(offset) or int.from_bytes(content[offset : offset + 4], "little")
        if offset not in rejects:
            raw = content[offset : offset + size]
            found[str(bson.decode(raw)["_id"])] = raw
        offset += size
    return found


def test_a_load_goes_on_and_changes_nothing(
    projects: dict[str, Project], sources: dict[str, Path], query: Query
) -> None:
    statement = "SELECT xmin::text, users::text FROM users ORDER BY id"
    before = query(statement)
    report = projects["app"].load(sources["app"])
    assert (report.was_done, report.loaded, report.rejected) == (True, 70, 4)
    assert query(statement) == before
    assert query("SELECT source FROM assise.load WHERE name = 'app'") == [(str(sources["app"]),)]


NULLED = [
    ("ref: uuid", "ref: {type: uuid, references: users, orphans: null}", "columns.ref.orphans"),
    ("name: text", "name: {type: text, unique: true, duplicates: null}", "columns.name.duplicates"),
    (
        "    collection: users\n",
        (
            "    collection: users\n"
            "    indexes: [{columns: [age, paid], unique: true, duplicates: null}]\n"
        ),
        "indexes.0.duplicates",
    ),
    (
        "    collection: users\n",
        (
            "    collection: users\n"
            "    foreign_keys: [{columns: [ref], references: users, orphans: null}]\n"
        ),
        "foreign_keys.0.orphans",
    ),
]


@pytest.mark.parametrize(("old", "new", "place"), NULLED)
def test_what_its_rows_cannot_note_is_refused_before_anything_changes(
    projects: dict[str, Project],
    sources: dict[str, Path],
    query: Query,
    old: str,
    new: str,
    place: str,
) -> None:
    project, statement = projects["app"], "SELECT xmin::text, users::text FROM users ORDER BY id"
    text = project.path.read_text()
    assert old in text
    project.path.write_text(text.replace(old, new, 1))
    before = query(statement)
    (said, remedy) = project.plan(sources["app"]).refusals
    with pytest.raises(ManifestError, match=rf"tables\.users\.{place}: null: an older") as error:
        project.load(sources["app"])
    assert (said, remedy) == (error.value.message, error.value.remedy)
    assert "Write keep or reject." in remedy
    assert query(statement) == before
    report = project.verify(sources["app"])
    assert report.verified is not None
    assert report.verified.equal == 70
    project.path.write_text(text.replace(old, new.replace(": null", ": keep"), 1))
    assert project.load(sources["app"]).was_done


def test_orphans_are_rejected_there_too(
    projects: dict[str, Project], sources: dict[str, Path]
) -> None:
    project = projects["app"]
    text = project.path.read_text()
    new = "ref: {type: uuid, references: users, orphans: reject}"
    project.path.write_text(text.replace("ref: uuid", new, 1))
    report = project.migrate(sources["app"])
    assert report.verified is not None
    assert report.verified.is_clean
    assert (report.documents, report.loaded + report.rejected) == (74, 74)
    assert report.rejected > 4


@pytest.mark.parametrize(("name", "equal", "rejected"), [("app", 70, 4), ("plain", 10, 0)])
def test_every_document_is_equal(
    projects: dict[str, Project], sources: dict[str, Path], name: str, equal: int, rejected: int
) -> None:
    report = projects[name].verify(sources[name])
    assert report.verified is not None
    assert (report.verified.equal, report.verified.is_clean) == (equal, True)
    assert report.rejected == rejected
    assert len(projects[name].rejects()) == rejected


def test_a_load_that_was_stopped_goes_on(
    projects: dict[str, Project], sources: dict[str, Path], query: Query
) -> None:
    with pytest.raises(UsageError, match="is not finished"):
        projects["half"].verify(sources["half"])
    assert query("SELECT count(*) FROM orders") == [(56,)]
    report = projects["half"].migrate(sources["half"])
    assert (report.loaded, report.rejected) == (120, 0)
    assert report.verified is not None
    assert report.verified.equal == 120


def test_export_gives_back_equal_documents(
    projects: dict[str, Project], sources: dict[str, Path]
) -> None:
    for name, collections in {"app": ["users", "events"], "plain": ["codes"]}.items():
        rejects: dict[str, dict[int, int]] = {each: {} for each in collections}
        for reject in projects[name].rejects():
            rejects[reject.collection][reject.offset] = reject.size
        for collection in collections:
            content = (sources[name] / f"{collection}.bson").read_bytes()
            exported: list[bytes] = []
            projects[name].export(collection, exported.append)
            found, expected = split(b"".join(exported), {}), split(content, rejects[collection])
            assert found.keys() == expected.keys()
            for key, raw in expected.items():
                assert differences(raw, found[key]) == []


def test_what_differs_is_repaired(
    projects: dict[str, Project], sources: dict[str, Path], query: Query
) -> None:
    query("UPDATE users SET age = 99 WHERE age = 3")
    ((parts,),) = query("SELECT count(*) FROM user_item_parts")
    query("DELETE FROM user_item_parts")
    done = projects["app"].repair(sources["app"], replace=["users"], confirm=confirm)
    assert [(table.name, table.written) for table in done.tables] == [
        ("users", 1),
        ("user_item_parts", parts),
    ]
    assert done.report.verified is not None
    assert (done.report.verified.equal, done.report.verified.is_clean) == (70, True)


def test_undo_of_all_loads_leaves_an_empty_database(
    projects: dict[str, Project], query: Query
) -> None:
    for name in NAMES:
        done = projects[name].undo(confirm=confirm)
        assert (done.is_done, done.drops_ledger) == (True, name == NAMES[-1])
    assert query(FUNCTIONS) == []
    assert query("SELECT count(*) FROM pg_class WHERE oid >= 16384") == [(0,)]
    assert query("SELECT to_regnamespace('assise')") == [(None,)]


@pytest.mark.contract
def test_the_ledger_is_upgraded_whole(
    projects: dict[str, Project], database: str, query: Query
) -> None:
    upgrade(database)
    assert query("SELECT name, version FROM assise.part") == [("transfer", LEDGER.version)]
    assert query("SELECT version FROM assise.version") == [(2,)]
    for name in NAMES:
        ((layout,),) = query("SELECT layout FROM assise.load WHERE name = %s", (name,))
        first = replace(projects[name].manifest.layout, rules=1)
        assert layout == json.loads(json.dumps(first.as_json()))


def test_two_programs_that_upgrade_at_once_both_go_on(
    projects: dict[str, Project], database: str, query: Query
) -> None:
    failed: list[BaseException] = []

    def begin() -> None:
        try:
            upgrade(database)
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE assise.load IN ACCESS SHARE MODE")
        threads = [Thread(target=begin) for _ in projects]
        for thread in threads:
            thread.start()
        wait_until(lambda: query(WAITING) != [(0,)], "an upgrade that waits for the table")
    for thread in threads:
        thread.join()
    assert failed == []
    assert query("SELECT name, version FROM assise.part") == [("transfer", LEDGER.version)]


def test_an_upgrade_that_fails_leaves_everything_as_it_was(
    projects: dict[str, Project], database: str, query: Query
) -> None:
    query(
        "CREATE FUNCTION uuid_to_objectid(id uuid) RETURNS text LANGUAGE sql AS $$SELECT 'mine'$$"
    )
    before = query(FUNCTIONS)
    for verb in (projects["app"].load, projects["app"].repair, projects["plain"].undo):
        with pytest.raises(TargetError, match=r'a function "public"\."uuid_to_objectid"') as error:
            verb()
        assert "Rename it" in error.value.remedy
    assert query(FUNCTIONS) == before
    assert query("SELECT to_regclass('assise.part'), version FROM assise.version") == [(None, 1)]
    assert query("SELECT uuid_to_objectid(NULL)") == [("mine",)]
    query("ALTER FUNCTION uuid_to_objectid(uuid) RENAME TO mine")
    upgrade(database)
    assert projects["plain"].rejects() == []


@pytest.mark.contract
def test_a_function_that_is_the_same_as_ours_is_used_as_it_is(
    projects: dict[str, Project], query: Query
) -> None:
    ((text,),) = query("SELECT pg_get_functiondef('assise.uuid_to_objectid(uuid)'::regprocedure)")
    query(str(text).replace("assise.", "public."))
    (before,) = query(
        "SELECT oid FROM pg_proc WHERE oid = 'public.uuid_to_objectid(uuid)'::regprocedure"
    )
    for name in NAMES:
        assert projects[name].undo(confirm=confirm).is_done
    assert query(FUNCTIONS) == [("public.uuid_to_objectid",)]
    assert query("SELECT 'public.uuid_to_objectid(uuid)'::regprocedure::oid") == [before]


@pytest.mark.usefixtures("projects")
@pytest.mark.contract
@pytest.mark.parametrize("is_upgraded_first", [False, True])
def test_dropping_the_schema_takes_nothing_of_the_users_along(
    database: str, query: Query, *, is_upgraded_first: bool
) -> None:
    if is_upgraded_first:
        upgrade(database)
    for statement in OF_USERS:
        query(statement.replace("assise.", "") if is_upgraded_first else statement)
    upgrade(database)
    assert query("SELECT assise.uuid_to_objectid(assise.objectid_to_uuid(text)) FROM mine") == [
        ("507f1f77bcf86cd799439011",)
    ]
    query("DROP SCHEMA assise CASCADE")
    assert query("SELECT mine.text, mine_view.text FROM mine, mine_view") == [
        ("507f1f77bcf86cd799439011",) * 2
    ]
    assert query("SELECT count(key) FROM mine WHERE objectid_to_uuid(text) = key") == [(1,)]
    assert query("SELECT to_regclass('mine_key') IS NOT NULL") == [(True,)]


def test_undo_leaves_what_users_call_by_the_old_names(
    projects: dict[str, Project], database: str, query: Query
) -> None:
    upgrade(database)
    query(
        "CREATE VIEW keys AS SELECT assise.uuid_to_objectid(id) AS key"
        " FROM (VALUES (gen_random_uuid())) AS v (id)"
    )
    others = [projects[name].undo(confirm=confirm).others for name in NAMES]
    assert others == [[], [], ["function assise.uuid_to_objectid(uuid)"]]
    assert query(FUNCTIONS) == [("assise.uuid_to_objectid",), ("public.uuid_to_objectid",)]
    assert query("SELECT key FROM keys") == [(None,)]


def test_a_load_that_cannot_be_read_hinders_no_other(
    projects: dict[str, Project], sources: dict[str, Path], query: Query
) -> None:
    query("UPDATE assise.load SET manifest = 'later: true' WHERE name = 'plain'")
    report = projects["app"].verify(sources["app"])
    assert report.verified is not None
    assert report.verified.equal == 70
    with pytest.raises(ManifestError, match="could not be read"):
        projects["plain"].verify(sources["plain"])


def test_a_key_of_a_later_manifest_is_passed_over(
    projects: dict[str, Project], sources: dict[str, Path], query: Query
) -> None:
    query("UPDATE assise.load SET manifest = manifest || 'later_key: true'")
    query(
        "UPDATE assise.load SET manifest ="
        " replace(manifest, '    primary_key:', '    later: x\n    primary_key:')"
    )
    assert len(projects["app"].rejects()) == 4
    report = projects["app"].verify(sources["app"])
    assert report.verified is not None
    assert report.verified.equal == 70


@pytest.mark.usefixtures("projects")
def test_the_first_release_is_refused_by_its_own_check(database: str, query: Query) -> None:
    upgrade(database)
    ((version,),) = query("SELECT version FROM assise.version")
    assert isinstance(version, int)
    assert version > 1


@pytest.mark.usefixtures("projects")
def test_an_upgraded_ledger_has_the_tables_of_a_fresh_one(query: Query, database: str) -> None:
    upgrade(database)
    upgraded = [row for row in query(CATALOG) if "CREATE OR REPLACE" not in str(row[1])]
    query("DROP SCHEMA assise CASCADE")
    with Connection(database) as connection:
        bookkeeping.ensure(connection, LEDGER)
    assert [row for row in query(CATALOG) if "CREATE OR REPLACE" not in str(row[1])] == upgraded


@pytest.mark.parametrize("version", [0, 1])
def test_the_sum_of_the_files_is_a_fresh_install(database: str, query: Query, version: int) -> None:
    with Connection(database) as connection:
        bookkeeping.ensure(connection, LEDGER)
        fresh = query(CATALOG)
        query("DROP SCHEMA assise CASCADE")
        if version:
            for number in range(1, version + 1):
                connection.execute(LEDGER.files[number].read_text(encoding="utf-8"))
        bookkeeping.ensure(connection, LEDGER)
    assert query(CATALOG) == fresh
    assert len(fresh) > 30


def test_verbs_that_read_and_dry_runs_write_nothing(
    projects: dict[str, Project], sources: dict[str, Path], database: str, query: Query
) -> None:
    """A role that may only read can verify and export a database that no new program has written."""
    statement = "SELECT relname, xmin::text FROM pg_class WHERE relname !~ '^pg_' ORDER BY 1, 2"
    before = query(statement)
    query("ALTER ROLE current_user SET default_transaction_read_only = on")
    try:
        app = projects["app"]
        assert app.verify(sources["app"]).exit_code == 3
        assert len(app.rejects()) == 4
        exported: list[bytes] = []
        assert app.export("users", exported.append).documents == len(exported) > 0
        plan = app.undo(dry_run=True)
        assert "objectid_to_uuid" in plan.functions
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER ROLE current_user RESET default_transaction_read_only")
    assert query(statement) == before


def test_a_publication_for_all_tables_is_no_obstacle(
    projects: dict[str, Project], sources: dict[str, Path], query: Query
) -> None:
    query("CREATE PUBLICATION everything FOR ALL TABLES")
    try:
        report = projects["app"].load(sources["app"])
        assert report.was_done
        assert projects["app"].undo(confirm=confirm, replace=["users"]).is_done
    finally:
        query("DROP PUBLICATION everything")


def test_a_function_that_the_user_has_changed_stays_where_it_is(
    projects: dict[str, Project], sources: dict[str, Path], query: Query
) -> None:
    query(
        "CREATE OR REPLACE FUNCTION assise.objectid_to_uuid(objectid text) RETURNS uuid"
        " LANGUAGE sql AS 'SELECT NULL::uuid'"
    )
    assert projects["app"].load(sources["app"]).was_done
    functions = {name for (name,) in query(FUNCTIONS)}
    assert {"assise.objectid_to_uuid", "public.objectid_to_uuid"} <= functions
    assert query("SELECT assise.objectid_to_uuid('507f1f77bcf86cd799439011')") == [(None,)]
    for name in NAMES:
        projects[name].undo(confirm=confirm)
    assert ("assise.objectid_to_uuid",) in query(FUNCTIONS)
