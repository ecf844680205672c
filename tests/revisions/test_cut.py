"""A big table that becomes cut by time while it is in use, and whole again."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from tests.dumps import confirm
from tests.revisions.changing import change, revise
from tests.scenes.commands import wait_until
from tests.scenes.databases import Databases, Template

from assise.errors import RefusedError, TargetError, UsageError
from assise.postgres.connection import Connection
from assise.postgres.partitions import run_partitions
from assise.postgres.steps import LOCK_TIMEOUT_S
from assise.project import Project
from assise.schema.partitions import end_first, list_partitionings

Query = Callable[..., list[tuple[object, ...]]]
pytestmark = pytest.mark.contract
MANIFEST = """assise: 1
name: app
views:
  a_most: {file: sql/a_most.sql}
  dear: {file: sql/dear.sql}
  by_day: {file: sql/by_day.sql, materialized: {refresh: 5 minutes, key: [day]}}
tables:
  users:
    primary_key: id
    columns: {id: int8, name: text}
  payments:
    primary_key: id
    comment: what was paid
    audit: true
    columns:
      id: int8
      user_id: {type: int8, references: users, comment: who}
      amount: {type: "numeric(18,2)", check: amount > 0}
      created_at: timestamptz
    indexes: [user_id]
"""
FILES = {
    "a_most": "SELECT max(n) AS most FROM by_day",
    "dear": "SELECT id, amount FROM payments WHERE amount > 5",
    "by_day": "SELECT (created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS n FROM payments GROUP BY 1",
}
CUT = """      created_at: {type: timestamptz, default: now()}
    partition: {by: created_at, ahead: 3}
