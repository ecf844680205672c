"""Devora and Ismail on MongoDB: indexes, validators, the pool, and a user's projects over HTTP."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
import time
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import jsonschema_rs
import jwt
import pytest
from bson import ObjectId
from pymongo.database import Database
from tests.servers.mongo import MongoServer

from assise.collections.validator import write_validator
from assise.manifest.read import load_manifest
from assise.manifest.sections.mongo_collections import COLLECTIONS
from assise.project import Project

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


@pytest.fixture
def devora(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example, as uvicorn would import it."""
    spec = spec_from_file_location("devora_mongo", EXAMPLES / "devora" / "mongo.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "devora_mongo", module)
    spec.loader.exec_module(module)
    return module


def sign(user: object, **claims: object) -> dict[str, str]:
    facts = {"iss": "https://devora.example", "aud": "devora", "sub": str(user), **claims}
    token = jwt.encode({**facts, "exp": int(time.time()) + 600}, SECRET, algorithm="HS256")
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.contract
def test_devoras_indexes_are_built_and_accounts_stay(shop: Shop, devora: ModuleType) -> None:
    old = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    shop.users.insert_one({"email": "a@b.example", "last_login": old})
    optimizer = devora.MongoIndexOptimizer()
    done = optimizer.create_all_indexes()
    assert {each.state for each in done} == {"done", "needs --yes"}
    assert "last_login_1" not in shop.users.index_information()
    (left,) = optimizer.create_all_indexes(delete_accounts=True)
    assert left.state == "done"
    assert optimizer.create_all_indexes() == []
    assert not any(
        "redundant" in said for use in optimizer.find_unused_indexes() for said in use.says
    )


class Kept(dict[str, str]):
    """A cache in memory that knows how long it was to keep."""

    async def get(self, key: str) -> str | None:  # type: ignore[override]
        return super().get(key)

    async def set(self, key: str, value: str, *, ttl: str) -> None:
        assert ttl == "300 seconds"
        self[key] = value


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
    cache = Kept()

    async def ask() -> None:
        web = devora.create_web(pool := devora.MongoConnectionPool(max_pool_size=3), cache)
        transport = httpx.ASGITransport(app=web)
        async with httpx.AsyncClient(transport=transport, base_url="http://devora") as client:
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
        await pool.close()

    asyncio.run(ask())


@pytest.mark.contract
def test_devoras_other_queries_are_one_query_each(shop: Shop, devora: ModuleType) -> None:
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    shop.users.insert_one({"_id": ANNA, "email": "a", "created_at": day, "hash": "x"})
    shop.projects.insert_many({"user_id": ANNA} for _ in range(3))
    shop.templates.insert_many({"_id": n, "usage_count": n} for n in range(12))

    async def ask() -> None:
        pool, _ = await devora.initialize_database_optimizations()
        optimizer = devora.QueryOptimizer
        assert await optimizer.get_user(pool.db, str(ANNA)) == {"_id": ANNA, "email": "a"}
        assert await optimizer.get_user(pool.db, "nobody") is None
        (anna,) = await optimizer.get_users_with_projects(pool.db)
        assert len(anna["projects"]) == 3
        popular = await optimizer.get_popular_templates(pool.db)
        assert [each["_id"] for each in popular] == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]
        days = await optimizer.count_by_day(pool.db, "users")
        assert days == [{"_id": "2026-01-01", "count": 1}]
        await pool.close()

    asyncio.run(ask())


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
