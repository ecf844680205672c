"""Several worker processes: the same result as one, whatever ends the command or one of them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.dumps import write_dump
from tests.scenes import moments
from tests.scenes.app import SMALL, key
from tests.scenes.commands import SESSIONS, SOURCES, Scene, read_state, wait_until, workers_of
from tests.scenes.hostile import document, field, int32, numbered, string
from tests.scenes.undisturbed import Undisturbed, check_end_of_several, list_rows

from assise.errors import ChangedError, WorkerError
from assise.manifest.layout import Layout
from assise.postgres.connection import Connection
from assise.project import Project
from assise.schema.sql import create_tables
from assise.transfer import creation, ledger
from assise.transfer.report import Verified
from assise.transfer.workers import number, pool

# The server reports a deadlock, twice, for the chunk that holds the first key, while the last one,
# with the other key, takes its time; the third time all other chunks must be there.
DEADLOCKS = """CREATE SEQUENCE tries;
CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF new.id = objectid_to_uuid('{1}') THEN
        WHILE (SELECT last_value < 2 FROM tries) LOOP PERFORM pg_sleep(0.01); END LOOP;
        PERFORM pg_sleep(1);
        RETURN new;
    END IF;
    IF nextval('tries') < 3 THEN RAISE deadlock_detected; END IF;
    ASSERT (SELECT count(*) = 2 FROM assise.chunk);
    RETURN new;
