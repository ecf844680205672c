"""Devora over HTTP. The routes of its tables come from `assise.yaml`, and so do the rules.

`uvicorn --factory app:create_web` serves it, in the folder of a manifest whose tables are loaded.
"""

from typing import Any

from fastapi import FastAPI

from assise.app import App


def create_web(app: App | None = None) -> FastAPI:
    """The web application, on the manifest in this folder or another data layer."""
    data = app or App()
    web = FastAPI(title="Devora", lifespan=data.lifespan)
    web.include_router(data.router)
    data.add_problems(web)
    admin: Any = data.caller_session(role="admin", read_only=True)

    @web.get("/api/admin/dashboard", dependencies=[admin])
    async def show_dashboard() -> dict[str, Any]:
        found = await data.monitor.measure("dashboard", data.analytics.dashboard())
        return found.as_json()

    return web
