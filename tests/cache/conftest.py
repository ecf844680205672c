"""Servers of Redis that the tests of a process share, and applications on them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cache.servers import run_server, write_app

from assise.app import App
from assise.redis.embedded import EmbeddedRedis

PATIENT_MS = 30_000
"""A machine that is busy is no server that hangs."""

MakeApp = Callable[..., App]


@pytest.fixture(scope="session")
def redis_folder() -> Iterator[Path]:
    """A folder for servers."""
    folder = Path(tempfile.mkdtemp(prefix="assise-r-"))
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
