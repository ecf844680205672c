"""A running MongoDB is read without loss, whatever is written meanwhile."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import bson
import pytest
from bson import Decimal128, Int64, MaxKey, MinKey, ObjectId, Timestamp
from pymongo import MongoClient, monitoring
from pymongo.database import Database
from tests.servers.mongo import MongoServer

from assise.errors import SourceError, UsageError
from assise.mongo.cursor import BATCH_BYTES, CollectionReader, LiveCollection, read_reply
from assise.mongo.ranges import EVERYTHING, Range, number_ranges
from assise.mongo.server import Server
from assise.mongo.source import LargeChunkError, SourceOptions
from assise.native import find_native

pytestmark = pytest.mark.contract

Document = dict[str, Any]
Shop = Database[Document]


@pytest.fixture
def shop(mongo: MongoServer) -> Iterator[Shop]:
    """A database of the server, empty before and gone afterwards."""
    mongo.answer_truly()
    mongo.client.drop_database("shop")
    yield mongo.client.shop
    mongo.answer_truly()
    mongo.client.drop_database("shop")


OpenReader = Callable[[str], CollectionReader]


@pytest.fixture
def open_reader(mongo: MongoServer) -> Iterator[OpenReader]:
    """Opens collections of the database."""
    with ExitStack() as opened:

        def open_one(name: str) -> CollectionReader:
            server = opened.enter_context(closing(Server(f"{mongo.url}shop")))
            return server.open_collection(name)

        yield open_one


def insert_things(shop: Shop) -> list[bytes]:
    """Insert 300 documents of 0.9 KB, which are returned."""
    given = [bson.encode({"_id": n, "text": "x" * 900}) for n in range(300)]
    shop.things.insert_many([bson.raw_bson.RawBSONDocument(raw) for raw in given])
    return given


def read_all(reader: CollectionReader, size: int) -> list[bytes]:
    ranges = reader.plan_ranges(size)
    chunks = [reader.read_range(each) for each in ranges]
    documents = [document for chunk in chunks for document in chunk.documents]
    offsets = [offset for offset, _ in documents]
    assert len(set(offsets)) == len(offsets)
    assert offsets == sorted(offsets)
    return [raw for _, raw in documents]


IDS: dict[str, Sequence[object]] = {
    "ObjectIds": [ObjectId() for _ in range(200)],
    "ints": [*range(-50, 50), 2**31, -(2**31), Int64(2**40)],
    "numbers": [1, 2.5, Int64(3), Decimal128("4.5"), -7, 1e300, *range(10, 60)],
    "strings": [f"user-{n}" for n in range(100)] + ["", "É", "z\0a"],
    "documents": [{"a": n, "b": str(n)} for n in range(60)] + [{"b": "1", "a": 1}],
    "dates": [bson.datetime_ms.DatetimeMS(n * 10**9) for n in range(-40, 40)],
    "mixed": [
        MinKey(), None, 7, 7.5, "7", {"a": 7}, b"7", ObjectId(), True, False,
        bson.datetime_ms.DatetimeMS(7), Timestamp(7, 1), MaxKey(), *range(100, 140),
        *(f"s{n}" for n in range(40)), *(ObjectId() for _ in range(40)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", IDS)
def test_every_document_is_in_one_range(open_reader: OpenReader, shop: Shop, kind: str) -> None:
    given = [
        bson.encode({"_id": each, "n": n, "text": "x" * 50}) for n, each in enumerate(IDS[kind])
    ]
    random.Random(1).shuffle(given)
    shop.things.insert_many([bson.raw_bson.RawBSONDocument(raw) for raw in given])
    reader = open_reader("things")
    assert len(reader.plan_ranges(1000)) > 5
    assert sorted(read_all(reader, 1000)) == sorted(given)
    assert sorted(read_all(reader, 1 << 30)) == sorted(given)


@pytest.mark.parametrize("kind", IDS)
def test_ranges_from_a_sample_hold_every_document(
    open_reader: OpenReader, shop: Shop, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assise.mongo.cursor.WALKED", 10)
    monkeypatch.setattr("assise.mongo.cursor.RARELY", 2)
    given = [bson.encode({"_id": each, "text": "x" * 50}) for each in IDS[kind]]
    shop.things.insert_many([bson.raw_bson.RawBSONDocument(raw) for raw in given])
    reader = open_reader("things")
    assert len(reader.plan_ranges(1000)) > 3
    assert sorted(read_all(reader, 1000)) == sorted(given)


def test_a_sample_is_weighted_by_the_sizes_of_its_documents(
    mongo: MongoServer, open_reader: OpenReader, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assise.mongo.cursor.WALKED", 10)
    shop.things.insert_many([{"_id": n} for n in range(100)])
    reader = replace(open_reader("things"), facts=LiveCollection("things", 1600, 100))
    # mongo-java-server has no $bsonSize: an answer after MongoDB's manual.
    sizes = [10, 10, 10, 10, 400, 400, 400, 400]
    sample = [{"_id": 10 * n, "size": size} for n, size in enumerate(sizes)]
    batch = {"id": Int64(0), "ns": "shop.things", "firstBatch": sample}
    mongo.answer("aggregate", {"cursor": batch})
    filters = [bson.decode(each.filter) for each in reader.plan_ranges(400)]
    assert [each["_id"].get("$gte") for each in filters[1:]] == [None, 50, 70]


Heard = list[tuple[str, Document, Document]]


class Listener(monitoring.CommandListener):
    """Keeps what a client sends, and its replies."""

    def __init__(self, heard: Heard) -> None:
        self._heard, self._begun = heard, dict[int, Document]()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self._begun[event.request_id] = dict(event.command)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        command = self._begun[event.request_id]
        self._heard.append((event.command_name, command, dict(event.reply)))

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        raise AssertionError(event.failure)


@contextmanager
def listen(shop: Shop) -> Iterator[tuple[Heard, Shop]]:
    """The database of a client, and the commands that it sends: name, command, reply."""
    heard: Heard = []
    host, port = shop.client.address or ("", 0)
    with MongoClient[Document](host, port, event_listeners=[Listener(heard)]) as client:
        yield heard, client.shop


def test_the_collation_of_a_collection_does_not_change_its_ranges(
    open_reader: OpenReader, shop: Shop
) -> None:
    given = [bson.encode({"_id": each, "text": "x" * 50}) for each in IDS["strings"]]
    shop.things.insert_many([bson.raw_bson.RawBSONDocument(raw) for raw in given])
    plain = open_reader("things")
    reader = replace(plain, facts=replace(plain.facts, has_collation=True))
    with listen(shop) as (heard, listening):
        reader = replace(reader, collection=listening.things)
        assert sorted(read_all(reader, 1000)) == sorted(given)
    asked = [command.get("collation") for name, command, _ in heard if name == "find"]
    assert len(asked) > 5
    assert {str(each) for each in asked} == {"{'locale': 'simple'}"}


def test_ids_are_walked_alike_in_one_reply_and_by_a_cursor(
    open_reader: OpenReader, shop: Shop
) -> None:
    insert_things(shop)
    plain = open_reader("things")
    by_cursor = replace(plain, facts=replace(plain.facts, has_collation=True))
    few = replace(plain, facts=replace(plain.facts, size=300_000, count=150))
    with listen(shop) as (heard, listening):
        readers = [replace(each, collection=listening.things) for each in (plain, by_cursor)]
        found = [reader.plan_ranges(50_000) for reader in readers]
        assert [command["batchSize"] for _, command, _ in heard] == [600, 100_000 + 4857]
        heard.clear()
        split = replace(few, collection=listening.things).split(Range(0, 8, EVERYTHING))
        assert len(split) >= 4
    assert len(found[0]) > 2
    assert found[0] == found[1]


def test_a_sample_of_one_place_are_the_first_documents(open_reader: OpenReader, shop: Shop) -> None:
    given = insert_things(shop)
    with listen(shop) as (heard, listening):
        reader = replace(open_reader("things"), collection=listening.things)
        [(documents, share)] = reader.read_samples(reader.facts.size // 10, 1)
        assert [name for name, _, _ in heard] == ["find"]
        heard.clear()
        drawn = [raw for some, _ in reader.read_samples(9_000, 2) for _, raw in some]
        assert [name for name, _, _ in heard] == ["aggregate"]
    assert [raw for _, raw in documents] == given[: len(documents)]
    assert 20 <= len(documents) <= 40
    assert 0.05 < share < 0.2
    assert {*drawn} <= {*given}


def test_no_mutated_reply_is_cut_otherwise_by_the_crate() -> None:
    rng = random.Random(7)
    documents = [{"_id": ObjectId(), "text": "x" * n, "n": [1, {"a": n}]} for n in range(8)]
    facts = {"partial": False, "id": Int64(0), "ns": "shop.things", "token": {"a": 1}}
    cursor = bson.encode({"firstBatch": documents, **facts})
    cut = 0
    for _ in range(3_000):
        mutated = bytearray(cursor)
        for _ in range(rng.choice([1, 2, 4])):
            at = rng.randrange(len(mutated))
            mutated[at] = rng.choice([0, 255, mutated[at] ^ 1, rng.randrange(256)])
        reply = read_reply(bytes(mutated))
        if reply is None:
            continue
        cut += 1
        exact = read_reply(bytes(mutated), is_native=False)
        assert exact is not None
        assert reply[:2] == exact[:2]
        ids = {raw[9:21] for raw in reply.documents}
        assert not reply.is_distinct or len(ids) == len(reply.documents)
    assert cut > 1_000


def test_what_one_reply_does_not_hold_is_read_by_a_cursor_and_no_other_stays_open(
    open_reader: OpenReader, shop: Shop
) -> None:
    given = insert_things(shop)
    reader = open_reader("things")
    (whole,) = number_ranges([EVERYTHING])
    with listen(shop) as (heard, listening):
        reader = replace(reader, collection=listening.things)
        assert [raw for _, raw in reader.read_range(whole).documents] == given
        assert [name for name, _, _ in heard] == ["find"]
        heard.clear()
        reader = replace(reader, facts=LiveCollection("things", 300_000_000, 300))
        found = reader.read_range(whole).documents
    assert sorted(raw for _, raw in found) == sorted(given)
    assert [name for name, _, _ in heard[:3]] == ["find", "killCursors", "find"]
    first = heard[0][2]["cursor"]
    assert heard[1][1]["cursors"] == [first["id"]]
    assert heard[-1][2]["cursor"]["id"] == 0


@pytest.mark.parametrize("is_native", [True, False])
def test_a_reply_that_is_cut_in_a_document_is_no_reply(*, is_native: bool) -> None:
    documents = [{"_id": n} for n in range(12)]
    cursor = bson.encode({"firstBatch": documents, "id": Int64(7), "ns": "shop.things"})
    cut = [bson.encode(each) for each in documents]
    assert read_reply(cursor, is_native=is_native) == (7, cut, False)
    at = cursor.index(bson.encode(documents[5]))
    for size in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x10\0\0\0", b"\xff\xff\xff\x7f"):
        broken = cursor[:at] + size + cursor[at + 4 :]
        assert read_reply(broken, is_native=is_native) is None
    for end in range(len(cursor)):
        assert read_reply(cursor[:end], is_native=is_native) is None
    assert read_reply(bson.encode({"id": Int64(7)}), is_native=is_native) is None


def test_a_reply_tells_whether_object_ids_are_distinct() -> None:
    ids = [ObjectId() for _ in range(4)]

    def is_distinct(*documents: dict[str, object]) -> bool:
        cursor = bson.encode({"firstBatch": documents, "id": Int64(0), "ns": "shop.things"})
        reply = read_reply(cursor)
        assert reply
        assert [bson.decode(raw) for raw in reply.documents] == [*documents]
        return reply.is_distinct

    some: list[dict[str, object]] = [{"_id": each, "n": 1} for each in reversed(ids)]
    if find_native():
        assert is_distinct(*some)
        assert is_distinct({"_id": ids[0]})
    assert not is_distinct(*some, {"_id": ids[2], "n": 2})
    assert not is_distinct(*some, {"_id": 1})
    assert not is_distinct(*some, {"n": 1, "_id": ObjectId()})
    assert not is_distinct(*some, {})


def test_a_large_range_is_split(open_reader: OpenReader, shop: Shop) -> None:
    given = insert_things(shop)
    reader = open_reader("things")
    (whole,) = number_ranges([EVERYTHING])
    with pytest.raises(LargeChunkError):
        reader.read_range(whole, limit=100_000)
    parts = reader.split(whole)
    assert len(parts) >= 4
    found = [raw for part in parts for _, raw in reader.read_range(part, limit=100_000).documents]
    assert sorted(found) == sorted(given)
    smaller = [part for outer in parts for part in reader.split(outer)]
    assert len(smaller) > len(parts)
    again = [document for part in smaller for document in reader.read_range(part).documents]
    assert sorted(raw for _, raw in again) == sorted(given)
    assert len({offset for offset, _ in again}) == len(again)


def test_a_query_leaves_the_others_out(mongo: MongoServer, shop: Shop) -> None:
    shop.things.insert_many([{"_id": n, "tenant": n % 3, "text": "x" * 200} for n in range(300)])
    options = SourceOptions(queries={"things": '{"tenant": 2}'})
    with closing(Server(f"{mongo.url}shop", options)) as server:
        assert server.notes == ('of things only what {"tenant": 2} matches',)
        reader = server.open_collection("things")
        assert reader.facts.count == 100
        found = read_all(reader, 1000)
    assert sorted(bson.decode(raw)["_id"] for raw in found) == [*range(2, 300, 3)]


def test_what_stays_is_read_once_while_others_write(open_reader: OpenReader, shop: Shop) -> None:
    staying = {ObjectId() for _ in range(3000)}
    shop.things.insert_many([{"_id": each, "n": 0, "text": "x" * 100} for each in staying])
    goers = [ObjectId() for _ in range(500)]
    shop.things.insert_many([{"_id": each, "n": 0} for each in goers])
    is_over = Event()

    def write() -> None:
        rng, some = random.Random(3), sorted(staying)[::7]
        while not is_over.is_set():
            shop.things.update_one({"_id": rng.choice(some)}, {"$inc": {"n": 1}})
            shop.things.insert_one({"_id": ObjectId(), "n": 0})
            if goers:
                gone = goers.pop()
                shop.things.delete_one({"_id": gone})
                shop.things.insert_one({"_id": gone, "n": 99})

    reader = open_reader("things")
    writer = Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            found = [bson.decode(raw)["_id"] for raw in read_all(reader, 20_000)]
            assert len(set(found)) == len(found)
            assert staying <= set(found)
    finally:
        is_over.set()
        writer.join()


def test_of_a_document_that_is_sent_twice_the_later_one_is_read(
    mongo: MongoServer, open_reader: OpenReader, shop: Shop
) -> None:
    shop.things.insert_one({"_id": 1})
    twice = [{"_id": 1, "n": 1}, {"_id": 2, "n": 1}, {"_id": 1, "n": 2}, {"n": 3}, {"n": 3}]
    reader = open_reader("things")
    mongo.answer("find", {"cursor": {"id": Int64(0), "ns": "shop.things", "firstBatch": twice}})
    (chunk,) = (reader.read_range(each) for each in reader.plan_ranges(1 << 20))
    assert [bson.decode(raw) for _, raw in chunk.documents] == [
        {"_id": 1, "n": 2}, {"_id": 2, "n": 1}, {"n": 3}, {"n": 3},
    ]  # fmt: skip


def test_a_cut_connection_is_read_again(
    mongo: MongoServer, open_reader: OpenReader, shop: Shop
) -> None:
    given = insert_things(shop)
    reader = replace(open_reader("things"), facts=LiveCollection("things", 300_000_000, 300))
    mongo.answer("getMore", {"cut": True}, times=1)
    (whole,) = number_ranges([EVERYTHING])
    assert sorted(raw for _, raw in reader.read_range(whole).documents) == sorted(given)
    mongo.answer("getMore", {"cut": True})
    with pytest.raises(SourceError, match="connection was lost") as caught:
        reader.read_range(whole)
    assert "continues where it stopped" in caught.value.remedy


def test_a_cursor_that_the_server_gave_up_is_opened_again(
    mongo: MongoServer, open_reader: OpenReader, shop: Shop
) -> None:
    given = insert_things(shop)
    reader = replace(open_reader("things"), facts=LiveCollection("things", 300_000_000, 300))
    gone = {"code": 43, "codeName": "CursorNotFound", "errmsg": "cursor id 7 not found"}
    mongo.answer("getMore", gone, times=1)
    (whole,) = number_ranges([EVERYTHING])
    assert sorted(raw for _, raw in reader.read_range(whole).documents) == sorted(given)
    mongo.answer("getMore", gone)
    with pytest.raises(SourceError, match=r"collection things: cursor id 7 .*code 43") as caught:
        reader.read_range(whole)
    assert "given up a cursor" in caught.value.remedy


def test_a_reply_that_does_not_come_in_time_is_asked_for_again(
    mongo: MongoServer, shop: Shop
) -> None:
    given = insert_things(shop)
    (whole,) = number_ranges([EVERYTHING])
    with closing(Server(f"{mongo.url}shop?socketTimeoutMS=500")) as server:
        reader = server.open_collection("things")
        mongo.answer("find", {"wait": 2_000}, times=1)
        assert sorted(raw for _, raw in reader.read_range(whole).documents) == sorted(given)
        mongo.answer("find", {"wait": 2_000})
        with pytest.raises(SourceError, match=r"collection things: .*timed out") as caught:
            reader.read_range(whole)
    assert "continues where it stopped" in caught.value.remedy


@pytest.mark.parametrize("average", [900, 1_000_000])
def test_every_read_is_by_range_in_batches_of_so_many_bytes(
    average: int, open_reader: OpenReader, shop: Shop
) -> None:
    """Documents that are small or, as the server says, large: of these a reply has no more than 4."""
    given = insert_things(shop)
    plain = open_reader("things")
    with listen(shop) as (heard, listening):
        facts = replace(plain.facts, size=300 * average)
        reader = replace(plain, facts=facts, collection=listening.things)
        assert sorted(read_all(reader, facts.size // 7)) == sorted(given)
    finds = [command for name, command, _ in heard if name == "find"]
    assert not [command for command in finds if command.get("skip") or command.get("limit")]
    reads = [command for command in finds if "projection" not in command]
    assert len({command["filter"].raw for command in reads}) >= 7
    batches = [command["batchSize"] for command in reads]
    batches += [command["batchSize"] for name, command, _ in heard if name == "getMore"]
    # One reply may hold twice as much, where it holds all.
    assert {*batches} <= {BATCH_BYTES // average, 2 * (BATCH_BYTES // average)}
    assert all(
        len(reply["cursor"].get("nextBatch", [])) <= 4
        for name, _, reply in heard
        if name == "getMore"
    )


def test_options_of_the_url_hold_for_every_read(mortal_mongo: MongoServer) -> None:
    given = insert_things(mortal_mongo.client.shop)
    member = mortal_mongo.url.removeprefix("mongodb://").rstrip("/")
    # mongo-java-server is no replica set: the answer of one with a single member.
    hello = {"isWritablePrimary": True, "setName": "rs", "hosts": [member], "me": member}
    hello |= {"primary": member, "minWireVersion": 0, "maxWireVersion": 13}
    for name in ("hello", "ismaster", "isMaster"):
        mortal_mongo.answer(name, hello)
    options = "replicaSet=rs&readConcernLevel=majority&readPreference=secondaryPreferred"
    heard: Heard = []
    with closing(Server(f"{mortal_mongo.url}shop?{options}")) as server:
        assert server.address.endswith(options)
        plain = server.open_collection("things")
        concern, preference = plain.collection.read_concern, plain.collection.read_preference
    listener = Listener(heard)
    with MongoClient[Document](
        mortal_mongo.url, replicaSet="rs", event_listeners=[listener]
    ) as client:
        things = client.shop.things.with_options(read_concern=concern, read_preference=preference)
        for average in (900, 1_000_000):
            facts = replace(plain.facts, size=300 * average)
            reader = replace(plain, facts=facts, collection=things)
            assert sorted(read_all(reader, facts.size // 7)) == sorted(given)
            assert [*reader.read_samples(facts.size // 10, 2)]
    asked = [command for name, command, _ in heard if name in {"find", "aggregate"}]
    assert {str(command.get("readConcern")) for command in asked} == {"{'level': 'majority'}"}
    # What ends a cursor goes to the kind of member that has it, too.
    preferred = {(name, str(command.get("$readPreference"))) for name, command, _ in heard}
    by_name = {"find", "aggregate", "killCursors"}
    assert preferred - {("getMore", "None")} == {
        (n, "{'mode': 'secondaryPreferred'}") for n in by_name
    }


DENIED = {"code": 13, "codeName": "Unauthorized", "errmsg": "not authorized on shop to execute"}
"""A refusal, as MongoDB's source (src/mongo/db/auth) words it."""


