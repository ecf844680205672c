"""Documents of others, and these with bytes changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

from assise.mongo.frames import Run, read_frames
from assise.rows.model import Document

DATA = Path(os.environ.get("ASSISE_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
FILES = sorted(DATA.glob("mongo/atlas_and_classic_bson*/*/*.bson"))
MISSING = f"no data of others in {DATA}: set ASSISE_TEST_DATA"

MUTATED = int(os.environ.get("ASSISE_TEST_MUTATED", "10000000"))
"""Mutated documents in soak."""


def find_small(size: int) -> list[Path]:
    """The files below a size in bytes."""
    return [file for file in FILES if file.stat().st_size < size]


def read_documents(file: Path, count: int | None) -> list[bytes]:
    found: list[bytes] = []
    with file.open("rb") as stream:
        for frame in read_frames(stream):
            if not isinstance(frame, Run):
                found += [raw for _, raw in frame]
            if count is not None and len(found) >= count:
                return found[:count]
    return found


def mutate(rng: Random, raws: list[bytes], count: int) -> Iterator[Document]:
    """Documents in which some bytes are others, or a run of them came from elsewhere."""
    for offset in range(count):
        raw = bytearray(rng.choice(raws))
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            at = rng.randrange(len(raw))
            if rng.random() < 0.8:
                raw[at] = rng.choice(
                    (0, 1, 2, 3, 4, 5, 0x0A, 0x10, 0x24, 0x7F, 0xFF, rng.randrange(256))
                )
            else:
                other = rng.choice(raws)
                start = rng.randrange(len(other))
                run = other[start : start + rng.randrange(1, 20)]
                raw[at : at + len(run)] = run
        yield offset, bytes(raw)
