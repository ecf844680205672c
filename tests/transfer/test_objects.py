"""Constraints, indexes and defaults of the manifest, on a real server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from uuid import UUID

import bson
import psycopg
import pytest
from bson import Binary
from tests.conftest import DATA
from tests.dumps import confirm, write_dump

from assise.errors import EditedError, ManifestError, TargetError
from assise.project import Project
from assise.transfer.report import Report

Query = Callable[..., list[tuple[object, ...]]]

CASE = DATA.parent / "cases" / "03-orphans-and-unique" / "make.py"
HUB = """assise: 1
name: hub
tables:
  namespaces:
    collection: namespaces
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      tenant_id: {type: text, unique: true, not_null: true}
      name: {type: text, comment: "of the space"}
  devices:
    collection: devices
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      uid: {type: text, unique: true}
      tenant_id: {type: text, references: namespaces(tenant_id), orphans: keep}
      name: {type: text, default: "a box"}
      status: {type: text, values: [accepted, pending]}
      last_seen: timestamptz
      deleted: {type: timestamptz, not_null: true}
    indexes:
      - {columns: [tenant_id, name, deleted], unique: nulls not distinct}
      - {columns: [status], where: "status = 'pending'"}
  sessions:
    collection: sessions
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      device_uid: {type: text, references: devices(uid), on_delete: cascade}
      started_at: {type: timestamptz, check: "started_at < '2025-01-01T01:00:00Z'"}
      username: {type: text, unique: true}
    indexes:
      - [device_uid, -started_at]
"""
INDEXES = """SELECT indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND indexname !~ '_pkey$' ORDER BY 1"""
CONSTRAINTS = """SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f', 'u') ORDER BY 1"""


DEFAULTS = """SELECT relname::text, attname::text, pg_get_expr(adbin, adrelid), attnotnull
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 ORDER BY 1, 2"""
HUB_INDEXES = [
    (
        "CREATE INDEX devices_status_idx ON public.devices USING btree (status)"
        " WHERE (status = 'pending'::text)"
    ),
    (
        "CREATE INDEX sessions_device_uid_started_at_idx ON public.sessions"
        " USING btree (device_uid, started_at DESC)"
    ),
    "CREATE INDEX sessions_username_key ON public.sessions USING btree (username)",
    (
        "CREATE UNIQUE INDEX devices_tenant_id_name_deleted_key ON public.devices"
        " USING btree (tenant_id, name, deleted) NULLS NOT DISTINCT"
    ),
    "CREATE UNIQUE INDEX devices_uid_key ON public.devices USING btree (uid)",
    "CREATE UNIQUE INDEX namespaces_tenant_id_key ON public.namespaces USING btree (tenant_id)",
]
HUB_CONSTRAINTS = [
    (
        "devices_tenant_id_fkey",
        "FOREIGN KEY (tenant_id) REFERENCES namespaces(tenant_id) NOT VALID",
    ),
    ("devices_uid_key", "UNIQUE (uid)"),
    ("namespaces_tenant_id_key", "UNIQUE (tenant_id)"),
    (
        "sessions_device_uid_fkey",
        "FOREIGN KEY (device_uid) REFERENCES devices(uid) ON DELETE CASCADE NOT VALID",
    ),
]


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """The dump of case 3."""
    if not CASE.exists():
        pytest.skip(f"no {CASE}; set ASSISE_TEST_DATA")
    subprocess.run([sys.executable, CASE, tmp_path], check=True, env={})
    return tmp_path / "hub"