@pytest.mark.parametrize(
    ("command", "reply", "said"),
    [
        ("find", DENIED, "role `read`"),
        (
            "find",
            {"code": 189, "codeName": "PrimarySteppedDown", "errmsg": "stepped down"},
            "continues",
        ),
        ("find", {"code": 10107, "codeName": "NotWritablePrimary", "errmsg": "no"}, "continues"),
        ("find", {"code": 11600, "codeName": "InterruptedAtShutdown", "errmsg": "no"}, "continues"),
        ("find", {"code": 2, "codeName": "BadValue", "errmsg": "unknown operator: $x"}, "--query"),
        ("find", {"code": 50, "codeName": "MaxTimeMSExpired", "errmsg": "limit"}, "limit"),
        ("find", {"code": 59, "codeName": "CommandNotFound", "errmsg": "no"}, "MongoDB 4.2"),
    ],
)
def test_a_refusal_names_the_collection_and_a_remedy(
    mongo: MongoServer,
    open_reader: OpenReader,
    shop: Shop,
    command: str,
    reply: Document,
    said: str,
) -> None:
    shop.things.insert_one({"_id": 1})
    reader = open_reader("things")
    mongo.answer(command, reply)
    (whole,) = number_ranges([EVERYTHING])
    with pytest.raises(SourceError, match="collection things") as caught:
        reader.read_range(whole)
    assert str(reply["code"]) in caught.value.message
    assert said in caught.value.remedy


