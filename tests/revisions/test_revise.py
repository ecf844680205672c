"""A changed manifest becomes a revision, which leads there and back beside data."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.revisions.changing import change, check_same, folder_of, revise, start

from assise.errors import ChangedError, EditedError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]


def test_the_first_revision_is_the_schema_as_it_is(shop: Project, query: Query) -> None:
    text = revise(shop, "anything")
    assert [file.name for file in folder_of(shop).iterdir()] == ["0001_start.sql"]
    assert shop.schema_sql().strip() in text
    assert "-- assise: down" not in text
    assert query("SELECT number, state FROM assise.revision") == [(1, "marked")]
    assert shop.revisions().apply().steps == {}
    assert shop.revisions().status().exit_code == 0
    check_same(shop)


def test_a_database_that_differs_from_the_manifest_is_refused(shop: Project, query: Query) -> None:
    query("DROP INDEX orders_state_price_idx")
    with pytest.raises(ChangedError, match=r"index public.orders_state_price_idx on .* is missing"):
        shop.revisions().revise("start")
    assert not folder_of(shop).exists()


def test_a_change_goes_up_down_and_up_with_data(shop: Project, query: Query) -> None:
    start(shop)
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
