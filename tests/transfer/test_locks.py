"""More tables than the server has locks for: every verb goes on, in one snapshot where it reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from bson import ObjectId, decode_file_iter
from psycopg.errors import OutOfMemory
from tests.dumps import confirm, write_dump

from assise.postgres.connection import Connection
from assise.postgres.embedded import Embedded
from assise.postgres.reading import Reading
from assise.postgres.server import count_tables_at_once
from assise.project import Project

FEW_LOCKS = {
    "max_locks_per_transaction": "10",
    "max_connections": "10",
    "max_worker_processes": "1",
    "max_wal_senders": "0",
    "autovacuum_worker_slots": "1",
    "fsync": "off",
}
COUNT = 300


@pytest.fixture
def server_with_few_locks(short_folder: Path) -> Iterator[str]:
    """The connection string of a database on a server with as few locks as it takes."""
    embedded = Embedded(short_folder / "few" / ".assise")
    embedded.start(settings=FEW_LOCKS)
    yield embedded.conninfo("postgres")
    embedded.stop(immediate=True)


def test_every_verb_works_on_more_tables_than_the_server_has_locks_for(
    tmp_path: Path, server_with_few_locks: str
) -> None:
    ids = [ObjectId() for _ in range(COUNT)]
    names = [f"c{n}" for n in range(COUNT)]
    documents = {name: [{"_id": key}] for name, key in zip(names, ids, strict=True)}
    dump = write_dump(tmp_path / "app", documents)
    project = Project(tmp_path, to=server_with_few_locks, settings={"workers": 2})
    assert project.migrate(dump, confirm=confirm).exit_code == 0
    with psycopg.connect(server_with_few_locks) as session, pytest.raises(OutOfMemory):
        session.execute("; ".join(f"SELECT FROM {name}" for name in names).encode())
    alone = Project(tmp_path, to=server_with_few_locks, settings={"workers": 1})
    assert alone.verify(dump).exit_code == 0
    exported = project.export_folder(tmp_path / "out")
    assert [each.documents for each in exported] == [1] * COUNT
    with (tmp_path / "out" / "app" / "c0.bson").open("rb") as file:
        assert [*decode_file_iter(file)] == [{"_id": ids[0]}]
    assert project.undo(confirm=confirm).is_done


def test_what_is_read_after_locks_were_given_back_is_the_same_snapshot(database: str) -> None:
    with Connection(database) as one, Connection(database) as other:
        for name in "ab":
            other.execute(f"CREATE TABLE {name} AS SELECT 1 AS n")
        with one.transaction(isolation="REPEATABLE READ"):
            reading = Reading(one, sessions=count_tables_at_once(one))
            reading.open(1)
            assert one.scalar("SELECT n FROM a") == 1
            other.execute("UPDATE b SET n = 2")
            reading.open(1)
            held = "SELECT count(*) FROM pg_locks WHERE relation = 'a'::regclass"
            assert other.scalar(held) == 0
            assert one.scalar("SELECT n FROM b") == 1
