"""Measure load, verify and infer beside a bare binary COPY of the same rows into the same tables.

    python benchmarks/load.py [--messages 400000] [--users 10000] [--runs 5] [--workers N]
    python benchmarks/load.py --profile [--messages 400000] [--users 10000] [--runs 5]
    python benchmarks/load.py --burn [--messages 400000] [--users 10000] [--runs 5]

The sources are messages of 450 bytes and Devora (examples/devora). A table is printed and written
to benchmarks/results.md: seconds (medians) of the stage, as its report says, and of the whole
command; microseconds a document of the stage; the speed of both beside bare COPY (one connection,
rows made beforehand), and of the stage beside load; the largest peak memory of a process; and the
time and the losses of a script by hand (benchmarks/naive.py). Of infer there is the command alone.

With `--profile` one process loads chunk by chunk, and prints what each part takes of the processor,
the server's parts too (Linux alone): a machine that does other things changes that the least.

With `--burn` a process keeps one core busy, and commands with one worker and with two take turns
(Linux alone).
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
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, thread_time
from typing import Literal, NamedTuple

import bson
import naive
import psycopg
from bson import json_util
from psycopg import sql
from results import write_section

from assise.documents.equality import are_equal
from assise.errors import InvalidBsonError
from assise.mongo.chunks import Chunk
from assise.mongo.dump import Dump, open_dump
from assise.native import describe_native
from assise.project import Project
from assise.rows.shred import Shredder
from assise.schema.sql import (
    copy_rows,
    create_function,
    create_tables,
    key_functions,
    quote_table,
)

HERE = Path(__file__).parent
CHUNK_BYTES = 4 << 20

MEASURE = """
import os, sys
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
for figure in (usage.ru_utime + usage.ru_stime, usage.ru_maxrss):
    print(figure, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process runs the command, and prints its processor time and the peak of its largest process.

A child inherits the peak of the process that forks it.
"""


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


def list_chunks(dump: Dump, name: str) -> Iterator[Chunk]:
    """The chunks of a collection."""
    pieces = dump.list_chunks([name], CHUNK_BYTES, is_read=True)
    return (piece.chunk for piece in pieces if piece.chunk)


def make_rows(project: Project, dump: Dump) -> Iterator[tuple[str, list[bytes]]]:
    """COPY statements of the schema `bare`, each with its rows."""
    for root, name in project.manifest.roots.items():
        shredder = Shredder(project.manifest.layout, root)
        rows: list[list[bytes]] = [[] for _ in shredder.layouts]
        seen: set[bytes] = set()
        for chunk in list_chunks(dump, name):
            batch = shredder.shred(chunk.documents)
            kept = []
            for key in batch.keys:
                kept.append(key not in seen)
                seen.add(key)
            for table, more, owners in zip(rows, batch.rows, batch.owners, strict=True):
                owned = zip(more, owners, strict=True)
                table.extend(row for row, owner in owned if kept[owner])
        for layout, table in zip(shredder.layouts, rows, strict=True):
            yield copy_rows(layout, "bare"), table


def count_declined(project: Project, dump: Dump) -> int:
    """How many documents assise-native leaves to the document path; none where it is not there."""
    declined = 0
    for root, name in project.manifest.roots.items():
        shredder = Shredder(project.manifest.layout, root)
        for chunk in list_chunks(dump, name):
            declined += shredder.shred(chunk.documents).declined
    return declined


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


def read_processor_time(pid: int) -> float:
    """Return the seconds of processor time of the main thread of a process."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


class Clock:
    """Sums up processor time by part: that of this thread, and that of the server's process."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Count what the block takes."""
        own, servers = thread_time(), read_processor_time(self._pid)
        yield
        self.seconds[f"{part}: client"] += thread_time() - own
        self.seconds[f"{part}: server"] += read_processor_time(self._pid) - servers


def load_by_hand(project: Project, dump: Dump) -> Counter[str]:
    """Load in this process as one worker does; the processor time of each part.

    Bare COPY stands beside it, of the same rows into the same tables.
    """
    layout = project.manifest.layout
    with project.connect(project.manifest) as connection:
        clock = Clock(connection.pid)
        for schema in ("bare", "chunks"):
            connection.execute(f"CREATE SCHEMA {schema}")
            for name in key_functions(layout):
                connection.execute(create_function(name, schema))
            for statement in create_tables(layout, schema):
                connection.execute(statement)
        for statement, rows in make_rows(project, dump):
            with clock.measure("bare COPY"):
                connection.copy_in(statement, rows)
        for root, name in project.manifest.roots.items():
            shredder = Shredder(layout, root)
            copies = [copy_rows(table, "chunks") for table in shredder.layouts]
            chunks = list_chunks(dump, name)
            while True:
                with clock.measure("read"):
                    chunk = next(chunks, None)
                if chunk is None:
                    break
                with clock.measure("sha256"):
                    _ = chunk.digest
                with clock.measure("shred"):
                    batch = shredder.shred(chunk.documents)
                with clock.measure("COPY"), connection.transaction(is_durable=False):
                    for statement, joined in zip(copies, batch.rows, strict=True):
                        if joined:
                            connection.copy_in(statement, joined.joined())
        with clock.measure("ANALYZE"):
            connection.execute(
                f"ANALYZE {', '.join(quote_table('chunks', name) for name in layout.tables)}"
            )
        connection.execute("DROP SCHEMA bare CASCADE; DROP SCHEMA chunks CASCADE")
    return clock.seconds


def profile(folder: Path, source: Path, *, runs: int) -> list[str]:
    """Return the lines of a table of what each part of a load takes, least of the runs."""
    project, dump = Project(folder), open_dump(source)
    project.write_manifest(project.infer(source))
    count = sum(
        len(chunk.documents) for each in dump.collections for chunk in list_chunks(dump, each.name)
    )
    try:
        found = [load_by_hand(project, dump) for _ in range(runs)]
    finally:
        project.embedded.stop()
    lines = [f"{source.name}: {count:,} documents", "", "| part | us a document |", "|---|--:|"]
    for part in found[0]:
        least = 1e6 * min(each[part] for each in found) / count
        if least >= 0.005:
            lines.append(f"| {part} | {least:.2f} |")
    return [*lines, ""]


class Run(NamedTuple):
    """Seconds of a stage and of its whole command, and the peak of the largest process in MB."""

    stage: float
    command: float
    peak: float = 0


def run_command(folder: Path, *arguments: str) -> Run:
    """Run a command; without `--json` it has no report, and the stage is the command."""
    begun = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, sys.executable, "-m", "assise", *arguments],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    seconds = perf_counter() - begun
    if done.returncode not in {0, 3}:
        command = f"assise {' '.join(arguments)}"
        errors = done.stderr.decode()
        sys.exit(f"{command} ended with {done.returncode} in {folder}:\n{errors}")
    stage = json.loads(done.stdout)["seconds"] if "--json" in arguments else seconds
    return Run(stage, seconds, int(done.stderr.splitlines()[-1]) / 1024)


