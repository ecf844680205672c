"""Devora and Ismail on MongoDB: indexes, validators, the pool, and a user's projects over HTTP."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import jsonschema_rs
import jwt
import pytest
from bson import ObjectId
from pymongo.database import Database
from tests.cache.servers import run_server
from tests.servers.mongo import MongoServer

from assise.collections.validator import write_validator
from assise.manifest.read import load_manifest
from assise.manifest.sections.mongo_collections import COLLECTIONS
from assise.project import Project
from assise.redis.client import Client
from assise.redis.embedded import EmbeddedRedis

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "a secret of the tests that nobody else knows"
ANNA, BEN = ObjectId("507f1f77bcf86cd799430007"), ObjectId("507f1f77bcf86cd799430008")
Shop = Database[dict[str, Any]]


@pytest.fixture
def shop(mongo: MongoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """An empty database, which the examples find by MONGO_URL."""
    mongo.answer_truly()
    mongo.client.drop_database("devora")
    monkeypatch.setenv("MONGO_URL", f"{mongo.url}devora")
    monkeypatch.setenv("IDENTITY_SECRET", SECRET)
    yield mongo.client.devora
    mongo.answer_truly()
    mongo.client.drop_database("devora")


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """The server of Devora's cache."""
    with run_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def devora(redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module `cache` of the example, as uvicorn would import it, with an empty cache."""
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.syspath_prepend(EXAMPLES / "devora")
    yield import_module("cache")
    for name in ("cache", "mongo"):
        del sys.modules[name]
    asyncio.run(flush(redis_server.url))


async def flush(url: str) -> None:
    client = Client(url, timeout_s=5, size=1)
    await client.ask("FLUSHALL")
    await client.close()


def sign(user: object, **claims: object) -> dict[str, str]:
    facts = {"iss": "https://devora.example", "aud": "devora", "sub": str(user), **claims}
    token = jwt.encode({**facts, "exp": int(time.time()) + 600}, SECRET, algorithm="HS256")
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.contract
def test_devoras_indexes_are_built_and_accounts_stay(shop: Shop, devora: ModuleType) -> None:
    old = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    shop.users.insert_one({"email": "a@b.example", "last_login": old})
    optimizer = devora.mongo.MongoIndexOptimizer()
    done = optimizer.create_all_indexes()
    assert {each.state for each in done} == {"done", "needs --yes"}
    assert "last_login_1" not in shop.users.index_information()
    (left,) = optimizer.create_all_indexes(delete_accounts=True)
    assert left.state == "done"
    assert optimizer.create_all_indexes() == []
    assert not any(
        "redundant" in said for use in optimizer.find_unused_indexes() for said in use.says
    )


@pytest.mark.contract
def test_a_user_reads_pages_of_its_own_projects(shop: Shop, devora: ModuleType) -> None:
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    shop.projects.insert_many(
        {
            "user_id": ANNA if n % 3 else BEN,
            "name": f"p{n}",
            "updated_at": start + dt.timedelta(hours=n),
            "secret": "x",
        }
        for n in range(90)
    )

    async def ask() -> None:
        db = devora.MongoConnectionPool(max_pool_size=3).db
        transport = httpx.ASGITransport(app=devora.create_web(db))
        async with db, httpx.AsyncClient(transport=transport, base_url="http://devora") as client:
            path = f"/api/users/{ANNA}/projects"
            first = await client.get(path, headers=sign(ANNA))
            assert [each["name"] for each in first.json()][:3] == ["p89", "p88", "p86"]
            assert len(first.json()) == 20
            assert "secret" not in first.json()[0]
            second = await client.get(f"{path}?skip=58&limit=5", headers=sign(ANNA))
            assert [each["name"] for each in second.json()] == ["p2", "p1"]
            shop.projects.delete_many({})
            again = await client.get(path, headers=sign(ANNA))
            assert again.json() == first.json()
            assert (await client.get(path)).status_code == 403
            assert (await client.get(path, headers=sign(BEN))).status_code == 403
            admin = await client.get(f"{path}?skip=1", headers=sign(BEN, role="admin"))
            assert (admin.status_code, admin.json()) == (200, [])
            refused = await client.get(f"{path}?limit=5000", headers=sign(ANNA))
            assert refused.status_code == 422
            await db.mongo.insert("projects", [{"user_id": ANNA, "name": "new"}])
            newest = await client.get(path, headers=sign(ANNA))
            assert [each["name"] for each in newest.json()] == ["new"]
            stats = await devora.PerformanceMonitor.get_performance_stats(db, hours=1)
            assert stats.by_name["get_user_projects"].count == 5

    asyncio.run(ask())


@pytest.mark.contract
def test_devoras_other_queries_are_one_query_each(
    shop: Shop, devora: ModuleType, mongo: MongoServer
) -> None:
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    shop.users.insert_one({"_id": ANNA, "email": "a", "created_at": day, "hash": "x"})
    shop.projects.insert_many({"user_id": ANNA} for _ in range(3))
    shop.templates.insert_many({"_id": n, "usage_count": n} for n in range(12))

    async def ask() -> None:
        db, cache = await devora.initialize_database_optimizations()
        optimizer = devora.QueryOptimizer
        (anna,) = await optimizer.get_users_with_projects(db)
        assert len(anna["projects"]) == 3
        user: dict[str, object] = {"_id": ANNA, "email": "a"}
        popular = [{"_id": n, "usage_count": n} for n in range(11, 1, -1)]
        days = [{"_id": "2026-01-01", "count": 1}]
        for kept in (None, cache, cache):
            assert await optimizer.get_user(db, str(ANNA), kept) == user
            assert await optimizer.get_user(db, "nobody", kept) is None
            assert await optimizer.get_popular_templates(db, kept) == popular
            assert await optimizer.count_by_day(db, "users", kept) == days
        reply = {"ok": 1, "cursor": {"id": 0, "ns": "devora.templates", "firstBatch": popular[:1]}}
        mongo.answer("find", reply, "templates", times=1)
        for _ in range(2):
            assert await optimizer.search_templates(db, cache, "shop") == popular[:1]
        assert {name: each.hits for name, each in db.cache.counts.items()} == {
            "user_projects": 0,
            "popular_templates": 1,
            "search_results": 1,
            "user": 2,
            "count_by_day": 1,
        }
        await db.close()

    asyncio.run(ask())


@pytest.mark.contract
def test_devoras_cache_keeps_each_for_its_time(
    shop: Shop, devora: ModuleType, mongo: MongoServer
) -> None:
    shop.projects.insert_one({"_id": 1, "user_id": ANNA})
    reply = {"ok": 1, "cursor": {"id": 0, "ns": "devora.templates", "firstBatch": []}}
    mongo.answer("find", reply, "templates")

    async def ask() -> dict[str, int]:
        db, cache = await devora.initialize_database_optimizations()
        assert await cache.set("plan", {"seats": 5})
        assert await cache.get("plan") == {"seats": 5}

        cached: Callable[[object], Callable[..., Awaitable[object]]] = cache.cached("invoices")

        @cached
        async def list_invoices(user: int) -> list[dict[str, object]]:
            return [{"_id": ObjectId(), "user": user}]

        first = await list_invoices(7)
        assert await list_invoices(user=7) == first
        await devora.QueryOptimizer.get_user_projects_optimized(db, cache, user_id=str(ANNA))
        await devora.QueryOptimizer.get_popular_templates(db, cache)
        await devora.QueryOptimizer.search_templates(db, cache, "shop")
        client = db.redis.client("cache")
        keys = await client.ask("KEYS", "devora:*")
        kept = {}
        for key in keys:
            name = key.decode().split(":")[1]
            kept[name] = round(await client.ask("PTTL", key) / 1000)
        assert await cache.invalidate_pattern(f"user_projects:{ANNA}:*") == 1
        await cache.delete("plan")
        assert await cache.get("plan") is None
        await db.close()
        return kept

    kept = asyncio.run(ask())
    expected = {"user_projects": 300, "invoices": 300, "plan": 300}
    expected |= {"popular_templates": 1_800, "search_results": 60}
    for name, ttl_s in expected.items():
        assert ttl_s / 2 < kept[name] <= ttl_s, name


TYPES = {"objectId": "string", "bool": "boolean", "int": "integer", "decimal": "number"}
TYPES |= {"double": "number", "string": "string", "object": "object", "array": "array"}


def as_json_schema(schema: object) -> object:
    """A validator in the words of JSON Schema, for documents that JSON can hold."""
    if isinstance(schema, list):
        return [as_json_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: as_json_schema(inner) for name, inner in schema.items() if name != "bsonType"}
    kind = schema.get("bsonType")
    return {**found, "type": TYPES.get(str(kind), kind)} if kind else found


GOOD: dict[str, dict[str, Any]] = {
    "user_profiles": {
        "userId": "u", "avatar": {"url": "a"}, "location": {"type": "Point", "coordinates": [2.3, 48.8]},
        "preferences": {"language": "fr", "currency": "EUR", "notifications": {}},
        "documents": [{"type": "id", "url": "d", "verificationStatus": "PENDING"}],
    },
    "products": {
        "merchantId": "m", "name": "Lampe", "price": 19.9, "stock": {"quantity": 3}, "variants": [],
        "images": [{"url": "i", "position": 0}], "rating": {"average": 4.5, "count": 2},
    },
    "reviews": {"authorId": "a", "targetId": "t", "targetType": "PRODUCT", "rating": 5},
    "notifications": {
        "userId": "u", "type": "x", "title": "t", "channels": ["PUSH", "SMS"], "status": "SENT"
    },
}  # fmt: skip
BAD: dict[str, list[dict[str, Any]]] = {
    "user_profiles": [
        {"userId": 7}, {"location": {"type": "Point", "coordinates": [1]}}, {"location": [2, 48]},
        {"preferences": {"currency": "euro"}}, {"documents": [{"type": "id"}]},
        {"documents": [{"type": "id", "url": "d", "verificationStatus": "?"}]},
    ],
    "products": [
        {"price": -1}, {"price": "19.90"}, {"name": ""}, {"stock": {"quantity": 1.5}},
        {"rating": {"average": 5.1}}, {"images": [{"alt": "a"}]}, {"variants": {}},
    ],
    "reviews": [{"rating": 0}, {"rating": 6}, {"targetType": "SHOP"}, {"isVerifiedPurchase": "yes"}],
    "notifications": [{"channels": []}, {"channels": ["FAX"]}, {"status": "LOST"}, {"title": 3}],
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_ismails_validators_take_what_they_should(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MONGO_URL", "mongodb://h/ismail")
    manifest = load_manifest(EXAMPLES / "ismail" / "validators.yaml")
    rules = (COLLECTIONS.of(manifest) or {})[name]
    schema = as_json_schema(write_validator(rules, name, manifest)["$jsonSchema"])
    assert isinstance(schema, dict)
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid(GOOD[name])
    for change in BAD[name]:
        assert not validator.is_valid({**GOOD[name], **change}), change
    for required in [
        path for path, rule in rules.fields.items() if rule.required and "." not in path
    ]:
        assert not validator.is_valid({k: v for k, v in GOOD[name].items() if k != required})


@pytest.mark.contract
def test_ismails_collections_are_made(shop: Shop) -> None:
    mongo = Project(EXAMPLES / "ismail" / "validators.yaml").mongo
    done = mongo.ensure(confirm=lambda _question: True)
    assert {each.state for each in done} == {"done"}
    assert len(shop.list_collection_names()) == 6
    assert "location_2dsphere" in shop.user_profiles.index_information()
