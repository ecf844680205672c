"""What `cache.py` measures, for cashews and aiocache, in an environment of their own.

`cache.py` starts it with the port of its server, the server's process and how many rounds. Prints
JSON: figures by name.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import version

KEYS = 200
ROWS = [{"id": n, "name": f"project number {n}", "stars": n * 7} for n in range(20)]
Work = Callable[[int], Awaitable[object]]


def make_candidates(port: int, *, sleeps_s: float, name: str) -> dict[str, Work]:
    """The same function cached by both; aiocache has no tags."""
    cashews, aiocache = import_module("cashews"), import_module("aiocache")
    cache = cashews.Cache()
    cache.setup(f"redis://127.0.0.1:{port}/0", client_side=False)

    async def read(user_id: int) -> list[dict[str, object]]:
        assert user_id < KEYS
        if sleeps_s:
            await asyncio.sleep(sleeps_s)
        return ROWS

    @cache(ttl="10m", tags=["projects:{user_id}"], key=f"{name}:{{user_id}}")
    async def by_cashews(user_id: int) -> list[dict[str, object]]:
        return await read(user_id)

    json_text = aiocache.serializers.JsonSerializer()
    place = {"endpoint": "127.0.0.1", "port": port, "namespace": name, "serializer": json_text}

    @aiocache.cached(ttl=600, cache=aiocache.Cache.REDIS, **place)
    async def by_aiocache(user_id: int) -> list[dict[str, object]]:
        return await read(user_id)

    return {"cashews": by_cashews, "aiocache": by_aiocache}


async def race(candidates: dict[str, Work], rounds: int) -> dict[str, float]:
    """Microseconds a call of each, in the best of some rounds."""
    best = dict.fromkeys(candidates, float("inf"))
    for _ in range(rounds):
        for name, work in candidates.items():
            began = time.perf_counter()
            for number in range(100):
                await work(number)
            best[name] = min(best[name], (time.perf_counter() - began) * 1e4)
    return best


async def measure_hung(candidates: dict[str, Work], pid: int) -> dict[str, float]:
    """Milliseconds that the second call takes over its function, of 10 ms, with Redis hung."""
    found = {}
    for name, work in candidates.items():
        await work(0)
        os.kill(pid, signal.SIGSTOP)
        try:
            await work(0)
            began = time.perf_counter()
            await work(0)
            found[name] = (time.perf_counter() - began) * 1000 - 10
        finally:
            os.kill(pid, signal.SIGCONT)
    return found


async def measure(port: int, pid: int, rounds: int) -> dict[str, float]:
    """All figures."""
    client = import_module("redis.asyncio").Redis(host="127.0.0.1", port=port)
    await client.set("raw", json.dumps(ROWS))

    async def get(_number: int) -> object:
        return json.loads(await client.get("raw"))

    others = make_candidates(port, sleeps_s=0, name="hits")
    for work in others.values():
        await asyncio.gather(*(work(number) for number in range(KEYS)))
    hits = await race({"raw GET": get, **others}, rounds)
    hung = await measure_hung(make_candidates(port, sleeps_s=0.01, name="hung"), pid)
    await client.aclose()
    names = {name: f"{name} {version(name)}" for name in others}
    return {
        **{f"{names[name]} / raw GET": hits[name] / hits["raw GET"] for name in others},
        **{f"{names[name]}, hung: 2nd call over, ms": hung[name] for name in others},
    }


if __name__ == "__main__":
    # Both log each call that Redis does not answer.
    logging.disable()
    print(json.dumps(asyncio.run(measure(*map(int, sys.argv[1:4])))))
