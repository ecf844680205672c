"""Collections that stay in MongoDB become what the manifest says, and nothing is lost by it."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from pymongo.errors import OperationFailure
from tests.servers.mongo import MongoServer

from assise.collections.ensure import Difference
from assise.collections.examine import list_duplicates
from assise.collections.indexes import IndexForm, IndexKey
from assise.errors import CollectionError, UsageError
from assise.mongo.commands import MongoDatabase
from assise.project import Project

pytestmark = pytest.mark.contract

Shop = Database[dict[str, Any]]
Write = Callable[[str], Project]
A: IndexKey = (("a", 1),)
A_AND_B: IndexKey = (("a", 1), ("b", -1))
A_X: IndexKey = (("a.x", 1),)
NOW = dt.datetime.now(dt.UTC)
OLD = NOW - dt.timedelta(days=400)


@pytest.fixture
def write(tmp_path: Path, mongo: MongoServer) -> Write:
    """Writes a manifest with these collections on the server."""

    def write_one(collections: str) -> Project:
        head = f'assise: 1\nname: shop\nmongo: "{mongo.url}shop"\ntables: {{}}\ncollections:\n'
        (tmp_path / "assise.yaml").write_text(head + collections)
        return Project(tmp_path)

    return write_one


def agree(_question: str) -> bool:
    return True


def say(found: list[Difference]) -> list[str]:
    return [f"{each.collection}: {each.words} [{each.state}]" for each in found]


DEVORA = """
  users:
    indexes:
      - {columns: email, unique: true}
      - [subscription_status, -created_at]
      - {columns: [name], where: '{"active": true}', collation: {locale: fr, strength: 2}}
  projects:
    indexes: [user_id, {text: [name, description]}, {"2dsphere": place}]
  deployments: {keep: {created_at: 90 days}}
