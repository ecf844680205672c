"""Compare the estimate of a dry run with the time that load and verify take directly afterwards.

    python benchmarks/estimate.py [--scale 1.0] [DUMP …]

The sources are messages of 450 bytes, Devora (examples/devora), documents of random shapes with
dirt (tests/soak/mixed.py), plain and packed, arrays of documents and of numbers, documents of
megabytes; and the dumps that are given. A table is printed and written to
benchmarks/results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import bson
from load import HERE, run_step, write_devora, write_messages
from results import write_section

from assise.mongo.dump import open_dump
from assise.project import Project

sys.path.insert(0, str(HERE.parent))
from tests.soak.mixed import write_mixed

TITLE = "Estimates"


def write_documents(folder: Path, documents: Iterator[Mapping[str, object]]) -> None:
    """A collection of one file."""
    folder.mkdir()
    with (folder / f"{folder.name}.bson").open("wb") as out:
        out.writelines(map(bson.encode, documents))


def make_orders(count: int) -> Iterator[Mapping[str, object]]:
    """Arrays of 200 documents, which become child rows."""
    for n in range(count):
        lines = [make_line(n, i) for i in range(200)]
        yield {"_id": bson.ObjectId(), "n": n, "lines": lines}


def make_line(n: int, i: int) -> dict[str, object]:
    return {"sku": f"s{i}", "count": i, "price": n / (i + 1), "at": n * i}


def make_series(count: int) -> Iterator[Mapping[str, object]]:
    """Arrays of numbers and of strings."""
    for n in range(count):
        yield {
            "_id": n,
            "values": [n / (i + 1) for i in range(2_000)],
            "tags": [f"tag {i}" for i in range(300)],
        }


def make_texts(count: int) -> Iterator[Mapping[str, object]]:
    """Documents of three megabytes, nearly all in one string."""
    for n in range(count):
        yield {"_id": n, "title": f"text {n}", "body": f"lorem ipsum {n:03} " * 200_000}


def make_maps(count: int) -> Iterator[Mapping[str, object]]:
    """Documents of nearly a megabyte with 15,000 keys."""
    for n in range(count):
        yield {
            "_id": n,
            "map": {f"k{i}": {"a": i, "b": f"v{i}", "c": [i, 1.5]} for i in range(15_000)},
        }


SOURCES: dict[str, Callable[[Path, float], object]] = {
    "messages": lambda folder, scale: write_messages(folder, round(300_000 * scale)),
    "devora": lambda folder, scale: write_devora(folder.parent, round(2_500 * scale)),
    "mixed": lambda folder, scale: write_mixed(
        folder, random.Random(1), count=round(200_000 * scale), is_packed=False
    ),
    "mixed, packed": lambda folder, scale: write_mixed(
        folder, random.Random(2), count=round(200_000 * scale), is_packed=True
    ),
    "orders": lambda folder, scale: write_documents(folder, make_orders(round(4_000 * scale))),
    "series": lambda folder, scale: write_documents(folder, make_series(round(2_000 * scale))),
    "texts": lambda folder, scale: write_documents(folder, make_texts(round(50 * scale))),
    "maps": lambda folder, scale: write_documents(folder, make_maps(round(60 * scale))),
}


def compare(name: str, source: Path) -> str:
    """Return a line of the table: for load and verify the estimate, the seconds, their ratio."""
    command = [sys.executable, "-m", "assise", "load", "--dry-run", "--json"]
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        folder.chmod(0o755)
        project = Project(folder)
        project.write_manifest(project.infer(source))
        try:
            project.embedded.start()
            plan = json.loads(subprocess.check_output([*command, str(source)], cwd=folder))
            load_s, _ = run_step(folder, "load", str(source), "--json")
            verify_s, _ = run_step(folder, "verify", "--json")
        finally:
            project.embedded.stop()
    size = sum(collection.size for collection in open_dump(source).collections) / 1e6
    load, verify = show(plan["load_seconds"], load_s), show(plan["verify_seconds"], verify_s)
    return f"| {name} | {size:,.0f} | {load} | {verify} |"


def show(estimate_s: float, took_s: float) -> str:
    return f"{estimate_s:.1f} | {took_s:.1f} | {estimate_s / took_s:.2f}"


def main() -> None:
    """Measure, print, and write the section of results.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dumps", nargs="*", type=Path, metavar="DUMP")
    parser.add_argument("--scale", type=float, default=1.0)
    given = parser.parse_args()
    load_average = f"{os.getloadavg()[1]:.0f}"
    text = [
        "Seconds that `--dry-run` says for load and verify, what they took directly afterwards,",
        f"and the ratio. On {os.cpu_count()} cores, with a load average of {load_average}",
        f"when this began, and --scale {given.scale}.",
        "",
        "| source | MB | load: said | took | ratio | verify: said | took | ratio |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    print("\n".join(text))
    with tempfile.TemporaryDirectory() as name:
        for source, write in SOURCES.items():
            folder = Path(name) / source
            write(folder, given.scale)
            text.append(compare(source, folder))
            print(text[-1], flush=True)
    for dump in given.dumps:
        text.append(compare(dump.name, dump))
        print(text[-1], flush=True)
    write_section(TITLE, text)


if __name__ == "__main__":
    main()
