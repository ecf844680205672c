"""The table of Devora's targets: first and cached calls, N + 1, few columns, pages.

    python benchmarks/applications.py [--users 150000] [--projects 342000] [--templates 100000] [--check]

On PostgreSQL with a cache in Redis, both embedded, with access rules; medians and the 95th of a
hundred of 100 calls, in milliseconds. With ASSISE_TEST_MONGO_URL also on that MongoDB, by
examples/devora. `--check` fails where a median is over 500 ms. The table is printed and
written to benchmarks/results.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from bson import encode

from assise.app import App
from assise.project import Project
from assise.redis.embedded import EmbeddedRedis

RESULTS = Path(__file__).parent / "results.md"
DEVORA = Path(__file__).parents[1] / "examples" / "devora"
BEGIN, END = "## The applications' targets", "<!-- end of the applications' targets -->"
MONGO_URL = os.environ.get("ASSISE_TEST_MONGO_URL")
BAR_MS, CALLS, PAGE, MANY = 500.0, 100, 20, 10_000
TARGETS = {
    "projects of a user": (120, 10),
    "search of templates": (180, 15),
    "a user": (50, 5),
    "projects by day": (400, 35),
}
MANIFEST = """assise: 1
name: bench
redis: embedded
roles: {prefix: bench}
tables:
  users:
    collection: users
    primary_key: id
    access: {owner: id}
    columns: {id: {type: int4, from: _id}, email: text, username: text, plan: text, profile: text, created_at: timestamptz}
  projects:
    collection: projects
    primary_key: id
    access: {owner: user_id}
    cache: {tags: "projects:{user_id}", ttl: 5 minutes}
    columns: {id: {type: int4, from: _id}, user_id: int4, name: text, description: text, type: text, created_at: timestamptz, updated_at: timestamptz}
    indexes: [[user_id, -updated_at], -created_at]
  templates:
    collection: templates
    primary_key: id
    access: {public: read}
    columns: {id: {type: int4, from: _id}, name: text, description: text, category: text, usage_count: int4}
    indexes: [-usage_count]
"""
FILL = """SET session_replication_role = replica;
INSERT INTO users (id, email, username, plan, profile, created_at)
    SELECT n, 'u' || n || '@example.org', 'user ' || n, 'pro',
        CASE WHEN n <= 1000 THEN repeat(md5(n::text), 1600) END, now() - n * interval '1 minute'
    FROM generate_series(1, %(users)s) AS n;
INSERT INTO projects (id, user_id, name, description, type, created_at, updated_at)
    SELECT n, 1 + n::bigint * 7919 %% %(users)s, 'project ' || n, repeat(md5(n::text), 8), 'web',
        now() - n * interval '3 minutes', now() - n * interval '2 minutes'
    FROM generate_series(1, %(projects)s) AS n;
INSERT INTO templates (id, name, description, category, usage_count)
    SELECT n, word || ' template ' || n, 'A ' || word || ' for ' || md5(n::text), 'web', n * 37 %% 9973
    FROM generate_series(1, %(templates)s) AS n,
        LATERAL (SELECT (ARRAY['shop','blog','booking','invoice','library'])[1 + n %% 5]) AS w (word);
