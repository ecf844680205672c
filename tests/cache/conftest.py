"""Servers of Redis that the tests of a process share, and applications on them.

They are Valkey; `make contract` runs the same tests on Redis 7 of Debian, and on Redis 6.2, the
oldest that is supported.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cache.servers import PROGRAMS, VALKEY, run_server, write_app

from assise.app import App
from assise.redis.embedded import EmbeddedRedis

PATIENT_MS = 30_000
"""A machine that is busy is no server that hangs."""

MakeApp = Callable[..., App]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each contract test on the servers of others, where the contract is tested."""
    is_contract = "contract and" in metafunc.config.option.markexpr
    has_mark = next(metafunc.definition.iter_markers("contract"), None) is not None
    names = [*PROGRAMS] if is_contract and has_mark else [VALKEY]
    metafunc.parametrize("redis_folder", names, indirect=True, scope="session")


@pytest.fixture(scope="session", autouse=True)
def redis_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder for servers, while which all are of one kind."""
    folder = Path(tempfile.mkdtemp(prefix="assise-r-"))
    find = PROGRAMS.get(request.param)
    with pytest.MonkeyPatch.context() as patch:
        if find is not None:
            program = find(folder)
            patch.setattr("assise.redis.embedded.find_program", lambda: program)
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cache_server(redis_folder: Path) -> Iterator[EmbeddedRedis]:
    """The server that evicts."""
    with run_server(redis_folder, "cache") as server:
        yield server


@pytest.fixture(scope="session")
def data_server(redis_folder: Path) -> Iterator[EmbeddedRedis]:
    """The server that keeps all."""
    with run_server(redis_folder, "data") as server:
        yield server


@pytest.fixture
def make_app(cache_server: EmbeddedRedis, data_server: EmbeddedRedis, tmp_path: Path) -> MakeApp:
    """Makes applications on the shared servers, under a prefix of the test's own."""

    def make(folder: str = "app", **settings: object) -> App:
        settings = {"cache__timeout_ms": PATIENT_MS, **settings}
        return write_app(
            tmp_path / folder, cache_server.url, data_server.url, tmp_path.name, **settings
        )

    return make


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """A server that a test may stop, kill or fill."""
    with run_server(tmp_path_factory.mktemp("own")) as server:
        yield server
