"""Changes of the manifest: those of the schema are made in place, those of rows refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import bson
import pytest
from tests.dumps import confirm, write_dump

from assise.errors import ChangedError, TargetError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
COMMENTS = """SELECT objoid::regclass::text, attname::text, description FROM pg_description
    LEFT JOIN pg_attribute ON attrelid = objoid AND attnum = objsubid AND attnum > 0
    WHERE classoid = 'pg_class'::regclass
    AND objoid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    ORDER BY 1, 2"""
MANIFEST = """assise: 1
name: app
tables:
  users:
    collection: users
    primary_key: id
    comment: "who's who"
    columns:
      id: {type: int4, from: _id}
      name: {type: text, comment: "the \\\\ full name"}
  user_items:
    parent: users
    from: items.*
    primary_key: [user_id, position]
    columns:
      n: int4
"""
OURS = [("users", "name", "the \\ full name"), ("users", None, "who's who")]


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    users = [{"_id": n, "name": f"user {n}", "items": [{"n": n}]} for n in range(20)]
    return write_dump(tmp_path / "app", {"users": users})


@pytest.fixture
def loaded(project: Project, dump: Path) -> Project:
    project.path.write_text(MANIFEST)
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    return project


def change(project: Project, old: str, new: str) -> None:
    text = project.path.read_text()
    assert old in text
    project.path.write_text(text.replace(old, new))


@pytest.mark.usefixtures("loaded")
def test_a_load_writes_the_comments_of_the_manifest(query: Query) -> None:
    assert query(COMMENTS) == OURS


@pytest.mark.parametrize("is_migrated", [False, True])
def test_changed_comments_are_changed_in_place(
    loaded: Project, dump: Path, query: Query, *, is_migrated: bool
) -> None:
    before = query("SELECT xmin::text, users::text FROM users ORDER BY id")
    change(loaded, "who's who", "people")
    change(loaded, "n: int4", "n: {type: int4, comment: how many}")
    assert (loaded.migrate(dump) if is_migrated else loaded.load()).was_done
    expected = [("user_items", "n", "how many"), OURS[0], ("users", None, "people")]
    assert query(COMMENTS) == expected
    assert query("SELECT xmin::text, users::text FROM users ORDER BY id") == before
    ((text,),) = query("SELECT manifest FROM assise.load")
    assert "comment: people" in str(text)
    assert loaded.verify().exit_code == 0


def test_a_second_run_writes_no_comment_and_no_text(loaded: Project, query: Query) -> None:
    statement = """SELECT xmin::text FROM assise.load UNION ALL
        SELECT xmin::text FROM pg_description WHERE objoid = 'users'::regclass"""
    before = query(statement)
    assert loaded.load().was_done
    assert query(statement) == before


@pytest.mark.contract
def test_a_comment_goes_with_its_key_and_those_of_others_stay(
    loaded: Project, query: Query
) -> None:
    query("COMMENT ON COLUMN user_items.n IS 'of SQL'")
    query("COMMENT ON TABLE users IS 'changed by SQL'")
    change(loaded, '    comment: "who\'s who"\n', "")
    change(loaded, '{type: text, comment: "the \\\\ full name"}', "text")
    loaded.load()
    assert query(COMMENTS) == [("user_items", "n", "of SQL"), ("users", None, "changed by SQL")]


def test_a_comment_that_sql_has_changed_is_set_again(loaded: Project, query: Query) -> None:
    query("COMMENT ON TABLE users IS NULL")
    query("COMMENT ON COLUMN users.name IS 'changed by SQL'")
    loaded.load()
    assert query(COMMENTS) == OURS


def test_what_affects_nothing_goes_through_in_silence(
    loaded: Project, dump: Path, query: Query
) -> None:
    text = loaded.path.read_text()
    head, users, items = re.split(r"(?m)^(?=  user)", text)
    columns = users.splitlines(keepends=True)
    columns[-2:] = reversed(columns[-2:])
    loaded.path.write_text(f"# another order\n{head}{items}{''.join(columns)}")
    change(loaded, "name: app", "name: app\npostgres: postgresql://elsewhere/app")
    before = query("SELECT xmin::text, users::text FROM users ORDER BY id")
    assert loaded.load(dump).was_done
    assert loaded.verify().exit_code == 0
    assert query("SELECT xmin::text, users::text FROM users ORDER BY id") == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("{type: int4, from: _id}", "{type: int8, from: _id}"),
        ("n: int4", "n: {type: int4, from: m}"),
        ("n: int4", "n: {type: numeric, kind: number}"),
        ("from: items.*", "from: things.*"),
        ("position]", "position]"),
        ("      n: int4\n", "      n: int4\n      m: int4\n"),
    ],
)
def test_what_affects_rows_is_refused_with_undo_as_remedy(
    loaded: Project, query: Query, old: str, new: str
) -> None:
    change(loaded, old, new)
    change(loaded, "who's who", "people")
    for verb in (loaded.load, loaded.verify):
        with pytest.raises(ChangedError, match="the manifest has changed since the load") as error:
            verb()
        assert "`assise undo`" in error.value.remedy
    assert query(COMMENTS) == OURS


@pytest.mark.contract
def test_a_function_of_the_users_is_never_replaced(
    project: Project, tmp_path: Path, query: Query
) -> None:
    query("CREATE FUNCTION objectid_to_uuid(x text) RETURNS text LANGUAGE sql AS $$SELECT 'mine'$$")
    before = query("SELECT count(*) FROM pg_class WHERE oid >= 16384")
    dump = write_dump(tmp_path / "keys", {"users": [{"_id": bson.ObjectId(), "n": 1}]})
    with pytest.raises(TargetError, match=r'a function "public"\."objectid_to_uuid"') as error:
        project.migrate(dump, confirm=confirm)
    assert error.value.remedy.startswith("Rename it")
    assert query("SELECT objectid_to_uuid('')") == [("mine",)]
    assert query("SELECT count(*) FROM pg_class WHERE oid >= 16384") == before
    assert query("SELECT to_regnamespace('assise')") == [(None,)]
    query("ALTER FUNCTION objectid_to_uuid(text) RENAME TO mine")
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    assert query(
        "SELECT count(*) FROM users WHERE objectid_to_uuid(uuid_to_objectid(id)) = id"
    ) == [(1,)]


def test_tables_without_objectids_have_no_functions(loaded: Project, query: Query) -> None:
    statement = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    assert query(statement) == []
    assert loaded.undo(confirm=confirm).functions == []


def test_a_dry_run_lists_what_is_changed_in_place(
    loaded: Project, dump: Path, query: Query
) -> None:
    assert loaded.plan(dump).changes == []
    change(loaded, "who's who", "people")
    plan = loaded.plan(dump)
    assert plan.is_loaded
    assert plan.changes == ['COMMENT ON TABLE "public"."users" IS \'people\'']
    assert (plan.refusals, plan.exit_code) == ([], 0)
    assert query(COMMENTS) == OURS


def test_a_dry_run_says_what_is_refused_and_the_remedy(loaded: Project, dump: Path) -> None:
    change(loaded, "name: {type: text", "name: {type: jsonb")
    plan = loaded.plan(dump)
    message, remedy = plan.refusals
    assert "users (column name)" in message
    assert "assise undo" in remedy
    assert (plan.changes, plan.exit_code) == ([], 3)


def test_a_dry_run_lists_indexes_that_are_made_and_dropped(
    loaded: Project, dump: Path, query: Query
) -> None:
    before = loaded.path.read_text()
    change(
        loaded, "    columns:\n      id", "    indexes: [{columns: [name]}]\n    columns:\n      id"
    )
    (made,) = loaded.plan(dump).changes
    assert made.startswith("CREATE INDEX")
    assert '"users"' in made
    indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'users'"
    assert query(indexes) == [(1,)]
    loaded.load(confirm=confirm)
    assert query(indexes) == [(2,)]
    assert loaded.plan(dump).changes == []
    loaded.path.write_text(before)
    (dropped,) = loaded.plan(dump).changes
    assert dropped.startswith("DROP INDEX")
