"""Measure the load of a running MongoDB beside a drain of the same cursor.

    python benchmarks/live.py [--messages 200000] [--runs 3] [--workers N] [--dlt PYTHON]

The server is mongo-java-server (tests/servers). Of each run: a drain raw with pymongo
(`find_raw_batches`), a load, a verification. Once: naive.py reading live, and with --dlt, the
Python of an environment that has `dlt[postgres]` and pymongo, a pipeline of dlt into the same
PostgreSQL, or into that of --dlt-target. The table is printed and written to benchmarks/results.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from urllib.parse import urlencode

import naive
from bson.raw_bson import RawBSONDocument
from load import HERE, run_step, write_messages
from psycopg.conninfo import conninfo_to_dict
from results import write_section

sys.path.insert(0, str(HERE.parent))

from tests.servers.mongo import MongoServer, run_mongo

from assise.mongo.bson_file import BsonFile, read_chunks
from assise.project import Project

TITLE = "A running MongoDB"

DLT = """
import sys
import dlt
from pymongo import MongoClient

@dlt.resource(name="messages", max_table_nesting=0)
def messages():
    for batch in MongoClient(sys.argv[1]).bench.messages.find(batch_size=10_000):
        batch["_id"], batch["conversationId"] = str(batch["_id"]), str(batch["conversationId"])
        yield batch

target = dlt.destinations.postgres(sys.argv[2])
pipeline = dlt.pipeline("bench", destination=target, dataset_name="bench", pipelines_dir=sys.argv[3])
pipeline.run(messages())
"""
"""What dlt's own source for MongoDB does with a collection: documents as dictionaries."""


def fill(server: MongoServer, folder: Path, count: int) -> None:
    """Write the messages of benchmarks/load.py into the server."""
    write_messages(folder, count)
    path = folder / "messages.bson"
    file = BsonFile("messages", path, path.stat().st_size)
    for chunk in read_chunks(file, 4 << 20):
        documents = [RawBSONDocument(raw) for _, raw in chunk.documents]
        server.client.bench.messages.insert_many(documents, ordered=False)


def drain(server: MongoServer) -> float:
    """Seconds of a drain of the collection, raw."""
    begun = perf_counter()
    for _ in server.client.bench.messages.find_raw_batches({}, batch_size=10_000):
        pass
    return perf_counter() - begun


def name_target(conninfo: str) -> str:
    """Return the URL of a database as dlt takes it, with a host and a password.

    libpq takes the host of the query, a folder of sockets, before the other one.
    """
    parts = conninfo_to_dict(conninfo)
    query = urlencode({"host": parts["host"]})
    return f"postgresql://{parts['user']}:none@localhost/{parts['dbname']}?{query}"


def run_dlt(python: str, url: str, target: str, folder: Path) -> float:
    """Seconds of a pipeline of dlt with the same source, with the start of Python."""
    begun = perf_counter()
    command = [python, "-c", DLT, url, target, str(folder / "dlt")]
    subprocess.run(command, check=True, cwd=folder)
    return perf_counter() - begun


def main() -> None:
    """Measure, print, and write the section of results.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--dlt", metavar="PYTHON")
    parser.add_argument("--dlt-target", metavar="URL")
    given = parser.parse_args()
    steps: dict[str, list[tuple[float, float]]] = {"drain raw": [], "load": [], "verify": []}
    with tempfile.TemporaryDirectory() as name, run_mongo() as server:
        folder = Path(name)
        folder.chmod(0o755)
        fill(server, folder / "messages", given.messages)
        url, more = f"{server.url}bench", ["--json", "--workers", str(given.workers)]
        project = Project(folder)
        project.write_manifest(project.infer(url))
        drain(server)
        try:
            for _ in range(given.runs):
                steps["drain raw"].append((drain(server), 0))
                steps["load"].append(run_step(folder, "load", url, *more))
                steps["verify"].append(run_step(folder, "verify", *more))
                project.undo(confirm=lambda _: True)
            project.embedded.create_database("naive")
            begun = perf_counter()
            naive.load(url, project.embedded.conninfo("naive"))
            steps["by hand (naive.py)"] = [(perf_counter() - begun, 0)]
            if given.dlt:
                project.embedded.create_database("dlt")
                target = given.dlt_target or name_target(project.embedded.conninfo("dlt"))
                steps["dlt"] = [(run_dlt(given.dlt, url, target, folder), 0)]
        finally:
            project.embedded.stop()
    setup = f"{given.messages:,} messages from mongo-java-server, medians of {given.runs}"
    setup += f", {given.workers} workers; load average {os.getloadavg()[1]:.0f} meanwhile."
    lines = [
        setup,
        "",
        "| step | seconds | us a document | of the drain | peak MB |",
        "|---|--:|--:|--:|--:|",
    ]
    for step, runs in steps.items():
        seconds = statistics.median(each for each, _ in runs)
        bases = steps["drain raw"] if len(runs) > 1 else steps["drain raw"][:1]
        ratio = statistics.median(a / b for (a, _), (b, _) in zip(runs, bases, strict=True))
        peak = max(each for _, each in runs)
        cells = [f"{seconds:.2f}", f"{1e6 * seconds / given.messages:.1f}", f"{ratio:.2f}"]
        lines.append(f"| {step} | {' | '.join(cells)} | {f'{peak:.0f}' if peak else ''} |")
    print("\n".join(lines))
    write_section(TITLE, lines)


if __name__ == "__main__":
    main()
