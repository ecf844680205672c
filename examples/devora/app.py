"""Devora's API of projects. Nothing here filters by user: the rules in `assise.yaml` do.

`uvicorn --factory app:create_web` serves it, in the folder of a manifest whose tables are loaded.
"""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from assise.app import App
from assise.errors import RefusedError, ViolationError
from assise.postgres.pool import Session

INSERT = "INSERT INTO projects (user_id, name, description) VALUES (%s, %s, %s) RETURNING id, name"
UPDATE = "UPDATE projects SET name = %s, description = %s WHERE id = %s RETURNING id, name"
Row = dict[str, Any]


class Project(BaseModel):
    """What a user may write of a project."""

    name: str = Field(min_length=1, max_length=200)
    description: str | None = None


def find_user(x_user: Annotated[UUID, Header()]) -> UUID:
    """Whose request it is. An application takes the user from a token that it has checked."""
    return x_user


def found(row: Row | None) -> Row:
    """The row, or 404: one of somebody else is not told from one that is not there."""
    if not row or row.get("projects") == 0:
        raise HTTPException(404, "no such project")
    return row


def create_web(app: App | None = None) -> FastAPI:
    """The web application, on the manifest in this folder or another data layer."""
    app = app or App()
    web = FastAPI(title="Devora", lifespan=app.lifespan)
    session: Any = app.user_session(find_user)

    @web.exception_handler(RefusedError)
    @web.exception_handler(ViolationError)
    async def refuse(_request: Request, _error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "the database refuses these values"}, 422)

    @web.get("/api/projects")
    async def list_projects(db: Session = session) -> list[Row]:
        return await db.fetch("SELECT id, name FROM projects ORDER BY created_at DESC LIMIT 20")

    @web.post("/api/projects", status_code=201)
    async def create(
        project: Project, user: Annotated[UUID, Depends(find_user)], db: Session = session
    ) -> Row:
        return found(await db.fetch_one(INSERT, [user, project.name, project.description]))

    @web.put("/api/projects/{key}")
    async def update(key: UUID, project: Project, db: Session = session) -> Row:
        return found(await db.fetch_one(UPDATE, [project.name, project.description, key]))

    @web.delete("/api/projects/{key}")
    async def delete(key: UUID, db: Session = session) -> Row:
        return found(await db.fetch_value("SELECT projects_delete(%s)", [key]))

    @web.post("/api/projects/{key}/restore")
    async def restore(key: UUID, db: Session = session) -> Row:
        return found(await db.fetch_value("SELECT projects_restore(%s)", [key]))

    return web
