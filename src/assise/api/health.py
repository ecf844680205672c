"""Health: each database with its state, and whether the process lives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic, perf_counter

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from assise import __version__
from assise.app import App
from assise.errors import AssiseError
from assise.manifest.sections.identity import IDENTITY
from assise.manifest.sections.servers import MAIN

WAIT_S = 3.0
KEPT_S = 1.0
"""How long the state of the databases is told without asking them again."""

LIVE = "/health/live"
SHOWN_MAIN = "postgresql"
"""What health calls the server `main`."""


async def check_databases(app: App) -> dict[str, dict[str, object]]:
    """The state of each database, by name; with its milliseconds where it answers."""
    servers = (MAIN, *app.manifest.postgres.others)
    found = await asyncio.gather(*(_check(app, server) for server in servers))
    return dict(zip([name_server(app, each) for each in servers], found, strict=True))


def name_server(app: App, server: str) -> str:
    """What health calls a server: `auth` is Supabase's where users sign in."""
    is_known = IDENTITY.of(app.manifest) is not None
    return {MAIN: SHOWN_MAIN, "auth": "supabase" if is_known else "auth"}.get(server, server)


async def _check(app: App, server: str) -> dict[str, object]:
    begun = perf_counter()
    try:
        async with asyncio.timeout(WAIT_S):
            is_up = await app.is_up(server)
    except (AssiseError, TimeoutError):
        is_up = False
    if not is_up:
        return {"status": "unhealthy"}
    return {"status": "healthy", "ms": round((perf_counter() - begun) * 1000, 1)}


@dataclass
class Health:
    """The state of the databases; those who ask at the same time wait for one answer."""

    app: App
    _asked_at: float = 0.0
    _asking: asyncio.Task[dict[str, dict[str, object]]] | None = None

    async def read(self, _request: Request) -> Response:
        """503 where the server `main` is down; degraded where another one is."""
        is_running = self._asking is not None and not self._asking.done()
        if self._asking is None or (not is_running and monotonic() - self._asked_at >= KEPT_S):
            self._asked_at = monotonic()
            self._asking = asyncio.create_task(check_databases(self.app))
        return _answer(await asyncio.shield(self._asking))


def _answer(databases: Mapping[str, Mapping[str, object]]) -> Response:
    is_up = databases[SHOWN_MAIN]["status"] == "healthy"
    are_up = all(each["status"] == "healthy" for each in databases.values())
    status = "healthy" if are_up else "degraded" if is_up else "unhealthy"
    body = {"status": status, "databases": databases, "version": __version__}
    return JSONResponse(body, 200 if is_up else 503, {"Cache-Control": "no-store"})


async def read_live(_request: Request) -> Response:
    """The process lives, whatever its databases do."""
    return JSONResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})
