"""Revisions beside other sessions: kills, locks, two deployments at once, rows batch by batch."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random
from time import monotonic

import psycopg
import pytest
from tests.dumps import confirm
from tests.revisions.changing import change, check_same, folder_of, revise
from tests.scenes.commands import wait_until

from assise.errors import BusyError, TargetError, UsageError, ViolationError
from assise.postgres import made
from assise.postgres.connection import Connection
from assise.postgres.steps import LOCK_TIMEOUT_S, Runner
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
BUILDS = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%%' AND wait_event IS NOT NULL AND datname = current_database()"
INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"


@contextmanager
def holding(database: str, *statements: str) -> Iterator[psycopg.Connection]:
    """A transaction of another session, open until the end of the block."""
    with psycopg.connect(database) as other:
        for statement in statements:
            other.execute(statement.encode())
        yield other
        other.rollback()


def begin_apply(project: Project, database: str) -> subprocess.Popen[bytes]:
    """The command in a process of its own."""
    place = str(project.path.parent)
    command = [sys.executable, "-m", "assise", "schema", "apply", "-f", place, "--to", database]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def add_indexes(project: Project) -> None:
    """A revision of two steps that no transaction may be around."""
    change(project, "indexes: [[state, -price]]", "indexes: [[state, -price], [price], [state]]")
    revise(project, "indexes")


@pytest.mark.contract
def test_a_killed_build_of_an_index_is_begun_again(
    shop: Project, query: Query, database: str
) -> None:
    add_indexes(shop)
    with holding(database, "INSERT INTO orders (state) VALUES ('open')"):
        process = begin_apply(shop, database)
        wait_until(lambda: query(BUILDS) == [(1,)], "the moment")
        kill(process)
        wait_until(lambda: query(BUILDS) == [(0,)], "the moment")
    assert query(INVALID) == [(1,)]
    assert query("SELECT step, is_done FROM assise.step") == [(1, False)]
    assert shop.revisions().status().exit_code == 3
    assert shop.revisions().apply().steps == {"0002 indexes": 2}
    assert query(INVALID) == [(0,)]
    check_same(shop)


def test_what_a_part_refuses_is_refused_before_the_first_step(shop: Project, query: Query) -> None:
    change(shop, "tables:", "analytics: {timezone: Europe/Paris}\ntables:")
    shop.revisions().apply()
    query("INSERT INTO assise.analytics_zone VALUES ('other', 'Asia/Tokyo') RETURNING 1")
    add_indexes(shop)
    with pytest.raises(UsageError, match="'other' counts the same events in Asia/Tokyo"):
        shop.revisions().apply()
    assert query("SELECT count(*) FROM assise.step") == [(0,)]


@pytest.mark.soak
def test_the_steps_done_before_a_kill_are_taken_back(
    shop: Project, query: Query, database: str
) -> None:
    add_indexes(shop)
    with holding(database, "INSERT INTO orders (state) VALUES ('open')"):
        process = begin_apply(shop, database)
        wait_until(lambda: query(BUILDS) == [(1,)], "the moment")
        kill(process)
        wait_until(lambda: query(BUILDS) == [(0,)], "the moment")
    assert shop.revisions().revert().steps == {"0002 indexes": 1}
    assert query(INVALID) == [(0,)]
    assert query("SELECT max(number) FROM assise.revision") == [(1,)]
    assert shop.revisions().status().drift.is_empty


def write_fill(project: Project) -> None:
    """A revision by hand that fills a column in batches of 100 rows."""
    change(project, "state: {type: text}", 'state: {type: text, comment: "filled"}')
    text = revise(project, "fill")
    marks = "-- assise: up\n\n-- assise: batch orders 100\n"
    update = "UPDATE orders SET state = 'old' WHERE state = 'new' OR state IS NULL;\n"
    text = text.replace("-- assise: up\n", marks + update).replace("undoes 1", "undoes 2")
    (folder_of(project) / "0002_fill.sql").write_text(text)


def test_batches_go_on_behind_the_last_key(shop: Project, query: Query, database: str) -> None:
    write_fill(shop)
    row = "(SELECT id FROM orders ORDER BY id OFFSET 150 LIMIT 1)"
    locked = f"SELECT FROM orders WHERE id = {row} FOR UPDATE"
    with holding(database, locked):
        process = begin_apply(shop, database)
        wait_until(lambda: query("SELECT to_regclass('assise.step')") != [(None,)], "the moment")
        keys = "SELECT count(*) FROM assise.step WHERE last_key IS NOT NULL"
        wait_until(lambda: query(keys) == [(1,)], "the first batch")
        kill(process)
    assert query("SELECT count(*) FROM orders WHERE state = 'old'") == [(100,)]
    first = query("SELECT xmin FROM orders ORDER BY id LIMIT 100")
    shop.revisions().apply()
    assert query("SELECT DISTINCT state FROM orders") == [("old",)]
    assert query("SELECT xmin FROM orders ORDER BY id LIMIT 100") == first
    assert query("SELECT count(DISTINCT xmin::text) FROM orders") == [(3,)]


def test_a_lock_that_cannot_be_had_names_who_has_it(database: str) -> None:
    said: list[str] = []
    with Connection(database) as connection:
        connection.execute("CREATE TABLE t (a int)")
        with holding(database, "LOCK TABLE t") as other:
            runner = Runner(connection, said.append, tries=1, lock_timeout_s=1)
            pid = other.info.backend_pid
            with pytest.raises(BusyError, match=f"process {pid}.*LOCK TABLE t") as refused:
                runner.run_together(["ALTER TABLE t ADD b int"], ["t"], lambda: None)
            assert "the same command goes on" in refused.value.remedy
        runner.run_together(["ALTER TABLE t ADD b int"], ["t"], lambda: None)


def test_a_step_that_locks_two_tables_gives_way_before_a_deadlock_is_looked_for(
    shop: Project, database: str
) -> None:
    """The writer waits first, so that the server would end it and not the step."""
    del shop
    is_written = threading.Event()

    def write(other: psycopg.Connection) -> None:
        with Connection(database) as watcher:
            locked = "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND mode = 'AccessExclusiveLock' AND granted"
            wait_until(lambda: watcher.scalar(locked) == 1, "the step")
        other.execute("UPDATE orders SET state = 'new' WHERE state = 'none'")
        other.commit()
        is_written.set()

    with holding(database, "UPDATE users SET name = 'Bea' WHERE name = ''") as other:
        thread = threading.Thread(target=write, args=[other])
        thread.start()
        with Connection(database) as connection:
            statements = [
                "LOCK TABLE orders",
                "SELECT pg_sleep(0.3)",
                "ALTER TABLE orders DROP CONSTRAINT orders_user_id_fkey",
            ]
            Runner(connection, print).run_together(statements, ["orders"], lambda: None)
        thread.join()
    assert is_written.is_set()


def test_changes_in_place_give_way_to_others_too_and_name_them(
    shop_before: Project, database: str, query: Query
) -> None:
    change(shop_before, "indexes: [[state, -price]]", "indexes: [[state, -price], [price]]")
    said: list[str] = []
    with holding(database, "LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE") as other:

        def tell(line: str) -> None:
            said.append(line)
            if "waiting for a lock" in line:
                other.rollback()

        pid = other.info.backend_pid
        Project(shop_before.path, to=database, log=tell).load()
    assert any(f"waiting for a lock; process {pid}" in line for line in said)
    assert query("SELECT to_regclass('orders_price_idx') IS NOT NULL") == [(True,)]


@pytest.mark.parametrize(
    "key", ["search: {title: name}", "audit: true"], ids=lambda key: key.partition(":")[0]
)
def test_so_do_parts_that_make_triggers(
    shop: Project, database: str, query: Query, key: str
) -> None:
    change(shop, "collection: users\n", f"collection: users\n    {key}\n")
    said: list[str] = []
    with holding(database, "UPDATE users SET name = name") as other:

        def tell(line: str) -> None:
            said.append(line)
            if "waiting for a lock" in line:
                other.rollback()

        pid = other.info.backend_pid
        Project(shop.path, to=database, log=tell).load()
    assert any(f"waiting for a lock; process {pid}" in line for line in said)
    assert query("SELECT count(*) FROM pg_trigger WHERE tgname ~ '^_(search|audit)_'") == [(4,)]


def test_a_session_that_keeps_its_lock_is_named_by_what_gives_up(
    shop: Project, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made, "TRIES", 1)
    change(shop, "collection: users\n", "collection: users\n    audit: true\n")
    with holding(database, "UPDATE users SET name = name") as other:
        pid = other.info.backend_pid
        with pytest.raises(TargetError, match=rf"log was not changed; .* process {pid}"):
            shop.load()
    assert shop.load().was_done


def test_an_index_that_rows_break_is_dropped(database: str) -> None:
    with Connection(database) as connection:
        connection.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)")
        runner, notes = Runner(connection, print), list[str]()
        build = "CREATE UNIQUE INDEX CONCURRENTLY u ON t (a)"
        with pytest.raises(TargetError, match="could not create unique index"):
            runner.run_alone(build, "u", lambda: notes.append("begin"), lambda: notes.append("end"))
        assert notes == ["begin"]
        assert connection.scalar("SELECT to_regclass('u')") is None


@pytest.mark.contract
def test_old_rows_are_checked_while_others_read_and_write(
    shop: Project, query: Query, database: str
) -> None:
    """The check waits at its first row, so that the locks of its step can be looked at."""
    waits = "pg_advisory_xact_lock_shared(7) IS NOT NULL"
    change(shop, "state: {type: text}", f'state: {{type: text, check: "{waits}"}}')
    revise(shop, "check")
    held = """SELECT held.mode FROM pg_locks AS held JOIN pg_locks AS waits USING (pid, database)
        WHERE held.relation = 'orders'::regclass AND held.granted
        AND waits.locktype = 'advisory' AND waits.objid = 7 AND NOT waits.granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    found = set[tuple[object, ...]]()

    def looks() -> bool:
        found.update(query(held))
        return bool(found)

    with holding(database, "SELECT pg_advisory_lock(7)") as other:
        process = begin_apply(shop, database)
        wait_until(looks, "the check of the first row")
        assert found == {("ShareUpdateExclusiveLock",)}
        other.execute("SELECT pg_advisory_unlock(7)")
        assert process.wait() == 0
    check_same(shop)


