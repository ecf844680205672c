"""Measure what access rules cost: reads, writes and sessions, with rules and without.

    python benchmarks/access.py [--projects 200000] [--users 90000] [--runs 600]

The tables are made by SQL and get their rules from a manifest. One user has 100,000 projects, one
is in 10,000 groups with a tenth of the docs, one in 10,000 without any. With rules means as the application's login; without, the same tables as their
owner, with the condition written into the query, or copies of the tables with the same rows and no
rules. Both are measured in turns, now one first and now the other, each with users and projects that
the other does not touch: what was read is in memory. A ratio is the median of the turns' ratios. The
issue's size is --projects 3420000 --users 1500000. The table is printed and written to
benchmarks/results.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from operator import sub, truediv
from pathlib import Path
from time import perf_counter
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from assise.app import App
from assise.manifest.read import parse_manifest
from assise.postgres.embedded import Embedded
from assise.postgres.rights import Rights
from assise.schema.access import AccessRules, access_script

RESULTS = Path(__file__).parent / "results.md"
BEGIN, END = "## Access rules", "<!-- end of access rules -->"
MANIFEST = """assise: 1
name: bench
postgres: {main: {app: "postgresql:///bench"}}
roles: {prefix: bench}
tables:
  projects:
    access: {owner: user_id}
    collection: projects
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      user_id: {type: uuid, from: userId}
      name: text
      created_at: {type: timestamptz, from: createdAt}
    indexes: [[user_id, -created_at]]
  files:
    access: {through: projects}
    parent: projects
    from: files.*
    primary_key: [project_id, position]
    columns: {path: text}
  docs:
    access: {members: {table: members, user: user_id, group: team_id}}
    collection: docs
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      team_id: {type: uuid, from: teamId}
      created_at: {type: timestamptz, from: createdAt}
    indexes: [[team_id, -created_at]]
  members:
    access: none
    collection: members
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      user_id: {type: uuid, from: userId}
      team_id: {type: uuid, from: teamId}
