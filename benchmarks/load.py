"""Load and verify against a bare binary COPY of exactly the rows that the load produced, into the same tables, in one run.

    python benchmarks/load.py [DOCUMENTS]

Prints seconds (median of 3), documents a second, the ratio bare COPY / load, and the peak memory of this process.
"""

from __future__ import annotations

import random
import resource
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import bson

from assise.mongo.dump import open_dump, read_chunks
from assise.project import Project
from assise.rows.shred import Shredder
from assise.schema.sql import copy_rows, create_tables

RUNS = 3


def write_messages(file: Path, count: int) -> None:
    """Messages of about 450 bytes, as an application writes them."""
    rng = random.Random(1)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    with file.open("wb") as out:
        for i in range(count):
            message = {
                "_id": bson.ObjectId(),
                "conversationId": bson.ObjectId(),
                "role": rng.choice(["user", "assistant"]),
                "content": f"{i} " + rng.choice(["La facture est prête. ", "The invoice is ready. "]) * 12,
                "tokens": rng.randrange(5_000),
                "price": rng.choice([10, 9.99, rng.random()]),
                "createdAt": start + timedelta(seconds=i),
                "edited": False,
                "meta": {"model": "small", "score": rng.random()},
                "parent": None,
            }
            out.write(bson.encode(message))


def measure(act: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    begun = perf_counter()
    act()
    return perf_counter() - begun


def copy_bare(project: Project, source: Path, schema: str) -> float:
    """Seconds of COPY alone: tables with primary keys, rows made beforehand, one connection."""
    manifest = project.manifest
    shredder = Shredder(manifest, next(iter(manifest.tables)))
    rows: list[list[bytes]] = [[] for _ in shredder.layouts]
    for chunk in read_chunks(open_dump(source).collections[0], 4 << 20):
        batch = shredder.shred(chunk.documents)
        for found, more in zip(rows, batch.rows, strict=True):
            found.extend(more)
    with project.connect(manifest) as connection:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for statement in create_tables(manifest, schema):
            connection.execute(statement)
        begun = perf_counter()
        for layout, of_table in zip(shredder.layouts, rows, strict=True):
            connection.copy_in(copy_rows(layout, schema), of_table)
        seconds = perf_counter() - begun
        connection.execute(f"DROP SCHEMA {schema} CASCADE")
    return seconds


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        source = folder / "app"
        source.mkdir()
        write_messages(source / "messages.bson", count)
        project = Project(folder)
        infer = measure(lambda: project.write_manifest(project.infer(source)))
        loads, verifies = [], []
        for _ in range(RUNS):
            loads.append(measure(lambda: project.load(source)))
            verifies.append(measure(project.verify))
            project.undo(agree=lambda _: True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        bare = statistics.median(copy_bare(project, source, "bare") for _ in range(RUNS))
        project.embedded.stop()
    load, verify = statistics.median(loads), statistics.median(verifies)
    for title, seconds in (("bare COPY", bare), ("load", load), ("verify", verify), ("infer", infer)):
        print(f"{title:<10} {seconds:7.2f} s {count / seconds:10,.0f} documents/s {1e6 * seconds / count:7.1f} us {bare / seconds:6.2f} of bare COPY")
    print(f"peak memory of this process {peak:.0f} MB")


if __name__ == "__main__":
    main()