def test_two_deployments_at_once_apply_once(shop: Project, query: Query, database: str) -> None:
    add_indexes(shop)
    with ThreadPoolExecutor() as executor:
        projects = [Project(shop.path, to=database) for _ in range(2)]
        applied = [executor.submit(each.revisions().apply) for each in projects]
        steps = [each.result().steps for each in applied]
    assert sorted(map(len, steps)) == [0, 1]
    check_same(shop)
    assert query("SELECT number, state FROM assise.revision ORDER BY 1")[1:] == [(2, "applied")]


@pytest.mark.contract
def test_a_writer_whose_statements_fit_both_forms_sees_no_error(
    shop: Project, database: str
) -> None:
    change(shop, "email: {type: text, unique: true}", "email: {type: text, not_null: true}")
    change(
        shop, "state: {type: text}", "state: {type: text, check: \"state <> ''\"}\n      note: text"
    )
    change(
        shop,
        "indexes: [[state, -price]]",
        "indexes: [[price], {columns: [state, id], unique: true}]",
    )
    revise(shop, "much")
    is_over, written = threading.Event(), list[int]()

    def write() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            while not is_over.is_set():
                connection.execute(
                    "INSERT INTO users (name, email) VALUES ('n', gen_random_uuid())"
                )
                connection.execute(
                    "UPDATE orders SET state = 'seen' WHERE price = 9.5 AND state IS NULL"
                )
                written.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(lambda: bool(written), "the moment")
        for verb in (shop.revisions().apply, shop.revisions().revert, shop.revisions().apply):
            verb()
            written.clear()
            wait_until(lambda: bool(written) or not writer.is_alive(), "a row written")
    finally:
        is_over.set()
        writer.join()
    assert written
    check_same(shop)


