"""How fast events that have waited go on to PostHog: a day of them, as fast as it answers.

python benchmarks/analytics_forward.py --events 50000 --answer-ms 50

A server on this machine stands for PostHog; it unpacks nothing, and answers after some time.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from uuid import uuid4

from assise.analytics.event import Event
from assise.analytics.forward.job import forward
from assise.analytics.store import insert_sync
from assise.manifest.sections.analytics import Events
from assise.postgres.connection import Connection
from assise.project import Project

MANIFEST = """assise: 1
name: app
postgres: embedded
analytics: {events: {forward: {posthog: phc_benchmark}}}
tables:
  users:
    collection: users
    primary_key: id
    columns: {id: {type: int4, from: _id}}
"""
PROPERTIES = json.dumps({"plan": "pro", "duration_ms": 1_234, "$lib": "posthog-python"})


@contextmanager
def answer(after_s: float) -> Iterator[str]:
    """A server that takes whatever comes; its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(after_s)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def main() -> None:
    """Keep events while nobody takes them, then send all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--answer-ms", type=float, default=50)
    asked = parser.parse_args()
    with TemporaryDirectory() as name, answer(asked.answer_ms / 1000) as host:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "assise.yaml").write_text(MANIFEST)
        (folder / "users.jsonl").write_text('{"_id": 1}\n')
        project = Project(folder)
        project.migrate(folder / "users.jsonl", confirm=lambda _: True)
        now = dt.datetime.now(dt.UTC)
        with Connection(project.embedded.conninfo("app")) as connection:
            for begin in range(0, asked.events, 1_000):
                numbers = range(begin, min(begin + 1_000, asked.events))
                events = [
                    Event(uuid4(), "deployed", f"user-{n}", now, "", PROPERTIES) for n in numbers
                ]
                insert_sync(connection, events)
            given = Events(forward={"posthog": "phc_benchmark", "host": host})
            begun = time.perf_counter()
            said = forward(connection, lambda: False, events=given)
            seconds = time.perf_counter() - begun
        project.embedded.stop()
    print(
        f"{said} in {seconds:.1f} s, answers after {asked.answer_ms:.0f} ms: {asked.events / seconds:,.0f} a second"
    )


if __name__ == "__main__":
    main()