CREATE INDEX ON templates USING gin (to_tsvector('simple', name || ' ' || description));
VACUUM ANALYZE users, projects, templates"""
PROJECTS = """SELECT id, name, type, updated_at::text FROM projects WHERE user_id = %s
    ORDER BY updated_at DESC LIMIT 20"""
SEARCH = """SELECT id, name, usage_count FROM templates
    WHERE to_tsvector('simple', name || ' ' || description) @@ plainto_tsquery('simple', %s)
    ORDER BY usage_count DESC LIMIT 20"""
USER = "SELECT id, email, username, plan FROM users WHERE id = %s"
BY_DAY = """SELECT day::date::text AS day, number FROM generate_series(
        (SELECT date_trunc('day', min(created_at)) FROM projects), (SELECT max(created_at) FROM projects), '1 day') AS day,
    LATERAL (SELECT count(*) AS number FROM projects
        WHERE created_at >= day AND created_at < day + interval '1 day') AS of_day
    WHERE number > 0 AND %s::int IS NOT NULL ORDER BY day"""
GROUPED = """SELECT day::text, number FROM (SELECT created_at::date AS day, count(*) AS number
    FROM projects WHERE created_at IS NOT NULL AND %s::int IS NOT NULL GROUP BY 1) AS days ORDER BY day"""
OFFSET = "SELECT id, name FROM projects ORDER BY created_at DESC, id DESC LIMIT 20 OFFSET 10000"
KEYSET = """SELECT id, name FROM projects WHERE (created_at, id) < (%s, %s)
    ORDER BY created_at DESC, id DESC LIMIT 20"""
JOINED = """SELECT u.id, p.* FROM users AS u, LATERAL (SELECT id AS project, name FROM projects
    WHERE user_id = u.id ORDER BY updated_at DESC LIMIT 20) AS p WHERE u.id = ANY(%s)"""
Call = Callable[[int], Awaitable[object]]
Rows = list[dict[str, Any]]


class Times(NamedTuple):
    """Milliseconds of some calls: their median, and what 95 of a hundred stay under."""

    median: float
    p95: float


async def clock(call: Call, keys: range) -> Times:
    """Await a call for each key."""
    found = []
    for key in keys:
        began = time.perf_counter()
        await call(key)
        found.append((time.perf_counter() - began) * 1000)
    return Times(statistics.median(found), statistics.quantiles(found, n=20)[-1])


def write_dump(folder: Path) -> Path:
    """A dump of one document a collection: all else is made by SQL."""
    folder.mkdir()
    for name in ("users", "projects", "templates"):
        (folder / f"{name}.bson").write_bytes(encode({"_id": 0}))
    return folder


@contextmanager
def open_shop(folder: Path, sizes: Mapping[str, int]) -> Iterator[Path]:
    """The manifest in a folder, and its tables of these sizes, while the block runs."""
    path = folder / "assise.yaml"
    path.write_text(MANIFEST)
    project = Project(folder)
    try:
        project.load(write_dump(folder / "bench"), confirm=lambda _question: True)
        with psycopg.connect(project.embedded.conninfo("bench"), autocommit=True) as connection:
            for statement in FILL.split(";"):
                given = sizes if "%(" in statement else None
                connection.execute(statement.encode(), given)
        yield path
    finally:
        for use in ("cache", "data"):
            EmbeddedRedis(folder / ".assise", use).stop()
        project.embedded.stop(immediate=True)


async def measure_postgres(app: App) -> dict[str, tuple[Times, Times]]:
    """First and cached calls of what the applications' table has."""

    async def fetch(query: str, value: object, user: int, role: Any = "app") -> Rows:  # noqa: ANN401
        async with app.session(user_id=user, role=role, read_only=True) as session:
            return [dict(row) for row in await session.fetch(query, [value])]

    @app.cache("projects", table="projects")
    async def projects(user_id: int) -> Rows:
        return await fetch(PROJECTS, user_id, user_id)

    @app.cache("templates", ttl=60)
    async def templates(number: int) -> Rows:
        words = ("shop", "blog", "booking", "invoice", "library")
        return await fetch(SEARCH, f"{words[number % 5]} template", number)

    @app.cache("user", ttl=300)
    async def user(user_id: int) -> Rows:
        return await fetch(USER, user_id, user_id)

    @app.cache("by_day", ttl=300)
    async def by_day(number: int) -> Rows:
        return await fetch(BY_DAY, number, 0, "admin")

    calls: list[Call] = [projects, templates, user, by_day]
    await asyncio.gather(*(call(MANY) for call in calls))
    keys = range(1, CALLS + 1)
    found = {}
    for name, call in zip(TARGETS, calls, strict=True):
        found[name] = await clock(call, keys), await clock(call, keys)
    return found


async def measure_ways(app: App) -> dict[str, Times]:
    """Queries as they should not be, each before the one in its place."""

    async def fetch(query: str, *values: object) -> Rows:
        async with app.session(role="admin", read_only=True) as session:
            return [dict(row) for row in await session.fetch(query, values or None)]

    async def ask_each(number: int) -> None:
        for user in range(number, number + PAGE):
            await fetch(PROJECTS, user)

    (last,) = await fetch(
        "SELECT created_at, id FROM projects ORDER BY 1 DESC, 2 DESC LIMIT 1 OFFSET 9999"
    )
    ways: dict[str, Call] = {
        "projects of 20 users, 20 queries": ask_each,
        "… one query": lambda n: fetch(JOINED, [*range(n, n + PAGE)]),
        "a user with its profile of 50 KB": lambda n: fetch("SELECT * FROM users WHERE id = %s", n),
        "… four columns": lambda n: fetch(USER, n),
        "page 501 by OFFSET": lambda _n: fetch(OFFSET),
        "… behind the last row": lambda _n: fetch(KEYSET, last["created_at"], last["id"]),
        "projects by day, GROUP BY": lambda n: fetch(GROUPED, n),
        "… each day counted in the index": lambda n: fetch(BY_DAY, n),
    }
    return {name: await clock(call, range(1, CALLS + 1)) for name, call in ways.items()}


