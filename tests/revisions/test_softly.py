"""Soft delete goes by a revision, with its functions, columns, indexes and rules, and comes again."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from tests.revisions.changing import change, check_same, revise

from assise.errors import EditedError, UsageError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
MARKS = ("orders.deleted_at", "order_lines.deleted_at")
RIGHTS = """SELECT p.oid::regprocedure::text, pg_get_userbyid(proowner)::text, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(proacl) a)::text,
    obj_description(p.oid) FROM pg_proc p WHERE proname LIKE 'orders\\_%' ORDER BY 1"""


@pytest.fixture
def softly(shop_before: Project) -> Project:
    """The shop with rules, whose orders are deleted softly, with their lines."""
    change(shop_before, "name: app\n", "name: app\nroles: {prefix: softly}\n")
    change(shop_before, "collection: users\n", "collection: users\n    access: {owner: id}\n")
    ruled = "    soft_delete: true\n    access: {owner: user_id}\n"
    change(shop_before, "collection: orders\n", f"collection: orders\n{ruled}")
    change(
        shop_before, "    parent: orders\n", "    parent: orders\n    access: {through: orders}\n"
    )
    change(
        shop_before,
        "indexes: [[state, -price]]",
        "indexes: [{columns: [user_id, price], unique: true}]",
    )
    shop_before.load()
    revise(shop_before, "start")
    return shop_before


@pytest.mark.contract
def test_soft_delete_goes_and_comes_again(softly: Project, query: Query) -> None:
    ((first, user),) = query("SELECT id, user_id FROM orders ORDER BY id LIMIT 1")
    before = query(RIGHTS)
    assert len(before) == 2
    assert all("softly_app" in str(rights) for _, _, rights, _ in before)
    with softly.session(user_id=user) as session:
        session.execute("SELECT orders_delete(%s)", [first])
        assert [*session.fetch("SELECT id FROM orders")] == []
    change(softly, "    soft_delete: true\n", "")
    with pytest.raises(UsageError, match=r"order_lines\.deleted_at, orders\.deleted_at"):
        softly.revisions().revise("hard")
    text = revise(softly, "hard", drop=MARKS)
    assert re.search(
        r"CREATE UNIQUE INDEX CONCURRENTLY \S+ ON public.orders USING btree \(user", text
    )
    with pytest.raises(EditedError, match="values would be lost"):
        softly.revisions().apply()
    softly.revisions().apply(drop=MARKS)
    assert softly.revisions().status().drift.is_empty
    assert query(RIGHTS) == []
    softly.revisions().revert()
    assert softly.revisions().status().drift.is_empty
    assert query(RIGHTS) == before
    softly.revisions().apply()
    check_same(softly)
    with softly.session(user_id=user) as session:
        assert [*session.fetch("SELECT id FROM orders")] == [{"id": first}]
        assert [*session.fetch("SELECT product FROM order_lines")] == [{"product": "tea"}]
    assert softly.verify().exit_code == 0
    assert [gap for gap in softly.access.check() if gap.object == "orders"] == []
