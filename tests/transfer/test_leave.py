"""Users can leave: tables work without the schema assise, and plain SQL reads every column."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from bson import ObjectId
from tests.dumps import confirm, write_dump

from assise.project import Project
from assise.rows.keys import uuid_to_objectid

Query = Callable[..., list[tuple[object, ...]]]
IDS = [ObjectId(f"65b9f0a00000000000000{n:03}") for n in range(50)]
START = dt.datetime(2024, 1, 31, tzinfo=dt.UTC)
ITEMS = [[{"n": n, "parts": [{"p": n}]}] for n in range(50)]
USERS: list[dict[str, object]] = [
    {
        "_id": key,
        "name": "x" if n else 7,
        "at": START,
        "tags": ["a", "b"],
        "price": n / 4,
        "mixed": [n, {"deep": [n]}],
        "items": ITEMS[n],
    }
    for n, key in enumerate(IDS)
]
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), convalidated
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"""
COLUMNS = """
    SELECT c.relname::text, a.attname::text, t.typname::text, n.nspname::text,
        pg_get_expr(adbin, adrelid)
    FROM pg_class AS c JOIN pg_attribute AS a ON attrelid = c.oid
    JOIN pg_type AS t ON t.oid = atttypid JOIN pg_namespace AS n ON n.oid = typnamespace
    LEFT JOIN pg_attrdef AS d ON adrelid = c.oid AND adnum = attnum
    WHERE c.relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i') AND attnum > 0
    ORDER BY 1, 2"""
TABLES = ("users", "user_items", "user_item_parts")


@pytest.mark.contract
@pytest.mark.parametrize("ids", ["uuid", "text"])
def test_everything_works_without_the_schema_assise(
    tmp_path: Path, database: str, query: Query, ids: str
) -> None:
    project = Project(tmp_path, to=database)
    project.migrate(
        write_dump(tmp_path / "app", {"users": USERS}),
        ids="text" if ids == "text" else "uuid",
        confirm=confirm,
    )
    before = [
        query(CONSTRAINTS),
        query(COLUMNS),
        *(query(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES),
    ]
    query("DROP SCHEMA assise CASCADE")
    assert [
        query(CONSTRAINTS),
        query(COLUMNS),
        *(query(f"SELECT * FROM {table} ORDER BY 1, 2") for table in TABLES),
    ] == before
    assert {schema for _, _, _, schema, _ in query(COLUMNS)} == {"pg_catalog"}
    query("INSERT INTO users (name, tags) VALUES ('new', '{c}')")
    (last,) = query("SELECT name FROM users ORDER BY id DESC LIMIT 1")
    assert last == ("new",)
    query(
        "INSERT INTO user_items (user_id, position, n)"
        " SELECT id, 0, 1 FROM users WHERE name = 'new'"
    )
    query(
        "INSERT INTO user_item_parts"
        " SELECT user_id, 0, 0, 5 FROM user_items JOIN users ON id = user_id WHERE name = 'new'"
    )
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        query("INSERT INTO user_items (user_id, position) VALUES (%s, 0)", (other_key(ids),))
    with pytest.raises(psycopg.errors.UniqueViolation):
        query("INSERT INTO users (id) SELECT id FROM users LIMIT 1")
    query("UPDATE users SET price = price + 1 WHERE at < now() AND 'a' = ANY (tags)")
    query("DELETE FROM users")
    assert [query(f"SELECT count(*) FROM {table}") for table in TABLES] == [[(0,)]] * 3


def other_key(ids: str) -> str:
    """A key that no row has."""
    return "0" * 24 if ids == "text" else "00000000-0000-8000-8000-000000000000"


def test_each_value_can_be_read_by_plain_sql(
    project: Project, tmp_path: Path, query: Query
) -> None:
    project.migrate(write_dump(tmp_path / "app", {"users": USERS}), confirm=confirm)
    query("DROP SCHEMA assise CASCADE")
    rows = query("SELECT id, name, at, tags, price, mixed, _extra FROM users ORDER BY id")
    for n, (key, name, at, tags, price, mixed, extra) in enumerate(rows):
        assert uuid_to_objectid(key) == str(IDS[n])  # type: ignore[arg-type]
        assert (name, extra) == (("x", None) if n else ("7", {"name": 7}))
        assert (at, tags, float(str(price)), mixed) == (
            START,
            ["a", "b"],
            n / 4,
            [n, {"deep": [n]}],
        )
    assert query(
        "SELECT count(*) FROM users JOIN user_items ON id = user_id"
        " JOIN user_item_parts USING (user_id, position) WHERE n = p"
    ) == [(50,)]
