"""Indexes and keys of Devora's manifest: made one by one, and several at the same time.

    python benchmarks/objects.py [--users 6000] [--runs 5]

The rows are loaded once. Then everything is dropped and made again, with one session and with two,
in turn. Printed are the medians of the seconds, and of the ratio in each run.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter

from load import write_devora

from assise.project import Project
from assise.schema.constraints import list_objects
from assise.transfer import ledger
from assise.transfer.objects import apply_objects
from assise.workspace import keep_silent

MANIFEST = Path(__file__).parents[1] / "examples" / "devora" / "assise.yaml"


def measure(project: Project, workers: int) -> float:
    """Drop everything and make it again; the seconds of the second."""
    manifest = project.manifest
    with project.connect(manifest) as connection:
        load = ledger.find_load(connection, manifest.name)
        if load is None:
            sys.exit("nothing is loaded")
        # While a load is not finished nobody uses its tables.
        load = replace(load, is_finished=False)
        make = partial(
            apply_objects, connection, load, workers=workers, log=keep_silent, progress=keep_silent
        )
        make([])
        begun = perf_counter()
        findings = make(list_objects(manifest, load.schema))
        seconds = perf_counter() - begun
    if findings:
        sys.exit(findings[0].describe()[0])
    return seconds


def main() -> None:
    """Read the arguments, load once, and measure in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=6_000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assise-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_devora(folder, arguments.users)
        shutil.copytree(MANIFEST.parent / "sql", folder / "sql")
        project = Project(folder)
        shutil.copy(MANIFEST, project.path)
        try:
            project.load(folder / "devora")
            pairs = []
            for run in range(arguments.runs):
                order = (1, 2) if run % 2 else (2, 1)
                seconds = {workers: measure(project, workers) for workers in order}
                pairs.append((seconds[1], seconds[2]))
                print(f"one by one {seconds[1]:.2f} s, two at a time {seconds[2]:.2f} s")
        finally:
            project.embedded.stop()
    ratio = statistics.median(two / one for one, two in pairs)
    print(f"two at a time take {ratio:.2f} of one by one")


if __name__ == "__main__":
    main()
