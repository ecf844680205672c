"""The use of indexes on every member; and the profiler and `explain`, whose answers are planned.

mongo-java-server counts the uses of indexes as 0 and has neither profiler nor `explain`: what a test
plans is written after MongoDB's reference.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymongo import monitoring
from pymongo.database import Database
from tests.servers.mongo import MongoServer

from assise.collections.profiler import watch_profiler
from assise.errors import CollectionError, UsageError
from assise.mongo.commands import MongoDatabase
from assise.project import Project

pytestmark = pytest.mark.contract

Shop = Database[dict[str, Any]]
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def project(tmp_path: Path, mongo: MongoServer) -> Project:
    head = f'assise: 1\nname: shop\nmongo: "{mongo.url}shop?serverSelectionTimeoutMS=500"\ntables: {{}}\n'
    (tmp_path / "assise.yaml").write_text(head)
    return Project(tmp_path)


def name_member(mongo: MongoServer) -> str:
    return mongo.url.removeprefix("mongodb://").rstrip("/")


def plan_stats(mongo: MongoServer, **uses: int) -> None:
    """Have `$indexStats` count these uses."""
    stats = [
        {"name": name, "host": "h", "accesses": {"ops": ops, "since": START}}
        for name, ops in uses.items()
    ]
    reply = {"cursor": {"id": 0, "ns": "shop.users", "firstBatch": stats}}
    mongo.answer("aggregate", reply, "users")


def test_an_index_is_unused_when_no_member_has_used_it(
    mongo: MongoServer, mortal_mongo: MongoServer, shop: Shop, project: Project
) -> None:
    shop.users.create_index("email", unique=True)
    shop.users.create_index("city")
    shop.users.create_index([("city", 1), ("name", 1)])
    shop.users.create_index("at", expireAfterSeconds=60)
    shop.users.create_index("old", hidden=True)
    members = [
        {"name": name_member(each), "stateStr": state}
        for each, state in ((mongo, "PRIMARY"), (mortal_mongo, "SECONDARY"))
    ]
    members.append({"name": "arbiter:27017", "stateStr": "ARBITER"})
    mongo.answer("replSetGetStatus", {"members": members})
    plan_stats(mongo, _id_=9, email_1=0, city_1=0, city_1_name_1=0, at_1=0, old_1=0)
    plan_stats(mortal_mongo, _id_=0, email_1=0, city_1=3, city_1_name_1=0, at_1=0, old_1=0)
    report = project.mongo.indexes()
    assert report.silent == {}
    assert len(report.members) == 2
    assert {each.name: (each.uses, each.says) for each in report.indexes} == {
        "_id_": (9, ()),
        "email_1": (0, ("unused, but keeps its values unique",)),
        "city_1": (3, ("redundant: city_1_name_1 begins with its fields",)),
        "city_1_name_1": (0, ("unused",)),
        "at_1": (0, ()),
        "old_1": (0, ("hidden: no query uses it",)),
    }
    assert {each.since for each in report.indexes} == {START}
    mortal_mongo.kill()
    report = project.mongo.indexes(["users"])
    assert [*report.silent] == [name_member(mortal_mongo)]
    assert not any("unused" in line for each in report.indexes for line in each.says)


def test_a_single_server_counts_for_itself(shop: Shop, project: Project) -> None:
    shop.users.create_index("city")
    report = project.mongo.indexes()
    assert report.members == ["the server"]
    assert [(each.collection, each.name) for each in report.indexes] == [
        ("users", "_id_"), ("users", "city_1")
    ]  # fmt: skip
    assert report.indexes[1].says == ("unused",)


class Commands(monitoring.CommandListener):
    """Notes the commands that ask for the profiler."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name == "profile":
            asked = {"profile", "slowms", "sampleRate"} & event.command.keys()
            self.found.append({name: event.command[name] for name in asked})

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing is noted."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing is noted."""


def watch(mongo: MongoServer, sleep: Callable[[float], None]) -> list[dict[str, Any]]:
    """Watch for 30 seconds, that `sleep` waits; the commands that were sent."""
    monitoring.register(noted := Commands())
    database = MongoDatabase(f"{mongo.url}shop")
    try:
        watch_profiler(database, dt.timedelta(seconds=30), 50, sleep)
    except KeyboardInterrupt:
        assert sleep is interrupt
    finally:
        database.close()
    return noted.found


def interrupt(_seconds: float) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_the_profiler_is_set_as_it_was(
    mongo: MongoServer, shop: Shop, *, is_interrupted: bool
) -> None:
    del shop
    mongo.answer("profile", {"was": 2, "slowms": 200, "sampleRate": 0.5})
    waited: list[float] = []
    sleep = interrupt if is_interrupted else waited.append
    assert watch(mongo, sleep) == [
        {"profile": -1},
        {"profile": 1, "slowms": 50, "sampleRate": 1.0},
        {"profile": 2, "slowms": 200, "sampleRate": 0.5},
    ]
    assert waited == ([] if is_interrupted else [30.0])


def test_what_the_profiler_has_noted_is_grouped_with_indexes_that_are_missing(
    mongo: MongoServer, shop: Shop, project: Project
) -> None:
    shop.projects.create_index([("status", 1), ("x", 1)])
    noted = [
        {
            "op": "query", "ns": "shop.projects", "millis": 300, "docsExamined": 9_000,
            "nreturned": 1, "planSummary": "COLLSCAN", "ts": START,
            "command": {"find": "projects", "filter": {field: {"$eq": 1}}},
        }
        for field in ("user_id", "status")
    ]  # fmt: skip
    reply = {"cursor": {"id": 0, "ns": "shop.system.profile", "firstBatch": noted}}
    mongo.answer("find", reply, "system.profile")
    report, advice = project.mongo.slow()
    assert len(report.shapes) == 2
    assert [each.words for each in advice["projects"]] == ["user_id"]
    report, _ = project.mongo.slow(over_ms=301)
    assert report.shapes == []
    with pytest.raises(UsageError, match="is no time to watch"):
        project.mongo.slow(watch=dt.timedelta(hours=2))
    with pytest.raises(CollectionError, match="no such command") as caught:
        project.mongo.slow(watch=dt.timedelta(seconds=1))
    assert caught.value.remedy
    mongo.answer_truly()


def test_a_query_is_explained_by_the_server(
    mongo: MongoServer, shop: Shop, project: Project
) -> None:
    del shop
    plan = {"stage": "COLLSCAN", "direction": "forward"}
    stats = {"nReturned": 1, "executionTimeMillis": 120, "totalDocsExamined": 9_000}
    planner = {"namespace": "shop.projects", "winningPlan": plan}
    reply = {"queryPlanner": planner, "executionStats": {**stats, "totalKeysExamined": 0}}
    mongo.answer("explain", reply)
    found = project.mongo.explain("projects", {"user_id": 1}, sort="-at", limit=5)
    assert found.stages == ("COLLSCAN",)
    assert len(found.says) == 3
    refusal = {"code": 2, "codeName": "BadValue", "errmsg": "unknown operator: $gtt"}
    mongo.answer_truly()
    mongo.answer("explain", refusal)
    with pytest.raises(CollectionError, match="unknown operator"):
        project.mongo.explain("projects", {"user_id": {"$gtt": 1}})
