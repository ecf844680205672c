"""A connection to a MongoDB that is cut, or whose bytes are changed on their way."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.mongo import MongoServer
from tests.sources.kinds import SERVER, write_server
from tests.sources.reading import Read, read
from tests.sources.wire import Wire, run_wire

pytestmark = pytest.mark.contract


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
