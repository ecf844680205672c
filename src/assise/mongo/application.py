"""The noun `mongo` of an application: pages, joins and writes of collections that stay."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, OperationFailure

from assise.errors import CollectionError, RefusedDocumentError, UsageError
from assise.mongo.clients import PoolLimit, open_client, read_limit
from assise.mongo.faults import translated
from assise.mongo.pages import match_behind, read_cursor, read_sort, write_cursor
from assise.mongo.pool import PoolSizes
from assise.mongo.source import JsonObject
from assise.mongo.url import hide_secrets, list_secrets

MAX_LIMIT = 1_000
MANY_FIELDS = 20
"""Fields of a document above which a page should name those that it needs."""

_REFUSED = {11000: "another document has one of these values", 121: "the validator refuses it"}
_REMEDIES = {
    0: "Try again; the server may be busy, or another member becomes primary.",
    13: "Grant the user the role `readWrite` on the database.",
}


class Written(NamedTuple):
    """What was written: the collection, and the `_id`s, or None where a filter found them."""

    collection: str
    ids: tuple[object, ...] | None


AfterWrite = Callable[[Written], Awaitable[None]]


@dataclass(frozen=True)
class DocumentPage:
    """Some documents of a query, the cursor of the next page, and how many there are on request."""

    items: list[JsonObject]
    next: str | None
    total: int | None = None


@dataclass(frozen=True)
class Joined:
    """Documents with those of another collection in them, and the pipeline that found them."""

    items: list[JsonObject]
    pipeline: list[JsonObject]


@dataclass(eq=False)
class AppMongo:
    """The noun `mongo` of an application: `await app.mongo.page("projects", {"user_id": user})`.

    `after_write` are functions that are called with what was written, such as one that invalidates
    a cache.
    """

    pool: PoolSizes
    after_write: list[AfterWrite] = field(default_factory=list)
    _opened: tuple[AsyncMongoClient[JsonObject], AsyncDatabase[JsonObject]] | None = None
    _limit: PoolLimit | None = None
    _told: set[str] = field(default_factory=set)

    @property
    def database(self) -> AsyncDatabase[JsonObject]:
        """pymongo's database, for what this class does not do.

        Raises:
            UsageError: no database is named, or sizes contradict each other.
        """
        return self._open()[1]

    def __getitem__(self, collection: str) -> AsyncCollection[JsonObject]:
        """pymongo's collection; what is written by it calls no function of `after_write`."""
        return self.database[collection]

    async def close(self) -> None:
        """Close all connections; a later call opens them again."""
        opened, self._opened, self._limit = self._opened, None, None
        if opened is not None:
            await opened[0].close()

    async def check(self) -> PoolLimit:
        """Compare the pool with the connections that the server takes; asked once.

        Raises:
            UsageError: the pool is larger. CollectionError: the server cannot be asked.
        """
        if self._limit is None:
            client, _ = self._open()
            with self._translated():
                self._limit = await read_limit(client)
        return self._limit

    async def page(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        sort: str | Sequence[str] = "_id",
        limit: int = 20,
        cursor: str | None = None,
        skip: int = 0,
        fields: Collection[str] | None = None,
        total: bool = False,
    ) -> DocumentPage:
        """One page of the documents that a filter finds.

        The next page begins behind the last document, by `cursor`, whatever was inserted before it.
        `skip` counts documents instead, and the server walks over them. `total` asks for their
        number, too. `fields` are those that are read, with `_id`.

        Raises:
            UsageError: limit, skip or sort cannot be used. RequestError: the cursor cannot.
            CollectionError: the server cannot be asked.
        """
        order = read_sort(sort)
        _check_counts(limit, skip, cursor)
        query: JsonObject = dict(where)
        if cursor is not None:
            query = {"$and": [query, match_behind(order, read_cursor(cursor, order))]}
        needed = [name for name, _ in order]
        shown = None if fields is None else dict.fromkeys([*fields, *needed], 1)
        await self.check()
        with self._translated(collection):
            found = self.database[collection].find(query, shown, skip=skip, limit=limit + 1)
            documents = await found.sort(list(order)).batch_size(limit + 1).to_list()
            count = await self.database[collection].count_documents(dict(where)) if total else None
        items = documents[:limit]
        if fields is None:
            self._tell_fields(collection, items)
        more = write_cursor(items[-1], order) if len(documents) > limit else None
        return DocumentPage(items, more, count)

    async def lookup(
        self,
        collection: str,
        where: Mapping[str, Any],
        *,
        join: str,
        by: tuple[str, str],
        limit: int = 20,
        each: int | None = None,
        sort: str | Sequence[str] = "_id",
    ) -> Joined:
        """Documents, each with a list of those of another collection: one query in place of N + 1.

        `by` are the field of the one and the field of the other: `by=("_id", "user_id")`. `each` is
        how many of the other are read for a document, the first by `sort`.

        Raises:
            UsageError: limit or sort cannot be used. CollectionError: the server cannot be asked.
        """
        _check_counts(limit, 0, None)
        inner = write_lookup(join, by, each=each, sort=sort)
        pipeline: list[JsonObject] = [{"$match": dict(where)}, {"$sort": {"_id": 1}}]
        pipeline += [{"$limit": limit}, inner]
        await self.check()
        with self._translated(collection):
            found = await self.database[collection].aggregate(pipeline, batchSize=limit + 1)
            return Joined(await found.to_list(), pipeline)

    async def insert(self, collection: str, documents: Sequence[JsonObject]) -> list[object]:
        """Insert documents, and return their `_id`s.

        Raises:
            RefusedDocumentError: a unique index or the validator refuses one; those before it stay.
            CollectionError: the server cannot be asked.
        """
        with self._translated(collection):
            done = await self.database[collection].insert_many([dict(each) for each in documents])
        await self._tell(Written(collection, tuple(done.inserted_ids)))
        return list(done.inserted_ids)

    async def update(
        self,
        collection: str,
        where: Mapping[str, Any],
        change: Mapping[str, Any],
        *,
        upsert: bool = False,
    ) -> int:
        """Change all documents that a filter finds; how many there are.

        Raises:
            RefusedDocumentError: a unique index or the validator refuses it.
            CollectionError: the server cannot be asked.
        """
        with self._translated(collection):
            given = dict(where), dict(change)
            done = await self.database[collection].update_many(*given, upsert=upsert)
        await self._tell(Written(collection, _find_ids(where)))
        return int(done.matched_count + (done.upserted_id is not None))

    async def delete(self, collection: str, where: Mapping[str, Any]) -> int:
        """Delete all documents that a filter finds; how many there were.

        Raises:
            CollectionError: the server cannot be asked.
        """
        with self._translated(collection):
            done = await self.database[collection].delete_many(dict(where))
        await self._tell(Written(collection, _find_ids(where)))
        return int(done.deleted_count)

    async def _tell(self, written: Written) -> None:
        for call in self.after_write:
            await call(written)

    def _tell_fields(self, collection: str, items: Sequence[JsonObject]) -> None:
        most = max((len(each) for each in items), default=0)
        if most > MANY_FIELDS and collection not in self._told:
            self._told.add(collection)
            text = f"documents of {collection} have {most} fields: name those that the page needs"
            warnings.warn(f"{text}, fields=[…]", stacklevel=3)

    def _open(self) -> tuple[AsyncMongoClient[JsonObject], AsyncDatabase[JsonObject]]:
        if self._opened is None:
            with self._translated():
                self._opened = open_client(self.pool)
        return self._opened

    @contextmanager
    def _translated(self, collection: str = "") -> Iterator[None]:
        address, secrets = hide_secrets(self.pool.url), list_secrets(self.pool.url)
        place = f"{address}, {collection}" if collection else address
        with translated(place, secrets, error_class=CollectionError, remedies=_REMEDIES):
            try:
                yield
            except OperationFailure as error:
                code = _find_code(error)
                if code not in _REFUSED:
                    raise
                remedy = "Change the document, or the rule in the manifest."
                message = f"{collection}: {_REFUSED[code]}"
                raise RefusedDocumentError(message, remedy=remedy) from error


