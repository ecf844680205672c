"""A command is killed, stopped or cut off; the same command afterwards reaches the end state of an undisturbed run.

Moments are seen from outside, in pg_stat_activity and in the ledger. Locks of other sessions hold the command where it would be too quick:
a command that waits for one stands at a known statement.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.conftest import UNSAFE_BUT_QUICK
from tests.transfer.scene import (
    Done,
    Reported,
    Scene,
    State,
    key,
    read_report,
    read_state,
    wait_until,
    write_app,
)

from assise.postgres.embedded import Embedded
from assise.project import Project

REJECTED = {("bookings", 2): 40, ("events", 1): 3, ("users", 2): 27}


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nobody disturbs leaves and prints."""

    dump: Path
    manifest: str
    state: State
    report: Reported
    conninfo: str

    @property
    def load(self) -> tuple[object, ...]:
        """The line of the load."""
        assert isinstance(self.state["load"], list)
        return tuple(self.state["load"][0])


@pytest.fixture(scope="module")
def undisturbed(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    folder = tmp_path_factory.mktemp("undisturbed")
    dump = write_app(folder / "app")
    Project(folder).write_manifest(Project(folder).infer(dump))
    name = sql.Identifier(f"undisturbed_{os.getpid()}")
    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
    conninfo = make_conninfo(server, dbname=f"undisturbed_{os.getpid()}")
    done = Scene(folder, dump, conninfo, ["--to", conninfo, "--yes"]).run("migrate")
    assert done.code == 3, done.stderr
    yield Undisturbed(
        dump,
        (folder / "assise.yaml").read_text(),
        read_state(conninfo),
        read_report(done.stdout),
        conninfo,
    )
    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def scene(undisturbed: Undisturbed, tmp_path: Path, database: str) -> Iterator[Scene]:
    """An empty target, and a folder with the manifest of the undisturbed run."""
    (tmp_path / "assise.yaml").write_text(undisturbed.manifest)
    scene = Scene(tmp_path, undisturbed.dump, database, ["--to", database, "--yes"])
    yield scene
    scene.close()


def check_end(scene: Scene, undisturbed: Undisturbed, done: Done) -> None:
    """The command has finished with rejects, prints the figures of the undisturbed run, and has left what that left."""
    assert (done.code, "Traceback" in done.stderr) == (3, False), done.stderr
    assert read_report(done.stdout) == undisturbed.report
    state = read_state(scene.conninfo)
    assert state.keys() == undisturbed.state.keys()
    for name, expected in undisturbed.state.items():
        assert state[name] == expected, name


def test_the_undisturbed_run_is_what_the_dump_says(undisturbed: Undisturbed) -> None:
    state = undisturbed.state
    found = (
        [(reject[0], reject[3]) for reject in state["rejects"] if isinstance(reject, tuple)]
        if isinstance(state["rejects"], list)
        else []
    )
    assert {each: found.count(each) for each in found} == REJECTED
    assert (
        undisturbed.report["documents"],
        undisturbed.report["loaded"],
        undisturbed.report["rejected"],
    ) == (13_070, 13_000, 70)
    rows = {name: each[0] for name, each in state.items() if isinstance(each, tuple)}
    assert rows == {
        "rows of bookings": 4_000,
        "rows of booking_lines": 3_999,
        "rows of booking_line_discounts": 1_999,
        "rows of events": 5_000,
        "rows of users": 4_000,
        "rows of user_devices": 4_000,
    }
    assert all(each[2] == [(0,)] for each in state.values() if isinstance(each, tuple))
    assert state["transactions"] == [(True,)]
    with psycopg.connect(undisturbed.conninfo) as connection:
        assert connection.execute(
            "SELECT count(*) FROM bookings WHERE _extra ? 'again'"
        ).fetchall() == [(0,)]
        assert connection.execute(
            "SELECT count(*) FROM users WHERE _extra ? 'again'"
        ).fetchall() == [(0,)]


# The moments: each starts a command and returns when it stands where it is to be disturbed.


def at_infer(scene: Scene) -> None:
    """The first collection is profiled, the second one is being read."""
    (scene.folder / "assise.yaml").unlink()
    command = scene.start("migrate")
    wait_until(lambda: command.says("bookings: "), "the first collection")
    assert not (scene.folder / "assise.yaml").exists()


def at_lock(scene: Scene) -> None:
    """The manifest is written, nothing else."""
    (scene.folder / "assise.yaml").unlink()
    scene.hold("SELECT pg_advisory_xact_lock(hashtextextended('assise app', 0))")
    scene.start("migrate")
    scene.wait_blocked("SELECT pg_advisory_lock")
    assert (scene.folder / "assise.yaml").exists()
    assert scene.ask("SELECT to_regnamespace('assise')") == [(None,)]


def at_ledger(scene: Scene) -> None:
    """The ledger is being made."""
    scene.hold("CREATE SCHEMA assise")
    scene.start("load")
    scene.wait_blocked("-- The parts")


def at_tables(scene: Scene) -> None:
    """Some tables are made, and not committed."""
    scene.hold("CREATE TABLE users (mine int)")
    scene.start("load")
    scene.wait_blocked('CREATE TABLE "public"."users"')
    assert scene.ask("SELECT to_regclass('bookings'), (SELECT count(*) FROM assise.load)") == [
        (None, 0)
    ]


def hold_before_rows(
    scene: Scene, table: str, verb: str = "load"
) -> psycopg.Connection[tuple[object, ...]]:
    """The tables are there, among them `table`, and no row. The session that is given holds the command until its rollback."""
    tables = scene.hold(f"CREATE TABLE {table} (mine int)")
    scene.start(verb)
    scene.wait_blocked(f'CREATE TABLE "public"."{table}"')
    chunks = scene.hold("LOCK TABLE assise.chunk IN ACCESS EXCLUSIVE MODE")
    tables.rollback()
    scene.wait_blocked("SELECT start_offset, stop_offset")
    return chunks


def at_rows(scene: Scene, verb: str = "load") -> psycopg.Connection[tuple[object, ...]]:
    """As `hold_before_rows`, with the tables of this dump."""
    chunks = hold_before_rows(scene, "bookings", verb)
    assert scene.ask(
        "SELECT to_regclass('user_devices') IS NOT NULL, (SELECT count(*) FROM assise.load)"
    ) == [(True, 1)]
    return chunks


def at_first_copy(scene: Scene) -> psycopg.Connection[tuple[object, ...]]:
    """The first COPY has begun, and has no row yet."""
    chunks = at_rows(scene)
    rows = scene.hold("LOCK TABLE bookings IN ACCESS EXCLUSIVE MODE")
    chunks.rollback()
    scene.wait_blocked('COPY "public"."bookings"')
    return rows


def at_row_of_copy(scene: Scene) -> None:
    """The first COPY has rows and waits for the key of one of them."""
    chunks = at_rows(scene)
    scene.hold(f"INSERT INTO bookings (id) VALUES (objectid_to_uuid('{key(1, 20)}'))")
    chunks.rollback()
    scene.wait_blocked('COPY "public"."bookings"')
    assert scene.ask("SELECT bytes_processed > 0 FROM pg_stat_progress_copy") == [(True,)]


def at_copy_of_children(scene: Scene) -> None:
    """The rows of the first chunk's documents are there, and not committed; the rows of their lines are not."""
    chunks = at_rows(scene)
    scene.hold("LOCK TABLE booking_lines IN ACCESS EXCLUSIVE MODE")
    chunks.rollback()
    scene.wait_blocked('COPY "public"."booking_lines"')
    assert scene.ask("SELECT count(*) FROM bookings") == [(0,)]


def at_duplicates(scene: Scene) -> None:
    """A chunk was refused for a duplicate key, and the keys that exist are being looked up."""
    rows = at_first_copy(scene)
    scene.hold("LOCK TABLE bookings IN ACCESS EXCLUSIVE MODE", is_queued=True)
    rows.rollback()
    scene.wait_blocked('SELECT "id" FROM "public"."bookings"')


def at_reject(scene: Scene) -> None:
    """The first reject is being written."""
    rows = at_first_copy(scene)
    scene.hold("LOCK TABLE assise.reject IN EXCLUSIVE MODE")
    rows.rollback()
    scene.wait_blocked("COPY assise.reject")


def at_line_of_chunk(scene: Scene) -> None:
    """All rows of the first chunk are there, its line in the ledger is not."""
    rows = at_first_copy(scene)
    scene.hold("LOCK TABLE assise.chunk IN EXCLUSIVE MODE")
    rows.rollback()
    scene.wait_blocked("INSERT INTO assise.chunk")
    assert scene.ask("SELECT count(*) FROM assise.chunk") == [(0,)]


def wait_for_chunks(scene: Scene, count: int, collection: str) -> None:
    """Wait until some chunks of a collection are committed."""
    scene.wait_for("SELECT to_regclass('assise.chunk') IS NOT NULL")
    scene.wait_for(
        f"SELECT count(*) >= {count} FROM assise.chunk WHERE collection LIKE '{collection}'"
    )


def after_chunks(count: int, collection: str) -> Callable[[Scene], None]:
    """Some chunks of a collection are committed; the command is not held, wherever it is."""

    def at(scene: Scene) -> None:
        scene.start("load")
        wait_for_chunks(scene, count, collection)

    return at


def at_later_chunk(count: int, table: str) -> Callable[[Scene], None]:
    """Some chunks with rows of a table are committed, and the next one waits for it: the command goes from lock to lock."""

    def at(scene: Scene) -> None:
        chunks, lock = at_rows(scene), f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
        holder = scene.hold(lock)
        chunks.rollback()
        for _ in range(count):
            scene.wait_blocked(f'COPY "public"."{table}"')
            following = scene.hold(lock, is_queued=True)
            holder.rollback()
            scene.take(following)
            holder = following
        scene.wait_blocked(f'COPY "public"."{table}"')
        assert scene.ask(
            f"SELECT count(*) FROM assise.chunk WHERE (rows ->> '{table}')::int > 0"
        ) == [(count,)]

    return at


def at_first_key(scene: Scene) -> None:
    """All rows are there, no foreign key is."""
    chunks = at_rows(scene)
    scene.hold("LOCK TABLE booking_lines IN ROW EXCLUSIVE MODE")
    chunks.rollback()
    scene.wait_blocked('ALTER TABLE "public"."booking_lines" ADD FOREIGN KEY')
    assert scene.ask(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    ) == [(0,)]
    assert scene.ask("SELECT count(*) FROM user_devices") == [(4_000,)]


def at_last_key(scene: Scene) -> None:
    """Two foreign keys are there, the third is not."""
    chunks = at_rows(scene)
    scene.hold("LOCK TABLE user_devices IN ROW EXCLUSIVE MODE")
    chunks.rollback()
    scene.wait_blocked('ALTER TABLE "public"."user_devices" ADD FOREIGN KEY')
    assert scene.ask(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    ) == [(2,)]


def at_statistics(scene: Scene) -> None:
    """All foreign keys are there, and the statistics of some tables."""
    chunks = at_rows(scene)
    scene.hold("LOCK TABLE events IN SHARE UPDATE EXCLUSIVE MODE")
    chunks.rollback()
    scene.wait_blocked('ANALYZE "public"."events"')
    assert scene.ask(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    ) == [(3,)]


def at_finish(scene: Scene, verb: str = "load") -> psycopg.Connection[tuple[object, ...]]:
    """Everything is there, the load is not marked as finished."""
    chunks = at_rows(scene, verb)
    line = scene.hold("SELECT FROM assise.load FOR NO KEY UPDATE")
    chunks.rollback()
    scene.wait_blocked("UPDATE assise.load SET finished_at")
    assert scene.ask("SELECT finished_at FROM assise.load") == [(None,)]
    return line


def at_verify(scene: Scene) -> None:
    """The load is finished, and verify reads rows back."""
    line = at_finish(scene, "migrate")
    scene.hold("LOCK TABLE user_devices IN ACCESS EXCLUSIVE MODE")
    line.rollback()
    scene.wait_blocked("DECLARE assise_stream")
    assert scene.ask("SELECT finished_at IS NOT NULL FROM assise.load") == [(True,)]
    assert scene.command.says("events: 5,000 documents equal")


MOMENTS: dict[str, Callable[[Scene], object]] = {
    "infer": at_infer,
    "the lock of the load": at_lock,
    "ledger": at_ledger,
    "tables": at_tables,
    "before the first row": at_rows,
    "first COPY": at_first_copy,
    "a row of the first COPY": at_row_of_copy,
    "COPY of children": at_copy_of_children,
    "lookup of duplicates": at_duplicates,
    "a reject": at_reject,
    "the first line of the ledger": at_line_of_chunk,
    "10 chunks": after_chunks(10, "bookings"),
    "COPY of grandchildren after 12 chunks": at_later_chunk(12, "booking_line_discounts"),
    "5 chunks of the second collection": at_later_chunk(5, "events"),
    "3 chunks of the last collection": after_chunks(3, "users"),
    "first foreign key": at_first_key,
    "last foreign key": at_last_key,
    "ANALYZE": at_statistics,
    "the last line of the ledger": at_finish,
    "verify": at_verify,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_same_command_goes_on_after_a_kill(
    scene: Scene, undisturbed: Undisturbed, moment: str
) -> None:
    MOMENTS[moment](scene)
    killed = scene.command.end(signal.SIGKILL)
    assert (killed.code, killed.stdout) == (-signal.SIGKILL, "")
    scene.release()
    check_end(scene, undisturbed, scene.run(scene.command.verb))


def test_a_load_that_is_killed_again_and_again_comes_to_its_end(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    for count in (1, 10, 20, 30):
        scene.start("load")
        wait_for_chunks(scene, count, "%")
        assert scene.command.end(signal.SIGKILL).code == -signal.SIGKILL
        assert scene.ask("SELECT finished_at FROM assise.load") == [(None,)]
    check_end(scene, undisturbed, scene.run("load"))


def test_chunks_that_are_committed_are_not_loaded_again(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    after_chunks(5, "events")(scene)
    scene.command.end(signal.SIGKILL)
    before = scene.ask("SELECT collection, start_offset, xid::text, seconds FROM assise.chunk")
    check_end(scene, undisturbed, scene.run("load"))
    after = scene.ask("SELECT collection, start_offset, xid::text, seconds FROM assise.chunk")
    assert len(before) > 25
    assert set(before) < set(after)


@pytest.mark.parametrize("moment", ["a row of the first COPY", "first foreign key", "verify"])
def test_the_session_of_a_killed_command_ends_though_its_statement_waits(
    scene: Scene, moment: str
) -> None:
    MOMENTS[moment](scene)
    scene.command.end(signal.SIGKILL)
    with psycopg.connect(scene.conninfo, autocommit=True) as connection:
        query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'assise'"
        wait_until(lambda: not connection.execute(query).fetchall(), "the end of the session")


@pytest.mark.parametrize(
    "moment",
    ["infer", "the lock of the load", "a row of the first COPY", "first foreign key", "verify"],
)
def test_ctrl_c_says_that_the_same_command_goes_on(
    scene: Scene, undisturbed: Undisturbed, moment: str
) -> None:
    MOMENTS[moment](scene)
    stopped = scene.command.end(signal.SIGINT)
    assert (stopped.code, stopped.stdout) == (130, "")
    assert stopped.stderr.endswith("\nstopped; the same command goes on where it stopped\n")
    assert "Traceback" not in stopped.stderr
    scene.release()
    check_end(scene, undisturbed, scene.run(scene.command.verb))


@pytest.mark.parametrize(
    "moment", ["the lock of the load", "a row of the first COPY", "first foreign key", "verify"]
)
def test_a_lost_session_is_told_and_the_same_command_goes_on(
    scene: Scene, undisturbed: Undisturbed, moment: str
) -> None:
    MOMENTS[moment](scene)
    scene.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'assise'"
    )
    lost = scene.command.end()
    assert (lost.code, lost.stdout, "Traceback" in lost.stderr) == (1, "", False)
    assert re.search(
        r"error: postgresql://.*: terminating connection due to administrator command"
        r".*\nThe connection was lost. When the server is back, the same command goes on where it stopped.\n\Z",
        lost.stderr,
    )
    scene.release()
    check_end(scene, undisturbed, scene.run(scene.command.verb))


def test_two_commands_at_the_same_moment_reach_the_same_end(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    one, other = scene.start("migrate"), scene.start("migrate")
    for each in (one.end(), other.end()):
        check_end(scene, undisturbed, each)


def test_two_commands_that_both_infer_reach_the_same_end(
    scene: Scene, undisturbed: Undisturbed
) -> None:
    (scene.folder / "assise.yaml").unlink()
    one, other = scene.start("migrate"), scene.start("migrate")
    ended = sorted((one.end(), other.end()), key=lambda done: -done.code)
    check_end(scene, undisturbed, ended[0])
    if ended[1].code == 2:
        assert "assise.yaml exists, and is not overwritten" in ended[1].stderr
    else:
        check_end(scene, undisturbed, ended[1])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Path]:
    """The folder `.assise` of a project whose embedded server was started and stopped; tests copy it."""
    folder = Path(tempfile.mkdtemp(prefix="assise-t-", dir="/tmp"))
    folder.chmod(0o755)
    server = Embedded(folder / ".assise")
    server.start(settings=UNSAFE_BUT_QUICK)
    for name in ("app", "other"):
        server.create_database(name)
    server.stop()
    with (server.data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = {value}\n" for name, value in UNSAFE_BUT_QUICK.items())
    yield server.folder
    shutil.rmtree(folder)


@pytest.fixture
def home(undisturbed: Undisturbed, cluster: Path) -> Iterator[Scene]:
    """A project without --to; its embedded server does not run, and its databases are empty."""
    folder = Path(tempfile.mkdtemp(prefix="assise-t-", dir="/tmp"))
    folder.chmod(0o755)
    subprocess.run(["/bin/cp", "-a", cluster, folder], check=True)
    (folder / "assise.yaml").write_text(undisturbed.manifest)
    server = Embedded(folder / ".assise")
    scene = Scene(folder, undisturbed.dump, server.conninfo("app"))
    yield scene
    scene.close()
    server.stop(immediate=True)
    shutil.rmtree(folder)


def start_embedded(scene: Scene) -> Embedded:
    """Start `load`, and wait until the embedded server that it starts takes connections."""
    server = Embedded(scene.folder / ".assise")
    scene.start("load")
    wait_until(lambda: server.status().running, "the embedded server")
    return server


def hold_last_collection(scene: Scene) -> None:
    """The collections before the last one are loaded, and the first chunk of the last one waits for its table."""
    wait_for_chunks(scene, 1, "bookings")
    scene.hold("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
    scene.wait_blocked('COPY "public"."users"')


def test_an_immediate_stop_of_the_server_is_told_and_the_same_command_starts_it_and_goes_on(
    home: Scene, undisturbed: Undisturbed
) -> None:
    server = start_embedded(home)
    hold_last_collection(home)
    assert server.stop(immediate=True)
    lost = home.command.end()
    assert (lost.code, lost.stdout, "Traceback" in lost.stderr) == (1, "", False)
    assert "\nerror: postgresql:///app?host=" in lost.stderr
    assert lost.stderr.endswith(
        "\nThe connection was lost. When the server is back, the same command goes on where it stopped.\n"
    )
    home.release()
    check_end(home, undisturbed, home.run("load"))


def test_a_killed_command_leaves_its_server_to_the_other_one(
    home: Scene, undisturbed: Undisturbed
) -> None:
    server = start_embedded(home)
    pid = server.status().pid
    (home.folder / "other.yaml").write_text(
        undisturbed.manifest.replace("name: app", "name: other")
    )
    other = Scene(home.folder, home.dump, server.conninfo("other"), ["-f", "other.yaml"])
    hold_last_collection(home)
    at_first_copy(other)
    assert home.command.end(signal.SIGKILL).code == -signal.SIGKILL
    other.release()
    (_, *rest, manifest) = undisturbed.load
    expected = replace(
        undisturbed,
        state={
            **undisturbed.state,
            "load": [("other", *rest, str(manifest).replace("name: app", "name: other"))],
        },
    )
    check_end(other, expected, other.command.end())
    assert server.status().pid == pid
