"""What an application does with collections that stay: pages, joins, writes, and its pool."""

from __future__ import annotations

import asyncio
import gc
import random
import warnings
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pymongo import monitoring
from pymongo.database import Database
from tests.servers.mongo import MongoServer

from assise.app import App
from assise.errors import CollectionError, RefusedDocumentError, RequestError, UsageError
from assise.mongo.application import AppMongo, Written, write_lookup
from assise.mongo.pages import read_sort, write_cursor

pytestmark = pytest.mark.contract

T = TypeVar("T")
Shop = Database[dict[str, Any]]


def open_app(folder: Path, address: str, **settings: int) -> App:
    (folder / "assise.yaml").write_text(f"assise: 1\nname: a\nmongo: {address}\ntables: {{}}\n")
    return App(folder, settings={f"mongo.{name}": value for name, value in settings.items()})


def run(app: App, use: Callable[[AppMongo], Awaitable[T]]) -> T:
    """Use an application's MongoDB, and close it."""

    async def call() -> T:
        async with app:
            return await use(app.mongo)

    return asyncio.run(call())


def order(document: Mapping[str, Any]) -> tuple[Any, ...]:
    """The place of a document by a descending, b ascending: null and missing are the least."""
    a, b = document.get("a"), document.get("b")
    return (a is None, 0 if a is None else -a, b is not None, b or 0, document["_id"])


def test_pages_have_every_document_once_in_order(
    mongo: MongoServer, shop: Shop, tmp_path: Path
) -> None:
    chances = random.Random(20)
    documents: list[dict[str, Any]] = [
        {"_id": n, "a": chances.choice([None, 1, 2, 3]), "b": chances.choice([None, 0, 5])}
        for n in range(150)
    ]
    for each in documents[::3]:
        del each["a"]
    shop.things.insert_many(documents)

    async def read(found: AppMongo) -> list[int]:
        ids, cursor = [], None
        while True:
            page = await found.page(
                "things", {}, sort=["-a", "b", "_id"], limit=7, cursor=cursor, fields=["b"]
            )
            ids += [each["_id"] for each in page.items]
            if page.next is None:
                return ids
            cursor = page.next
            # What comes before the page moves nothing behind it.
            shop.things.insert_one({"_id": 1000 + len(ids), "a": 99, "b": 0})

    ids = run(open_app(tmp_path, f"{mongo.url}shop"), read)
    assert ids == [each["_id"] for each in sorted(documents, key=order)]


def test_a_page_by_skip_has_the_total_on_request(
    mongo: MongoServer, shop: Shop, tmp_path: Path
) -> None:
    shop.things.insert_many({"_id": n, "user": n % 2} for n in range(25))

    async def read(found: AppMongo) -> None:
        page = await found.page("things", {"user": 0}, sort="-_id", skip=10, limit=2, total=True)
        assert ([each["_id"] for each in page.items], page.total) == ([4, 2], 13)
        assert page.next is not None
        last = await found.page("things", {"user": 0}, sort="-_id", cursor=page.next)
        assert ([each["_id"] for each in last.items], last.next, last.total) == ([0], None, None)
        for limit, skip in ((0, 0), (1001, 0), (5, -1)):
            with pytest.raises(UsageError):
                await found.page("things", {}, limit=limit, skip=skip)
        with pytest.raises(UsageError, match="without skip"):
            await found.page("things", {}, skip=1, cursor=page.next)

    run(open_app(tmp_path, f"{mongo.url}shop"), read)


@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "bnVsbA", "W10", "9" * 5000])
def test_a_cursor_of_something_else_is_refused(
    cursor: str, mongo: MongoServer, shop: Shop, tmp_path: Path
) -> None:
    other = write_cursor({"_id": 1, "a": 2}, read_sort("a"))

    async def read(found: AppMongo) -> None:
        for each in (cursor, other):
            with pytest.raises(RequestError, match="is none of this query"):
                await found.page("things", {}, sort="-a", cursor=each)
        shop.things.insert_many({"a": [1]} for _ in range(3))
        with pytest.raises(UsageError, match="a holds a list"):
            await found.page("things", {}, sort="a", limit=1)

    run(open_app(tmp_path, f"{mongo.url}shop"), read)


