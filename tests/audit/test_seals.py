"""Seals: what they prove, what holds them back, and how a copy on another server goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import psycopg
import pytest

from assise.audit.seal import retire_log, seal_lines
from assise.postgres.connection import Connection
from assise.project import Project
from assise.schema.audit import partition_kept_log

Query = Callable[..., list[tuple[object, ...]]]
pytestmark = pytest.mark.contract


def write(query: Query, *names: str) -> None:
    for name in names:
        query("INSERT INTO users (name) VALUES (%s)", (name,))


def test_an_untouched_log_is_whole_and_its_head_moves(app: Project, query: Query) -> None:
    write(query, "a", "b")
    first = app.audit.head()
    assert first is not None
    assert (first.seal, first.lines, len(first.chain)) == (1, 2, 64)
    write(query, "c")
    report = app.audit.check(first.chain)
    assert (report.exit_code, report.waiting) == (0, "")
    assert report.head is not None
    assert (report.head.seal, report.head.lines) == (2, 3)
    query("ALTER DATABASE current SET timezone = 'Asia/Tokyo'".replace("current", current(query)))
    assert app.audit.check().findings == []


def current(query: Query) -> str:
    return f'"{query("SELECT current_database()")[0][0]}"'


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE audit_log SET actor = 'x' WHERE id = (SELECT min(id) FROM audit_log)", "changed"),
        (
            "UPDATE audit_log SET at = at + '1 us' WHERE id = (SELECT min(id) FROM audit_log)",
            "chan",
        ),
        ("DELETE FROM audit_log WHERE id = (SELECT max(id) FROM audit_log)", "removed"),
        (
            """INSERT INTO audit_log (id, xid, statement, "table", op, login) OVERRIDING SYSTEM VALUE
            SELECT -5, min(xid), 1, 'users', 'd', 'x' FROM audit_log""",
            "inserted",
        ),
        (
            "UPDATE audit_seal SET hashes = sha256('x') || hashes WHERE number = 1",
            "chain is broken",
        ),
        ("DELETE FROM audit_seal WHERE number = 1", "chain is broken"),
        ("UPDATE audit_seal SET last_xid = '0', last_id = 0 WHERE number = 2", "chain is broken"),
        (
            "UPDATE audit_seal SET first_at = '2000-01-01', last_at = '2000-01-01'",
            "chain is broken",
        ),
        ("UPDATE audit_seal SET era = 99 WHERE number = 2", "chain is broken"),
    ],
)
def test_what_was_done_to_sealed_lines_is_named(
    app: Project, query: Query, statement: str, what: str
) -> None:
    write(query, "a", "b")
    app.audit.head()
    write(query, "c")
    app.audit.head()
    query(statement)
    report = app.audit.check()
    assert report.exit_code == 3
    assert any(what in str(finding) for finding in report.findings)


def test_a_tail_that_was_cut_is_seen_with_the_head_alone(app: Project, query: Query) -> None:
    write(query, "a")
    app.audit.head()
    write(query, "b")
    head = app.audit.head()
    assert head is not None
    query(
        "DELETE FROM audit_seal WHERE number = 2; DELETE FROM audit_log WHERE new ->> 'name' = 'b'"
    )
    assert app.audit.check().findings == []
    (finding,) = app.audit.check(head.chain).findings
    assert "were cut off" in str(finding)


def test_a_transaction_that_commits_late_is_sealed_too(
    app: Project, database: str, query: Query
) -> None:
    """Its number is below those of sealed lines, its place in the order is not."""
    with psycopg.connect(database, application_name="late") as late:
        late.execute("INSERT INTO users (name) VALUES ('late')")
        write(query, "early")
        report = app.audit.check()
        assert (report.head, report.exit_code) == (None, 0)
        assert "1 line not sealed yet: process" in report.waiting
    head = app.audit.head()
    assert head is not None
    assert head.lines == 2
    assert app.audit.check().findings == []


def test_lines_are_sealed_in_the_order_of_transactions(
    app: Project, database: str, query: Query
) -> None:
    """A line with a lower number is still to come where its transaction began later."""
    with psycopg.connect(database) as older, psycopg.connect(database) as younger:
        older.execute("SELECT pg_current_xact_id()")
        younger.execute("INSERT INTO users (name) VALUES ('first line')")
        older.execute("INSERT INTO users (name) VALUES ('second line')")
        older.commit()
        between = app.audit.head()
        assert between is not None
        assert between.lines == 1
    head = app.audit.head()
    assert head is not None
    assert (head.lines, app.audit.check().findings) == (2, [])
    [(second,), (first,)] = query("SELECT ids[1] FROM audit_seal ORDER BY number")
    assert (first, second) == query("SELECT min(id), max(id) FROM audit_log")[0]


def test_batches_follow_each_other_without_a_gap(app: Project, database: str, query: Query) -> None:
    query("INSERT INTO users (name) SELECT 'u' FROM generate_series(1, 25)")
    write(query, "x", "y")
    with Connection(database) as connection:
        assert seal_lines(connection, "public", size=10) == 27
    assert query("SELECT array_agg(cardinality(ids) ORDER BY number) FROM audit_seal") == [
        ([10, 10, 7],)
    ]
    assert app.audit.check().findings == []


def test_a_line_is_hashed_as_it_was_by_earlier_builds(app: Project, query: Query) -> None:
    """Seals are kept for years: whoever changes this form must still check the old one."""
    write(query, "é")
    app.audit.head()
    line = """SELECT id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), xid::text,
        statement, login FROM audit_log"""
    *begin, login = query(line)[0]
    row = {"id": 1, "name": "é", "tags": None, "score": None}
    values = [*begin, "users", "i", {"id": 1}, None, row, None, None, None, None, login]
    text = json.dumps(values, ensure_ascii=False)
    assert query("SELECT hashes FROM audit_seal") == [(sha256(text.encode()).digest(),)]


def test_a_batch_reads_its_own_lines_alone(app: Project, database: str, query: Query) -> None:
    """Neither those that wait behind it nor those that have their seal."""
    query("INSERT INTO users (name) SELECT 'u' FROM generate_series(1, 2000)")
    read = """SELECT sum(seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_user_tables
        WHERE relname ^@ 'audit_log_'"""
    with Connection(database) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        before = int(str(connection.scalar(read)))
        assert seal_lines(connection, "public", size=100) == 2000
        connection.execute("SELECT pg_stat_force_next_flush()")
        after = int(str(connection.scalar(read)))
    assert 2000 <= after - before < 2500
    del app


@pytest.mark.parametrize("is_sealed", [True, False])
def test_lines_of_another_server_are_sealed_and_a_new_era_begins(
    app: Project, query: Query, *, is_sealed: bool
) -> None:
    """A restored copy: its transactions are ones that this server has not reached."""
    write(query, "a", "b")
    query("UPDATE audit_log SET xid = (xid::text::bigint + 4000000000)::text::xid8")
    if is_sealed:
        app.audit.head()
    write(query, "c")
    head = app.audit.head()
    write(query, "d")
    later = app.audit.head()
    assert head is not None
    assert later is not None
    assert (head.lines, later.lines) == (3, 4)
    assert app.audit.check(head.chain).findings == []


def test_a_partition_that_was_retired_is_no_finding(app: Project, query: Query) -> None:
    write(query, "a")
    query("UPDATE audit_log SET at = '2020-01-01'")
    app.audit.head()
    query("DROP TABLE audit_log_past")
    assert app.audit.check().findings == []


def test_a_seal_never_holds_lines_of_two_months(app: Project, query: Query) -> None:
    """The older month may be retired, and the lines of the other one are still looked for."""
    write(query, "a", "b")
    query("UPDATE audit_log SET at = '2020-01-01' WHERE id = (SELECT min(id) FROM audit_log)")
    app.audit.head()
    query("DROP TABLE audit_log_past")
    assert app.audit.check().findings == []
    query("DELETE FROM audit_log")
    assert [each.what for each in app.audit.check().findings] == ["removed"]


def test_months_go_when_they_are_old_and_all_is_sealed(
    app: Project, database: str, query: Query
) -> None:
    """The digests stay: the chain goes on, and what is gone with its month is no finding."""
    text = app.path.read_text()
    app.path.write_text(text.replace("name: app\n", "name: app\naudit_log: {keep: 24 months}\n"))
    write(query, "a")
    query("UPDATE audit_log SET at = '2020-01-01'")
    write(query, "b")
    head = app.audit.head()
    assert head is not None
    of = partition_kept_log(app.manifest, "public")
    assert of is not None
    with Connection(database) as connection, psycopg.connect(database) as late:
        late.execute("SELECT pg_current_xact_id()")
        write(query, "c")
        later = datetime.now(UTC) + timedelta(days=900)
        assert "1 line not sealed yet" in retire_log(connection, of, now=later)
        assert retire_log(connection, of) == ""
        late.rollback()
    done = app.work(is_once=True).done
    assert [said for name, said in done if "retire" in name] == [""]
    with Connection(database) as connection:
        assert "dropped audit_log_past" in retire_log(connection, of, now=later)
    assert query("SELECT new ->> 'name' FROM audit_log") == []
    report = app.audit.check(head.chain)
    assert (report.exit_code, report.head and report.head.lines) == (0, 3)


def test_the_worker_seals(app: Project, query: Query) -> None:
    write(query, "a")
    assert ("seal the audit log", "1 line sealed") in app.work(is_once=True).done
    assert query("SELECT cardinality(ids) FROM audit_seal") == [(1,)]
