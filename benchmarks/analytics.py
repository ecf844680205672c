"""Retention, activity and the dashboard over 10,000,000 events, beside plain SQL and DuckDB.

    python benchmarks/analytics.py [--keep FOLDER] [--build] [--events 10000000] [--persons 435000]

`--build` builds the database in FOLDER and stops; without it a built one is measured. Plain SQL
reads the same events in the same server, for 60 seconds at most. DuckDB has two threads and a table of its own with the
columns that a question needs, the day already cut in the time zone; it is installed into a virtual
environment in a temporary folder. Printed are medians; only ratios say something about speed.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import statistics
import subprocess
import time
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from assise.analytics.activity import (
    Buckets,
    Mode,
    Retention,
    RetentionQuestion,
    read_active,
    read_retention,
)
from assise.analytics.fold import fold
from assise.analytics.jobs import keep_up
from assise.analytics.months import make_months
from assise.analytics.picture import ANY, read_whole, run
from assise.app import App
from assise.errors import TargetError
from assise.postgres.connection import Connection
from assise.project import Project

T = TypeVar("T")
ZONE, DAYS, DUCKDB = "UTC", 180, "duckdb==2.0.0"
USERS, PROJECTS, MESSAGES = 480_000, 3_420_000, 12_470_000
MANIFEST = """assise: 1
name: app
roles: {prefix: bench_analytics}
postgres: embedded
analytics:
  users: {table: users, created: created_at}
  projects: {table: projects, created: created_at}
  messages: {table: messages, created: created_at}
tables:
  users:
    collection: users
    primary_key: id
    access: {owner: id}
    columns: {id: {type: int4, from: _id}, created_at: timestamptz}
    indexes: [created_at]
  projects:
    collection: projects
    primary_key: id
    access: {owner: user_id}
    columns: {id: {type: int4, from: _id}, user_id: int4, created_at: timestamptz}
    indexes: [created_at]
  messages:
    collection: messages
    primary_key: id
    access: {owner: user_id}
    columns: {id: {type: int4, from: _id}, user_id: int4, created_at: timestamptz}
    indexes: [created_at]
"""

EVENTS = """
INSERT INTO assise.analytics_events
    (uuid, event, distinct_id, at, arrived, traffic, properties)
SELECT md5(person || '-' || k)::uuid, event, 'user-' || person, at, at, 'person',
    jsonb_build_object('plan', (ARRAY['free', 'starter', 'pro'])[1 + person %% 3], '$lib', 'assise')
