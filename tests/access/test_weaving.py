"""What children copy, under random rules and of random documents, is what a join gives."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.access.weaving import Tree
from tests.dumps import confirm, write_dump
from tests.scenes.databases import Databases

from assise.project import Project
from assise.schema.access import AccessRules
from assise.schema.sql import quote, quote_table

Rows = dict[str, list[tuple[Any, ...]]]
SETTINGS = {"load.chunk_bytes": 512, "workers": 1}


def read(database: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


def count_wrong(database: str, project: Project) -> int:
    """The copies that are not what the parent has, or of a row without parent are there."""
    rules, wrong = AccessRules(project.manifest, "public"), 0
    for link in rules.links:
        child, parent = quote_table("public", link.child), quote_table("public", link.parent)
        same = " AND ".join(f"c.{quote(own)} = p.{quote(other)}" for own, other in link.pairs)
        copies = [
            f"c.{quote(each.column)} IS DISTINCT FROM p.{quote(each.source)}"
            for each in link.copies
        ]
        rows = f"FROM {child} AS c LEFT JOIN {parent} AS p ON {same}"
        [(count,)] = read(database, f"SELECT count(*) {rows} WHERE {' OR '.join(copies)}")
        wrong += int(count)
    return wrong


def read_all(database: str, tree: Tree) -> Rows:
    query = "SELECT to_jsonb(t) FROM {} AS t ORDER BY to_jsonb(t)::text"
    return {name: read(database, query.format(quote_table("public", name))) for name in tree.tables}


def list_edits(project: Project) -> list[str]:
    return [edit for table in project.undo(dry_run=True).tables for edit in table.edits]


def kill(project: Project, database: str, dump: Path, *, after_s: float) -> None:
    """Begin a load in a process that is killed."""
    program = [sys.executable, "-m", "assise", "load", str(dump), "-y", "--workers", "2"]
    given = ["-f", str(project.path), "--to", database]
    environment = {**os.environ, "ASSISE_LOAD_CHUNK_BYTES": "512", "ASSISE_NATIVE": "0"}
    process = subprocess.Popen(
        [*program, *given],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(after_s)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def check_tree(folder: Path, database: str, seed: int, *, after_s: float | None = None) -> None:
    """Load with rules, repair, and load again with rules that come later: all give the same."""
    tree, project = Tree(seed), Project(folder, to=database, settings=SETTINGS)
    dump = write_dump(folder / "app", tree.documents)
    project.path.write_text(tree.write(is_ruled=True))
    if after_s is not None:
        kill(project, database, dump, after_s=after_s)
    project.load(dump, confirm=confirm)
    assert (count_wrong(database, project), list_edits(project)) == (0, [])
    assert project.verify().exit_code in {0, 3}
    loaded = read_all(database, tree)
    lost = "DELETE FROM {} WHERE ctid IN (SELECT ctid FROM {} LIMIT 2)"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for table in random.Random(seed).sample([*tree.tables], 2):
            name = quote_table("public", table)
            connection.execute(lost.format(name, name).encode())
    project.repair(confirm=confirm)
    assert read_all(database, tree) == loaded
    assert (count_wrong(database, project), list_edits(project)) == (0, [])
    project.undo(confirm=confirm)
    project.path.write_text(tree.write(is_ruled=False))
    project.load(dump, confirm=confirm)
    project.path.write_text(tree.write(is_ruled=True))
    project.load()
    assert read_all(database, tree) == loaded
    assert (count_wrong(database, project), list_edits(project)) == (0, [])
    assert project.undo(confirm=confirm).is_done


@pytest.mark.contract
def test_copies_are_what_a_join_gives(tmp_path: Path, database: str) -> None:
    check_tree(tmp_path, database, seed=4)


@pytest.mark.soak
def test_copies_of_random_trees_some_of_whose_loads_are_killed(
    tmp_path: Path, databases: Databases, record_property: Callable[[str, object], None]
) -> None:
    count, begun = 0, time.monotonic()
    while time.monotonic() - begun < 150:
        seed, folder = random.randrange(2**32), tmp_path / str(count)
        database = databases.create()
        folder.mkdir()
        after_s = random.uniform(0.5, 2) if count % 2 else None
        try:
            check_tree(folder, database, seed, after_s=after_s)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
        databases.drop(database)
        shutil.rmtree(folder)
        count += 1
    record_property("trees", count)
