"""A changed manifest becomes a revision, which leads there and back beside data."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from tests.dumps import confirm
from tests.revisions.changing import change, check_same, folder_of, revise
from tests.scenes.databases import Databases

from assise.errors import ChangedError, EditedError, ManifestError, UsageError, ViolationError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]


def test_the_first_revision_is_the_schema_as_it_is(shop_before: Project, query: Query) -> None:
    text = revise(shop_before, "anything")
    assert [file.name for file in folder_of(shop_before).iterdir()] == ["0001_start.sql"]
    assert shop_before.schema_sql().strip() in text
    assert "-- assise: down" not in text
    assert query("SELECT number, state FROM assise.revision") == [(1, "marked")]
    assert shop_before.revisions().apply().steps == {}
    assert shop_before.revisions().status().exit_code == 0
    check_same(shop_before)


def test_a_database_that_differs_from_the_manifest_is_refused(
    shop_before: Project, query: Query
) -> None:
    query("DROP INDEX orders_state_price_idx")
    with pytest.raises(ChangedError, match=r"index public.orders_state_price_idx on .* is missing"):
        shop_before.revisions().revise("start")
    assert not folder_of(shop_before).exists()


def test_a_change_goes_up_down_and_up_with_data(shop: Project, query: Query) -> None:
    change(
        shop,
        "email: {type: text, unique: true}",
        "email: {type: text, not_null: true}\n      plan: {type: text, default: free, not_null: true}",
    )
    change(shop, "indexes: [[state, -price]]", "indexes: [[state, -price], [price]]")
    change(shop, "state: {type: text}", "state: {type: text, values: [new, sent]}")
    change(shop, "who buys", "who's buying")
    text = revise(shop, "add plan")
    for safe in (
        "CREATE INDEX CONCURRENTLY orders_price_idx",
        "NOT VALID;",
        "VALIDATE CONSTRAINT orders_state_check",
        "SET NOT NULL",
    ):
        assert safe in text
    verbs = shop.revisions()
    assert len(verbs.apply(dry_run=True).statements) > 5
    assert query("SELECT count(*) FROM assise.revision") == [(1,)]
    verbs.apply()
    check_same(shop)
    assert query("SELECT DISTINCT plan FROM users") == [("free",)]
    assert shop.verify().exit_code == 0
    with pytest.raises(EditedError, match=r"users\.plan"):
        verbs.revert()
    verbs.revert(drop=["users.plan"])
    assert query("SELECT max(number) FROM assise.revision") == [(1,)]
    verbs.apply()
    check_same(shop)
    assert shop.load().was_done
    assert verbs.status().exit_code == 0


def test_a_rename_says_so_and_the_load_follows(shop: Project, query: Query) -> None:
    change(shop, "name: {type", "called: {from: name, was: name, type")
    text = revise(shop, "rename name")
    assert "-- Running code that uses name breaks" in text
    assert "DROP COLUMN" not in text
    shop.revisions().apply()
    check_same(shop)
    assert shop.verify().exit_code == 0
    assert shop.load().was_done
    shop.revisions().revert()
    assert query("SELECT count(name) FROM users") == [(300,)]
    change(shop, "called: {from: name, was: name, type", "name: {type")
    assert shop.verify().exit_code == 0


def test_the_load_follows_a_rename_that_was_written_by_hand(shop: Project, query: Query) -> None:
    query("CREATE TABLE theirs (name text)")
    change(shop, "name: {type", "called: {from: name, was: name, type")
    text = revise(shop, "rename name")
    (path,) = folder_of(shop).glob("0002*")
    lines = [line for line in text.splitlines() if not line.startswith("-- assise: rename")]
    assert len(lines) == len(text.splitlines()) - 2
    path.write_text("\n".join(lines) + "\n")
    shop.revisions().apply()
    assert shop.verify().exit_code == 0
    shop.revisions().revert()
    change(shop, "called: {from: name, was: name, type", "name: {type")
    assert shop.verify().exit_code == 0
    path.write_text(
        text.partition("-- assise: up")[0]
        + "-- assise: up\nALTER TABLE theirs RENAME COLUMN name TO called;\nALTER TABLE theirs RENAME TO others;\n"
    )
    shop.revisions().apply()
    assert shop.verify().exit_code == 0


def test_a_renamed_table_keeps_its_rows_and_the_load_follows(shop: Project, query: Query) -> None:
    change(
        shop, "  users:\n    collection: users", "  people:\n    was: users\n    collection: users"
    )
    change(shop, "references: users", "references: people")
    change(shop, "  orders:\n    coll", "  buys:\n    was: orders\n    coll")
    change(shop, "parent: orders", "parent: buys")
    change(shop, "name: {type", "called: {from: name, was: name, type")
    text = revise(shop, "people")
    assert "ALTER TABLE public.users RENAME TO people" in text
    assert "RENAME COLUMN name TO called" in text
    assert "DROP" not in text.replace("DROP NOT NULL", "")
    for verb in (shop.revisions().apply, shop.revisions().revert, shop.revisions().apply):
        verb()
    check_same(shop)
    assert query("SELECT count(called), count(u.id) FROM people AS u") == [(300, 300)]
    assert shop.verify().exit_code == 0
    assert shop.load().was_done
    assert [each.name for each in shop.undo(dry_run=True).tables if each.edits] == []
    lines: list[bytes] = []
    shop.export("users", lines.append)
    assert len(lines) == 300
    change(shop, "    was: users\n", "")
    assert shop.revisions().status().exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "    collection: users\n",
            "    was: orders\n    collection: users\n",
            "a table that is there",
        ),
        (
            "    collection: users\n",
            "    was: a.users\n    collection: users\n",
            "is in another schema",
        ),
        (
            "    collection: users\n",
            "    was: old\n    audit: true\n    collection: users\n",
            "beside audit",
        ),
        ("    collection: ", "    was: old\n    collection: ", "is what two tables were"),
    ],
)
def test_a_rename_that_cannot_be_is_refused(shop: Project, old: str, new: str, says: str) -> None:
    change(shop, old, new)
    with pytest.raises(ManifestError, match=says):
        shop.revisions().revise("people")


def test_a_dropped_column_is_named_twice_and_closes_the_load(shop: Project, query: Query) -> None:
    change(shop, "      state: {type: text}\n", "")
    change(shop, "    indexes: [[state, -price]]\n", "")
    with pytest.raises(UsageError, match=r"would drop orders\.state") as refused:
        shop.revisions().revise("drop state")
    assert "--drop orders.state" in refused.value.remedy
    revise(shop, "drop state", drop=("orders.state",))
    with pytest.raises(EditedError, match=r"orders\.state"):
        shop.revisions().apply()
    assert query("SELECT count(state) FROM orders") == [(300,)]
    with pytest.raises(UsageError, match=r"the load is closed, .* in orders\.state"):
        shop.revisions().apply(drop=["orders.state"])
    assert query("SELECT count(state) FROM orders") == [(300,)]
    shop.revisions(confirm=confirm).apply(drop=["orders.state"])
    check_same(shop)
    for verb in (shop.verify, shop.repair, shop.undo, lambda: shop.export("orders", print)):
        with pytest.raises(ChangedError, match="closed by revision 0002 drop state"):
            verb()


def test_formulas_and_times_come_by_revisions(shop: Project, query: Query) -> None:
    change(shop, "collection: users\n", "collection: users\n    timestamps: true\n")
    change(
        shop,
        'name: {type: "varchar(20)"',
        "created_at: timestamptz\n      updated_at: timestamptz\n"
        '      short: {type: text, generated: "left(name, 4)", comment: first}\n'
        '      name: {type: "varchar(20)"',
    )
    text = revise(shop, "times")
    assert "-- Writes all rows of public.users" in text
    for verb in (shop.revisions().apply, shop.revisions().revert, shop.revisions().apply):
        verb(drop=["users.created_at", "users.updated_at"])
    check_same(shop)
    assert query("SELECT DISTINCT short FROM users") == [("user",)]
    query("UPDATE users SET name = 'next'")
    assert query("SELECT DISTINCT short, updated_at IS NOT NULL FROM users") == [("next", True)]
    change(shop, "left(name, 4)", "left(name, 5)")
    with pytest.raises(UsageError, match="cannot get another formula") as refused:
        shop.revisions().revise("longer")
    statement = (
        "ALTER TABLE public.users DROP COLUMN short, ADD COLUMN short text GENERATED ALWAYS AS"
    )
    assert statement in refused.value.remedy


@pytest.mark.contract
def test_a_type_changes_in_place_only_where_no_row_is_written(shop: Project, query: Query) -> None:
    change(shop, "varchar(20)", "varchar(30)")
    change(shop, "numeric(10,2)", "numeric(12,2)")
    file = "SELECT pg_relation_filenode('users'), pg_relation_filenode('orders')"
    before = query(file)
    revise(shop, "wider")
    shop.revisions(confirm=confirm).apply()
    assert query(file) == before
    check_same(shop)
    change(shop, "amount: int4", "amount: int8")
    with pytest.raises(UsageError, match=r"order_lines\.amount cannot become bigint") as refused:
        shop.revisions().revise("bigger")
    for step in ("ADD COLUMN amount_new bigint", "TRIGGER", "batch", "RENAME COLUMN"):
        assert step in refused.value.remedy


def test_the_recipe_for_another_type_runs_as_it_is_pasted(shop: Project, query: Query) -> None:
    change(shop, "amount: int4", "amount: int8")
    with pytest.raises(UsageError, match="cannot become bigint") as refused:
        shop.revisions().revise("bigger")
    recipe = refused.value.remedy.partition("last two statements:\n")[2]
    head = "-- assise: revision 0002 bigger\n-- assise: manifest by_hand\n-- assise: up\n"
    (folder_of(shop) / "0002_bigger.sql").write_text(head + recipe)
    with pytest.raises(UsageError, match=r"the load is closed, .* in order_lines\.amount:"):
        shop.revisions().apply(drop=["order_lines.amount"])
    shop.revisions(confirm=confirm).apply(drop=["order_lines.amount"])
    check_same(shop)
    kinds = "SELECT amount, pg_typeof(amount)::text FROM order_lines GROUP BY amount"
    assert query(kinds) == [(2, "bigint")]
    with pytest.raises(ChangedError, match="closed by revision 0002 bigger"):
        shop.verify()
    assert "-- assise: up\n\n-- assise: down" in revise(shop, "hash")


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("DROP TABLE order_lines", "order_lines"),
        ('ALTER TABLE "orders" ALTER price TYPE float8', "orders.price"),
        ("ALTER TABLE public.users DROP COLUMN name", "users.name"),
    ],
)
def test_what_is_written_by_hand_closes_the_load_too(
    shop: Project, query: Query, statement: str, lost: str
) -> None:
    head = "-- assise: revision 0002 by hand\n-- assise: manifest by_hand\n-- assise: up\n"
    (folder_of(shop) / "0002_by_hand.sql").write_text(f"{head}{statement};\n")
    with pytest.raises(UsageError, match=f"the load is closed, .* in {lost}:"):
        shop.revisions().apply(drop=[lost])
    assert query("SELECT closed_by FROM assise.load") == [(None,)]
    shop.revisions(confirm=confirm).apply(drop=[lost])
    for verb in (shop.verify, shop.repair, shop.undo, lambda: shop.export("orders", print)):
        with pytest.raises(ChangedError, match="closed by revision 0002 by hand"):
            verb()


def test_a_manifest_that_has_changed_asks_for_a_revision(shop: Project) -> None:
    change(shop, "who buys", "buyers")
    with pytest.raises(ChangedError, match="differs from what revision 0001 start") as refused:
        shop.load()
    assert refused.value.remedy.startswith("next: assise schema revise")
    assert refused.value.exit_code == 2


def test_nothing_is_made_for_a_manifest_whose_revisions_a_database_lacks(
    shop: Project, query: Query
) -> None:
    change(
        shop, "collection: users\n", "collection: users\n    search: {title: name, body: plan}\n"
    )
    change(shop, "      name: {", "      plan: text\n      name: {")
    change(shop, "state: {type: text", "state: {type: text, check: state <> 'x'")
    revise(shop, "plan")
    with pytest.raises(ChangedError, match="lacks revision 0002 plan") as refused:
        shop.load()
    assert (refused.value.exit_code, refused.value.remedy) == (2, "next: assise schema apply")
    query("UPDATE users SET name = 'x'")
    query("UPDATE orders SET state = 'x' WHERE id = (SELECT id FROM orders LIMIT 1)")
    verbs = shop.revisions()
    with pytest.raises(ViolationError):
        verbs.apply()
    with pytest.raises(ChangedError, match="0002 plan is half done") as refused:
        shop.load()
    assert refused.value.remedy == "next: assise schema apply, which goes on with it"
    query("UPDATE orders SET state = 'new'")
    verbs.apply()
    assert shop.load().was_done
    query("UPDATE users SET name = 'y', plan = 'gold'")


def test_an_empty_database_is_built_from_the_manifest_and_has_all_revisions(
    shop: Project, databases: Databases
) -> None:
    change(shop, "who buys", "buyers")
    revise(shop, "buyers")
    conninfo = databases.create()
    fresh = Project(shop.path.parent, to=conninfo)
    fresh.migrate(shop.path.parent / "app", confirm=confirm)
    check_same(fresh)
    states = [each.state for each in fresh.revisions().status().revisions]
    assert states == ["marked", "marked"]
    databases.drop(conninfo)


def test_the_way_back_behind_what_a_load_has_written_closes_it(
    shop: Project, databases: Databases
) -> None:
    change(shop, "      name: {", "      plan: text\n      name: {")
    revise(shop, "plan")
    conninfo = databases.create()
    fresh = Project(shop.path.parent, to=conninfo)
    fresh.migrate(shop.path.parent / "app", confirm=confirm)
    with pytest.raises(UsageError, match=r"the load is closed, .* in users\.plan:"):
        fresh.revisions().revert()
    assert fresh.verify().exit_code == 0
    fresh.revisions(confirm=confirm).revert()
    with pytest.raises(ChangedError, match="closed by revision 0002 plan"):
        fresh.verify()
    databases.drop(conninfo)


def test_an_empty_database_gets_the_tables_from_the_revisions(
    shop: Project, databases: Databases
) -> None:
    change(shop, "who buys", "buyers")
    revise(shop, "buyers")
    conninfo = databases.create()
    fresh = Project(shop.path.parent, to=conninfo)
    assert list(fresh.revisions().apply().steps) == ["0001 start", "0002 buyers"]
    check_same(fresh)
    databases.drop(conninfo)


def test_a_check_of_a_column_with_another_type_comes_back_as_it_was(
    shop: Project, query: Query
) -> None:
    change(shop, 'name: {type: "varchar(20)"', 'name: {type: "varchar(20)", check: "name <> \'\'"')
    revise(shop, "check")
    shop.revisions().apply()
    check = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'users_name_check'"
    before = query(check)
    change(shop, 'name: {type: "varchar(20)"', 'name: {type: "text"')
    revise(shop, "text")
    shop.revisions(confirm=confirm).apply()
    assert query(check) != before
    check_same(shop)
    shop.revisions().revert()
    assert query(check) == before


def test_values_of_a_varchar_are_the_same_from_a_revision_and_from_a_dump(
    shop: Project, query: Query
) -> None:
    level = 'level: {type: "varchar(5)", values: [low, high]}'
    change(shop, "      name: {", f"      {level}\n      name: {{")
    revise(shop, "level")
    verbs = shop.revisions()
    verbs.apply()
    check_same(shop)
    check = "FROM pg_constraint WHERE conname = 'users_level_check'"
    [(made,)] = query(f"SELECT pg_get_constraintdef(oid) {check}")
    query("ALTER TABLE users DROP CONSTRAINT users_level_check")
    query(f"ALTER TABLE users ADD CONSTRAINT users_level_check {made}")
    check_same(shop)
    change(shop, "varchar(5)", "text")
    revise(shop, "text")
    verbs.apply()
    check_same(shop)
    verbs.revert()
    assert verbs.status().drift.is_empty


def test_a_table_comes_goes_and_comes_back_by_revisions(shop: Project, query: Query) -> None:
    manifest = shop.path.read_text()
    notes = """  notes:
    primary_key: id
    columns:
      id: {type: uuid, default: gen_random_uuid()}
      user_id: {type: uuid, references: users}
      text: {type: text, not_null: true, check: text <> ''}
