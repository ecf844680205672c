"""What the manifest asks for later is added beside the writers of tables that are in use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.dumps import confirm, write_dump

from assise.errors import ManifestError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
MANIFEST = """assise: 1
name: app
tables:
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      name: text
      age: int4
"""
CHANGED = MANIFEST.replace(
    "      name: text\n      age: int4\n",
    "      name: {type: text, unique: true, not_null: true}\n"
    "      age: {type: int4, check: age < 150}\n    indexes: [[age]]\n",
)
STEPS = [
    """CREATE UNIQUE INDEX CONCURRENTLY "users_name_key" ON "public"."users" ("name")""",
    """ALTER TABLE "public"."users" ADD CONSTRAINT "users_name_key" UNIQUE USING INDEX "users_name_key\"""",
    """CREATE INDEX CONCURRENTLY "users_age_idx" ON "public"."users" ("age")""",
    """ALTER TABLE "public"."users" ADD CONSTRAINT name_is_set CHECK ("name" IS NOT NULL) NOT VALID""",
    """ALTER TABLE "public"."users" VALIDATE CONSTRAINT name_is_set""",
    """ALTER TABLE "public"."users" ALTER COLUMN "name" SET NOT NULL""",
    """ALTER TABLE "public"."users" DROP CONSTRAINT name_is_set""",
    """ALTER TABLE "public"."users" ADD CONSTRAINT "users_age_check" CHECK (age < 150) NOT VALID""",
    """ALTER TABLE "public"."users" VALIDATE CONSTRAINT "users_age_check\"""",
]
NOTED = """CREATE TABLE public.noted (n serial, statement text);
    CREATE FUNCTION public.note() RETURNS event_trigger LANGUAGE plpgsql
    AS 'BEGIN INSERT INTO public.noted (statement) VALUES (current_query()); END';
    CREATE EVENT TRIGGER note ON ddl_command_start EXECUTE FUNCTION public.note()"""
MADE = """SELECT conname::text, convalidated FROM pg_constraint
    WHERE conrelid = 'users'::regclass AND contype IN ('c', 'u')
    UNION SELECT relname::text, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = 'users'::regclass AND NOT indisprimary ORDER BY 1"""
WHOLE = [("users_age_check", True), ("users_age_idx", True), ("users_name_key", True)]
CHECK = "ALTER TABLE users ADD CONSTRAINT {} CHECK (age < 300)"
KEYS = "SELECT name FROM assise.object"


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    users = [{"_id": n, "name": f"user {n}", "age": n} for n in range(20)]
    return write_dump(tmp_path / "app", {"users": users})


@pytest.fixture
def loaded(project: Project, dump: Path) -> Project:
    project.path.write_text(MANIFEST)
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    return project


def test_what_is_added_is_added_by_the_steps_of_revisions(
    loaded: Project, dump: Path, query: Query
) -> None:
    loaded.path.write_text(CHANGED)
    assert loaded.plan(dump).changes == STEPS
    query(NOTED)
    assert loaded.load().exit_code == 0
    found = [str(text) for (text,) in query("SELECT statement FROM noted ORDER BY n")]
    query("DROP EVENT TRIGGER note")
    assert [text for text in STEPS if not any(text in each for each in found)] == []
    assert query(MADE) == WHOLE
    assert loaded.plan(dump).changes == []
    assert loaded.undo(confirm=confirm).is_done


def test_rows_that_break_a_key_are_a_finding_and_a_plain_index_stands_there(
    loaded: Project, dump: Path, query: Query
) -> None:
    loaded.path.write_text(CHANGED)
    query("UPDATE users SET name = 'twice', age = 200 WHERE id < 2")
    query("UPDATE users SET name = NULL WHERE id = 9")
    for _ in range(2):
        report = loaded.load()
        assert sorted((each.kind, each.rows) for each in report.findings) == [
            ("check", 2),
            ("not null", 1),
            ("unique", 2),
        ]
        assert query(MADE) == [("users_age_idx", True), ("users_name_key", True)]
        assert loaded.plan(dump).changes == [], "what is tried again is no change"
    query("UPDATE users SET name = 'user ' || id, age = 7")
    assert loaded.load().findings == []
    assert query(MADE) == WHOLE


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("users_name_key", "CREATE UNIQUE INDEX users_name_key ON users (name)"),
        ("users_age_idx", "CREATE INDEX users_age_idx ON users (age)"),
        ("name", "ALTER TABLE users ADD CONSTRAINT name_is_set CHECK (name IS NOT NULL) NOT VALID"),
        (
            "users_age_check",
            "ALTER TABLE users ADD CONSTRAINT users_age_check CHECK (age < 150) NOT VALID",
        ),
    ],
)
def test_what_a_kill_has_left_is_made_anew(
    loaded: Project, query: Query, name: str, left: str
) -> None:
    loaded.path.write_text(CHANGED)
    loaded.load()
    query("ALTER TABLE users ALTER name DROP NOT NULL, DROP CONSTRAINT users_age_check")
    query("ALTER TABLE users DROP CONSTRAINT users_name_key; DROP INDEX users_age_idx")
    query("DELETE FROM assise.object WHERE name NOT IN (%s, 'id')", (name,))
    query("UPDATE assise.object SET finding = '{\"unchecked\": true}' WHERE name = %s", (name,))
    query(left)
    assert loaded.load().findings == []
    assert query(MADE) == WHOLE
    assert query("SELECT attnotnull FROM pg_attribute WHERE attname = 'name' AND attrelid = 'users'::regclass") == [(True,)]  # fmt: skip


