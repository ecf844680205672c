"""Fifty users search and change rows at random; what is wrong on purpose is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module

import psycopg
import pytest
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template
from tests.search.asking import (
    STATISTICS,
    TABLES,
    ask,
    draw_queries,
    sign_in,
)
from tests.search.fuzz import Fuzz
from tests.search.library import MANIFEST, write_library
from tests.search.oracle import rank

from assise.project import Project
from assise.search.query import Request
from assise.search.tables import QUERIES

ACTS = {"insert", "write", "give", "delete", "hide", "show"}
MUTANTS = {
    "no rule": ("_search_rank_books", "CASE WHEN (select", "CASE WHEN true OR (select"),
    "hidden rows": ("_search_rank_books", '("deleted_at" IS NULL)', "true"),
    "a filter that is not asked for": ("_search_rank_books", "_rule || _filter", "_rule"),
    "a bound that is too high": ("_search_dense_books", "x - slack FROM", "x + 0.3 FROM"),
    "another b": ("_search_rank_books", "0.25 + 0.75", "0.5 + 0.5"),
    "another order of equal hits": (
        "_search_rank_books",
        's.score DESC, s."id"',
        's.score DESC, s."id" DESC',
    ),
    "two tables in two measures": ("search", "u.share DESC", "u.score DESC"),
    "changes that are not indexed": "ALTER TABLE books DISABLE TRIGGER _search_update_books",
    "other statistics": "UPDATE _search_state SET n = n * 3 WHERE name = 'books'",
}


@pytest.fixture
def mutate(database: str) -> Callable[[str | tuple[str, str, str]], None]:
    """Changes the text of a function, or runs a statement."""

    def run(mutant: str | tuple[str, str, str]) -> None:
        with psycopg.connect(database) as session:
            if isinstance(mutant, str):
                session.execute(mutant.encode())
                return
            name, before, after = mutant
            statement = "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s"
            (text,) = session.execute(statement, [name]).fetchone() or ("",)
            assert before in text
            session.execute(text.replace(before, after).encode())

    return run


@pytest.mark.contract
def test_two_hundred_queries_find_what_brute_force_finds(library: Project, database: str) -> None:
    fuzz = Fuzz(database, queries=200, seed=7)
    fuzz.run()
    assert fuzz.done.keys() == {"app rows", "app blocks", "admin rows", "admin blocks", *ACTS}
    library.search.build()
    assert sum(each.count for each in library.search.check()) == 0


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_what_is_wrong_is_seen(
    library: Project,
    database: str,
    mutate: Callable[[str | tuple[str, str, str]], None],
    mutant: str | tuple[str, str, str],
) -> None:
    del library
    mutate(mutant)
    with pytest.raises(AssertionError):
        Fuzz(database, queries=200, seed=7).run()


@pytest.mark.soak
def test_two_thousand_queries(
    library: Project, database: str, request: pytest.FixtureRequest
) -> None:
    del library
    seed = 0
    with suppress(ValueError):
        seed = int(request.config.getoption("randomly_seed"))
    Fuzz(database, queries=2_000, seed=seed).run()


def test_scores_are_those_of_bm25s(template: Template) -> None:
    rows = [*TABLES["pages"].items()]
    model = import_module("bm25s").BM25(k1=1.2, b=0.75, method="lucene")
    model.index([[*row.elements()] for _, row in rows], show_progress=False)
    with sign_in(template.conninfo, role="admin") as session:
        for query in draw_queries(10, seed=8):
            scores = model.get_scores(query.split())
            theirs = {key: score * 2.2 for (key, _), score in zip(rows, scores, strict=True)}
            found = ask(session, "pages", query, 50, options={"raw": True})
            assert len(found) == min(50, sum(score > 0 for score in theirs.values()))
            for key, score in found:
                assert score == pytest.approx(theirs[key], abs=1e-4)


@pytest.fixture
def without_vector() -> Iterator[None]:
    """A server that has no pgvector, as far as search can tell."""
    queries = {
        "vector": "SELECT NULL LIMIT 0",
        "available": f"SELECT %(name)s <> 'vector' AND ({QUERIES['available']})",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, text in queries.items():
            patch.setitem(QUERIES._queries, name, text)  # noqa: SLF001
        yield


def test_without_pgvector_the_formula_is_the_same(
    databases: Databases, tmp_path: object, without_vector: None
) -> None:
    del without_vector
    with databases.create_template(tmp_path) as place:  # type: ignore[arg-type]
        library = Project(place.folder, to=place.conninfo)
        library.path.write_text(MANIFEST)
        library.migrate(write_library(place.folder), confirm=confirm)
        library.search.build()
        with sign_in(place.conninfo, role="admin") as session:
            for query in draw_queries(10, seed=9):
                expected = rank(TABLES["books"], query, STATISTICS["books"])[:10]
                found = ask(session, "books", query, options={"raw": True})
                assert [key for key, _ in found] == [key for key, _ in expected]
                scores = [score for _, score in expected]
                assert [score for _, score in found] == pytest.approx(scores, abs=1e-4)
        with psycopg.connect(place.conninfo) as session:
            session.execute("INSERT INTO books (id, user_id, title) VALUES (1000, 3, 'newword')")
        library.search.build()
        for user, words in {3: ["newword"], 4: []}.items():
            corrected = library.search.query(Request("nweword", ["books"]), user_id=user)
            assert [hit.id for hit in corrected.results] == [1000] * len(words)
            suggested = library.search.suggest("newwo", user_id=user)
            assert [each.text for each in suggested if each.type == "word"] == words
