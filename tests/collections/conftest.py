"""The database that these tests write to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo.database import Database
from tests.servers.mongo import MongoServer


@pytest.fixture
def shop(mongo: MongoServer) -> Iterator[Database[dict[str, Any]]]:
    """A database of the server, empty before and gone afterwards."""
    mongo.answer_truly()
    mongo.client.drop_database("shop")
    yield mongo.client.shop
    mongo.answer_truly()
    mongo.client.drop_database("shop")
