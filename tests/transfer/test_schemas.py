"""Tables in schemas of their own: `auth.users`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.dumps import confirm, write_dump

from assise.errors import TargetError, UsageError
from assise.project import Project
from assise.transfer.report import Report, Verified

Query = Callable[..., list[tuple[object, ...]]]

SHOP = """assise: 1
name: shop
schemas: {auth: {comment: who signs in}}

tables:
  auth.users:
    collection: users
    primary_key: id
    comment: people
    columns:
      id: {type: int4, from: _id}
      mail: {type: text, unique: true, comment: of the user}
      boss: {type: int4, references: auth.users}
  sales.orders:
    collection: orders
    primary_key: id
    columns:
      id: {type: int4, from: _id}
      buyer: {type: int4, references: auth.users(id), orphans: reject}
    indexes: [[buyer, -id]]
  sales.order_lines:
    parent: sales.orders
    from: lines.*
    primary_key: [order_id, position]
    columns:
      item: {type: text, references: items}
  items:
    collection: items
    primary_key: id
    columns:
      id: {type: text, from: _id}
"""
USERS = [{"_id": n, "mail": f"m{n}", "boss": n // 2} for n in range(5)]
ORDERS = [{"_id": n, "buyer": n, "lines": [{"item": "pen"}, {"item": "cup"}]} for n in range(6)]
DOCUMENTS: dict[str, list[dict[str, object]]] = {
    "users": USERS,
    "orders": ORDERS,
    "items": [{"_id": "pen"}],
}
NAMESPACES = """SELECT nspname::text FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public') ORDER BY 1"""


def migrate(project: Project, folder: Path, text: str = SHOP) -> Report:
    project.path.write_text(text)
    return project.migrate(write_dump(folder / "shop", DOCUMENTS), confirm=confirm)


@pytest.mark.contract
def test_tables_stand_in_the_schemas_of_their_names(
    project: Project, tmp_path: Path, query: Query
) -> None:
    report = migrate(project, tmp_path)
    assert (report.loaded, report.rejected) == (11, 1)
    assert report.verified == project.verify().verified == Verified(equal=11)
    tables = """SELECT relnamespace::regnamespace::text, relname::text FROM pg_class
        WHERE relkind IN ('r', 'i') AND relnamespace::regnamespace::text IN ('auth', 'sales')
        ORDER BY 1, 2"""
    assert query(tables) == [
        ("auth", "users"),
        ("auth", "users_boss_idx"),
        ("auth", "users_mail_key"),
        ("auth", "users_pkey"),
        ("sales", "order_lines"),
        ("sales", "order_lines_item_idx"),
        ("sales", "order_lines_pkey"),
        ("sales", "orders"),
        ("sales", "orders_buyer_id_idx"),
        ("sales", "orders_pkey"),
    ]
    comments = """SELECT obj_description('auth'::regnamespace, 'pg_namespace'),
        obj_description('auth.users'::regclass, 'pg_class'), col_description('auth.users'::regclass, 2)"""
    assert query(comments) == [("who signs in", "people", "of the user")]
    keys = """SELECT conrelid::regclass::text, confrelid::regclass::text, convalidated
        FROM pg_constraint WHERE contype = 'f' AND connamespace::regnamespace::text IN ('auth', 'sales')
        ORDER BY 1, 2"""
    assert query(keys) == [
        ("auth.users", "auth.users", True),
        ("sales.order_lines", "items", False),
        ("sales.order_lines", "sales.orders", True),
        ("sales.orders", "auth.users", True),
    ]
    (finding,) = [each for each in report.findings if each.statement]
    assert (finding.name, finding.rows) == ("sales.order_lines.item", 5)
    found: list[bytes] = []
    assert project.export("orders", found.append).documents == 5


