"""What builds an index: killed anywhere it goes on, tells how far it is, and refuses mistakes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from time import sleep
from typing import Any

import psycopg
import pytest
from tests.dumps import confirm
from tests.scenes.databases import Template
from tests.search.asking import ask, sign_in
from tests.search.library import MANIFEST

from assise.errors import TargetError, UsageError
from assise.progress import Progress
from assise.project import Project
from assise.search import build
from assise.search.build import Generation
from assise.search.query import Request
from assise.search.verbs import Drift

Query = Callable[..., list[tuple[Any, ...]]]
KILLED = """import os, signal, sys
from assise.project import Project
from assise.schema.search import searched
from assise.search import build
from assise.search.build import Generation
searched.BLOCK, build.SMALL, build.UNSEALED, build.LEARNED = 64, 0, 20, 500
left = int(sys.argv[3])
def tell(step):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
Project(sys.argv[1], to=sys.argv[2], progress=tell).search.build(["books"])
"""


def test_a_build_that_is_killed_anywhere_goes_on(
    library: Project, database: str, query: Query
) -> None:
    query(
        "INSERT INTO books (id, user_id, title, text) SELECT n, 1, 'newword', 'w' || n"
        " FROM generate_series(1000, 3400) AS n"
    )
    for calls in (2, 6, 17):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(library.path), database, str(calls)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
        with sign_in(database, 1) as session:
            found = [key[0] for key, _ in ask(session, "books", "newword", 5_000)]
        assert len(found) == len(set(found))
    library.search.build()
    assert library.search.check()[0] == Drift("books", 0, 0, 0)
    books = library.search.status()[0]
    assert (books.counted, books.sealed, books.pending, books.fresh) == (2801, 2801, 0, 0)
    for plan in ("rows", "blocks"):
        with sign_in(database, 1, plan=plan) as session:
            assert len(ask(session, "books", "newword", 5_000)) == 2401
    assert {each.text for each in library.search.suggest("neww", user_id=1)} == {"newword"}


def test_a_build_tells_how_far_it_is(template: Template, query: Query) -> None:
    del query
    told: list[Progress] = []
    library = Project(template.folder, to=template.conninfo, progress=told.append)
    library.search.build(["signs"])
    assert {(each.step, each.collection, each.noun) for each in told} >= {
        ("indexed", "signs", "row")
    }


def test_a_table_that_is_not_searched_cannot_be_built(template: Template) -> None:
    library = Project(template.folder, to=template.conninfo)
    with pytest.raises(UsageError) as caught:
        library.search.build(["bocks"])
    assert caught.value.message == "table 'bocks' is not searched"
    assert "books" in caught.value.remedy


def test_a_language_that_nobody_knows_is_refused(library: Project) -> None:
    before = library.search.status()
    library.path.write_text(
        MANIFEST.replace("notes], language: simple", "notes], language: englishh")
    )
    with pytest.raises(UsageError) as caught:
        library.load(None, confirm=confirm)
    assert "books.search.language: englishh is neither" in caught.value.message
    assert "pg_ts_config" in caught.value.remedy
    library.path.write_text(MANIFEST)
    library.load(None, confirm=confirm)
    assert library.search.status() == before


def test_statistics_are_counted_again_when_rows_become_longer_by_a_tenth(
    library: Project, query: Query
) -> None:
    text = "UPDATE books SET text = text || repeat(' w1', {}) WHERE id < 50"
    query(text.format(10))
    library.search.build()
    assert library.search.status()[0].generation == 1
    query(text.format(60))
    library.search.build()
    assert library.search.status()[0].generation == 2


@pytest.mark.parametrize(
    ("rows", "average", "is_outdated"),
    [
        (199, 10.0, False),
        (200, 10.0, True),
        (100, 10.9, False),
        (100, 11.1, True),
        (100, 8.9, True),
    ],
)
def test_statistics_are_outdated_at_twice_the_rows_or_a_tenth_of_their_length(
    rows: int, average: float, is_outdated: bool
) -> None:
    counted = {"generation": 1, "is_active": True, "n": 100, "average": 10.0, "is_filled": True}
    reached = {"sealed": 0, "learned": 0, "numbered": rows, "waiting": 0}
    found = Generation(**counted, **reached, weighed=rows, length=rows * average)  # type: ignore[arg-type]
    assert found.is_outdated is is_outdated


def test_a_document_over_the_limit_of_a_tsvector_is_found_whole(template: Template) -> None:
    # 1.9 MB: to_tsvector alone refuses it.
    words = " ".join(f"enormousword{n:07}" for n in range(100_000))
    with sign_in(template.conninfo, 1) as session:
        session.execute("INSERT INTO books (id, user_id, text) VALUES (1000, 1, %s)", [words])
        for n in (0, 49_999, 99_999):
            assert [key for key, _ in ask(session, "books", f"enormousword{n:07}")] == [(1000,)]


@pytest.mark.parametrize("plan", ["rows", "blocks"])
def test_a_word_of_a_field_is_one_of_this_field(template: Template, plan: str) -> None:
    with sign_in(template.conninfo, role="admin", plan=plan) as session:
        everywhere = {key for key, _ in ask(session, "books", "w3", 500)}
        titles = {key for key, _ in ask(session, "books", "title:w3", 500)}
        without = {key for key, _ in ask(session, "books", "w3 -title:w3", 500)}
        expected = session.execute(
            "SELECT id FROM books WHERE title ~ '\\mw3\\M' AND deleted_at IS NULL"
        ).fetchall()
    assert titles == set(expected)
    assert titles
    assert without == everywhere - titles


def test_rows_that_no_build_has_reached_are_told(library: Project, query: Query) -> None:
    library.path.write_text(MANIFEST.replace("notes], language: simple", "notes], language: en"))
    library.load(None, confirm=confirm)
    query("INSERT INTO books (id, user_id, title) VALUES (1000, 1, 'newword')")
    books, pages, _ = library.search.status()
    assert (books.rows, books.pending, books.fresh) == (401, 400, 1)
    assert (pages.rows, pages.pending) == (399, 399)
    assert library.search.build(["books"]) == {"books": 400}
    assert library.search.status()[0].pending == 0


def test_search_that_load_has_not_made_is_told_with_its_remedy(library: Project) -> None:
    library.path.write_text(
        MANIFEST.replace("access: {owner: id}", "access: {owner: id}\n    search: {title: name}")
    )
    for verb in (library.search.status, library.search.build, library.search.check):
        with pytest.raises(UsageError, match="'users' is searched by the manifest") as caught:
            verb()
        assert "Run `assise load`" in caught.value.remedy
    with pytest.raises(TargetError) as refused:
        library.search.query(Request("user", ["users"]), role="admin")
    assert "'users' is not searched" in refused.value.message
    assert "`assise load`" in refused.value.remedy


def test_an_index_of_an_older_program_is_told_with_its_remedy(
    library: Project, query: Query
) -> None:
    query(
        "DROP TABLE _search_owned_books;"
        "DELETE FROM assise.search_object WHERE name = '_search_owned_books'"
    )
    for verb in (library.search.status, library.search.build, library.search.check):
        with pytest.raises(
            UsageError, match="not whole: there is no _search_owned_books"
        ) as caught:
            verb()
        assert "Run `assise load`" in caught.value.remedy
    library.load(None, confirm=confirm)
    library.search.build()
    books = library.search.status()[0]
    assert (books.counted, books.sealed) == (400, 400)
    assert query("SELECT count(*) > 0 FROM _search_owned_books") == [(True,)]


def test_rows_that_are_public_no_longer_are_found_by_their_owners(
    library: Project, database: str, query: Query
) -> None:
    public = "primary_key: id\n    access: {owner: user_id, public: read}"
    library.path.write_text(
        MANIFEST.replace("primary_key: id\n    access: {owner: user_id}", public)
    )
    library.load(None, confirm=confirm)
    query(
        "INSERT INTO books (id, user_id, title) SELECT n, 1, 'newword'"
        " FROM generate_series(1000, 1099) AS n"
    )
    library.search.build()
    library.path.write_text(MANIFEST)
    library.load(None, confirm=confirm)
    for _ in range(2):
        for plan in ("rows", "blocks"):
            with sign_in(database, 1, plan=plan) as session:
                assert len(ask(session, "books", "newword", 500)) == 100
        library.search.build()


def test_a_new_generation_waits_for_rows_that_somebody_changes(
    library: Project, database: str, query: Query
) -> None:
    # More rows than a batch: the others behind them would be left too.
    for first in (1000, 1900, 2800):
        query(
            "INSERT INTO books (id, user_id, title) SELECT n, 1, 'newword'"
            f" FROM generate_series({first}, {first + 899}) AS n"
        )
    library.search.build()
    query("UPDATE _search_state SET average = 2 * average WHERE name = 'books'")
    before = library.search.status()[0].generation
    with psycopg.connect(database) as writer:
        writer.execute("UPDATE books SET title = 'other' WHERE id < 2800")
        built = threading.Thread(target=library.search.build, args=[["books"]])
        built.start()
        built.join(3)
        with sign_in(database, 1) as session:
            assert len(ask(session, "books", "newword", 5_000)) == 2700
        writer.rollback()
        built.join()
    with sign_in(database, 1) as session:
        assert len(ask(session, "books", "newword", 5_000)) == 2700
    assert library.search.check()[0] == Drift("books", 0, 0, 0)
    library.search.build()
    assert library.search.status()[0].generation == before + 1
    assert library.search.check()[0] == Drift("books", 0, 0, 0)


def test_no_batch_of_long_rows_is_long(library: Project, database: str, query: Query) -> None:
    query(
        "INSERT INTO books (id, user_id, text) SELECT n, 1, repeat('y ', 300000)"
        " FROM generate_series(1000, 1004) AS n"
    )
    query("DELETE FROM _search_fresh_books")
    query("INSERT INTO _search_pending_books SELECT id FROM books WHERE id >= 1000")
    told: list[Progress] = []
    project = Project(library.path, to=database, progress=told.append)
    project.search.build(["books"])
    assert [each.documents for each in told if each.step == "indexed"] == [0, 2, 4, 5, 5]
    assert project.search.check()[0] == Drift("books", 0, 0, 0)


@pytest.fixture
def widened(library: Project, query: Query) -> Project:
    """The library with 1,000 rows of 100 words, 100 short rows behind them, and no autovacuum."""
    query("ALTER TABLE _search_fresh_books SET (autovacuum_enabled = off)")
    query(
        "INSERT INTO books (id, user_id, title, text) SELECT n, 1, 'w' || n, CASE WHEN n < 2000 THEN"
        " (SELECT string_agg('newword' || i, ' ') FROM generate_series(1, 100) AS i) END"
        " FROM generate_series(1000, 2099) AS n"
    )
    return library


def test_a_large_build_leaves_no_room_of_fresh_rows(
    widened: Project, database: str, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "LEARNED", 1_000)
    vacuumed: list[Progress] = []

    def vacuum(step: Progress) -> None:
        # As autovacuum does: so few dead rows are left to the last VACUUM that it lets them be.
        if (step.step, step.documents) == ("weighed", 1_000) and not vacuumed:
            vacuumed.append(step)
            query("VACUUM (INDEX_CLEANUP ON, TRUNCATE OFF) _search_fresh_books")
            assert query("SELECT pg_relation_size('_search_fresh_books') / 8192 > 150")[0][0]

    project = Project(widened.path, to=database, progress=vacuum)
    assert project.search.build(["books"]) == {"books": 1_100}
    assert vacuumed
    assert query("SELECT pg_relation_size('_search_fresh_books')") == [(0,)]


def test_a_search_does_not_read_the_room_of_rows_that_were_fresh(
    widened: Project, database: str, query: Query
) -> None:
    widened.search.build(["books"])
    query("INSERT INTO books (id, user_id, title) VALUES (9000, 1, 'newword1')")
    query("VACUUM (ANALYZE, INDEX_CLEANUP ON, TRUNCATE OFF) _search_fresh_books")
    (pages,) = query("SELECT pg_relation_size('_search_fresh_books') / 8192")[0]
    assert pages > 150
    read = "SELECT heap_blks_read + heap_blks_hit FROM pg_statio_all_tables WHERE relname = '_search_fresh_books'"
    before, found = query(read), None
    # A session that has ended counts what it read a moment later.
    while before != found:
        sleep(0.3)
        before, found = query(read), before
    with sign_in(database, 1, plan="blocks") as session:
        assert (9000,) in [key for key, _ in ask(session, "books", "newword1", 5_000)]
        assert ask(session, "books", "newwor*")
        session.execute("SELECT pg_stat_force_next_flush()")
    assert query(read)[0][0] - before[0][0] < pages // 10


def test_words_that_stand_in_many_arrays_are_merged(
    library: Project, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (
        "SELECT owner, word, max(spelling), sum(n), min(first), max(last) FROM _search_vocabulary_books"
        " CROSS JOIN unnest(words, spellings, counts, firsts, lasts) AS u (word, spelling, n, first, last)"
        " GROUP BY 1, 2 ORDER BY 1, 2"
    )
    before = query(words)
    query(
        "DELETE FROM _search_vocabulary_books; UPDATE _search_state SET learned = 0 WHERE name = 'books'"
    )
    monkeypatch.setattr(build, "LEARNED", 20)
    monkeypatch.setattr(build, "MERGED", 0)
    library.search.build()
    assert query(words) == before
    parts = (
        "SELECT count(*) FROM _search_vocabulary_books WHERE owner <> '' GROUP BY owner, initial"
    )
    assert max(count for (count,) in query(parts)) <= 7
