"""Columns that the server fills: formulas, and the times of rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from bson import ObjectId
from tests.dumps import confirm, write_dump

from assise.errors import ManifestError, TargetError
from assise.manifest.read import parse_manifest
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]

SHOP = """assise: 1
name: app
tables:
  orders:
    collection: orders
    primary_key: id
    timestamps: true
    columns:
      id: {type: uuid, from: _id}
      price: "numeric(10,2)"
      amount: int4
      total: {type: numeric, generated: "price * amount", not_null: true, comment: what is paid}
      created_at: {type: timestamptz, from: createdAt}
      updated_at: {type: timestamptz, from: updatedAt}
    indexes: [-total]
  core.notes:
    primary_key: id
    timestamps: true
    columns:
      id: int4
      body: {type: text, not_null: true}
      short: {type: text, generated: "left(body, 3)", unique: true}
"""
AT = "2024-01-01 00:00:00+00"


@pytest.fixture
def shop(tmp_path: Path, database: str) -> Project:
    """Two loaded orders, and a table that is born in PostgreSQL."""
    ids = [ObjectId(f"507f1f77bcf86cd7994{n:05}") for n in range(2)]
    orders = [{"_id": key, "price": 2.5, "amount": 4, "total": 7} for key in ids]
    dump = write_dump(tmp_path / "app", {"orders": orders})
    (tmp_path / "assise.yaml").write_text(SHOP)
    project = Project(tmp_path, to=database)
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    return project


def change(project: Project, old: str, new: str) -> None:
    text = project.path.read_text()
    assert old in text
    project.path.write_text(text.replace(old, new))


def test_a_formula_is_computed_by_the_server_and_is_no_field_of_documents(
    shop: Project, query: Query
) -> None:
    assert query("SELECT total::text, _extra FROM orders") == [("10.00", {"total": 7})] * 2
    query("UPDATE orders SET amount = 2")
    assert query("SELECT DISTINCT total::text FROM orders") == [("5.00",)]
    query("INSERT INTO core.notes (id, body) VALUES (1, 'abcdef')")
    with pytest.raises(psycopg.errors.UniqueViolation):
        query("INSERT INTO core.notes (id, body) VALUES (2, 'abcxyz')")
    with pytest.raises(psycopg.errors.NotNullViolation):
        query("UPDATE orders SET amount = NULL")
    said = query(
        "SELECT col_description('orders'::regclass, attnum) FROM pg_attribute WHERE attname = 'total' AND attrelid = 'orders'::regclass"
    )
    assert said == [("what is paid",)]
    shop.repair(replace=["orders"], confirm=confirm)
    assert shop.verify().exit_code == 0
    assert query("SELECT DISTINCT total::text FROM orders") == [("10.00",)]
    assert shop.undo(replace=["core.notes"], confirm=confirm).is_done
    left = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    assert query(left) == [(0,)]


@pytest.mark.contract
def test_a_formula_comes_changes_and_goes_in_place(shop: Project, query: Query) -> None:
    change(shop, "price * amount", "price * amount + 1")
    change(
        shop, "amount: int4\n", 'amount: int4\n      twice: {type: int4, generated: "amount * 2"}\n'
    )
    if query("SHOW server_version_num") < [("170000",)]:
        with pytest.raises(TargetError, match=r"orders\.total has another formula") as refused:
            shop.load()
        assert "put them back" in refused.value.remedy
        text = shop.path.read_text()
        lines = [line for line in text.splitlines() if "total" not in line]
        shop.path.write_text("\n".join(lines))
        shop.load()
        shop.path.write_text(text)
    shop.load()
    assert query("SELECT DISTINCT total::text, twice FROM orders") == [("11.00", 8)]
    assert query("SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%%total%%'") == [(1,)]
    change(shop, '      twice: {type: int4, generated: "amount * 2"}\n', "")
    shop.load()
    found = "SELECT count(*) FROM pg_attribute WHERE attname = 'twice' AND NOT attisdropped"
    assert query(found) == [(0,)]
    change(shop, "total: {type: numeric", "total: {type: float8")
    with pytest.raises(TargetError, match=r"orders\.total has another formula or type"):
        shop.load()


@pytest.mark.contract
def test_rows_that_the_server_writes_anew_for_a_formula_are_no_edits(
    shop: Project, query: Query
) -> None:
    twice = '      twice: {type: int4, generated: "amount * 2"}\n'
    assert list_edits(shop) == []
    change(shop, "amount: int4\n", f"amount: int4\n{twice}")
    if query("SHOW server_version_num") >= [("170000",)]:
        change(shop, "price * amount", "price * amount + 1")
    shop.load()
    assert list_edits(shop) == []
    query("UPDATE orders SET amount = 2 WHERE id IN (SELECT id FROM orders LIMIT 1)")
    query("INSERT INTO core.notes (id, body) VALUES (1, 'abcdef')")
    change(shop, twice, "")
    shop.load()
    assert list_edits(shop) == ["1 row changed"]
    change(shop, "amount: int4\n", f"amount: int4\n{twice}")
    shop.load()
    assert list_edits(shop) == ["2 rows changed"]
    assert query("SELECT twice FROM orders ORDER BY 1") == [(4,), (8,)]


def list_edits(project: Project) -> list[str]:
    tables = project.undo(dry_run=True).tables
    return [edit for table in tables if table.name == "orders" for edit in table.edits]


@pytest.mark.usefixtures("shop")
def test_times_are_set_by_applications_alone(query: Query) -> None:
    assert query("SELECT created_at, updated_at FROM orders") == [(None, None)] * 2
    query("UPDATE orders SET amount = 5 WHERE id = (SELECT min(id::text)::uuid FROM orders)")
    assert query("SELECT count(updated_at) FROM orders") == [(1,)]
    query(f"UPDATE orders SET amount = 6, updated_at = '{AT}'")
    assert query(f"SELECT count(*) FROM orders WHERE updated_at = '{AT}'") == [(2,)]
    query("INSERT INTO orders (price, amount) VALUES (1, 1)")
    assert query("SELECT count(created_at) FROM orders") == [(1,)]
    query(f"INSERT INTO core.notes (id, body, updated_at) VALUES (1, 'a', '{AT}')")
    query("UPDATE core.notes SET body = 'b'")
    query("SET application_name = 'assise'; UPDATE orders SET amount = 7")
    assert query(f"SELECT count(*) FROM orders WHERE updated_at = '{AT}'") == [(2,)]
    assert query(
        "SELECT created_at < updated_at OR created_at = updated_at, updated_at > now() - interval '1 hour' FROM core.notes"
    ) == [(True, True)]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("price * amount", "price * total", "names total, which is not a column"),
        ("price * amount", "price *", "is not an expression of SQL"),
        ("price * amount", "(SELECT 1)", "has a subquery in it"),
        ('amount"', 'amount", default: 1', "means nothing beside generated"),
        ('amount"', 'amount", from: sum', "means nothing beside generated"),
        (
            "primary_key: id\n    timestamps: true\n    columns:\n      id: int4",
            "primary_key: short\n    columns:\n      id: int4",
            "cannot be the key",
        ),
        (
            "      updated_at: {type: timestamptz, from: updatedAt}\n",
            "",
            "needs a column updated_at",
        ),
        ("created_at: {type: timestamptz", "created_at: {type: text", "is no point in time"),
    ],
)
def test_what_cannot_be_computed_is_refused_with_its_place(old: str, new: str, says: str) -> None:
    assert old in SHOP
    with pytest.raises(ManifestError, match=says):
        parse_manifest(SHOP.replace(old, new))


def test_a_formula_that_the_server_refuses_is_told_before_a_row_is_written(
    tmp_path: Path, database: str, query: Query
) -> None:
    dump = write_dump(tmp_path / "app", {"orders": [{"_id": ObjectId(), "price": 2.5}]})
    (tmp_path / "assise.yaml").write_text(SHOP.replace("left(body, 3)", "now()::text"))
    with pytest.raises(ManifestError, match="generation expression is not immutable") as refused:
        Project(tmp_path, to=database).migrate(dump, confirm=confirm)
    assert "columns.short.generated" in str(refused.value)
    assert query("SELECT to_regclass('orders')") == [(None,)]


def test_a_formula_that_fails_for_a_row_leaves_a_load_that_goes_on(
    tmp_path: Path, database: str
) -> None:
    orders = [{"_id": ObjectId(), "price": 2.5, "amount": 0}]
    dump = write_dump(tmp_path / "app", {"orders": orders})
    (tmp_path / "assise.yaml").write_text(SHOP.replace("price * amount", "price / amount"))
    project = Project(tmp_path, to=database)
    with pytest.raises(TargetError, match=r"orders\.total: division by zero") as refused:
        project.migrate(dump, confirm=confirm)
    assert "generated" in refused.value.remedy
    change(project, "price / amount", "price / nullif(amount, 0)")
    change(project, "not_null: true, comment: what is paid", "comment: what is paid")
    assert project.migrate(confirm=confirm).exit_code == 0
