"""A running MongoDB is loaded and verified while applications write to it."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import bson
import pytest
from bson import Int64, ObjectId
from pymongo.database import Database
from tests.servers.mongo import MongoServer

from assise.cli.run import run
from assise.errors import ChangedError, EditedError, SourceError, UsageError
from assise.manifest.write import dump_manifest
from assise.mongo.cursor import CollectionReader
from assise.mongo.source import SourceOptions
from assise.progress import Progress
from assise.project import Project
from assise.rows.keys import objectid_to_uuid
from assise.transfer.report import Since, Verified

pytestmark = pytest.mark.contract

Document = dict[str, Any]
Shop = Database[Document]
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


def fill(shop: Shop, count: int = 300) -> list[Document]:
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


def test_an_estimate_knows_how_many_documents_there_are(
    project: Project, shop: Shop, url: str
) -> None:
    """The server says so: of the large collection a part is read."""
    shop.users.insert_many([{"n": n, "text": "x" * 10_000} for n in range(2_000)])
    shop.notes.insert_many([{"n": n} for n in range(50)])
    project.write_manifest(project.infer(url))
    plan = project.plan(url)
    assert plan.documents["notes"] == 50
    assert plan.documents["users"] == pytest.approx(2_000, rel=0.05)
    options = SourceOptions(queries={"users": '{"n": {"$lt": 500}}'})
    assert project.plan(url, options=options).documents["users"] == pytest.approx(500, rel=0.05)


@pytest.fixture
def loaded(database: str, tmp_path: Path, shop: Shop, url: str) -> tuple[Project, list[Document]]:
    """A project with 300 users loaded in many ranges, by two workers."""
    users = fill(shop)
    settings = {"load.chunk_bytes": 4096, "workers": 2}
    project = Project(tmp_path, to=database, settings=settings)
    report = project.migrate(url, confirm=agree)
    assert report.verified == Verified(equal=300)
    return project, users


Loaded = tuple[Project, list[Document]]


def verify(project: Project) -> tuple[Verified, Since]:
    report = project.verify()
    (collection,) = report.collections
    assert collection.verified
    assert collection.since
    assert (
        collection.verified.equal + collection.verified.different + collection.verified.missing
        == 300
    )
    return collection.verified, collection.since


def test_what_changed_in_the_source_is_no_difference(loaded: Loaded, shop: Shop) -> None:
    project, users = loaded
    shop.users.update_one(
        {"_id": users[7]["_id"]}, {"$set": {"name": "other"}, "$unset": {"in": 1}}
    )
    shop.users.replace_one({"_id": users[8]["_id"]}, {"tags": [1], "n": "text"})
    shop.users.delete_one({"_id": users[9]["_id"]})
    shop.users.insert_many([{"name": "new"}, {"name": "newer"}, {"name": "newest"}])
    assert verify(project) == (Verified(equal=300), Since(changed=2, deleted=1, added=3))
    assert project.verify().exit_code == 0


def test_a_new_document_whose_id_is_of_a_new_type_is_added(loaded: Loaded, shop: Shop) -> None:
    """The ranges of the load are of ObjectIds, and match no other id."""
    project, _ = loaded
    shop.users.insert_many([{"_id": n} for n in range(5)])
    shop.users.insert_many([{"_id": "text"}, {"_id": datetime(2026, 1, 1, tzinfo=UTC)}])
    assert verify(project) == (Verified(equal=300), Since(added=7))


def test_a_row_that_is_not_what_was_loaded_is_different(
    loaded: Loaded, shop: Shop, query: Query
) -> None:
    project, users = loaded
    keys = [objectid_to_uuid(str(user["_id"])) for user in users]
    # Both changed in SQL; of one the source has changed, too, of one it is gone.
    for n in (1, 2, 3):
        query("UPDATE users SET name = 'wrong' WHERE id = %s", (keys[n],))
    shop.users.update_one({"_id": users[2]["_id"]}, {"$set": {"n": 99}})
    shop.users.delete_one({"_id": users[3]["_id"]})
    # Gone from both; gone from the target alone; changed in the same way in both.
    query("DELETE FROM users WHERE id = ANY(%s)", (keys[4:6],))
    shop.users.delete_one({"_id": users[4]["_id"]})
    query("UPDATE users SET name = 'same' WHERE id = %s", (keys[6],))
    shop.users.update_one({"_id": users[6]["_id"]}, {"$set": {"name": "same"}})
    found, since = verify(project)
    assert found == Verified(equal=295, different=3, missing=2)
    assert since == Since()
    assert project.verify().exit_code == 3


def test_a_row_of_nobody_is_extra(loaded: Loaded, shop: Shop, query: Query) -> None:
    project, users = loaded
    query("INSERT INTO users (id, name) VALUES (gen_random_uuid(), 'nobody')")
    shop.users.delete_one({"_id": users[0]["_id"]})
    shop.users.insert_one({"name": "new"})
    found, since = verify(project)
    assert found == Verified(equal=300, extra=1)
    assert since == Since(deleted=1, added=1)
    assert "comes from no document" in project.verify().collections[0].differences[0]


@pytest.mark.usefixtures("loaded")
def test_the_ranges_and_digests_stand_in_the_ledger(query: Query) -> None:
    ((count, size),) = query("SELECT count(*), sum(length(digests)) FROM assise.live_chunk")
    assert isinstance(count, int)
    assert count > 5
    assert size == 300 * 24
    ((ranges,),) = query("SELECT jsonb_array_length(survey->'ranges') FROM assise.collection")
    assert ranges == count


def test_documents_that_are_written_while_they_are_read(
    database: str, tmp_path: Path, shop: Shop, url: str
) -> None:
    users = fill(shop, 2000)
    rng, is_over = random.Random(5), Event()
    goers = [user["_id"] for user in users[1000:]]
    stay = {user["_id"] for user in users[:1000]}

    def write() -> None:
        while not is_over.is_set():
            shop.users.update_one({"_id": rng.choice(users)["_id"]}, {"$inc": {"n": 1}})
            # There is always one that can go, however long it takes until they are read.
            goers.insert(0, shop.users.insert_one({"name": "new"}).inserted_id)
            gone = goers.pop()
            shop.users.delete_one({"_id": gone})
            if rng.random() < 0.5:
                shop.users.insert_one({"_id": gone, "name": "again"})

    settings = {"load.chunk_bytes": 4096, "workers": 2}
    project = Project(tmp_path, to=database, settings=settings)
    writer = Thread(target=write)
    writer.start()
    try:
        report = project.migrate(url, confirm=agree)
    finally:
        is_over.set()
        writer.join()
    assert report.rejected == 0
    assert report.verified
    assert report.verified.is_clean
    assert report.verified.equal == report.loaded
    exported: list[ObjectId] = []
    project.export("users", lambda raw: exported.append(bson.decode(raw)["_id"]))
    assert stay <= set(exported)
    assert len(exported) == len(set(exported)) == report.loaded
    since = report.collections[0].since
    assert since
    assert min(since.changed, since.deleted, since.added) > 0


def test_a_range_that_has_grown_is_split(
    database: str,
    tmp_path: Path,
    shop: Shop,
    url: str,
    query: Query,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(shop)
    # The default of a parameter: one process loads, and reads 8 KB at once, not 40 MB.
    monkeypatch.setattr(CollectionReader.read_range, "__kwdefaults__", {"limit": 8192})
    project = Project(tmp_path, to=database)
    report = project.migrate(url, confirm=agree)
    assert report.verified == Verified(equal=300)
    assert report.documents == 300
    ((ranges,),) = query("SELECT jsonb_array_length(survey->'ranges') FROM assise.collection")
    ((chunks,),) = query("SELECT count(*) FROM assise.chunk")
    assert ranges == chunks
    assert isinstance(chunks, int)
    assert chunks > 3
    assert project.load().was_done
    assert project.verify().verified == Verified(equal=300)


def test_rejects_are_known_again(project: Project, shop: Shop, url: str, query: Query) -> None:
    fill(shop)
    shop.users.insert_many([{"_id": n, "name": "int"} for n in range(3)])
    project.path.write_text(
        "assise: 1\nname: shop\ntables:\n  users:\n    collection: users\n"
        "    primary_key: id\n    columns:\n      id: {type: uuid, from: _id}\n      name: text\n"
    )
    report = project.migrate(url, confirm=agree)
    assert (report.documents, report.loaded, report.rejected) == (303, 300, 3)
    assert report.verified == Verified(equal=300)
    assert query("SELECT DISTINCT reason FROM assise.reject") == [(5,)]
    shop.users.update_one({"_id": 1}, {"$set": {"name": "other"}})
    _, since = verify(project)
    assert since == Since(added=1)


def test_a_query_is_kept_and_stands_in_every_report(
    database: str,
    tmp_path: Path,
    shop: Shop,
    url: str,
    query: Query,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(shop)
    said: list[str] = []
    project = Project(tmp_path, to=database, log=said.append)
    options = SourceOptions(queries={"users": '{"n": {"$lt": 100}}'})
    report = project.migrate(url, options, confirm=agree)
    assert report.documents == 100
    assert any('{"n": {"$lt": 100}}' in line for line in said)
    assert query("SELECT options->'queries'->>'users' FROM assise.load") == [
        ('{"n": {"$lt": 100}}',)
    ]
    assert project.load().documents == 100
    verified = project.verify()
    assert verified.verified == Verified(equal=100)
    for each in (report, verified):
        assert each.as_json()["queries"] == {"users": '{"n": {"$lt": 100}}'}
    assert run(["verify", "-f", str(tmp_path), "--to", database]) == 0
    assert 'of users only what {"n": {"$lt": 100}} matches' in capsys.readouterr().out
    kept = re.escape('with --query users={"n": {"$lt": 100}}, not without --query')
    with pytest.raises(ChangedError, match=kept):
        project.migrate(url, confirm=agree)


def test_a_key_that_is_a_place_is_refused_before_anything_is_written(
    project: Project, shop: Shop, url: str, query: Query
) -> None:
    fill(shop)
    shop.notes.insert_many([{"n": n} for n in range(5)])
    project.write_manifest(project.infer(url))
    text = project.path.read_text()
    before, _, users = text.partition("  users:")
    changed = re.sub(r"\bid: .*", "id: {type: int8, kind: offset}", users, count=1)
    project.path.write_text(f"{before}  users:{changed}")
    for verb in (project.load, project.migrate, project.plan):
        with pytest.raises(UsageError, match="'users' have no offset that stays") as error:
            verb(url)
        assert "mongodump --collection users" in error.value.remedy
    assert query("SELECT to_regnamespace('assise'), to_regclass('notes')")[0][1] is None


@pytest.mark.parametrize("step", ["load", "verify"])
def test_a_server_that_dies_ends_the_command_and_the_next_goes_on(
    step: str, mortal_mongo: MongoServer, database: str, tmp_path: Path, query: Query
) -> None:
    fill(mortal_mongo.client.shop)
    url = f"{mortal_mongo.url}shop?serverSelectionTimeoutMS=500"

    def kill(progress: Progress) -> None:
        # The first chunks are done, and others are not.
        if progress.step == step:
            mortal_mongo.kill()

    settings = {"load.chunk_bytes": 4096}
    project = Project(tmp_path, to=database, progress=kill, settings=settings)
    project.write_manifest(project.infer(url))
    if step == "verify":
        project.load(url, confirm=agree)
    run = project.verify if step == "verify" else partial(project.load, url, confirm=agree)
    with pytest.raises(SourceError) as caught:
        run()
    assert "users" in caught.value.message
    ((chunks,),) = query("SELECT count(*) FROM assise.chunk")
    assert isinstance(chunks, int)
    assert chunks > 0
    assert query("SELECT finished_at IS NULL FROM assise.load") == [(step == "load",)]


def test_a_load_goes_on_with_the_ranges_that_it_has(
    mongo: MongoServer, database: str, tmp_path: Path, shop: Shop, url: str, query: Query
) -> None:
    users = fill(shop)
    project = Project(tmp_path, to=database, settings={"load.chunk_bytes": 4096})
    project.write_manifest(project.infer(url))
    denied = {"code": 13, "codeName": "Unauthorized", "errmsg": "not authorized"}
    mongo.answer("find", denied, "users", skip=5)
    with pytest.raises(SourceError, match="not authorized"):
        project.load(url, confirm=agree)
    mongo.answer_truly()
    before = query("SELECT start_offset, xid FROM assise.chunk ORDER BY 1")
    assert before
    # Of these, one is loaded already and one is not.
    for n in (0, 299):
        shop.users.update_one({"_id": users[n]["_id"]}, {"$set": {"name": "later"}})
    shop.users.insert_many([{"_id": ObjectId(), "name": "new"} for _ in range(50)])
    report = project.load()
    assert not report.was_done
    after = query("SELECT start_offset, xid FROM assise.chunk ORDER BY 1")
    assert after[: len(before)] == before
    found = project.verify()
    assert found.verified
    assert found.verified.is_clean
    assert found.collections[0].since == Since(changed=1)
    # The last range is open: what was inserted behind it is loaded.
    assert report.documents == 350


def test_a_large_collection_is_inferred_from_a_sample(
    database: str, tmp_path: Path, shop: Shop, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shop)
    shop.small.insert_many([{"n": n} for n in range(50)])
    shop.users.create_index("n", unique=True)
    shop.small.create_index("n", unique=True)
    monkeypatch.setattr("assise.transfer.profile.SAMPLED_FROM", 100)
    said, seen = list[str](), dict[str, int]()

    def see(progress: Progress) -> None:
        seen[progress.collection] = progress.documents

    project = Project(tmp_path, to=database, log=said.append, progress=see)
    proposal = project.infer(url, sample=40)
    assert seen == {"users": 40, "small": 50}
    assert any("users: 40 of 300 documents" in line for line in said)
    assert {"id", "name", "n", "tags"} <= proposal.manifest.tables["users"].columns.keys()
    text = dump_manifest(proposal.manifest, comments=proposal.comments)
    before, _, users = text.partition("  users:")
    assert "unique: " in before
    assert "unique: " not in users
    with pytest.raises(UsageError, match="sample of 0"):
        project.infer(url, sample=0)


def test_a_sample_says_nothing_of_what_a_rare_document_may_break(
    mongo: MongoServer,
    tmp_path: Path,
    shop: Shop,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(shop)
    shop.users.create_index("n", unique=True)
    # mongo-java-server has no validators: an answer after MongoDB's manual.
    options = {"validator": {"$jsonSchema": {"required": ["name"]}}}
    infos = [{"name": "users", "type": "collection", "options": options}]
    batch = {"id": Int64(0), "ns": "shop.$cmd.listCollections", "firstBatch": infos}
    mongo.answer("listCollections", {"cursor": batch})
    monkeypatch.setattr("assise.transfer.profile.SAMPLED_FROM", 100)
    infer = ["infer", url, "-f", str(tmp_path), "-o", "-"]
    assert run(infer) == 0
    whole = capsys.readouterr().out
    assert run([*infer, "--sample", "40"]) == 0
    sampled = capsys.readouterr()
    assert "users: 40 of 300 documents are read, drawn at random" in sampled.err
    for rule in ("not_null: ", "unique: "):
        assert rule in whole
        assert rule not in sampled.out


def test_a_collection_that_may_not_be_read_can_be_left_out(
    mongo: MongoServer,
    database: str,
    tmp_path: Path,
    shop: Shop,
    url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(shop)
    shop.secrets.insert_one({"n": 1})
    denied = {"code": 13, "codeName": "Unauthorized", "errmsg": "not authorized on shop"}
    for command in ("find", "aggregate", "collStats", "listIndexes", "count"):
        mongo.answer(command, denied, "secrets")
    migrate = ["migrate", url, "-f", str(tmp_path), "--to", database, "--yes"]
    assert run(migrate) == 1
    said = capsys.readouterr().err
    assert "collection secrets: not authorized on shop" in said
    assert "(code 13)" in said
    assert "--skip" in said
    assert run([*migrate, "--skip", "secrets"]) == 0
    assert "300 equal" in capsys.readouterr().out


def test_a_password_is_seen_nowhere(
    mongo: MongoServer,
    database: str,
    tmp_path: Path,
    shop: Shop,
    query: Query,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(shop)
    secret = "s3cret-word"
    # mongo-java-server has no users: the answer of a server that takes the password.
    welcome = {"conversationId": 1, "done": True, "payload": b""}
    mongo.answer("saslStart", welcome)
    address = mongo.url.removeprefix("mongodb://")
    options = "authMechanism=PLAIN&authSource=$external"
    monkeypatch.setenv("MONGO_PASSWORD", secret)
    url = f"mongodb://anna:${{MONGO_PASSWORD}}@{address}shop?{options}"
    said, commands = list[str](), set[str]()

    is_over = Event()

    def look() -> None:
        while not is_over.wait(0.01):
            for process in Path("/proc").iterdir():
                with suppress(OSError):
                    commands.add((process / "cmdline").read_text())

    settings = {"workers": 2, "load.chunk_bytes": 4096}
    project = Project(tmp_path, to=database, log=said.append, settings=settings)
    watcher = Thread(target=look)
    watcher.start()
    try:
        report = project.migrate(url, confirm=agree)
    finally:
        is_over.set()
        watcher.join()
    assert report.verified == Verified(equal=300)
    assert any("assise.transfer.workers" in command for command in commands)
    ((ledger,),) = query(
        "SELECT string_agg(l::text || c::text, '') FROM assise.load l, assise.collection c"
    )
    shown = [*said, *commands, str(ledger), json.dumps(report.as_json()), project.path.read_text()]
    assert not [text for text in shown if secret in text]
    assert f"mongodb://anna@{address}shop?{options}" in str(ledger)
    with pytest.raises(SourceError, match="password is required") as caught:
        project.verify()
    assert "${MONGO_URL}" in caught.value.remedy
    monkeypatch.setenv("MONGO_URL", url.replace("${MONGO_PASSWORD}", secret))
    assert project.verify("${MONGO_URL}").verified == Verified(equal=300)
    assert project.load("${MONGO_URL}").was_done
    refused = {"code": 18, "codeName": "AuthenticationFailed", "errmsg": "Authentication failed."}
    mongo.answer_truly()
    mongo.answer("saslStart", refused)
    with pytest.raises(SourceError, match="Authentication failed") as caught:
        project.verify("${MONGO_URL}")
    assert "authSource" in caught.value.remedy
    assert secret not in str(caught.value)


def test_what_the_server_says_of_collections_stands_in_the_ledger(
    mongo: MongoServer, database: str, tmp_path: Path, shop: Shop, url: str, query: Query
) -> None:
    fill(shop)
    shop.users.create_index("name", unique=True)
    options = {"validator": {"n": {"$gte": 0}}, "capped": True, "size": 1 << 20}
    infos = [
        {"name": "users", "type": "collection", "options": options},
        {"name": "adults", "type": "view", "options": {"viewOn": "users", "pipeline": []}},
    ]
    # mongo-java-server has no options and no views: an answer after MongoDB's manual.
    batch = {"id": Int64(0), "ns": "shop.$cmd.listCollections", "firstBatch": infos}
    mongo.answer("listCollections", {"cursor": batch})
    said = list[str]()
    project = Project(tmp_path, to=database, log=said.append)
    project.migrate(url, confirm=agree)
    assert "not read: adults (a view on users)" in said
    rows = query("SELECT metadata FROM assise.collection ORDER BY name")
    adults, users = (json.loads(str(text)) for (text,) in rows)
    assert users["options"]["validator"] == {"n": {"$gte": {"$numberInt": "0"}}}
    assert [index["name"] for index in users["indexes"]] == ["_id_", "name_1"]
    assert adults["options"] == {"viewOn": "users", "pipeline": []}
    assert adults["type"] == "view"


def test_another_database_of_the_server_is_not_the_source(
    loaded: Loaded, mongo: MongoServer
) -> None:
    """Its collections may have the same names, and no digest would say that they are others."""
    project, _ = loaded
    other = f"{mongo.url}shop_of_today"
    mongo.client.shop_of_today.users.insert_one({"_id": ObjectId()})
    for verb in (project.load, project.verify, project.repair):
        with pytest.raises(
            ChangedError, match="was loaded from the database shop, not from shop_"
        ) as told:
            verb(other)
        assert "-f" in told.value.remedy
    assert verify(project) == (Verified(equal=300), Since())
    mongo.client.drop_database("shop_of_today")


def test_rows_are_repaired_by_what_a_live_source_has_now(
    loaded: Loaded, shop: Shop, query: Query
) -> None:
    project, users = loaded
    keys = [objectid_to_uuid(str(user["_id"])) for user in users]
    query("UPDATE users SET name = 'wrong' WHERE id = ANY(%s)", (keys[1:3],))
    query("DELETE FROM users WHERE id = ANY(%s)", (keys[3:6],))
    # Of these the source has changed, too; of one it is gone; one has changed there alone.
    shop.users.update_many({"_id": {"$in": [users[2]["_id"], users[3]["_id"]]}}, {"$set": {"n": 7}})
    shop.users.delete_one({"_id": users[5]["_id"]})
    shop.users.update_one({"_id": users[6]["_id"]}, {"$set": {"n": 8}})
    before = query("SELECT digests FROM assise.live_chunk ORDER BY start_offset")
    plan = project.repair(dry_run=True)
    assert [(table.name, table.written) for table in plan.tables] == [("users", 4)]
    assert query("SELECT digests FROM assise.live_chunk ORDER BY start_offset") == before
    with pytest.raises(EditedError, match="2 rows changed since the load"):
        project.repair(confirm=agree)
    done = project.repair(confirm=agree, replace=["users"])
    assert done.is_done
    found = query("SELECT id, name, n FROM users WHERE id = ANY(%s) ORDER BY id", (keys[1:4],))
    sevens = [(keys[n], users[n]["name"], 7) for n in (2, 3)]
    assert found == [(keys[1], users[1]["name"], users[1]["n"]), *sevens]
    # What is gone from both cannot be written; what has changed in the source alone is left.
    assert verify(project) == (Verified(equal=299, missing=1), Since(changed=1))
    # The digests are those of what was written: a later change in the source is one.
    shop.users.update_one({"_id": users[2]["_id"]}, {"$set": {"n": 9}})
    assert verify(project) == (Verified(equal=299, missing=1), Since(changed=2))


def test_a_row_of_nobody_is_removed_by_name_alone(loaded: Loaded, query: Query) -> None:
    project, _ = loaded
    query("INSERT INTO users (id, name) VALUES (gen_random_uuid(), 'nobody')")
    with pytest.raises(EditedError, match="1 row that the source has not"):
        project.repair(confirm=agree)
    project.repair(confirm=agree, replace=["users"])
    assert verify(project) == (Verified(equal=300), Since())


@pytest.mark.usefixtures("loaded")
def test_verify_of_a_live_source_suggests_the_repair(
    database: str,
    tmp_path: Path,
    query: Query,
    capsys: pytest.CaptureFixture[str],
) -> None:
    query("DELETE FROM users WHERE n = 7")
    assert run(["verify", "-f", str(tmp_path), "--to", database]) == 3
    said = capsys.readouterr()
    assert "1 missing" in said.out
    assert "assise verify --repair" in said.err
    assert run(["verify", "-f", str(tmp_path), "--to", database, "--repair", "--yes"]) == 0


ORPHANS = """assise: 1
name: shop
tables:
  users:
    collection: users
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      boss: {type: uuid, references: users, orphans: reject}
      name: {type: text, unique: true, duplicates: reject}
