"""The tables of the library as brute force reads them, and sessions that search them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb
from tests.search.library import draw_text, make_documents
from tests.search.oracle import Key, Statistics, count_words

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
