"""Hypothesis profiles, the PostgreSQL of each process of pytest, and the seconds of each part.

The server is the embedded one, or Debian's where ASSISE_TEST_SERVER gives the folder of its
programs (`make contract`). A test that needs the embedded one asks for `embedded_server`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from assise.manifest.sections.redis import RedisUse
from assise.postgres.embedded import Embedded
from assise.project import Project
from assise.redis.embedded import EmbeddedRedis
from tests.scenes.databases import Databases
from tests.scenes.warm import run_warm
from tests.servers.mongo import MongoServer, run_mongo

SLOW = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
    HealthCheck.function_scoped_fixture,
]
EXAMPLES = int(os.environ.get("ASSISE_TEST_EXAMPLES", "5000"))
settings.register_profile(
    "test", max_examples=50, deadline=None, derandomize=True, suppress_health_check=SLOW
)
settings.register_profile(
    "soak",
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=SLOW,
)
# Hypothesis draws from the constants of all modules that are imported by then, which differ between
# the processes of a run: examples that are fixed would not be the same in each.
providers._get_local_constants = lambda: providers._local_constants  # noqa: SLF001
settings.load_profile(os.environ.get("ASSISE_TEST_PROFILE", "test"))

DEBIAN = os.environ.get("ASSISE_TEST_SERVER")
UNSAFE_BUT_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
DATA = Path(os.environ.get("ASSISE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
PART_BUDGET_S = 40
MEMORY, MEMORY_FREE_BYTES = Path("/dev/shm"), 4 << 30  # noqa: S108


def find_place() -> Path:
    """The folder of all files of tests, which has a short path: memory, where it has room.

    There databases are made and dropped in a third of the time.
    """
    given = os.environ.get("ASSISE_TEST_PLACE")
    if given:
        return Path(given)
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_FREE_BYTES
    return MEMORY if has_room else Path("/tmp")  # noqa: S108


PLACE = find_place()
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(PLACE))

# A shell's background job ignores SIGINT, and so would the commands that tests stop with it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder with a short path that the server's account can enter too."""
    folder = Path(tempfile.mkdtemp(prefix="assise-t-", dir=PLACE))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def embedded_server(short_folder: Path) -> Iterator[Embedded]:
    """This process's embedded server; whoever stops it and starts it again keeps its settings."""
    embedded = Embedded(short_folder / ".assise")
    embedded.start(settings=UNSAFE_BUT_QUICK)
    with (embedded.data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = {value}\n" for name, value in UNSAFE_BUT_QUICK.items())
    yield embedded
    for folder in (embedded.folder / "servers").glob("*"):
        Embedded(folder).stop(immediate=True)
    embedded.stop(immediate=True)


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, short_folder: Path) -> Iterator[str]:
    """The connection string, without a database, of this process's server."""
    if DEBIAN:
        yield from _debian_server(short_folder, Path(DEBIAN))
    else:
        embedded: Embedded = request.getfixturevalue("embedded_server")
        yield embedded.conninfo(None)


def _debian_server(folder: Path, programs: Path) -> Iterator[str]:
    if not (programs / "initdb").exists():
        pytest.fail(
            f"ASSISE_TEST_SERVER={programs} holds no initdb;"
            " on Debian: apt-get install postgresql-15"
        )
    user = "nobody" if os.geteuid() == 0 else None
    home = folder / "debian"
    home.mkdir(mode=0o700)
    if user:
        shutil.chown(home, user)

    def run(program: str, *arguments: str) -> None:
        command: list[str | Path] = [programs / program, "-D", home / "data", *arguments]
        subprocess.run(command, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL)

    options = " ".join(f"-c {name}={value}" for name, value in UNSAFE_BUT_QUICK.items())
    options += f" -c listen_addresses= -k {home}"
    run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
    run("pg_ctl", "-w", "-l", f"{home}/log", "-o", options, "start")
    yield f"host={home} user=postgres"
    run("pg_ctl", "-m", "immediate", "stop")


