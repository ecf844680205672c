"""Revisions beside other sessions: kills, locks, two deployments at once, rows batch by batch."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from tests.dumps import confirm
from tests.revisions.changing import change, check_same, folder_of, revise
from tests.scenes.commands import wait_until

from assise.errors import BusyError, TargetError, ViolationError
from assise.postgres.connection import Connection
from assise.postgres.steps import Runner
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


def test_an_index_that_rows_break_is_dropped(database: str) -> None:
    with Connection(database) as connection:
        connection.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)")
        runner, notes = Runner(connection, print), list[str]()
        build = "CREATE UNIQUE INDEX CONCURRENTLY u ON t (a)"
        with pytest.raises(TargetError, match="could not create unique index"):
            runner.run_alone(build, "u", lambda: notes.append("begin"), lambda: notes.append("end"))
        assert notes == ["begin"]
        assert connection.scalar("SELECT to_regclass('u')") is None


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
