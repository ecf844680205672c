"""A server that takes events as PostHog does, and does as it is told first."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "phc_elsewhere"
CUT = 0
"""In place of a status: what was sent is taken, and the connection is cut without an answer."""


@dataclass
class PostHog:
    """What it was sent; `plan` are the statuses of its next answers, then 200."""

    port: int = 0
    plan: list[int] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    bad: frozenset[str] = frozenset()
    most: int = 10_000
    retry_after: str = ""

    @property
    def url(self) -> str:
        """What a client has as its host."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events as PostHog has them: one for each uuid."""
        return [*{each["uuid"]: each for each in self.taken}.values()]

    def answer(self, body: dict[str, Any]) -> int:
        """The status for a body; what is answered with 200, or cut, is taken."""
        self.bodies.append(body)
        status = self.plan.pop(0) if self.plan else 200
        if status == 200 and body["api_key"] != KEY:
            status = 401
        if status == 200 and len(body["batch"]) > self.most:
            status = 413
        if status == 200 and any(each["event"] in self.bad for each in body["batch"]):
            status = 400
        if status in {200, CUT}:
            self.taken += body["batch"]
        return status


@contextmanager
def run_posthog() -> Iterator[PostHog]:
    """The server, on a port of this machine."""
    posthog = PostHog()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/batch/"
            status = posthog.answer(json.loads(gzip.decompress(data)))
            if status == CUT:
                self.close_connection = True
                return
            self.send_response(status)
            if posthog.retry_after:
                self.send_header("Retry-After", posthog.retry_after)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"no" if status != 200 else b"{}")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    posthog.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield posthog
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
