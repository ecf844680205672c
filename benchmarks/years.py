"""Figures of a database in use for years: revisions, partitions, audit, views.

python benchmarks/years.py                        all, some five minutes
python benchmarks/years.py audit views            only these
python benchmarks/years.py supa_audit --supa-audit supa_audit--0.3.1.sql

Each prints what was measured beside what it should be. The server is the embedded one, or the one of
`--programs /usr/lib/postgresql/15/bin`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import psycopg
from psycopg.conninfo import make_conninfo

from assise.audit.seal import seal_lines
from assise.postgres.connection import Connection
from assise.postgres.embedded import Embedded
from assise.postgres.partitions import run_partitions
from assise.postgres.snapshot import read_snapshot
from assise.project import Project
from assise.schema.partitions import Partitioning
from assise.workspace import keep_silent

TABLES, RUNS = 100, 3
PACE_S = 0.001


@dataclass(frozen=True)
class Place:
    """Where figures are taken: a server, and a folder for manifests."""

    server: str
    folder: Path
    supa_audit: Path | None = None

    @contextmanager
    def project(
        self, name: str, manifest: str, sql: dict[str, str] | None = None
    ) -> Iterator[tuple[Project, str]]:
        """A project in a folder and a database of its own, made as its manifest says."""
        folder = self.folder / name
        (folder / "sql").mkdir(parents=True)
        for file, text in (sql or {}).items():
            (folder / "sql" / file).write_text(text)
        (folder / "assise.yaml").write_text(manifest)
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        conninfo = make_conninfo(self.server, dbname=name)
        project = Project(folder, to=conninfo)
        project.migrate(confirm=lambda _question: True)
        yield project, conninfo


def write_tables(*, more: str = "") -> str:
    """A manifest of many tables; `more` is a column of each tenth."""
    lines = ["assise: 1", "name: years", "roles: {prefix: years}", "tables:"]
    for n in range(TABLES):
        lines += [f"  t{n}:", "    primary_key: id"]
        lines += ["    access: {owner: owner_id}", "    columns:"]
        lines += ["      id: uuid", "      owner_id: uuid"]
        lines += [f"      c{i}: {{type: text, comment: c{i}}}" for i in range(6)]
        lines += [f"      {more}"] if more and n % 10 == 0 else []
        lines += ["    indexes: [[c0, c1], {columns: [c2], unique: true}]"]
    return "\n".join(lines)


def measure_revisions(place: Place) -> None:
    """`diff` and `revise` of 100 tables with rules and over 3,000 objects."""
    with place.project("years", write_tables()) as (project, _):
        project.revisions().revise("start")
        with project.connect(project.manifest) as connection:
            print(f"{len(read_snapshot(connection)):,} objects in {TABLES} tables")
        seconds = [_time(lambda: project.revisions().diff()) for _ in range(RUNS)]
        _say("diff", median(seconds), "s", 2)
        project.path.write_text(write_tables(more="plan: {type: text, default: free}"))
        seconds = [_time(lambda: _revise(project)) for _ in range(RUNS)]
        _say("revise", median(seconds), "s", 4)


def _revise(project: Project) -> None:
    path = project.revisions().revise("plan")
    assert path is not None
    path.unlink()


@dataclass
class Writer:
    """Inserts a row a millisecond, and keeps the longest wait."""

    conninfo: str
    statement: str
    longest_s: float = 0.0
    count: int = 0
    failed: list[str] = field(default_factory=list)

    def run(self, is_done: threading.Event) -> None:
        """Write until the event; a late statement is counted from when it was due."""
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            due = perf_counter()
            while not is_done.is_set():
                sleep(max(0.0, due - perf_counter()))
                began = perf_counter()
                try:
                    connection.execute(self.statement.encode())
                except psycopg.Error as error:
                    self.failed.append(str(error))
                self.longest_s = max(self.longest_s, perf_counter() - began)
                self.count, due = self.count + 1, max(due + PACE_S, began)


@contextmanager
def writing(conninfo: str, statement: str) -> Iterator[Writer]:
    """Write beside the block."""
    writer, is_done = Writer(conninfo, statement), threading.Event()
    thread = threading.Thread(target=writer.run, args=(is_done,))
    thread.start()
    try:
        yield writer
    finally:
        is_done.set()
        thread.join()


VISITS = """assise: 1
name: visits
tables:
  visits:
    primary_key: [id, at]
    columns:
      id: int8
      body: text
      at: {type: timestamptz, default: now()}
    partition: {by: at, every: month, ahead: 3}
