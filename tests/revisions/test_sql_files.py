"""Files of SQL for what the manifest has no key for: part of its sum, and changed by revisions."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from tests.dumps import confirm
from tests.revisions.changing import change, check_same, folder_of, revise
from tests.scenes.databases import Databases

from assise.errors import UsageError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
VIEWS = """CREATE FUNCTION double(n numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE VIEW dear AS SELECT id, double(price) AS price FROM orders WHERE price > 5;
ALTER TABLE orders ADD CONSTRAINT one_price EXCLUDE USING btree (id WITH =); -- the end
"""
FURTHER = """CREATE SEQUENCE numbers;
ALTER TABLE orders ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE orders ADD COLUMN open_in int4range DEFAULT int4range(1, 2);
ALTER TABLE orders ADD COLUMN facts jsonb CHECK (jsonb_typeof(facts) = 'object');
ALTER TABLE users ADD CONSTRAINT apart EXCLUDE USING gist (seats WITH &&);
"""


def write_sql(project: Project, text: str) -> None:
    file = project.path.parent / "sql" / "views.sql"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


@pytest.mark.contract
def test_what_files_make_is_planned_applied_and_taken_back(shop: Project, query: Query) -> None:
    change(shop, "name: app\n", "name: app\nsql: [sql/views.sql]\n")
    write_sql(shop, VIEWS)
    revise(shop, "views")
    shop.revisions().apply()
    check_same(shop)
    assert query("SELECT DISTINCT price FROM dear") == [(19,)]
    before = query("SELECT pg_get_viewdef('dear'), pg_get_functiondef('double'::regproc)")
    write_sql(shop, VIEWS.replace("n * 2", "n * 3").replace("price > 5", "price > 6"))
    text = revise(shop, "dearer")
    assert "CREATE OR REPLACE FUNCTION" in text
    assert "CREATE OR REPLACE VIEW" in text
    shop.revisions().apply()
    assert query("SELECT DISTINCT price::text FROM dear") == [("28.50",)]
    shop.revisions().revert()
    assert query("SELECT pg_get_viewdef('dear'), pg_get_functiondef('double'::regproc)") == before


@pytest.mark.contract
def test_what_the_manifest_has_no_key_for_comes_goes_and_comes_again(
    shop: Project, query: Query
) -> None:
    change(shop, "name: app\n", "name: app\nsql: [sql/views.sql]\n")
    write_sql(shop, f"ALTER TABLE users ADD COLUMN seats int4range;\n{FURTHER}")
    revise(shop, "further", drop=("orders.number", "orders.open_in"))
    for _ in range(2):
        shop.revisions().apply()
        check_same(shop)
        assert query("SELECT count(DISTINCT number), count(open_in) FROM orders") == [(300, 300)]
        for wrong in (
            "UPDATE orders SET facts = '[]'",
            "UPDATE users SET seats = '[1,2)'",
            "UPDATE orders SET number = 1",
        ):
            with pytest.raises(psycopg.Error):
                query(wrong)
        shop.revisions().revert(drop=["orders.number", "orders.open_in"])
        assert shop.revisions().status().drift.is_empty


def test_an_empty_database_gets_them_behind_its_tables(
    shop: Project, databases: Databases, query: Query
) -> None:
    change(shop, "name: app\n", "name: app\nsql: [sql/views.sql]\n")
    write_sql(shop, VIEWS)
    revise(shop, "views")
    assert "CREATE VIEW dear" in shop.schema_sql()
    conninfo = databases.create()
    fresh = Project(shop.path.parent, to=conninfo)
    assert fresh.migrate(shop.path.parent / "app", confirm=confirm).exit_code == 0
    check_same(fresh)
    databases.drop(conninfo)
    assert query("SELECT to_regclass('dear')") == [(None,)]


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "cannot be read"), ("CREATE VIEW v AS SELECT nothing", 'column "nothing" does not')],
)
def test_a_file_that_cannot_be_used_is_named(shop: Project, text: str | None, says: str) -> None:
    change(shop, "name: app\n", "name: app\nsql: [sql/views.sql]\n")
    if text is not None:
        write_sql(shop, text)
    with pytest.raises(UsageError, match=says):
        shop.revisions().revise("views")
    assert len([*folder_of(shop).iterdir()]) == 1
