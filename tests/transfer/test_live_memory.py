"""Large documents, and many of mixed sizes, of a running MongoDB: under 300 MB a process."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.scenes.commands import SOURCES
from tests.scenes.memory import LIMIT_MB, MEASURE
from tests.servers.mongo import MongoServer

pytestmark = pytest.mark.contract

Document = dict[str, Any]
Make = Callable[[], Iterator[list[Document]]]
"""Yields documents, some at a time, as they are inserted."""


def large() -> Iterator[list[Document]]:
    """Six documents of 16 MB: one text, or many elements."""
    for number in range(3):
        yield [{"_id": 2 * number, "text": "x" * ((16 << 20) - 100)}]
        yield [{"_id": 2 * number + 1, "parts": ["y" * 1000] * 16_000}]


def mixed() -> Iterator[list[Document]]:
    """100,000 documents: of a thousand one has 1 MB, the others up to 1 KB."""
    chance = random.Random(7)
    for start in range(0, 100_000, 1000):
        documents = [
            {"_id": start + n, "text": "x" * chance.randrange(1000), "n": [n]} for n in range(1000)
        ]
        documents[chance.randrange(1000)]["text"] = "y" * (1 << 20)
        yield documents


@pytest.mark.parametrize(
    ("make", "count", "workers"),
    [
        (large, 6, "1"),
        pytest.param(large, 6, "2", marks=pytest.mark.soak),
        pytest.param(mixed, 100_000, "1", marks=pytest.mark.soak),
        pytest.param(mixed, 100_000, "2", marks=pytest.mark.soak),
    ],
)
def test_a_process_takes_less_than_300_mb(
    make: Make, count: int, workers: str, mongo: MongoServer, database: str, tmp_path: Path
) -> None:
    mongo.answer_truly()
    mongo.client.drop_database("big")
    for documents in make():
        mongo.client.big.things.insert_many(documents)
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "assise", "migrate"]
    done = subprocess.run(
        [*command, f"{mongo.url}big", "--to", database, "--yes", "--json", "--workers", workers],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": SOURCES},
        capture_output=True,
        text=True,
        check=False,
    )
    mongo.client.drop_database("big")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["documents"], report["loaded"]) == (count, count)
    assert report["verified"]["equal"] == count
    assert int(done.stderr.splitlines()[-1]) / 1024 < LIMIT_MB
