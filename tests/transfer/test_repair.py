"""Repair: what differs from the source is written again as the source has it.

Edits are never discarded unasked, and nothing else is touched.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from bson import ObjectId
from tests.dumps import confirm, write_dump
from tests.scenes.commands import SESSIONS, Scene, wait_until
from tests.scenes.databases import Databases, Template
from tests.scenes.things import THINGS as TYPED_THINGS
from tests.scenes.things import load_things, write_thing

from assise.errors import ChangedError, DependentError, EditedError, TargetError, UsageError
from assise.project import Project
from assise.transfer import ledger
from assise.transfer.repair import Change
from assise.transfer.report import Verified
from assise.transfer.undo import find_changes

Query = Callable[..., list[tuple[object, ...]]]

USERS: list[dict[str, object]] = [
    {
        "_id": ObjectId(f"65b9f0a00000000000000{n:03}"),
        "name": f"user {n}",
        "n": n / 2 if n % 2 else n,
        "items": [{"n": n, "parts": [{"p": n}]}],
    }
    for n in range(50)
]
THINGS: list[dict[str, object]] = [
    {"_id": n if n % 2 else n + 0.5, "at": f"place {n}"} for n in range(30)
]
TABLES = ["users", "user_items", "user_item_parts", "things"]
EXTRA = "65b9f0a0-0000-8000-8000-000999000000"
KEYS = [f"65b9f0a0-0000-8000-8000-000{n:03}000000" for n in range(50)]


SETTINGS = {"workers": 1, "load.chunk_bytes": 500}


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A project whose dump is loaded in several chunks, with one reject."""
    with databases.create_template(tmp_path_factory.mktemp("repair")) as template:
        collections = {"users": [*USERS, USERS[3]], "things": THINGS}
        dump = write_dump(template.folder / "app", collections)
        project = Project(template.folder, to=template.conninfo, settings=SETTINGS)
        assert project.migrate(dump, confirm=confirm).exit_code == 3
        yield template


@pytest.fixture
def loaded(
    request: pytest.FixtureRequest, template: Template, tmp_path: Path, database: str
) -> Project:
    """A copy of it; with one worker, unless a test asks for more."""
    workers = getattr(request, "param", 1)
    return template.copy(tmp_path, database, settings={**SETTINGS, "workers": workers})


with_two_workers = pytest.mark.parametrize("loaded", [1, 2], indirect=True)


def read_rows(query: Query) -> dict[str, list[tuple[object, ...]]]:
    return {table: query(f"SELECT t::text FROM {table} AS t ORDER BY t::text") for table in TABLES}


def changes(project: Project) -> dict[str, tuple[int, int]]:
    with project.connect(project.manifest) as connection:
        load = ledger.find_load(connection, "app")
        assert load is not None
        return {
            name: (found.changed, found.deleted)
            for name, found in find_changes(connection, load).items()
        }


Counts = dict[str, tuple[int, int, int]]
"""Rows written, removed, and edited before, by table."""

DAMAGE: list[tuple[str, Counts]] = [
    ("UPDATE users SET name = 'x' WHERE name IN ('user 0', 'user 1')", {"users": (2, 0, 2)}),
    ("UPDATE users SET name = NULL", {"users": (50, 0, 50)}),
    ("UPDATE users SET _extra = '{\"a\": []}' WHERE n = 2", {"users": (1, 0, 1)}),
    ("UPDATE users SET n = n + 0.0 WHERE n = 2", {"users": (1, 0, 1)}),
    (
        "DELETE FROM users WHERE name < 'user 2'",
        {"users": (12, 0, 0), "user_items": (12, 0, 0), "user_item_parts": (12, 0, 0)},
    ),
    (
        "TRUNCATE users CASCADE",
        {"users": (50, 0, 0), "user_items": (50, 0, 0), "user_item_parts": (50, 0, 0)},
    ),
    ("DELETE FROM user_items WHERE n = 4", {"user_items": (1, 0, 0), "user_item_parts": (1, 0, 0)}),
    ("UPDATE user_item_parts SET p = 99 WHERE p = 4", {"user_item_parts": (1, 0, 1)}),
    ("INSERT INTO users (name) VALUES ('a'), ('b')", {"users": (0, 2, 0)}),
    (
        f"INSERT INTO users (id) VALUES ('{EXTRA}'); INSERT INTO user_items VALUES ('{EXTRA}', 0)",
        {"users": (0, 1, 0), "user_items": (0, 1, 0)},
    ),
    ("INSERT INTO user_items SELECT id, 1 FROM users WHERE n = 4", {"user_items": (0, 1, 0)}),
    ("UPDATE user_item_parts SET position_2 = 3 WHERE p = 0", {"user_item_parts": (1, 1, 0)}),
    ("UPDATE things SET id = id + 0.00 WHERE at = 'place 1'", {"things": (1, 0, 1)}),
    ("UPDATE things SET id = id + 1000 WHERE at < 'place 2'", {"things": (12, 12, 0)}),
]


