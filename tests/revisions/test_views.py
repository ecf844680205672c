"""Views of the manifest: made and changed by revisions, refreshed by the worker."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial

import psycopg
import pytest
from tests.dumps import confirm
from tests.revisions.changing import change, check_same, revise
from tests.scenes.databases import Databases

from assise.errors import ManifestError, RefusedError, UsageError
from assise.manifest.read import parse_manifest
from assise.postgres import locks
from assise.project import Project
from assise.revisions.refresh import list_jobs
from assise.transfer.finished import open_loaded

Query = Callable[..., list[tuple[object, ...]]]
VIEWS = """name: app
views:
  by_state: {file: sql/by_state.sql, materialized: {refresh: 5 minutes, key: [state]}}
  dear: {file: sql/dear.sql}
  statements: {file: sql/statements.sql, needs: pg_stat_statements}
"""
FILES = {
    "by_state": "SELECT state, count(*) AS n FROM orders GROUP BY state; -- one row a state",
    "dear": "SELECT id, price FROM orders WHERE price > 5",
    "statements": "SELECT query, calls FROM pg_stat_statements",
}


@pytest.fixture
def viewed(shop: Project) -> Project:
    """The shop with three views."""
    change(shop, "name: app\n", VIEWS)
    folder = shop.path.parent / "sql"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / f"{name}.sql").write_text(text)
    revise(shop, "views")
    shop.revisions().apply()
    check_same(shop)
    return shop


def run_job(project: Project) -> str:
    with open_loaded(project.workspace) as (connection, tables):
        (job,) = list_jobs(tables)
        assert job.name == "refresh by_state"
        return job.run(connection, lambda: False)


@pytest.mark.contract
def test_a_view_is_filled_plainly_and_then_refreshed_beside_its_readers(
    viewed: Project, query: Query
) -> None:
    (view,) = viewed.revisions().status().views
    assert (view.view, view.is_filled, view.age) == ("by_state", False, None)
    assert run_job(viewed).startswith("refreshed in ")
    assert query("SELECT state, n FROM by_state") == [("new", 300)]
    assert run_job(viewed) == ""
    query("UPDATE orders SET state = 'old'")
    query("UPDATE assise.refresh SET refreshed_at = refreshed_at - interval '1 hour'")
    node = query("SELECT pg_relation_filenode('by_state')")
    with viewed.connect(viewed.manifest) as other:
        with locks.hold(other, 'assise refresh "public"."by_state"', patience_s=0):
            assert run_job(viewed) == ""
        with other.transaction():
            other.execute("SELECT n FROM by_state")
            assert run_job(viewed).startswith("refreshed in ")
    assert query("SELECT state, n FROM by_state") == [("old", 300)]
    assert query("SELECT pg_relation_filenode('by_state')") == node
    (view,) = viewed.revisions().status().views
    assert view.is_filled
    assert view.age is not None
    check_same(viewed)


def test_a_changed_view_keeps_its_index(viewed: Project, query: Query) -> None:
    file = viewed.path.parent / "sql" / "by_state.sql"
    file.write_text("SELECT state, count(*) AS n, max(price) AS most FROM orders GROUP BY state")
    revise(viewed, "most")
    viewed.revisions().apply()
    check_same(viewed)
    run_job(viewed)
    assert query("SELECT most::text FROM by_state") == [("9.50",)]
    viewed.revisions().revert()
    assert viewed.revisions().status().drift.is_empty


def test_a_changed_view_comes_again_with_those_of_ours_that_read_it(
    viewed: Project, query: Query
) -> None:
    """Also a plain one that loses a column; rights that were granted by hand stay."""
    folder = viewed.path.parent / "sql"
    change(viewed, "  dear: {", "  a_most: {file: sql/a_most.sql}\n  dear: {")
    (folder / "a_most.sql").write_text("SELECT max(n) AS most FROM by_state JOIN dear ON true")
    revise(viewed, "most")
    viewed.revisions().apply()
    query("GRANT SELECT ON by_state, dear, a_most TO pg_monitor")
    (folder / "by_state.sql").write_text(FILES["by_state"].replace("count(*)", "count(*) + 1"))
    (folder / "dear.sql").write_text("SELECT price AS much FROM orders WHERE price > 5")
    (folder / "b_new.sql").write_text("SELECT much FROM dear")
    change(viewed, "  dear: {", "  a_first: {file: sql/b_new.sql}\n  dear: {")
    revise(viewed, "other")
    for _ in range(2):
        viewed.revisions().apply()
        assert viewed.revisions().diff().differences == []
        run_job(viewed)
        query("UPDATE assise.refresh SET refreshed_at = refreshed_at - interval '1 hour'")
        assert query("SELECT most FROM a_most") == [(301,)]
        assert query("SELECT DISTINCT much FROM a_first") == [(9.5,)]
        granted = (
            "SELECT count(*) FROM information_schema.role_table_grants WHERE grantee = 'pg_monitor'"
        )
        assert query(f"{granted} AND table_name IN ('dear', 'a_most')") == [(2,)]
        assert query("SELECT has_table_privilege('pg_monitor', 'by_state', 'SELECT')") == [(True,)]
        viewed.revisions().revert()
        assert viewed.revisions().status().drift.is_empty


DEFAULTS = "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO pg_monitor, PUBLIC"
GRANTED = """SELECT c.relname::text, a.grantee::regrole::text FROM pg_class AS c, aclexplode(relacl) AS a
    WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace AND a.grantee <> relowner
    AND relname NOT LIKE 'pg_stat%%' ORDER BY 1, 2"""


@pytest.mark.contract
def test_default_privileges_give_nobody_rights_on_a_view(
    viewed: Project, query: Query, databases: Databases
) -> None:
    folder = viewed.path.parent / "sql"
    query(DEFAULTS)
    change(viewed, "  dear: {", "  a_most: {file: sql/a_most.sql}\n  dear: {")
    (folder / "a_most.sql").write_text("SELECT max(price) AS most FROM dear")
    revise(viewed, "most")
    viewed.revisions().apply()
    assert query(GRANTED) == []
    query("GRANT SELECT ON dear TO pg_read_all_data")
    (folder / "dear.sql").write_text("SELECT price FROM orders WHERE price > 5")
    (folder / "by_state.sql").write_text(FILES["by_state"].replace("count(*)", "count(*) + 1"))
    revise(viewed, "dearer")
    viewed.revisions().apply()
    assert query(GRANTED) == [("dear", "pg_read_all_data")]
    assert viewed.revisions().diff().differences == []
    conninfo = databases.create()
    with psycopg.connect(conninfo, autocommit=True) as other:
        other.execute(DEFAULTS)
        fresh = Project(viewed.path.parent, to=conninfo)
        assert fresh.migrate(viewed.path.parent / "app", confirm=confirm).exit_code == 0
        assert other.execute(GRANTED).fetchall() == []
    databases.drop(conninfo)


@pytest.mark.parametrize("name", ["dear", "by_state"])
def test_an_error_in_the_sql_of_a_view_names_its_file(
    viewed: Project, databases: Databases, name: str
) -> None:
    (viewed.path.parent / "sql" / f"{name}.sql").write_text("SELECT nothing AS state FROM orders")
    says = rf'sql/{name}\.sql: the server refuses it: .*column "nothing" does not exist'
    with pytest.raises(UsageError, match=says):
        viewed.revisions().diff()
    shutil.rmtree(viewed.path.parent / "revisions")
    conninfo = databases.create()
    fresh = Project(viewed.path.parent, to=conninfo)
    with pytest.raises(RefusedError, match=says):
        fresh.migrate(viewed.path.parent / "app", confirm=confirm)
    databases.drop(conninfo)


def test_views_that_read_each_other_are_named(viewed: Project) -> None:
    folder = viewed.path.parent / "sql"
    (folder / "dear.sql").write_text("SELECT * FROM public.statements")
    (folder / "statements.sql").write_text('SELECT 1 AS a FROM orders JOIN "dear" USING (id)')
    with pytest.raises(UsageError, match="the views dear, statements read each other"):
        viewed.revisions().diff()


def test_a_file_with_two_statements_is_refused(viewed: Project) -> None:
    for name in ("dear", "by_state"):
        file = viewed.path.parent / "sql" / f"{name}.sql"
        before = file.read_text()
        file.write_text("SELECT 1 AS state; CREATE TABLE public.second (a int); SELECT 2 AS state")
        with pytest.raises(UsageError, match="syntax error at or near"):
            revise(viewed, "second")
        file.write_text(before)
    check_same(viewed)


def test_what_others_have_on_a_view_is_refused(viewed: Project, query: Query) -> None:
    query("CREATE VIEW theirs AS SELECT n FROM by_state")
    file = viewed.path.parent / "sql" / "by_state.sql"
    file.write_text("SELECT state, count(*) + 1 AS n FROM orders GROUP BY state")
    revise(viewed, "more")
    with pytest.raises(Exception, match="depend") as refused:
        viewed.revisions().apply()
    assert type(refused.value).__name__ == "DependentError"
    assert query("SELECT to_regclass('theirs') IS NOT NULL") == [(True,)]


def test_a_view_that_is_not_there_is_told(viewed: Project, query: Query) -> None:
    query("DROP MATERIALIZED VIEW by_state")
    with pytest.raises(UsageError, match="there is no materialized view"):
        run_job(viewed)


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ("{file: sql/a.txt}", "is not a file of SQL"),
        ("{file: ../a.sql}", "is not a file of SQL"),
        ("{file: a.sql, materialized: {refresh: often, key: [a]}}", "is no time"),
        ("{file: a.sql, materialized: {refresh: 5 minutes, key: []}}", "is empty"),
        ("{file: a.sql, materialized: {key: [a]}}", "refresh"),
    ],
)
def test_a_wrong_view_is_refused(view: str, says: str) -> None:
    read = partial(parse_manifest, f"assise: 1\nname: a\nviews: {{v: {view}}}\ntables: {{}}\n")
    with pytest.raises(ManifestError, match=says):
        read()
