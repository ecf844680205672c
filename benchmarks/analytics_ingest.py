"""Events over HTTP, in batches of 500, against binary COPY of the same rows into the same table.

python benchmarks/analytics_ingest.py --events 50000 --runs 3

One process of uvicorn receives, four connections send batches; 200 comes behind the commit. Then all
of it is folded. COPY
writes the rows that came of it, without a uuid looked up, into an empty copy of the
tables. Only the ratio says something: both run on the same machine at the same time.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx
import psycopg

from assise.analytics.fold import fold
from assise.postgres.connection import Connection
from assise.project import Project

KEY, SENDERS = "phc_benchmark", 4
MANIFEST = f"""assise: 1
name: app
roles: {{prefix: bench_ingest}}
postgres: embedded
analytics: {{capture: {{keys: [{KEY}]}}}}
tables:
  users:
    collection: users
    primary_key: id
    access: {{owner: id}}
    columns: {{id: {{type: int4, from: _id}}}}
"""
COLUMNS = "uuid, event, distinct_id, at, sent, arrived, session, traffic, properties, xid, number"


def make_batches(count: int, size: int) -> list[bytes]:
    """What python 7 sends: a uuid, a time, a few properties."""
    now, batches = dt.datetime.now(dt.UTC), []
    for begin in range(0, count, size):
        events = [
            {
                "event": ("signup", "project_created", "deployed")[n % 3],
                "distinct_id": f"user-{n % 10_000}",
                "uuid": str(uuid4()),
                "timestamp": (now - dt.timedelta(seconds=n % 86_400)).isoformat(),
                "properties": {
                    "plan": ("free", "pro")[n % 2],
                    "duration_ms": n % 5_000,
                    "$lib": "posthog-python",
                    "$lib_version": "7.91.1",
                    "$geoip_disable": True,
                },
            }
            for n in range(begin, begin + size)
        ]
        body = {"api_key": KEY, "batch": events, "sent_at": now.isoformat()}
        batches.append(json.dumps(body).encode())
    return batches


def ingest(url: str, batches: list[bytes]) -> float:
    """Seconds until every batch is answered."""
    with httpx.Client(base_url=url, timeout=60) as client, ThreadPoolExecutor(SENDERS) as pool:

        def send(body: bytes) -> None:
            answer = client.post("/ingest/batch/", content=body)
            assert answer.status_code == 200, answer.text

        send(b'{"api_key": "phc_benchmark", "batch": []}')
        begun = time.perf_counter()
        list(pool.map(send, batches))
        return time.perf_counter() - begun


def fold_all(conninfo: str) -> float:
    """Seconds of folding all events."""
    with Connection(conninfo) as connection:
        begun = time.perf_counter()
        fold(connection, "UTC")
        return time.perf_counter() - begun


def copy(conninfo: str) -> float:
    """Seconds of binary COPY of all rows into the same table, which is empty then."""
    with psycopg.connect(conninfo) as connection:
        query = f"COPY (SELECT {COLUMNS} FROM assise.analytics_events) TO STDOUT (FORMAT binary)"
        with connection.cursor().copy(query) as out:
            data = b"".join(out)
        connection.execute("TRUNCATE assise.analytics_events, assise.analytics_seen")
        connection.commit()
        begun = time.perf_counter()
        into = f"COPY assise.analytics_events ({COLUMNS}) FROM STDIN (FORMAT binary)"
        with connection.cursor().copy(into) as copying:
            for at in range(0, len(data), 1 << 16):
                copying.write(data[at : at + (1 << 16)])
        connection.commit()
        seconds = time.perf_counter() - begun
        connection.execute("TRUNCATE assise.analytics_events, assise.analytics_seen")
        connection.commit()
    return seconds


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """A receiver in a process of its own; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "assise", "serve", "-f", str(folder), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        url = f"http://127.0.0.1:{port}"
        while True:
            try:
                httpx.get(f"{url}/health/live")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield url
        server.terminate()


def main() -> None:
    """Measure, and print each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--size", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "assise.yaml").write_text(MANIFEST)
        (folder / "users.jsonl").write_text('{"_id": 1}\n')
        project = Project(folder)
        project.migrate(folder / "users.jsonl", confirm=lambda _: True)
        ratios, folds = list[float](), list[float]()
        with serve(folder) as url:
            for _ in range(asked.runs):
                batches = make_batches(asked.events, asked.size)
                over_http = ingest(url, batches)
                folding = fold_all(project.embedded.conninfo("app"))
                by_copy = copy(project.embedded.conninfo("app"))
                ratios.append(by_copy / over_http)
                shown = [
                    f"{asked.events / seconds:,.0f} a second" for seconds in (over_http, by_copy)
                ]
                folds.append(folding / over_http)
                said = f"ratio {ratios[-1]:.3f}, fold {folds[-1]:.2f} of HTTP"
                print(f"HTTP {shown[0]}, COPY {shown[1]}, {said}", flush=True)
            print(f"median ratio {statistics.median(ratios):.3f} (wanted: 0.15),", end=" ")
            print(f"fold {statistics.median(folds):.2f} (wanted: at most 0.15)")
        project.embedded.stop()


if __name__ == "__main__":
    main()
