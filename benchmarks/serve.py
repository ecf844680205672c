"""Measure `GET /api/projects` of 20 rows against a route that is written by hand.

    python benchmarks/serve.py [--seconds 3] [--runs 5] [--connections 50] [--tool oha]

Both run in one process of uvicorn each, on the same embedded server, verify the same token (HS256),
send the same messages to the database and return the same JSON. They are asked in turns by `oha` or
`wrk`, where one is installed; else by plain sockets of this process. The table is printed and written to
benchmarks/results.md. This file is not called http.py: as a script's folder comes first, it would
stand before Python's own module `http`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import jwt
import psycopg
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Response
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from assise.api.server import make_application
from assise.app import App
from assise.manifest.read import parse_manifest
from assise.postgres.embedded import Embedded
from assise.schema.access import access_script

RESULTS = Path(__file__).parent / "results.md"
BEGIN, END = "## HTTP", "<!-- end of HTTP -->"
SECRET = "a secret of the benchmark that nobody else knows"  # noqa: S105
ISSUER, AUDIENCE = "https://issuer.example", "app"
USER = "507f1f77-bcf8-86cd-8799-439011000000"
MANIFEST = f"""assise: 1
name: bench
postgres: {{main: {{url: "${{BENCH_URL}}", app: "${{BENCH_APP}}"}}}}
identity: {{issuer: "{ISSUER}", audience: {AUDIENCE}, secret: "{SECRET}"}}
roles: {{prefix: bench}}
tables:
  projects:
    access: {{owner: user_id}}
    api: {{read: all, create: [name]}}
    collection: projects
    primary_key: id
    columns:
      id: {{type: uuid, from: _id}}
      user_id: {{type: uuid, from: userId}}
      name: text
      status: text
      stars: int4
      created_at: {{type: timestamptz, from: createdAt}}
    indexes: [[user_id, -created_at]]
"""
TABLE = """CREATE TABLE projects (id uuid PRIMARY KEY, user_id uuid, name text, status text, stars int4,
    created_at timestamptz, _extra jsonb);
CREATE INDEX ON projects (user_id, created_at DESC);
INSERT INTO projects SELECT gen_random_uuid(), CASE WHEN n % 100 = 0 THEN '507f1f77-bcf8-86cd-8799-439011000000' ELSE gen_random_uuid() END,
    'project ' || n, 'active', n % 7, '2026-01-01'::timestamptz + n * interval '1 minute'
FROM generate_series(1, 20000) AS n;
ANALYZE projects;
"""
PATH = "/api/projects?order=-created_at&limit=20"
QUERY = """SELECT id, user_id, name, status, stars, created_at FROM projects
    ORDER BY created_at DESC, id DESC LIMIT 21"""


def find_user(authorization: Annotated[str, Header()]) -> str:
    try:
        claims = jwt.decode(
            authorization.removeprefix("Bearer "),
            SECRET,
            algorithms=["HS256"],
            audience=AUDIENCE,
            issuer=ISSUER,
        )
    except jwt.PyJWTError as error:
        raise HTTPException(401, "a token is needed") from error
    return str(claims["sub"])


def make_by_hand() -> FastAPI:
    """The route as a careful person writes it, returning what FastAPI makes of dictionaries."""
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        os.environ["BENCH_APP"],
        max_size=10,
        open=False,
        kwargs={"autocommit": True, "prepare_threshold": None, "row_factory": dict_row},
    )

    @asynccontextmanager
    async def lifespan(_web: FastAPI) -> AsyncIterator[None]:
        await pool.open()
        yield
        await pool.close()

    web = FastAPI(lifespan=lifespan)

    @web.get("/api/projects")
    async def list_projects(
        user: Annotated[str, Depends(find_user)], response: Response, limit: int = 20
    ) -> dict[str, Any]:
        async with pool.connection() as connection:
            begin = (
                "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY;"
                f" SELECT set_config('app.user_id', '{user}', true),"
                " set_config('app.tenant_id', '', true), set_config('statement_timeout', '30000', true)"
            )
            await connection.execute(begin, prepare=False)
            cursor = await connection.execute(QUERY)
            rows = await cursor.fetchall()
            await connection.execute("COMMIT", prepare=False)
        response.headers["Cache-Control"] = "private, no-cache"
        response.headers["Vary"] = "Authorization"
        return {"items": rows[:limit], "next": None}

    return web


def make_ours() -> Any:  # noqa: ANN401
    """The application of the manifest."""
    return make_application(App(Path(os.environ["BENCH_FOLDER"])))


def make_routes() -> Any:  # noqa: ANN401
    """Its routes alone, in a FastAPI application of one's own, as the other one is."""
    app = App(Path(os.environ["BENCH_FOLDER"]))
    web = FastAPI(lifespan=app.lifespan)
    web.include_router(app.router)
    return web


MAKERS = {"by hand": make_by_hand, "its routes": make_routes, "assise serve": make_ours}


