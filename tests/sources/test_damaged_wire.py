"""A connection to a MongoDB that is cut, or whose bytes are changed on their way."""

from __future__ import annotations

import random
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest
from tests.servers.mongo import MongoServer
from tests.sources.kinds import DATABASE, SERVER, write_server
from tests.sources.reading import Read, read

pytestmark = pytest.mark.contract


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


Sent = tuple[Wire, Read, int]
places = pytest.mark.parametrize("places", [8, pytest.param(200, marks=pytest.mark.soak)])


@pytest.fixture
def sent(mongo: MongoServer) -> Iterator[Sent]:
    """A wire to a server with some documents, what is read over it, and the bytes that this takes."""
    write_server(mongo, Path(), SERVER.hold(100))
    with run_wire(mongo) as wire:
        whole = read(wire.url)
        assert not whole.is_told
        assert sum(map(len, whole.documents.values())) == 100
        yield wire, whole, wire.sent


def count_lost(whole: Read, found: Read) -> tuple[int, int]:
    """How many documents are not what they were, and how many others there are."""
    pairs = [
        (Counter(documents), Counter(found.documents.get(name, [])))
        for name, documents in whole.documents.items()
    ]
    return (sum((a - b).total() for a, b in pairs), sum((b - a).total() for a, b in pairs))


@places
@pytest.mark.parametrize("is_lasting", [False, True])
def test_a_connection_that_is_cut_loses_nothing_in_silence(
    places: int, is_lasting: bool, sent: Sent
) -> None:
    wire, whole, size = sent
    for place in random.Random(5).sample(range(size), places):
        wire.begin(place, is_lasting=is_lasting)
        found = read(wire.url)
        lost, others = count_lost(whole, found)
        assert others == 0, place
        assert found.error or lost == 0, place
        assert found.error or not is_lasting, place


@places
def test_a_reply_whose_bytes_are_changed_loses_nothing_in_silence(places: int, sent: Sent) -> None:
    wire, whole, size = sent
    chance = random.Random(7)
    for n in range(5 * places):
        # What the server says of itself and of its collections comes first.
        place, change = chance.randrange(size // (1 + 9 * (n % 2))), chance.randrange(1, 256)
        wire.begin(place, change)
        found = read(wire.url)
        lost, others = count_lost(whole, found)
        # What the server itself calls otherwise is another collection.
        is_named = {*found.documents} == {*whole.documents}
        assert found.is_told or lost <= others or not is_named, (place, change)
