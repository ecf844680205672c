"""Health: each database with its state, and whether the process lives."""

from __future__ import annotations

import asyncio
from time import perf_counter

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from assise import __version__
from assise.app import App
from assise.errors import AssiseError
from assise.manifest.sections.identity import IDENTITY, SUPABASE
from assise.manifest.sections.servers import MAIN as SERVER

WAIT_S = 3.0
MAIN = "postgresql"
"""What health calls the server `main`."""


async def check_databases(app: App) -> dict[str, dict[str, object]]:
    """The state of each database, by name; with its milliseconds where it answers.

    A server that is read by its REST interface alone has no connection to look at.
    """
    others = app.manifest.postgres.others
    connected = [name for name, server in others.items() if server.is_connected]
    names = [_name(app, name) for name in connected]
    found = await asyncio.gather(*(_check(app, name) for name in (SERVER, *connected)))
    return dict(zip([MAIN, *names], found, strict=True))


def _name(app: App, server: str) -> str:
    """What health calls a server: the one of Supabase's users by that name."""
    identity = IDENTITY.of(app.manifest)
    is_supabase = server == "auth" and identity is not None and identity.is_supabase
    return SUPABASE if is_supabase else server


async def _check(app: App, server: str) -> dict[str, object]:
    begun = perf_counter()
    try:
        async with asyncio.timeout(WAIT_S), app.session(read_only=True, on=server) as session:
            await session.fetch_value("SELECT 1")
    except (AssiseError, TimeoutError):
        return {"status": "unhealthy"}
    return {"status": "healthy", "ms": round((perf_counter() - begun) * 1000, 1)}


async def read_health(app: App) -> Response:
    """503 where the server `main` is down; degraded where another one is."""
    databases = await check_databases(app)
    is_up = databases[MAIN]["status"] == "healthy"
    are_up = all(each["status"] == "healthy" for each in databases.values())
    status = "healthy" if are_up else "degraded" if is_up else "unhealthy"
    body = {"status": status, "databases": databases, "version": __version__}
    return JSONResponse(body, 200 if is_up else 503, {"Cache-Control": "no-store"})


async def read_live(_request: Request) -> Response:
    """The process lives, whatever its databases do."""
    return JSONResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})
