"""A server that speaks OpenAI's protocol: it answers from the sources of the prompt, always alike."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from assise.search.chat.prompt import REWRITING

SOURCE = re.compile(r'<source number="(\d+)"[^>]*>\n(.*?)\n</source>', re.DOTALL)


@dataclass
class AnsweringServer:
    """The server, the prompts that it got, and how it behaves next.

    Args:
        most: characters of a prompt that it reads at most.
        response: what it says, where the mode is `raw` as one event of the stream; else the first sentence of each source with its citation.
        rewritten: what it says where it is asked to write a question anew.
    """

    url: str = ""
    mode: str = "answer"
    most: int = 1_000_000
    response: str | None = None
    rewritten: str = ""
    prompts: list[list[dict[str, str]]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def say(self, prompt: str) -> str:
        """The answer to a prompt."""
        if prompt.startswith(REWRITING):
            return self.rewritten
        if self.response is not None:
            return self.response
        found = [
            f"{re.split(r'(?<=[.!?])', text)[0].rstrip('.!?')} [{number}]."
            for number, text in SOURCE.findall(prompt)
        ]
        return " ".join(found)


@contextmanager
def serve_answers() -> Iterator[AnsweringServer]:
    """A server that runs."""
    state = AnsweringServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.prompts.append(asked["messages"])
            with suppress(ConnectionError):
                self.answer(asked)

        def answer(self, asked: dict[str, Any]) -> None:
            prompt = "\n".join(each["content"] for each in asked["messages"])
            if state.mode == "silent":
                state.ended.wait(20)
            elif state.mode == "elsewhere":
                self.refuse(307, {"message": "moved"}, location="/v1/elsewhere")
            elif state.mode == "busy":
                self.refuse(429, {"message": "too many requests", "code": "rate_limit_exceeded"})
            elif len(prompt) > state.most:
                message = f"This model's maximum context length is {state.most} tokens."
                self.refuse(400, {"message": message, "code": "context_length_exceeded"})
            else:
                self.stream(prompt)

        def refuse(self, status: int, error: dict[str, str], **headers: str) -> None:
            body = json.dumps({"error": error}).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def stream(self, prompt: str) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            if state.mode == "gibberish":
                self.wfile.write(b"data: this is no JSON\n\n")
                return
            if state.mode == "raw":
                self.wfile.write(f"data: {state.response}\n\n".encode())
                return
            pieces = re.findall(r"\S+\s*", state.say(prompt))
            while state.mode == "blank":
                self.write({"choices": [{"index": 0, "delta": {}}]})
            whole = state.mode not in {"broken", "cut", "hangs"}
            while True:
                for piece in pieces if whole else pieces[:3]:
                    self.write({"choices": [{"index": 0, "delta": {"content": piece}}]})
                if state.mode != "endless":
                    break
            if state.mode == "broken":
                self.wfile.write(b"data: {broken\n\n")
            if state.mode == "hangs":
                state.ended.wait(20)
            if not whole:
                return
            self.write({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": 9, "total_tokens": 9}
            self.write({"choices": [], "usage": usage})
            self.wfile.write(b"data: [DONE]\n\n")

        def write(self, fields: dict[str, Any]) -> None:
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            self.wfile.write(f"data: {json.dumps({**chunk, **fields})}\n\n".encode())
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        state.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
