"""A server that speaks OpenAI's protocol for embeddings, and fails as it is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep
from typing import Any, Literal

from tests.search.meaning.words import embed_text


@dataclass
class Endpoint:
    """What it was asked, and the answers that it gives before it gives vectors.

    An answer is a status with headers. `longest` is the number of texts that it takes at once;
    `cut` components are left out of each vector, and `left_out` vectors of the answer. `says` is what it answers in place of vectors. With
    `drips` it sends what it says byte by byte, a tenth of a second apart: its headers, or its body.
    """

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    longest: int = 1_000
    cut: int = 0
    left_out: int = 0
    says: bytes | None = None
    drips: Literal["headers", "body"] | None = None


@contextmanager
def serve_endpoint() -> Iterator[Endpoint]:
    """The server, on a port of its own."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.asked.append(body)
            endpoint.keys.append(str(self.headers["Authorization"]))
            status, headers = endpoint.answers.pop(0) if endpoint.answers else (200, {})
            if len(body["input"]) > endpoint.longest:
                status = 400
            vectors = [[*embed_text(text)][endpoint.cut :] for text in body["input"]]
            data = [{"index": n, "embedding": each} for n, each in enumerate(vectors)]
            data = data[endpoint.left_out :]
            answer: object = {"object": "list", "data": data[::-1], "model": body["model"]}
            if status != 200:
                answer = {"error": {"message": "too many tokens", "type": "test"}}
            sent = json.dumps(answer).encode() if endpoint.says is None else endpoint.says
            if endpoint.drips == "headers":
                self.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 50)
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            if endpoint.drips == "body":
                self.drip(sent)
            self.wfile.write(sent)

        def drip(self, sent: bytes) -> None:
            """Send it so slowly that nobody waits for the end, until the client has gone."""
            with suppress(OSError):
                for byte in sent:
                    self.wfile.write(bytes([byte]))
                    sleep(0.1)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()
