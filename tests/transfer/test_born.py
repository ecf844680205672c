"""Tables without a collection: made, changed, ruled and dropped beside those that are loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from bson import ObjectId
from tests.dumps import confirm, write_dump

from assise.errors import ChangedError, EditedError, ManifestError, TargetError, UsageError
from assise.project import Project
from assise.transfer.report import Verified

Query = Callable[..., list[tuple[object, ...]]]

BANK = """assise: 1
name: bank
tables:
  core.users:
    primary_key: id
    columns:
      id: {type: uuid, default: gen_random_uuid()}
      email: {type: citext, unique: true, not_null: true}
      plan: {type: text, default: free, values: [free, pro]}
  business.wallets:
    primary_key: [owner, number]
    comment: what users own
    columns:
      owner: {type: uuid, references: core.users, on_delete: cascade}
      number: int4
      balance: {type: "numeric(18,2)", default: 0, check: balance >= 0}
    indexes: [-balance]
"""
APP = """assise: 1
name: app
tables:
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      name: text
    access: {owner: id}
    api: {read: all}
  notes:
    primary_key: id
    columns:
      id: int8
      user_id: {type: uuid, references: users, not_null: true}
      body: {type: text, personal: text}
      created_at: {type: timestamptz, default: now(), not_null: true}
    access: {owner: user_id}
    api: {read: [body], create: [body]}
