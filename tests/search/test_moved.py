"""What moves hits: statistics of the user's own rows, synonyms, and a moment that raises rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template
from tests.search.asking import OWNER, TABLES, ask, draw_queries, sign_in
from tests.search.library import MANIFEST, write_library
from tests.search.oracle import Key, Statistics, rank

from assise.errors import UsageError
from assise.manifest.read import load_manifest
from assise.project import Project
from assise.schema.search import searched
from assise.search.query import Request
from assise.search.synonyms import read_synonyms
from assise.transfer.finished import open_loaded, open_target

Query = Callable[..., list[tuple[Any, ...]]]
SYNONYMS = "# how people say it\nw2, w250\nw3 w5 => w251 w252, w253\n[simple]\nw1 => w254\n"
MOVED = (
    MANIFEST.replace("notes], language: simple}", "notes], language: simple, statistics: tenant}")
    .replace(
        "search: {body: text, language: simple}",
        "search: {body: text, language: simple, synonyms: synonyms.txt}",
    )
    .replace("weights: {name: 3}}", 'weights: {name: 3}, boost: {seen_at: "30 days"}}')
    .replace("name: text, text: text}\n", "name: text, text: text, seen_at: timestamptz}\n")
)


@pytest.fixture(scope="module")
def template(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, _small_blocks: None
) -> Iterator[Template]:
    """The library with all three, indexed."""
    with databases.create_template(tmp_path_factory.mktemp("moved")) as template:
        project = Project(template.folder, to=template.conninfo)
        project.path.write_text(MOVED)
        (template.folder / "synonyms.txt").write_text(SYNONYMS)
        assert project.migrate(write_library(template.folder), confirm=confirm).exit_code == 0
        project.search.build()
        yield template


def of_user(user: int) -> dict[Key, Counter[str]]:
    """The books of a user."""
    return {key: row for key, row in TABLES["books"].items() if OWNER[key[0]] == user}


def test_words_are_counted_in_the_rows_that_a_user_sees(template: Template) -> None:
    for user in (3, 17):
        rows = of_user(user)
        statistics = Statistics.count(rows.values())
        for plan in ("rows", "blocks"):
            with sign_in(template.conninfo, user, plan=plan) as session:
                for query in draw_queries(8, seed=user):
                    expected = rank(rows, query, statistics)[:10]
                    found = ask(session, "books", query)
                    assert [key for key, _ in found] == [key for key, _ in expected]
                    best = expected[0][1] if expected else 1
                    for (_, score), (_, theirs) in zip(found, expected, strict=True):
                        assert abs(score - theirs / best) <= 0.0051


def test_rows_of_others_do_not_move_a_ranking(template: Template) -> None:
    def read(table: str, *statements: str) -> list[list[tuple[Key, float]]]:
        with psycopg.connect(template.conninfo) as session:
            for statement in statements:
                session.execute(statement.encode())
            session.execute("SET LOCAL SESSION AUTHORIZATION apptest_app")
            session.execute("SELECT set_config('app.user_id', '3', true)")
            found = [ask(session, table, query) for query in draw_queries(12, seed=4)]
            session.rollback()
            return found

    others = [
        "UPDATE _search_state SET n = 9000, average = 90",
        "INSERT INTO books (id, user_id, text) SELECT n, 4, repeat('w2 w7 ', 50) FROM generate_series(2000, 2400) AS n",
    ]
    for table in ("books", "pages"):
        moved = [*others, f"UPDATE _search_terms_{table} SET df = 2000 WHERE term % 2 = 0"]
        # The statistics of pages are those of all rows.
        assert (read(table) == read(table, *moved)) is (table == "books")


def test_own_statistics_page_filter_and_explain(template: Template) -> None:
    project = Project(template.folder, to=template.conninfo)
    whole = project.search.query(Request("w0 w1 w7", ["books"], 100), user_id=3)
    assert len(whole.results) == whole.total
    found: list[object] = []
    cursor = None
    while page := project.search.query(
        Request("w0 w1 w7", ["books"], 3, cursor=cursor), user_id=3
    ).results:
        found += [hit.id for hit in page]
        cursor = page[-1].next
    assert found == [hit.id for hit in whole.results]
    size = whole.results[0].metadata["size"]
    few = project.search.query(Request("w0 w1 w7", ["books"], 100, {"size": size}), user_id=3)
    same = [hit.id for hit in whole.results if hit.metadata["size"] == size]
    assert [hit.id for hit in few.results] == same
    (books,) = project.search.explain(Request("w0 w7", ["books"]), user_id=3)
    own = Statistics.count(of_user(3).values())
    assert (books.plan, books.n) == ("own", own.n)
    assert books.average == pytest.approx(own.average)
    assert {word.lexeme: word.df for word in books.words} == {
        word: own.df.get(word, 0) for word in ("w0", "w7")
    }
    assert [word.idf for word in books.words] == [
        pytest.approx(own.idf(word.lexeme), abs=1e-3) for word in books.words
    ]
    (pages,) = project.search.explain(Request("w0", ["pages"]), user_id=3)
    assert (pages.plan, pages.inexact) == ("rows", False)


def test_synonyms_are_words_of_the_query(template: Template) -> None:
    statistics = Statistics.count(TABLES["pages"].values())
    asked = {
        "w2": "w2 w250",
        "w250 w9": "w250 w9 w2",
        "w3 w5": "w3 w5 w251 w252 w253",
        "w5 w3": "w5 w3",
        "w1": "w1 w254",
        "w254": "w254",
        "w2 w250 w2": "w2 w250 w2",
    }
    for plan in ("rows", "blocks"):
        with sign_in(template.conninfo, role="admin", plan=plan) as session:
            for query, meant in asked.items():
                expected = rank(TABLES["pages"], meant, statistics)[:20]
                found = ask(session, "pages", query, 20, {"raw": True})
                assert [key for key, _ in found] == [key for key, _ in expected], query
                scores = [score for _, score in expected]
                assert [score for _, score in found] == pytest.approx(scores, abs=1e-4)
            session.execute(
                "INSERT INTO pages (book_id, position, text)"
                " VALUES (0, 90, 'w251 w252 x'), (0, 91, 'w251 x'), (0, 92, 'w3 w5 x'), (0, 93, 'w3 w252 x')"
            )
            rows = ask(session, "pages", "w3 w5 x", 100, {"match": "all"})
            assert {key for key, _ in rows} == {(0, 90), (0, 92)}
            most = {key for key, _ in ask(session, "pages", "w3 w5", 900, {"match": "most"})}
            assert ((0, 90) in most, (0, 91) in most) == (True, False)
            rows = ask(session, "pages", '"w3 w5"', 100)
            assert (0, 92) in {key for key, _ in rows}
            assert (0, 90) not in {key for key, _ in rows}


def test_synonyms_are_marked_and_change_with_their_file(library: Project, query: Query) -> None:
    query("UPDATE pages SET text = 'some newword' WHERE (book_id, position) = (1, 0)")
    search = library.search
    assert not search.query(Request("w240", ["pages"], match="all"), user_id=OWNER[1]).results
    before = search.status()
    (library.path.parent / "synonyms.txt").write_text("w240, newword")
    library.load(None, confirm=confirm)
    assert search.status() == before
    found = search.query(Request("w240", ["pages"], 100), role="admin").results
    assert [hit.snippet for hit in found if hit.id == (1, 0)] == ["some <b>newword</b>"]


def test_files_of_the_manifest_lie_beside_it(library: Project) -> None:
    """For `schema apply` as for `load`, whatever folder the shell is in."""
    for opening in (open_loaded, open_target):
        with opening(library.workspace) as (_, tables):
            assert tables is not None
            assert tables.home == library.path.parent


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a, b\n\nalone\n", 3, "'alone' has no synonym"),
        ("a => b => c", 1, "two arrows"),
        ("a, , c", 1, "'' has no word"),
        ("a =>", 1, "'' has no word"),
        ("# fine\n?!, b", 2, "'?!' has no word"),
        ("[frr]\na, b", 1, "no table is searched in 'frr'"),
        (f"a, {'b' * 201}", 1, "is no word or two"),
        ("a, b\0", 1, "is no word or two"),
    ],
)
def test_a_bad_line_of_synonyms_is_an_error(
    template: Template, tmp_path: Path, text: str, line: int, message: str
) -> None:
    (tmp_path / "synonyms.txt").write_text(text)
    manifest = load_manifest(template.folder / "assise.yaml")
    with pytest.raises(UsageError) as caught:
        read_synonyms(manifest, tmp_path)
    assert caught.value.message.startswith(f"{tmp_path}/synonyms.txt:{line}: ")
    assert message in caught.value.message
    assert caught.value.remedy


def test_a_file_of_synonyms_that_cannot_be_read_is_an_error(
    template: Template, tmp_path: Path
) -> None:
    manifest = load_manifest(template.folder / "assise.yaml")
    for content in (None, b"\xff\xfe", b"a, b\n" * 300_000):
        if content is not None:
            (tmp_path / "synonyms.txt").write_bytes(content)
        with pytest.raises(UsageError, match=r"synonyms\.txt (cannot be read|has over)"):
            read_synonyms(manifest, tmp_path)


def test_a_moment_raises_rows(template: Template) -> None:
    ages = {key: 15 * n for n, key in enumerate(sorted(TABLES["signs"]))}
    statistics = Statistics.count(TABLES["signs"].values())
    factors = {key: 1 + 0.5 ** (days / 30) for key, days in ages.items()}
    factors |= {("s50",): 1, ("s51",): 2}
    for plan in ("rows", "blocks"):
        with sign_in(template.conninfo, role="admin", plan=plan) as session:
            for (key,), days in ages.items():
                session.execute(
                    "UPDATE signs SET seen_at = date_trunc('hour', now()) - %s * interval '1 day' WHERE id = %s",
                    [days, key],
                )
            session.execute("UPDATE signs SET seen_at = '-infinity' WHERE id = 's50'")
            session.execute("UPDATE signs SET seen_at = 'infinity' WHERE id = 's51'")
            for query in draw_queries(10, seed=6):
                plain = rank(TABLES["signs"], query, statistics)
                raised = [(key, score * factors[key]) for key, score in plain]
                expected = sorted(raised, key=lambda hit: (-round(hit[1], 5), hit[0]))
                whole = ask(session, "signs", query, 100, {"raw": True})
                assert [key for key, _ in whole] == [key for key, _ in expected]
                scores = [score for _, score in expected]
                assert [score for _, score in whole] == pytest.approx(scores, abs=2e-4)


def test_what_a_moment_raises_is_paged_and_marked(library: Project, query: Query) -> None:
    query("UPDATE signs SET seen_at = now() - interval '9 days' WHERE id < 's3'")
    whole = library.search.query(Request("w0 w1", ["signs"], 100), user_id=1)
    assert whole.inexact
    assert not library.search.query(Request("w0", ["books"]), user_id=1).inexact
    found: list[object] = []
    cursor = None
    while page := library.search.query(
        Request("w0 w1", ["signs"], 7, cursor=cursor), user_id=1
    ).results:
        found += [hit.id for hit in page]
        cursor = page[-1].next
    assert found == [hit.id for hit in whole.results]
    assert len(found) == whole.total
    (signs,) = library.search.explain(Request("w0", ["signs"]), user_id=1)
    assert signs.inexact


def test_a_moment_raises_the_thousand_best_of_many_rows(
    library: Project, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of few rows that a user sees all are raised; in blocks, as the page says, the best thousand."""
    monkeypatch.setattr(searched, "BLOCK", 1_024)
    days = {(f"t{n:04}",): 0 if n % 3 else n for n in range(4_200)}
    # A tsvector counts a word up to 255 times.
    texts = {
        key: " ".join(["many" if n < 1_200 else "few", *(f"y{k % 9}" for k in range(n % 1_200))])
        for n, key in enumerate(days)
    }
    insert = (
        "INSERT INTO signs (id, text, seen_at)"
        " VALUES (%s, %s, date_trunc('hour', now()) - %s * interval '1 day')"
    )
    with psycopg.connect(database) as session:
        values = [(key[0], texts[key], age) for key, age in days.items()]
        session.cursor().executemany(insert, values)
    assert library.load(None, confirm=confirm).exit_code == 0
    library.search.build()
    rows = {**TABLES["signs"], **{key: Counter(text.split()) for key, text in texts.items()}}
    plain = rank(rows, "many", Statistics.count(rows.values()))
    assert len(plain) == 1_200
    bests = []
    for plan, most in {"rows": 1_200, "blocks": 1_000}.items():
        raised = {key: score * (1 + 0.5 ** (days[key] / 30)) for key, score in plain[:most]}
        with sign_in(database, role="admin", plan=plan) as session:
            found = ask(session, "signs", "many", 1_000, {"raw": True})
            assert ask(session, "signs", "many", 10, {"raw": True}) == found[:10]
        expected = sorted(raised.values(), reverse=True)[:1_000]
        assert [score for _, score in found] == pytest.approx(expected, abs=2e-4)
        assert dict(found) == pytest.approx({key: raised[key] for key, _ in found}, abs=2e-4)
        assert found == sorted(found, key=lambda hit: (-hit[1], hit[0]))
        bests.append({key for key, _ in found})
    assert bests[0] - bests[1]
