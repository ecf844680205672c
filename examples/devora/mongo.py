"""Devora on MongoDB, under the names that its own code has for what Assise does.

`cache.py` has what is in front of it: a cache, a monitor, and the web application.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bson import ObjectId

from assise.app import App
from assise.collections.ensure import CollectionDifference
from assise.collections.explain import ExplainedQuery
from assise.collections.usage import IndexUse
from assise.project import Project

MANIFEST = Path(__file__).parent / "mongo.yaml"
PROJECT_FIELDS = ("name", "description", "type", "user_id", "created_at", "updated_at")
TEMPLATE_FIELDS = ("name", "description", "category", "tags", "usage_count")
USER_FIELDS = ("email", "username", "subscription_status")
Documents = list[dict[str, Any]]


class MongoConnectionPool:
    """The pool of the manifest: at most 100 connections, 10 kept, 45 s idle, 5 s of waiting."""

    def __init__(self, manifest: Path = MANIFEST, **settings: int) -> None:
        named = {f"mongo.{name}": value for name, value in settings.items()}
        self.db = App(manifest, settings=named)

    async def close(self) -> None:
        """Close all connections."""
        await self.db.close()


class MongoIndexOptimizer:
    """The indexes of `mongo.yaml`, built and looked after."""

    def __init__(self, manifest: Path = MANIFEST) -> None:
        self.verbs = Project(manifest).mongo

    def create_all_indexes(self, *, delete_accounts: bool = False) -> list[CollectionDifference]:
        """Build what is missing; accounts are deleted by `last_login` only when told so."""
        return self.verbs.ensure(yes=delete_accounts, confirm=lambda _question: True)

    def find_unused_indexes(self) -> list[IndexUse]:
        """The indexes that no member has used, that another one replaces, or that are hidden."""
        return [use for use in self.verbs.indexes().indexes if use.says]

    def explain(self, collection: str, query: Mapping[str, object]) -> ExplainedQuery:
        """How a query is answered: IXSCAN or COLLSCAN, and in how many milliseconds."""
        return self.verbs.explain(collection, query)


async def find_user_projects(db: App, user_id: str, *, skip: int, limit: int) -> Documents:
    """One page of a user's projects, the newest first."""
    page = await db.mongo.page(
        "projects",
        {"user_id": read_id(user_id)},
        sort=["-updated_at", "-_id"],
        skip=skip,
        limit=limit,
        fields=PROJECT_FIELDS,
    )
    return page.items


async def find_user(db: App, user_id: str) -> Documents:
    """A user with the few fields that most pages show, or none."""
    where = {"_id": read_id(user_id)}
    return (await db.mongo.page("users", where, limit=1, fields=USER_FIELDS)).items


async def find_users_with_projects(db: App, limit: int) -> Documents:
    """Users with their projects, by one query in place of one for each user."""
    by = ("_id", "user_id")
    return (await db.mongo.lookup("users", {}, join="projects", by=by, limit=limit)).items


async def find_popular_templates(db: App, limit: int) -> Documents:
    """The templates that are used most."""
    sort, fields = "-usage_count", TEMPLATE_FIELDS
    return (await db.mongo.page("templates", {}, sort=sort, limit=limit, fields=fields)).items


async def search_templates(db: App, text: str, limit: int) -> Documents:
    """The templates with these words, those first that are used most."""
    where, sort, fields = {"$text": {"$search": text}}, "-usage_count", TEMPLATE_FIELDS
    return (await db.mongo.page("templates", where, sort=sort, limit=limit, fields=fields)).items


async def count_by_day(db: App, collection: str) -> Documents:
    """How many documents were made on each day."""
    day = {"$dateToString": {"format": "%Y-%m-%d", "date": "$created_at"}}
    pipeline: Sequence[Mapping[str, Any]] = [
        {"$group": {"_id": day, "count": {"$sum": 1}}},
        {"$sort": {"_id": 1}},
    ]
    return await (await db.mongo[collection].aggregate(pipeline)).to_list()


def read_id(text: str) -> object:
    """An id as URLs have it: an ObjectId by its 24 digits, or the text itself."""
    return ObjectId(text) if ObjectId.is_valid(text) else text
