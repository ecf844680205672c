"""A wire to a MongoDB, over which a test cuts connections and changes bytes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from threading import Thread

from tests.servers.mongo import MongoServer
from tests.sources.kinds import DATABASE


@dataclass
class Wire:
    """Passes on what clients and a server send; `damage` is done to what the server sends.

    Of all bytes that are sent from now on, the one at `place` is changed by `change`, or the
    connection is cut there.
    """

    url: str
    place: int = -1
    change: int = 0
    is_lasting: bool = False
    sent: int = 0

    def send(self, part: bytes) -> bytes | None:
        """What comes of a part on its way; None for the end of the connection."""
        at = self.place - self.sent
        self.sent += len(part)
        if self.is_lasting and at < 0 <= self.place:
            return None
        if not 0 <= at < len(part):
            return part
        if not self.change:
            return None
        return part[:at] + bytes([part[at] ^ self.change]) + part[at + 1 :]

    def begin(self, place: int, change: int = 0, *, is_lasting: bool = False) -> None:
        """Do a damage from now on; a lasting cut cuts whatever comes later, too."""
        self.place, self.change, self.is_lasting, self.sent = place, change, is_lasting, 0


def carry(wire: Wire, source: socket.socket, target: socket.socket, *, is_reply: bool) -> None:
    """Pass on what one side sends until its end, or until it is cut."""
    with suppress(OSError):
        while part := source.recv(1 << 16):
            passed = wire.send(part) if is_reply else part
            if passed is None:
                break
            target.sendall(passed)
    end([source, target])


def end(sockets: list[socket.socket]) -> None:
    """End what is sent over sockets, and what waits for it."""
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def run_wire(server: MongoServer) -> Iterator[Wire]:
    """Listen for clients of the server."""
    host, _, port = server.url.removeprefix("mongodb://").strip("/").partition(":")
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = f"mongodb://127.0.0.1:{listener.getsockname()[1]}/{DATABASE}"
        wire = Wire(f"{address}?socketTimeoutMS=300&serverSelectionTimeoutMS=100")
        sockets, threads = list[socket.socket](), list[Thread]()

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client = stack.enter_context(listener.accept()[0])
                    other = stack.enter_context(socket.create_connection((host, int(port))))
                    sockets.extend([client, other])
                    for source, target in ((client, other), (other, client)):
                        facts = {"is_reply": source is other}
                        thread = Thread(target=carry, args=(wire, source, target), kwargs=facts)
                        threads.append(thread)
                        thread.start()

        accepting = Thread(target=accept)
        accepting.start()
        try:
            yield wire
        finally:
            end([listener])
            accepting.join()
            end(sockets)
            for thread in threads:
                thread.join()