"""


def test_orphans_of_a_live_source_are_rejected_as_they_were_loaded(
    tmp_path: Path, database: str, shop: Shop, url: str, query: Query
) -> None:
    users = fill(shop)
    for n in (10, 20, 30, 40):
        shop.users.update_one({"_id": users[n]["_id"]}, {"$set": {"boss": ObjectId()}})
    shop.users.update_one({"_id": users[50]["_id"]}, {"$set": {"boss": users[40]["_id"]}})
    shop.users.update_one({"_id": users[60]["_id"]}, {"$set": {"name": "user 7"}})
    settings = {"load.chunk_bytes": 4096, "workers": 2}
    project = Project(tmp_path, to=database, settings=settings)
    project.path.write_text(ORPHANS.replace("orphans: reject", "orphans: keep"))
    project.migrate(url, confirm=agree)
    loaded = [shop.users.find_one({"_id": users[n]["_id"]}) for n in (10, 20, 30, 40, 50, 60)]
    shop.users.update_one({"_id": users[20]["_id"]}, {"$set": {"name": "changed"}})
    shop.users.delete_one({"_id": users[30]["_id"]})
    project.path.write_text(ORPHANS)
    report = project.load()
    assert (report.documents, report.loaded, report.rejected) == (300, 294, 6)
    assert query("SELECT count(*) FROM users") == [(294,)]
    raws = [project.reject_bytes("users", reject.offset) for reject in project.rejects()]
    found = [bson.decode(raw) for raw in raws]
    assert sorted(found, key=lambda each: str(each["_id"])) == loaded
    verified = project.verify()
    assert verified.verified == Verified(equal=294)
    # The changed document is no longer the one that was rejected, and is not loaded: a new one.
    assert verified.collections[0].since == Since(added=1)
    assert project.load().rejected == 6


def test_orphans_of_a_live_source_that_are_null_are_repaired(
    tmp_path: Path, database: str, shop: Shop, url: str, query: Query
) -> None:
    users = fill(shop)
    ids = [user["_id"] for user in users]
    nobody, other = ObjectId(), ObjectId()
    for n, boss in {10: nobody, 20: nobody, 30: nobody, 50: ids[40]}.items():
        shop.users.update_one({"_id": ids[n]}, {"$set": {"boss": boss}})
    project = Project(tmp_path, to=database, settings={"load.chunk_bytes": 4096, "workers": 2})
    project.path.write_text(ORPHANS.replace(": reject", ": null"))
    report = project.migrate(url, confirm=agree)
    assert (report.loaded, report.rejected, report.verified) == (300, 0, Verified(equal=300))
    keys = [objectid_to_uuid(str(ids[n])) for n in (10, 20, 30, 50)]
    rows = "SELECT id, boss, _extra->'boss' FROM users WHERE id = ANY(%s) ORDER BY id"
    note = {"$nulled": {"$oid": str(nobody)}}
    chief = objectid_to_uuid(str(ids[40]))
    loaded: list[object] = [(key, None, note) for key in keys[:3]]
    loaded.append((keys[3], chief, None))
    assert query(rows, (keys,)) == loaded
    # One row has lost its note, two are gone, and one of these names another in the source now.
    query("UPDATE users SET _extra = _extra - 'boss' WHERE id = %s", (keys[0],))
    query("DELETE FROM users WHERE id = ANY(%s)", (keys[1:3],))
    shop.users.update_one({"_id": ids[30]}, {"$set": {"boss": other}})
    assert verify(project) == (Verified(equal=297, different=1, missing=2), Since())
    assert project.repair(confirm=agree, replace=["users"]).is_done
    loaded[2] = (keys[2], None, {"$nulled": {"$oid": str(other)}})
    assert query(rows, (keys,)) == loaded
    assert verify(project) == (Verified(equal=300), Since())
    assert project.load().loaded == 300
