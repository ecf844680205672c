"""Intelia's API: conversations from one server, their users from another.

`uvicorn --factory app:create_web` serves it, in the folder of the manifest.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from psycopg.types.json import Jsonb
from pydantic import AwareDatetime, BaseModel, Field, JsonValue

from assise.app import App
from assise.errors import TargetError
from assise.identity.callers import check_role
from assise.postgres.pool import Session

INSERT = """INSERT INTO conversations
    (conversation_id, question, response, user_id, timestamp, source, metadata)
    VALUES (%s, %s, %s, %s, %s, %s, %s)"""
TOP_USERS = """SELECT user_id, count(*) AS question_count FROM conversations
    WHERE status = 'active' GROUP BY user_id ORDER BY question_count DESC, user_id LIMIT 10"""
PROFILE = ["email", "first_name", "last_name", "plan"]
DATABASES = {"postgresql": "main", "supabase": "auth"}
PATIENCE_S = 2.0

Json = dict[str, Any]
_opened: dict[str, App] = {}


def init_all_databases(app: App | None = None) -> App:
    """The data layer of both servers; each connects when it is needed first."""
    return _opened.setdefault("app", app or App())


async def close_all_databases() -> None:
    """Close all connections."""
    await _opened.pop("app").close()


async def get_user_from_supabase(user_id: UUID) -> Json:
    """The profile of a user, as it may see itself; of one whom Supabase does not know, its id."""
    loader = _opened["app"].loader(user_id=user_id)
    found = await loader.merge(
        [{"id": user_id}], key="id", into="user", table="users", columns=PROFILE
    )
    return dict(found.rows[0]["user"])


class Conversation(BaseModel):
    """A question and its answer, as the chat sends them."""

    conversation_id: UUID
    question: str = Field(min_length=1, max_length=20_000, pattern=r"^[^\x00]*$")
    response: str = Field(max_length=200_000, pattern=r"^[^\x00]*$")
    user_id: UUID
    timestamp: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    source: str = Field(default="llm_streaming_agent", max_length=100, pattern=r"^[^\x00]*$")
    metadata: dict[str, JsonValue] = {}


async def is_healthy(app: App, server: str) -> bool:
    """Whether a server answers a query in time."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await app.is_up(server)
    except (TargetError, TimeoutError):
        return False


def create_web(app: App | None = None) -> FastAPI:
    """The web application, on the manifest in this folder or another data layer."""
    data = init_all_databases(app)

    @asynccontextmanager
    async def lifespan(_web: FastAPI) -> AsyncIterator[None]:
        yield
        await close_all_databases()

    async def find_user(request: Request) -> str:
        """Whose request it is: always the id in the token, never an e-mail."""
        caller = await data.callers.find(request.headers.get("authorization"))
        check_role(caller, "app")
        return str(caller.user_id)

    web = FastAPI(title="Intelia", lifespan=lifespan)
    data.add_problems(web)
    session: Any = data.user_session(find_user)
    admin: Any = data.caller_session(role="admin", read_only=True)

    @web.post("/api/v1/conversations/save")
    async def save(
        sent: Conversation, user: Annotated[str, Depends(find_user)], db: Session = session
    ) -> Json:
        if str(sent.user_id) != user:
            raise HTTPException(403, "user_id is not the user of the token")
        values = sent.model_dump()
        await db.execute(INSERT, [*list(values.values())[:-1], Jsonb(values["metadata"])])
        return {"status": "success", "conversation_id": sent.conversation_id}

    @web.get("/api/v1/stats-fast/dashboard")
    async def show_dashboard(db: Session = admin) -> Json:
        merged = await data.merge(
            await db.fetch(TOP_USERS),
            key="user_id",
            into="user",
            table="users",
            columns=PROFILE,
            role="admin",
            if_down="partial",
        )
        top = [{**row["user"], "question_count": row["question_count"]} for row in merged.rows]
        return {"billing_stats": {"top_users": top, "partial": merged.partial}}

    @web.get("/api/v1/stats-fast/health")
    async def show_health(response: Response) -> Json:
        checks = [is_healthy(data, server) for server in DATABASES.values()]
        found = dict(zip(DATABASES, await asyncio.gather(*checks), strict=True))
        words = {True: "healthy", False: "unhealthy"}
        if not found["postgresql"]:
            response.status_code = 503
        whole = "degraded" if found["postgresql"] else "unhealthy"
        return {
            "status": "healthy" if all(found.values()) else whole,
            "databases": {name: {"status": words[each]} for name, each in found.items()},
        }

    return web
