"""A user with many more rows than the planner takes one to have."""

from __future__ import annotations

import psycopg
import pytest
from tests.search.meaning.words import embed_text

from assise.postgres.asking import answer
from assise.project import Project
from assise.search.meaning.embedder import write_vector
from assise.search.meaning.retrieve import retrieve
from assise.search.query import Embedding, Request

READ = """SELECT sum(pg_stat_get_xact_tuples_returned(oid))::int8 AS rows FROM (
    SELECT 'books'::regclass AS oid UNION SELECT indexrelid FROM pg_index WHERE indrelid = 'books'::regclass
) AS b"""

EXPLAIN_ALL = {
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "client_min_messages": "log",
    "parallel_setup_cost": "0",
    "parallel_tuple_cost": "0",
    "min_parallel_table_scan_size": "0",
    "min_parallel_index_scan_size": "0",
}
"""Settings under which a server tells each plan, and takes workers wherever it can."""


@pytest.mark.parametrize("question", ["w1 w2", ""], ids=["by both", "by meaning"])
def test_rows_are_looked_up_one_by_one(embedded: Project, question: str) -> None:
    """All rows of a user would be read for a few hits, if the planner could choose."""
    with psycopg.connect(str(embedded.workspace.to)) as session:
        session.execute("ALTER TABLE books DISABLE TRIGGER USER")
        session.execute(
            "INSERT INTO books (id, user_id, title) SELECT n, 7, 'x' FROM generate_series(1000, 30999) AS n"
        )
        session.execute("ALTER TABLE books ALTER user_id SET (n_distinct = 1000)")
    with psycopg.connect(str(embedded.workspace.to), autocommit=True) as session:
        session.execute("VACUUM ANALYZE books")
    vector = Embedding("words@1", write_vector(embed_text("w1 w2")))
    request = Request(question, ["books"], 100, method="hybrid", vector=vector)
    with embedded.search.open_asker(user_id=7) as asker:
        asker.session.fetch("SELECT set_config('search.max_rows', '10', false)", {})
        (before,) = asker.session.fetch(READ, {})
        found = answer(retrieve(asker.manifest, request), asker.session.fetch)
        (after,) = asker.session.fetch(READ, {})
    assert len(found.passages) >= 5
    assert after["rows"] - before["rows"] < 1_000


def test_no_worker_is_started_for_a_query(embedded: Project) -> None:
    """A worker costs more than the rows that it reads: as much as all of the search again."""
    vector = write_vector(embed_text("w1 w2"))
    lines = list[str]()
    with psycopg.connect(str(embedded.workspace.to)) as session:
        session.add_notice_handler(lambda notice: lines.append(notice.message_primary or ""))
        session.execute("LOAD 'auto_explain'")
        for name, value in EXPLAIN_ALL.items():
            session.execute("SELECT set_config(%s, %s, true)", [name, value])
        session.execute("SELECT set_config('app.user_id', '7', true)")
        found = session.execute(
            """SELECT * FROM search_by_meaning('', %s, NULL, 10, '{}', NULL, '{"method": "semantic"}')""",
            [vector],
        ).fetchall()
    assert found
    plans = [line for line in lines if "<#>" in line]
    assert plans
    assert not any("Gather" in plan for plan in plans)
