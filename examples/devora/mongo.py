"""Devora on MongoDB, under the names that its own code has for what Assise does.

`uvicorn --factory mongo:create_web` serves it, in the folder of `mongo.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bson import ObjectId, json_util
from fastapi import FastAPI, Header, Query

from assise.app import App
from assise.collections.ensure import Difference
from assise.collections.explain import ExplainedQuery
from assise.collections.usage import IndexUse
from assise.errors import ForbiddenError
from assise.mongo.application import AppMongo
from assise.project import Project

MANIFEST = Path(__file__).parent / "mongo.yaml"
PROJECT_FIELDS = ("name", "description", "type", "user_id", "created_at", "updated_at")
USER_FIELDS = ("email", "username", "subscription_status")
_IN_UTC = json_util.JSONOptions(tz_aware=True)
Documents = list[dict[str, Any]]


class Cache(Protocol):
    """What `app.cache` gives, and every cache that has these two."""

    async def get(self, key: str) -> Any:  # noqa: ANN401 - whatever was set
        """The value at a key; None where there is none."""

    async def set(self, key: str, value: object, *, ttl: str) -> object:
        """Set the value at a key for a time."""


class MongoConnectionPool:
    """The pool of the manifest: at most 100 connections, 10 kept, 45 s idle, 5 s of waiting."""

    def __init__(self, manifest: Path = MANIFEST, **settings: int) -> None:
        named = {f"mongo.{name}": value for name, value in settings.items()}
        self.app = App(manifest, settings=named)

    @property
    def db(self) -> AppMongo:
        """The database."""
        return self.app.mongo

    async def close(self) -> None:
        """Close all connections."""
        await self.app.close()


class MongoIndexOptimizer:
    """The indexes of `mongo.yaml`, built and looked after."""

    def __init__(self, manifest: Path = MANIFEST) -> None:
        self.verbs = Project(manifest).mongo

    def create_all_indexes(self, *, delete_accounts: bool = False) -> list[Difference]:
        """Build what is missing; accounts are deleted by `last_login` only when told so."""
        return self.verbs.ensure(yes=delete_accounts, confirm=lambda _question: True)

    def find_unused_indexes(self) -> list[IndexUse]:
        """The indexes that no member has used, that another one replaces, or that are hidden."""
        return [use for use in self.verbs.indexes().indexes if use.says]

    def explain(self, collection: str, query: Mapping[str, object]) -> ExplainedQuery:
        """How a query is answered: IXSCAN or COLLSCAN, and in how many milliseconds."""
        return self.verbs.explain(collection, query)


class QueryOptimizer:
    """Devora's queries: pages, few fields, joins, and a cache in front where there is one."""

    @staticmethod
    async def get_user_projects_optimized(
        db: AppMongo, cache: Cache | None, user_id: str, *, limit: int = 20, skip: int = 0
    ) -> Documents:
        """One page of a user's projects, the newest first; cached for 300 seconds."""
        key = f"user_projects:{user_id}:{skip}:{limit}"
        if cache is not None and (kept := await cache.get(key)):
            return list(json_util.loads(kept, json_options=_IN_UTC))
        page = await db.page(
            "projects",
            {"user_id": read_id(user_id)},
            sort=["-updated_at", "-_id"],
            skip=skip,
            limit=limit,
            fields=PROJECT_FIELDS,
        )
        if cache is not None:
            await cache.set(key, json_util.dumps(page.items), ttl="300 seconds")
        return page.items

    @staticmethod
    async def get_user(db: AppMongo, user_id: str) -> dict[str, Any] | None:
        """A user with the few fields that most pages show."""
        found = await db.page("users", {"_id": read_id(user_id)}, limit=1, fields=USER_FIELDS)
        return found.items[0] if found.items else None

    @staticmethod
    async def get_users_with_projects(db: AppMongo, limit: int = 20) -> Documents:
        """Users with their projects, by one query in place of one for each user."""
        by = ("_id", "user_id")
        return (await db.lookup("users", {}, join="projects", by=by, limit=limit)).items

    @staticmethod
    async def get_popular_templates(db: AppMongo, limit: int = 10) -> Documents:
        """The templates that are used most."""
        return (await db.page("templates", {}, sort="-usage_count", limit=limit)).items

    @staticmethod
    async def count_by_day(db: AppMongo, collection: str) -> Documents:
        """How many documents were made on each day."""
        day = {"$dateToString": {"format": "%Y-%m-%d", "date": "$created_at"}}
        pipeline: Sequence[Mapping[str, Any]] = [
            {"$group": {"_id": day, "count": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        ]
        return await (await db[collection].aggregate(pipeline)).to_list()


async def initialize_database_optimizations(
    cache: Cache | None = None, manifest: Path = MANIFEST
) -> tuple[MongoConnectionPool, Cache | None]:
    """The pool, compared with what the server takes, and the cache."""
    pool = MongoConnectionPool(manifest)
    await pool.db.check()
    return pool, cache


def read_id(text: str) -> object:
    """An id as URLs have it: an ObjectId by its 24 digits, or the text itself."""
    return ObjectId(text) if ObjectId.is_valid(text) else text


def create_web(pool: MongoConnectionPool | None = None, cache: Cache | None = None) -> FastAPI:
    """The web application: a user reads its own projects, an administrator those of all."""
    pool = pool or MongoConnectionPool()
    app = pool.app
    web = FastAPI(title="Devora", lifespan=app.lifespan)
    app.add_problems(web)

    @web.get("/api/users/{user_id}/projects")
    async def list_projects(
        user_id: str,
        skip: int = Query(0, ge=0),
        limit: int = Query(20, ge=1, le=100),
        authorization: str | None = Header(None),
    ) -> Documents:
        caller = await app.callers.find(authorization)
        if user_id != caller.user_id and "admin" not in caller.roles:
            raise ForbiddenError("these are projects of somebody else")
        find = QueryOptimizer.get_user_projects_optimized
        found = await find(pool.db, cache, user_id, limit=limit, skip=skip)
        return [{**each, "_id": str(each["_id"]), "user_id": user_id} for each in found]

    return web
