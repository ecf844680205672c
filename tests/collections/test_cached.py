"""What is cached of MongoDB is never older than what was written by the application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pymongo.database import Database
from tests.cache.servers import run_server
from tests.servers.mongo import MongoServer

from assise.app import App
from assise.redis.embedded import EmbeddedRedis

pytestmark = pytest.mark.contract

Shop = Database[dict[str, Any]]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with run_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def app(tmp_path: Path, mongo: MongoServer, redis: EmbeddedRedis, database: str) -> App:
    (tmp_path / "assise.yaml").write_text(
        f'assise: 1\nname: shop\nmongo: "{mongo.url}shop"\n'
        f'redis: {{cache: "{redis.url}", data: "{redis.url}", prefix: {tmp_path.name[-40:]}}}\nroles: none\ntables: {{}}\n'
    )
    with (
        psycopg.connect(database, autocommit=True) as connection,
        suppress(psycopg.errors.DuplicateObject),
    ):
        connection.execute("CREATE ROLE of_nobody LOGIN")
    conninfo = make_conninfo(database, user="of_nobody")
    return App(tmp_path, urls={"app": conninfo}, settings={"cache.timeout_ms": 30_000})


Use = Callable[[Callable[[str], Awaitable[int]]], Awaitable[None]]


def run(app: App, use: Use) -> None:
    """Use a cached function that reads the age of a user."""

    @app.cache("ages", ttl="1 hour", tags=["mongo:users:{user}"])
    async def find_age(user: str) -> int:
        found = await app.mongo["users"].find_one({"_id": user})
        return int(found["age"]) if found else 0

    async def call() -> None:
        async with app:
            await use(find_age)

    asyncio.run(call())


def test_a_write_by_id_invalidates_what_is_tagged_with_it(app: App, shop: Shop) -> None:
    shop.users.insert_many([{"_id": "anna", "age": 20}, {"_id": "ben", "age": 30}])

    async def use(find_age: Callable[[str], Awaitable[int]]) -> None:
        assert [await find_age("anna"), await find_age("ben")] == [20, 30]
        shop.users.update_many({}, {"$inc": {"age": 50}})  # past the application
        assert [await find_age("anna"), await find_age("ben")] == [20, 30]
        await app.mongo.update("users", {"_id": "anna"}, {"$inc": {"age": 1}})
        assert [await find_age("anna"), await find_age("ben")] == [71, 30]
        await app.mongo.delete("users", {"_id": {"$in": ["anna", "ben"]}})
        assert [await find_age("anna"), await find_age("ben")] == [0, 0]
        await app.mongo.insert("users", [{"_id": "anna", "age": 5}])
        assert await find_age("anna") == 5

    run(app, use)


def test_a_transaction_that_is_rolled_back_keeps_no_old_value(app: App, shop: Shop) -> None:
    shop.users.insert_one({"_id": "anna", "age": 20})

    async def use(find_age: Callable[[str], Awaitable[int]]) -> None:
        assert await find_age("anna") == 20
        with suppress(ZeroDivisionError):
            async with app.session():
                await app.mongo.update("users", {"_id": "anna"}, {"$set": {"age": 21}})
                raise ZeroDivisionError
        assert await find_age("anna") == 21

    run(app, use)


def test_every_write_invalidates_the_tag_of_its_collection(app: App, shop: Shop) -> None:
    del shop

    @app.cache("counts", ttl="1 hour", tags=["mongo:users"])
    async def count() -> int:
        return await app.mongo["users"].count_documents({})

    async def use() -> None:
        async with app:
            assert await count() == 0
            await app.mongo.insert("users", [{"_id": {"odd": "id"}}, {"_id": "{brace}"}])
            assert await count() == 2
            await app.mongo.delete("users", {"_id": "{brace}"})
            assert await count() == 1
            await app.mongo.delete("users", {"any": None})
            assert await count() == 0

    asyncio.run(use())
