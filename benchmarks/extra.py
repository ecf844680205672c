"""What stands in `_extra`: this checkout beside another one, for each set of dumps.

    python benchmarks/extra.py OTHER/.venv/bin/python FOLDER

FOLDER holds dumps at any depth; those under 100 KB are left out. Each is migrated by both programs with the manifests that they
propose. Printed are the shares of the values in jsonb and in `_extra` alone, and of the rows with
an `_extra`, before (OTHER) and after (this checkout).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql

LEAST_BYTES = 100_000

_TABLES = """
SELECT table_schema, table_name FROM information_schema.columns
WHERE column_name = '_extra' AND table_schema <> 'assise' ORDER BY 1, 2
"""


def find_sets(folder: Path) -> list[Path]:
    """The folders that hold dumped collections, unless they are small."""
    sizes = Counter[Path]()
    for path in [*folder.rglob("*.bson"), *folder.rglob("*.bson.gz")]:
        sizes[path.parent] += path.stat().st_size
    return sorted(path for path, size in sizes.items() if size >= LEAST_BYTES)


def run(python: str, folder: Path, *arguments: str) -> str:
    """Run a command of a program in its folder; return what it prints."""
    command = [python, "-m", "assise", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True)
    if done.returncode not in {0, 3}:
        sys.exit(f"assise {' '.join(arguments)}\n{done.stderr}")
    return done.stdout


def count_rows(url: str) -> tuple[int, int]:
    """The rows of all tables, and those with an `_extra`."""
    total = noted = 0
    with psycopg.connect(url) as connection:
        for schema, table in connection.execute(_TABLES).fetchall():
            of_table = sql.Identifier(schema, table)
            query = sql.SQL("SELECT count(*), count(_extra) FROM {}").format(of_table)
            rows, extras = connection.execute(query).fetchone() or (0, 0)
            total, noted = total + rows, noted + extras
    return total, noted


def measure(python: str, source: Path) -> list[float]:
    """Migrate a set; return percents: values in jsonb, in `_extra`, and rows with an `_extra`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            report = json.loads(run(python, folder, "migrate", str(source), "--yes", "--json"))
            rows, noted = count_rows(run(python, folder, "pg", "url").strip())
        finally:
            run(python, folder, "pg", "stop")
    if report["verified"]["equal"] < report["loaded"]:
        sys.exit(f"{source}: {report['verified']}")
    values = Counter[str]()
    for collection in report["collections"]:
        values.update(collection["values"])
    total = values.total() or 1
    return [100 * values["jsonb"] / total, 100 * values["extra"] / total, 100 * noted / (rows or 1)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", help="the interpreter of the other checkout")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="sets with this in their name")
    given = parser.parse_args(arguments)
    print("| set | jsonb, % | _extra, % | rows with _extra, % |\n|---|--:|--:|--:|")
    for source in find_sets(given.folder):
        name = str(source.relative_to(given.folder))
        if given.only not in name:
            continue
        before, after = (measure(python, source) for python in (given.other, sys.executable))
        pairs = [f"{one:.1f} → {two:.1f}" for one, two in zip(before, after, strict=True)]
        print(f"| {name} | {' | '.join(pairs)} |", flush=True)


if __name__ == "__main__":
    main()
