"""A running MongoDB is loaded and verified while applications write to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from tests.servers.mongo import MongoServer

from assise.project import Project

pytestmark = pytest.mark.contract

Shop = Database[dict[str, Any]]
Query = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def shop(mongo: MongoServer) -> Iterator[Shop]:
    """A database of the server, empty before and gone afterwards."""
    mongo.answer_truly()
    mongo.client.drop_database("shop")
    yield mongo.client.shop
    mongo.answer_truly()
    mongo.client.drop_database("shop")


def agree(_question: str) -> bool:
    """Agree to what is shown."""
    return True


def fill(shop: Shop, count: int = 300) -> list[dict[str, Any]]:
    users = [
        {"_id": ObjectId(), "name": f"user {n}", "n": n, "tags": ["a", n], "in": {"x": n, "y": 2.5}}
        for n in range(count)
    ]
    shop.users.insert_many(users)
    return users


@pytest.fixture
def url(mongo: MongoServer) -> str:
    """The URL of the database."""
    return f"{mongo.url}shop"


def test_a_database_is_moved_and_verified(project: Project, shop: Shop, url: str) -> None:
    fill(shop)
    report = project.migrate(url, confirm=agree)
    assert (report.documents, report.loaded, report.rejected) == (300, 300, 0)
    assert report.verified is not None
    assert (report.verified.equal, report.exit_code) == (300, 0)
    assert report.source == url
    assert report.collections[0].bytes > 300 * 50
