"""Hypothesis profiles; one PostgreSQL for each process of pytest, and a new database in it for each test that asks for one.

The server is the embedded one, or Debian's where ASSISE_TEST_SERVER gives the folder of its programs (`make contract`).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from assise.postgres.embedded import Embedded
from assise.project import Project

SLOW = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
    HealthCheck.function_scoped_fixture,
]
settings.register_profile(
    "test", max_examples=200, deadline=None, derandomize=True, suppress_health_check=SLOW
)
EXAMPLES = int(os.environ.get("ASSISE_TEST_EXAMPLES", "5000"))
settings.register_profile(
    "soak",
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=SLOW,
)
settings.load_profile(os.environ.get("ASSISE_TEST_PROFILE", "test"))

UNSAFE_BUT_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
DATA = Path(os.environ.get("ASSISE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

# A shell's background job ignores SIGINT, and so would the commands that tests stop with it.
signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = count()


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder with a short path that the server's account can enter too."""
    folder = Path(tempfile.mkdtemp(prefix="assise-t-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(short_folder: Path) -> Iterator[str]:
    """The connection string, without a database, of this process's server."""
    programs = os.environ.get("ASSISE_TEST_SERVER")
    if programs:
        yield from _debian_server(short_folder, Path(programs))
        return
    embedded = Embedded(short_folder / ".assise")
    yield embedded.start(settings=UNSAFE_BUT_QUICK)
    embedded.stop(immediate=True)


def _debian_server(folder: Path, programs: Path) -> Iterator[str]:
    if not (programs / "initdb").exists():
        pytest.fail(
            f"ASSISE_TEST_SERVER={programs} holds no initdb; on Debian: apt-get install postgresql-15"
        )
    user = "nobody" if os.geteuid() == 0 else None
    home = folder / "debian"
    home.mkdir()
    home.chmod(0o700)
    if user:
        shutil.chown(home, user)
    data = home / "data"
    options = " ".join(f"-c {name}={value}" for name, value in UNSAFE_BUT_QUICK.items())
    initdb: list[str | Path] = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        "assise",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ]
    subprocess.run(initdb, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL)
    start: list[str | Path] = [
        programs / "pg_ctl",
        "-D",
        data,
        "-w",
        "-l",
        home / "log",
        "-o",
        f"{options} -c listen_addresses= -k {home}",
        "start",
    ]
    subprocess.run(start, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL)
    yield f"host={home} user=assise"
    subprocess.run(
        [programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"],
        check=True,
        user=user,
        cwd="/",
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """The connection string of a new, empty database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    administration = make_conninfo(server, dbname="postgres")
    with psycopg.connect(administration, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        )
    yield make_conninfo(server, dbname=name)
    with psycopg.connect(administration, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line says how many tests did not run because the data of others is absent."""
    missing = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if "ASSISE_TEST_DATA" in str(report.longrepr)
    ]
    if missing:
        terminalreporter.write_line(
            f"{len(missing)} tests did not run: no data of others in {DATA}; set ASSISE_TEST_DATA"
        )