@pytest.mark.parametrize(
    ("statement", "expected"), DAMAGE, ids=[statement for statement, _ in DAMAGE]
)
def test_damage_is_mended_and_what_may_be_an_edit_only_when_its_table_is_named(
    loaded: Project, query: Query, statement: str, expected: Counts
) -> None:
    before = read_rows(query)
    query(statement)
    damaged = read_rows(query)
    assert damaged != before
    plan = loaded.repair(dry_run=True)
    assert {
        table.name: (table.written, table.removed, table.edited) for table in plan.tables
    } == expected
    replace = [table for table, (_, removed, edited) in expected.items() if removed or edited]
    for missing in replace:
        with pytest.raises(EditedError, match="nothing was repaired") as error:
            loaded.repair(confirm=confirm, replace=[name for name in replace if name != missing])
        assert error.value.remedy.endswith(f"`--replace {missing}`")
    assert read_rows(query) == damaged
    done = loaded.repair(confirm=confirm, replace=replace)
    assert (done.is_done, done.report.verified) == (True, Verified(equal=80))
    assert read_rows(query) == before
    assert changes(loaded) == dict.fromkeys(TABLES, (0, 0))
    again = loaded.repair(confirm=confirm)
    assert (again.tables, again.changes, again.is_done) == ([], [], False)


def test_what_is_shown_is_key_column_value_and_value_in_the_source(
    loaded: Project, query: Query
) -> None:
    query("UPDATE users SET name = E'a\\x1b[2Jb', n = NULL WHERE n = 0")
    query("UPDATE things SET at = repeat('x', 300) WHERE id = 1")
    query("DELETE FROM user_items WHERE n = 4")
    query("INSERT INTO things (id, at) VALUES (7.50, 'new')")
    asked: list[str] = []

    def refuse(question: str) -> bool:
        asked.append(question)
        return False

    with pytest.raises(UsageError, match="not confirmed, nothing was repaired"):
        loaded.repair(confirm=refuse, replace=["users", "things"])
    *lines, last = asked[0].splitlines()
    assert lines == [
        f"things 1: at is '{'x' * 100}'…, in the source 'place 1'",
        "things 7.50: is not in the source",
        f"users {KEYS[0]}: name is 'a\\x1b[2Jb', in the source 'user 0'",
        f"users {KEYS[0]}: n is NULL, in the source '0'",
        f"user_items {KEYS[4]}, 0: is missing",
        f"user_item_parts {KEYS[4]}, 0, 0: is missing",
    ]
    names = ("users", "user_items", "user_item_parts")
    sums = ", ".join(f"{name} (1 row written, 0 removed)" for name in names)
    assert last.endswith(f": repairs things (1 row written, 1 removed), {sums}")
    plan = loaded.repair(dry_run=True)
    assert plan.changes[3] == Change("users", KEYS[0], "changed", "n", None, "0")
    with pytest.raises(
        EditedError,
        match="things: 1 row changed since the load, 1 row that the source has not;"
        " users: 1 row changed",
    ):
        plan.check([])
    with pytest.raises(UsageError, match="'user' is not a table that needs repair"):
        plan.check(["user"])


@pytest.mark.contract
@with_two_workers
def test_nothing_that_refers_to_a_row_is_touched(loaded: Project, query: Query) -> None:
    query("ALTER TABLE users ADD nickname text, ADD best uuid REFERENCES users ON DELETE CASCADE")
    query("CREATE TABLE orders (user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE)")
    query("INSERT INTO orders SELECT id FROM users")
    query("UPDATE users SET nickname = 'mine', best = (SELECT id FROM users WHERE n = 8)")
    query("UPDATE users SET name = 'x'")
    assert loaded.repair(confirm=confirm, replace=["users"]).report.verified == Verified(equal=80)
    assert query(
        "SELECT count(*), count(nickname), count(best) FROM users JOIN orders ON id = user_id"
    ) == [(50, 50, 50)]
    query("INSERT INTO users (name) VALUES ('new')")
    with pytest.raises(
        DependentError,
        match="rows of users cannot be repaired, as other rows would change with them:"
        " orders by orders_user_id_fkey, users by",
    ):
        loaded.repair(confirm=confirm, replace=["users"])
    assert query("SELECT count(*) FROM users") == [(51,)]


