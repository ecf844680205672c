"""Devora over HTTP. The routes of its tables come from `assise.yaml`, and so do the rules.

`uvicorn --factory app:create_web` serves it, in the folder of a manifest whose tables are loaded.
"""

from typing import Any

from fastapi import FastAPI

from assise.app import App
from assise.postgres.pool import Session

COUNTS = """SELECT (SELECT count(*) FROM users) AS total_users,
    (SELECT count(*) FROM users WHERE created_at >= date_trunc('day', now())) AS new_users_today,
    (SELECT count(*) FROM projects WHERE deleted_at IS NULL) AS total_projects,
    (SELECT count(*) FROM projects WHERE created_at >= date_trunc('day', now())
        AND deleted_at IS NULL) AS projects_created_today,
    (SELECT count(*) FROM conversations) AS conversations,
    (SELECT count(*) FROM conversation_messages) AS messages"""


def create_web(app: App | None = None) -> FastAPI:
    """The web application, on the manifest in this folder or another data layer."""
    app = app or App()
    web = FastAPI(title="Devora", lifespan=app.lifespan)
    web.include_router(app.router)
    app.add_problems(web)
    admin: Any = app.caller_session(role="admin", read_only=True)

    @web.get("/api/admin/dashboard")
    async def show_dashboard(db: Session = admin) -> dict[str, dict[str, int]]:
        counts = await db.fetch_one(COUNTS) or {}
        users = {name: counts[name] for name in ("total_users", "new_users_today")}
        others = {name: count for name, count in counts.items() if name not in users}
        return {"user_metrics": users, "engagement_metrics": others}

    return web
