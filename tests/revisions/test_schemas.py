"""Revisions of tables in several schemas, with access rules and what other parts make there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.access.shop import sign_in
from tests.dumps import confirm, write_dump
from tests.revisions.changing import change, revise

from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
NEW = ["ours", "ours_used", "theirs", "used"]
SCHEMAS = "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_|information_schema|public|assise' ORDER BY 1"
MANIFEST = """assise: 1
name: app
roles: {prefix: revised}
tables:
  core.users:
    collection: users
    primary_key: id
    access: {owner: id}
    audit: true
    search: {title: name, language: simple}
    columns: {id: {type: int4, from: _id}, name: text}
  sales.orders:
    collection: orders
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      user_id: {type: int4, from: user, references: core.users}
  sales.lines:
    parent: sales.orders
    from: lines.*
    primary_key: [order_id, position]
    columns: {product: text}
"""


@pytest.fixture
def shop(project: Project, tmp_path: Path) -> Project:
    """The shop, whose schema revisions own."""
    project.path.write_text(MANIFEST)
    users = [{"_id": n, "name": f"user {n}"} for n in range(3)]
    orders = [{"_id": n, "user": n % 3, "lines": [{"product": "tea"}]} for n in range(6)]
    dump = write_dump(tmp_path / "app", {"users": users, "orders": orders})
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    revise(project, "start")
    return project


def test_rules_come_and_go_by_revisions(shop: Project, database: str) -> None:
    assert shop.revisions().status().exit_code == 0
    change(shop, "collection: orders\n", "collection: orders\n    access: {owner: user_id}\n")
    change(shop, "from: lines.*\n", "from: lines.*\n    access: {through: sales.orders}\n")
    text = revise(shop, "rules")
    assert "sales._copy_lines__orders" in text
    shop.revisions().apply()
    assert shop.revisions().status().exit_code == 0
    assert shop.access.check() == []
    with sign_in(database, 1, prefix="revised") as session:
        assert session.execute("SELECT id FROM sales.orders ORDER BY id").fetchall() == [(1,), (4,)]
        assert session.execute("SELECT count(*) FROM sales.lines").fetchone() == (2,)
    assert shop.verify().exit_code == 0
    shop.revisions().revert(drop=["sales.lines.user_id"])
    assert shop.revisions().status().drift.is_empty


def test_undo_drops_the_schemas_that_revisions_have_made(shop: Project, query: Query) -> None:
    query("CREATE SCHEMA theirs")
    query("CREATE SCHEMA used")
    tables = "".join(
        f"  {name}.things: {{primary_key: id, columns: {{id: int8}}}}\n" for name in NEW
    )
    change(shop, "tables:\n", f"tables:\n{tables}")
    revise(shop, "things")
    shop.revisions().apply()
    query("CREATE TABLE used.beside (id int)")
    query("CREATE TABLE ours_used.beside (id int)")
    assert shop.undo(confirm=confirm).schemas == ["core", "ours", "sales"]
    assert query(SCHEMAS) == [("ours_used",), ("theirs",), ("used",)]


def test_undo_drops_the_schemas_of_a_database_that_revisions_alone_have_made(
    shop: Project, query: Query
) -> None:
    shop.undo(confirm=confirm)
    query("CREATE SCHEMA sales")
    shop.revisions().apply()
    assert query(SCHEMAS) == [("core",), ("sales",)]
    assert shop.undo(confirm=confirm).schemas == ["core"]
    assert query(SCHEMAS) == [("sales",)]


def test_the_cache_is_beside_revisions(shop: Project, query: Query) -> None:
    triggers = "SELECT tgname::text FROM pg_trigger WHERE tgname ~ '^_cache' ORDER BY 1"
    names = [("_cache_delete",), ("_cache_insert",), ("_cache_truncate",), ("_cache_update",)]
    shop.undo(confirm=confirm)
    change(shop, "name: app\n", "name: app\nredis: 'redis://127.0.0.1:1'\n")
    change(shop, "    audit: true\n", "    audit: true\n    cache: {tags: 'user:{id}'}\n")
    assert shop.revisions().revise("cache") is None
    shop.revisions().apply()
    assert query(triggers) == names
    assert shop.revisions().status().exit_code == 0
    change(shop, "user:{id}", "person:{id}")
    assert shop.revisions().revise("tags") is None
    shop.revisions().apply()
    assert shop.revisions().status().exit_code == 0
    change(shop, "    cache: {tags: 'person:{id}'}\n", "")
    shop.revisions().apply()
    assert query(triggers) == []
    assert shop.undo(confirm=confirm).is_done
