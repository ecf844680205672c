"""Children of the same document are loaded with the keys that they copy: nothing is filled later."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from bson import Binary, ObjectId
from tests.dumps import confirm, write_dump

from assise.errors import TargetError
from assise.progress import Progress
from assise.project import Project

pytestmark = pytest.mark.contract

Query = Callable[..., list[tuple[Any, ...]]]
MANIFEST = """assise: 1
name: app
{roles}
tables:
  users: {{collection: users, primary_key: id, {users} columns: {{id: {{type: int4, from: _id}}}}}}
  orders:
    collection: orders
    primary_key: id
    {orders}
    columns: {{id: {{type: int4, from: _id}}, user_id: {{type: int4, from: user}}, tenant: text,
      shop: uuid, gone_at: {{type: timestamptz, from: goneAt}}{formula}}}
  items:
    parent: orders
    from: items.*
    primary_key: [order_id, position]
    {items}
    columns: {{name: text, user_id: {{type: text, from: user}}}}
  parts:
    parent: items
    from: parts.*
    primary_key: [order_id, position, part]
    {parts}
    columns: {{amount: {{type: int4, from: "*"}}}}
  tags:
    parent: orders
    from: tags.*
    primary_key: [order_id, position]
    {tags}
    columns: {{user: {{type: int4, references: users, from: user}}}}
"""
FORMULA = ", twice: {type: int4, generated: user_id * 2}"
PLAIN = {**dict.fromkeys(("roles", "users", "orders", "items", "parts", "tags", "formula"), "")}
RULED = {**PLAIN, "roles": "roles: {prefix: apptest}", "users": "access: {owner: id},"}
THROUGH = {"items": "access: {through: orders}", "parts": "access: {through: items}"}
DELETED = "soft_delete: {column: gone_at, from: goneAt}"
ALL_TAGS = "access: [{through: users}, {through: orders}]"
CASES: dict[str, Mapping[str, str]] = {
    "an owner": {"orders": "access: {owner: user_id}", **THROUGH},
    "a tenant": {"orders": "access: {tenant: tenant}", **THROUGH},
    "both": {"orders": "access: [{owner: shop}, {tenant: tenant}]", **THROUGH},
    "read and write": {
        "orders": "access: {read: {tenant: tenant}, write: {owner: user_id}}",
        **THROUGH,
    },
    "deleted documents": {"orders": f"access: {{owner: user_id}}\n    {DELETED}", **THROUGH},
    "deleted rows of ours": {
        "orders": "access: {owner: user_id}\n    soft_delete: true",
        "items": "access: {through: orders}\n    soft_delete: {column: hidden_at}",
        "parts": "access: {through: items}",
    },
    "two parents": {"orders": "access: {owner: user_id}", "tags": ALL_TAGS},
    "no child": {"orders": "access: {owner: user_id}"},
    "an owner of its own": {
        "orders": f"access: {{owner: user_id}}\n    {DELETED}",
        "items": "access: {owner: user_id}",
        "parts": "access: {through: items}",
    },
    "no roles": {"roles": "roles: none", "orders": "access: {tenant: tenant}", **THROUGH},
}
LONG = "octet_length(o.tenant) > 256"
FILLED = {
    "a tenant": LONG,
    "both": LONG,
    "read and write": LONG,
    "no roles": LONG,
}
"""Which rows of some cases are filled after the load, by the order that they belong to."""


def write(project: Project, **rules: str) -> None:
    text = MANIFEST.format(**{**PLAIN, **rules})
    project.path.write_text("\n".join(line for line in text.splitlines() if line.strip()) + "\n")


def write_orders(folder: Path, count: int = 30) -> Path:
    """Documents whose fields come before and behind their arrays, fit their columns, or do not."""
    users: list[object] = [1, 2, None, "nobody", 2**40]
    tenants: list[object] = ["a", "é" * 90, "x" * 300, None, 7, ObjectId(b"tenant of it")]
    gone = datetime(2024, 2, 29, 12, tzinfo=UTC)
    orders = []
    for n in range(count):
        parts = [[], [1], [1, "two", None], None, 3][n % 5]
        items = [{"name": f"item {i}", "parts": parts, "user": f"u{i}"} for i in range(n % 4)]
        order: dict[str, Any] = {"_id": n, "tenant": tenants[n % 6]} if n % 2 else {"_id": n}
        order |= {"items": [*items, "no document"] if n % 7 == 0 else items}
        order |= {"tags": [{"user": 1}, {"user": None}][: n % 3]}
        order |= {} if n % 11 == 0 else {"user": users[n % 5]}
        order |= {} if n % 2 else {"tenant": tenants[n % 6]}
        order |= {"shop": Binary(UUID(int=n).bytes, 4)}
        order |= {"goneAt": gone} if n % 3 == 0 else {}
        orders.append(order)
    return write_dump(folder / "app", {"users": [{"_id": 1}, {"_id": 2}], "orders": orders})


def read_all(query: Query) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, with the names of their columns."""
    found = {}
    for table in ("orders", "items", "parts", "tags"):
        found[table] = query(f"SELECT to_jsonb(t) FROM {table} AS t ORDER BY to_jsonb(t)::text")
    return found


