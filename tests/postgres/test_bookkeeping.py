"""Bookkeeping: parts side by side in schema assise, each upgraded whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from tests.dumps import confirm, write_dump

import assise
from assise.errors import BusyError, TargetError
from assise.postgres import bookkeeping, locks
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.project import Project
from assise.transfer.ledger import LEDGER

Query = Callable[..., list[tuple[object, ...]]]
FILES = {
    "0001_note.sql": "-- Notes.\nCREATE TABLE assise.note (text text);",
    "0002_more.sql": "ALTER TABLE assise.note ADD number int;",
    "0003_fill.sql": "INSERT INTO assise.note VALUES ('filled', 3);",
}
PARTS = "SELECT name, version FROM assise.part ORDER BY name"
COLUMNS = """SELECT attname::text FROM pg_attribute
    WHERE attrelid = to_regclass('assise.note') AND attnum > 0 ORDER BY attnum"""


def make_part(folder: Path, versions: int) -> Bookkeeping:
    """A second part, which has so many of its files."""
    folder.mkdir(exist_ok=True)
    for name in sorted(FILES)[:versions]:
        (folder / name).write_text(FILES[name])
    (folder / "queries.sql").write_text("-- no file of a version")
    return Bookkeeping("notes", folder)


@pytest.mark.contract
@pytest.mark.parametrize("table", ["part", *LEDGER.tables])
def test_a_table_of_the_ledger_that_is_gone_is_named_by_every_verb(
    project: Project, tmp_path: Path, query: Query, table: str
) -> None:
    dump = write_dump(tmp_path / "app", {"users": [{"_id": n} for n in range(3)]})
    project.migrate(dump, confirm=confirm)
    query(f"DROP TABLE assise.{table} CASCADE")
    verbs: list[Callable[[], object]] = [
        partial(project.load, dump, confirm=confirm),
        partial(project.verify, dump),
        partial(project.repair, dump, confirm=confirm),
        partial(project.export_folder, tmp_path / "out"),
        partial(project.undo, confirm=confirm),
        project.rejects,
    ]
    for verb in verbs:
        with pytest.raises(TargetError, match=rf"some are gone: assise\.{table}\n") as error:
            verb()
        assert "DROP SCHEMA assise CASCADE" in error.value.remedy
    assert query("SELECT count(*) FROM users") == [(3,)]
    query("DROP TABLE users")
    query("DROP SCHEMA assise CASCADE")
    assert project.migrate(dump, confirm=confirm).exit_code == 0


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_files_are_applied_in_order_from_every_version(
    tmp_path: Path, database: str, query: Query, start: int
) -> None:
    with Connection(database) as connection:
        if start:
            bookkeeping.ensure(connection, make_part(tmp_path / "sql", start))
            assert query(PARTS) == [("notes", start)]
        for _ in range(2):
            bookkeeping.ensure(connection, make_part(tmp_path / "sql", 3))
    assert query(PARTS) == [("notes", 3)]
    assert query(COLUMNS) == [("text",), ("number",)]
    assert query("SELECT * FROM assise.note") == [("filled", 3)]


def test_steps_run_behind_their_files_in_the_same_transaction(
    tmp_path: Path, database: str, query: Query
) -> None:
    def step(connection: Connection) -> None:
        connection.execute("INSERT INTO assise.note VALUES ('step', 2)")

    folder = make_part(tmp_path / "sql", 3).folder
    with Connection(database) as connection:
        bookkeeping.ensure(connection, Bookkeeping("notes", folder, steps={2: step}))
    assert query("SELECT text FROM assise.note ORDER BY number") == [("step",), ("filled",)]


@pytest.mark.contract
@pytest.mark.parametrize("start", [0, 1])
def test_an_upgrade_that_fails_leaves_everything_as_it_was(
    tmp_path: Path, database: str, query: Query, start: int
) -> None:
    catalog = "SELECT relname::text FROM pg_class WHERE oid >= 16384 ORDER BY 1"
    with Connection(database) as connection:
        if start:
            bookkeeping.ensure(connection, make_part(tmp_path / "sql", start))
        before = query(catalog)
        part = make_part(tmp_path / "sql", 2)
        (tmp_path / "sql" / "0003_fill.sql").write_text("SELECT 1 / 0")
        with pytest.raises(TargetError, match="division by zero"):
            bookkeeping.ensure(connection, part)
        assert query(catalog) == before
        make_part(tmp_path / "sql", 3)
        bookkeeping.ensure(connection, part)
    assert query(PARTS) == [("notes", 3)]


def test_a_newer_database_refuses_an_older_program(
    tmp_path: Path, database: str, query: Query
) -> None:
    with Connection(database) as connection:
        bookkeeping.ensure(connection, make_part(tmp_path / "new", 3))
        with pytest.raises(
            TargetError, match=r"part notes in .* has version 3, this program knows version 2"
        ) as error:
            bookkeeping.ensure(connection, make_part(tmp_path / "old", 2))
    assert error.value.remedy == "Use a newer Assise."
    assert query(PARTS) == [("notes", 3)]


def test_programs_that_begin_at_once_all_succeed(
    tmp_path: Path, database: str, query: Query
) -> None:
    part, failed = make_part(tmp_path / "sql", 3), list[BaseException]()

    def begin() -> None:
        try:
            with Connection(database) as connection:
                bookkeeping.ensure(connection, part)
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    with psycopg.connect(database) as other:
        other.execute("CREATE SCHEMA assise")
        threads = [Thread(target=begin) for _ in range(4)]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert query("SELECT * FROM assise.note") == [("filled", 3)]


def test_two_parts_stand_side_by_side_and_go_one_by_one(
    tmp_path: Path, project: Project, database: str, query: Query
) -> None:
    part = make_part(tmp_path / "sql", 3)
    with Connection(database) as connection:
        bookkeeping.ensure(connection, part)
    dump = write_dump(tmp_path / "app", {"users": [{"_id": 1, "name": "x"}]})
    project.migrate(dump, confirm=confirm)
    assert query(PARTS) == [("notes", 3), ("transfer", LEDGER.version)]
    done = project.undo(confirm=confirm)
    assert done.drops_ledger
    assert done.others == ["table assise.note", "table assise.part"]
    assert query(PARTS) == [("notes", 3)]
    assert query("SELECT * FROM assise.note") == [("filled", 3)]
    assert project.migrate(dump, confirm=confirm).loaded == 1
    with Connection(database) as connection, connection.transaction():
        connection.execute("DROP TABLE assise.note")
        assert "table assise.load" in bookkeeping.forget(connection, part)
    assert project.undo(confirm=confirm).others == []
    assert query("SELECT to_regnamespace('assise')") == [(None,)]


def test_a_lock_is_asked_for_again_and_again(database: str) -> None:
    with Connection(database) as one, Connection(database) as other:
        with locks.hold(one, "x", patience_s=1):
            with (
                pytest.raises(BusyError, match="another session holds the lock 'x'"),
                locks.hold(other, "x", patience_s=0.2),
            ):
                pass
            with locks.hold(other, "y", patience_s=0):
                assert locks.is_held_by(one, other.pid, "y")
                assert not locks.is_held_by(one, one.pid, "y")
        with locks.hold(other, "x", patience_s=0):
            pass


@pytest.mark.contract
def test_a_lock_that_is_waited_for_does_not_hinder_an_index_from_being_built(database: str) -> None:
    with Connection(database) as one, Connection(database) as other:
        one.execute("CREATE TABLE mine (n int)")
        failed = list[BaseException]()

        def wait() -> None:
            try:
                with locks.hold(other, "x", patience_s=20):
                    pass
            except BaseException as error:  # noqa: BLE001
                failed.append(error)

        with locks.hold(one, "x", patience_s=1):
            thread = Thread(target=wait)
            thread.start()
            one.execute("SET statement_timeout = '10s'")
            one.execute("CREATE INDEX CONCURRENTLY ON mine (n)")
        thread.join()
    assert failed == []


def test_the_files_of_every_part_are_numbered_and_say_what_they_are() -> None:
    root = Path(assise.__file__).parent
    folders = [folder for folder in root.glob("*/sql") if folder.is_dir()]
    assert {folder.parent.name for folder in folders} == {
        *("access", "analytics", "audit", "cache", "identity", "postgres", "revisions", "search"),
        *("transfer", "worker"),
    }
    for folder in folders:
        names = sorted(file.name for file in folder.glob("*.sql") if file.name != "queries.sql")
        assert all(re.fullmatch(r"\d{4}_[a-z]+\.sql", name) for name in names)
        assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
        assert all((folder / name).read_text().startswith("-- ") for name in names)