END $$;
CREATE TRIGGER deadlock BEFORE INSERT ON users FOR EACH ROW
WHEN (new.id IN (objectid_to_uuid('{0}'), objectid_to_uuid('{1}')))
EXECUTE FUNCTION deadlock();"""


@pytest.fixture(params=[pytest.param(2, marks=pytest.mark.soak), 4])
def scene(
    request: pytest.FixtureRequest, undisturbed: Undisturbed, tmp_path: Path, database: str
) -> Iterator[Scene]:
    """An empty target, and a folder with the manifest of the undisturbed run; several workers."""
    (tmp_path / "assise.yaml").write_text(undisturbed.manifest)
    scene = Scene(
        tmp_path,
        undisturbed.dump,
        database,
        ["--to", database, "--yes", "--workers", str(request.param)],
    )
    yield scene
    scene.close()


def test_several_workers_reach_the_end_of_one(scene: Scene, undisturbed: Undisturbed) -> None:
    check_end_of_several(scene, undisturbed, scene.run("migrate"))


def test_infer_writes_the_same_file_whoever_reads(tmp_path: Path, undisturbed: Undisturbed) -> None:
    packed = write_dump(
        tmp_path / "packed",
        {name: [(undisturbed.dump / f"{name}.bson").read_bytes()] for name in ("events", "users")},
        is_packed=True,
    )
    for dump in (undisturbed.dump, packed):
        found = set()
        for workers in (1, 3):
            project = Project(
                tmp_path / f"{dump.name}{workers}.yaml",
                settings={"workers": workers, "load.chunk_bytes": undisturbed.app.chunk_bytes},
            )
            found.add(project.write_manifest(project.infer(dump)).read_text())
        assert len(found) == 1


def test_a_packed_source_with_garbage_is_read_once_and_loaded_by_several(
    undisturbed: Undisturbed, tmp_path: Path, database: str
) -> None:
    packed = write_dump(
        tmp_path / "app",
        {"events": [(undisturbed.dump / "events.bson").read_bytes()]},
        is_packed=True,
    )
    scene = Scene(tmp_path, packed, database, ["--to", database, "--yes", "--workers", "2"])
    done, events = scene.run("migrate"), undisturbed.app.events
    report = json.loads(done.stdout)
    assert (done.code, report["loaded"], report["rejected"]) == (3, events, 3)
    assert report["verified"] == {"equal": events, "different": 0, "missing": 0, "extra": 0}
    assert read_state(database)["rejects"] == [
        row for row in list_rows(undisturbed.state["rejects"]) if row[0] == "events"
    ]


def send(number: int) -> Callable[[Scene], None]:
    return lambda scene: scene.command.process.send_signal(number)


def kill_one(scene: Scene) -> None:
    os.kill(workers_of(scene)[0], signal.SIGKILL)


def kill_all(scene: Scene) -> None:
    for pid in [scene.command.process.pid, *workers_of(scene)]:
        os.kill(pid, signal.SIGKILL)


WAYS: dict[str, tuple[Callable[[Scene], None], int, str]] = {
    "the parent is killed": (send(signal.SIGKILL), -signal.SIGKILL, ""),
    "one worker is killed": (
        kill_one,
        1,
        (
            "it was killed, perhaps because memory was short\nThe same command continues where it"
            " stopped.\n"
        ),
    ),
    "all are killed": (kill_all, -signal.SIGKILL, ""),
    "Ctrl-C": (
        send(signal.SIGINT),
        130,
        "\nstopped; the same command continues where it stopped\n",
    ),
    "SIGTERM": (send(signal.SIGTERM), -signal.SIGTERM, ""),
}


def at_verify(scene: Scene) -> None:
    moments.at_finish(scene, "migrate")
    scene.hold("LOCK TABLE user_devices IN ACCESS EXCLUSIVE MODE")
    scene.sessions[0].rollback()
    scene.sessions[1].rollback()
    scene.wait_blocked(moments.READS_DEVICES)


MOMENTS: dict[str, Callable[[Scene], object]] = {
    "infer": moments.at_infer,
    "first COPY": moments.at_first_copy,
    "between commits": moments.after_chunks(10, "%"),
    "keys": moments.at_first_key,
    "verify": at_verify,
}


# `make test` takes these, in which each moment and each way occurs; the soak takes all.
OFTEN = {
    ("infer", "Ctrl-C"),
    ("first COPY", "all are killed"),
    ("between commits", "one worker is killed"),
    ("keys", "SIGTERM"),
    ("verify", "the parent is killed"),
    ("verify", "one worker is killed"),
}


@pytest.mark.parametrize("scene", [2], indirect=True)
@pytest.mark.parametrize(
    ("moment", "way"),
    [
        pytest.param(moment, way, marks=[] if (moment, way) in OFTEN else pytest.mark.soak)
        for moment in MOMENTS
        for way in WAYS
        if (moment, way) != ("keys", "one worker is killed")
    ],
)
def test_the_same_command_goes_on_whatever_ends(
    scene: Scene, undisturbed: Undisturbed, moment: str, way: str
) -> None:
    MOMENTS[moment](scene)
    act, code, words = WAYS[way]
    started, left = time.monotonic(), workers_of(scene)
    act(scene)
    done = scene.command.end()
    assert (done.code, done.stdout, "Traceback" in done.stderr) == (code, "", False)
    assert done.stderr.endswith(words)
    assert time.monotonic() - started < 10
    wait_until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), "the end of the workers"
    )
    with psycopg.connect(scene.conninfo, autocommit=True) as connection:
        wait_until(lambda: not connection.execute(SESSIONS).fetchall(), "the end of the sessions")
    scene.release()
    check_end_of_several(scene, undisturbed, scene.run(scene.command.verb))


@pytest.mark.contract
@pytest.mark.parametrize("scene", [2], indirect=True)
def test_a_lost_session_of_a_worker_is_told_as_its_own_is(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    moments.at_first_copy(scene)
    scene.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(query, 'COPY')"
        " AND datname = current_database()"
    )
    lost = scene.command.end()
    assert (lost.code, lost.stdout, "Traceback" in lost.stderr) == (1, "", False)
    assert "terminating connection due to administrator command" in lost.stderr
    assert lost.stderr.endswith(
        "When the server is back, the same command continues where it stopped.\n"
    )
    scene.release()
    check_end_of_several(scene, undisturbed, scene.run("load"))


def test_errors_of_workers_are_those_of_one(tmp_path: Path, database: str) -> None:
    dump = write_dump(
        tmp_path / "app",
        {"users": [document(int32("_id", n), field(0x0A, "x")) for n in range(2_000)]},
    )
    small = {"load.chunk_bytes": SMALL.chunk_bytes}
    project = Project(tmp_path, to=database, settings={"workers": 2} | small)
    assert project.migrate(dump, confirm=lambda _: True).exit_code == 0
    content = (dump / "users.bson").read_bytes()
    (dump / "users.bson").write_bytes(content[:-10] + b"\x08x\0\1\0"[:-4] + content[-9:])
    said: list[tuple[object, object]] = []
    for workers in (1, 2):
        project = Project(tmp_path, to=database, settings={"workers": workers} | small)
        for verb in (project.load, project.verify):
            with pytest.raises(ChangedError) as error:
                verb(dump)
            said.append((error.value.message, error.value.remedy))
    assert said[:2] == said[2:]
    assert "it has changed since it was loaded" in str(said[0][0])


def test_a_module_of_the_users_folder_is_no_module_of_a_worker(
    tmp_path: Path, database: str
) -> None:
    dump = write_dump(tmp_path / "app", {"users": numbered(2_000)})
    (tmp_path / "psycopg.py").write_text("raise SystemExit('not the right one')")
    project = Project(tmp_path, to=database, settings={"workers": 2, "load.chunk_bytes": 2_000})
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        assert project.migrate(dump, confirm=lambda _: True).verified == project.verify().verified
    finally:
        os.chdir(before)


@pytest.mark.contract
@pytest.mark.parametrize("scene", [2], indirect=True)
def test_a_chunk_that_twice_ends_in_a_deadlock_is_loaded_alone_at_the_end(
    scene: Scene, tmp_path: Path
) -> None:
    documents = [document(field(0x07, "_id", key(1, n).binary)) for n in range(2_000)]
    scene.dump = dump = write_dump(tmp_path / "app", {"users": documents})
    scene.chunk_bytes = 20_000
    (tmp_path / "assise.yaml").unlink()
    Project(tmp_path).write_manifest(Project(tmp_path).infer(dump))
    lines = moments.hold_before_rows(scene, "users")
    with psycopg.connect(scene.conninfo) as connection:
        connection.execute(DEADLOCKS.format(key(1, 100), key(1, 1_900)).encode())
    lines.rollback()
    done = scene.command.end()
    report: dict[str, Any] = json.loads(done.stdout)
    assert (done.code, report["loaded"], report["rejected"]) == (0, 2_000, 0), done.stderr
    assert scene.ask("SELECT last_value, (SELECT count(*) FROM assise.chunk) FROM tries") == [
        (3, 3)
    ]


@pytest.mark.parametrize(
    "pause", [0.02, *(pytest.param(pause, marks=pytest.mark.soak) for pause in (0, 0.05, 0.15))]
)
def test_what_a_killed_command_was_writing_to_a_worker_is_not_loaded(
    tmp_path: Path, database: str, pause: float
) -> None:
    documents = [
        document(int32("_id", n), string("text", random.Random(n).randbytes(2_500).hex()))
        for n in range(1_500)
    ]
    scene = Scene(
        tmp_path,
        write_dump(tmp_path / "app", {"users": documents}, is_packed=True),
        database,
        ["--to", database, "--yes"],
    )
    Project(tmp_path).write_manifest(Project(tmp_path).infer(scene.dump))
    scene.start("load", "--workers", "2", "--chunk-bytes", "3000000")
    with psycopg.connect(database, autocommit=True) as connection:
        wait_until(lambda: len(connection.execute(SESSIONS).fetchall()) == 2, "two sessions")
    time.sleep(pause)
    with suppress(AssertionError):
        scene.command.end(signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{scene.command.process.pid}/task").exists(), "the end")
    report = json.loads(scene.run("migrate", "--workers", "2").stdout)
    assert (report["loaded"], report["rejected"]) == (1_500, 0)
    assert report["verified"] == {"equal": 1_500, "different": 0, "missing": 0, "extra": 0}


def test_a_worker_whose_command_has_ended_does_not_begin(database: str) -> None:
    with Connection(database) as leader, Connection(database) as worker:
        ledger.lock(leader, "app", log=print)
        pid = int(str(leader.scalar("SELECT pg_backend_pid()")))
        ledger.join(worker, "app", pid)
        with pytest.raises(WorkerError):
            ledger.join(worker, "other", pid)
        leader.execute("SELECT pg_advisory_unlock_all()")
        with pytest.raises(WorkerError, match="the command that loads 'app' has ended"):
            ledger.join(worker, "app", pid)


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.soak), 2])
def test_a_source_that_changed_while_a_chunk_was_missing_is_refused_before_anything_is_loaded(
    tmp_path: Path, database: str, workers: int
) -> None:
    def dump(size: int) -> Path:
        return write_dump(
            tmp_path / "app",
            {
                "users": [
                    document(int32("_id", n), string("text", "x" * size)) for n in range(2_000)
                ]
            },
        )

    project = Project(
        tmp_path, to=database, settings={"workers": workers, "load.chunk_bytes": 20_000}
    )
    project.migrate(dump(20), confirm=lambda _: True)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "DELETE FROM users WHERE xmin IN (SELECT xid::xid FROM assise.chunk WHERE"
            " start_offset = 0)"
        )
        connection.execute("DELETE FROM assise.chunk WHERE start_offset = 0")
        connection.execute("UPDATE assise.load SET finished_at = NULL")
        before = connection.execute("SELECT count(*) FROM users").fetchall()
        with pytest.raises(ChangedError, match="it has changed since it was loaded"):
            project.load(dump(23))
        assert connection.execute("SELECT count(*) FROM users").fetchall() == before
        assert project.migrate(dump(20)).verified == Verified(equal=2_000)


def list_children() -> set[str]:
    """The processes that this one has started."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {pid for file in tasks for pid in file.read_text().split()}