def test_what_is_changed_in_place_and_repaired(
    project: Project, tmp_path: Path, query: Query
) -> None:
    migrate(project, tmp_path)
    project.path.write_text(
        SHOP.replace("who signs in", "people who sign in").replace("[[buyer, -id]]", "[buyer]")
    )
    assert project.load().was_done
    assert query("SELECT obj_description('auth'::regnamespace, 'pg_namespace')") == [
        ("people who sign in",)
    ]
    assert query("SELECT to_regclass('sales.orders_buyer_id_idx')") == [(None,)]
    project.path.write_text(SHOP.replace("schemas: {auth: {comment: who signs in}}\n", ""))
    assert project.load().was_done
    assert query("SELECT obj_description('auth'::regnamespace, 'pg_namespace')") == [(None,)]
    query("DELETE FROM sales.orders WHERE id = 1")
    query("UPDATE auth.users SET mail = 'x' WHERE id = 2")
    repaired = project.repair(replace=["auth.users"], confirm=confirm)
    assert repaired.is_done
    assert repaired.report.verified == Verified(equal=11)


def test_undo_drops_the_schemas_that_it_made(
    project: Project, tmp_path: Path, query: Query
) -> None:
    query("CREATE SCHEMA sales")
    migrate(project, tmp_path)
    assert project.undo(dry_run=True).schemas == ["auth"]
    assert project.undo(confirm=confirm).schemas == ["auth"]
    assert query(NAMESPACES) == [("sales",)]


def test_undo_leaves_a_schema_that_others_use(
    project: Project, tmp_path: Path, query: Query
) -> None:
    migrate(project, tmp_path)
    query("CREATE FUNCTION sales.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    (tmp_path / "other").mkdir()
    other = Project(tmp_path / "other", to=project.workspace.to)
    text = SHOP.replace("name: shop", "name: other")
    for old, new in (("users:", "members:"), ("auth.users", "auth.members"), ("items", "things")):
        text = text.replace(
            f"auth.{old}" if old == "users:" else old, f"auth.{new}" if old == "users:" else new
        )
    text = text.replace("sales.order", "auth.order").replace(
        "collection: things", "collection: items"
    )
    migrate(other, tmp_path / "other", text)
    assert project.undo(confirm=confirm).schemas == []
    assert query(NAMESPACES) == [("assise",), ("auth",), ("sales",)]
    assert other.undo(confirm=confirm).schemas == ["auth"]
    assert query(NAMESPACES) == [("sales",)]


def test_a_schema_without_the_right_to_create(tmp_path: Path, query: Query, database: str) -> None:
    query("CREATE SCHEMA auth")
    query("DROP ROLE IF EXISTS narrow")
    query("CREATE ROLE narrow LOGIN PASSWORD 'narrow'")
    query(
        f'GRANT CREATE ON DATABASE "{psycopg.conninfo.conninfo_to_dict(database)["dbname"]}" TO narrow'
    )
    query("GRANT CREATE ON SCHEMA public TO narrow")
    mine = Project(
        tmp_path, to=psycopg.conninfo.make_conninfo(database, user="narrow", password="narrow")
    )
    try:
        with pytest.raises(TargetError, match="may not CREATE on schema auth"):
            migrate(mine, tmp_path)
        assert query(NAMESPACES) == [("auth",)]
    finally:
        query("DROP OWNED BY narrow")
        query("DROP ROLE narrow")


def test_a_table_with_two_names_is_refused(project: Project, tmp_path: Path, query: Query) -> None:
    with pytest.raises(UsageError, match=r"'items' and 'public\.items' of the manifest are one"):
        migrate(project, tmp_path, SHOP.replace("sales.orders", "public.items"))
    assert query(NAMESPACES) == []


def test_the_script_makes_the_same(project: Project, query: Query) -> None:
    project.path.write_text(SHOP)
    query(project.schema_sql())
    query("INSERT INTO auth.users (id, mail) VALUES (1, 'm')")
    query("INSERT INTO sales.orders (id, buyer) VALUES (1, 1)")
    assert '"auth.users" |o--o{ "sales.orders"' in project.schema_diagram()


def test_models_of_several_schemas(project: Project, tmp_path: Path) -> None:
    pytest.importorskip("sqlacodegen")
    migrate(project, tmp_path)
    text = project.schema_models()
    assert "'schema': 'auth'" in text
    assert "'auth.users.id'" in text
    assert "class Items(Base)" in text
