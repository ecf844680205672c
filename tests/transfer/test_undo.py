"""Undo: all that a load created goes, nothing else does, and no edit is discarded unasked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from bson import ObjectId
from tests.dumps import confirm, write_dump

from assise.errors import DependentError, EditedError, TargetError, UsageError
from assise.postgres.connection import Connection, Parameters
from assise.project import Project
from assise.transfer import creation, ledger
from assise.transfer.undo import find_changes

Query = Callable[..., list[tuple[object, ...]]]
USERS = [
    {
        "_id": ObjectId(f"65b9f0a00000000000000{n:03}"),
        "name": f"user {n}",
        "items": [{"n": n, "parts": [{"p": n}]}],
    }
    for n in range(50)
]
CATALOG = """
    SELECT nspname || '.' || relname FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = relnamespace WHERE c.oid >= 16384 AND nspname <> 'pg_toast'
    UNION ALL SELECT nspname || '.' || proname || '()' FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = pronamespace WHERE p.oid >= 16384
    UNION ALL SELECT typname FROM pg_type WHERE oid >= 16384
    UNION ALL SELECT nspname FROM pg_namespace WHERE oid >= 16384
    ORDER BY 1"""
TABLES = ["users", "user_items", "user_item_parts"]
FUNCTIONS = ["_new_objectid", "objectid_to_uuid", "uuid_to_objectid"]


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return write_dump(tmp_path / "app", {"users": [*USERS, USERS[3]]})


@pytest.fixture
def loaded(project: Project, dump: Path) -> Project:
    """A project whose dump is loaded, with one reject."""
    assert project.migrate(dump, confirm=confirm).exit_code == 3
    return project


def changes(project: Project) -> dict[str, tuple[int, int]]:
    with project.connect(project.manifest) as connection:
        load = ledger.find_load(connection, "app")
        assert load is not None
        return {
            name: (found.changed, found.deleted)
            for name, found in find_changes(connection, load).items()
        }


@pytest.mark.contract
def test_everything_that_a_load_created_goes(project: Project, dump: Path, query: Query) -> None:
    before = query(CATALOG)
    project.migrate(dump, confirm=confirm)
    assert len(query(CATALOG)) > len(before) + 10
    done = project.undo(confirm=confirm)
    assert [(table.name, table.rows, tuple(table.changes)) for table in done.tables] == [
        (name, 50, (0, 0)) for name in TABLES
    ]
    assert (done.functions, done.drops_ledger, done.is_done) == (FUNCTIONS, True, True)
    assert query(CATALOG) == before


def test_the_load_works_again_and_a_second_undo_finds_nothing(loaded: Project, dump: Path) -> None:
    for _ in range(2):
        assert loaded.undo(confirm=confirm).is_done
        again = loaded.undo(confirm=confirm)
        assert (again.tables, again.is_done) == ([], False)
        report = loaded.migrate(dump, confirm=confirm)
        assert report.verified is not None
        assert (report.verified.equal, report.rejected) == (50, 1)


@pytest.mark.contract
def test_rows_are_unchanged_after_vacuum_and_a_rewrite_of_the_file(
    loaded: Project, query: Query
) -> None:
    query("VACUUM (FREEZE, FULL) users")
    query("VACUUM (FREEZE) user_items")
    query("CLUSTER user_item_parts USING user_item_parts_pkey")
    query("SELECT * FROM users FOR UPDATE")
    assert changes(loaded) == dict.fromkeys(TABLES, (0, 0))
    query("ALTER TABLE user_item_parts SET WITHOUT CLUSTER")
    assert loaded.undo(confirm=confirm).is_done


@pytest.mark.parametrize(
    ("statement", "expected", "said"),
    [
        (
            "UPDATE users SET name = 'x' WHERE name IN ('user 1', 'user 2')",
            (2, 0),
            "users: 2 rows changed",
        ),
        ("INSERT INTO users (name) VALUES ('x')", (1, 0), "users: 1 row changed"),
        (
            "ALTER TABLE users ALTER name TYPE varchar(20), ALTER _extra TYPE json",
            (50, 0),
            "users: 50 rows changed",
        ),
        (
            "DELETE FROM user_item_parts WHERE position = 0",
            (0, 50),
            "user_item_parts: 50 rows deleted",
        ),
        ("TRUNCATE user_item_parts", (0, 50), "user_item_parts: 50 rows deleted"),
    ],
)
def test_edits_of_rows_are_refused_with_their_numbers_until_they_are_named(
    loaded: Project, query: Query, statement: str, expected: tuple[int, int], said: str
) -> None:
    table = said.partition(":")[0]
    query(statement)
    assert changes(loaded) == {**dict.fromkeys(TABLES, (0, 0)), table: expected}
    before = query(CATALOG)
    for replace in ([], [name for name in TABLES if name != table]):
        with pytest.raises(EditedError, match=said) as error:
            loaded.undo(confirm=confirm, replace=replace)
        assert (error.value.exit_code, error.value.remedy) == (
            1,
            f"To discard them, name each table: `--replace {table}`",
        )
    assert query(CATALOG) == before
    assert query("SELECT count(*) FROM assise.chunk") == [(1,)]
    assert loaded.undo(confirm=confirm, replace=[table]).is_done


def test_deleted_and_added_rows_both_count(loaded: Project, query: Query) -> None:
    query("DELETE FROM users WHERE name < 'user 2'")
    query("INSERT INTO users (name) VALUES ('x'), ('y')")
    assert changes(loaded) == {"users": (2, 10), "user_items": (0, 12), "user_item_parts": (0, 12)}
    with pytest.raises(
        EditedError,
        match="users: 2 rows changed, 10 rows deleted;"
        " user_items: 12 rows deleted; user_item_parts: 12 rows deleted",
    ):
        loaded.undo(confirm=confirm)


@pytest.mark.contract
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE users ADD nickname text", "column nickname"),
        ("ALTER TABLE users RENAME name TO full_name", "column full_name"),
        ("CREATE INDEX mine ON users (name)", "index mine"),
        ("ALTER TABLE users ADD CONSTRAINT mine UNIQUE (name)", "index mine"),
        ("ALTER TABLE users ADD CONSTRAINT mine CHECK (name <> '')", "constraint mine"),
        (
            """ALTER TABLE users ADD best uuid,
            ADD CONSTRAINT mine FOREIGN KEY (best) REFERENCES users""",
            "column best, constraint mine",
        ),
        (
            """CREATE TRIGGER mine BEFORE UPDATE ON users
            FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()""",
            "trigger mine",
        ),
        ("CREATE POLICY mine ON users USING (true)", "policy mine"),
        ("CREATE RULE mine AS ON DELETE TO users DO INSTEAD NOTHING", "rule mine"),
    ],
)
def test_what_was_added_to_a_table_is_refused_by_name_until_the_table_is_named(
    loaded: Project, query: Query, statement: str, said: str
) -> None:
    query(statement)
    with pytest.raises(EditedError, match=f"users: {said}\n"):
        loaded.undo(confirm=confirm)
    assert loaded.undo(confirm=confirm, replace=["users"]).is_done


@pytest.mark.contract
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("CREATE VIEW public.mine AS SELECT name FROM users", "view mine depends on table users"),
        (
            "CREATE TABLE public.mine (user_id uuid REFERENCES users)",
            "constraint mine_user_id_fkey on table mine depends on table users",
        ),
        ("CREATE TABLE public.mine () INHERITS (users)", "table mine depends on table users"),
        (
            "CREATE FUNCTION public.mine(users) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            r"function mine\(users\) depends on type users",
        ),
        (
            "CREATE VIEW public.mine AS SELECT name FROM assise.load",
            r"view mine depends on table assise\.load",
        ),
    ],
)
def test_what_others_made_that_depends_on_ours_is_never_dropped(
    loaded: Project, query: Query, statement: str, said: str
) -> None:
    query(statement)
    before = query(CATALOG)
    with pytest.raises(DependentError, match=said):
        loaded.undo(confirm=confirm, replace=TABLES)
    assert query(CATALOG) == before
    assert query("SELECT count(*) FROM users") == [(50,)]


@pytest.mark.contract
def test_a_function_that_others_use_stays(loaded: Project, query: Query) -> None:
    query("CREATE TABLE public.mine (id uuid DEFAULT _new_objectid())")
    query("CREATE VIEW public.keys AS SELECT uuid_to_objectid(id) AS id FROM mine")
    assert loaded.undo(confirm=confirm).functions == ["objectid_to_uuid"]
    query("INSERT INTO mine DEFAULT VALUES")
    assert query("SELECT length(id) FROM keys") == [(24,)]


@pytest.mark.contract
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("CREATE TABLE assise.mine (n int)", "table assise.mine"),
        (
            "CREATE FUNCTION assise.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "function assise.mine()",
        ),
    ],
)
def test_the_schema_stays_where_others_have_put_something(
    loaded: Project, dump: Path, query: Query, statement: str, said: str
) -> None:
    query(statement)
    done = loaded.undo(confirm=confirm)
    assert (done.others, done.drops_ledger) == ([said], True)
    mine, relations = (
        [("mine",)],
        "SELECT relname::text FROM pg_class WHERE relnamespace = %s::regnamespace",
    )
    assert query(relations, ("assise",)) == (mine if "TABLE" in statement else [])
    assert loaded.migrate(dump, confirm=confirm).loaded == 50
    assert loaded.undo(confirm=confirm).others == [said]


def test_a_table_that_is_gone_is_no_obstacle(loaded: Project, query: Query) -> None:
    query("DROP TABLE user_item_parts")
    query("ALTER TABLE users RENAME TO people")
    query("CREATE VIEW public.users AS SELECT * FROM people")
    assert changes(loaded) == {"users": (0, 50), "user_items": (0, 0), "user_item_parts": (0, 50)}
    done = loaded.undo(confirm=confirm, replace=["user_items"])
    assert [table.is_gone for table in done.tables] == [True, False, True]
    assert query("SELECT count(*) FROM users JOIN people USING (id)") == [(50,)]
    assert query("SELECT to_regclass('user_items')") == [(None,)]


def test_an_unfinished_load_is_undone_too(project: Project, dump: Path, query: Query) -> None:
    before = query(CATALOG)
    project.write_manifest(project.infer(dump))
    with project.connect(project.manifest) as connection:
        creation.begin(connection, project.manifest, str(dump), chunk_bytes=4096)
    done = project.undo(confirm=confirm)
    assert [(table.name, table.rows) for table in done.tables] == [(name, 0) for name in TABLES]
    assert query(CATALOG) == before


def test_of_two_loads_the_other_stays_and_can_be_verified(
    tmp_path: Path, database: str, query: Query
) -> None:
    projects = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        projects.append(Project(tmp_path / name, to=database))
        projects[-1].migrate(
            write_dump(
                tmp_path / name / name,
                {f"c_{name}": [{"_id": ObjectId(), "a": n} for n in range(50)]},
            ),
            confirm=confirm,
        )
    first, second = projects
    done = first.undo(confirm=confirm)
    assert (done.functions, done.drops_ledger) == ([], False)
    assert query(
        "SELECT to_regclass('c_one'), (SELECT count(*) FROM c_two),"
        " (SELECT count(*) FROM assise.load)"
    ) == [(None, 50, 1)]
    verified = second.verify().verified
    assert verified is not None
    assert verified.equal == 50
    done = second.undo(confirm=confirm)
    assert (done.functions, done.drops_ledger) == (FUNCTIONS, True)


def test_names_that_want_quotes_are_undone(tmp_path: Path, database: str, query: Query) -> None:
    project = Project(tmp_path, to=database)
    dump = write_dump(tmp_path / "app", {"users": [{"_id": 1, "a": 1}]})
    project.write_manifest(project.infer(dump))
    project.path.write_text(
        project.path.read_text().replace("  users:\n", "  'order \"100%s\"':\n")
    )
    project.load(dump, confirm=confirm)
    query('UPDATE "order ""100%s""" SET a = 2')
    with pytest.raises(EditedError, match='order "100%s": 1 row changed'):
        project.undo(confirm=confirm)
    assert project.undo(confirm=confirm, replace=['order "100%s"']).is_done
    assert query("SELECT count(*) FROM pg_class WHERE relname LIKE 'order%'") == [(0,)]