def count_filled(query: Query, condition: str = "true") -> int:
    """The rows of children that are written later than those of their documents."""
    later = "SELECT FROM {} AS c JOIN orders AS o ON c.order_id = o.id WHERE c.xmin <> o.xmin"
    rows = " UNION ALL ".join(later.format(child) for child in ("items", "parts", "tags"))
    [(count,)] = query(
        f"SELECT count(*) FROM ({rows.replace('WHERE', f'WHERE ({condition}) AND')}) AS filled"
    )
    return int(count)


def list_edits(project: Project) -> list[str]:
    return [edit for table in project.undo(dry_run=True).tables for edit in table.edits]


@pytest.mark.parametrize(
    ("case", "workers"), [*((case, 1) for case in CASES), ("deleted documents", 2)]
)
def test_what_is_loaded_is_what_would_be_filled(
    tmp_path: Path, database: str, query: Query, case: str, workers: int
) -> None:
    rules, filled = {**RULED, **CASES[case]}, FILLED.get(case, "false")
    settings = {"load.chunk_bytes": 512, "workers": workers}
    project = Project(tmp_path, to=database, settings=settings)
    dump = write_orders(tmp_path)
    write(project, **rules)
    report = project.migrate(dump, confirm=confirm)
    assert not report.findings, report
    loaded = read_all(query)
    assert query("SELECT count(*) > 2 FROM assise.chunk") == [(True,)]
    assert count_filled(query, f"({filled}) IS NOT TRUE") == 0
    assert list_edits(project) == []
    project.undo(confirm=confirm)
    write(project)
    report = project.migrate(dump, confirm=confirm)
    assert not report.findings, report
    write(project, **rules)
    project.load()
    assert read_all(query) == loaded
    assert list_edits(project) == []
    assert project.verify().exit_code == 0
    assert (count_filled(query) > 0) == (case != "no child")


def test_a_key_that_the_server_computes_is_filled(project: Project, query: Query) -> None:
    rules = {"orders": "access: [{owner: twice}, {owner: user_id}]", "formula": FORMULA}
    write(project, **{**RULED, **THROUGH, **rules})
    project.migrate(write_orders(project.path.parent), confirm=confirm)
    copied = "SELECT count(*) FROM items AS i JOIN orders AS o ON order_id = id WHERE {} IS DISTINCT FROM {}"
    assert query(copied.format("i._user_id", "o.user_id")) == [(0,)]
    assert query(copied.format("i.twice", "o.twice")) == [(0,)]
    assert query("SELECT count(twice) > 0 FROM parts") == [(True,)]