@contextmanager
def run_server(name: str, port: int) -> Iterator[str]:
    """One process of uvicorn."""
    command = [sys.executable, __file__, "--serve", name, "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                httpx.get(url)
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def measure(url: str, token: str, options: argparse.Namespace) -> float:
    """Requests a second."""
    header = f"Authorization: Bearer {token}"
    connections, seconds = str(options.connections), str(options.seconds)
    if options.tool == "oha":
        command = [
            "oha",
            "--no-tui",
            "--json",
            "-c",
            connections,
            "-z",
            f"{seconds}s",
            "-H",
            header,
            url,
        ]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        found = json.loads(done.stdout)
        assert set(found["statusCodeDistribution"]) == {"200"}
        return float(found["summary"]["requestsPerSec"])
    if options.tool == "wrk":
        command = ["wrk", "-t", "1", "-c", connections, "-d", f"{seconds}s", "-H", header, url]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        assert "Non-2xx" not in done.stdout
        match = re.search(r"Requests/sec: +([0-9.]+)", done.stdout)
        return float(match[1]) if match else 0.0
    return asyncio.run(ask(url, header.partition(": ")[2], options))


async def ask(url: str, authorization: str, options: argparse.Namespace) -> float:
    """Requests a second of plain sockets, which send one and read its answer."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    text = (
        f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n\r\n".encode()
    )
    ends_at, count = time.perf_counter() + options.seconds, 0

    async def send() -> None:
        nonlocal count
        reader, writer = await asyncio.open_connection(name, int(port))
        while time.perf_counter() < ends_at:
            writer.write(text)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            match = re.search(rb"content-length: (\d+)", head)
            assert match
            await reader.readexactly(int(match[1]))
            count += 1
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(options.connections)))
    return count / (time.perf_counter() - begun)


def prepare(folder: Path) -> Embedded:
    """The server with its table and its rules."""
    (folder / "assise.yaml").write_text(MANIFEST)
    embedded = Embedded(folder / ".assise")
    embedded.start()
    embedded.create_database("bench")
    conninfo = embedded.conninfo("bench")
    os.environ["BENCH_FOLDER"] = str(folder)
    os.environ["BENCH_URL"] = embedded.url("bench")
    os.environ["BENCH_APP"] = make_conninfo(conninfo, user="bench_app")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(TABLE.encode())
        for statement in access_script(parse_manifest(MANIFEST), "public"):
            connection.execute(statement.encode())
    return embedded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--connections", type=int, default=50)
    known = next((name for name in ("oha", "wrk") if shutil.which(name)), "sockets")
    parser.add_argument("--tool", choices=["oha", "wrk", "sockets"], default=known)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=8_765)
    options = parser.parse_args()
    if options.serve:
        uvicorn.run(MAKERS[options.serve](), port=options.port, log_level="warning")
        return
    with tempfile.TemporaryDirectory(prefix="assise-http-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        embedded = prepare(Path(name))
        try:
            report(compare(options), options)
        finally:
            embedded.stop(immediate=True)


def compare(options: argparse.Namespace) -> dict[str, float]:
    """The median requests a second of each, measured in turns."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": USER, "exp": int(time.time()) + 36_000}
    token = jwt.encode(claims, SECRET, algorithm="HS256")
    found: dict[str, list[float]] = {name: [] for name in MAKERS}
    answers: dict[str, Any] = {}
    for _ in range(options.runs):
        for n, name in enumerate(MAKERS):
            with run_server(name, options.port + n) as url:
                answer = httpx.get(url + PATH, headers={"Authorization": f"Bearer {token}"})
                assert answer.status_code == 200, answer.text
                answers[name] = answer.json()["items"]
                assert len(answers[name]) == 20, answer.text
                found[name].append(measure(url + PATH, token, options))
    by_hand = [{**row, "created_at": row["created_at"][:19]} for row in answers["by hand"]]
    for name in MAKERS:
        assert [{**row, "created_at": row["created_at"][:19]} for row in answers[name]] == by_hand
    return {name: statistics.median(each) for name, each in found.items()}


def report(found: dict[str, float], options: argparse.Namespace) -> None:
    """Print the table, and write it into the results."""
    about = (
        f"`GET /api/projects` of 20 rows with token and rules, {options.connections} connections,"
        f" one process each, median of {options.runs} runs of {options.seconds:g} s, asked by"
        f" {options.tool}."
    )
    lines = [
        BEGIN,
        "",
        about,
        "",
        "| who answers | requests a second | of the one by hand |",
        "|---|---|---|",
        *(
            f"| {name} | {rate:,.0f} | {rate / found['by hand']:.2f} |"
            for name, rate in found.items()
        ),
        "",
        END,
    ]
    text = "\n".join(lines)
    print(text)
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    pattern = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)
    new = pattern.sub(lambda _: text, old) if pattern.search(old) else f"{old.rstrip()}\n\n{text}\n"
    RESULTS.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
