"""Access rules change by revisions: policies, functions, triggers and grants."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.revisions.changing import change, check_same, revise

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