def test_tables_of_other_schemas_are_loaded_with_it(project: Project, query: Query) -> None:
    write(project, **{**RULED, **CASES["an owner"]})
    named = re.compile(r"(^  |parent: |through: )(orders|items|parts|tags)\b", re.MULTILINE)
    project.path.write_text(named.sub(r"\1core.\2", project.path.read_text()))
    project.migrate(write_orders(project.path.parent), confirm=confirm)
    copied = (
        "SELECT count(*) FROM core.items AS i JOIN core.orders AS o ON order_id = o.id"
        " WHERE i.xmin <> o.xmin OR i._user_id IS DISTINCT FROM o.user_id"
    )
    assert query(copied) == [(0,)]
    assert query("SELECT count(_user_id) > 0 FROM core.parts") == [(True,)]
    assert list_edits(project) == []


def stop_later(progress: Progress) -> None:
    """End a load behind its first chunks of orders."""
    if progress.step == "load" and progress.collection == "orders" and progress.documents > 9:
        raise KeyboardInterrupt


@pytest.fixture
def stopped(tmp_path: Path, database: str) -> Callable[..., Project]:
    """Begins a load by rules, which stops; returns a project that goes on with it."""

    def begin(**rules: str) -> Project:
        settings = {"load.chunk_bytes": 512, "workers": 1}
        project = Project(tmp_path, to=database, progress=stop_later, settings=settings)
        write(project, **rules)
        with pytest.raises(KeyboardInterrupt):
            project.load(write_orders(tmp_path), confirm=confirm)
        return Project(tmp_path, to=database, settings=settings)

    return begin


OWNED, TENANTS = CASES["an owner"], CASES["a tenant"]


@pytest.mark.parametrize("before", [PLAIN, {**RULED, **TENANTS}], ids=["none", "others"])
def test_rules_that_come_while_it_is_loaded_are_loaded_with_the_rest(
    stopped: Callable[..., Project], query: Query, before: Mapping[str, str]
) -> None:
    project = stopped(**before)
    write(project, **{**RULED, **OWNED})
    project.load()
    [(last,)] = query(
        "SELECT max(o.id) FROM items i JOIN orders o ON i.order_id = o.id WHERE i.xmin <> o.xmin"
    )
    assert 0 < last < 25
    assert query(
        "SELECT count(*) FROM items JOIN orders o ON o.id = order_id WHERE items._user_id IS DISTINCT FROM o.user_id"
    ) == [(0,)]
    columns = "SELECT attname::text FROM pg_attribute WHERE attrelid = 'items'::regclass AND attnum > 0 AND NOT attisdropped"
    assert {name for (name,) in query(columns)} == {
        "order_id",
        "position",
        "name",
        "user_id",
        "_extra",
        "_user_id",
    }
    assert list_edits(project) == []
    assert project.verify().exit_code == 0
    project.undo(confirm=confirm)
    assert query("SELECT count(*) FROM pg_namespace WHERE nspname = 'assise'") == [(0,)]


def test_rules_that_go_while_it_is_loaded_leave_nothing(
    stopped: Callable[..., Project], query: Query
) -> None:
    project = stopped(**{**RULED, **OWNED})
    write(project)
    project.load()
    columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = '_user_id'"
    assert query(columns) == [(0,)]
    assert project.verify().exit_code == 0
    assert list_edits(project) == []


def test_a_load_that_was_stopped_is_undone(stopped: Callable[..., Project], query: Query) -> None:
    project = stopped(**{**RULED, **OWNED})
    assert list_edits(project) == []
    assert project.undo(confirm=confirm).is_done
    assert query("SELECT count(*) FROM pg_namespace WHERE nspname = 'assise'") == [(0,)]


def test_a_column_of_others_is_not_loaded(stopped: Callable[..., Project], query: Query) -> None:
    project = stopped()
    query("ALTER TABLE items ADD COLUMN _user_id int4")
    write(project, **{**RULED, **OWNED})
    with pytest.raises(TargetError, match="items has a column '_user_id' that Assise did not make"):
        project.load()
    query("ALTER TABLE items RENAME COLUMN _user_id TO theirs")
    project.load()
    assert query("SELECT count(theirs) FROM items") == [(0,)]