@pytest.mark.contract
def test_orphans_and_unique_keys_of_case_3(project: Project, hub: Path, query: Query) -> None:
    project.path.write_text(HUB)
    report = project.migrate(hub, confirm=confirm)
    assert (report.loaded, report.rejected, report.exit_code) == (218, 0, 3)
    assert report.verified is not None
    assert report.verified.is_clean
    found = {(each.name, each.rows, each.among): each for each in report.findings}
    assert found.keys() == {
        ("devices.tenant_id", 12, 60),
        ("devices.status", 30, 60),
        ("devices.deleted", 51, 60),
        ("sessions.device_uid", 13, 150),
        ("sessions.started_at", 90, 150),
        ("sessions.username", 100, 100),
    }
    orphans = found["devices.tenant_id", 12, 60]
    assert orphans.keys[:2] == ("670000080000000002000008", "670000090000000002000009")
    assert orphans.describe() == [
        (
            "devices.tenant_id: 12 of 60 rows refer to no namespaces.tenant_id"
            " (670000080000000002000008, 670000090000000002000009, 670000120000000002000012, …);"
            " the foreign key holds for new rows"
        ),
        (
            '  once they are corrected: `assise load`, or ALTER TABLE "public"."devices"'
            ' VALIDATE CONSTRAINT "devices_tenant_id_fkey";'
        ),
    ]
    assert [text for (text,) in query(INDEXES)] == HUB_INDEXES
    assert query(CONSTRAINTS) == HUB_CONSTRAINTS
    assert Report.as_json(report)["findings"] == [each.as_json() for each in report.findings]


def test_new_rows_must_fulfil_what_old_ones_need_not(
    project: Project, hub: Path, query: Query
) -> None:
    project.path.write_text(HUB)
    project.migrate(hub, confirm=confirm)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        query("INSERT INTO devices (tenant_id) VALUES ('nobody')")
    query("UPDATE devices SET name = 'x' WHERE name = 'box-8'")
    query("INSERT INTO devices (uid) VALUES ('new')")
    assert query("SELECT name FROM devices WHERE uid = 'new'") == [("a box",)]
    with pytest.raises(psycopg.errors.UniqueViolation):
        query("INSERT INTO devices (uid) VALUES ('new')")