FROM (
    SELECT person, k, begun + (until - begun) * CASE k WHEN 0 THEN 0 ELSE chance ^ 3 END AS at,
        CASE WHEN k = 0 THEN 'signup' ELSE
            (ARRAY['message_sent', 'code_generated', 'project_created', 'deployed'])
            [1 + least(3, floor(4 * other ^ 2))::int] END AS event
    FROM (
        SELECT person, k, begun, until,
            (hashint8extended(person::bigint * 64 + k, 1) & 1048575) / 1048576.0::float8 AS chance,
            (hashint8extended(person::bigint * 64 + k, 2) & 1048575) / 1048576.0::float8 AS other
        FROM (
            SELECT person, until, %(since)s + (until - %(since)s) * (person / %(persons)s::float8) AS begun
            FROM generate_series(0, %(persons)s - 1) AS person, (SELECT %(until)s::timestamptz AS until) AS u
        ) AS people, generate_series(0, %(each)s - 1) AS k
    ) AS drawn
) AS made ORDER BY at
"""


def build(folder: Path, events: int, persons: int) -> None:
    """Make the database, its events and tables, and fold the events."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    (folder / "assise.yaml").write_text(MANIFEST)
    source = folder / "source"
    source.mkdir(exist_ok=True)
    for name in ("users", "projects", "messages"):
        row = {"_id": 0, "user_id": 0, "created_at": {"$date": "2024-01-01T00:00:00Z"}}
        (source / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    project = Project(folder)
    project.migrate(source, confirm=lambda _: True)
    url, until = project.embedded.conninfo("app"), dt.datetime.now(dt.UTC)
    since = until - dt.timedelta(DAYS)
    with psycopg.connect(url) as connection:
        say("tables")
        for name, count in (("users", USERS), ("projects", PROJECTS), ("messages", MESSAGES)):
            fill_table(connection, name, round(count * events / 10_000_000), persons)
        say("events")
        with Connection(url) as other:
            make_months(other, [since + dt.timedelta(days) for days in range(0, DAYS, 28)])
        rest = {"since": since, "until": until, "persons": persons, "each": events // persons}
        connection.execute(EVENTS, rest)
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")
    say("fold")
    with Connection(url) as connection:
        begun = time.perf_counter()
        batches = fold(connection, ZONE)
        print(f"fold: {batches} batches, {time.perf_counter() - begun:,.0f} s")
    (folder / "built").write_text(until.isoformat())
    project.embedded.stop()


def fill_table(connection: psycopg.Connection, name: str, count: int, persons: int) -> None:
    """Rows of a table, evenly over two years."""
    statement = sql.SQL(
        "INSERT INTO {} (id, user_id, created_at) SELECT n, n %% %(persons)s,"
        " now() - interval '2 years' * (1 - n / %(count)s::float8) FROM generate_series(1, %(count)s) AS n"
    )
    if name == "users":
        statement = sql.SQL(
            "INSERT INTO {} (id, created_at) SELECT n,"
            " now() - interval '2 years' * (1 - n / %(count)s::float8) FROM generate_series(1, %(count)s) AS n"
        )
    parameters = {"count": count, "persons": persons}
    connection.execute(statement.format(sql.Identifier(name)), parameters)
    connection.commit()


def measure(folder: Path, *, runs: int, patience_s: int) -> None:
    """Print retention, activity, the dashboard and sizes."""
    (folder / "assise.yaml").write_text(MANIFEST)
    project = Project(folder)
    project.load(folder / "source", confirm=lambda _: True)
    last = dt.datetime.fromisoformat((folder / "built").read_text()).date()
    with Connection(project.embedded.conninfo("app")) as connection:
        keep_up(connection, lambda: False, zone=ZONE)
        asyncio.run(measure_dashboard(folder, project.embedded.conninfo("app"), 20 * runs))
        first = last - dt.timedelta(DAYS - 1)
        reader = partial(read_active, first=first, last=last)
        active, ms = time_it(lambda: run(read_whole(ZONE, reader), connection), runs)
        print(
            f"DAU, WAU and rolling MAU of {len(active)} days: {ms:.1f} ms (wanted: 5)", flush=True
        )
        duck = ask_duckdb(folder, connection, first, runs)
        for (mode, start, back, did), (ms, theirs) in duck.items():
            buckets = Buckets(first, first + dt.timedelta(89))
            asked = RetentionQuestion(start, back, buckets, 90, mode, did)
            found, ours = time_it(partial(read, connection, asked), runs)
            cells = {
                (row.start.isoformat(), k): count
                for row in found.rows
                for k, count in enumerate(row.counts)
                if k and count
            }
            assert cells == theirs, asked
            among = f" of who did {did}" if did else ""
            name = f"retention 90 x 90 {mode}, {start} to {back or 'any'}{among}"
            print(f"{name}: {ours:.1f} ms, DuckDB {ms:.0f} ms: {ms / ours:.1f} times", flush=True)
            if patience_s:
                ask_plain(connection, asked, ours, patience_s)
        for what, size in connection.execute(SIZES):
            print(f"{what}: {size}")
    print(f"table of DuckDB: {(folder / 'duck.db').stat().st_size / 1e6:,.0f} MB")
    project.embedded.stop()


def read(connection: Connection, asked: RetentionQuestion) -> Retention:
    """The cells of a question, from the stored bitmaps."""
    return run(read_whole(ZONE, lambda picture: read_retention(picture, asked)), connection)


def time_it(call: Callable[[], T], runs: int) -> tuple[T, float]:
    """What it gives, and the median of its milliseconds."""
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        found = call()
        times.append(1000 * (time.perf_counter() - begun))
    return found, statistics.median(times)


SIZES = """
WITH parts AS (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'assise.analytics_events'::regclass)
SELECT 'events', pg_size_pretty(sum(pg_table_size(inhrelid))) FROM parts
UNION ALL SELECT 'their indexes', pg_size_pretty(sum(pg_indexes_size(inhrelid))) FROM parts
UNION ALL SELECT relname::text, pg_size_pretty(pg_total_relation_size(oid)) FROM pg_class
WHERE relnamespace = 'assise'::regnamespace AND relkind = 'r' AND relname = ANY (
    '{analytics_bitmap,analytics_daily,analytics_identity,analytics_cell,analytics_session,analytics_total}')
"""

DAY = "(at AT TIME ZONE 'UTC')::date"
PLAIN = """
SELECT start, day - start AS k, count(DISTINCT id) FROM (
    SELECT distinct_id AS id, {start} AS start FROM assise.analytics_events
    WHERE event = %(start)s {among} GROUP BY distinct_id {group}
) AS s JOIN (
    SELECT distinct_id AS id, {day} AS day FROM assise.analytics_events WHERE %(back)s IN ('', event)
) AS b USING (id)
WHERE start BETWEEN %(first)s AND %(first)s + 89 AND day - start BETWEEN 1 AND 89 GROUP BY 1, 2
"""
AMONG = "AND distinct_id IN (SELECT distinct_id FROM assise.analytics_events WHERE event = %(did)s)"


def ask_plain(
    connection: Connection, asked: RetentionQuestion, ours: float, patience_s: int
) -> None:
    """The same cells from the events, by SQL alone."""
    is_first = asked.mode == "first"
    among = AMONG if asked.did else ""
    start, group = (f"min({DAY})", "") if is_first else (DAY, ", 2")
    query = PLAIN.format(day=DAY, start=start, group=group, among=among)
    words = {"start": asked.start, "back": asked.back, "did": asked.did}
    begun = time.perf_counter()
    connection.execute(f"SET statement_timeout = '{patience_s}s'")
    connection.execute("SET work_mem = '256MB'")
    try:
        connection.execute(query, {**words, "first": asked.buckets.first})
        found = "plain SQL"
    except TargetError:
        found = "plain SQL, which did not end, over"
    ms = 1000 * (time.perf_counter() - begun)
    connection.execute("RESET statement_timeout")
    connection.execute("RESET work_mem")
    print(f"  {found} {ms / 1000:,.0f} s: {ms / ours:,.0f} times", flush=True)


Question = tuple[Mode, str, str, str]
QUESTIONS: tuple[Question, ...] = (
    ("first", "signup", ANY, ""),
    ("first", "signup", ANY, "deployed"),
    ("first", "project_created", "deployed", ""),
    ("recurring", "message_sent", ANY, ""),
    ("recurring", "message_sent", ANY, "deployed"),
    ("recurring", "message_sent", "code_generated", ""),
)
"""Mode, start, coming back, and the event that users have ever done who count.

The first is the one whose cells are kept."""
IN_DUCKDB = """
import json, statistics, sys, time
import duckdb
folder, first, runs, questions = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
base = duckdb.connect(f"{folder}/duck.db", config={"threads": 2})
base.execute("SET enable_progress_bar = false")
if not base.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'events'").fetchall():
    base.execute(
        "CREATE TABLE events AS SELECT * FROM read_csv(?, header=false,"
        " columns={'event': 'VARCHAR', 'person': 'INTEGER', 'day': 'DATE'})", [f"{folder}/duck.csv"])
    base.execute("CHECKPOINT")
found = []
for mode, start, back, did in questions:
    starts = "min(day)" if mode == "first" else "day"
    group = "person" if mode == "first" else "person, day"
    where = f"WHERE event = '{back}'" if back else ""
    among = f"AND person IN (SELECT person FROM events WHERE event = '{did}')" if did else ""
    query = (
        f"WITH s AS (SELECT person, {starts} AS start FROM events WHERE event = '{start}' {among} GROUP BY {group}),"
        f" b AS (SELECT DISTINCT person, day FROM events {where})"
        " SELECT start::VARCHAR, day - start AS k, count(*) FROM s JOIN b USING (person)"
        f" WHERE start BETWEEN DATE '{first}' AND DATE '{first}' + 89 AND day - start BETWEEN 1 AND 89"
        " GROUP BY 1, 2"
    )
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        rows = base.execute(query).fetchall()
        times.append(1000 * (time.perf_counter() - begun))
    found.append([statistics.median(times), rows])
print(json.dumps(found))
"""
Cells = dict[tuple[str, int], int]


def ask_duckdb(
    folder: Path, connection: Connection, first: dt.date, runs: int
) -> dict[Question, tuple[float, Cells]]:
    """The cells of each question by DuckDB, with the median of its milliseconds."""
    table = folder / "duck.csv"
    if not table.exists():
        copy_events(connection.conninfo, table)
    with TemporaryDirectory() as name:
        venv.create(name, with_pip=True)
        python = f"{name}/bin/python"
        subprocess.run([python, "-m", "pip", "install", "-q", DUCKDB], check=True)
        arguments = [str(folder), first.isoformat(), str(runs), json.dumps(QUESTIONS)]
        done = subprocess.run(
            [python, "-c", IN_DUCKDB, *arguments], check=True, stdout=-1, text=True
        )
    answers = json.loads(done.stdout)
    return {
        question: (ms, {(day, k): count for day, k, count in rows})
        for question, (ms, rows) in zip(QUESTIONS, answers, strict=True)
    }


def copy_events(url: str, table: Path) -> None:
    """Write event, person and day of all events as CSV."""
    query = (
        f"COPY (SELECT event, substr(distinct_id, 6), {DAY} FROM assise.analytics_events)"
        " TO STDOUT (FORMAT csv)"
    )
    with (
        psycopg.connect(url) as reader,
        table.open("wb") as file,
        reader.cursor().copy(query.encode()) as rows,
    ):
        for each in rows:
            file.write(each)


async def measure_dashboard(folder: Path, url: str, calls: int) -> None:
    """Print how long a dashboard takes."""
    urls: dict[str, str] = {}
    for role in ("app", "admin"):
        urls[role] = make_conninfo(url, user=f"bench_analytics_{role}")
    async with App(folder, urls=urls) as app:
        found = await app.analytics.dashboard()
        times = []
        for _ in range(calls):
            begun = time.perf_counter()
            await app.analytics.dashboard()
            times.append(1000 * (time.perf_counter() - begun))
    p95 = statistics.quantiles(times, n=20)[-1]
    users, work = found.user_metrics, found.engagement_metrics
    print(
        f"dashboard of {users.total_users:,} users, {work.total_projects:,} projects,"
        f" {work.messages:,} messages: p50 {statistics.median(times):.1f} ms, p95 {p95:.1f} ms"
        " (wanted: 50)",
        flush=True,
    )


def say(step: str) -> None:
    """Print what begins."""
    print(f"{dt.datetime.now(dt.UTC):%H:%M:%S} {step}", flush=True)


def main() -> None:
    """Build where nothing is built, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="the folder of the database")
    parser.add_argument("--build", action="store_true", help="build alone")
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument(
        "--patience", type=int, default=60, help="seconds for plain SQL (60); 0 for none"
    )
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--persons", type=int, default=435_000)
    asked = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = asked.keep or Path(name)
        if not (folder / "built").exists():
            build(folder, asked.events, asked.persons)
        if not asked.build:
            measure(folder.resolve(), runs=asked.runs, patience_s=asked.patience)


if __name__ == "__main__":
    main()