@pytest.mark.contract
def test_rows_that_would_go_or_change_with_others_are_refused(
    loaded: Project, query: Query
) -> None:
    query(
        "ALTER TABLE user_items ADD assignee uuid REFERENCES users ON DELETE CASCADE, ADD remark"
        " text"
    )
    query(f"INSERT INTO users (id) VALUES ('{EXTRA}')")
    query(f"UPDATE user_items SET assignee = '{EXTRA}', remark = 'mine'")
    with pytest.raises(DependentError, match="user_items by user_items_assignee_fkey"):
        loaded.repair(confirm=confirm, replace=["users"])
    query("ALTER TABLE user_items DROP assignee")
    query(f"INSERT INTO user_items VALUES ('{EXTRA}', 0)")
    query(
        "CREATE TABLE comments (id uuid, position int, FOREIGN KEY (id, position) REFERENCES"
        " user_items ON DELETE CASCADE)"
    )
    query(f"INSERT INTO comments VALUES ('{EXTRA}', 0)")
    with pytest.raises(EditedError, match="user_items: 1 row that the source has not"):
        loaded.repair(confirm=confirm, replace=["users"])
    with pytest.raises(
        DependentError,
        match=r"rows of user_items cannot be repaired, .*: comments by comments_id_position_fkey",
    ):
        loaded.repair(confirm=confirm, replace=["users", "user_items"])
    query("DROP TABLE comments")
    query("CREATE UNIQUE INDEX ON things (at)")
    query("CREATE TABLE visits (place text REFERENCES things (at) ON UPDATE CASCADE)")
    query("INSERT INTO visits VALUES ('place 1')")
    query("UPDATE things SET at = 'x' WHERE id = 1")
    with pytest.raises(
        DependentError, match=r"rows of things cannot be repaired, .*: visits by visits_place_fkey"
    ):
        loaded.repair(confirm=confirm, replace=["users", "user_items", "things"])
    assert query("SELECT count(*), count(remark) FROM user_items") == [(51, 50)]
    assert query("SELECT place FROM visits") == [("x",)]


@pytest.mark.contract
@with_two_workers
def test_columns_and_rows_of_others_stay(loaded: Project, query: Query) -> None:
    query("ALTER TABLE things ADD nickname text; ALTER TABLE users ADD nickname text")
    query(
        "UPDATE things SET nickname = 'keep', id = 1.00 WHERE id = 1; UPDATE users SET nickname"
        " = 'keep' WHERE n = 4"
    )
    query(
        "CREATE TABLE mine (more text) INHERITS (users); INSERT INTO mine (id) VALUES ('"
        + EXTRA
        + "')"
    )
    query("DELETE FROM user_items WHERE n = 4")
    assert loaded.repair(confirm=confirm, replace=["things"]).is_done
    assert query("SELECT id::text, nickname FROM things WHERE nickname IS NOT NULL") == [
        ("1", "keep")
    ]
    assert query("SELECT count(*), count(nickname) FROM ONLY users") == [(50, 1)]
    assert query("SELECT count(*) FROM mine") == [(1,)]
    query("DROP TABLE mine")
    assert changes(loaded)["users"] == (1, 0)


def test_names_of_any_kind_are_only_names(tmp_path: Path, database: str, query: Query) -> None:
    project = Project(tmp_path, to=database)
    dump = write_dump(
        tmp_path / "app", {"c": [{"_id": n, "v": n, "w": [{"x": n}]} for n in range(3)]}
    )
    root, child, column = "{stage}%", "{same}'%s", "%(same)s{stage}"
    tables = {
        root: {
            "collection": "c",
            "primary_key": "id",
            "columns": {
                "id": {"type": "int4", "from": "_id"},
                column: {"type": "int4", "from": "v"},
            },
        },
        child: {
            "parent": root,
            "from": "w.*",
            "primary_key": ["id", "n"],
            "columns": {"x": "int4"},
        },
    }
    project.path.write_text(json.dumps({"assise": 1, "name": "app", "tables": tables}))
    project.migrate(dump, confirm=confirm)
    query(f'UPDATE "{root}" SET "{column}" = 7 WHERE id = 1')
    query(f'DELETE FROM "{child}"')
    assert project.repair(confirm=confirm, replace=[root]).report.verified == Verified(equal=3)