def test_what_rows_break_is_tried_again_until_they_do_not(
    project: Project, hub: Path, query: Query
) -> None:
    project.path.write_text(HUB)
    before = project.migrate(hub, confirm=confirm).findings
    assert project.load().findings == before
    query(
        "DELETE FROM devices WHERE NOT EXISTS (SELECT FROM namespaces AS n"
        " WHERE n.tenant_id = devices.tenant_id)"
    )
    query("DELETE FROM sessions WHERE NOT EXISTS (SELECT FROM devices WHERE uid = device_uid)")
    query("UPDATE sessions SET username = NULL")
    query("UPDATE devices SET deleted = now()")
    query("UPDATE devices SET status = 'pending'")
    query("DELETE FROM sessions WHERE started_at >= '2025-01-01T01:00:00Z'")
    assert project.load().findings == []
    assert query("SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == [(0,)]
    assert ("sessions_username_key", "UNIQUE (username)") in query(CONSTRAINTS)
    assert ("devices_status_check",) in [(name,) for name, _ in query(CONSTRAINTS)]


def test_a_statement_of_a_finding_runs_once_the_rows_are_corrected(
    project: Project, hub: Path, query: Query
) -> None:
    project.path.write_text(HUB)
    findings = {each.name: each for each in project.migrate(hub, confirm=confirm).findings}
    with pytest.raises(psycopg.errors.UniqueViolation):
        query(findings["sessions.username"].statement)
    query("UPDATE sessions SET username = id::text")
    query(findings["sessions.username"].statement)
    assert ("sessions_username_key", "UNIQUE (username)") in query(CONSTRAINTS)
    assert "sessions.username" not in {each.name for each in project.load().findings}


def load_two(project: Project, folder: Path, text: str) -> Report:
    project.path.write_text(text)
    users = [{"_id": n, "boss": n // 2, "name": f"user {n}", "tags": [f"t{n}"]} for n in range(20)]
    items = [{"_id": f"i{n}", "user": n % 25, "data": {"n": n}} for n in range(30)]
    dump = write_dump(folder / "app", {"users": users, "items": items})
    return project.migrate(dump, confirm=confirm)


SHOP = """assise: 1
name: shop
tables:
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      boss: {type: int4, references: users, on_delete: cascade}
      name: text
      tags: "text[]"
      item: {type: text, references: items}
    indexes:
      - {columns: [tags], method: gin}
      - {expression: "lower(name)", unique: true}
      - {columns: [name], include: [boss]}
  items:
    collection: items
    primary_key: id
    columns:
      id: {type: text, from: _id, default: gen_random_uuid()}
      user: {type: int4, references: users}
      data: jsonb
    indexes:
      - {columns: [data], method: gin}
"""


@pytest.mark.contract
def test_references_to_each_other_and_to_oneself(
    project: Project, tmp_path: Path, query: Query
) -> None:
    report = load_two(project, tmp_path, SHOP)
    assert [(each.name, each.rows, each.among, each.keys) for each in report.findings] == [
        ("items.user", 5, 30, ("i20", "i21", "i22", "i23", "i24"))
    ]
    assert [text for (text,) in query(INDEXES)] == [
        "CREATE INDEX items_data_idx ON public.items USING gin (data)",
        'CREATE INDEX items_user_idx ON public.items USING btree ("user")',
        "CREATE INDEX users_boss_idx ON public.users USING btree (boss)",
        "CREATE INDEX users_item_idx ON public.users USING btree (item)",
        "CREATE INDEX users_name_idx ON public.users USING btree (name) INCLUDE (boss)",
        "CREATE INDEX users_tags_idx ON public.users USING gin (tags)",
        "CREATE UNIQUE INDEX users_expr_key ON public.users USING btree (lower(name))",
    ]
    assert query(CONSTRAINTS) == [
        ("items_user_fkey", 'FOREIGN KEY ("user") REFERENCES users(id) NOT VALID'),
        ("users_boss_fkey", "FOREIGN KEY (boss) REFERENCES users(id) ON DELETE CASCADE"),
        ("users_item_fkey", "FOREIGN KEY (item) REFERENCES items(id)"),
    ]
    query("INSERT INTO users (name) VALUES ('new')")
    assert query("SELECT id FROM users WHERE name = 'new'") == [(20,)]
    query("INSERT INTO items DEFAULT VALUES")
    assert query("SELECT count(*) FROM items WHERE length(id) = 36") == [(1,)]


def test_repair_writes_rows_that_refer_to_each_other_and_orphans(
    project: Project, tmp_path: Path, query: Query
) -> None:
    load_two(project, tmp_path, SHOP)
    statement = (
        "SELECT conname::text, convalidated FROM pg_constraint WHERE contype = 'f' ORDER BY 1"
    )
    before = query(CONSTRAINTS), query(statement)
    query("DELETE FROM items")
    query("DELETE FROM users WHERE id = 0")
    assert query("SELECT count(*) FROM users") == [(0,)]
    repaired = project.repair(confirm=confirm)
    assert repaired.is_done
    assert repaired.report.exit_code == 0
    assert query("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM items)") == [(20, 30)]
    assert (query(CONSTRAINTS), query(statement)) == before


@pytest.mark.contract
def test_it_all_works_without_the_schema_assise(
    project: Project, tmp_path: Path, query: Query
) -> None:
    load_two(project, tmp_path, SHOP)
    before = query(INDEXES), query(CONSTRAINTS), query(DEFAULTS)
    query("DROP SCHEMA assise CASCADE")
    assert (query(INDEXES), query(CONSTRAINTS), query(DEFAULTS)) == before
    query("INSERT INTO users (name, boss) VALUES ('new', 0)")
    query('INSERT INTO items ("user") VALUES (20)')
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        query('INSERT INTO items ("user") VALUES (99)')
    with pytest.raises(psycopg.errors.UniqueViolation):
        query("INSERT INTO users (name) VALUES ('NEW')")


def test_undo_drops_it_all_without_a_question(
    project: Project, tmp_path: Path, query: Query
) -> None:
    load_two(project, tmp_path, SHOP)
    undone = project.undo(confirm=confirm)
    assert undone.is_done
    assert query("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace") == []
    assert query("SELECT nspname FROM pg_namespace WHERE nspname = 'assise'") == []


def test_undo_counts_the_indexes_of_others(project: Project, tmp_path: Path, query: Query) -> None:
    load_two(project, tmp_path, SHOP)
    query("CREATE INDEX mine ON users (boss, name)")
    with pytest.raises(EditedError, match="users: index mine"):
        project.undo(confirm=confirm)


CHANGES = [
    ("boss: {type: int4, references: users, on_delete: cascade}", "boss: int4"),
    ("on_delete: cascade", "on_delete: set null"),
    ("name: text", "name: {type: text, unique: true, not_null: true, default: nobody}"),
    ("      - {columns: [name], include: [boss]}\n", ""),
    ("include: [boss]", "include: [item]"),
    ("default: gen_random_uuid()", 'default: "x"'),
    ("{columns: [data], method: gin}", "{expression: \"(data ->> 'n')\"}"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_a_change_is_made_in_place(
    project: Project, tmp_path: Path, query: Query, old: str, new: str
) -> None:
    assert old in SHOP
    load_two(project, tmp_path, SHOP)
    before = query(INDEXES), query(CONSTRAINTS), query(DEFAULTS)
    rows = query("SELECT xmin::text, users::text FROM users ORDER BY id")
    project.path.write_text(SHOP.replace(old, new))
    assert project.load().was_done
    changed = query(INDEXES), query(CONSTRAINTS), query(DEFAULTS)
    assert changed != before
    assert query("SELECT xmin::text, users::text FROM users ORDER BY id") == rows
    project.path.write_text(SHOP)
    project.load()
    assert (query(INDEXES), query(CONSTRAINTS), query(DEFAULTS)) == before
    assert project.verify().exit_code == 0
    assert project.undo(confirm=confirm).is_done


def test_a_second_run_touches_nothing(project: Project, tmp_path: Path, query: Query) -> None:
    load_two(project, tmp_path, SHOP.replace("references: users}", "}").replace("4, }", "4}"))
    statement = "SELECT xmin::text, * FROM assise.object ORDER BY 2, 3, 4"
    before = query(statement)
    assert project.load().was_done
    assert query(statement) == before


@pytest.mark.contract
@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("name: text", "name: {type: text, default: uuidv8()}", "default"),
        ("name: text", 'name: {type: text, check: "name > 7"}', "columns.name.check"),
        ("name: text", 'name: {type: text, check: "nothing(name) = 1"}', "columns.name.check"),
        ("lower(name)", "clock_timestamp()", "indexes.1"),
        ("boss: {type: int4,", "boss: {type: int4, default: x,", "columns.boss.default"),
        ("boss: {type: int4,", "boss: {type: int4, values: [x],", "columns.boss.values"),
    ],
)
def test_what_the_server_refuses_is_refused_before_anything_is_written(
    project: Project, tmp_path: Path, query: Query, old: str, new: str, place: str
) -> None:
    with pytest.raises(ManifestError, match=place):
        load_two(project, tmp_path, SHOP.replace(old, new))
    assert query("SELECT 1 FROM pg_namespace WHERE nspname = 'assise'") == []
    assert query("SELECT to_regclass('users')") == [(None,)]


def test_a_refused_change_leaves_everything(project: Project, tmp_path: Path, query: Query) -> None:
    load_two(project, tmp_path, SHOP)
    before = query(INDEXES), query(CONSTRAINTS)
    project.path.write_text(SHOP.replace("lower(name)", "nothing(name)"))
    with pytest.raises(ManifestError, match=r"tables\.users\.indexes\.1: the server refuses it"):
        project.load()
    assert (query(INDEXES), query(CONSTRAINTS)) == before


def test_an_index_of_this_name_is_never_replaced(
    project: Project, tmp_path: Path, query: Query
) -> None:
    query("CREATE TABLE mine (n int)")
    query("CREATE INDEX users_boss_idx ON mine (n)")
    with pytest.raises(TargetError, match="already has users_boss_idx"):
        load_two(project, tmp_path, SHOP)


def test_a_stopped_run_goes_on_with_what_is_missing(
    project: Project, tmp_path: Path, query: Query
) -> None:
    load_two(project, tmp_path, SHOP)
    before = query(INDEXES), query(CONSTRAINTS)
    query("DROP INDEX users_tags_idx")
    query("ALTER TABLE items DROP CONSTRAINT items_user_fkey")
    query("DELETE FROM assise.object WHERE name IN ('users_tags_idx', 'items_user_fkey')")
    report = project.load()
    assert (query(INDEXES), query(CONSTRAINTS)) == before
    assert [each.name for each in report.findings] == ["items.user"]


LONG = """assise: 1
name: long
tables:
  docs:
    collection: docs
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      text: {type: text, unique: true}
      tags: "text[]"
    indexes:
      - [text, -id]
      - {columns: [tags], method: gin}
      - {columns: [tags]}
"""


@pytest.mark.contract
def test_long_values_refuse_no_document(project: Project, tmp_path: Path, query: Query) -> None:
    chances = Random(1)
    docs = []
    for n in range(20):
        text = "é\\" + "".join(chances.choices("abcdefghijklmnop\\", k=9_000))
        docs.append({"_id": n, "text": text, "tags": [text]})
    project.path.write_text(LONG)
    report = project.migrate(write_dump(tmp_path / "long", {"docs": docs}), confirm=confirm)
    assert (report.loaded, report.rejected) == (20, 0)
    assert {each.name for each in report.findings} == {"docs.docs_tags_idx", "docs.docs_tags_idx2"}
    assert "it cannot be indexed" in report.findings[0].describe()[0]
    assert [text for (text,) in query(INDEXES)] == [
        'CREATE INDEX docs_text_id_idx ON public.docs USING btree ("left"(text, 200), id DESC)',
        (
            "CREATE UNIQUE INDEX docs_text_key ON public.docs USING btree"
            r" (sha256(decode(replace(text, '\'::text, '\\'::text), 'escape'::text)))"
        ),
    ]
    query("INSERT INTO docs (text) VALUES (%s)", ("é\\x",))
    with pytest.raises(psycopg.errors.UniqueViolation):
        query("INSERT INTO docs (text) VALUES (%s)", ("é\\x",))


def test_unique_keys_of_long_texts_stay_unique(
    project: Project, tmp_path: Path, query: Query
) -> None:
    chances = Random(2)
    same = "".join(chances.choices("abcdefghijklmnop", k=9_000))
    docs = [{"_id": n, "text": same + str(n % 2), "part": n // 2, "name": same + str(n)}
            for n in range(8)]  # fmt: skip
    project.path.write_text(LONG_KEYS)
    report = project.migrate(write_dump(tmp_path / "long", {"docs": docs}), confirm=confirm)
    assert (report.loaded, report.findings) == (8, [])
    insert = "INSERT INTO docs (text, part, name) VALUES (%s, %s, %s)"
    query(insert, (same, None, None))
    for values in ((same, None, "other"), (same + "1", 2, "other"), ("other", 9, None)):
        with pytest.raises(psycopg.errors.UniqueViolation):
            query(insert, values)


LONG_KEYS = """assise: 1
name: long
tables:
  docs:
    collection: docs
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      text: text
      part: int4
      name: {type: text, unique: nulls not distinct}
    indexes:
      - {columns: [text, -part], unique: nulls not distinct}
"""

COMPOSITE = """assise: 1
name: composite
tables:
  orders:
    collection: orders
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      tenant: text
      number: int4
    indexes:
      - {columns: [tenant, number], unique: true}
  lines:
    collection: lines
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      tenant: text
      number: int4
    foreign_keys:
      - {columns: [tenant, number], references: "orders(tenant, number)", on_delete: cascade}
"""


def test_a_foreign_key_of_two_columns(project: Project, tmp_path: Path, query: Query) -> None:
    orders = [{"_id": n, "tenant": f"t{n % 3}", "number": n // 3} for n in range(9)]
    lines = [{"_id": n, "tenant": f"t{n % 3}", "number": n // 3} for n in range(10)]
    project.path.write_text(COMPOSITE)
    dump = write_dump(tmp_path / "app", {"orders": orders, "lines": lines})
    report = project.migrate(dump, confirm=confirm)
    assert [(each.name, each.rows, each.among, each.keys) for each in report.findings] == [
        ("lines.lines_tenant_number_fkey", 1, 10, ("9",))
    ]
    assert query(CONSTRAINTS) == [
        (
            "lines_tenant_number_fkey",
            (
                "FOREIGN KEY (tenant, number) REFERENCES orders(tenant, number)"
                " ON DELETE CASCADE NOT VALID"
            ),
        )
    ]
    assert (
        "CREATE INDEX lines_tenant_number_idx ON public.lines USING btree (tenant, number)",
    ) in query(INDEXES)


def test_a_reference_to_what_is_not_unique_in_the_data(
    project: Project, tmp_path: Path, query: Query
) -> None:
    orders = [{"_id": n, "tenant": f"t{n % 3}", "number": 1} for n in range(9)]
    project.path.write_text(COMPOSITE)
    dump = write_dump(tmp_path / "app", {"orders": orders, "lines": orders})
    report = project.migrate(dump, confirm=confirm)
    assert [(each.name, each.kind, each.rows) for each in report.findings] == [
        ("lines.lines_tenant_number_fkey", "foreign key", 0),
        ("orders.orders_tenant_number_key", "unique", 9),
    ]
    query("UPDATE orders SET number = id")
    query("UPDATE lines SET number = id")
    assert project.load().findings == []
    assert [name for name, _ in query(CONSTRAINTS)] == ["lines_tenant_number_fkey"]


@pytest.mark.parametrize("last", [2**31 - 1, -5])
def test_new_keys_go_on_after_the_data(
    project: Project, tmp_path: Path, query: Query, last: int
) -> None:
    text = LONG.replace("    indexes:\n", "").split("      - ")[0]
    project.path.write_text(text)
    project.migrate(write_dump(tmp_path / "long", {"docs": [{"_id": last}]}), confirm=confirm)
    if last > 0:
        with pytest.raises(psycopg.errors.SequenceGeneratorLimitExceeded):
            query("INSERT INTO docs DEFAULT VALUES")
    else:
        query("INSERT INTO docs DEFAULT VALUES")
        assert query("SELECT id FROM docs ORDER BY id") == [(-5,), (1,)]


KEYS: dict[str, list[object]] = {
    "texts": ["a", "b"],
    "mixed": [1, "a", {"n": 1}],
    "uuids": [Binary.from_uuid(UUID(int=n)) for n in (1, 2)],
}


@pytest.mark.contract
def test_rows_get_the_key_that_infer_states(project: Project, tmp_path: Path, query: Query) -> None:
    documents = {name: [{"_id": key, "n": 1} for key in keys] for name, keys in KEYS.items()}
    assert project.migrate(write_dump(tmp_path / "keys", documents), confirm=confirm).exit_code == 0
    assert project.path.read_text().count('default: "gen_random_uuid()"') == len(KEYS)
    for name, keys in KEYS.items():
        query(f"INSERT INTO {name} (n) VALUES (2)")
        ((made,),) = query(f"SELECT id::text FROM {name} WHERE n = 2")
        exported: list[bytes] = []
        project.export(name, exported.append)
        found = [*map(bson.decode, exported)]
        assert len(found) == len(keys) + 1
        key = Binary.from_uuid(UUID(str(made))) if name == "uuids" else made
        assert [each["_id"] for each in found if each["n"] == 2] == [key]
