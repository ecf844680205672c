"""`assise migrate` is stopped again and again, at random moments and in random ways, to its end.

Every state between adds up, and the end is that of an undisturbed run. pytest-randomly seeds
`random` for each test.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.scenes.app import LARGE
from tests.scenes.commands import STATE, Done, Scene, wait_until
from tests.scenes.databases import Databases
from tests.scenes.undisturbed import (
    Undisturbed,
    check_end,
    check_end_of_several,
    migrate_undisturbed,
)

pytestmark = pytest.mark.soak

WORKERS = (1, 2, 4)
MOST_KILLS = 30
NOT_BSON = 1
SESSIONS = (
    "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'assise'"
)
STATEMENTS = """SELECT pg_try_advisory_lock
-- The parts
-- The ledger
CREATE TABLE
COPY "public"."bookings"
COPY "public"."booking_lines"
COPY "public"."events"
COPY assise.reject
SELECT "id" FROM
INSERT INTO assise.chunk
COMMIT
ALTER TABLE
ANALYZE
UPDATE assise.load
BEGIN ISOLATION LEVEL REPEATABLE READ
DECLARE assise_stream
FETCH
CLOSE""".splitlines()

# For each table: transactions whose rows are not those that the ledger says.
UNTOLD = """SELECT *
    FROM (SELECT xmin::text AS xid, count(*) AS found FROM public."{table}" GROUP BY 1) AS rows
    FULL JOIN (
        SELECT xid::xid::text, (rows ->> '{table}')::bigint AS said FROM assise.chunk
        WHERE (rows ->> '{table}')::bigint > 0
    ) AS chunks
    USING (xid) WHERE found IS DISTINCT FROM said"""
SUMS = """SELECT sum(documents), sum(loaded), sum(rejected),
        (SELECT count(*) FROM bookings) + (SELECT count(*) FROM events)
        + (SELECT count(*) FROM users),
        (SELECT count(*) FROM assise.reject), count(*)
    FROM assise.chunk"""
FOREIGN_KEYS = """SELECT count(*) FROM pg_constraint
    WHERE contype = 'f' AND connamespace = 'public'::regnamespace"""

Watcher = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def undisturbed(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Undisturbed]:
    """What a run of the large app that nobody disturbs leaves and prints."""
    with migrate_undisturbed(databases, tmp_path_factory.mktemp("undisturbed"), LARGE) as found:
        yield found


@pytest.fixture
def scene(undisturbed: Undisturbed, tmp_path: Path, database: str, workers: int) -> Iterator[Scene]:
    """An empty target and an empty folder."""
    scene = Scene(
        tmp_path,
        undisturbed.dump,
        database,
        ["--to", database, "--yes", "--workers", str(workers)],
        chunk_bytes=LARGE.chunk_bytes,
    )
    yield scene
    scene.close()


def send(number: int, *, to_group: bool) -> Callable[[Scene, Watcher], object]:
    """A way to stop a command: a signal."""

    def act(scene: Scene, _: Watcher) -> None:
        pid = scene.command.process.pid
        (os.killpg if to_group else os.kill)(pid, number)

    return act


def ask_server(function: str) -> Callable[[Scene, Watcher], object]:
    """A way to stop a command, if it has a session."""
    return lambda _, watcher: watcher.execute(f"SELECT {function}(pid) {SESSIONS}".encode())


# The ways to stop a command, each with the exit codes that it may lead to. Python may be stopped
# before our code runs.
WAYS: dict[str, tuple[Callable[[Scene, Watcher], object], set[int]]] = {
    "SIGKILL to the group": (send(signal.SIGKILL, to_group=True), {-signal.SIGKILL}),
    "SIGKILL to the parent": (send(signal.SIGKILL, to_group=False), {-signal.SIGKILL}),
    "SIGTERM": (send(signal.SIGTERM, to_group=False), {-signal.SIGTERM}),
    "SIGINT": (send(signal.SIGINT, to_group=True), {130, -signal.SIGINT}),
    "pg_terminate_backend": (ask_server("pg_terminate_backend"), {1}),
    "pg_cancel_backend": (ask_server("pg_cancel_backend"), {1}),
}


def count_chunks(watcher: Watcher) -> int:
    has_ledger = watcher.execute("SELECT to_regclass('assise.chunk') IS NOT NULL").fetchall() == [
        (True,)
    ]
    return (
        int(watcher.execute("SELECT count(*) FROM assise.chunk").fetchall()[0][0])
        if has_ledger
        else 0
    )


def draw_moment(
    rng: random.Random, scene: Scene, watcher: Watcher
) -> tuple[str, Callable[[], object]]:
    """A moment that is seen from outside: a time, a number of lines on stderr, a statement.

    Some chunks later it is reached at the latest.
    """
    limit = count_chunks(watcher) + rng.randrange(1, 5)
    until, lines, statement = (
        time.monotonic() + rng.random(),
        rng.randrange(12),
        rng.choice(STATEMENTS),
    )
    kind = rng.choice(["time", "lines", "statement", "statement"])
    if len(scene.running) == 1:
        kind, lines = "lines", rng.randrange(4)

    def is_reached() -> bool:
        if kind == "time" and time.monotonic() > until:
            return True
        if kind == "lines" and scene.command.stderr.read_text().count("\n") >= lines:
            return True
        query = f"SELECT {SESSIONS} AND state <> 'idle' AND starts_with(query, %s)"
        if kind == "statement" and watcher.execute(query.encode(), [statement]).fetchall():
            return True
        return count_chunks(watcher) >= limit

    return {"time": "some time", "lines": f"{lines} lines", "statement": statement}[
        kind
    ] + f" or {limit} chunks", is_reached


def disturb(rng: random.Random, scene: Scene) -> tuple[Done, set[int]]:
    """Start a command and stop it.

    What became of it, and the exit codes that it may have then; a refused stop is tried in another
    way.
    """
    command, codes = scene.start("migrate"), set[int]()
    with psycopg.connect(scene.conninfo, autocommit=True) as watcher:
        while True:
            moment, is_reached = draw_moment(rng, scene, watcher)

            def is_over(is_reached: Callable[[], object] = is_reached) -> bool:
                return command.process.poll() is not None or bool(is_reached())

            wait_until(is_over, moment)
            if command.process.poll() is not None:
                break
            way = "SIGKILL to the group" if len(scene.running) == 1 else rng.choice(list(WAYS))
            print(f"{way} at {moment}")
            WAYS[way][0](scene, watcher)
            codes |= WAYS[way][1]
            if way.startswith("SIG"):
                break
    done = command.end()
    print(f"exit {done.code}")
    return done, codes


def check_between(
    scene: Scene, undisturbed: Undisturbed, known: set[tuple[object, ...]], *, workers: int
) -> set[tuple[object, ...]]:
    """What is there adds up and is part of what an undisturbed run leaves; return the chunks.

    The known chunks are among them. Which of two equal `_id`s in different chunks is loaded is
    settled with one worker only.
    """
    manifest = scene.folder / "assise.yaml"
    assert not manifest.exists() or is_same_manifest(manifest.read_text(), undisturbed.manifest)
    with psycopg.connect(scene.conninfo) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

        def ask(statement: str) -> list[tuple[Any, ...]]:
            return connection.execute(statement.encode()).fetchall()

        tables = [
            table for (table,) in ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]
        loads = (
            ask("SELECT finished_at IS NOT NULL FROM assise.load")
            if ask("SELECT to_regclass('assise.load') IS NOT NULL") == [(True,)]
            else []
        )
        assert len(tables) == 6 * len(loads)
        if not loads:
            assert known == set()
            return known
        assert {table: rows for table in tables if (rows := ask(UNTOLD.format(table=table)))} == {}
        ((documents, loaded, rejected, rows, rejects, chunks),) = ask(SUMS)
        assert (documents or 0, loaded or 0, rejected or 0) == (rows + rejects, rows, rejects)
        expected_chunks, expected_rejects = (
            undisturbed.state["chunks"],
            undisturbed.state["rejects"],
        )
        assert isinstance(expected_chunks, list)
        assert isinstance(expected_rejects, list)
        found, cut = ask(STATE["chunks"]), None if workers == 1 else 5
        whole = [chunk[:cut] for chunk in expected_chunks]
        assert [chunk for chunk in found if chunk[:cut] not in whole] == []
        settled = [
            reject
            for reject in expected_rejects
            if any(chunk[0] == reject[0] and chunk[1] <= reject[1] < chunk[2] for chunk in found)
        ]
        rejects_now = ask(STATE["rejects"])
        if workers > 1:
            settled, rejects_now = (
                [reject for reject in each if reject[3] == NOT_BSON]
                for each in (settled, rejects_now)
            )
        assert rejects_now == settled
        assert loads == [(False,)] or (chunks, ask(FOREIGN_KEYS)) == (len(expected_chunks), [(3,)])
        now = set(ask("SELECT collection, start_offset, xid::text FROM assise.chunk"))
    assert known <= now
    return now


def is_same_manifest(one: str, other: str) -> bool:
    """Whether manifests are the same but for the target."""
    texts = [
        [line for line in text.splitlines() if not line.startswith("postgres:")]
        for text in (one, other)
    ]
    return texts[0] == texts[1]


@pytest.mark.parametrize("workers", WORKERS)
def test_a_migration_that_is_stopped_at_random_comes_to_its_end(
    scene: Scene,
    undisturbed: Undisturbed,
    workers: int,
    record_property: Callable[[str, object], None],
) -> None:
    rng = random.Random(random.getrandbits(64) + workers)
    known: set[tuple[object, ...]] = set()
    kills, done = 0, None
    while done is None or done.code != 3:
        done, codes = disturb(rng, scene) if kills < MOST_KILLS else (scene.run("migrate"), set())
        known = check_between(scene, undisturbed, known, workers=workers)
        if done.code != 3:
            is_started = not done.stderr.startswith(
                ("Fatal Python error: init", "Could not import runpy")
            )  # Ctrl-C while Python itself begins
            assert done.code in (codes if is_started else {1}), done.stderr
            assert done.code == -signal.SIGINT or not is_started or "Traceback" not in done.stderr
            kills += done.stdout == ""
    (check_end if workers == 1 else check_end_of_several)(scene, undisturbed, done)
    equal = f'"verified": {{"equal": {LARGE.loaded}, "different": 0, "missing": 0, "extra": 0}}'
    assert equal in done.stdout
    record_property("kills", kills)
    record_property("starts", len(scene.running))
    assert kills >= max(1, len(scene.running) // 2)