"""
INSERT = "INSERT INTO visits (body) VALUES ('x')"


def measure_partitions(place: Place) -> None:
    """The longest wait of a writer while partitions come and go beside a report of 5 s."""
    with (
        place.project("visits", VISITS) as (project, conninfo),
        project.connect(project.manifest) as connection,
    ):
        before = _idle(conninfo)
        of = Partitioning("public", "visits", "at", "month", ahead=6, keep="1 hour")
        report = threading.Thread(target=_report, args=(conninfo, "visits"))
        with writing(conninfo, INSERT) as writer:
            report.start()
            sleep(0.5)
            run = run_partitions(connection, of, log=keep_silent)
            report.join()
        print(f"attached {len(run.made)}, dropped {len(run.dropped)}, {writer.count:,} inserts")
        assert not writer.failed, writer.failed[:1]
        assert run.made, "nothing was attached"
        assert run.dropped, "nothing was detached: the month has begun within the hour"
        _say("longest wait beside attach and detach", writer.longest_s * 1000, "ms", 50, before)


def _idle(conninfo: str) -> str:
    """The longest wait of two seconds in which nothing else happens: the machine's own."""
    with writing(conninfo, INSERT) as writer:
        sleep(2)
    return f"without {writer.longest_s * 1000:.1f} ms"


def _report(conninfo: str, table: str) -> None:
    with psycopg.connect(conninfo) as connection:
        connection.execute(f"SELECT count(*), pg_sleep(5) FROM {table}".encode())


WHOLE = VISITS.replace("[id, at]", "id").replace(
    "    partition: {by: at, every: month, ahead: 3}\n", ""
)


def measure_cut(place: Place) -> None:
    """The longest wait of a writer while a table of 2,000,000 rows becomes cut, beside a report."""
    with place.project("cut", WHOLE.replace("name: visits", "name: cut")) as (project, conninfo):
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO visits (body, at) SELECT 'x', now() - n * interval '1 s'"
                " FROM generate_series(1, 2000000) AS n"
            )
            connection.execute("VACUUM ANALYZE visits")
        project.revisions().revise("start")
        project.path.write_text(VISITS.replace("name: visits", "name: cut"))
        project.revisions().revise("cut")
        before = _idle(conninfo)
        with writing(conninfo, INSERT) as writer:
            seconds = _time(lambda: project.revisions().apply())
        assert not writer.failed, writer.failed[:1]
        print(f"2,000,000 rows were cut in {seconds:.1f} s beside {writer.count:,} inserts")
        _say("longest wait while they are cut", writer.longest_s * 1000, "ms", 200, before)


AUDITED = """assise: 1
name: audited
tables:
  a:
    primary_key: id
    audit: true
    columns: {id: int8, name: text, state: text, score: int4, tags: jsonb}
  b:
    primary_key: id
    columns: {id: int8, name: text, state: text, score: int4, tags: jsonb}
"""
ROWS = """INSERT INTO {} (name, state, score, tags)
    SELECT 'name ' || n, 'new', n, '{{"a": [1, 2, 3]}}' FROM generate_series(1, 50000) AS n"""


def measure_audit(place: Place) -> None:
    """What the log costs: a bulk update, one row, and one row of a session behind the bulk; sealing."""
    with (
        place.project("audited", AUDITED) as (_, conninfo),
        psycopg.connect(conninfo, autocommit=True) as connection,
    ):
        for table in "ab":
            connection.execute(ROWS.format(table).encode())
        _measure_triggers(connection, conninfo, "a", "b")
        with Connection(conninfo) as sealer:
            seal_lines(sealer, "public")
            connection.execute(ROWS.format("a").encode())
            began = perf_counter()
            lines = seal_lines(sealer, "public")
            _say("sealing", -lines / (perf_counter() - began), "lines/s", -20_000)


def _measure_bulk(connection: psycopg.Connection, *tables: str) -> list[float]:
    """The medians of an UPDATE of all rows of tables, one after the other in each run."""
    seconds: dict[str, list[float]] = {table: [] for table in tables}
    for _ in range(RUNS):
        for table in tables:
            change = f"UPDATE {table} SET score = score + 1"
            connection.execute(f"VACUUM {table}".encode())
            run = partial(connection.execute, change.encode())
            seconds[table].append(_time(run))
    return [median(each) for each in seconds.values()]


def _measure_triggers(
    connection: psycopg.Connection, conninfo: str, logged: str, plain: str
) -> None:
    with_log, without = _measure_bulk(connection, logged, plain)
    _say("50,000 rows updated, of without", with_log / without, "times", 5)
    for name, is_behind in (("one row", False), ("one row behind the bulk", True)):
        one = {
            table: _measure_one(conninfo, table, is_behind=is_behind) for table in (logged, plain)
        }
        _say(f"{name}, of without", one[logged] / one[plain], "times", 2.5)


def _measure_one(conninfo: str, table: str, *, is_behind: bool) -> float:
    """The median of 1,000 updates of one row, each a transaction."""
    with psycopg.connect(conninfo, autocommit=True) as session:
        if is_behind:
            session.execute(f"UPDATE {table} SET score = score + 1".encode())
            session.execute(f"VACUUM {table}".encode())
        change = f"UPDATE {table} SET score = score + 1 WHERE id = %s".encode()
        seconds = []
        for number in range(1, 1001):
            began = perf_counter()
            session.execute(change, (number,))
            seconds.append(perf_counter() - began)
        return median(seconds)


