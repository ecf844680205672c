"""Measure the cache beside bare commands: hits with tags, Redis hung, limits.

Everything runs against one embedded server in one process. Each figure is the best of some rounds, in
which all candidates take turns, so that only ratios are compared. cashews and aiocache are measured beside
a bare GET of their own, in an environment that is made for them; `--alone` leaves them out. `--check`
fails where a bar is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from assise import App
from assise.cache.limits import Limits
from assise.cache.store import read_scripts
from assise.redis.client import Client
from assise.redis.embedded import EmbeddedRedis

MANIFEST = """assise: 1
name: bench
redis: {{cache: "{url}", data: "{url}"}}
redis_keys:
  calls: {{pattern: "rate_limit:{{user}}", type: limit, limit: 1000000/hour}}
tables: {{users: {{collection: users, primary_key: id, columns: {{id: {{type: int4, from: _id}}}}}}}}
"""
KEYS = 200
OTHERS = ("cashews[redis]==7.6.0", "aiocache[redis]==0.12.3")
OTHERS_SCRIPT = Path(__file__).with_name("cache_others.py")
BARS = {"hit / raw GET": 1.4, "hung: 2nd call over the function, ms": 2.0, "limit / EVALSHA": 1.3}
Work = Callable[[int], Awaitable[object]]


class Project(msgspec.Struct):
    """A row."""

    id: int
    name: str
    stars: int


ROWS = [Project(n, f"project number {n}", n * 7) for n in range(20)]


async def race(candidates: dict[str, Work], *, rounds: int, calls: int) -> dict[str, float]:
    """Microseconds a call of each, in the best of some rounds."""
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(rounds):
        for name, work in candidates.items():
            began = time.perf_counter()
            for number in range(calls):
                await work(number % KEYS)
            best[name] = min(best[name], (time.perf_counter() - began) / calls * 1e6)
    return best


async def measure_hits(app: App, rounds: int) -> dict[str, float]:
    """Hits of a cached function, beside a bare GET with the same client and decoder."""

    @app.cache("projects", ttl=600, tags=["projects:{user_id}"])
    async def projects(user_id: int, limit: int = 20) -> list[Project]:
        assert user_id < KEYS
        return ROWS[:limit]

    client, decode = app.cache.store.client, msgspec.msgpack.Decoder(list[Project]).decode
    data = msgspec.msgpack.encode(ROWS)
    for number in range(KEYS):
        await projects(number)
        await client.ask("SET", f"raw:{number}", data)

    async def get(number: int) -> object:
        return decode(await client.native.get(f"raw:{number}"))

    candidates: dict[str, Work] = {"raw GET": get, "hit": projects}
    return await race(candidates, rounds=10 * rounds, calls=KEYS // 2)


async def measure_limits(app: App, rounds: int) -> dict[str, float]:
    """A decision of a limit, beside the script that it runs."""
    limit, client = app.redis.limit("calls"), app.redis.client()
    limits: Limits = limit.limits
    arguments = [1_000_000, 3_600_000, 1, "0", ""]
    (script,) = read_scripts("limit")

    async def bare(number: int) -> object:
        key = f"rate_limit:{number}"
        return await client.native.evalsha(script.digest, 1, key, *arguments)

    async def ours(number: int) -> object:
        return await limit.hit(user=number)

    await ours(0)
    assert not limits.breaker.is_open
    return await race({"EVALSHA": bare, "limit": ours}, rounds=10 * rounds, calls=KEYS // 2)


async def measure_hung(app: App, server: EmbeddedRedis) -> float:
    """Milliseconds that the 2nd call takes over its function, of 10 ms, with Redis hung."""

    @app.cache("hung", ttl=600)
    async def hung(number: int) -> int:
        await asyncio.sleep(0.01)
        return number

    async def clock(work: Awaitable[object]) -> float:
        began = time.perf_counter()
        await work
        return (time.perf_counter() - began) * 1000

    await hung(0)
    pid = int((server.data / "redis.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        await hung(0)
        found = [await clock(hung(0)) - await clock(asyncio.sleep(0.01)) for _ in range(20)]
    finally:
        os.kill(pid, signal.SIGCONT)
    return sorted(found)[len(found) // 2]


async def measure(folder: Path, server: EmbeddedRedis, rounds: int) -> dict[str, float]:
    """All figures."""
    (folder / "assise.yaml").write_text(MANIFEST.format(url=server.url))
    async with App(folder) as app:
        hits = await measure_hits(app, rounds)
        limits = await measure_limits(app, rounds)
        return {
            "raw GET, us": hits["raw GET"],
            "hit / raw GET": hits["hit"] / hits["raw GET"],
            "limit / EVALSHA": limits["limit"] / limits["EVALSHA"],
            "hung: 2nd call over the function, ms": await measure_hung(app, server),
        }


async def open_port(server: EmbeddedRedis) -> int:
    """Let the server listen on a port of this machine; aiocache knows no sockets."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    client = Client(server.url, timeout_s=5, size=1)
    await client.ask("CONFIG", "SET", "bind", "127.0.0.1")
    await client.ask("CONFIG", "SET", "port", port)
    await client.close()
    return port


def measure_others(folder: Path, server: EmbeddedRedis, rounds: int) -> dict[str, float]:
    """The figures of cashews and aiocache; none where they cannot be installed."""
    python = folder / "others" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder / "others"], check=True)
    made = subprocess.run([python, "-m", "pip", "install", "-q", *OTHERS], check=False)
    if made.returncode:
        return {}
    pid = (server.data / "redis.pid").read_text().strip()
    port = asyncio.run(open_port(server))
    command = [python, OTHERS_SCRIPT, str(port), pid, str(10 * rounds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--alone", action="store_true", help="without cashews and aiocache")
    parser.add_argument("--check", action="store_true", help="fail where a bar is broken")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        server = EmbeddedRedis(Path(name), "cache")
        server.start()
        try:
            figures = asyncio.run(measure(Path(name), server, options.rounds))
            others = {} if options.alone else measure_others(Path(name), server, options.rounds)
        finally:
            server.stop()
    broken = 0
    for what, value in (figures | others).items():
        bar = BARS.get(what)
        is_broken = bar is not None and value > bar
        broken += is_broken
        said = "" if bar is None else f"  (at most {bar}{', BROKEN' if is_broken else ''})"
        print(f"{what:44} {value:8.2f}{said}")
    if not others:
        print("cashews, aiocache: not measured")
    return 1 if options.check and broken else 0


if __name__ == "__main__":
    sys.exit(main())
