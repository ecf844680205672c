"""A command in a process of its own, whose peak of memory is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.scenes.commands import SOURCES

LIMIT_MB = 300
"""The most that a process may take, whatever the documents are."""

MEASURE = """
import os, sys
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print(usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process runs the command and prints its peak: a child inherits that of its parent."""


def run(folder: Path, *arguments: str) -> tuple[int, float, Path]:
    """Exit code, peak memory in MB, and what was printed, which is kept in a file.

    It may be many times as large as the documents.
    """
    environment = {**os.environ, "PYTHONPATH": SOURCES}
    command = [sys.executable, "-c", MEASURE, sys.executable, "-m", "assise", *arguments]
    with (folder / "printed").open("wb") as stream:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdout=stream,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode in {0, 3}, done.stderr
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    peak = int(done.stderr.splitlines()[-1])
    return done.returncode, peak / unit, folder / "printed"