def measure_supa_audit(place: Place) -> None:
    """The bulk factor of ours, of that of supa_audit, whose SQL must be given by its path.

    Keys are uuids: of others supa_audit 0.3.1 makes no ids.
    """
    if place.supa_audit is None:
        print("of supa_audit's factor: not measured (--supa-audit FILE gives its SQL)")
        return
    manifest = AUDITED.replace("name: audited", "name: supa")
    manifest = manifest.replace("id: int8", "id: {type: uuid, default: gen_random_uuid()}")
    with (
        place.project("supa", manifest) as (_, conninfo),
        psycopg.connect(conninfo, autocommit=True) as connection,
    ):
        text = place.supa_audit.read_text().replace("uuid_generate_v4", "gen_random_uuid")
        connection.execute(text.encode())
        connection.execute(b"CREATE TABLE c (LIKE b INCLUDING ALL)")
        connection.execute(b"SELECT audit.enable_tracking('c'::regclass)")
        for table in "abc":
            connection.execute(ROWS.format(table).encode())
        ours, without, theirs = _measure_bulk(connection, "a", "b", "c")
        _say("50,000 rows updated, of without", ours / without, "times", 5)
        print(f"50,000 rows updated by supa_audit, of without: {theirs / without:,.2f} times")
        _say("of supa_audit's factor", ours / theirs, "times", 0.6)


VIEWED = """assise: 1
name: viewed
views:
  days: {file: sql/days.sql, materialized: {refresh: 5 minutes, key: [day]}}
tables:
  events:
    primary_key: id
    columns: {id: int8, at: timestamptz, user_id: int4}
"""
DAYS = "SELECT (at AT TIME ZONE 'UTC')::date AS day, count(*) AS n, count(DISTINCT user_id) AS users FROM events GROUP BY 1"


def measure_views(place: Place) -> None:
    """A refresh CONCURRENTLY with one row a day, of its query alone."""
    with (
        place.project("viewed", VIEWED, {"days.sql": DAYS}) as (_, conninfo),
        psycopg.connect(conninfo, autocommit=True) as connection,
    ):
        connection.execute(
            "INSERT INTO events (at, user_id) SELECT now() - n * interval '60 s', n % 1000"
            " FROM generate_series(1, 1000000) AS n"
        )
        connection.execute("VACUUM ANALYZE events")
        connection.execute("REFRESH MATERIALIZED VIEW days")
        refresh = "REFRESH MATERIALIZED VIEW CONCURRENTLY days"
        ratios = []
        for _ in range(2 * RUNS + 1):
            query = _time(lambda: connection.execute(DAYS.encode()))
            ratios.append(_time(lambda: connection.execute(refresh.encode())) / query)
        _say("a refresh, of its query", median(ratios), "times", 1.2)


def _time(run: Callable[[], object]) -> float:
    began = perf_counter()
    run()
    return perf_counter() - began


def _say(name: str, value: float, unit: str, asked: float, more: str = "") -> None:
    """Print a figure; a negative one is better the greater it is."""
    word = "at least" if asked < 0 else "at most"
    is_met = "met" if value <= asked else "MISSED"
    tail = f"; {more}" if more else ""
    load = os.getloadavg()[0]
    print(
        f"{name}: {abs(value):,.2f} {unit} (asked {word} {abs(asked):,g}: {is_met}; load {load:.1f}{tail})",
        flush=True,
    )


FIGURES: dict[str, Callable[[Place], None]] = {
    "revisions": measure_revisions,
    "partitions": measure_partitions,
    "cut": measure_cut,
    "audit": measure_audit,
    "supa_audit": measure_supa_audit,
    "views": measure_views,
}


@contextmanager
def open_server(folder: Path, programs: Path | None) -> Iterator[str]:
    """The embedded server, or one of these programs, in the folder."""
    if programs is None:
        embedded = Embedded(folder / ".assise")
        embedded.start()
        try:
            yield embedded.conninfo("postgres")
        finally:
            embedded.stop(immediate=True)
        return
    data, user = folder / "data", ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")
    subprocess.run(
        [*user, programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    options = f"-k {folder} -c listen_addresses= -c shared_buffers=512MB"
    control = [*user, programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options]
    subprocess.run([*control, "start"], check=True, stdout=subprocess.DEVNULL)
    try:
        yield f"host={folder} user=postgres dbname=postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)


def main() -> int:
    """Print the figures that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", nargs="*", help=", ".join(FIGURES))
    parser.add_argument("--programs", type=Path, help="the folder of another server's programs")
    parser.add_argument("--supa-audit", type=Path, help="the SQL of supa_audit")
    given = parser.parse_args()
    with TemporaryDirectory(prefix="years-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with open_server(folder, given.programs) as server:
            place = Place(server, folder, given.supa_audit)
            for figure in given.figures or FIGURES:
                FIGURES[figure](place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
