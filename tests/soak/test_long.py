"""A long migration of small documents with random shapes, as users run it.

All are loaded or rejected, all are equal, in little memory.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.scenes.commands import SOURCES
from tests.scenes.hostile import Query
from tests.scenes.memory import LIMIT_MB, MEASURE
from tests.soak.mixed import write_mixed

pytestmark = pytest.mark.soak

DOCUMENTS = int(os.environ.get("ASSISE_TEST_DOCUMENTS", "200000"))
RUNS = [
    pytest.param(DOCUMENTS, False, id="plain"),
    pytest.param(DOCUMENTS, True, id="gzip"),
    pytest.param(25 * DOCUMENTS, False, id="large"),
]


def run(verb: str, folder: Path, database: str) -> tuple[int, int, dict[str, Any], str]:
    """Exit code, peak memory in MB, report and log of a command."""
    command = [
        sys.executable,
        "-c",
        MEASURE,
        sys.executable,
        "-m",
        "assise",
        verb,
        "app",
        "--to",
        database,
        "--yes",
        "--json",
    ]
    environ = {**os.environ, "PYTHONPATH": SOURCES}
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    return (
        done.returncode,
        int(done.stderr.splitlines()[-1]) >> 10,
        json.loads(done.stdout),
        done.stderr,
    )


def loaded_part(report: dict[str, Any]) -> list[dict[str, Any]]:
    """What a report says of each collection, but for seconds and what verify found."""
    return [
        {name: value for name, value in each.items() if name not in {"seconds", "verified"}}
        for each in report["collections"]
    ]


@pytest.mark.parametrize(("count", "is_packed"), RUNS)
def test_a_long_migration(
    tmp_path: Path,
    database: str,
    query: Query,
    count: int,
    is_packed: bool,
    record_property: Callable[[str, object], None],
) -> None:
    rejects = write_mixed(
        tmp_path / "app", random.Random(random.getrandbits(64)), count=count, is_packed=is_packed
    )
    code, peak_mb, report, log = run("migrate", tmp_path, database)
    record_property("documents", report["documents"])
    record_property("rejects", report["rejected"])
    record_property("MB at most", peak_mb)
    found = {name: Counter[int]() for name in rejects}
    for collection, reason in query("SELECT collection, reason FROM assise.reject"):
        found[str(collection)][int(str(reason))] += 1
    assert found == rejects
    rejected = sum(sum(counts.values()) for counts in rejects.values())
    assert (code, report["documents"], report["rejected"], report["loaded"]) == (
        3,
        count,
        rejected,
        count - rejected,
    ), log
    assert report["verified"] == {
        "equal": count - rejected,
        "different": 0,
        "missing": 0,
        "extra": 0,
    }
    assert peak_mb < LIMIT_MB
    code, peak_mb, again, log = run("load", tmp_path, database)
    assert (code, loaded_part(again)) == (3, loaded_part(report))
    assert "everything was loaded already; no rows were changed" in log
    assert peak_mb < LIMIT_MB