def test_many_fields_are_told_once_where_none_are_named(
    mongo: MongoServer, shop: Shop, tmp_path: Path
) -> None:
    shop.users.insert_one({f"f{n}": n for n in range(24)})

    async def read(found: AppMongo) -> None:
        with pytest.warns(UserWarning, match="documents of users have 25 fields: name those"):
            await found.page("users", {})
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await found.page("users", {})
        (short,) = (await found.page("users", {}, fields=["f1"])).items
        assert short.keys() == {"_id", "f1"}

    run(open_app(tmp_path, f"{mongo.url}shop"), read)


def test_a_join_is_one_query_and_shows_its_pipeline(
    mongo: MongoServer, shop: Shop, tmp_path: Path
) -> None:
    shop.users.insert_many({"_id": n} for n in range(30))
    shop.projects.insert_many({"_id": n, "user_id": n % 30} for n in range(120))

    class Counter(monitoring.CommandListener):
        names: list[str] = []  # noqa: RUF012 - one for the test

        def started(self, event: monitoring.CommandStartedEvent) -> None:
            self.names.append(event.command_name)

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
            """Nothing is counted."""

        def failed(self, event: monitoring.CommandFailedEvent) -> None:
            """Nothing is counted."""

    async def read(found: AppMongo) -> None:
        await found.check()
        joined = await found.lookup("users", {}, join="projects", by=("_id", "user_id"), limit=25)
        assert [each["_id"] for each in joined.items] == [*range(25)]
        assert all(len(each["projects"]) == 4 for each in joined.items)
        assert joined.pipeline[-1] == write_lookup("projects", ("_id", "user_id"))
        few = await found.lookup(
            "users", {"_id": 7}, join="projects", by=("_id", "user_id"), each=2, sort="-_id"
        )
        assert [each["_id"] for each in few.items[0]["projects"]] == [97, 67]

    monitoring.register(counter := Counter())
    run(open_app(tmp_path, f"{mongo.url}shop"), read)
    assert counter.names.count("aggregate") == 2
    assert counter.names.count("find") == 0


def test_what_is_written_is_told_to_those_who_want_to_know(
    mongo: MongoServer, shop: Shop, tmp_path: Path
) -> None:
    told: list[Written] = []

    async def note(written: Written) -> None:
        told.append(written)

    async def write(found: AppMongo) -> None:
        found.after_write.append(note)
        assert await found.insert("users", [{"_id": 1, "a": 0}, {"_id": 2, "a": 0}]) == [1, 2]
        assert await found.update("users", {"_id": 2}, {"$set": {"a": 5}}) == 1
        assert await found.update("users", {"a": 0}, {"$set": {"a": 6}}) == 1
        assert await found.delete("users", {"_id": {"$in": [1, 2]}}) == 2
        assert await found.update("users", {"_id": 9}, {"$set": {"a": 1}}, upsert=True) == 1

    run(open_app(tmp_path, f"{mongo.url}shop"), write)
    assert told == [
        ("users", (1, 2)), ("users", (2,)), ("users", None), ("users", (1, 2)), ("users", (9,))
    ]  # fmt: skip
    assert [*shop.users.find()] == [{"_id": 9, "a": 1}]


def test_a_refused_document_is_told_and_tells_nobody(
    mongo: MongoServer, shop: Shop, tmp_path: Path
) -> None:
    shop.users.create_index("email", unique=True)

    async def write(found: AppMongo) -> None:
        async def fail(_written: Written) -> None:
            pytest.fail("nothing was written")

        await found.insert("users", [{"_id": 1, "email": "a"}])
        found.after_write.append(fail)
        with pytest.raises(RefusedDocumentError, match="users: another document has one of these"):
            await found.insert("users", [{"email": "a"}])
        with pytest.raises(RefusedDocumentError):
            await found.update("users", {"email": "b"}, {"$set": {"email": "a"}}, upsert=True)

    run(open_app(tmp_path, f"{mongo.url}shop"), write)
    invalid = {"code": 121, "codeName": "x", "errmsg": "Document failed validation"}
    mongo.answer("insert", invalid, "users")

    async def break_rule(found: AppMongo) -> None:
        with pytest.raises(RefusedDocumentError, match="the validator refuses it"):
            await found.insert("users", [{"email": "c"}])

    run(open_app(tmp_path, f"{mongo.url}shop"), break_rule)