@pytest.mark.parametrize(("count", "started"), [(0, 0), (2, 1), (9, 2)])
def test_workers_that_will_be_needed_start_before_their_work(count: int, started: int) -> None:
    before = list_children()
    with pool.Workers(3) as workers:
        workers.prepare("load", count)
        assert len(list_children() - before) == started
    assert list_children() == before


@pytest.mark.parametrize(("documents", "started"), [(0, 0), (20, 0), (80, 1)])
def test_as_many_workers_start_while_tables_are_made_as_have_work(
    tmp_path: Path,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    documents: int,
    started: int,
) -> None:
    monkeypatch.setattr(number, "WORKER_BYTES", 1_000)
    seen, before = list[int](), list_children()

    def create(layout: Layout, schema: str) -> list[str]:
        seen.append(len(list_children() - before))
        return create_tables(layout, schema)

    monkeypatch.setattr(creation, "create_tables", create)
    project = Project(tmp_path, to=database, settings={"workers": 4})
    users = [document(int32("_id", n), int32("n", n)) for n in range(documents)]
    dump = write_dump(tmp_path / "app", {"users": users})
    (tmp_path / "assise.yaml").write_text(
        "assise: 1\nname: app\npostgres: embedded\n"
        "tables: {users: {collection: users, primary_key: id, columns: {id: {type: int4, from: _id}}}}"
    )
    project.load(dump, confirm=lambda _: True)
    assert seen == [started]
    assert list_children() == before


