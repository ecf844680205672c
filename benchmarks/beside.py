"""Load, verify and infer of this checkout beside those of another one, in turn, in one run.

    python benchmarks/beside.py OTHER/.venv/bin/python [--messages 400000] [--users 10000] [--runs 9]

Three sides take turns: `A` and `A again` are the other checkout, `B` is this one. In each run they
follow one another, in an order that rotates, because the speed of a machine drifts. Printed are the
medians of the ratios of a run, `B / A`, and `A again / A`, which shows how far chance alone goes,
of the clock and of the processor time of the program without its server, which counts where others
use the machine; then the largest peak memory of a process. Each side has an embedded server and a
folder of its own.
Bytecode is kept, as that of an installed program is: compiling it anew takes a third of a second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from load import MEASURE, write_devora, write_messages

STEPS = ("infer", "load", "verify")


class Figure(NamedTuple):
    """A command: its seconds, those of the processor, and the peak MB of its largest process."""

    seconds: float
    processor_seconds: float
    peak_mb: float


@dataclass
class Side:
    """One of the programs that are compared: its interpreter, its folder, and its figures."""

    name: str
    python: str
    folder: Path
    figures: dict[str, list[Figure]] = field(default_factory=dict)

    def run(self, *arguments: str) -> Figure:
        """Run a command of this side."""
        command = [sys.executable, "-c", MEASURE, self.python, "-m", "assise", *arguments]
        environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
        begun = os.times().elapsed
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, check=False
        )
        seconds = os.times().elapsed - begun
        if done.returncode not in {0, 3}:
            sys.exit(f"{self.name}: assise {' '.join(arguments)}\n{done.stderr.decode()}")
        processor_s, peak_kb = map(float, done.stderr.splitlines()[-2:])
        return Figure(seconds, processor_s, peak_kb / 1024)

    def measure(self, source: Path, workers: int) -> None:
        """Run every step once and keep its figures; the database is empty before and after."""
        more = ["--workers", str(workers)]
        commands = {
            "infer": ["infer", str(source), "-o", os.devnull, "--dry-run", *more],
            "load": ["load", str(source), "--json", *more],
            "verify": ["verify", "--json", *more],
        }
        for step in STEPS:
            self.figures.setdefault(step, []).append(self.run(*commands[step]))
        self.run("undo", "--yes")


def compare(source: Path, sides: list[Side], *, runs: int, workers: int) -> list[str]:
    """Return the lines of the table for one source."""
    for side in sides:
        side.folder.mkdir()
        side.run("infer", str(source), "-o", "assise.yaml")
    try:
        for number in range(runs):
            turn = number % len(sides)
            for side in sides[turn:] + sides[:turn]:
                side.measure(source, workers)
    finally:
        for side in sides:
            side.run("pg", "stop")
    lines = [
        f"{source.name}: {runs} runs, {workers} workers",
        "",
        "| step | A, s | B, s | B / A | A again / A | processor B / A | A again / A | A, peak MB | B, peak MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    first, again, other = (side.figures for side in sides)
    for step in STEPS:
        a, b = first[step], other[step]
        seconds = " | ".join(f"{statistics.median(x.seconds for x in each):.2f}" for each in (a, b))
        ratios = " | ".join(
            f"{find_ratio(each, a, of):.3f}"
            for of in ("seconds", "processor_seconds")
            for each in (b, again[step])
        )
        peaks = " | ".join(f"{max(x.peak_mb for x in each):.0f}" for each in (a, b))
        lines.append(f"| {step} | {seconds} | {ratios} | {peaks} |")
    return [*lines, ""]


def find_ratio(found: list[Figure], base: list[Figure], of: str) -> float:
    """Return the median of the ratios of a figure, run by run."""
    pairs = zip(found, base, strict=True)
    return statistics.median(getattr(x, of) / getattr(y, of) for x, y in pairs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", help="the Python that has the other checkout installed")
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        messages, devora = folder / "messages", folder / "sample" / "devora"
        write_messages(messages, given.messages)
        write_devora(devora.parent, given.users)
        for source in (messages, devora):
            sides = [
                Side("A", given.other, folder / f"{source.name}-a"),
                Side("A again", given.other, folder / f"{source.name}-again"),
                Side("B", sys.executable, folder / f"{source.name}-b"),
            ]
            print("\n".join(compare(source, sides, runs=given.runs, workers=given.workers)))


if __name__ == "__main__":
    main()
