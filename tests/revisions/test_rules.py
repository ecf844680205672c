"""Access rules change by revisions: policies, functions, triggers and grants."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.dumps import confirm
from tests.revisions.changing import change, check_same, revise

from assise.errors import ViolationError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def ruled(shop_before: Project) -> Project:
    """The shop with roles and a rule for its users."""
    change(shop_before, "name: app\n", "name: app\nroles: {prefix: revised}\n")
    change(shop_before, "collection: users\n", "collection: users\n    access: {owner: id}\n")
    shop_before.load()
    revise(shop_before, "start")
    return shop_before


def test_a_rule_of_a_table_comes_and_goes(ruled: Project, query: Query) -> None:
    check_same(ruled)
    change(ruled, "collection: orders\n", "collection: orders\n    access: {owner: user_id}\n")
    text = revise(ruled, "orders")
    assert text.index("CREATE POLICY") < text.index("public.orders ENABLE ROW LEVEL SECURITY")
    ruled.revisions().apply()
    check_same(ruled)
    (first,) = query("SELECT user_id FROM orders ORDER BY id LIMIT 1")
    with ruled.session(user_id=first[0]) as session:
        assert [*session.fetch("SELECT count(*) AS n FROM orders")] == [{"n": 1}]
    assert ruled.verify().exit_code == 0
    assert [gap for gap in ruled.access.check() if gap.object == "orders"] == []
    ruled.revisions().revert()
    assert query("SELECT relrowsecurity FROM pg_class WHERE oid = 'orders'::regclass") == [(False,)]
    assert ruled.revisions().status().drift.is_empty


def test_what_policies_call_may_be_called_before_they_are_there(ruled: Project) -> None:
    """Who reads the table between two steps is not refused."""
    teams = (
        "  teams: {primary_key: [user_id, team], columns: {user_id: int4, team: text}}\n"
        "  notes:\n    primary_key: id\n    columns: {id: int8, team: text}\n"
    )
    rule = "{members: {table: teams, user: user_id, group: team}}"
    change(ruled, "tables:\n", f"tables:\n{teams}")
    revise(ruled, "notes")
    change(ruled, "  notes:\n", f"  notes:\n    access: {rule}\n")
    text = revise(ruled, "teams")
    granted = text.index("GRANT EXECUTE ON FUNCTION public._memberships_teams")
    assert granted < text.index("CREATE POLICY")
    ruled.revisions().apply()
    check_same(ruled)
    ruled.revisions().revert()
    assert ruled.revisions().status().drift.is_empty


def test_a_changed_policy_is_never_gone(ruled: Project) -> None:
    change(ruled, "access: {owner: id}", "access: {owner: id, read: {any: [{public: read}]}}")
    text = revise(ruled, "public")
    blocks = text.split("\n\n")
    assert "DROP POLICY" in text
    for block in blocks:
        if "DROP POLICY" in block and "-- assise: undoes" not in block:
            following = blocks[blocks.index(block) + 1]
            assert following.startswith("-- assise: and\nCREATE POLICY")
    ruled.revisions().apply()
    check_same(ruled)


def test_a_column_becomes_personal_and_is_no_more(ruled: Project, query: Query) -> None:
    may = "SELECT has_column_privilege('revised_readonly', 'users', 'name', 'SELECT')"
    others = may.replace("'name'", "'email'")
    change(ruled, "name: {type", "name: {personal: name, type")
    revise(ruled, "personal")
    verbs = ruled.revisions()
    for verb, is_shown in ((verbs.apply, False), (verbs.revert, True), (verbs.apply, False)):
        verb()
        assert query(may) == [(is_shown,)]
        assert query(others) == [(True,)]
    check_same(ruled)
    change(ruled, "personal: name, ", "")
    revise(ruled, "no more")
    for verb, is_shown in ((verbs.apply, True), (verbs.revert, False), (verbs.apply, True)):
        verb()
        assert query(may) == [(is_shown,)]
        assert query(others) == [(True,)]
    check_same(ruled)


def test_what_revisions_have_made_is_no_gap_and_what_others_make_of_it_is(
    ruled: Project, query: Query
) -> None:
    name = "access: {owner: id}"
    change(ruled, name, "access: {owner: id, read: {any: [{public: read}]}}")
    revise(ruled, "public")
    ruled.revisions().apply()
    assert find_altered(ruled) == []
    query("ALTER POLICY app_read ON users USING (id IS NULL)")
    ruled.revisions().apply()
    assert find_altered(ruled) == ["app_read of users"]
    ruled.revisions().revert()
    change(ruled, "access: {owner: id, read: {any: [{public: read}]}}", name)
    assert find_altered(ruled) == []


def find_altered(project: Project) -> list[str]:
    return [gap.object for gap in project.access.check() if gap.check == "rule_altered"]


def test_search_is_no_matter_of_revisions(shop: Project, query: Query) -> None:
    change(shop, "collection: users\n", "collection: users\n    search: {title: name}\n")
    shop.load()
    assert query("SELECT to_regclass('_search_state') IS NOT NULL") == [(True,)]
    assert shop.revisions().status().exit_code == 0


def test_a_column_that_search_reads_comes_and_goes_and_writers_go_on(
    shop: Project, query: Query
) -> None:
    write = "UPDATE users SET email = email || 'x'"
    change(
        shop, "collection: users\n", "collection: users\n    search: {title: name, body: note}\n"
    )
    change(shop, "      name: {", "      note: text\n      name: {")
    revise(shop, "note")
    verbs = shop.revisions(confirm=confirm)
    verbs.apply()
    query(f"{write}, note = 'gold'")
    shop.search.build()
    verbs.revert(drop=["users.note"])
    query(f"{write}, name = 'changed meanwhile'")
    verbs.apply()
    shop.search.build()
    query(f"{write}, note = 'copper'")
    assert not any(each.count for each in shop.search.check())
    change(shop, "name: {type", "called: {was: name, from: name, check: called <> 'w', type")
    change(shop, "{title: name,", "{title: called,")
    query("UPDATE users SET name = 'w' WHERE id = (SELECT id FROM users LIMIT 1)")
    revise(shop, "called")
    with pytest.raises(ViolationError):
        verbs.apply()
    query(f"{write} WHERE called <> 'w'")
    query("UPDATE users SET called = 'v' WHERE called = 'w'")
    verbs.apply()
    query(write)
    shop.search.build()
    assert not any(each.count for each in shop.search.check())
    verbs.revert()
    query(f"{write}, name = 'u'")


THROUGH = "parent: orders\n    access: {through: orders}\n"
LACKING = """SELECT count(*) FROM order_lines JOIN orders ON id = order_id
    WHERE order_lines.user_id IS DISTINCT FROM orders.user_id"""


@pytest.mark.contract
def test_rows_that_are_there_get_the_key_of_their_parents(ruled: Project, query: Query) -> None:
    """Also when a rule that was taken away comes again, and by the statements that `diff` shows."""
    change(ruled, "collection: orders\n", "collection: orders\n    access: {owner: user_id}\n")
    revise(ruled, "orders")
    ruled.revisions().apply()
    change(ruled, "parent: orders\n", THROUGH)
    text = revise(ruled, "lines")
    up, _, down = text.partition("-- assise: down")
    places = [
        "CREATE TRIGGER",
        "-- assise: batch public.order_lines 10000\nUPDATE ",
        "CREATE POLICY",
    ]
    assert sorted(places, key=up.index) == places
    assert "UPDATE public" not in down
    shown = ruled.revisions().diff().restore
    assert [each for each in shown if each.startswith("UPDATE")] == [
        "UPDATE public.order_lines SET order_id = order_id"
    ]
    ruled.revisions().apply()
    check_same(ruled)
    assert query(LACKING) == [(0,)]
    assert query("SELECT count(*) FROM order_lines WHERE user_id IS NOT NULL") == [(300,)]
    (user,) = query("SELECT user_id FROM orders ORDER BY id LIMIT 1")
    with ruled.session(user_id=user[0]) as session:
        assert [*session.fetch("SELECT product FROM order_lines")] == [{"product": "tea"}]
    assert ruled.verify().exit_code == 0
    change(ruled, THROUGH, "parent: orders\n")
    text = revise(ruled, "no lines", drop=("order_lines.user_id",))
    assert "UPDATE public" not in text.partition("-- assise: down")[0]
    ruled.revisions().apply(drop=["order_lines.user_id"])
    ruled.revisions().revert()
    assert ruled.revisions().status().drift.is_empty
    assert query(LACKING) == [(0,)]


def test_a_fill_that_stopped_on_the_way_back_goes_on(ruled: Project, query: Query) -> None:
    change(ruled, "collection: orders\n", "collection: orders\n    access: {owner: user_id}\n")
    change(ruled, "parent: orders\n", THROUGH)
    revise(ruled, "rules")
    ruled.revisions().apply()
    change(ruled, THROUGH, "parent: orders\n")
    path = ruled.revisions().revise("no lines", drop=("order_lines.user_id",))
    assert path is not None
    path.write_text(path.read_text().replace("order_lines 10000", "order_lines 100"))
    ruled.revisions().apply(drop=["order_lines.user_id"])
    ((last,),) = query("SELECT order_id::text FROM order_lines ORDER BY order_id DESC LIMIT 1")
    query(f"ALTER TABLE order_lines ADD CONSTRAINT no CHECK (order_id <> '{last}') NOT VALID")
    with pytest.raises(ViolationError):
        ruled.revisions().revert()
    assert query(LACKING) == [(100,)]
    query("ALTER TABLE order_lines DROP CONSTRAINT no")
    ruled.revisions().revert()
    assert query(LACKING) == [(0,)]
    assert ruled.revisions().status().drift.is_empty


def test_rules_that_bind_the_owner_do_not_hide_what_is_filled(
    shop_before: Project, query: Query
) -> None:
    change(shop_before, "name: app\n", "name: app\nroles: none\n")
    change(
        shop_before, "collection: orders\n", "collection: orders\n    access: {owner: user_id}\n"
    )
    shop_before.load()
    revise(shop_before, "start")
    change(shop_before, "parent: orders\n", THROUGH)
    revise(shop_before, "lines")
    shop_before.revisions().apply()
    check_same(shop_before)
    assert query("SELECT count(*) FROM order_lines WHERE user_id IS NOT NULL") == [(300,)]


def test_a_view_of_the_manifest_shows_who_asks_their_own_rows(
    shop_before: Project, query: Query
) -> None:
    """Also one that was made before there were roles; what a file of SQL says otherwise is told."""
    folder = shop_before.path.parent / "sql"
    folder.mkdir()
    (folder / "names.sql").write_text("SELECT id, name FROM users")
    (folder / "all.sql").write_text(
        "CREATE VIEW everyone WITH (security_invoker = false) AS SELECT name FROM users"
    )
    views = "views:\n  names: {file: sql/names.sql}\n"
    change(shop_before, "name: app\n", f"name: app\nsql: [sql/all.sql]\n{views}")
    query((folder / "all.sql").read_text())
    query("CREATE VIEW names AS SELECT id, name FROM users")
    revise(shop_before, "start")
    change(shop_before, "name: app\n", "name: app\nroles: {prefix: revised}\n")
    change(shop_before, "collection: users\n", "collection: users\n    access: {owner: id}\n")
    text = revise(shop_before, "roles")
    assert "CREATE OR REPLACE VIEW public.names WITH (security_invoker=true) AS" in text
    shop_before.revisions().apply()
    check_same(shop_before)
    found = [each for each in shop_before.access.check() if each.check == "view_around_rules"]
    assert [each.object for each in found] == ["everyone"]
    query("GRANT SELECT ON names TO revised_app")
    ((user, name),) = query("SELECT id, name FROM users ORDER BY id LIMIT 1")
    with shop_before.session(user_id=user) as session:
        assert [*session.fetch("SELECT name FROM names")] == [{"name": name}]
    shop_before.revisions().revert()
    assert query("SELECT reloptions FROM pg_class WHERE relname = 'names'") == [(None,)]
