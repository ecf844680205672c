"""What is read of damaged files and replies takes no more memory, whatever lengths they give."""

from __future__ import annotations

import gzip
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.scenes.memory import LIMIT_MB, MEASURE
from tests.servers.mongo import MongoServer
from tests.sources.held import change, cuts
from tests.sources.kinds import FILES, SERVER, Kind, write_server
from tests.sources.reading import data_files
from tests.sources.wire import run_wire

LENGTHS = [2**31 - 1, 2**30, 300 << 20, 16 << 20, -1]
"""What is written where a length may be."""

at_places = pytest.mark.parametrize("places", [8, pytest.param(200, marks=pytest.mark.soak)])
PACKED = [
    pytest.param(kind, id=kind.name, marks=[pytest.mark.soak] * ("archive" not in kind.name))
    for kind in FILES
    if "packed" in kind.name
]
ROOT = Path(__file__).parents[2]


@contextmanager
def read_measured() -> Iterator[Callable[[Path | str], int]]:
    """Read sources in another process; at the end it must not have taken more than the limit."""
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "tests.sources.damaging"]
    reader = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reader.stdin
    assert reader.stdout

    def read(place: Path | str) -> int:
        assert reader.stdin
        assert reader.stdout
        reader.stdin.write(f"{place}\n")
        reader.stdin.flush()
        return int(reader.stdout.readline())

    try:
        yield read
    finally:
        _, said = reader.communicate()
    assert reader.returncode == 0, said
    assert int(said.splitlines()[-1]) / 1024 < LIMIT_MB


def damage(content: bytes, places: int) -> Iterator[bytes]:
    """The content cut, with bytes changed, and with lengths of others."""
    chance = random.Random(places)
    for stop in cuts(len(content), places, seed=1):
        yield content[:stop]
    for _ in range(places):
        yield change(content, chance)
    for _ in range(places):
        place, length = chance.randrange(len(content) - 4), chance.choice(LENGTHS)
        yield content[:place] + length.to_bytes(4, "little", signed=True) + content[place + 4 :]
    for length in LENGTHS:
        yield length.to_bytes(4, "little", signed=True) + content[4:]


@at_places
def test_damaged_files_are_read_in_little_memory(places: int, tmp_path: Path) -> None:
    with read_measured() as read:
        for kind in FILES:
            place = kind.write(tmp_path / kind.name, kind.hold(100))
            count = read(place)
            for file in data_files(place):
                content = file.read_bytes()
                for damaged in damage(content, max(2, places // len(data_files(place)))):
                    file.write_bytes(damaged)
                    read(place)
                if content.startswith(b"\x1f\x8b"):
                    for damaged in damage(gzip.decompress(content), places // 4):
                        file.write_bytes(gzip.compress(damaged))
                        read(place)
                file.write_bytes(content)
            assert read(place) == count > 0, kind.name


@pytest.mark.parametrize("kind", PACKED)
def test_what_unpacks_to_much_is_read_in_little_memory(kind: Kind, tmp_path: Path) -> None:
    """500 MB of zeros, and of blanks, behind the documents."""
    place = kind.write(tmp_path, kind.hold(10))
    with read_measured() as read:
        for file in data_files(place):
            content = file.read_bytes()
            for filler in (b"\0", b" "):
                with file.open("wb") as stream:
                    stream.write(content)
                    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as packed:
                        for _ in range(500):
                            packed.write(filler * (1 << 20))
                read(place)
            file.write_bytes(content)


@pytest.mark.contract
@at_places
def test_damaged_replies_are_read_in_little_memory(places: int, mongo: MongoServer) -> None:
    write_server(mongo, Path(), SERVER.hold(100))
    chance = random.Random(places)
    with run_wire(mongo) as wire, read_measured() as read:
        assert read(wire.url) == 100
        size = wire.sent
        for _ in range(2 * places):
            wire.begin(chance.randrange(size), chance.randrange(1, 256))
            read(wire.url)