def test_metadata_are_those_of_mongodump(mongo: MongoServer, shop: Shop) -> None:
    shop.users.insert_one({"_id": 1})
    shop.users.create_index([("email", 1)], unique=True, partialFilterExpression={"n": {"$gt": 5}})
    options = {"capped": True, "size": 4096, "validator": {"n": {"$type": "int"}}}
    uuid = bson.Binary(bytes(range(16)), 4)
    infos = [
        {"name": "users", "type": "collection", "options": options, "info": {"uuid": uuid}},
        {"name": "adults", "type": "view", "options": {"viewOn": "users", "pipeline": []}},
        {"name": "heat", "type": "timeseries", "options": {"timeseries": {"timeField": "t"}}},
        {"name": "system.buckets.heat", "type": "collection", "options": {"clusteredIndex": True}},
        {"name": "system.views", "type": "collection", "options": {}},
    ]
    batch = {"id": Int64(0), "ns": "shop.$cmd.listCollections", "firstBatch": infos}
    mongo.answer("listCollections", {"cursor": batch})
    with closing(Server(f"{mongo.url}shop")) as server:
        assert [each.name for each in server.collections] == ["system.buckets.heat", "users"]
        assert server.ignored == ("adults (a view on users)", "system.views (the server's own)")
        users, heat, adults = map(server.read_metadata, ["users", "system.buckets.heat", "adults"])
    facts = json.loads(users or "")
    assert facts["options"]["size"] == {"$numberInt": "4096"}
    assert facts["uuid"] == bytes(range(16)).hex()
    assert [index["name"] for index in facts["indexes"]] == ["_id_", "email_1"]
    assert facts["indexes"][1]["unique"] is True
    assert json.loads(heat or "")["options"] == {"timeseries": {"timeField": "t"}}
    assert json.loads(adults or "")["options"] == {"viewOn": "users", "pipeline": []}
    assert (facts["collectionName"], facts["type"]) == ("users", "collection")