"""
OLD_KEY = "    primary_key: id\n    comment"
THEIRS = """INSERT INTO users (name) VALUES ('Ann');
    INSERT INTO payments (user_id, amount, created_at)
    SELECT 1, n, now() - n * interval '1 hour' FROM generate_series(1, 2000) AS n;
    ALTER TABLE payments ENABLE ROW LEVEL SECURITY;
    CREATE POLICY theirs ON payments FOR SELECT USING (amount > 0);
    GRANT SELECT ON payments TO pg_monitor WITH GRANT OPTION;
    GRANT UPDATE (amount) ON payments TO pg_monitor;
    CREATE TRIGGER theirs_off BEFORE UPDATE ON payments FOR EACH ROW
    EXECUTE FUNCTION suppress_redundant_updates_trigger();
    ALTER TABLE payments DISABLE TRIGGER theirs_off;
    GRANT SELECT ON by_day, a_most TO pg_monitor;
    CREATE VIEW theirs WITH (security_invoker = true) AS SELECT max(amount) AS most FROM payments;
    CREATE INDEX theirs_too ON payments (amount);
    CREATE INDEX "äääääääääääääääääääääääääääääääx" ON payments (amount)"""
KEPT = """SELECT to_jsonb(f) FROM (SELECT
    (SELECT array_agg((tgname, tgenabled)::text ORDER BY tgname) FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal) AS triggers,
    (SELECT array_agg(polname ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid) AS policies,
    relrowsecurity, relowner::regrole::text, relacl::text, obj_description(c.oid), col_description(c.oid, 2),
    (SELECT attacl::text FROM pg_attribute WHERE attrelid = c.oid AND attname = 'amount') AS column_grants,
    (SELECT array_agg(relacl::text ORDER BY relname) FROM pg_class WHERE relname IN ('a_most', 'by_day')) AS view_grants,
    (SELECT array_agg(pg_get_constraintdef(oid) ORDER BY conname) FROM pg_constraint WHERE conrelid = c.oid AND contype IN ('f', 'c')) AS constraints
    FROM pg_class AS c WHERE c.oid = 'payments'::regclass) AS f"""


@pytest.fixture(scope="module")
def template(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A project with payments, which others have ruled, granted and extended."""
    folder = tmp_path_factory.mktemp("paid")
    with databases.create_template(folder) as made, psycopg.connect(made.conninfo) as connection:
        (folder / "sql").mkdir(parents=True)
        for name, text in FILES.items():
            (folder / "sql" / f"{name}.sql").write_text(text)
        (folder / "assise.yaml").write_text(MANIFEST)
        project = Project(folder, to=made.conninfo)
        assert project.migrate(confirm=confirm).exit_code == 0
        project.revisions().revise("start")
        change(project, OLD_KEY, OLD_KEY.replace("id", "[id, created_at]"))
        change(project, "      created_at: timestamptz\n", CUT)
        revise(project, "cut")
        assert project.revisions().lint() == []
        connection.execute(THEIRS)
        connection.commit()
        connection.close()
        yield made


@pytest.fixture
def paid(template: Template, tmp_path: Path, database: str) -> Project:
    """The project, whose payments a revision will cut."""
    return template.copy(tmp_path / "app", database)


class Writer:
    """Writes and reads payments again and again; remembers the longest wait and what failed."""

    def __init__(self, database: str) -> None:
        self.database, self.longest_s, self.count = database, 0.0, 0
        self.failed: list[Exception] = []
        self.is_done = threading.Event()

    def run(self) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            while not self.is_done.is_set():
                began = time.perf_counter()
                try:
                    with connection.transaction():
                        connection.execute(
                            "INSERT INTO payments (user_id, amount, created_at) VALUES (1, 1, now())"
                        )
                        connection.execute("UPDATE users SET name = 'Bea'")
                        connection.execute("SELECT count(*) FROM theirs")
                except psycopg.Error as error:
                    self.failed.append(error)
                self.longest_s = max(self.longest_s, time.perf_counter() - began)
                self.count += 1


@contextmanager
def writing(database: str) -> Iterator[Writer]:
    writer = Writer(database)
    thread = threading.Thread(target=writer.run)
    thread.start()
    try:
        yield writer
    finally:
        writer.is_done.set()
        thread.join()


def test_a_table_in_use_becomes_cut_and_whole_and_cut_again(
    paid: Project, database: str, query: Query
) -> None:
    before, node = query(KEPT), query("SELECT pg_relation_filenode('payments')")
    with writing(database) as writer:
        for is_last in (False, True):
            paid.revisions().apply()
            assert query(KEPT) == before
            assert query("SELECT pg_relation_filenode('payments_past')") == node
            assert query(
                "SELECT count(*) FROM pg_inherits WHERE inhparent = 'payments'::regclass"
            ) == [(4,)]
            if not is_last:
                paid.revisions().revert()
                assert query(KEPT) == before
                assert query("SELECT pg_relation_filenode('payments')") == node
                assert paid.revisions().status().drift.is_empty
    assert writer.failed == []
    assert writer.longest_s < LOCK_TIMEOUT_S + 0.2
    assert query("SELECT count(*) FROM payments") == [(2000 + writer.count,)]
    assert query("SELECT most FROM theirs") == [(2000,)]
    drift = paid.revisions().diff()
    assert drift.differences == []
    assert paid.partitions.status().exit_code == 0
    assert paid.audit.check().findings == []
    logged = query("SELECT count(*) FROM audit_log WHERE op = 'i'")
    assert logged == [(2000 + writer.count,)]
    query(
        "INSERT INTO payments (user_id, amount, created_at) VALUES (1, 7, now() + interval '70 days')"
    )
    assert query("SELECT id FROM dear WHERE amount = 7 ORDER BY id DESC LIMIT 1") == [
        (2001 + writer.count,)
    ]
    assert query("SELECT count(*) FROM payments_past") == [(2000 + writer.count,)]


def test_the_swap_goes_on_after_a_kill_and_behind_a_writer(
    paid: Project, database: str, query: Query
) -> None:
    place = str(paid.path.parent)
    command = [sys.executable, "-m", "assise", "schema", "apply", "-f", place, "--to", database]
    is_built = (
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('payments_past_pkey')"
    )
    with psycopg.connect(database) as other:
        other.execute("UPDATE users SET name = 'Bea'")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: query(is_built) == [(True,)], "the steps before the swap")
        process.kill()
        assert process.wait() == -signal.SIGKILL
        with psycopg.connect(database, options="-c lock_timeout=5s") as writer:
            writer.execute("INSERT INTO payments (user_id, amount) VALUES (1, 1)")
            writer.rollback()
    assert query("SELECT relkind FROM pg_class WHERE oid = 'payments'::regclass") == [("r",)]
    paid.revisions().apply()
    assert query("SELECT count(*) FROM payments_past") == [(2000,)]
    assert paid.revisions().diff().differences == []


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("CREATE TABLE t (id bigint REFERENCES payments)", "foreign key t_id_fkey of t"),
        ("CREATE MATERIALIZED VIEW m AS SELECT amount FROM payments", "materialized view m"),
        ("CREATE FUNCTION f() RETURNS SETOF payments RETURN NULL::payments", "function f()"),
        ("UPDATE payments SET created_at = '9999-12-31' WHERE id = 1", "has rows up to 9999-12-31"),
        ("UPDATE payments SET created_at = NULL WHERE id = 1", "created_at_is_set"),
    ],
)
def test_what_would_be_lost_by_the_swap_is_named_before(
    paid: Project, query: Query, statement: str, says: str
) -> None:
    query(statement)
    with pytest.raises(TargetError, match=re.escape(says)):
        paid.revisions().apply()
    assert query("SELECT relkind FROM pg_class WHERE oid = 'payments'::regclass") == [("r",)]
    paid.revisions().revert()
    assert query("SELECT count(*) FROM payments") == [(2000,)]
    assert paid.revisions().status().drift.is_empty