def test_rows_that_break_a_step_name_its_line_and_the_way_out(shop: Project, query: Query) -> None:
    change(shop, "state: {type: text}", "state: {type: text, values: [sent]}")
    change(shop, "who buys", "buyers")
    revise(shop, "sent")
    with pytest.raises(
        ViolationError, match=r"0002_sent\.sql:\d+: .*orders_state_check"
    ) as refused:
        shop.revisions().apply()
    assert "assise schema revert" in refused.value.remedy
    assert shop.revisions().status().revisions[1].state == "begun"
    query("UPDATE orders SET state = 'sent'")
    shop.revisions().apply()
    check_same(shop)


def test_undo_forgets_the_revisions(shop: Project, query: Query) -> None:
    assert shop.undo(confirm=confirm).is_done
    assert query("SELECT to_regnamespace('assise'), to_regclass('users')") == [(None, None)]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("ALTER TABLE nowhere ADD COLUMN a int", 'relation "nowhere" does not exist'),
        ("UPDATE orders SET nothing = 1", 'column "nothing" of relation'),
        ("UPDATE orders SET price = 1 / (price - 9.5)", "division by zero"),
        ("INSERT INTO users (id) SELECT id FROM users LIMIT 1", "users_pkey"),
        ("SELECT nothing(1)", "function nothing(integer) does not exist"),
    ],
)
def test_wrong_sql_is_named_with_its_line_and_what_was_done_is_taken_back(
    shop: Project, query: Query, statement: str, says: str
) -> None:
    change(shop, "who buys", "buyers")
    text = revise(shop, "buyers")
    path = folder_of(shop) / "0002_buyers.sql"
    path.write_text(text.replace("-- assise: down", f"{statement};\n\n-- assise: down", 1))
    with pytest.raises(TargetError, match=rf"0002_buyers\.sql:\d+: .*{re.escape(says)}") as refused:
        shop.revisions().apply()
    assert "assise schema revert" in refused.value.remedy
    assert query("SELECT step, is_done FROM assise.step") == [(1, True)]
    shop.revisions().revert()
    assert query("SELECT max(number) FROM assise.revision") == [(1,)]
    assert shop.revisions().status().drift.is_empty