def test_a_database_is_chosen_or_named(mongo: MongoServer, shop: Shop) -> None:
    shop.things.insert_one({"_id": 1})
    for name in {*mongo.client.list_database_names()} - {"shop"}:
        mongo.client.drop_database(name)
    with closing(Server(mongo.url)) as server:
        assert server.name == "shop"
    with (
        pytest.raises(UsageError, match="no database 'shops'") as caught,
        closing(Server(f"{mongo.url}shops")) as server,
    ):
        assert server.collections
    assert "shop" in caught.value.remedy
    mongo.client.second.things.insert_one({"_id": 1})
    try:
        with pytest.raises(UsageError, match="second, shop") as caught:
            Server(mongo.url)
        assert "--db" in caught.value.remedy
        with closing(Server(mongo.url, SourceOptions(database="second"))) as server:
            assert [each.name for each in server.collections] == ["things"]
    finally:
        mongo.client.drop_database("second")


def test_who_may_not_list_collections_sees_those_that_may_be_read(
    mongo: MongoServer, shop: Shop
) -> None:
    shop.things.insert_one({"_id": 1})
    mongo.answer("listCollections", DENIED, times=1)
    mongo.answer("collStats", DENIED)
    with closing(Server(f"{mongo.url}shop")) as server:
        assert [each.name for each in server.collections] == ["things"]


def test_a_sample_is_drawn(open_reader: OpenReader, shop: Shop) -> None:
    shop.things.insert_many([{"_id": n, "text": "x" * 100} for n in range(500)])
    reader = open_reader("things")
    drawn = [document for part in reader.sample(50) for document in part]
    assert len({raw for _, raw in drawn}) == 50
    shares = [share for _, share in reader.read_samples(1000, 5)]
    assert 0 < sum(shares) < 0.5