"""
    shop.path.write_text(manifest + notes)
    assert "CREATE TABLE public.notes" in revise(shop, "notes")
    verbs = shop.revisions()
    verbs.apply()
    check_same(shop)
    query("INSERT INTO notes (text) VALUES ('milk')")
    with pytest.raises(psycopg.errors.CheckViolation):
        query("INSERT INTO notes (text) VALUES ('')")
    shop.path.write_text(manifest)
    revise(shop, "no notes", drop=("notes",))
    verbs.apply(drop=["notes"])
    check_same(shop)
    verbs.revert()
    shop.path.write_text(manifest + notes)
    check_same(shop)
    assert query("SELECT count(*) FROM notes") == [(0,)]


def test_a_column_that_goes_comes_back_with_its_comment(shop: Project, query: Query) -> None:
    change(shop, '      name: {type: "varchar(20)", comment: how they are called}\n', "")
    revise(shop, "no name", drop=("users.name",))
    verbs = shop.revisions(confirm=confirm)
    verbs.apply(drop=["users.name"])
    check_same(shop)
    verbs.revert()
    said = "SELECT col_description(attrelid, attnum) FROM pg_attribute"
    where = "attrelid = 'users'::regclass AND attname = 'name'"
    assert query(f"{said} WHERE {where}") == [("how they are called",)]
    assert verbs.status().drift.is_empty
