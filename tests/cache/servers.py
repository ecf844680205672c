"""Servers of Redis for tests, and an application with a cache on them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