def test_a_full_disk_leaves_a_revision_that_goes_on(shop: Project, query: Query) -> None:
    add_indexes(shop)
    body = "BEGIN RAISE disk_full USING MESSAGE = 'could not extend file'; END"
    query(f"CREATE FUNCTION full_disk() RETURNS event_trigger LANGUAGE plpgsql AS '{quoted(body)}'")
    query(
        "CREATE EVENT TRIGGER full_disk ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION full_disk()"
    )
    with pytest.raises(TargetError, match="could not extend file"):
        shop.revisions().apply()
    query("DROP EVENT TRIGGER full_disk; DROP FUNCTION full_disk")
    assert query(INVALID) == [(0,)]
    assert query("SELECT step, is_done FROM assise.step") == [(1, False)]
    assert shop.revisions().apply().steps == {"0002 indexes": 2}
    check_same(shop)


def quoted(text: str) -> str:
    return text.replace("'", "''")


def write_much(project: Project) -> None:
    """A revision with steps of each kind."""
    change(project, "email: {type: text, unique: true}", "email: {type: text, not_null: true}")
    change(
        project,
        "state: {type: text}",
        "state: {type: text, check: \"state <> ''\"}\n      note: {type: text, default: x, not_null: true}",
    )
    change(
        project,
        "indexes: [[state, -price]]",
        "indexes: [[price], [note], {columns: [state, id], unique: true}]",
    )
    revise(project, "much")


@pytest.mark.soak
def test_kills_anywhere_end_up_and_down_where_no_kill_does(
    shop: Project, query: Query, database: str
) -> None:
    write_much(shop)
    random, kills = Random(), 0
    for verb in ("apply", "revert", "apply"):
        for _ in range(60):
            place = str(shop.path.parent)
            command = [
                sys.executable,
                "-m",
                "assise",
                "schema",
                verb,
                "-f",
                place,
                "--to",
                database,
            ]
            command += ["--drop", "orders.note"]
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            done = "SELECT count(*) FROM assise.step"
            before, steps = query(done), random.randrange(1, 4)
            while process.poll() is None and abs(query(done)[0][0] - before[0][0]) < steps:  # type: ignore[operator]
                pass
            if process.poll() is None:
                process.kill()
                kills += 1
            process.wait()
            if process.returncode in {0, 2}:
                break
        wait_until(lambda: query(BUILDS) == [(0,)], "the end of what was killed")
    assert kills > 5
    assert query(INVALID) == [(0,)]
    check_same(shop)
    assert shop.verify().exit_code == 0


@pytest.mark.soak
def test_a_writer_waits_no_longer_than_a_lock_is_tried_for(shop: Project, database: str) -> None:
    write_much(shop)
    is_over, waits = threading.Event(), list[float]()

    def write() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            while not is_over.is_set():
                began = monotonic()
                connection.execute(
                    "INSERT INTO users (name, email) VALUES ('n', gen_random_uuid())"
                )
                connection.execute("UPDATE orders SET state = 'seen' WHERE state = 'none'")
                waits.append(monotonic() - began)

    def report() -> None:
        with holding(database, "SELECT count(*) FROM users, orders"):
            is_over.wait(5)

    threads = [threading.Thread(target=write), threading.Thread(target=report)]
    for thread in threads:
        thread.start()
    try:
        for verb in (shop.revisions().apply, shop.revisions().revert, shop.revisions().apply):
            verb(drop=["orders.note"])
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert len(waits) > 10
    assert max(waits) < LOCK_TIMEOUT_S + 0.2
    check_same(shop)