def read_options(app: App) -> tuple[object, ...]:
    async def read(found: AppMongo) -> tuple[object, ...]:
        options = found.database.client.options
        pool = options.pool_options
        return (
            pool.max_pool_size, pool.min_pool_size, pool.max_idle_time_seconds,
            pool.wait_queue_timeout, options.server_selection_timeout, options.heartbeat_frequency,
            pool.socket_timeout, options.retry_reads, options.retry_writes,
        )  # fmt: skip

    return run(app, read)


def test_a_pool_has_the_settings_of_devora_and_those_that_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = "mongodb://127.0.0.1:9/shop"
    assert read_options(open_app(tmp_path, nowhere)) == (100, 10, 45, 5, 5, 10, 30, True, True)
    in_url = f'"{nowhere}?maxPoolSize=20&retryWrites=false"'
    assert read_options(open_app(tmp_path, in_url))[:2] == (20, 10)
    assert read_options(open_app(tmp_path, in_url))[-1] is False
    written = f'{{url: "{nowhere}", max_pool_size: 40, max_idle_ms: 0, timeout_ms: 0}}'
    assert read_options(open_app(tmp_path, written))[:3] == (40, 10, None)
    assert read_options(open_app(tmp_path, written))[6] is None
    monkeypatch.setenv("ASSISE_MONGO_MAX_POOL_SIZE", "7")
    assert read_options(open_app(tmp_path, in_url))[:2] == (7, 7)
    assert read_options(open_app(tmp_path, written, max_pool_size=9))[0] == 9
    with pytest.raises(UsageError, match=r"min_pool_size is 8, above mongo\.max_pool_size, 7"):
        read_options(open_app(tmp_path, nowhere, min_pool_size=8))


def test_a_pool_above_all_connections_of_the_server_is_refused(
    mongo: MongoServer, tmp_path: Path
) -> None:
    mongo.answer("serverStatus", {"connections": {"current": 20, "available": 60}})

    async def read(found: AppMongo) -> None:
        with pytest.raises(UsageError, match="is 100, and the server takes 80 connections in all"):
            await found.page("users", {})

    run(open_app(tmp_path, f"{mongo.url}shop"), read)

    async def check(found: AppMongo) -> tuple[int, int | None, int | None]:
        limit = await found.check()
        return limit.max_pool_size, limit.allowed, limit.open

    app = open_app(tmp_path, f"{mongo.url}shop", max_pool_size=80)
    assert run(app, check) == (80, 80, 20)
    mongo.answer_truly()
    refusal = {"code": 13, "codeName": "Unauthorized", "errmsg": "not authorized"}
    mongo.answer("serverStatus", refusal)
    assert run(open_app(tmp_path, f"{mongo.url}shop"), check) == (100, None, None)
    mongo.answer_truly()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_server_that_is_away_is_an_error_without_the_password(tmp_path: Path) -> None:
    async def read(found: AppMongo) -> None:
        assert "s3cret" not in repr(found)
        with pytest.raises(CollectionError, match="cannot be reached") as caught:
            await found.page("users", {})
        assert "s3cret" not in str(caught.value)
        assert caught.value.remedy

    run(open_app(tmp_path, "mongodb://anna:s3cret@127.0.0.1:9/shop", selection_ms=50), read)
    # pymongo 4.20 leaves a socket open whose connect its close has cancelled.
    gc.collect()


def test_an_operation_waits_for_a_free_connection_and_then_says_so(
    mongo: MongoServer, shop: Shop, tmp_path: Path
) -> None:
    shop.users.insert_one({})

    async def read(found: AppMongo) -> None:
        await found.page("users", {})
        (server,) = found.database.client._topology._servers.values()  # noqa: SLF001
        async with server.pool.checkout():
            with pytest.raises(CollectionError, match="checking out a connection") as caught:
                await found.page("users", {})
        assert "mongo.max_pool_size" in caught.value.remedy
        assert len((await found.page("users", {})).items) == 1

    sizes = {"max_pool_size": 1, "wait_queue_ms": 50}
    run(open_app(tmp_path, f"{mongo.url}shop", **sizes), read)


def test_an_application_without_mongodb_is_told_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "assise.yaml").write_text("assise: 1\nname: a\ntables: {}\n")
    with pytest.raises(UsageError, match="has no MongoDB") as caught:
        _ = App(tmp_path).mongo
    assert "mongo:" in caught.value.remedy
