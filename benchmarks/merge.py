"""Measure what merging rows of two servers costs, beside the two queries alone.

    python benchmarks/merge.py [--rows 1000] [--users 400] [--merges 100] [--runs 5]

Two embedded servers: conversations on one, users on the other. Merged are a query and `merge`, with
the rights of a user: in a session, or by a loader, which sends each query with its transaction as
one message. Bare are the two queries alone, with nothing put together: in sessions as well, or by
psycopg without a transaction and without rights. They are measured in turns, `--merges` times, and
the medians of five runs count. The table is printed and written to benchmarks/results.md.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from assise.app import App
from assise.postgres.conninfo import sign_in_as
from assise.postgres.embedded import Embedded

RESULTS = Path(__file__).parent / "results.md"
BEGIN, END = "## Rows of two servers", "<!-- end of rows of two servers -->"
MANIFEST = """assise: 1
name: bench
postgres: {main: {url: embedded}, auth: {url: embedded}}
roles: {prefix: bench}
tables:
  conversations:
    access: {public: read}
    collection: conversations
    primary_key: id
    columns: {id: {type: int4, from: _id}, user_id: {type: uuid, kind: uuid}, question: text}
  users:
    on: auth
    primary_key: id
    fallback: {email: "{key}", plan: free}
    columns: {id: uuid, email: text, first_name: text, last_name: text, plan: text}
"""
MAIN = """CREATE ROLE bench_app LOGIN;
CREATE TABLE conversations (id int PRIMARY KEY, user_id uuid, question text);
INSERT INTO conversations SELECT n, lpad(to_hex(n % %(users)s), 32, '0')::uuid, 'question ' || n
    FROM generate_series(1, 100 * %(rows)s) AS n;
ALTER TABLE conversations ENABLE ROW LEVEL SECURITY;
CREATE POLICY app_read ON conversations FOR SELECT USING (true);
GRANT SELECT ON conversations TO bench_app;
"""
AUTH = """CREATE ROLE bench_app LOGIN;
CREATE TABLE users (id uuid PRIMARY KEY, email text, first_name text, last_name text, plan text);
INSERT INTO users SELECT lpad(to_hex(n), 32, '0')::uuid, n || '@example.org', 'F' || n, 'L' || n, 'free'
    FROM generate_series(1, 100 * %(users)s) AS n;
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY app_read ON users FOR SELECT USING (true);
GRANT SELECT ON users TO bench_app;
"""
ROWS = "SELECT id, user_id, question FROM conversations ORDER BY id LIMIT %s"
USERS = "SELECT id, email, first_name, last_name, plan FROM users WHERE id = ANY (%s)"
READER = UUID(int=1)

Act = Callable[[], Awaitable[object]]
Connections = list[psycopg.AsyncConnection[dict[str, Any]]]


def fill(server: Embedded, script: str, **numbers: int) -> None:
    """Start a server and make its tables."""
    server.start()
    server.create_database("bench")
    for name, number in numbers.items():
        script = script.replace(f"%({name})s", str(number))
    with psycopg.connect(server.conninfo("bench"), autocommit=True) as connection:
        connection.execute(script.encode())
        connection.execute("VACUUM ANALYZE")


async def measure(app: App, connections: Connections, *, rows: int, merges: int) -> list[float]:
    """The median milliseconds of each way."""
    first, second = connections
    known = await (await first.execute(ROWS, [rows])).fetchall()
    keys = [*dict.fromkeys(row["user_id"] for row in known)]

    async def merge() -> None:
        async with app.session(user_id=READER, read_only=True) as db:
            found = await db.fetch(ROWS, [rows])
            merged = await app.merge(found, key="user_id", into="user", table="users")
        assert len(merged.rows) == rows

    async def merge_at_once() -> None:
        loader = app.loader(user_id=READER)
        found = await loader.fetch(ROWS, [rows])
        merged = await loader.merge(found, key="user_id", into="user", table="users")
        assert len(merged.rows) == rows

    async def ask() -> None:
        async with app.session(user_id=READER, read_only=True) as db:
            await db.fetch(ROWS, [rows])
        async with app.session(user_id=READER, read_only=True, on="auth") as db:
            await db.fetch(USERS, [keys])

    async def ask_without() -> None:
        await (await first.execute(ROWS, [rows])).fetchall()
        await (await second.execute(USERS, [keys])).fetchall()

    took: dict[Act, list[float]] = {merge: [], merge_at_once: [], ask: [], ask_without: []}
    for n in range(merges + 20):
        for act, times in took.items():
            began = perf_counter()
            await act()
            if n >= 20:
                times.append(1_000 * (perf_counter() - began))
    return [*map(statistics.median, took.values())]


async def run(app: App, logins: list[str], given: argparse.Namespace) -> list[list[float]]:
    """Measure several times with an application and with connections of psycopg."""
    connect = psycopg.AsyncConnection[dict[str, Any]].connect
    connections = [await connect(each, autocommit=True, row_factory=dict_row) for each in logins]
    async with app, connections[0], connections[1]:
        return [
            await measure(app, connections, rows=given.rows, merges=given.merges)
            for _ in range(given.runs)
        ]


def write(lines: list[str]) -> None:
    """Put the section into the results, in place of the one from before."""
    text = RESULTS.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2].lstrip("\n") if rest else ""
    section = "\n".join([BEGIN, "", *lines, "", END])
    RESULTS.write_text(f"{before.rstrip()}\n\n{section}\n{after}")


def main() -> None:
    """Read the arguments, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in {"rows": 1_000, "users": 400, "merges": 100, "runs": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assise-merge-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "assise.yaml").write_text(MANIFEST)
        app = App(folder)
        servers = [app.workspace.embedded_of(name) for name in ("main", "auth")]
        try:
            for server, script in zip(servers, (MAIN, AUTH), strict=True):
                fill(server, script, rows=given.rows, users=given.users)

            logins = [sign_in_as(server.conninfo("bench"), "bench_app") for server in servers]
            found = asyncio.run(run(app, logins, given))
        finally:
            for server in servers:
                server.stop(immediate=True)
    what = f"{given.rows:,} rows with {given.users:,} distinct users"
    runs = f"medians of {given.runs} runs of {given.merges} each"
    ways = zip(("in a session", "by a loader"), (0, 1), strict=True)
    bare = [*map(statistics.median, zip(*found, strict=True))]
    lines = [
        f"`python benchmarks/merge.py`: {what}, {runs}.",
        "",
        "| merged | ms | of two queries in sessions | of two without a transaction and rights |",
        "|---|---|---|---|",
    ]
    for way, n in ways:
        ratios = [statistics.median(each[n] / each[other] for each in found) for other in (2, 3)]
        lines.append(f"| {way} | {bare[n]:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    lines += ["", f"The two queries alone: {bare[2]:.2f} ms in sessions, {bare[3]:.2f} without."]
    print("\n".join(lines))
    write(lines)


if __name__ == "__main__":
    main()