@pytest.fixture(scope="session")
def warm_program(short_folder: Path) -> Iterator[str]:
    """The text of a program that is `assise` without its start."""
    with run_warm(short_folder) as program:
        yield program


@pytest.fixture(scope="session")
def databases(server: str) -> Databases:
    """Creates databases on this process's server."""
    return Databases(server)


@pytest.fixture(scope="session")
def mongo() -> Iterator[MongoServer]:
    """This process's MongoDB."""
    with run_mongo() as running:
        yield running


@pytest.fixture
def mortal_mongo(mongo: MongoServer) -> Iterator[MongoServer]:
    """A MongoDB of its own, for a test that kills it."""
    del mongo
    with run_mongo() as running:
        yield running


@pytest.fixture
def database(databases: Databases, request: pytest.FixtureRequest) -> Iterator[str]:
    """The connection string of a new database: empty, or a copy of the fixture `template`.

    A test module defines `template`; a test gets the copy where one of its fixtures asks for it.
    """
    if "template" in request.fixturenames:
        conninfo = databases.create(request.getfixturevalue("template").database)
    else:
        conninfo = databases.create()
    yield conninfo
    databases.drop(conninfo)


@pytest.fixture
def use_embedded_server(
    embedded_server: Embedded, databases: Databases
) -> Iterator[Callable[[Path], None]]:
    """Makes this process's embedded server that of a project's folder; its databases are dropped.

    So a test that needs the embedded server, and no fresh one, waits for none to be made. Servers
    of Redis that were started in it end with the test, and so does what they hold.
    """
    before = databases.list_names()
    yield lambda folder: (folder / ".assise").symlink_to(embedded_server.folder)
    for use in get_args(RedisUse):
        EmbeddedRedis(embedded_server.folder, use).stop()
    shutil.rmtree(embedded_server.folder / "redis", ignore_errors=True)
    embedded_server.start()
    for name in databases.list_names() - before:
        databases.drop(embedded_server.conninfo(name))


@pytest.fixture
def project(tmp_path: Path, database: str) -> Project:
    """A project in an empty folder, with a new database as its target."""
    return Project(tmp_path, to=database)


@pytest.fixture
def query(database: str) -> Callable[..., list[tuple[object, ...]]]:
    """Runs SQL in the test's database, committed at once, and gives the rows."""

    def run(statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        with psycopg.connect(database, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    return run


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On another server, tests that need the embedded one are not run.

    Those that need MongoDB, or clients of others, are left to `make contract`, with the embedded
    server too, unless they are named.
    """
    embedded = [item for item in items if _needs(item, "embedded_server")] if DEBIAN else []
    needy = [item for item in embedded if not _needs(item, "mongo")]
    is_all = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if is_all and "contract" not in config.option.markexpr:
        needy += [item for item in items if _needs(item, "mongo") or _needs(item, "clients")]
    if needy:
        config.hook.pytest_deselected(items=needy)
        items[:] = [item for item in items if item not in needy]


def _needs(item: pytest.Item, fixture: str) -> bool:
    return fixture in getattr(item, "fixturenames", ())


def name_part(nodeid: str) -> str:
    """The folder of a test, or its file where it stands in no folder: tests/transfer."""
    path = nodeid.partition("::")[0]
    return "/".join(path.split("/")[:2])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the seconds of each part, and how many tests lacked the data of others."""
    seconds = defaultdict[str, float](float)
    missing = 0
    for category in ("", "passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(category, []):
            seconds[name_part(report.nodeid)] += float(getattr(report, "duration", 0))
            missing += "ASSISE_TEST_DATA" in str(report.longrepr)
    if seconds:
        terminalreporter.section(f"seconds per part (budget: {PART_BUDGET_S})")
    for part, total in sorted(seconds.items(), key=lambda part: -part[1]):
        over = "  OVER" if total > PART_BUDGET_S else ""
        terminalreporter.write_line(f"{total:7.1f}  {part}{over}")
    if missing:
        terminalreporter.write_line(
            f"{missing} tests did not run: no data of others in {DATA}; set ASSISE_TEST_DATA"
        )
