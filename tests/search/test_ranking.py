"""The order and the scores of hits are those of brute force, in each plan."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb
from tests.scenes.databases import Template
from tests.search.library import draw_text, make_documents
from tests.search.oracle import Key, Statistics, count_words, rank

Session = psycopg.Connection[tuple[Any, ...]]
Rows = Mapping[Key, Counter[str]]
DOCUMENTS = make_documents()
WEIGHTS = {"name": 3}
TABLES: dict[str, Rows] = {
    "books": {
        (each["_id"],): count_words({name: each[name] for name in ("title", "text", "notes")})
        for each in DOCUMENTS["books"]
    },
    "pages": {
        (each["_id"], n): count_words({"text": page["text"]})
        for each in DOCUMENTS["books"]
        for n, page in enumerate(each["pages"])
    },
    "signs": {
        (each["_id"],): count_words({name: each[name] for name in ("name", "text")}, WEIGHTS)
        for each in DOCUMENTS["signs"]
    },
}
STATISTICS = {name: Statistics.count(rows.values()) for name, rows in TABLES.items()}
OWNER = {each["_id"]: each["userId"] for each in DOCUMENTS["books"]}
PLANS = {"rows": "20000", "blocks": "0"}


@contextmanager
def sign_in(
    conninfo: str, user: object = "", *, role: str = "app", plan: str = "rows"
) -> Iterator[Session]:
    """A transaction of a role of the application, taken back, in which one plan is used."""
    with psycopg.connect(make_conninfo(conninfo, user=f"apptest_{role}")) as session:
        session.execute("SELECT set_config('app.user_id', %s, true)", [str(user)])
        session.execute("SELECT set_config('search.max_rows', %s, true)", [PLANS[plan]])
        yield session
        session.rollback()


def ask(
    session: Session, table: str, query: str, limit: int = 10, options: object = None
) -> list[tuple[Key, float]]:
    """The keys and scores of `search_TABLE`."""
    values = [query, limit, Jsonb(options or {})]
    rows = session.execute(
        f"SELECT * FROM search_{table}(%s, %s, '{{}}', NULL, %s)", values
    ).fetchall()
    return [(row[:-2], row[-2]) for row in rows]


def draw_queries(count: int, seed: int = 5) -> list[str]:
    chance = random.Random(seed)
    return [draw_text(chance, 1, 10) for _ in range(count)]


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
        assert session.execute("SHOW search.plan").fetchone() == (plan,)


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
