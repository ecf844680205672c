"""Search without roles, with one login for all, and beside a worker that moves rows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.dumps import confirm
from tests.scenes.databases import Template
from tests.search.library import MANIFEST, write_library

from assise.errors import TargetError
from assise.project import Project
from assise.search.query import Request

Query = Callable[..., list[tuple[Any, ...]]]


def load(project: Project, manifest: str) -> Project:
    """Load the library, and index it."""
    project.path.write_text(manifest)
    project.migrate(write_library(project.path.parent), confirm=confirm)
    project.search.build()
    return project


def test_without_roles_every_row_is_found(project: Project) -> None:
    lines = MANIFEST.replace("roles: {prefix: apptest}\n", "").splitlines(keepends=True)
    plain = "".join(line for line in lines if "access:" not in line and "soft_delete" not in line)
    load(project, plain)
    found = project.search.query(Request("w3 w7", ["books"], 1000))
    assert {hit.metadata["user_id"] for hit in found.results} >= set(range(10))
    assert found.total == len(found.results)


@pytest.fixture
def hosted(project: Project, query: Query, database: str) -> Project:
    """The library on a server with one login, which may make neither roles nor pgvector."""
    query("DROP ROLE IF EXISTS searcher")
    query("CREATE ROLE searcher LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS")
    query(f"GRANT CREATE ON DATABASE {query('SELECT current_database()')[0][0]} TO searcher")
    query("GRANT CREATE ON SCHEMA public TO searcher")
    hosted = Project(project.path, to=make_conninfo(database, user="searcher"))
    manifest = MANIFEST.replace("{prefix: apptest}", "none").replace("    soft_delete: true\n", "")
    return load(hosted, manifest)


def test_one_login_for_all_has_the_rules_of_its_user(hosted: Project) -> None:
    for user in (3, 4):
        found = hosted.search.query(Request("w3 w7 w0", ["books"], 100), user_id=user)
        assert {hit.metadata["user_id"] for hit in found.results} == {user}
        pages = hosted.search.query(Request("w0", ["pages"], 100), user_id=user)
        assert pages.results
    assert hosted.search.query(Request("w3", ["books"])).results == []
    with pytest.raises(TargetError, match="raw scores"):
        hosted.search.query(Request("w3", ["books"], is_raw=True), user_id=3)
    with hosted.session(user_id=3) as session:
        session.execute("INSERT INTO books (id, user_id, title) VALUES (1000, 3, 'newword')")
        assert session.fetch_value("SELECT id FROM search_books('newword')") == 1000
    assert sum(each.count for each in hosted.search.check()) == 0
    hosted.search.build()
    for user, words in {3: ["newword"], 4: []}.items():
        found = hosted.search.query(Request("nweword", ["books"]), user_id=user)
        assert [hit.id for hit in found.results] == [1000] * len(words)
        assert found.did_you_mean == (words[0] if words else None)
        suggested = hosted.search.suggest("newwo", user_id=user)
        assert [each.text for each in suggested if each.type == "word"] == words


def test_explain_says_the_plan_and_what_words_weigh(template: Template) -> None:
    library = Project(template.folder, to=template.conninfo)
    (books,) = library.search.explain(Request("w7 w0", ["books"]), user_id=3)
    assert (books.plan, books.n, books.fresh) == ("rows", 400, 0)
    assert [word.lexeme for word in books.words] == ["w7", "w0"]
    rare, common = books.words
    assert 0 < rare.df < common.df
    assert rare.idf > common.idf > 0
    (empty,) = library.search.explain(Request("", ["signs"]), user_id=3)
    assert (empty.plan, empty.words) == ("", [])


@pytest.mark.parametrize(
    "text",
    ["", "'", '"', "a & | ! ( ) : * <->", "\0", "😀", "x" * 10_000, "-", "-w1", "*", "%s", "\\"],
)
def test_any_text_is_a_query(template: Template, text: str) -> None:
    library = Project(template.folder, to=template.conninfo)
    assert library.search.query(Request(text)).total == 0


def test_rows_that_change_while_they_are_moved_are_found_as_they_are(
    library: Project, database: str
) -> None:
    """A user writes the same rows again and again while the worker indexes and weighs them."""
    errors = list[BaseException]()

    def write() -> None:
        try:
            with psycopg.connect(database, autocommit=True) as session:
                for n in range(60):
                    session.execute("UPDATE books SET title = %s WHERE id < 30", [f"turn{n}"])
                    session.execute(
                        "INSERT INTO books (id, user_id, title) SELECT 1000 + %s * 20 + i, 1, 'x' FROM generate_series(1, 20) AS i",
                        [n],
                    )
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        library.search.build()
    writer.join()
    assert errors == []
    library.search.build()
    assert sum(each.count for each in library.search.check()) == 0
    found = library.search.query(Request("turn59", ["books"], 100), role="admin")
    assert sorted(int(str(hit.id)) for hit in found.results) == [*range(30)]
    gone = library.search.query(Request("turn30", ["books"]), role="admin")
    assert gone.results == []
