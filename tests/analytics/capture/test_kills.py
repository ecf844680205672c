"""The receiver and PostgreSQL are killed at random: every event is kept exactly once.

pytest-randomly seeds `random` for each test.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.analytics.selling import KEY, MANIFEST, write_service
from tests.dumps import confirm
from tests.scenes.commands import SOURCES
from tests.scenes.databases import Template

from assise.analytics.jobs import drain
from assise.analytics.spool import Spool
from assise.project import Project

Query = Callable[..., list[tuple[object, ...]]]
SERVE = Path(__file__).with_name("serve.py")
PATIENCE_S = 120
TERMINATE = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""
COUNTS = (
    "SELECT count(*), count(DISTINCT uuid), count(DISTINCT properties) FROM assise.analytics_events"
)


@pytest.fixture(scope="module")
def template(selling: Template) -> Template:
    """What tests get copies of."""
    return selling


class Receiver:
    """A receiver that starts again when it was killed, and a client that sends until it hears 200."""

    def __init__(self, folder: Path, *url: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.command = [sys.executable, str(SERVE), str(folder), str(port), *url]
        self.kills = 0
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        self.start()

    def start(self) -> None:
        """Start the process; requests wait for it."""
        self.process = subprocess.Popen(
            self.command, env={**os.environ, "PYTHONPATH": SOURCES}, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        """Kill it, wherever it is."""
        self.kills += 1
        self.process.send_signal(signal.SIGKILL)

    def send(self, body: dict[str, Any]) -> None:
        """Send until the answer is 200."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                answer = self.http.post("/ingest/batch/", json=body)
                if answer.status_code == 200:
                    return
                assert answer.status_code in {500, 503}, answer.text
            except httpx.TransportError:
                if self.process.poll() is not None:
                    self.start()
            time.sleep(0.02)
        pytest.fail("the receiver does not answer")

    def close(self) -> None:
        """Kill it for good."""
        self.http.close()
        self.kill()
        self.process.wait()


@contextmanager
def run_receiver(folder: Path, *url: str) -> Iterator[Receiver]:
    """A receiver, killed at the end."""
    receiver = Receiver(folder, *url)
    try:
        yield receiver
    finally:
        receiver.close()


def make_batch(number: int, size: int) -> dict[str, Any]:
    """Every third batch is one of python 3.25, without uuids."""
    events: list[dict[str, Any]] = [
        {
            "event": "deployed",
            "distinct_id": f"u{n % 7}",
            "timestamp": f"2026-11-20T09:30:57.{n:06}+00:00",
            "properties": {"n": n},
            **({"uuid": f"00000000-0000-4000-8000-{n:012}"} if number % 3 else {}),
        }
        for n in range(number * size, (number + 1) * size)
    ]
    return {"batch": events, "api_key": KEY}


def send_all(receiver: Receiver, batches: int, size: int, disturb: Callable[[int], None]) -> None:
    """Send all batches; `disturb` is called in a thread while some are sent."""
    for number in range(batches):
        body = make_batch(number, size)
        timer = threading.Timer(random.uniform(0, 0.02), disturb, [number])
        timer.start()
        receiver.send(body)
        timer.join()


def drain_spool(service: Project) -> None:
    """What the worker does with what killed receivers have left."""
    with service.connect(service.manifest) as connection:
        drain(connection, lambda: False, spool=Spool(service.path.parent / ".assise" / "events", 1))


def test_each_event_is_kept_once(service: Project, database: str, query: Query) -> None:
    killed, cut = set(random.sample(range(20), 2)), set(random.sample(range(20), 4))

    def disturb(number: int) -> None:
        if number in killed:
            receiver.kill()
        elif number in cut:
            query(TERMINATE)

    url = make_conninfo(database, user="apptest_app")
    with run_receiver(service.path.parent, url) as receiver:
        send_all(receiver, 20, 100, disturb)
        assert receiver.kills == 2
    drain_spool(service)
    assert query(COUNTS) == [(2_000, 2_000, 2_000)]


@pytest.mark.soak
def test_each_of_many_events_is_kept_once_though_postgresql_dies(short_folder: Path) -> None:
    folder = short_folder / "killed"
    folder.mkdir()
    project = Project(folder)
    project.path.write_text(MANIFEST)
    assert project.migrate(write_service(folder), confirm=confirm).exit_code == 0

    def disturb(_number: int) -> None:
        chance = random.random()
        if chance < 0.05:
            receiver.kill()
        elif chance < 0.08:
            file = project.embedded.folder / "data" / "postmaster.pid"
            with suppress(FileNotFoundError):  # the receiver starts it again, too
                os.kill(int(file.read_text().split("\n", 1)[0]), signal.SIGKILL)
            time.sleep(random.uniform(0, 1))
            project.embedded.start()

    try:
        with run_receiver(folder) as receiver:
            send_all(receiver, 200, 500, disturb)
            assert receiver.kills
        project.embedded.start()
        drain_spool(project)
        with psycopg.connect(project.embedded.conninfo("app")) as session:
            assert session.execute(COUNTS).fetchall() == [(100_000, 100_000, 100_000)]
    finally:
        project.embedded.stop()
