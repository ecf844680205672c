"""Small collections share transactions and queries: a server that is far away is asked seldom."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from bson import ObjectId
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.dumps import confirm, write_dump
from tests.scenes.commands import Scene
from tests.scenes.moments import hold_before_rows

from assise.postgres import server
from assise.postgres.connection import Connection
from assise.postgres.queries import QUERIES
from assise.project import Project
from assise.transfer.report import Verified

Query = Callable[..., list[tuple[object, ...]]]
MOST_A_TABLE = 3


class Counter:
    """Passes bytes between clients and a server, and counts how often a client waits for it."""

    def __init__(self, folder: Path, server: str) -> None:
        self.turns, self._server = 0, server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more clients."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            said = [""]
            for source, target, name in ((client, server, "client"), (server, client, "server")):
                Thread(target=self._pass, args=[source, target, name, said], daemon=True).start()

    def _pass(
        self, source: socket.socket, target: socket.socket, name: str, said: list[str]
    ) -> None:
        try:
            while content := source.recv(1 << 16):
                if name == "client" and said[0] != name:
                    self.turns += 1
                said[0] = name
                target.sendall(content)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            source.close()


@pytest.fixture
def counter(database: str, short_folder: Path) -> Iterator[tuple[Counter, str]]:
    """A counter before the server, and the connection string that leads through it."""
    parts = conninfo_to_dict(database)
    folder = short_folder / f"through_{parts['dbname']}"
    folder.mkdir()
    counter = Counter(folder, f"{parts['host']}/.s.PGSQL.{parts.get('port', 5432)}")
    yield counter, make_conninfo(database, host=str(folder), port="5432")
    counter.close()


@pytest.mark.parametrize(
    ("children", "schema"), [pytest.param(0, "", marks=pytest.mark.soak), (1, ""), (0, "s")]
)
def test_a_small_collection_takes_few_round_trips(
    tmp_path: Path, counter: tuple[Counter, str], children: int, schema: str
) -> None:
    turns: dict[int, list[int]] = {}
    for count in (10, 30):
        names = [f"c{count}_{n}" for n in range(count)]
        items = {"items": [{"a": 1}, {"a": 2}]} if children else {}
        documents = {name: [{"_id": ObjectId(), **items} for _ in range(3)] for name in names}
        folder = tmp_path / str(count)
        folder.mkdir()
        dump = write_dump(folder / f"app{count}", documents)
        project = Project(folder, to=counter[1], settings={"workers": 1})
        project.write_manifest(project.infer(dump))
        if schema:
            text = project.path.read_text()
            named = re.sub(r"^  c(\d+_)(\d+):", rf"  {schema}\1\2.c\1\2:", text, flags=re.MULTILINE)
            project.path.write_text(named)
        turns[count] = []
        for verb in (project.load, project.verify):
            before = counter[0].turns
            report = verb(dump, confirm=confirm) if verb == project.load else verb(dump)
            assert report.documents == 3 * count
            turns[count].append(counter[0].turns - before)
    a_table = [
        (many - few) / 20 / (1 + children) for few, many in zip(turns[10], turns[30], strict=True)
    ]
    assert max(a_table) <= MOST_A_TABLE, a_table


def test_documents_of_collections_that_share_a_transaction_are_all_loaded_or_rejected(
    project: Project, tmp_path: Path, query: Query
) -> None:
    ids = [ObjectId() for _ in range(3)]
    documents: dict[str, list[dict[str, object]]] = {
        f"c{n}": [{"_id": key, "items": [{"n": 1}]} for key in ids] for n in range(12)
    }
    documents["c5"].append({"_id": ids[0]})
    report = project.migrate(write_dump(tmp_path / "app", documents), confirm=confirm)
    assert (report.loaded, report.rejected, report.exit_code) == (36, 1, 3)
    assert query("SELECT count(*), sum(documents) FROM assise.chunk") == [(12, 37)]
    assert query("SELECT collection FROM assise.reject") == [("c5",)]


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.soak), 2])
def test_a_load_that_is_killed_while_collections_share_a_transaction_has_none_or_all_of_them(
    tmp_path: Path, database: str, query: Query, workers: int
) -> None:
    documents: dict[str, list[dict[str, object]]] = {
        f"c{n}": [{"_id": k, "items": [{"n": k}]} for k in range(5)] for n in range(12)
    }
    documents["c9"].append({"_id": 0})
    dump = write_dump(tmp_path / "app", documents)
    arguments = ["--to", database, "--yes", "--workers", str(workers)]
    scene = Scene(tmp_path, dump, database, arguments, chunk_bytes=1 << 20)
    project = Project(tmp_path, to=database)
    project.write_manifest(project.infer(dump))
    before_rows = hold_before_rows(scene, "c9")
    scene.hold("LOCK TABLE c9 IN ACCESS EXCLUSIVE MODE")
    before_rows.rollback()
    scene.wait_blocked('COPY "public"."c9"')
    assert query("SELECT count(*) FROM c0") == [(0,)]
    scene.command.end(signal.SIGKILL)
    assert query("SELECT count(*) FROM assise.chunk") == [(0,)]
    scene.release()
    # A worker process may go on for a moment after the command, and then chunk by chunk.
    assert query("SELECT count(*) FROM assise.chunk WHERE documents NOT IN (5, 6)") == [(0,)]
    assert scene.run("load").code == 3
    assert query("SELECT sum(loaded), sum(rejected) FROM assise.chunk") == [(60, 1)]
    counts = " UNION ALL ".join(f"SELECT count(*) AS n FROM c{n}_items" for n in range(12))
    assert query(f"SELECT sum(n) FROM ({counts}) AS of_tables") == [(60,)]
    assert project.verify(dump).verified == Verified(equal=60)
    assert not project.undo(dry_run=True).tables[0].edits
    scene.close()


def test_collections_share_no_more_transactions_than_the_server_has_locks_for(
    project: Project,
    tmp_path: Path,
    query: Query,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Connection(database) as connection:
        locks = int(str(connection.scalar(QUERIES["locks"])))
    monkeypatch.setattr(server, "LOCKS_OF_TABLE", locks // 10)
    documents: dict[str, list[dict[str, object]]] = {f"c{n}": [{"_id": n}] for n in range(12)}
    project.migrate(write_dump(tmp_path / "app", documents), confirm=confirm)
    assert query("SELECT count(*) FROM assise.chunk GROUP BY xid::text ORDER BY 1") == [
        (2,),
        (5,),
        (5,),
    ]


def test_collections_without_a_reject_share_one_transaction(
    project: Project, tmp_path: Path, query: Query
) -> None:
    documents: dict[str, list[dict[str, object]]] = {f"c{n}": [{"_id": n}] for n in range(12)}
    project.migrate(write_dump(tmp_path / "app", documents), confirm=confirm)
    assert query("SELECT count(*), count(DISTINCT xid::text) FROM assise.chunk") == [(12, 1)]
