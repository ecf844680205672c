"""Load, verify and infer against a bare binary COPY of exactly the rows that the load produced, into the same tables, in one run.

    python benchmarks/load.py [--messages 400000] [--users 10000] [--runs 5] [--workers N]

For messages of 450 bytes and for Devora (examples/devora). Prints a table and writes it to benchmarks/results.md: seconds (medians), microseconds
a document, the speed beside bare COPY (one connection, rows made beforehand) and beside load, the largest peak memory of a process; and what a
script by hand (benchmarks/naive.py) takes and loses.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import bson
import naive
import psycopg
from bson import json_util
from psycopg import sql

from assise.documents.equality import are_equal
from assise.errors import InvalidBsonError
from assise.mongo.dump import Dump, open_dump, read_chunks
from assise.project import Project
from assise.rows.shred import Shredder
from assise.schema.sql import copy_rows, create_function, create_tables, key_functions

HERE = Path(__file__).parent
CHUNK_BYTES = 4 << 20

MEASURE = """
import os, sys
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process runs the command and says the peak of its largest process: a child inherits that of the process that forks it."""


def write_messages(folder: Path, count: int) -> None:
    """A dump of messages of about 450 bytes, as an application writes them."""
    rng = random.Random(1)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    folder.mkdir(parents=True)
    with (folder / "messages.bson").open("wb") as out:
        for i in range(count):
            message = {
                "_id": bson.ObjectId(),
                "conversationId": bson.ObjectId(),
                "role": rng.choice(["user", "assistant"]),
                "content": f"{i} "
                + rng.choice(["La facture est prête. ", "The invoice is ready. "]) * 12,
                "tokens": rng.randrange(5_000),
                "price": rng.choice([10, 9.99, rng.random()]),
                "createdAt": start + timedelta(seconds=i),
                "edited": False,
                "meta": {"model": "small", "score": rng.random()},
                "parent": None,
            }
            out.write(bson.encode(message))


def write_devora(folder: Path, users: int) -> None:
    """The example's sample data, in the folder devora of this one."""
    generate = [
        sys.executable,
        str(HERE.parent / "examples/devora/generate.py"),
        str(folder),
        "--users",
        str(users),
    ]
    subprocess.run(generate, check=True, stdout=subprocess.DEVNULL)


def make_rows(project: Project, dump: Dump) -> Iterator[tuple[str, list[bytes]]]:
    """COPY statements of the schema `bare`, each with its rows."""
    for root, name in project.manifest.roots.items():
        shredder = Shredder(project.manifest.layout, root)
        rows: list[list[bytes]] = [[] for _ in shredder.layouts]
        seen: set[bytes] = set()
        for chunk in read_chunks(dump.collection(name), CHUNK_BYTES):
            batch = shredder.shred(chunk.documents)
            kept = [key not in seen and not seen.add(key) for key in batch.keys]  # type: ignore[func-returns-value]
            for found, more, owners in zip(rows, batch.rows, batch.owners, strict=True):
                found.extend(row for row, owner in zip(more, owners, strict=True) if kept[owner])
        yield from (
            (copy_rows(layout, "bare"), of_table)
            for layout, of_table in zip(shredder.layouts, rows, strict=True)
        )


def copy_bare(project: Project, dump: Dump) -> float:
    """Seconds of COPY alone: tables with primary keys, rows made beforehand, one connection."""
    with project.connect(project.manifest) as connection:
        connection.execute("CREATE SCHEMA bare")
        layout = project.manifest.layout
        for name in key_functions(layout):
            connection.execute(create_function(name, "bare"))
        for statement in create_tables(layout, "bare"):
            connection.execute(statement)
        seconds = 0.0
        for statement, rows in make_rows(project, dump):
            begun = perf_counter()
            connection.copy_in(statement, rows)
            seconds += perf_counter() - begun
        connection.execute("DROP SCHEMA bare CASCADE")
    return seconds


def run_step(folder: Path, *arguments: str) -> tuple[float, float]:
    """Seconds that a step takes (as its report says, or with the start of the command), and the peak memory in MB of its largest process."""
    begun = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, sys.executable, "-m", "assise", *arguments],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    seconds = perf_counter() - begun
    if done.returncode not in {0, 3}:
        sys.exit(
            f"assise {' '.join(arguments)} ended with {done.returncode} in {folder}:\n{done.stderr.decode()}"
        )
    return (json.loads(done.stdout)["seconds"] if "--json" in arguments else seconds), int(
        done.stderr.splitlines()[-1]
    ) / 1024


