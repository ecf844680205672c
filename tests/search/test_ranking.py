"""The order and the scores of hits are those of brute force, in each plan."""

from __future__ import annotations

import pytest
from tests.scenes.databases import Template
from tests.search.asking import OWNER, PLANS, STATISTICS, TABLES, ask, draw_queries, sign_in
from tests.search.oracle import rank

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("table", TABLES)
def test_scores_and_order_are_those_of_brute_force(
    template: Template, table: str, plan: str
) -> None:
    with sign_in(template.conninfo, role="admin", plan=plan) as session:
        for query in draw_queries(30):
            expected = rank(TABLES[table], query, STATISTICS[table])[:10]
            found = ask(session, table, query, options={"raw": True})
            assert [key for key, _ in found] == [key for key, _ in expected], query
            scores = [score for _, score in expected]
            assert [score for _, score in found] == pytest.approx(scores, abs=1e-4)
        is_there = session.execute("SELECT FROM pg_extension WHERE extname = 'vector'").fetchone()
        used = plan if is_there is not None else "rows"
        assert session.execute("SHOW search.plan").fetchone() == (used,)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("table", ["books", "pages"])
def test_a_user_finds_only_what_the_user_sees(template: Template, table: str, plan: str) -> None:
    for user, query in zip(range(0, 50, 5), draw_queries(10, seed=6), strict=True):
        own = {key: row for key, row in TABLES[table].items() if OWNER[key[0]] == user}
        expected = rank(own, query, STATISTICS[table])[:10]
        with sign_in(template.conninfo, user, plan=plan) as session:
            found = ask(session, table, query)
        assert [key for key, _ in found] == [key for key, _ in expected]
        best = expected[0][1]
        scores = [round(score / best, 2) for _, score in expected]
        assert [score for _, score in found] == pytest.approx(scores, abs=0.0101)