def test_results_are_taken_in_the_order_of_the_chunks(tmp_path: Path) -> None:
    slow = document(
        int32("_id", 0),
        int32("first", 1),
        field(
            0x03,
            "map",
            document(*(int32(f"key {n}", n) for n in range(100_000))),
        ),
    )
    quick = [document(int32("_id", n), int32("second", n)) for n in range(1, 50)]
    project = Project(tmp_path, settings={"workers": 2, "load.chunk_bytes": 500})
    proposal = project.infer(write_dump(tmp_path / "app", {"users": [slow, *quick]}))
    assert list(proposal.manifest.tables["users"].columns) == ["id", "first", "map", "second"]


def test_workers_know_every_kind_of_key(tmp_path: Path, database: str) -> None:
    some = [
        document(
            int32("n", n),
            field(
                0x04,
                "tags",
                document(field(0x03, "0", document(int32("n", n)))),
            ),
        )
        for n in range(500)
    ]
    mixed = [document(int32("_id", n) if n % 2 else string("_id", f"{n}")) for n in range(500)]
    project = Project(tmp_path, to=database, settings={"workers": 2, "load.chunk_bytes": 2_000})
    report = project.migrate(
        write_dump(tmp_path / "app", {"without": some, "mixed": mixed}), confirm=lambda _: True
    )
    assert {
        table.columns[table.primary_key[0]].kind
        for table in project.manifest.tables.values()
        if table.collection
    } == {"offset", "any"}
    assert (report.loaded, report.verified) == (1_000, Verified(equal=1_000))