"""


def test_what_is_missing_is_built_and_then_nothing_differs(shop: Shop, write: Write) -> None:
    project = write(DEVORA)
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return True

    before = project.mongo.diff()
    assert {each.state for each in before} == {"to do"}
    assert shop.list_collection_names() == []
    done = project.mongo.ensure(confirm=confirm)
    assert say(done) == [line.replace("[to do]", "[done]") for line in say(before)]
    assert len(asked) == 1
    assert asked[0].startswith("10 changes to database shop of mongodb://")
    assert project.mongo.diff() == []
    assert project.mongo.ensure() == []  # nothing is asked where nothing is done
    users, projects = shop.users.index_information(), shop.projects.index_information()
    assert users["email_1"]["unique"] is True
    assert users["subscription_status_1_created_at_-1"]["key"] == [
        ("subscription_status", 1),
        ("created_at", -1),
    ]
    assert users["name_1"]["partialFilterExpression"] == {"active": True}
    assert users["name_1"]["collation"]["strength"] == 2
    assert {"user_id_1", "name_text_description_text", "place_2dsphere"} <= projects.keys()
    kept = shop.deployments.index_information()["created_at_1"]
    assert kept["expireAfterSeconds"] == 90 * 86_400


def test_nothing_is_done_without_an_answer(shop: Shop, write: Write) -> None:
    project = write("  users: {indexes: [email]}\n")
    with pytest.raises(UsageError, match="not confirmed: 2 changes to database shop"):
        project.mongo.ensure()
    assert shop.list_collection_names() == []


def test_duplicates_are_listed_and_the_others_are_built(shop: Shop, write: Write) -> None:
    ids = [ObjectId() for _ in range(6)]
    emails: list[object] = ["a@b.example", "a@b.example", None, "c", ["d", "e"], "e"]
    shop.users.insert_many(
        {"_id": each, "email": email} for each, email in zip(ids, emails, strict=True)
    )
    shop.users.insert_one({"name": "no e-mail"})
    project = write("  users: {indexes: [{columns: email, unique: true}, name]}\n")
    (unique, name) = project.mongo.ensure(confirm=agree)
    assert (unique.state, name.state) == ("blocked", "done")
    assert unique.why[0] == "3 values in several documents"
    assert {line.partition(", such as")[0] for line in unique.why[1:]} == {
        'email: "a@b.example" in 2 documents',
        "email: null in 2 documents",
        'email: "e" in 2 documents',
    }
    assert str(ids[0]) in str(unique.why)
    assert str(ids[1]) in str(unique.why)
    assert set(shop.users.index_information()) == {"_id_", "name_1"}


def test_duplicates_are_those_that_the_server_refuses(mongo: MongoServer, shop: Shop) -> None:
    """All but empty arrays, which mongo-java-server takes twice and MongoDB does not."""
    chances, outcomes = random.Random(20), Counter[bool]()
    values = [None, 1, 1.0, 2, "1", [1, 2], [2, 2], [{"x": 1}], {"x": 1}, {"x": [1]}, True]
    database = MongoDatabase(f"{mongo.url}shop")
    for _ in range(60):
        shop.things.drop()
        for n in range(chances.randint(2, 4)):
            each = {"_id": n, "a": chances.choice(values), "b": chances.choice([1, 2])}
            del each[chances.choice(["a", "b", "_id"])]
            shop.things.insert_one(each)
        form = IndexForm("unique", chances.choice([A, A_AND_B, A_X]), is_unique=True)
        found = [*database.aggregate("things", list_duplicates(form))]
        try:
            shop.things.create_index([*form.key], unique=True)
        except OperationFailure:
            assert found
        else:
            assert not found
        outcomes[bool(found)] += 1
    database.close()
    assert min(outcomes[True], outcomes[False]) > 10


def test_an_empty_array_is_no_null_and_two_are_one_value(mongo: MongoServer, shop: Shop) -> None:
    shop.things.insert_many([{"_id": 1, "a": []}, {"_id": 2, "a": None}, {"_id": 3, "a": []}])
    pipeline = list_duplicates(IndexForm("unique", A, is_unique=True))
    database = MongoDatabase(f"{mongo.url}shop")
    (group,) = database.aggregate("things", pipeline)
    assert (group["one"], group["other"]) == (1, 3)
    database.close()


def test_values_outside_a_partial_or_sparse_index_are_no_duplicates(
    shop: Shop, write: Write
) -> None:
    shop.users.insert_many([{"email": "a", "gone": True}, {"email": "a"}, {"n": 1}, {"n": 1}])
    partial = """{columns: email, unique: true, where: '{"gone": true}'}"""
    project = write(
        f"  users: {{indexes: [{partial}, {{columns: m, unique: true, sparse: true}}]}}"
    )
    assert [each.state for each in project.mongo.diff()] == ["to do", "to do"]


def test_accounts_are_deleted_by_their_time_with_yes_alone(shop: Shop, write: Write) -> None:
    users = [{"_id": n, "last_login": OLD if n < 3 else NOW} for n in range(5)]
    shop.users.insert_many(users)
    shop.projects.insert_many({"user_id": n % 5} for n in range(20))
    project = write("  users: {keep: {last_login: 365 days}}\n  projects: {indexes: [user_id]}\n")
    expire, index = project.mongo.ensure(confirm=agree)
    assert (expire.state, index.state) == ("needs --yes", "done")
    assert expire.why == (
        "deletes 3 documents at once, and others later",
        "orphans projects.user_id of 12 documents",
    )
    assert "last_login_1" not in shop.users.index_information()
    (expire,) = project.mongo.ensure(yes=True, confirm=agree)
    assert expire.state == "done"
    assert "last_login_1" in shop.users.index_information()


def test_accounts_need_yes_also_where_none_goes_at_once(shop: Shop, write: Write) -> None:
    (_, expire) = write("  users: {keep: {last_login: 365 days}}\n").mongo.ensure(confirm=agree)
    assert expire.state == "needs --yes"
    assert expire.why == ("deletes 0 documents at once, and others later",)
    assert "last_login_1" not in shop.users.index_information()


def test_a_time_that_deletes_no_accounts_is_told_and_built(shop: Shop, write: Write) -> None:
    shop.events.insert_many({"created_at": OLD} for _ in range(7))
    (step,) = write("  events: {keep: {created_at: 90 days}}\n").mongo.ensure(confirm=agree)
    assert step.state == "done"
    assert step.why == ("deletes 7 documents at once, and others later",)


def test_an_index_of_others_is_hidden_before_it_is_dropped(
    mongo: MongoServer, shop: Shop, write: Write
) -> None:
    shop.users.create_index("old")
    project = write("  users: {indexes: [email]}\n")
    kept = project.mongo.ensure(confirm=agree)
    assert [(each.act, each.state) for each in kept] == [
        ("build", "done"),
        ("hide", "needs --drop"),
    ]
    mongo.answer("collMod", {"hidden_old": False, "hidden_new": True}, "users")
    (hidden,) = project.mongo.ensure(drop=True, confirm=agree)
    assert (hidden.act, hidden.state) == ("hide", "done")
    assert "old_1" in shop.users.index_information()
    listed = [dict(each) for each in shop.users.list_indexes()]
    hidden_now = [{**each, "hidden": True} if each["name"] == "old_1" else each for each in listed]
    cursor = {"id": 0, "ns": "shop.users", "firstBatch": hidden_now}
    mongo.answer("listIndexes", {"cursor": cursor}, "users")
    (left,) = project.mongo.ensure(confirm=agree)
    assert (left.act, left.state) == ("drop", "needs --drop")
    (dropped,) = project.mongo.ensure(drop=True, confirm=agree)
    assert (dropped.act, dropped.state) == ("drop", "done")
    mongo.answer_truly()
    assert set(shop.users.index_information()) == {"_id_", "email_1"}


def test_a_server_that_cannot_hide_drops_only_when_told(
    mongo: MongoServer, shop: Shop, write: Write
) -> None:
    shop.users.create_index("old")
    project = write("  users: {}\n")
    mongo.answer("buildInfo", {"version": "4.2.24", "versionArray": [4, 2, 24, 0]})
    (step,) = project.mongo.diff()
    assert (step.act, step.state) == ("drop", "needs --drop")
    project.mongo.ensure(drop=True, confirm=agree)
    assert set(shop.users.index_information()) == {"_id_"}


def test_an_index_with_the_same_fields_is_rebuilt_only_when_told(shop: Shop, write: Write) -> None:
    shop.users.create_index("email")
    project = write("  users: {indexes: [{columns: email, unique: true}]}\n")
    (step,) = project.mongo.ensure(confirm=agree)
    assert step.words == "rebuild email_1: {email: 1} unique, not {email: 1}"
    assert step.state == "needs --drop"
    assert "unique" not in shop.users.index_information()["email_1"]
    project.mongo.ensure(drop=True, confirm=agree)
    assert shop.users.index_information()["email_1"]["unique"] is True


def test_a_server_that_stops_meanwhile_leaves_what_was_done(
    mongo: MongoServer, shop: Shop, write: Write
) -> None:
    project = write("  users: {indexes: [a, b, c]}\n")
    stops = {"code": 11600, "codeName": "InterruptedAtShutdown", "errmsg": "it shuts down"}
    mongo.answer("createIndexes", stops, skip=1)
    with pytest.raises(CollectionError, match="it shuts down") as caught:
        project.mongo.ensure(confirm=agree)
    assert caught.value.remedy
    mongo.answer_truly()
    assert set(shop.users.index_information()) == {"_id_", "a_1"}
    assert [each.state for each in project.mongo.ensure(confirm=agree)] == ["done", "done"]
    assert project.mongo.diff() == []


def test_a_user_without_rights_and_a_server_that_is_gone_are_told(
    mongo: MongoServer, write: Write, tmp_path: Path
) -> None:
    project = write("  users: {indexes: [a]}\n")
    refusal = {"code": 13, "codeName": "Unauthorized", "errmsg": "not authorized on shop"}
    mongo.answer("listCollections", refusal)
    with pytest.raises(CollectionError, match=r"not authorized on shop .*\(code 13\)") as caught:
        project.mongo.diff()
    assert "dbAdmin" in caught.value.remedy
    mongo.answer_truly()
    text = (tmp_path / "assise.yaml").read_text()
    gone = "mongodb://anna:s3cret@127.0.0.1:9/shop?serverSelectionTimeoutMS=50"
    (tmp_path / "assise.yaml").write_text(text.replace(f"{mongo.url}shop", gone))
    with pytest.raises(CollectionError, match="cannot be reached") as caught:
        project.mongo.diff()
    assert "s3cret" not in str(caught.value)


def test_a_collection_that_is_not_declared_is_refused(write: Write) -> None:
    with pytest.raises(UsageError, match="the manifest has no collection 'user'") as caught:
        write("  users: {}\n").mongo.diff(["user"])
    assert "users" in caught.value.remedy