def test_what_a_kill_has_left_goes_where_rows_break_it_by_then(
    loaded: Project, query: Query
) -> None:
    loaded.path.write_text(CHANGED)
    loaded.load()
    query("ALTER TABLE users ALTER name DROP NOT NULL, DROP CONSTRAINT users_age_check")
    query("UPDATE users SET name = NULL, age = 200 WHERE id = 9")
    query(
        "UPDATE assise.object SET finding = '{\"unchecked\": true}' WHERE kind IN ('check', 'not null')"
    )
    query("ALTER TABLE users ADD CONSTRAINT name_is_set CHECK (name IS NOT NULL) NOT VALID")
    query("ALTER TABLE users ADD CONSTRAINT users_age_check CHECK (age < 150) NOT VALID")
    assert sorted(each.kind for each in loaded.load().findings) == ["check", "not null"]
    assert query(MADE) == [("users_age_idx", True), ("users_name_key", True)]


def test_columns_with_signs_of_sql_in_their_names_get_all_that_others_get(
    project: Project, dump: Path, query: Query
) -> None:
    odd = """'A "(b) NOT VALID': {type: text, from: name"""
    project.path.write_text(MANIFEST.replace("name: text", f"{odd}}}"))
    project.migrate(dump, confirm=confirm)
    project.path.write_text(
        MANIFEST.replace("name: text", f"{odd}, unique: true, not_null: true}}")
    )
    assert project.load().findings == []
    assert query(MADE) == [('users_A "(b) NOT VALID_key', True)]


@pytest.mark.parametrize("is_broken", [False, True])
@pytest.mark.parametrize(
    ("name", "key", "theirs"),
    [
        ("users_name_key", "users_name_key", "CREATE INDEX users_name_key ON users (age)"),
        ("users_name_key", "users_name_key", CHECK.format("users_name_key")),
        ("users_age_check", "users_age_check", CHECK.format("users_age_check")),
        ("name_is_set", "name", CHECK.format("name_is_set")),
    ],
)
def test_what_others_have_made_under_such_a_name_stays(
    loaded: Project, query: Query, name: str, key: str, theirs: str, *, is_broken: bool
) -> None:
    loaded.path.write_text(CHANGED)
    query(theirs)
    before = query(MADE)
    if is_broken:
        query("UPDATE users SET name = 'twice', age = 200 WHERE id < 2")
        query("UPDATE users SET name = NULL WHERE id = 9")
    for _ in range(2):
        with pytest.raises(ManifestError, match=f"{name}.* already exists"):
            loaded.load()
        query("UPDATE users SET name = 'user ' || id, age = 7")
        assert {*before} <= {*query(MADE)}
        assert (key,) not in query(KEYS)


@pytest.mark.parametrize(
    ("check", "is_finding"),
    [("age < 'abc'", False), ("10 / (age - 7) < 99", True), ("age < 1 / 0", False)],
)
def test_a_check_that_cannot_be_read_is_refused_and_one_that_fails_on_a_row_is_a_finding(
    loaded: Project, query: Query, check: str, *, is_finding: bool
) -> None:
    loaded.path.write_text(CHANGED.replace("age < 150", f'"{check}"'))
    if is_finding:
        (finding,) = loaded.load().findings
        assert "division by zero" in finding.made
    else:
        with pytest.raises(ManifestError, match=r"tables\.users\.columns\.age\.check"):
            loaded.load()
    assert ("users_age_check", True) not in query(MADE)