def test_the_seconds_of_a_load_are_those_that_the_ledger_keeps(
    tmp_path: Path, database: str, query: Callable[..., list[tuple[object, ...]]]
) -> None:
    dump = write_dump(tmp_path / "app", {"users": numbered(2_000)})
    project = Project(tmp_path, to=database, settings={"workers": 2, "load.chunk_bytes": 2_000})
    first, again = project.migrate(dump, confirm=lambda _: True), project.load(dump)
    ((kept,),) = query("SELECT sum(seconds)::float8 FROM assise.chunk")
    assert first.collections[0].seconds == pytest.approx(kept, abs=0.01)
    assert again.collections[0].seconds == 0


@pytest.mark.parametrize("scene", [2], indirect=True)
def test_the_seconds_of_a_collection_are_not_more_than_those_that_passed(
    scene: Scene, tmp_path: Path
) -> None:
    scene.dump = dump = write_dump(tmp_path / "app", {"users": numbered(8_000)})
    scene.chunk_bytes = 20_000
    (tmp_path / "assise.yaml").unlink()
    Project(tmp_path).write_manifest(Project(tmp_path).infer(dump))
    lines = moments.hold_before_rows(scene, "users")
    with psycopg.connect(scene.conninfo) as connection:
        connection.execute(
            """CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql
                AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN new; END $$;
            CREATE TRIGGER take_time BEFORE INSERT ON users
                FOR EACH STATEMENT EXECUTE FUNCTION take_time()"""
        )
    begun = time.monotonic()
    lines.rollback()
    report = json.loads(scene.command.end().stdout)
    passed = time.monotonic() - begun
    chunks = scene.ask("SELECT count(*)::int FROM assise.chunk")[0][0]
    assert chunks == 6
    assert 0.25 * chunks <= report["collections"][0]["seconds"] <= passed


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.soak), 2])
def test_many_rows_of_no_document_in_several_collections_are_all_told(
    tmp_path: Path, database: str, workers: int
) -> None:
    documents = [
        document(
            int32("_id", n),
            field(0x04, "tags", document(field(0x03, "0", document(int32("n", n))))),
        )
        for n in range(500)
    ]
    project = Project(
        tmp_path, to=database, settings={"workers": workers, "load.chunk_bytes": 5_000}
    )
    project.migrate(
        write_dump(tmp_path / "app", {"first": documents, "other": documents}),
        confirm=lambda _: True,
    )
    with psycopg.connect(database, autocommit=True) as connection:
        for table in ("first", "other"):
            connection.execute(
                f"INSERT INTO {table} (id) SELECT generate_series(1000, 1029)".encode()
            )
    report = project.verify()
    assert report.verified == Verified(equal=1_000, extra=60)
    assert [len(each.differences) for each in report.collections] == [20, 20]


@pytest.mark.parametrize("begun", [b"", b'["/a fold'])
def test_a_worker_whose_command_is_stopped_while_it_starts_ends_without_a_word(
    begun: bytes,
) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", pool.BOOT], input=begun, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("work", "needless"),
    [
        ("workers.worker", ("assise.infer", "pymongo", "psycopg", "pydantic", "ruamel")),
        ("load", ("assise.infer", "pymongo", "pydantic", "ruamel", "assise.manifest.sections")),
        ("verify", ("assise.infer", "pymongo", "pydantic", "ruamel", "assise.manifest.sections")),
        ("profile", ("pymongo", "psycopg", "pydantic", "ruamel", "assise.manifest.sections")),
    ],
)
def test_a_worker_starts_without_what_it_may_not_need(work: str, needless: tuple[str, ...]) -> None:
    """What proposes or reads a manifest, and the driver of a server that is not the source."""
    script = f"import sys, assise.transfer.workers.worker, assise.transfer.{work}"
    environ = {**os.environ, "PYTHONPATH": SOURCES}
    command = [sys.executable, "-c", f"{script}; print(*sys.modules)"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert not [name for name in done.stdout.split() if name.startswith(needless)]
