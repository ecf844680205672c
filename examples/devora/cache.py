"""Devora's cache, its queries behind it, and its monitor, under the names of its own code.

`uvicorn --factory cache:create_web` serves it, in the folder of `mongo.yaml`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from bson import json_util
from fastapi import FastAPI, Header, Query

import mongo
from assise.app import App
from assise.errors import ForbiddenError
from assise.monitor.verbs import PerformanceStats
from mongo import MANIFEST, Documents, MongoConnectionPool

P = ParamSpec("P")
T = TypeVar("T")
Load = Callable[P, Awaitable[Documents]]

USER_PROJECTS_S, POPULAR_TEMPLATES_S, SEARCH_S = 300, 1_800, 60
DEFAULT_S = 300
_IN_UTC = json_util.JSONOptions(tz_aware=True)


class RedisCache:
    """What is cached: functions that give documents, and values by key.

    What `db.mongo` inserts, updates or deletes invalidates the tag of its collection, so values
    that have it are never older than a write that has returned.
    """

    def __init__(self, db: App) -> None:
        self.db = db

        @self.cached("user_projects", USER_PROJECTS_S, ["mongo:projects", "projects:{user_id}"])
        async def user_projects(user_id: str, *, skip: int, limit: int) -> Documents:
            return await mongo.find_user_projects(db, user_id, skip=skip, limit=limit)

        @self.cached("popular_templates", POPULAR_TEMPLATES_S, ["mongo:templates"])
        async def popular_templates(limit: int) -> Documents:
            return await mongo.find_popular_templates(db, limit)

        @self.cached("search_results", SEARCH_S, ["mongo:templates"])
        async def search_results(text: str, limit: int) -> Documents:
            return await mongo.search_templates(db, text, limit)

        @self.cached("user", DEFAULT_S, ["mongo:users"])
        async def user(user_id: str) -> Documents:
            return await mongo.find_user(db, user_id)

        @self.cached("count_by_day", DEFAULT_S)
        async def count_by_day(collection: str) -> Documents:
            return await mongo.count_by_day(db, collection)

        self.user_projects, self.popular_templates = user_projects, popular_templates
        self.search_results, self.user, self.count_by_day = search_results, user, count_by_day

    def cached(
        self, prefix: str, ttl: int = DEFAULT_S, tags: Sequence[str] = ()
    ) -> Callable[[Load[P]], Load[P]]:
        """Cache a function that gives documents, which are kept as Extended JSON."""

        def decorate(load: Load[P]) -> Load[P]:
            @wraps(load)
            async def write(*args: P.args, **kwargs: P.kwargs) -> str:
                return json_util.dumps(await load(*args, **kwargs))

            write.__annotations__ = {**load.__annotations__, "return": str}
            read = self.db.cache(prefix, ttl=ttl, tags=tags)(write)

            @wraps(load)
            async def call(*args: P.args, **kwargs: P.kwargs) -> Documents:
                found = json_util.loads(await read(*args, **kwargs), json_options=_IN_UTC)
                return cast("Documents", found)

            return call

        return decorate

    async def get(self, key: str) -> Any:  # noqa: ANN401 - whatever was set
        """The value at a key; None where there is none."""
        return await self.db.cache.get(key)

    async def set(self, key: str, value: object, ttl: int = DEFAULT_S) -> bool:
        """Set the value at a key; False where Redis is away."""
        return await self.db.cache.set(key, value, ttl=ttl)

    async def delete(self, *keys: str) -> None:
        """Delete values."""
        await self.db.cache.delete(*keys)

    async def invalidate_pattern(self, pattern: str) -> int:
        """Delete the values whose keys fit, as `user_projects:USER:*`; how many."""
        return await self.db.cache.invalidate_pattern(pattern)


class QueryOptimizer:
    """Devora's queries: pages, few fields, joins, and the cache in front where there is one."""

    @staticmethod
    async def get_user_projects_optimized(
        db: App, cache: RedisCache | None, user_id: str, *, limit: int = 20, skip: int = 0
    ) -> Documents:
        """One page of a user's projects, the newest first; cached for 300 seconds."""
        if cache is None:
            return await mongo.find_user_projects(db, user_id, skip=skip, limit=limit)
        return await cache.user_projects(user_id, skip=skip, limit=limit)

    @staticmethod
    async def get_popular_templates(
        db: App, cache: RedisCache | None = None, limit: int = 10
    ) -> Documents:
        """The templates that are used most; cached for 1,800 seconds."""
        if cache is None:
            return await mongo.find_popular_templates(db, limit)
        return await cache.popular_templates(limit)

    @staticmethod
    async def search_templates(
        db: App, cache: RedisCache | None, text: str, limit: int = 20
    ) -> Documents:
        """The templates with these words; cached for 60 seconds."""
        if cache is None:
            return await mongo.search_templates(db, text, limit)
        return await cache.search_results(text, limit)

    @staticmethod
    async def get_user(
        db: App, user_id: str, cache: RedisCache | None = None
    ) -> dict[str, Any] | None:
        """A user with the few fields that most pages show; cached for 300 seconds."""
        found = await (mongo.find_user(db, user_id) if cache is None else cache.user(user_id))
        return found[0] if found else None

    @staticmethod
    async def get_users_with_projects(db: App, limit: int = 20) -> Documents:
        """Users with their projects, by one query in place of one for each user."""
        return await mongo.find_users_with_projects(db, limit)

    @staticmethod
    async def count_by_day(db: App, collection: str, cache: RedisCache | None = None) -> Documents:
        """How many documents were made on each day; cached for 300 seconds."""
        if cache is None:
            return await mongo.count_by_day(db, collection)
        return await cache.count_by_day(collection)


class PerformanceMonitor:
    """How long queries take, of all processes."""

    @staticmethod
    async def measure_query_time(
        db: App, query_name: str, query_func: Callable[[], Awaitable[T]]
    ) -> T:
        """What a query gives, and note its time: over 500 ms is a warning, over 1,000 an alert."""
        return await db.monitor.measure(query_name, query_func())

    @staticmethod
    async def get_performance_stats(db: App, hours: int = 24) -> PerformanceStats:
        """What was measured in the last hours, by name."""
        return await db.monitor.get_performance_stats(hours)


async def initialize_database_optimizations(
    manifest: Path = MANIFEST,
) -> tuple[App, RedisCache]:
    """The data layer, its pool compared with what MongoDB takes, and the cache.

    MONGO_URL and REDIS_URL name the servers.
    """
    db = MongoConnectionPool(manifest).db
    await db.mongo.check()
    return db, RedisCache(db)


def create_web(db: App | None = None) -> FastAPI:
    """The web application: a user reads its own projects, an administrator those of all."""
    app = db or MongoConnectionPool().db
    cache = RedisCache(app)
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
        found = await PerformanceMonitor.measure_query_time(
            app,
            "get_user_projects",
            lambda: QueryOptimizer.get_user_projects_optimized(
                app, cache, user_id, limit=limit, skip=skip
            ),
        )
        return [{**each, "_id": str(each["_id"]), "user_id": user_id} for each in found]

    return web