"""
TABLES = """
CREATE FUNCTION key(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
    RETURN ('00000000-0000-8000-8000-' || lpad(to_hex(n), 12, '0'))::uuid;
CREATE TABLE projects (id uuid PRIMARY KEY, user_id uuid, name text, created_at timestamptz);
CREATE TABLE files (project_id uuid, position int, path text, PRIMARY KEY (project_id, position));
CREATE TABLE docs (id uuid PRIMARY KEY, team_id uuid, created_at timestamptz);
CREATE TABLE members (id uuid PRIMARY KEY, user_id uuid, team_id uuid);
INSERT INTO projects SELECT key(n), key(CASE WHEN n <= 100000 THEN 0 ELSE 1 + n % {users} END),
    'project ' || n, '2024-01-01'::timestamptz + (hashint8(n) & 33554431) * interval '1 second'
    FROM generate_series(1, {projects}) AS n;
INSERT INTO files SELECT id, 0, 'index.html' FROM projects;
INSERT INTO docs SELECT key(n), key(n % 100000),
    '2024-01-01'::timestamptz + (hashint8(n) & 33554431) * interval '1 second'
    FROM generate_series(1, {projects}) AS n;
INSERT INTO members SELECT key(n), key(0), key(n * 10) FROM generate_series(1, 10000) AS n;
INSERT INTO members SELECT key(n), key(n % {users} + 1), key(n % 100000)
    FROM generate_series(10001, 110000) AS n;
INSERT INTO members SELECT key(n), key({users} + 1), key(n)
    FROM generate_series(110001, 120000) AS n;
"""
INDEXES = """
CREATE INDEX ON projects (user_id, created_at DESC);
CREATE INDEX ON docs (team_id, created_at DESC);
CREATE INDEX ON docs (created_at DESC);
ALTER TABLE files ADD FOREIGN KEY (project_id) REFERENCES projects ON DELETE CASCADE;
CREATE TABLE plain_projects (LIKE projects INCLUDING ALL);
CREATE TABLE plain_files (LIKE files INCLUDING ALL);
INSERT INTO plain_projects SELECT * FROM projects;
INSERT INTO plain_files SELECT * FROM files;
ALTER TABLE plain_files ADD FOREIGN KEY (project_id) REFERENCES projects ON DELETE CASCADE;
VACUUM ANALYZE;
"""
NEWEST = "SELECT * FROM projects {} ORDER BY created_at DESC LIMIT 20"
DOCS = "SELECT * FROM docs {} ORDER BY created_at DESC LIMIT 20"
JOIN = DOCS.format("WHERE team_id IN (SELECT team_id FROM members WHERE user_id = '{}')")
FILES = "SELECT * FROM files {} LIMIT 20"
MANY = "SELECT key({first} + n), 0, 'x' FROM generate_series(1, 50000) AS n"
Connection = psycopg.Connection[Any]
Line = tuple[str, float, float, float | None]


def key(number: int) -> str:
    """The id with this number, as the function `key` of the database makes it."""
    return f"00000000-0000-8000-8000-{number:012x}"


def fill(conninfo: str, projects: int, users: int) -> None:
    """Make the tables, their rows and their rules."""
    rules = AccessRules(parse_manifest(MANIFEST), "public")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for text in (TABLES.format(projects=projects, users=users), INDEXES):
            for statement in text.split(";\n")[:-1]:
                connection.execute(statement.encode())
        statements = access_script(rules.manifest, rules.schema)
        at = next(i for i, text in enumerate(statements) if "CREATE TRIGGER" in text)
        for statement in [*statements[:at], *rules.list_fills(), *statements[at:]]:
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")


def time_query(connection: Connection, user: int, query: str) -> float:
    """Milliseconds of a query inside of a session's transaction."""
    connection.execute(b"; ".join(Rights(key(user)).begin(connection)))
    begun = perf_counter()
    connection.execute(query.encode()).fetchall()
    took = perf_counter() - begun
    connection.rollback()
    return took * 1000


def time_write(connection: Connection, user: int, statement: str) -> float:
    """Milliseconds of a statement in a transaction of its own, with the session's settings."""
    begun = perf_counter()
    connection.execute(b"; ".join(Rights(key(user)).begin(connection)))
    connection.execute(statement.encode())
    connection.commit()
    return (perf_counter() - begun) * 1000


def in_turns(runs: int) -> Iterator[tuple[int, bool]]:
    """Numbers, each once, and whether it is the turn with rules; who is first changes."""
    for n in range(runs):
        yield 2 * n, n % 2 == 0
        yield 2 * n + 1, n % 2 == 1


def sum_up(ruled: list[float], plain: list[float]) -> Line:
    """The 95th percentile with rules, both medians, and the median of the turns' ratios."""
    start = len(ruled) // 10
    ruled, plain = ruled[start:], plain[start:]
    last = sorted(ruled)[int(len(ruled) * 0.95)]
    ratio = statistics.median(map(truediv, ruled, plain))
    return f"{last:.2f}", statistics.median(ruled), statistics.median(plain), ratio


def compare(runs: int, with_rules: Callable[[int], float], without: Callable[[int], float]) -> Line:
    """Measure both in turns; sum up."""
    ruled, plain = list[float](), list[float]()
    for n, has_rules in in_turns(runs):
        times, run = (ruled, with_rules) if has_rules else (plain, without)
        times.append(run(n))
    return sum_up(ruled, plain)


def measure_reads(app: Connection, owner: Connection, given: argparse.Namespace) -> Iterator[Line]:
    """The newest rows of several users."""
    groups = "team_id = any (array(SELECT team_id FROM members WHERE user_id = '{}'))"
    cases = {
        "newest 20 projects of a user": (NEWEST, "user_id = '{}'", None),
        "… of one with 100,000 projects": (NEWEST, "user_id = '{}'", 0),
        "20 files of one with 100,000 projects": (FILES, "user_id = '{}'", 0),
        "newest 20 docs of a user in 1 or 2 groups": (DOCS, groups, None),
        "… of one in 10,000 groups": (DOCS, groups, 0),
        "… of one in 10,000 groups without docs": (DOCS, groups, given.users + 1),
    }
    for name, (query, condition, user) in cases.items():

        def number(n: int, user: int | None = user) -> int:
            return 1 + n * 7919 % given.users if user is None else user

        def ruled(n: int, query: str = query) -> float:
            return time_query(app, number(n), query.format(""))

        def plain(n: int, query: str = query, condition: str = condition) -> float:
            where = f"WHERE {condition.format(key(number(n)))}"
            return time_query(owner, number(n), query.format(where))

        runs = given.runs if user is None else max(30, given.runs // 5)
        last, *others = compare(runs, ruled, plain)
        yield (f"{name}, p95 {last} ms", *others)


def explain_groups(app: Connection, owner: Connection, users: int) -> str:
    """What the server does for the newest docs of the user in 10,000 groups, in milliseconds each.

    Beside it is a join as a person would write it, for which the planner knows the user; and the
    same join for the user whose 10,000 groups have no docs.
    """
    app.execute(b"; ".join(Rights(key(0)).begin(app)))
    query = f"EXPLAIN (ANALYZE, FORMAT JSON) {DOCS.format('')}"
    row = app.execute(query.encode()).fetchone()
    app.rollback()
    node, names, times, groups = row[0][0]["Plan"] if row else None, list[str](), list[float](), 0.0
    while node:
        names.append(f"{node['Node Type']} of {node['Actual Rows']:,.0f} rows")
        times.append(node["Actual Total Time"])
        below = {each["Parent Relationship"]: each for each in node.get("Plans", ())}
        groups += below["InitPlan"]["Actual Total Time"] if "InitPlan" in below else 0
        node = below.get("Outer")
    own = map(sub, times, [*times[1:], groups])
    parts = [f"{name} {took:.1f}" for name, took in zip(names, own, strict=True)]
    joined = statistics.median(time_query(owner, 0, JOIN.format(key(0))) for _ in range(20))
    empty = time_query(owner, 0, JOIN.format(key(users + 1)))
    return (
        "Of one in 10,000 groups, milliseconds by EXPLAIN ANALYZE:"
        f" groups {groups:.1f}, {', '.join(reversed(parts))}."
        f" A join with members, for which the planner knows the user: {joined:.1f};"
        f" where the 10,000 groups have no docs: {empty:,.0f}."
    )


def measure_writes(app: Connection, owner: Connection, given: argparse.Namespace) -> Iterator[Line]:
    """Single rows, and 50,000 children at once."""
    first = given.projects + 1
    insert = "INSERT INTO {} VALUES ('{}', '{}', 'new', now())"

    def one(connection: Connection, table: str) -> Callable[[int], float]:
        return lambda n: time_write(connection, 5, insert.format(table, key(first + n), key(5)))

    last, *others = compare(given.runs, one(app, "projects"), one(owner, "plain_projects"))
    yield (f"insert of a project, p95 {last} ms", *others)
    child = "INSERT INTO {} VALUES ('{}', {}, 'x')"

    def file(connection: Connection, table: str) -> Callable[[int], float]:
        return lambda n: time_write(connection, 0, child.format(table, key(n + 1), 7))

    last, *others = compare(given.runs, file(app, "files"), file(owner, "plain_files"))
    yield (f"insert of a file, p95 {last} ms", *others)
    many = "INSERT INTO {} SELECT key(n), {}, 'x' FROM generate_series(1, 50000) AS n"

    def files(connection: Connection, table: str) -> Callable[[int], float]:
        return lambda n: time_write(connection, 0, many.format(table, 100 + n))

    last, *others = compare(15, files(app, "files"), files(owner, "plain_files"))
    yield ("`INSERT … SELECT` of 50,000 files", *others)


async def measure_session(conninfo: str, path: Path, given: argparse.Namespace) -> Line:
    """A session beside BEGIN, the same query and COMMIT as three messages."""
    url = make_conninfo(conninfo, user="bench_app")
    query, ruled, plain = NEWEST.format(""), list[float](), list[float]()
    async with App(path, urls={"app": url}) as app:
        bare = await psycopg.AsyncConnection.connect(
            url, autocommit=True, prepare_threshold=None, row_factory=psycopg.rows.dict_row
        )
        for n, has_rules in in_turns(given.runs * 2):
            user = key(1 + n * 7919 % given.users)
            if not has_rules:
                await bare.execute("SELECT set_config('app.user_id', %s, false)", [user])
            begun = perf_counter()
            if has_rules:
                async with app.session(user_id=user) as db:
                    await db.fetch(query)
            else:
                await bare.execute("BEGIN")
                await (await bare.execute(query.encode())).fetchall()
                await bare.execute("COMMIT")
            (ruled if has_rules else plain).append((perf_counter() - begun) * 1000)
        await bare.close()
    last, *others = sum_up(ruled, plain)
    return (f"a session of one query, p95 {last} ms", *others)


def measure(folder: Path, given: argparse.Namespace) -> list[str]:
    """All figures as lines of the section."""
    (folder / "assise.yaml").write_text(MANIFEST)
    embedded = Embedded(folder / ".assise")
    embedded.start(settings={"synchronous_commit": "off", "fsync": "off"})
    try:
        embedded.create_database("bench")
        conninfo = embedded.conninfo("bench")
        parts = conninfo_to_dict(conninfo)
        place = make_conninfo(host=str(parts["host"]), dbname="bench", user=str(parts["user"]))
        fill(place, given.projects, given.users)
        lines = list[Line]()
        with (
            psycopg.connect(
                make_conninfo(place, user="bench_app"), autocommit=True, prepare_threshold=None
            ) as app,
            psycopg.connect(place, autocommit=True, prepare_threshold=None) as owner,
        ):
            app_key = "GRANT EXECUTE ON FUNCTION key TO bench_app"
            owner.execute(app_key)
            lines += measure_reads(app, owner, given)
            groups = explain_groups(app, owner, given.users)
            lines += measure_writes(app, owner, given)
        lines.append(asyncio.run(measure_session(place, folder / "assise.yaml", given)))
    finally:
        embedded.stop()
    load = os.getloadavg()[0]
    return [
        (
            f"{given.projects:,} projects of {given.users:,} users, medians in milliseconds; {os.cpu_count()}"
            f" cores, load average {load:.0f}. Commits do not wait for the disk."
        ),
        "",
        "| what | with rules | without | ratio |",
        "|---|--:|--:|--:|",
        *(
            f"| {name} | {one:.2f} | {other:.2f} | {ratio:.2f} |"
            for name, one, other, ratio in lines
        ),
        "",
        groups,
    ]


def main() -> None:
    """Measure, print, and write the section of the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--projects", type=int, default=200_000)
    parser.add_argument("--users", type=int, default=90_000)
    parser.add_argument("--runs", type=int, default=600)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assise-bench-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        lines = measure(Path(name), given)
    print("\n".join(lines))
    before, _, rest = RESULTS.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    RESULTS.write_text("\n".join([before.rstrip(), "", BEGIN, "", *lines, "", END]) + after)


if __name__ == "__main__":
    sys.exit(main())