def write_lookup(
    join: str, by: tuple[str, str], *, each: int | None = None, sort: str | Sequence[str] = "_id"
) -> JsonObject:
    """The stage `$lookup` that puts documents of `join` into a list of that name.

    With `each` the values of the two fields are compared whole: a list is none of its elements.
    """
    local, foreign = by
    if each is None:
        fields = {"localField": local, "foreignField": foreign}
        return {"$lookup": {"from": join, **fields, "as": join}}
    _check_counts(each, 0, None)
    stages: list[JsonObject] = [
        {"$match": {"$expr": {"$eq": [f"${foreign}", "$$key"]}}},
        {"$sort": dict(read_sort(sort))},
        {"$limit": each},
    ]
    named = {"from": join, "as": join, "let": {"key": f"${local}"}}
    return {"$lookup": {**named, "pipeline": stages}}


def _check_counts(limit: int, skip: int, cursor: str | None) -> None:
    if not 1 <= limit <= MAX_LIMIT:
        raise UsageError(f"limit is {limit}", remedy=f"Give 1 to {MAX_LIMIT:,}.")
    if skip < 0 or (skip and cursor is not None):
        raise UsageError(f"skip is {skip}", remedy="Give 0 or more, or a cursor without skip.")


def _find_ids(where: Mapping[str, Any]) -> tuple[object, ...] | None:
    """The `_id`s that a filter names; None where it finds them by something else."""
    match where.get("_id"):
        case None:
            return None
        case {"$in": [*ids]}:
            return tuple(ids)
        case dict():
            return None
        case one:
            return (one,)


def _find_code(error: OperationFailure) -> int:
    details = error.details if isinstance(error, BulkWriteError) else None
    failures = (details or {}).get("writeErrors", [])
    return int(failures[0]["code"] if failures else error.code or 0)