@pytest.mark.contract
def test_values_that_an_index_of_others_refuses_change_nothing(
    loaded: Project, query: Query
) -> None:
    query("UPDATE things SET at = 'x' WHERE id = 1; UPDATE things SET at = 'place 1' WHERE id = 3")
    query("CREATE UNIQUE INDEX mine ON things (at)")
    with pytest.raises(TargetError, match=r'nothing was repaired: .*"mine"'):
        loaded.repair(confirm=confirm, replace=["things"])
    assert query("SELECT at FROM things WHERE id IN (1, 3) ORDER BY id") == [("x",), ("place 1",)]


def test_rows_that_change_while_somebody_is_asked_are_not_overwritten(
    loaded: Project, query: Query
) -> None:
    query("DELETE FROM users WHERE n = 4")

    def answer(_: str) -> bool:
        query(f"INSERT INTO users (id, name) VALUES ('{KEYS[4]}', 'back')")
        return True

    with pytest.raises(
        EditedError, match="rows have changed since they were shown; nothing was repaired"
    ):
        loaded.repair(confirm=answer)
    assert query("SELECT name FROM users WHERE n IS NULL") == [("back",)]
    for statement in (
        "UPDATE users SET name = 'again' WHERE n IS NULL",
        "DELETE FROM things WHERE id = 77; INSERT INTO things VALUES (77, 'new')",
    ):
        query("INSERT INTO things VALUES (77, 'old') ON CONFLICT DO NOTHING")

        def edit(_: str, statement: str = statement) -> bool:
            query(statement)
            return True

        with pytest.raises(EditedError, match="rows have changed since they were shown"):
            loaded.repair(confirm=edit, replace=["users", "things"])