def test_it_asks_before_it_drops_and_a_dry_run_changes_nothing(
    loaded: Project, query: Query
) -> None:
    before = query(CATALOG)
    asked: list[str] = []

    def refuse(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(UsageError, match="not confirmed, nothing was dropped"):
        loaded.undo(confirm=refuse)
    assert (
        "drops the load of 'app', 3 tables: users (50 rows), user_items (50 rows),"
        " user_item_parts (50 rows); and the ledger"
    ) in asked[0]
    query("UPDATE users SET name = 'x'")
    plan = loaded.undo(dry_run=True)
    assert (plan.is_done, [tuple(table.changes) for table in plan.tables]) == (
        False,
        [(50, 0), (0, 0), (0, 0)],
    )
    with pytest.raises(EditedError):
        plan.check([])
    plan.check(["users"])
    assert query(CATALOG) == before


def test_rows_that_change_while_it_asks_are_not_lost(loaded: Project, query: Query) -> None:
    def change(_question: str) -> bool:
        query("UPDATE users SET name = 'x' WHERE name = 'user 7'")
        return True

    with pytest.raises(EditedError, match="users: 1 row changed"):
        loaded.undo(confirm=change)
    assert query("SELECT count(*) FROM users WHERE name = 'x'") == [(1,)]


def test_an_unknown_table_to_replace_is_named_with_the_nearest(loaded: Project) -> None:
    with pytest.raises(
        UsageError, match=r"'user' is not a table of the load of 'app'\nDid you mean users\?"
    ):
        loaded.undo(confirm=confirm, replace=["user"])


@pytest.mark.contract
def test_another_session_that_uses_a_table_is_waited_for_and_then_named(
    loaded: Project, database: str, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = Connection.execute

    def hurry(
        self: Connection, statement: str, parameters: Parameters = ()
    ) -> list[tuple[object, ...]]:
        hurried = re.sub(r"lock_timeout = '\d+s'", "lock_timeout = '100ms'", statement)
        return execute(self, hurried, parameters)

    monkeypatch.setattr(Connection, "execute", hurry)
    with psycopg.connect(database) as other:
        other.execute("INSERT INTO users (name) VALUES ('not committed')")
        with pytest.raises(TargetError, match="another session uses the tables of 'app'"):
            loaded.undo(confirm=confirm)
    assert query("SELECT count(*) FROM users") == [(51,)]
    with Connection(database) as other_load:
        ledger.lock(other_load, "app", log=print)
        with pytest.raises(TargetError, match="another process is at work on 'app'"):
            loaded.undo(confirm=confirm)
