"""What hangs on a table or a column: formulas, triggers, rules and views go with it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.revisions.changing import change, check_same, revise

from assise.errors import UsageError
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
THINGS = """  things:
    primary_key: id
    timestamps: true
    columns:
      id: int8
      called: "varchar(20)"
      user_id: {type: uuid, references: users}
"""
FORMULA = """      a_total: {type: "numeric(12,2)", generated: "b_price * c_amount"}
      b_price: "numeric(10,2)"
      c_amount: int4
"""


@pytest.fixture
def things(shop: Project) -> Project:
    """The shop with a table that a revision makes, and a view of it."""
    (shop.path.parent / "sql").mkdir()
    (shop.path.parent / "sql" / "names.sql").write_text("SELECT id, called FROM things")
    (shop.path.parent / "sql" / "a_most.sql").write_text("SELECT max(called) AS most FROM names")
    views = "names: {file: sql/names.sql}, a_most: {file: sql/a_most.sql}"
    change(shop, "name: app\n", f"name: app\nviews: {{{views}}}\n")
    change(shop, "  orders:\n    coll", f"{THINGS}  orders:\n    coll")
    revise(shop, "things")
    return shop


@pytest.mark.contract
def test_a_table_is_made_and_dropped_and_formulas_go_with_what_they_read(
    things: Project, query: Query
) -> None:
    verbs = things.revisions()
    verbs.apply()
    verbs.revert()
    assert query("SELECT to_regclass('things')") == [(None,)]
    verbs.apply()
    check_same(things)
    change(things, THINGS, THINGS + FORMULA)
    revise(things, "formula")
    verbs.apply()
    check_same(things)
    query("INSERT INTO things (b_price, c_amount) VALUES (2.5, 3)")
    assert query("SELECT a_total::text FROM things") == [("7.50",)]
    names = ("things.b_price", "things.c_amount")
    change(things, FORMULA, "")
    revise(things, "no formula", drop=names)
    verbs.apply(drop=names)
    check_same(things)
    verbs.revert()
    assert verbs.status().drift.is_empty


@pytest.mark.contract
def test_a_wider_type_takes_triggers_rules_and_views_along(things: Project, query: Query) -> None:
    verbs = things.revisions()
    verbs.apply()
    query("GRANT SELECT ON a_most TO pg_monitor")
    change(things, 'varchar(20)"\n      user_id', 'varchar(50)"\n      user_id')
    text = revise(things, "wider")
    for verb in (verbs.apply, verbs.revert, verbs.apply):
        verb()
        assert verbs.status().drift.is_empty
        assert query("SELECT has_table_privilege('pg_monitor', 'a_most', 'SELECT')") == [(True,)]
    assert verbs.diff().differences == []
    assert "DROP TRIGGER" in text
    query("INSERT INTO things (called, updated_at) VALUES ('tea', '2020-01-01')")
    query("UPDATE things SET called = repeat('x', 50)")
    assert query(
        "SELECT length(most), max(updated_at) > '2021-01-01' FROM a_most, things GROUP BY 1"
    ) == [(50, True)]


def test_a_type_that_a_formula_reads_is_refused_with_the_way(things: Project, query: Query) -> None:
    base = '      base: "varchar(20)"\n      low: {type: text, generated: lower(base)}\n'
    change(things, THINGS, THINGS + base)
    revise(things, "low")
    things.revisions().apply()
    change(things, base, base.replace("20", "50"))
    with pytest.raises(
        UsageError, match=r"base cannot become .* in place, as low reads it"
    ) as refused:
        things.revisions().revise("wider")
    query(refused.value.remedy.partition("anew.\n")[2])
    check_same(things)
