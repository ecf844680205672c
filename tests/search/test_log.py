"""The log of searches: what it keeps, for how long, and what it tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.errors import InsufficientPrivilege
from tests.dumps import confirm
from tests.scenes.databases import Databases, Template
from tests.search.asking import sign_in

from assise.app import App
from assise.errors import ManifestError, UsageError
from assise.project import Project
from assise.search.jobs import list_jobs
from assise.search.log import Asked
from assise.search.query import Answer, Request
from assise.search.rankings import judge_by_clicks, open_rankings

Run = Callable[..., list[tuple[Any, ...]]]
LOGGED = "name: app\nsearch_log: {keep: 30 days}\n"


@pytest.fixture(scope="module")
def kept(
    template: Template, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """The library, with its searches kept."""
    conninfo = databases.create(template.database)
    project = template.copy(tmp_path_factory.mktemp("log"), conninfo)
    set_log(project, LOGGED)
    yield project
    databases.drop(conninfo)


def set_log(project: Project, head: str) -> None:
    text = project.path.read_text()
    kept = [line for line in text.splitlines(keepends=True) if not line.startswith("search_log")]
    project.path.write_text("".join(kept).replace("name: app\n", head))
    project.load(None, confirm=confirm)


@pytest.fixture
def run(kept: Project) -> Run:
    """Runs SQL as the owner; the log is empty at first."""

    def execute(statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(str(kept.workspace.to), autocommit=True) as session:
            cursor = session.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    execute("DELETE FROM search_queries")
    return execute


def find(project: Project, text: str, user: int = 3, **options: object) -> Answer:
    request = replace(Request(text), **options)  # type: ignore[arg-type]
    return project.search.query(request, user_id=user)


def click(project: Project, query_id: str | None, key: object, table: str | None = None) -> bool:
    async def go() -> bool:
        to = make_conninfo(str(project.workspace.to), user="apptest_app")
        async with App(project.path, urls={"app": to}) as app:
            return await app.search.clicked(str(query_id), key, type=table)

    return asyncio.run(go())


def test_a_search_is_noted_with_its_hits_and_a_hash_of_its_user(kept: Project, run: Run) -> None:
    found = find(kept, "  w3\n w7 ", types=["books"], limit=2)
    again = find(kept, "w3 w7", types=["books"], limit=2, cursor=found.cursor)
    find(kept, "nothing")
    assert [find(kept, empty).query_id for empty in ("", " \n\0")] == [None, None]
    find(kept, "w3", user=4)
    rows = run(
        "SELECT id::text, q, tables, asked_by, hits, is_next, shown FROM search_queries ORDER BY asked_at"
    )
    assert rows[0][0] == found.query_id
    assert rows[0][1:3] == ("w3 w7", ["books"])
    assert rows[0][4:] == (found.total, False, [["books", [hit.id]] for hit in found.results])
    assert (rows[1][0], rows[1][5]) == (again.query_id, True)
    assert (rows[2][2], rows[2][4]) == (None, 0)
    assert [row[1] for row in rows[2:]] == ["nothing", "w3"]
    hashes = [row[3] for row in rows]
    assert len(set(hashes)) == 2
    assert hashes[0] == hashes[1] == hashes[2]
    assert all(len(each) == 32 for each in hashes)


def test_only_hits_of_a_search_can_be_clicked(kept: Project, run: Run) -> None:
    found = find(kept, "w0 w1", limit=100)
    book = next(hit for hit in found.results if hit.type == "books")
    page = next(hit for hit in found.results if hit.type == "pages")
    assert click(kept, found.query_id, book.id)
    assert click(kept, found.query_id, book.id, table="books")
    assert click(kept, found.query_id, page.id)
    assert not click(kept, found.query_id, book.id, table="signs")
    assert not click(kept, found.query_id, 100_000)
    assert not click(kept, str(uuid4()), book.id)
    clicks = [["books", [book.id]], ["pages", list(page.id)]]  # type: ignore[call-overload]
    assert run("SELECT clicks FROM search_queries") == [(clicks,)]
    with pytest.raises(UsageError, match="no id of a search"):
        click(kept, "7", book.id)


def test_the_report_tells_what_is_slow_empty_trending_and_never_opened(
    kept: Project, run: Run
) -> None:
    insert = """INSERT INTO search_queries (q, asked_at, asked_by, hits, ms, is_next, shown, clicks)
        SELECT %s, now() - %s * interval '1 day', %s, %s, %s, %s, '[]', %s FROM generate_series(1, %s)"""
    for values in (
        ("Slow", 1, "a", 5, 900, False, "[[]]", 1),
        ("slow", 1, "b", 5, 10, True, "[]", 3),
        ("empty", 2, "b", 0, 20, False, "[]", 3),
        ("rising", 1, "a", 5, 30, False, "[[]]", 4),
        ("rising", 9, "a", 5, 30, False, "[[]]", 1),
        ("fading", 1, "a", 7, 30, False, "[]", 1),
        ("fading", 9, "a", 7, 30, False, "[]", 2),
        ("old", 40, "a", 7, 30, False, "[]", 9),
    ):
        run(insert, *values)
    found = kept.search.report(days=7, limit=2)
    assert (found.sums.queries, found.sums.users, found.sums.without_hits) == (9, 2, 3)
    assert (found.sums.with_clicks, found.sums.p50_ms) == (5, 30)
    assert found.slow == [Asked("slow", 4, 900, 5, 0), Asked("fading", 1, 30, 7, 0)]
    assert found.empty == [Asked("empty", 3, 20, 0, 0)]
    assert found.trending == [Asked("empty", 3, 20, 0, 0), Asked("rising", 4, 30, 5, 1)]
    assert found.unclicked == [Asked("fading", 1, 30, 7, 0)]


def test_clicks_are_judgements(kept: Project, run: Run) -> None:
    assert run("SELECT count(*) FROM search_queries") == [(0,)]
    first, second = (find(kept, "w0 w1", types=["books"]) for _ in range(2))
    assert click(kept, first.query_id, first.results[0].id)
    assert click(kept, second.query_id, first.results[0].id)
    assert click(kept, second.query_id, first.results[1].id)
    queries, judgements = judge_by_clicks(kept.search.read_clicks(), ["books"])
    best, next_best = (str(hit.id) for hit in first.results[:2])
    assert queries["w0 w1"] == "w0 w1"
    assert judgements["w0 w1"] == {best: 2, next_best: 1}
    with open_rankings(kept.search, ["books"], user_id=3, methods=["any"]) as methods:
        assert methods["any"]("w0 w1", 2)[0][0] == best
    with pytest.raises(UsageError, match="no hit was opened"):
        judge_by_clicks(kept.search.read_clicks(), ["signs"])


def test_users_of_the_application_neither_read_the_log_nor_its_secret(kept: Project) -> None:
    for role in ("app", "admin", "readonly"):
        for statement in (
            "SELECT FROM search_queries",
            "SELECT FROM _search_secret",
            "SELECT _search_person()",
        ):
            with (
                sign_in(str(kept.workspace.to), 3, role=role) as session,
                pytest.raises(InsufficientPrivilege),
            ):
                session.execute(statement)


def test_the_worker_forgets_old_searches(kept: Project, run: Run) -> None:
    for days in (29, 31, 400):
        run(
            "INSERT INTO search_queries (q, asked_at, ms, is_next, shown)"
            " SELECT 'q', now() - %s * interval '1 day', 1, false, '[]' FROM generate_series(1, 6000)",
            days,
        )
    with kept.search.open_tables() as (connection, tables):
        jobs = {job.name: job for job in list_jobs(tables)}
        assert jobs["forget searches"].run(connection, lambda: False) == "12,000 searches forgotten"
        assert jobs["forget searches"].run(connection, lambda: False) == ""
    assert run("SELECT count(*) FROM search_queries") == [(6000,)]


def test_the_log_has_months_which_the_worker_makes_and_drops(
    template: Template, database: str, tmp_path: Path, query: Run
) -> None:
    project = template.copy(tmp_path, database)
    set_log(project, LOGGED)
    names = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'search_queries'::regclass"
    whole = set(query(names))
    (month,) = query("SELECT 'search_queries_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')")
    assert {month, ("search_queries_past",), ("search_queries_far",)} < whole
    assert len(whole) == 6
    last = max(whole - {("search_queries_past",), ("search_queries_far",)})
    query(f"DROP TABLE {last[0]}")
    old = "search_queries_1999_01"
    query("ALTER TABLE search_queries DETACH PARTITION search_queries_past")
    query(
        f"CREATE TABLE {old} PARTITION OF search_queries FOR VALUES FROM ('1999-01-01') TO ('1999-02-01')"
    )
    with project.search.open_tables() as (connection, tables):
        jobs = {job.name: job for job in list_jobs(tables)}
        said = jobs["forget searches"].run(connection, lambda: False)
    assert f"made {last[0]}; dropped {old}" in said
    assert set(query(names)) == whole - {("search_queries_past",)}


def test_a_log_without_months_keeps_its_searches(
    template: Template, database: str, tmp_path: Path, query: Run
) -> None:
    project = template.copy(tmp_path, database)
    set_log(project, LOGGED)
    query("ALTER TABLE search_queries RENAME TO before")
    query("CREATE TABLE search_queries (LIKE before INCLUDING ALL)")
    query("DROP TABLE before")
    query("UPDATE assise.search_object SET create_sql = 'x' WHERE name = 'search_queries'")
    query(
        "INSERT INTO search_queries (q, asked_at, ms, is_next, shown)"
        " VALUES ('old', '2001-01-01', 1, false, '[]'), ('new', now(), 2, false, '[]')"
    )
    project.load(None, confirm=confirm)
    assert query("SELECT q, ms FROM search_queries ORDER BY ms") == [("old", 1), ("new", 2)]
    assert query("SELECT pg_get_partkeydef('search_queries'::regclass)") == [("RANGE (asked_at)",)]
    assert query("SELECT to_regclass('_search_queries_before')") == [(None,)]
    assert project.search.query(Request("w3"), user_id=3).query_id


def test_who_has_searched_is_kept_as_the_manifest_says(kept: Project, run: Run) -> None:
    built = kept.search.status()
    for users, stored in (("key", "3"), ("none", None)):
        set_log(kept, f"name: app\nsearch_log: {{users: {users}}}\n")
        find(kept, users)
        assert run("SELECT asked_by FROM search_queries WHERE q = %s", users) == [(stored,)]
    set_log(kept, "name: app\n")
    assert run("SELECT to_regclass('search_queries')") == [(None,)]
    assert find(kept, "w0").query_id is None
    with pytest.raises(UsageError, match="searches are not kept"):
        kept.search.report()
    with pytest.raises(UsageError, match="searches are not kept"):
        click(kept, str(uuid4()), 1)
    set_log(kept, LOGGED)
    assert kept.search.status() == built


def test_the_name_of_the_log_is_taken_and_its_time_is_one(kept: Project) -> None:
    text = kept.path.read_text()
    kept.path.write_text(text.replace("\n  signs:", "\n  search_queries:"))
    with pytest.raises(ManifestError, match="search_queries"):
        kept.search.report()
    kept.path.write_text(text.replace("30 days", "a while"))
    with pytest.raises(ManifestError, match="no time to keep"):
        kept.search.report()
    kept.path.write_text(text)