@pytest.mark.contract
def test_a_session_that_writes_is_told(
    loaded: Project, query: Query, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    query("DELETE FROM users WHERE n = 4")
    monkeypatch.setattr("assise.transfer.repair.PATIENCE", "100ms")
    other = Project(loaded.path, to=database)
    with other.connect(other.manifest) as connection, connection.transaction():
        connection.execute("UPDATE users SET name = 'x' WHERE n = 6")
        with pytest.raises(TargetError, match="another session writes the tables of 'app'"):
            loaded.repair(confirm=confirm)
    assert query("SELECT count(*) FROM users") == [(49,)]


def test_a_ledger_that_has_lost_rejects_is_not_repaired_with_rows(
    loaded: Project, query: Query
) -> None:
    before = read_rows(query)
    query("DELETE FROM assise.reject")
    done = loaded.repair(confirm=confirm)
    assert (done.tables, done.is_done, done.report.verified) == (
        [],
        False,
        Verified(equal=81, extra=1, missing=1),
    )
    query("UPDATE assise.chunk SET loaded = loaded + rejected, rejected = 0")
    done = loaded.repair(confirm=confirm)
    assert (done.tables, done.is_done, done.report.verified) == (
        [],
        False,
        Verified(equal=81, missing=1),
    )
    assert read_rows(query) == before


def test_a_source_that_has_changed_repairs_nothing(
    loaded: Project, query: Query, tmp_path: Path
) -> None:
    query("DELETE FROM users WHERE n = 4")
    content = (tmp_path / "app" / "users.bson").read_bytes()
    (tmp_path / "app" / "users.bson").write_bytes(content.replace(b"user 4\0", b"user X\0"))
    with pytest.raises(ChangedError):
        loaded.repair(confirm=confirm)
    assert query("SELECT count(*) FROM users") == [(49,)]


def test_a_packed_source_is_repaired_too(tmp_path: Path, database: str, query: Query) -> None:
    project = Project(tmp_path, to=database, settings={"workers": 2, "load.chunk_bytes": 500})
    project.migrate(
        write_dump(tmp_path / "app", {"users": USERS, "things": THINGS}, is_packed=True),
        confirm=confirm,
    )
    before = read_rows(query)
    query("DELETE FROM users WHERE n = 4")
    query("TRUNCATE things")
    assert project.repair(confirm=confirm).report.verified == Verified(equal=80)
    assert read_rows(query) == before


@with_two_workers
def test_rows_that_a_repair_wrote_are_the_loads(loaded: Project, query: Query) -> None:
    query("DELETE FROM users WHERE n = 4")
    loaded.repair(confirm=confirm)
    query("UPDATE users SET name = 'x' WHERE n = 4")
    assert changes(loaded)["users"] == (1, 0)
    with pytest.raises(EditedError, match="users: 1 row changed"):
        loaded.undo(confirm=confirm)
    assert loaded.undo(confirm=confirm, replace=["users"]).is_done
    assert query("SELECT to_regnamespace('assise')") == [(None,)]


@pytest.mark.parametrize("sample", [1, 7, 80, 1000])
def test_a_sample_compares_so_many_documents_of_each_collection(
    loaded: Project, query: Query, sample: int
) -> None:
    report = loaded.verify(sample=sample)
    equal = min(sample, 50) + min(sample, 30)
    assert (report.verified, report.exit_code, report.as_json()["sample"]) == (
        Verified(equal=equal),
        3,
        sample,
    )
    query("UPDATE users SET name = 'x'")
    assert loaded.verify(sample=sample).verified == Verified(
        equal=min(sample, 30), different=min(sample, 50)
    )
    query("INSERT INTO things (id) VALUES (1000), (1001)")
    query("DELETE FROM users WHERE n < 4")
    found = loaded.verify(sample=sample)
    assert found.verified is not None
    assert (found.verified.missing, found.verified.extra) == (6, 2)
    lines = [line for collection in found.collections for line in collection.differences]
    assert "things: things has 2 rows more than documents were loaded" in lines
    assert ("users: users has 6 rows fewer than documents were loaded" in lines) == (sample < 20)


def test_a_sample_is_drawn_anew_and_from_all_documents(loaded: Project, query: Query) -> None:
    query("UPDATE things SET at = 'x'")
    offsets = {
        line
        for _ in range(10)
        for collection in loaded.verify(sample=5).collections
        for line in collection.differences
    }
    assert len(offsets) > 12
    with pytest.raises(UsageError, match="a sample of 0 documents"):
        loaded.verify(sample=0)


@pytest.mark.contract
def test_columns_of_every_type_get_their_values_back(
    project: Project, tmp_path: Path, database: str
) -> None:
    documents = [write_thing(0), write_thing(1)]
    things = load_things(project, tmp_path, database, TYPED_THINGS, {"things": documents})
    keys = {"id", "thing_id", "position", "position_2"}
    for table in things.tables:
        names = [name for name, _ in things.columns(table) if name not in keys]
        cells = [f'"{name}" = NULL' for name in names]
        things.query(f'UPDATE "{table}" SET {", ".join(cells)}')
    assert things.verify()[0] == Verified(different=2)
    repair = project.repair(confirm=confirm, replace=things.tables)
    assert repair.report.verified == Verified(equal=2)
    for table in things.tables:
        rows = f'SELECT t::text FROM {{}}."{table}" AS t ORDER BY t::text'
        assert things.query(rows.format("public")) == things.query(rows.format("copy")) != []


def test_a_repair_that_is_killed_has_changed_nothing(
    loaded: Project, query: Query, tmp_path: Path, database: str
) -> None:
    before = read_rows(query)
    query("UPDATE users SET name = 'x'")
    query("UPDATE things SET at = 'x'")
    damaged = read_rows(query)
    scene = Scene(
        tmp_path,
        tmp_path / "app",
        database,
        ["--to", database, "--yes", "--repair", "--replace", "users", "--replace", "things"],
    )
    rows = scene.hold("SELECT FROM users WHERE n = 40 FOR UPDATE")
    scene.start("verify")
    scene.wait_blocked("INSERT INTO")
    assert scene.command.end(signal.SIGKILL).code == -signal.SIGKILL
    rows.rollback()
    with psycopg.connect(database, autocommit=True) as connection:
        wait_until(lambda: not connection.execute(SESSIONS).fetchall(), "the end of the session")
    assert read_rows(query) == damaged
    assert scene.run("verify").code == loaded.verify().exit_code == 3  # the reject
    assert read_rows(query) == before
    scene.close()
