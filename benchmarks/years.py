"""How long diff and revise take: 100 tables with rules and some 3,000 objects, no row."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from assise.postgres.embedded import Embedded
from assise.postgres.snapshot import read_snapshot
from assise.project import Project

TABLES, RUNS = 100, 3


def write_manifest(folder: Path, *, more: str = "") -> None:
    """A manifest of many tables; `more` is a column of each tenth."""
    lines = ["assise: 1", "name: years", "roles: {prefix: years}", "tables:"]
    for n in range(TABLES):
        lines += [f"  t{n}:", f"    collection: t{n}", "    primary_key: id"]
        lines += ["    access: {owner: owner_id}", "    columns:"]
        lines += ["      id: {type: uuid, from: _id}", "      owner_id: uuid"]
        lines += [f"      c{i}: {{type: text, comment: c{i}}}" for i in range(6)]
        lines += [f"      {more}"] if more and n % 10 == 0 else []
        lines += ["    indexes: [[c0, c1], {columns: [c2], unique: true}]"]
    (folder / "assise.yaml").write_text("\n".join(lines))


def main() -> int:
    """Print the seconds of each verb, the median of some runs."""
    with TemporaryDirectory(dir="/tmp") as place:
        folder = Path(place)
        folder.chmod(0o755)
        write_manifest(folder)
        embedded = Embedded(folder / ".assise")
        embedded.start()
        try:
            project = Project(folder)
            project.revisions().revise("start")
            project.revisions().apply()
            with project.connect(project.manifest) as connection:
                print(f"{len(read_snapshot(connection)):,} objects in {TABLES} tables")
            _measure("diff", lambda: project.revisions().diff())
            write_manifest(folder, more="plan: {type: text, default: free}")
            _measure("revise", lambda: _revise(project))
        finally:
            embedded.stop(immediate=True)
    return 0


def _revise(project: Project) -> None:
    path = project.revisions().revise("plan")
    assert path is not None
    path.unlink()


def _measure(name: str, run: object) -> None:
    seconds = []
    for _ in range(RUNS):
        began = perf_counter()
        assert callable(run)
        run()
        seconds.append(perf_counter() - began)
    print(f"{name}: {median(seconds):.2f} s (first {seconds[0]:.2f} s)")


if __name__ == "__main__":
    sys.exit(main())
