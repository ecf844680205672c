"""The second MongoDB of tests, in soak: FerretDB, which keeps all binary ids, over SQLite."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.servers.mongo import CACHE, MongoServer

HERE = Path(__file__).parent / "ferret"
PROGRAM = CACHE.with_name("ferretdb-1.24.2")
HOW_TO_GET = "Go 1.24 builds FerretDB, once: https://go.dev/dl/"


@contextmanager
def run_ferret(folder: Path) -> Iterator[MongoServer]:
    """Run FerretDB with its data in a folder; it ends with its input."""
    command = [_build(), folder]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin
        assert process.stdout
        url = process.stdout.readline().decode().strip()
        with MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=10_000) as client:
            yield MongoServer(url, client)
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.kill()


def _build() -> Path:
    """Return the program, which Go builds once for all checkouts."""
    if not PROGRAM.exists():
        go = shutil.which("go")
        if go is None:
            missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            missing(HOW_TO_GET)
        PROGRAM.parent.mkdir(parents=True, exist_ok=True)
        made = PROGRAM.with_name(f"{PROGRAM.name}.{os.getpid()}")
        done = subprocess.run(
            [go, "build", "-o", made, "."], cwd=HERE, check=False, capture_output=True, text=True
        )
        if done.returncode:
            pytest.fail(f"Go could not build FerretDB: {done.stderr[-2000:]}")
        made.rename(PROGRAM)
    return PROGRAM