NOTES = """assise: 1
name: app
roles: {prefix: apptest}
tables:
  orders:
    collection: orders
    primary_key: id
    access: {owner: user}
    columns:
      id: {type: int4, from: _id}
      user: int4
      code: {type: text, unique: true, duplicates: reject}
  notes:
    collection: notes
    primary_key: id
    access: {through: orders}
    columns: {id: {type: int4, from: _id}, order: {type: int4, references: orders}}
  lines:
    parent: notes
    from: lines.*
    primary_key: [note_id, position]
    access: {through: notes}
    columns: {n: int4}
"""


@pytest.mark.parametrize("roles", ["roles: {prefix: apptest}", "roles: none"])
def test_a_row_that_refers_to_none_is_repaired(project: Project, query: Query, roles: str) -> None:
    """Under rules too such a row is kept; a new one is refused, whoever writes it."""
    project.path.write_text(NOTES.replace("roles: {prefix: apptest}", roles))
    documents: dict[str, list[dict[str, Any]]] = {
        "orders": [{"_id": 1, "user": 1}],
        "notes": [{"_id": n, "order": n} for n in (1, 2)],
    }
    project.migrate(write_dump(project.path.parent / "app", documents), confirm=confirm)
    query("DELETE FROM notes WHERE id = 2")
    assert project.repair(confirm=confirm).is_done
    assert query('SELECT id, "order", "user" FROM notes ORDER BY 1') == [(1, 1, 1), (2, 2, None)]
    assert list_edits(project) == []
    for role in ("", "owner"):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            query(f"SET app.role = '{role}'; INSERT INTO notes VALUES (3, 8)")


def test_rows_keep_nothing_of_a_document_that_is_rejected(project: Project, query: Query) -> None:
    """Nobody sees them, as if the rules had come when the document was gone."""
    project.path.write_text(NOTES)
    documents: dict[str, list[dict[str, Any]]] = {
        "orders": [{"_id": n, "user": n, "code": "a"} for n in (1, 2)],
        "notes": [{"_id": n, "order": n, "lines": [{"n": 1}]} for n in (1, 2)],
    }
    dump = write_dump(project.path.parent / "app", documents)
    project.migrate(dump, confirm=confirm)
    assert query("SELECT id FROM orders") == [(1,)]
    assert query('SELECT "order", "user" FROM notes ORDER BY 1') == [(1, 1), (2, None)]
    assert query('SELECT note_id, "user" FROM lines ORDER BY 1') == [(1, 1), (2, None)]
    assert list_edits(project) == []
    assert project.verify().exit_code == 3


def test_no_document_is_refused_for_what_is_ours(project: Project, query: Query) -> None:
    """A row of this table has no byte more to give."""
    columns = ", ".join(f"c{n}: uuid" for n in range(504))
    text = MANIFEST.format(**{**RULED, "orders": "access: {owner: shop}"})
    text = text.split("  items:")[0] + (
        "  wide:\n    parent: orders\n    from: wide.*\n    primary_key: [order_id, position]\n"
        f"    access: {{through: orders}}\n    columns: {{{columns}}}\n"
    )
    project.path.write_text("\n".join(line for line in text.splitlines() if line.strip()) + "\n")
    value = Binary(UUID(int=1).bytes, 4)
    wide = [{f"c{n}": value for n in range(504)}]
    orders: list[dict[str, Any]] = [
        {"_id": n, "shop": value, "wide": wide if n == 1 else [{}]} for n in range(3)
    ]
    dump = write_dump(project.path.parent / "app", {"users": [], "orders": orders})
    with pytest.raises(TargetError, match="rules were not changed"):
        project.load(dump, confirm=confirm)
    assert query("SELECT order_id, shop FROM wide ORDER BY 1") == [(0, None), (1, None), (2, None)]
    assert project.rejects() == []
    assert project.verify().exit_code == 0