def test_a_cut_that_was_begun_takes_rows_of_later_months(
    paid: Project, database: str, query: Query
) -> None:
    """Each run moves the check, and checks again what was not checked when it was killed."""
    query("CREATE TABLE t (id bigint REFERENCES payments)")
    with pytest.raises(TargetError, match="foreign key t_id_fkey of t"):
        paid.revisions().apply()
    (of,) = list_partitionings(paid.manifest, "public")
    check = "SELECT pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE conname = %s"
    before = query(check, [of.bounds])
    with Connection(database) as connection:
        assert str(run_partitions(connection, of, log=print)) == ""
        assert query(check, [of.bounds]) == before
        later = datetime.now(UTC) + timedelta(days=100)
        row = f"INSERT INTO payments (user_id, amount, created_at) VALUES (1, 5, '{later}')"
        with pytest.raises(psycopg.errors.CheckViolation, match=of.bounds):
            query(row)
        end = end_first(later)
        connection.execute(of.move_bounds(end))
        run = run_partitions(connection, of, log=print, now=later)
        assert run.moved == ""
        ((text, is_valid),) = query(check, [of.bounds])
        assert (f"{end:%Y-%m-%d}" in str(text), is_valid) == (True, True)
        connection.execute(of.move_bounds(datetime.now(UTC)))
        assert "takes rows up to" in str(run_partitions(connection, of, log=print, now=later))
    query(row)
    query("DROP TABLE t")
    paid.revisions().apply()
    assert query("SELECT count(*) FROM payments_past WHERE amount = 5 AND created_at > now()") == [
        (1,)
    ]
    assert paid.partitions.status().exit_code == 0
    assert paid.revisions().diff().differences == []


def test_the_way_back_leaves_rows_of_later_partitions_where_they_are(
    paid: Project, query: Query
) -> None:
    paid.revisions().apply()
    query("INSERT INTO payments (user_id, amount, created_at) VALUES (1, 7, now() + '80 days')")
    with pytest.raises(RefusedError, match="has rows, which the way back would write"):
        paid.revisions().revert()
    assert query("SELECT count(*) FROM payments") == [(2001,)]
    query("DELETE FROM payments WHERE amount = 7 AND created_at > now()")
    paid.revisions().revert()
    assert query("SELECT relkind FROM pg_class WHERE oid = 'payments'::regclass") == [("r",)]
    assert query("INSERT INTO payments (user_id, amount) VALUES (1, 1) RETURNING id") == [(2002,)]


def test_indexes_and_foreign_keys_of_a_cut_table_are_made_partition_by_partition(
    paid: Project, database: str, query: Query
) -> None:
    paid.revisions().apply()
    change(paid, "indexes: [user_id]", "indexes: [user_id, [amount, created_at]]")
    change(paid, "amount: {", "payer_id: {type: int8, references: users}\n      amount: {")
    text = revise(paid, "more")
    assert text.count("-- assise: each\n") == 3
    assert paid.revisions().lint() == []
    with writing(database) as writer:
        paid.revisions().apply()
        paid.revisions().revert(drop=["payments.payer_id"])
        assert paid.revisions().status().drift.is_empty
        paid.revisions().apply()
    assert writer.failed == []
    assert writer.longest_s < LOCK_TIMEOUT_S + 0.2
    assert paid.revisions().diff().differences == []
    assert query("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]
    unchecked = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"
    assert query(unchecked) == [(0,)]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        query("INSERT INTO payments (user_id, amount, payer_id) VALUES (1, 1, 99)")


def test_what_cannot_become_cut_while_it_is_in_use_is_refused_with_a_way(paid: Project) -> None:
    text = paid.path.read_text()
    change(paid, "  users:\n    primary_key: id\n", "  users:\n    primary_key: [id, joined]\n")
    joined = "name: text, joined: {type: timestamptz, default: now()}}\n    partition: {by: joined}"
    change(paid, "name: text}", joined)
    change(paid, "references: users, ", "")
    both = "{columns: [user_id, created_at], references: users}"
    change(paid, "    indexes: [user_id]", f"    indexes: [user_id]\n    foreign_keys: [{both}]")
    with pytest.raises(UsageError, match="payments refers to it") as refused:
        paid.revisions().revise("users")
    assert "copy the rows in batches" in refused.value.remedy
    other = text.replace("by: created_at", "by: paid_at").replace("created_at]", "paid_at]")
    paid_at = "paid_at: {type: timestamptz, default: now()}\n      amount: {"
    paid.path.write_text(other.replace("amount: {", paid_at))
    with pytest.raises(UsageError, match="cannot become another"):
        paid.revisions().revise("other")