def run_step(folder: Path, *arguments: str) -> tuple[float, float]:
    """Run a command; return the seconds of its stage and the peak of its largest process in MB."""
    stage, _, peak = run_command(folder, *arguments)
    return stage, peak


def try_naive(project: Project, dump: Dump) -> tuple[float, int, int]:
    """Run the script by hand; return its seconds, and how many documents it changed and missed."""
    project.embedded.create_database("naive")
    url = project.embedded.conninfo("naive")
    begun = perf_counter()
    naive.load(dump.path, url)
    seconds = perf_counter() - begun
    changed = missing = 0
    with psycopg.connect(url, autocommit=True) as connection:
        for collection in dump.collections:
            table = sql.Identifier(collection.name)
            rows = connection.execute(
                sql.SQL("SELECT doc::text FROM {} ORDER BY ctid").format(table)
            )
            for chunk in list_chunks(dump, collection.name):
                missing += len(chunk.runs)
                for _, raw in chunk.documents:
                    found = rows.fetchone()
                    changed += found is None or not is_kept(raw, str(found[0]))
    return seconds, changed, missing


def is_kept(raw: bytes, text: str) -> bool:
    """Return whether the JSON gives the document back."""
    try:
        return are_equal(raw, bson.encode(json_util.loads(text)))
    except (InvalidBsonError, ValueError, OverflowError, TypeError, bson.errors.InvalidDocument):
        return False