"""
IDS = [ObjectId(f"507f1f77bcf86cd7994{n:05}") for n in range(3)]


@pytest.fixture
def bank(project: Project) -> Project:
    project.path.write_text(BANK)
    assert project.migrate(confirm=confirm).exit_code == 0
    return project


@pytest.mark.contract
def test_a_manifest_without_collections_is_migrated_without_a_source(
    bank: Project, query: Query
) -> None:
    query("INSERT INTO core.users (email) VALUES ('A@b.fr')")
    query("INSERT INTO business.wallets (owner, number) SELECT id, 1 FROM core.users")
    query("DELETE FROM core.users WHERE email = 'a@B.fr'")
    assert query("SELECT count(*) FROM business.wallets") == [(0,)]
    assert bank.migrate(confirm=confirm).was_done
    assert bank.verify().documents == 0
    assert bank.revisions().diff().is_empty
    assert "class Wallets(Base)" in bank.schema_models()
    assert query("SELECT obj_description('business.wallets'::regclass)") == [("what users own",)]


def test_new_tables_and_columns_come_in_place_and_nothing_with_rows_goes(
    bank: Project, query: Query
) -> None:
    query("INSERT INTO core.users (email) VALUES ('a@b.fr')")
    more = BANK.replace("      plan:", "      rank: {type: int4, default: 7}\n      plan:")
    added = "  plans:\n    primary_key: id\n    columns: {id: text, price: numeric}\n"
    bank.path.write_text(more + added)
    planned = bank.plan(None).changes
    assert [each.split()[:2] for each in planned] == [
        ["CREATE", "TABLE"],
        ["ALTER", "TABLE"],
        ["ALTER", "TABLE"],
    ]
    bank.migrate(confirm=confirm)
    assert query("SELECT rank, (SELECT count(*) FROM plans) FROM core.users") == [(7, 0)]
    assert bank.revisions().diff().is_empty
    bank.path.write_text(more)
    bank.migrate(confirm=confirm)
    assert query("SELECT to_regclass('plans')") == [(None,)]
    bank.path.write_text(more.replace("rank: {type: int4", "rank: {type: int8"))
    with pytest.raises(ChangedError, match=r"core\.users\.rank is integer, and int8 in"):
        bank.migrate(confirm=confirm)
    kept = more[: more.index("  core.users")] + added
    bank.path.write_text(kept)
    with pytest.raises(ChangedError, match=r"core\.users is left out, and it holds 1 row"):
        bank.migrate(confirm=confirm)
    assert query("SELECT to_regclass('plans')") == [(None,)]


def test_a_table_of_the_application_is_never_taken(project: Project, query: Query) -> None:
    query("CREATE SCHEMA core; CREATE TABLE core.users (id int)")
    project.path.write_text(BANK)
    with pytest.raises(TargetError, match=r"already has core\.users"):
        project.migrate(confirm=confirm)
    assert query("SELECT to_regnamespace('business'), to_regnamespace('assise')") == [(None, None)]


def test_undo_drops_empty_tables_and_asks_for_others_by_name(bank: Project, query: Query) -> None:
    query("INSERT INTO core.users (email) VALUES ('a@b.fr')")
    assert [
        (table.name, table.is_born, table.rows) for table in bank.undo(dry_run=True).tables
    ] == [
        ("business.wallets", True, 0),
        ("core.users", True, 1),
    ]
    with pytest.raises(EditedError, match=r"core\.users: 1 row of the application"):
        bank.undo(confirm=confirm)
    undone = bank.undo(confirm=confirm, replace=["core.users"])
    assert undone.schemas == ["business", "core"]
    assert query("SELECT to_regclass('core.users'), to_regnamespace('assise')") == [(None, None)]


@pytest.mark.contract
def test_beside_a_load_they_are_ruled_and_never_counted(
    project: Project, tmp_path: Path, database: str, query: Query
) -> None:
    prefix = f"born{abs(hash(tmp_path)) % 10**6}"
    project.path.write_text(APP.replace("name: app\n", f"name: app\nroles: {{prefix: {prefix}}}\n"))
    users = [{"_id": key, "name": f"user {n}"} for n, key in enumerate(IDS)]
    dump = write_dump(tmp_path / "dump", {"users": users})
    try:
        assert project.migrate(dump, confirm=confirm).loaded == 3
        query("INSERT INTO notes (user_id, body) SELECT id, name FROM users")
        me = query("SELECT id::text FROM users ORDER BY id LIMIT 1")[0][0]
        with psycopg.connect(database) as session:
            session.execute(f"SET ROLE {prefix}_app".encode())
            session.execute("SELECT set_config('app.user_id', %s, true)", (me,))
            assert session.execute("SELECT body FROM notes").fetchall() == [("user 0",)]
            session.execute("INSERT INTO notes (user_id, body) VALUES (%s, 'mine')", (me,))
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                session.execute("INSERT INTO notes (user_id, body) SELECT gen_random_uuid(), 'x'")
        hidden = query(
            "SELECT has_column_privilege(%s, 'notes', 'body', 'SELECT')", (f"{prefix}_readonly",)
        )
        assert hidden == [(False,)]
        assert project.verify(dump).verified == Verified(equal=3)
        assert project.migrate(confirm=confirm).was_done
        with pytest.raises(EditedError, match="notes: 3 rows of the application"):
            project.undo(confirm=confirm)
        project.undo(confirm=confirm, replace=["notes"])
        assert query("SELECT to_regclass('users'), to_regclass('notes')") == [(None, None)]
    finally:
        names = query("SELECT rolname FROM pg_roles WHERE rolname ^@ %s", (f"{prefix}_",))
        for (name,) in names:
            query(f"DROP OWNED BY {name}; DROP ROLE {name}")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("primary_key: id", "primary_key: key", "is not a column of this table"),
        ("primary_key: id", "primary_key: [id, id]", "occurs twice"),
        ("primary_key: id", "primary_key: []", "is empty"),
        ("id: {type: uuid", "id: {from: _id, type: uuid", "means nothing in a table without"),
        ("on_delete: cascade", "orphans: reject", "means nothing in a table without"),
        ("[-balance]", "[-balance]\n    nulls: [a]", "means nothing in a table without"),
        ("number: int4", "number: {type: int4, absent: null}", "means nothing in a table without"),
    ],
)
def test_keys_of_documents_mean_nothing_there(
    project: Project, old: str, new: str, problem: str
) -> None:
    assert old in BANK
    project.path.write_text(BANK.replace(old, new, 1))
    with pytest.raises(ManifestError, match=problem):
        project.migrate(confirm=confirm)


def test_without_a_source_nothing_that_has_collections_begins(project: Project) -> None:
    with pytest.raises(UsageError, match="there is no manifest"):
        project.migrate(confirm=confirm)
    project.path.write_text(APP.replace("name: app\n", "name: app\nroles: {prefix: app}\n"))
    with pytest.raises(UsageError, match="no source is remembered"):
        project.migrate(confirm=confirm)
