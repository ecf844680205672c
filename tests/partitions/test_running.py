"""Partitions of a real server: made, retired, killed on the way, beside writers and readers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
from tests.dumps import confirm
from tests.scenes.commands import wait_until

from assise.errors import BusyError, ChangedError, TargetError
from assise.postgres import locks
from assise.postgres.connection import Connection
from assise.postgres.partitions import (
    PartitionRun,
    list_partitions,
    make_partitions,
    read_state,
    run_partitions,
)
from assise.project import Project
from assise.schema.partitions import Partitioning
from assise.workspace import keep_silent

Query = Callable[..., list[tuple[object, ...]]]
pytestmark = pytest.mark.contract
PAYMENTS = Partitioning("public", "payments", "created_at", ahead=3, keep="2 months")
VISITS = Partitioning("public", "visits", "seen_on", "day", ahead=4, keep="3 days", then="detach")


def later(months: int) -> datetime:
    """The middle of a month, so many months from now."""
    now = datetime.now(UTC)
    number = now.year * 12 + now.month - 1 + months
    return datetime(number // 12, number % 12 + 1, 15, tzinfo=UTC)


def names(connection: Connection, of: Partitioning) -> list[str]:
    return [each.name for each in list_partitions(connection, of)]


def test_migrate_makes_them_and_each_has_keys_checks_and_no_grants(
    app: Project, query: Query
) -> None:
    query("INSERT INTO payments (user_id, amount) VALUES (1, 5)")
    for statement in (
        "INSERT INTO payments (user_id, amount) VALUES (2, 5)",
        "INSERT INTO payments (user_id, amount) VALUES (1, -5)",
    ):
        with pytest.raises(psycopg.errors.IntegrityError):
            query(statement)
    report = app.partitions.status()
    assert report.exit_code == 0
    assert [(each.table, each.partitions, each.ahead) for each in report.states] == [
        ("public.payments", 6, 3),
        ("public.visits", 7, 4),
    ]
    assert app.migrate(confirm=confirm).was_done
    assert app.revisions().diff().is_empty


def test_a_year_of_runs_keeps_two_months_and_as_many_ahead(connection: Connection) -> None:
    for months in (0, 1, 5, 12):
        run_partitions(connection, PAYMENTS, log=keep_silent, now=later(months))
        state = read_state(connection, PAYMENTS, now=later(months))
        assert (state.ahead, state.unfinished, state.is_low) == (3, [], False)
    kept = [each for each in list_partitions(connection, PAYMENTS) if each.upper]
    assert min(each.lower or later(0) for each in kept).month == later(10).month
    assert read_state(connection, PAYMENTS, now=later(14)).is_low
    tables = connection.scalar("SELECT count(*) FROM pg_class WHERE relname ^@ 'payments_20'")
    assert tables == len(kept) * 3, "a partition, its key and its index"


def test_what_is_detached_stays_a_table(connection: Connection, query: Query) -> None:
    query("INSERT INTO visits (id, seen_on) VALUES (1, current_date), (2, current_date - 90)")
    run = run_partitions(connection, VISITS, log=keep_silent, now=later(1))
    assert "visits_past" in run.detached
    assert not run.dropped
    assert query("SELECT id FROM visits_past") == [(2,)]
    assert query("SELECT count(*) FROM visits") == [(0,)]


def test_neither_stops_a_writer_while_a_report_is_open(
    connection: Connection, database: str, query: Query
) -> None:
    """The report has read the table; only the detach waits for it, and writers for nobody."""
    of = Partitioning("public", "visits", "seen_on", "day", ahead=40, keep="3 days")
    failed: list[Exception] = []

    def retire() -> None:
        try:
            run_partitions(connection, of, log=keep_silent, now=later(1))
        except TargetError as error:
            failed.append(error)

    with psycopg.connect(database) as report:
        report.execute("SELECT count(*) FROM visits")
        thread = threading.Thread(target=retire)
        thread.start()
        pending = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending"
        wait_until(lambda: query(pending) == [(1,)], "the detach")
        with psycopg.connect(database, options="-c lock_timeout=200ms") as writer:
            writer.execute("INSERT INTO visits (id) VALUES (1)")
            writer.execute("UPDATE visits SET id = 2")
            writer.execute("DELETE FROM visits")
        assert query(pending) == [(1,)], "the detach still waits for the report"
    thread.join()
    assert not failed
    assert query(pending) == [(0,)]


def test_a_kill_in_the_middle_of_a_detach_is_finished_by_the_next_run(
    app: Project, connection: Connection, database: str, query: Query
) -> None:
    del app
    query("INSERT INTO payments (user_id, amount, created_at) VALUES (1, 1, '2020-01-01')")
    pending = "SELECT true FROM pg_inherits WHERE inhdetachpending"
    with psycopg.connect(database) as report, Connection(database) as mortal:
        report.execute("SELECT count(*) FROM payments")
        pid = mortal.pid

        def retire() -> None:
            with pytest.raises(TargetError):
                run_partitions(mortal, PAYMENTS, log=keep_silent, now=later(4))

        thread = threading.Thread(target=retire)
        thread.start()
        wait_until(lambda: query(pending) != [], "the detach")
        query("SELECT pg_terminate_backend(%s)", (pid,))
        thread.join()
    state = read_state(connection, PAYMENTS)
    assert "payments_past" in state.unfinished
    query("INSERT INTO payments (user_id, amount) VALUES (1, 1)")
    run = run_partitions(connection, PAYMENTS, log=keep_silent)
    assert run.dropped == ["payments_past"]
    assert read_state(connection, PAYMENTS).unfinished == []
    assert query("SELECT to_regclass('payments_past'), count(*) FROM payments") == [(None, 1)]


def test_a_kill_between_detach_and_drop_leaves_nothing_behind(
    connection: Connection, query: Query
) -> None:
    past = list_partitions(connection, PAYMENTS)[0]
    connection.execute(PAYMENTS.mark(past))
    connection.execute(PAYMENTS.detach(past))
    assert read_state(connection, PAYMENTS).unfinished == ["payments_past"]
    assert run_partitions(connection, PAYMENTS, log=keep_silent).dropped == ["payments_past"]
    assert query("SELECT to_regclass('payments_past')") == [(None,)]


@pytest.mark.parametrize("is_detached", [False, True])
def test_what_a_killed_run_marked_is_spared_when_the_manifest_keeps_it(
    connection: Connection, query: Query, *, is_detached: bool
) -> None:
    query("INSERT INTO payments (user_id, amount, created_at) VALUES (1, 1, '2020-01-01')")
    past = list_partitions(connection, PAYMENTS)[0]
    connection.execute(PAYMENTS.mark(past))
    if is_detached:
        connection.execute(PAYMENTS.detach(past))
    kept = replace(PAYMENTS, then="detach")
    run = run_partitions(connection, kept, log=keep_silent, now=later(4))
    assert run.dropped == []
    assert query(
        "SELECT count(*), obj_description('payments_past'::regclass) FROM payments_past"
    ) == [(1, None)]
    assert run_partitions(connection, PAYMENTS, log=keep_silent).dropped == []


def test_a_mark_is_taken_from_a_partition_that_stays(connection: Connection, query: Query) -> None:
    past = list_partitions(connection, PAYMENTS)[0]
    connection.execute(PAYMENTS.mark(past))
    run_partitions(connection, replace(PAYMENTS, keep=None), log=keep_silent)
    connection.execute(PAYMENTS.detach(past))
    assert run_partitions(connection, PAYMENTS, log=keep_silent).dropped == []
    assert query("SELECT count(*) FROM payments_past") == [(0,)]


def test_another_length_of_partitions_goes_on_behind_those_there(connection: Connection) -> None:
    daily = replace(PAYMENTS, every="day")
    assert not read_state(connection, daily, now=later(0)).is_low
    run = run_partitions(connection, daily, log=keep_silent, now=later(3))
    assert run.made == []
    state = read_state(connection, daily, now=later(3))
    assert (state.ahead > 10, state.is_low) == (True, False)


def test_bounds_that_are_no_days_are_named(connection: Connection, query: Query) -> None:
    query("ALTER TABLE payments DETACH PARTITION payments_far")
    query("CREATE TABLE ever PARTITION OF payments FOR VALUES FROM ('infinity') TO (MAXVALUE)")
    with pytest.raises(ChangedError, match="the partition ever, whose bounds are no days"):
        run_partitions(connection, PAYMENTS, log=keep_silent)


def test_creation_is_not_undone_by_a_retirement_that_fails(
    connection: Connection, query: Query
) -> None:
    """A view of somebody else on the old partition: it cannot be dropped; the new ones are there."""
    query("CREATE VIEW old AS SELECT * FROM payments_past")
    with pytest.raises(TargetError, match="view old depends"):
        run_partitions(connection, PAYMENTS, log=keep_silent, now=later(4))
    assert read_state(connection, PAYMENTS, now=later(4)).ahead == 3


def test_two_workers_do_not_make_one_partition_twice(connection: Connection, database: str) -> None:
    with (
        Connection(database) as other,
        locks.hold(other, PAYMENTS.lock, patience_s=1),
        pytest.raises(BusyError, match="another session holds"),
    ):
        run_partitions(connection, PAYMENTS, log=keep_silent, patience_s=0.2)


def test_writers_of_what_a_table_refers_to_are_waited_for_and_named(
    connection: Connection, database: str
) -> None:
    logged: list[str] = []
    with psycopg.connect(database, application_name="shop") as writer:
        writer.execute("UPDATE users SET name = 'Bea'")
        run = PartitionRun("payments")
        with pytest.raises(BusyError, match="shop"):
            make_partitions(connection, PAYMENTS, run, log=logged.append, now=later(1), tries=1)
    assert any("users" in line for line in logged)


def test_a_default_partition_and_another_column_are_refused(
    connection: Connection, query: Query
) -> None:
    other = Partitioning("public", "payments", "id")
    with pytest.raises(ChangedError, match="is not partitioned by id"):
        run_partitions(connection, other, log=keep_silent)
    with pytest.raises(ChangedError, match="is not partitioned by name"):
        run_partitions(connection, Partitioning("public", "users", "name"), log=keep_silent)
    query("CREATE TABLE rest PARTITION OF payments DEFAULT")
    with pytest.raises(ChangedError, match="has a default partition, rest"):
        run_partitions(connection, PAYMENTS, log=keep_silent)


def test_the_name_of_something_else_is_told_and_nothing_is_lost(
    connection: Connection, query: Query
) -> None:
    taken = f"payments_{later(4):%Y_%m}"
    query(f"CREATE TABLE {taken} (x int)")
    with pytest.raises(TargetError, match=f"cannot have the partition {taken}"):
        run_partitions(connection, PAYMENTS, log=keep_silent, now=later(1))
    query(f"DROP TABLE {taken}")
    assert taken in run_partitions(connection, PAYMENTS, log=keep_silent, now=later(1)).made


def test_rules_and_owner_follow_the_table_and_grants_go(
    connection: Connection, query: Query
) -> None:
    query("CREATE ROLE reads_parts")
    try:
        query("ALTER TABLE payments ENABLE ROW LEVEL SECURITY")
        query("GRANT SELECT ON payments_past TO reads_parts, PUBLIC")
        query("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reads_parts")
        run_partitions(connection, PAYMENTS, log=keep_silent, now=later(1))
        found = query("""SELECT count(*) FILTER (WHERE relrowsecurity), count(*),
            count(*) FILTER (WHERE has_table_privilege('reads_parts', oid, 'SELECT'))
            FROM pg_class JOIN pg_inherits ON inhrelid = oid
            WHERE inhparent = 'payments'::regclass""")
        assert found == [(7, 7, 0)]
    finally:
        query("DROP OWNED BY reads_parts; DROP ROLE reads_parts")


def test_a_time_in_the_year_9999_is_kept_and_told(app: Project, query: Query) -> None:
    query("INSERT INTO payments (user_id, amount, created_at) VALUES (1, 1, '9999-12-31')")
    report = app.partitions.status()
    assert (report.exit_code, report.states[0].has_far) == (3, True)
    with pytest.raises(psycopg.errors.CheckViolation, match="no partition"):
        query("INSERT INTO payments (user_id, amount, created_at) VALUES (1, 1, now() + '5 years')")


def test_the_worker_keeps_them_up(app: Project, query: Query) -> None:
    last = f"payments_{later(3):%Y_%m}"
    query(f"DROP TABLE {last}")
    assert app.partitions.status().exit_code == 3
    done = app.work(is_once=True).done
    assert ("partitions of payments", f"public.payments: made {last}") in done
    assert query(f"SELECT count(*) FROM {last}") == [(0,)]


def test_a_new_partition_has_the_formulas_of_the_whole(app: Project, query: Query) -> None:
    query("ALTER TABLE payments ADD COLUMN cents bigint GENERATED ALWAYS AS (amount * 100) STORED")
    more = replace(PAYMENTS, ahead=9)
    with Connection(str(app.workspace.to)) as connection:
        before = names(connection, more)
        make_partitions(connection, more, PartitionRun("payments"), log=keep_silent)
        assert len(names(connection, more)) > len(before)
    formulas = query(
        "SELECT DISTINCT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute"
        " ON (attrelid, attnum) = (adrelid, adnum) WHERE attname = 'cents'"
        " AND (adrelid = 'payments'::regclass OR adrelid IN"
        " (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'payments'::regclass))"
    )
    assert len(formulas) == 1