def compare(folder: Path, source: Path, *, runs: int, workers: int) -> list[str]:
    """Return the lines of the table for one source.

    In each run the steps and bare COPY follow one another, because the speed of a machine drifts.
    """
    project, dump = Project(folder), open_dump(source)
    project.write_manifest(project.infer(source))
    count = sum(
        len(chunk.documents) + len(chunk.runs)
        for collection in dump.collections
        for chunk in list_chunks(dump, collection.name)
    )
    steps = {name: list[Run]() for name in ("bare COPY", "load", "verify", "infer")}
    more = ["--workers", str(workers)]
    try:
        copy_bare(project, dump)
        for _ in range(runs):
            steps["load"].append(run_command(folder, "load", str(source), "--json", *more))
            steps["verify"].append(run_command(folder, "verify", "--json", *more))
            steps["infer"].append(
                run_command(folder, "infer", str(source), "-o", os.devnull, "--dry-run", *more)
            )
            project.undo(confirm=lambda _: True)
            bare = copy_bare(project, dump)
            steps["bare COPY"].append(Run(bare, bare))
        by_hand, changed, missing = try_naive(project, dump)
        declined = count_declined(project, dump)
    finally:
        project.embedded.stop()
    size = sum(collection.size for collection in dump.collections) / 1e6
    columns = ["stage, s", "us a document", "of bare COPY", "of load"]
    columns += ["command, s", "of bare COPY", "peak MB"]
    lines = [
        f"{source.name}: {count:,} documents, {size:,.0f} MB",
        "",
        f"| step | {' | '.join(columns)} |",
        f"|---|{'--:|' * len(columns)}",
    ]
    bare = steps["bare COPY"]
    for name, found in {**steps, "by hand (naive.py)": [Run(by_hand, by_hand)]}.items():
        stage = statistics.median(run.stage for run in found)
        command = statistics.median(run.command for run in found)
        peak = max(run.peak for run in found)
        cells = [
            f"{stage:.2f}",
            f"{1e6 * stage / count:.1f}",
            f"{find_ratio(bare, found, 'stage'):.2f}",
            f"{find_ratio(steps['load'], found, 'stage'):.2f}",
            f"{command:.2f}",
            f"{find_ratio(bare, found, 'command'):.2f}",
            f"{peak:.0f}" if peak else "",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    way = f"Documents go {describe_native()}; {declined:,} of them are declined."
    losses = (
        f"Of what the script by hand stored, {changed:,} documents do not come back as they were;"
        f" {missing:,} it did not read."
    )
    return [*lines, "", way, losses, ""]


@contextmanager
def burn() -> Iterator[None]:
    """Keep one core busy while the block runs."""
    core = min(os.sched_getaffinity(0))
    program = f"import os\nos.sched_setaffinity(0, [{core}])\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        try:
            yield
        finally:
            process.kill()


def compare_workers(folder: Path, source: Path, *, runs: int) -> list[str]:
    """Return the lines of a table of one worker and two, while one core is busy."""
    project = Project(folder)
    project.write_manifest(project.infer(source))
    commands = {"load": ["load", str(source), "--json"], "verify": ["verify", "--json"]}
    found = {(name, workers): list[Run]() for name in commands for workers in (1, 2)}
    try:
        with burn():
            for workers in [1, 2] * runs:
                for name, command in commands.items():
                    run = run_command(folder, *command, "--workers", str(workers))
                    found[name, workers].append(run)
                project.undo(confirm=lambda _: True)
    finally:
        project.embedded.stop()
    lines = [
        f"{source.name}: one core is busy",
        "",
        "| command | one worker, s | two, s | how much quicker two are |",
        "|---|--:|--:|--:|",
    ]
    for name in commands:
        one, two = found[name, 1], found[name, 2]
        seconds = [statistics.median(run.command for run in each) for each in (one, two)]
        cells = [f"{each:.2f}" for each in (*seconds, find_ratio(one, two, "command"))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def find_ratio(base: list[Run], found: list[Run], what: Literal["stage", "command"]) -> float:
    """Return the median over the runs of how much quicker a step is than the base.

    A step that ran once is compared with each run of the base.
    """
    pairs = zip(base, found * (len(base) // len(found)), strict=True)
    return statistics.median(getattr(one, what) / getattr(other, what) for one, other in pairs)


def main() -> None:
    """Measure, print, and write the section of results.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--burn", action="store_true")
    given = parser.parse_args()
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    setup = f"medians of {given.runs}, {given.workers} workers, their start included"
    if given.profile:
        setup = f"processor time, one worker, the least of {given.runs}"
    if given.burn:
        setup = f"medians of {given.runs}, by the clock, start included"
    text = [f"`make bench` on {machine}: {setup}.", ""]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        messages, devora = folder / "a" / "messages", folder / "b" / "devora"
        write_messages(messages, given.messages)
        write_devora(devora.parent, given.users)
        for source in (messages, devora):
            if given.profile:
                text += profile(source.parent, source, runs=given.runs)
            elif given.burn:
                text += compare_workers(source.parent, source, runs=given.runs)
            else:
                text += compare(source.parent, source, runs=given.runs, workers=given.workers)
    print("\n".join(text))
    if not (given.profile or given.burn):
        write_section("Load, verify and infer", text)


if __name__ == "__main__":
    main()
