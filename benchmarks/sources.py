"""Load and verify of the same messages through every kind of file, beside the `.bson` file.

    python benchmarks/sources.py [--messages 200000] [--runs 5] [--workers N] [--only bson archive]

In each run the sources follow one another, in an order that rotates, because the speed of a machine
drifts. Printed and written to benchmarks/results.md are medians: seconds, those of the `.bson` file
of the same run divided by them, and the largest peak memory of a process.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import bson
from bson import json_util
from fastcrc import crc64
from load import run_step, write_messages

RESULTS = Path(__file__).parent / "results.md"
BEGIN, END = "## Kinds of files\n", "<!-- end of kinds of files -->\n"
SEGMENT_BYTES = 16 << 20
TERMINATOR = b"\xff\xff\xff\xff"


def split(data: bytes) -> Iterator[bytes]:
    """Yield the documents of a `.bson` file."""
    p = 0
    while p < len(data):
        stop = p + int.from_bytes(data[p : p + 4], "little")
        yield data[p:stop]
        p = stop


def write_archive(data: bytes) -> bytes:
    """Return an archive with one collection, in segments as long as mongodump's buffers."""
    names = {"db": "app", "collection": "messages"}
    header = {"concurrent_collections": 4, "version": "0.1"}
    metadata = {**names, "metadata": "", "size": 0, "type": "collection"}
    parts = [b"\x6d\xe2\x99\x81", bson.encode(header), bson.encode(metadata), TERMINATOR]
    head = bson.encode({**names, "EOF": False, "CRC": bson.Int64(0)})
    size = SEGMENT_BYTES
    for raw in split(data):
        size += len(raw)
        if size > SEGMENT_BYTES:
            parts += [*([TERMINATOR] if len(parts) > 4 else []), head]
            size = len(raw)
        parts.append(raw)
    crc = crc64.xz(data)
    end = {**names, "EOF": True, "CRC": bson.Int64(crc - (crc >> 63 << 64))}
    return b"".join([*parts, TERMINATOR, bson.encode(end), TERMINATOR])


def write_lines(data: bytes) -> bytes:
    """Return the documents as mongoexport writes them: relaxed, in UTF-8."""
    options = json_util.RELAXED_JSON_OPTIONS
    documents = map(bson.decode, split(data))
    lines = (json_util.dumps(each, json_options=options, ensure_ascii=False) for each in documents)
    return "\n".join(lines).encode() + b"\n"


KINDS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "bson": ("messages.bson", bytes),
    "bson.gz": ("messages.bson.gz", gzip.compress),
    "archive": ("messages.archive", write_archive),
    "archive.gz": ("messages.archive.gz", lambda data: gzip.compress(write_archive(data))),
    "JSON lines": ("messages.jsonl", write_lines),
    "JSON lines, gz": ("messages.jsonl.gz", lambda data: gzip.compress(write_lines(data))),
}
"""How the messages are written: the name of the file, and its content."""

STEPS = ("load", "verify")

Figures = dict[str, list[tuple[float, float]]]


def measure(folder: Path, source: Path, workers: int, figures: Figures) -> None:
    """Load and verify once, and keep seconds and peaks."""
    more = ["--json", "--workers", str(workers)]
    for step in STEPS:
        arguments = [step, *([str(source)] if step == "load" else []), *more]
        figures[step].append(run_step(folder, *arguments))
    run_step(folder, "undo", "--yes")


def compare(folder: Path, given: argparse.Namespace) -> list[str]:
    """Return the lines of the table."""
    write_messages(folder / "messages", given.messages)
    data = (folder / "messages" / "messages.bson").read_bytes()
    places: dict[str, tuple[Path, Path]] = {}
    for name in given.only:
        file, write = KINDS[name]
        place = folder / name.replace(" ", "-")
        (place / "source").mkdir(parents=True)
        places[name] = place, place / "source" / file
        places[name][1].write_bytes(write(data))
        run_step(place, "infer", str(places[name][1]), "-o", "assise.yaml")
    found: dict[str, Figures] = {name: defaultdict(list) for name in places}
    try:
        for number in range(given.runs):
            turn = number % len(places)
            names = [*places]
            for name in names[turn:] + names[:turn]:
                measure(*places[name], given.workers, found[name])
    finally:
        for place, _ in places.values():
            run_step(place, "pg", "stop")
    lines = [
        (
            f"{given.messages:,} messages, medians of {given.runs} runs,"
            f" {given.workers} workers on {os.cpu_count()} cores, Python {platform.python_version()}."
        ),
        "",
        "| source | MB | load, s | of bson | verify, s | of bson | peak MB |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, figures in found.items():
        cells = [f"{places[name][1].stat().st_size / 1e6:.0f}"]
        for step in STEPS:
            seconds = [s for s, _ in figures[step]]
            base = [s for s, _ in found[given.only[0]][step]]
            ratio = statistics.median(b / s for b, s in zip(base, seconds, strict=True))
            cells += [f"{statistics.median(seconds):.2f}", f"{ratio:.2f}"]
        peak = max(peak for step in STEPS for _, peak in figures[step])
        lines.append(f"| {name} | {' | '.join(cells)} | {peak:.0f} |")
    return lines


def main() -> None:
    """Measure, print, and write the table to the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+", default=[*KINDS], choices=[*KINDS])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        lines = compare(Path(name), given)
    print("\n".join(lines))
    if given.only != [*KINDS]:
        return
    before, _, rest = RESULTS.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    RESULTS.write_text("\n".join([before.rstrip(), "", BEGIN, *lines, "", END]) + after)


if __name__ == "__main__":
    sys.exit(main())