def fill_mongo(database: Any, sizes: Mapping[str, int]) -> None:  # noqa: ANN401 - of pymongo
    """The same data in MongoDB."""
    words = ("shop", "blog", "booking", "invoice", "library")
    start = import_module("datetime").datetime(2026, 1, 1)

    def make(name: str, n: int) -> dict[str, object]:
        if name == "users":
            return {"_id": str(n), "email": f"u{n}@example.org", "username": f"user {n}"}
        if name == "projects":
            day = start + import_module("datetime").timedelta(minutes=3 * n)
            user = str(1 + n * 7919 % sizes["users"])
            return {
                "_id": n,
                "user_id": user,
                "name": f"p {n}",
                "created_at": day,
                "updated_at": day,
            }
        return {"_id": n, "name": f"{words[n % 5]} template {n}", "usage_count": n * 37 % 9973}

    for name, size in sizes.items():
        for begin in range(1, size + 1, MANY):
            documents = [make(name, n) for n in range(begin, min(begin + MANY, size + 1))]
            database[name].insert_many(documents)


async def measure_mongo(sizes: Mapping[str, int]) -> dict[str, tuple[Times, Times]]:
    """The same calls on MongoDB, by the example's names."""
    sys.path.insert(0, str(DEVORA))
    devora = import_module("cache")
    name = "assise_bench"
    os.environ["MONGO_URL"] = f"{(MONGO_URL or '').rstrip('/')}/{name}"
    client = import_module("pymongo").MongoClient(MONGO_URL)
    client.drop_database(name)
    fill_mongo(client[name], sizes)
    devora.mongo.MongoIndexOptimizer().create_all_indexes()
    db, cache = await devora.initialize_database_optimizations()
    optimizer = devora.QueryOptimizer
    calls: list[Call] = [
        lambda n: optimizer.get_user_projects_optimized(db, cache, str(n)),
        lambda n: optimizer.search_templates(db, cache, f"shop {n}"),
        lambda n: optimizer.get_user(db, str(n), cache),
        lambda n: cache.count_by_day("projects" if n else "users"),
    ]
    keys = range(1, CALLS + 1)
    found = {}
    for what, call in zip(TARGETS, calls, strict=True):
        found[what] = await clock(call, keys), await clock(call, keys)
    await db.close()
    client.drop_database(name)
    return found


def write_table(
    sizes: Mapping[str, int],
    found: Mapping[str, tuple[Times, Times]],
    ways: Mapping[str, Times],
    mongo: Mapping[str, tuple[Times, Times]] | None,
) -> str:
    """The section of results.md."""
    said = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
    load = f"{os.cpu_count()} cores, load average {os.getloadavg()[1]:.0f}"
    lines = [BEGIN, "", f"{said}; {CALLS} calls of each in milliseconds; {load}.", ""]
    lines += ["| what | first | p95 | target | cached | p95 | target | MongoDB first | cached |"]
    lines += ["|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for name, (first, cached) in found.items():
        targets = TARGETS[name]
        other = ["not measured"] * 2
        if mongo:
            other = [f"{each.median:.2f}" for each in mongo[name]]
        figures = [f"{first.median:.2f}", f"{first.p95:.2f}", str(targets[0])]
        figures += [f"{cached.median:.2f}", f"{cached.p95:.2f}", str(targets[1])]
        lines.append(f"| {' | '.join([name, *figures, *other])} |")
    lines += ["", "| way | median | p95 |", "|---|--:|--:|"]
    lines += [f"| {name} | {each.median:.2f} | {each.p95:.2f} |" for name, each in ways.items()]
    return "\n".join([*lines, "", END])


async def measure(path: Path) -> tuple[dict[str, tuple[Times, Times]], dict[str, Times]]:
    """All figures of PostgreSQL."""
    async with App(path, settings={"cache.timeout_ms": 2_000}) as app:
        return await measure_postgres(app), await measure_ways(app)


def main() -> int:
    """Measure, print, and write the section of results.md."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, size in {"users": 150_000, "projects": 342_000, "templates": 100_000}.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    parser.add_argument("--check", action="store_true", help="fail where a median is over 500 ms")
    options = vars(parser.parse_args())
    is_checked = options.pop("check")
    with tempfile.TemporaryDirectory(prefix="assise-b-") as name:
        Path(name).chmod(0o755)
        with open_shop(Path(name), options) as path:
            found, ways = asyncio.run(measure(path))
    mongo = asyncio.run(measure_mongo(options)) if MONGO_URL else None
    table = write_table(options, found, ways, mongo)
    print(table)
    text = RESULTS.read_text()
    begin, end = text.find(BEGIN), text.find(END)
    before = text[:begin] if end >= 0 else f"{text.rstrip()}\n\n"
    RESULTS.write_text(before + table + (text[end + len(END) :] if end >= 0 else "\n"))
    slow = [what for what, times in found.items() if max(each.median for each in times) > BAR_MS]
    for what in slow:
        print(f"{what}: over {BAR_MS:.0f} ms", file=sys.stderr)
    return 1 if is_checked and slow else 0


if __name__ == "__main__":
    sys.exit(main())
