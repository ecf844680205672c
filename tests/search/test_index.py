"""The index follows the rows: in the same transaction, or when the worker comes to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from psycopg.errors import InsufficientPrivilege
from psycopg.types.json import Jsonb
from tests.dumps import confirm
from tests.scenes.databases import Template
from tests.search.asking import Session, ask, sign_in

from assise.errors import TargetError
from assise.project import Project
from assise.search import query as query_module
from assise.search.query import Request
from assise.search.verbs import Drift

Query = Callable[..., list[tuple[Any, ...]]]
INSERT = """INSERT INTO books (id, user_id, title, text)
    SELECT n, 1, 'newword', 'w' || n FROM generate_series(%s::int, %s::int) AS n"""


def find(database: str, text: str, user: object = 1, table: str = "books") -> list[int]:
    with sign_in(database, user) as session:
        return sorted(int(str(key[0])) for key, _ in ask(session, table, text, 100))


def status(project: Project) -> tuple[int, int]:
    books = project.search.status()[0]
    return books.pending, books.fresh


def test_a_new_row_is_found_in_its_own_transaction(library: Project, database: str) -> None:
    with sign_in(database, 1) as session:
        session.execute(INSERT, [1000, 1002])
        assert len(ask(session, "books", "newword")) == 3
    assert find(database, "newword") == []
    assert status(library) == (0, 0)


def test_a_large_statement_is_left_to_the_worker(
    library: Project, database: str, query: Query
) -> None:
    query(INSERT, (1000, 1999))
    assert status(library) == (0, 1000)
    query(INSERT, (2000, 3000))
    assert status(library) == (1001, 1000)
    with sign_in(database, 1) as session:
        assert len(ask(session, "books", "newword", 5000)) == 1000
        assert ask(session, "books", "w2500") == []
    assert library.search.build()["books"] == 1001
    assert status(library) == (0, 0)
    assert find(database, "w2500") == [2500]
    query("UPDATE books SET title = 'otherword' WHERE id BETWEEN 1000 AND 2000")
    assert status(library) == (1001, 0)
    assert find(database, "newword") == [*range(2001, 2101)]
    assert find(database, "otherword") == []
    query("UPDATE books SET title = 'otherword' WHERE id BETWEEN 2001 AND 3000")
    assert status(library) == (1001, 1000)
    assert find(database, "newword") == []
    assert find(database, "otherword") == [*range(2001, 2101)]


def test_what_changes_is_found_no_longer_in_the_same_transaction(
    library: Project, database: str
) -> None:
    with sign_in(database, role="admin") as session:
        session.execute(INSERT, [1000, 1009])
        session.execute("UPDATE books SET title = 'other' WHERE id = 1000")
        session.execute("DELETE FROM books WHERE id = 1001")
        session.execute("UPDATE books SET user_id = 2 WHERE id = 1002")
        session.execute("UPDATE books SET id = 1100 WHERE id = 1003")
        session.execute("UPDATE books SET size = 3 WHERE id = 1004")
        session.execute("SELECT books_delete(1005)")
        session.execute("SELECT set_config('app.user_id', '1', true)")
        session.execute("SET LOCAL ROLE apptest_admin")
        keys = sorted(key for key, _ in ask(session, "books", "newword", 100))
        assert keys == [(n,) for n in (1002, 1004, 1006, 1007, 1008, 1009, 1100)]
        assert [key for key, _ in ask(session, "books", "other")] == [(1000,)]
        session.execute("SELECT books_restore(1005)")
        assert len(ask(session, "books", "newword", 100)) == 8
        session.execute("UPDATE books SET title = 'gone'")
        assert ask(session, "books", "newword") == []
        session.commit()
    with sign_in(database, 2) as session:
        assert (1002,) in [key for key, _ in ask(session, "books", "gone", 100)]
    assert library.search.check() == [Drift(each, 0, 0, 0) for each in ("books", "pages", "signs")]


def test_a_sealed_row_that_changes_goes_too(template: Template) -> None:
    with sign_in(template.conninfo, role="admin", plan="blocks") as session:
        before = ask(session, "books", "w0", 500)
        session.execute("UPDATE books SET title = '', text = 'x', notes = '' WHERE id < 200")
        after = ask(session, "books", "w0", 500)
        assert {key for key, _ in before if key >= (200,)} == {key for key, _ in after}
        session.execute("DELETE FROM books WHERE id < 300")
        pages = [key for key, _ in ask(session, "pages", "w0", 500)]
        assert pages
        assert min(pages) >= (300, 0)


def test_truncate_empties_the_index(library: Project, query: Query) -> None:
    query("TRUNCATE signs")
    assert library.search.check()[2] == Drift("signs", 0, 0, 0)


def test_drift_is_told_and_repaired(library: Project, database: str, query: Query) -> None:
    query(
        "SET session_replication_role = replica; UPDATE books SET title = 'fresh' WHERE id = 1;"
        "DELETE FROM books WHERE id = 2; INSERT INTO books (id, user_id, title) VALUES (1000, 1, 'fresh')"
    )
    assert library.search.check()[0] == Drift("books", 1, 1, 1)
    assert library.search.check(repair=True)[0] == Drift("books", 1, 1, 1)
    assert library.search.check()[0] == Drift("books", 0, 0, 0)
    with sign_in(database, role="admin") as session:
        assert sorted(key for key, _ in ask(session, "books", "fresh")) == [(1,), (1000,)]


def test_an_owner_that_changed_unseen_is_drift(
    library: Project, database: str, query: Query
) -> None:
    moved = query("SELECT count(*) FROM books WHERE user_id = 2")[0][0]
    query("SET session_replication_role = replica; UPDATE books SET user_id = 1 WHERE user_id = 2")
    assert library.search.check()[0] == Drift("books", 0, 0, moved)
    library.search.check(repair=True)
    assert library.search.check()[0] == Drift("books", 0, 0, 0)
    found = []
    for plan in ("rows", "blocks"):
        with sign_in(database, 1, plan=plan) as session:
            found.append({key for key, _ in ask(session, "books", "w0 w1 w2 w3", 500)})
    assert len(found[0]) > moved
    assert found[0] == found[1]


def test_statistics_are_counted_again_when_rows_double(
    library: Project, database: str, query: Query
) -> None:
    query(INSERT, (1000, 1399))
    library.search.build()
    books = library.search.status()[0]
    assert (books.generation, books.counted, books.sealed) == (2, 800, 800)
    for kind in ("rows", "terms", "blocks", "owned", "vocabulary"):
        left = query(f"SELECT DISTINCT generation FROM _search_{kind}_books")
        assert left == [(2,)], kind
    query(INSERT, (1400, 1410))
    library.search.build()
    assert library.search.status()[0].generation == 2
    with sign_in(database, role="admin", plan="blocks") as session:
        assert len(ask(session, "books", "newword", 1000)) == 411


def test_a_row_of_a_block_that_changes_its_owner_is_found_by_the_new_one_alone(
    library: Project, database: str, query: Query
) -> None:
    query("UPDATE books SET text = 'changinghands' WHERE user_id = 1")
    library.search.build()
    keys = {plan: _find_in(database, 1, plan) for plan in ("rows", "blocks")}
    assert keys["blocks"] == keys["rows"] != []
    assert _find_in(database, 2, "blocks") == []
    query("UPDATE books SET user_id = 2 WHERE text = 'changinghands'")
    for _ in range(2):
        assert _find_in(database, 1, "blocks") == []
        assert _find_in(database, 2, "blocks") == keys["rows"]
        library.search.build()


def test_blocks_are_read_by_the_rows_of_their_owner(
    library: Project, database: str, query: Query
) -> None:
    query("UPDATE books SET text = 'ofoneowner' WHERE user_id = 1")
    library.search.build()
    assert len(_find_in(database, 1, "blocks", "ofoneowner")) > 1
    query("DELETE FROM _search_owned_books WHERE owner = '0=1'")
    assert _find_in(database, 1, "blocks", "ofoneowner") == []
    assert len(_find_in(database, 1, "rows", "ofoneowner")) > 1


def test_after_another_rule_blocks_are_sealed_again(
    library: Project, database: str, query: Query
) -> None:
    owned = "SELECT count(*) FROM _search_owned_books"
    query("COMMENT ON TABLE _search_owned_books IS NULL")
    query(
        "UPDATE assise.search_object SET create_sql = create_sql || ' '"
        " WHERE name = '_search_owned_books'"
    )
    (before,) = query(owned)[0]
    library.load(None, confirm=confirm)
    assert query(owned) == [(0,)]
    assert library.search.status()[0].sealed == 0
    found = _find_in(database, 1, "blocks", "w3")
    library.search.build()
    assert query(owned) == [(before,)]
    assert _find_in(database, 1, "blocks", "w3") == found != []


def test_rows_that_are_in_no_block_yet_are_found(
    library: Project, database: str, query: Query
) -> None:
    query(INSERT, (1000, 1004))
    library.work(is_once=True)
    books = library.search.status()[0]
    assert (books.fresh, books.sealed) == (0, 400)
    for plan in ("rows", "blocks"):
        assert _find_in(database, 1, plan, "newword") == [*range(1000, 1005)]
        assert _find_in(database, 2, plan, "newword") == []


def _find_in(database: str, user: int, plan: str, text: str = "changinghands") -> list[int]:
    with sign_in(database, user, plan=plan) as session:
        return sorted(int(str(key[0])) for key, _ in ask(session, "books", text, 1000))


def test_no_hit_has_a_score_of_zero(template: Template) -> None:
    with sign_in(template.conninfo, 1) as session:
        session.execute(
            "INSERT INTO books (id, user_id, title, text) VALUES (1000, 1, %s, '')",
            ["rareword " * 9],
        )
        words = " ".join(["rareword"] * 10)
        scores = [score for _, score in ask(session, "books", f"{words} w1", 100)]
    assert scores[0] == 1
    assert len(scores) > 1
    assert 0.01 <= scores[-1] < 0.1


def test_a_long_document_is_found_by_its_end(template: Template) -> None:
    words = " ".join(f"long{n}" for n in range(40_000))
    with sign_in(template.conninfo, 1) as session:
        session.execute(
            "INSERT INTO books (id, user_id, title, text) VALUES (1000, 1, 'title', %s)", [words]
        )
        for text in ("long0", "long20000", "long39999", "title"):
            assert [key for key, _ in ask(session, "books", text)] == [(1000,)]
        session.execute("DELETE FROM books WHERE id = 1000")
        assert ask(session, "books", "long39999") == []


def test_a_long_document_has_the_score_of_its_best_part(template: Template) -> None:
    # As often as in every part of the long one, so that the sum of these would be several times it.
    texts = [
        " ".join("often" if n % 500 == 0 else f"long{n}" for n in range(count))
        for count in (60_000, 10_000)
    ]
    with sign_in(template.conninfo, role="admin") as session:
        for n, text in enumerate(texts):
            session.execute(
                "INSERT INTO books (id, user_id, title, text) VALUES (%s, 1, '', %s)",
                [1000 + n, text],
            )
        found = dict(ask(session, "books", "often", 10, {"raw": True}))
    assert found.keys() == {(1000,), (1001,)}
    assert found[(1000,)] == pytest.approx(found[(1001,)], rel=0.2)


def test_pages_are_disjoint_and_complete(template: Template) -> None:
    for plan in ("rows", "blocks"):
        with sign_in(template.conninfo, role="admin", plan=plan) as session:
            whole = _page(session, "w3 w7", 1000, None)
            found, cursor = list[tuple[Any, ...]](), None
            while page := _page(session, "w3 w7", 60, cursor):
                found += page
                cursor = page[-1][-1]
            assert [row[:-1] for row in found] == [row[:-1] for row in whole]
            assert len(whole) > 100


def _page(session: Session, text: str, limit: int, cursor: object) -> list[tuple[Any, ...]]:
    statement = "SELECT * FROM search(%s, NULL, %s, '{}', %s)"
    return [row[1:] for row in session.execute(statement, [text, limit, cursor]).fetchall()]


@pytest.mark.parametrize(
    ("options", "words"), [("{}", 1), ('{"match": "all"}', 3), ('{"match": "most"}', 2)]
)
def test_match_says_how_much_of_the_query_a_hit_has(
    template: Template, options: str, words: int
) -> None:
    with sign_in(template.conninfo, 1) as session:
        for n, text in enumerate(("aa", "aa bb", "aa bb cc")):
            session.execute(
                "INSERT INTO books (id, user_id, title) VALUES (%s, 1, %s)", [1000 + n, text]
            )
        found = session.execute(
            "SELECT id FROM search_books('aa bb cc', options => %s)", [options]
        ).fetchall()
    assert sorted(found) == [(n,) for n in range(999 + words, 1003)]


def test_totals_and_facets_are_of_all_hits(template: Template) -> None:
    library = Project(template.folder, to=template.conninfo)
    request = Request("w3 w7", ["books"], 5, facets=["size"], filters={"size": {"lt": 3}})
    found = library.search.query(request, role="admin")
    whole = library.search.query(replace(request, limit=1000), role="admin")
    assert len(found.results) == 5
    assert found.total == len(whole.results) > 50
    sizes = Counter(str(hit.metadata["size"]) for hit in whole.results)
    assert found.facets == {"size": sizes}
    assert sizes.keys() == {"0", "1", "2"}


def test_more_hits_than_are_counted_are_an_estimate(
    template: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Project(template.folder, to=template.conninfo)
    request = Request("w0", ["books"], 5, facets=["size"])
    whole = library.search.query(request, role="admin")
    assert not whole.estimated
    total = whole.total or 0
    for most in (total, total - 1):
        monkeypatch.setattr(query_module, "EXACT", most)
        found = library.search.query(request, role="admin")
        assert (found.total, found.estimated) == (most, most < total)
        assert sum(found.facets["size"].values()) == most
        ordered = replace(request, limit=1_000, sort=["id"])
        found = library.search.query(ordered, role="admin")
        assert len(found.results) == found.total == most


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"id": [3, 5]}, {3, 5}),
        ({"id": {"gte": 2, "lt": 4}}, {2, 3}),
        ({"title": None}, set()),
        ({"id": {"in": [1, 2]}, "size": {"ne": 1}}, {2}),
        ({"id": {"lt": 4}, "tags": {"has": "t1"}}, {1}),
    ],
)
def test_filters_are_conditions_on_columns(
    template: Template, filters: dict[str, object], expected: set[int]
) -> None:
    with sign_in(template.conninfo, role="admin") as session:
        session.execute("UPDATE books SET notes = 'here' WHERE id < 10")
        statement = "SELECT id FROM search_books('here', 1000, %s)"
        found = session.execute(statement, [Jsonb(filters)]).fetchall()
    assert {key for (key,) in found} == expected


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"filters": {"nothing": 1}}, "no column 'nothing'"),
        ({"filters": {"size": {"like": 1}}}, "like"),
        ({"filters": {"size": "x'; DROP TABLE books; --"}}, "invalid input syntax"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": '["books", [[99999]]]'}, "gone"),
        ({"is_raw": True}, "raw scores"),
    ],
)
def test_what_cannot_be_used_is_a_clear_error(
    template: Template, more: dict[str, Any], says: str
) -> None:
    library = Project(template.folder, to=template.conninfo)
    with pytest.raises(TargetError, match=says):
        library.search.query(replace(Request("w1", ["books"]), **more), user_id=1)


def test_undo_takes_all_of_it(library: Project, query: Query) -> None:
    assert library.undo(confirm=lambda _question: True).is_done
    left = """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT cfgname FROM pg_ts_config WHERE cfgnamespace = 'public'::regnamespace
        UNION ALL SELECT nspname FROM pg_namespace WHERE nspname = 'assise'
        UNION ALL SELECT extname FROM pg_extension WHERE extname IN ('vector', 'unaccent')"""
    assert query(left) == []


def test_it_works_without_schema_assise(library: Project, database: str, query: Query) -> None:
    del library
    query("DROP SCHEMA assise CASCADE")
    with sign_in(database, 1) as session:
        session.execute(INSERT, [1000, 1000])
        assert [key for key, _ in ask(session, "books", "newword")] == [(1000,)]
        found = session.execute(
            "SELECT b.title, s.score FROM search_books('newword') AS s JOIN books AS b USING (id)"
        ).fetchall()
    assert found == [("newword", 1.0)]


@pytest.mark.parametrize("role", ["readonly", "auth"])
def test_others_may_not_call_it(template: Template, role: str) -> None:
    with sign_in(template.conninfo, role=role) as session, pytest.raises(InsufficientPrivilege):
        session.execute("SELECT * FROM search('w1')")


def test_nobody_reads_the_index_or_ranks_past_the_rules(template: Template) -> None:
    assert Project(template.folder, to=template.conninfo).access.check() == []
    for statement in (
        "SELECT * FROM _search_rows_books",
        "SELECT * FROM _search_words",
        "SELECT * FROM _search_rank_books('{}', 1, '{}', '{}', NULL)",
        "SELECT * FROM search_books('w1', 5, '{}', NULL, '{\"raw\": true}')",
    ):
        with sign_in(template.conninfo, 1) as session, pytest.raises(InsufficientPrivilege):
            session.execute(statement)


def test_the_worker_keeps_up(library: Project, database: str, query: Query) -> None:
    query(INSERT, (1000, 2500))
    assert status(library) == (1501, 0)
    assert ("index books", "1,501 rows indexed") in library.work(is_once=True).done
    assert find(database, "w2500") == [2500]
    assert library.search.status()[0].sealed > 1900
