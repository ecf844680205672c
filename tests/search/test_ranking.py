"""The order and the scores of hits are those of brute force, in each plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.dumps import confirm
from tests.scenes.databases import Template
from tests.search.asking import OWNER, PLANS, STATISTICS, TABLES, ask, draw_queries, sign_in
from tests.search.oracle import rank

from assise.project import Project
from assise.schema.search import searched

Query = Callable[..., list[tuple[Any, ...]]]
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
def test_a_word_counts_ten_times_and_the_hundred_heaviest_words_count(
    template: Template, plan: str
) -> None:
    statistics = STATISTICS["books"]
    by_weight = sorted(statistics.df, key=lambda word: -statistics.idf(word))
    heaviest, lightest = by_weight[:100], by_weight[-20:]
    assert statistics.idf(heaviest[-1]) > statistics.idf(lightest[0]) + 0.1
    asked = {
        " ".join(["w3"] * 50 + ["w9"]): " ".join(["w3"] * 10 + ["w9"]),
        " ".join(lightest + heaviest): " ".join(heaviest),
    }
    with sign_in(template.conninfo, role="admin", plan=plan) as session:
        for query, meant in asked.items():
            expected = rank(TABLES["books"], meant, statistics)[:10]
            found = ask(session, "books", query, options={"raw": True})
            assert [key for key, _ in found] == [key for key, _ in expected]
            scores = [score for _, score in expected]
            assert [score for _, score in found] == pytest.approx(scores, abs=1e-3)


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


def test_blocks_with_many_hits_are_read_as_those_with_few(
    library: Project, database: str, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searched, "BLOCK", 2_048)
    query(
        "INSERT INTO books (id, user_id, title, text)"
        " SELECT n, n % 2, 'common', concat_ws(' ', 'w' || n % 9, repeat('w' || n % 7 || ' ', n % 5))"
        " FROM generate_series(1000, 3399) AS n"
    )
    assert library.load(None, confirm=confirm).exit_code == 0
    library.search.build()
    for role, asked in (("app", "common w3 w5"), ("app", "w3 w4 w6"), ("admin", "common w1 w8")):
        found = []
        for plan in ("rows", "blocks"):
            with sign_in(database, 1, role=role, plan=plan) as session:
                found.append(ask(session, "books", asked, 1_000))
                assert ask(session, "books", asked, 10) == found[-1][:10]
        assert len(found[0]) > 500
        assert found[0] == found[1]