def try_naive(project: Project, dump: Dump) -> tuple[float, int, int]:
    """Seconds of the script by hand, and of how many documents what it stored is not the document; and how many it did not store."""
    project.embedded.create_database("naive")
    url = project.embedded.conninfo("naive")
    begun = perf_counter()
    naive.load(dump.path, url)
    seconds = perf_counter() - begun
    changed = missing = 0
    with psycopg.connect(url, autocommit=True) as connection:
        for collection in dump.collections:
            rows = connection.execute(
                sql.SQL("SELECT doc::text FROM {} ORDER BY ctid").format(
                    sql.Identifier(collection.name)
                )
            )
            for chunk in read_chunks(collection, CHUNK_BYTES):
                missing += len(chunk.runs)
                for _, raw in chunk.documents:
                    found = rows.fetchone()
                    changed += found is None or not is_kept(raw, str(found[0]))
    return seconds, changed, missing


def is_kept(raw: bytes, text: str) -> bool:
    """Whether a document comes back from its JSON."""
    try:
        return are_equal(raw, bson.encode(json_util.loads(text)))
    except (InvalidBsonError, ValueError, OverflowError, TypeError, bson.errors.InvalidDocument):
        return False


def compare(folder: Path, source: Path, *, runs: int, workers: int) -> list[str]:
    """The lines of the table for one source; in each run the steps and bare COPY follow one another, because the speed of a machine drifts."""
    project, dump = Project(folder), open_dump(source)
    project.write_manifest(project.infer(source))
    count = sum(
        len(chunk.documents) + len(chunk.runs)
        for collection in dump.collections
        for chunk in read_chunks(collection, CHUNK_BYTES)
    )
    steps: dict[str, list[tuple[float, float]]] = {
        "bare COPY": [],
        "load": [],
        "verify": [],
        "infer": [],
    }
    more = ["--workers", str(workers)]
    try:
        copy_bare(project, dump)
        for _ in range(runs):
            steps["load"].append(run_step(folder, "load", str(source), "--json", *more))
            steps["verify"].append(run_step(folder, "verify", "--json", *more))
            steps["infer"].append(
                run_step(folder, "infer", str(source), "-o", os.devnull, "--dry-run", *more)
            )
            project.undo(confirm=lambda _: True)
            steps["bare COPY"].append((copy_bare(project, dump), 0))
        by_hand, changed, missing = try_naive(project, dump)
    finally:
        project.embedded.stop()
    size = sum(collection.size for collection in dump.collections) / 1e6
    lines = [
        f"{source.name}: {count:,} documents, {size:,.0f} MB",
        "",
        "| step | seconds | us a document | of bare COPY | of load | peak MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, found in {**steps, "by hand (naive.py)": [(by_hand, 0)]}.items():
        seconds, peak = statistics.median(each for each, _ in found), max(each for _, each in found)
        of_bare, of_load = (find_ratio(steps[other], found) for other in ("bare COPY", "load"))
        lines.append(
            f"| {name} | {seconds:.2f} | {1e6 * seconds / count:.1f} | {of_bare:.2f} | {of_load:.2f} | {f'{peak:.0f}' if peak else ''} |"
        )
    return [
        *lines,
        "",
        f"Of what the script by hand stored, {changed:,} documents do not come back as they were; {missing:,} it did not read.",
        "",
    ]


def find_ratio(base: list[tuple[float, float]], found: list[tuple[float, float]]) -> float:
    """How quick a step is beside another: the median over the runs of the ratios of their seconds; what ran once is beside each of the runs."""
    return statistics.median(
        each / other
        for (each, _), (other, _) in zip(base, found * (len(base) // len(found)), strict=True)
    )


def main() -> None:
    """Measure, print, and write results.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    given = parser.parse_args()
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    text = [
        f"`make bench` on {machine}: medians of {given.runs}, {given.workers} workers, their start included.",
        "",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        messages, devora = folder / "a" / "messages", folder / "b" / "devora"
        write_messages(messages, given.messages)
        write_devora(devora.parent, given.users)
        for source in (messages, devora):
            text += compare(source.parent, source, runs=given.runs, workers=given.workers)
    print("\n".join(text))
    (HERE / "results.md").write_text("# Benchmarks\n\n" + "\n".join(text))


if __name__ == "__main__":
    main()
