"""Slow operations by shape, and the indexes that would serve them.

No server of the tests has a profiler: these documents and lines are written after the reference of
MongoDB 4.4 to 8.0, https://www.mongodb.com/docs/manual/reference/database-profiler/.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId, json_util

from assise.cli.run import run as run_command
from assise.collections.indexes import IndexKey
from assise.collections.shapes import advise, covers, describe_filter, read_command
from assise.collections.slow import SlowReport, group_operations, read_log, suggest
from assise.errors import UsageError
from assise.project import Project

USER = ObjectId("507f1f77bcf86cd799430007")


def profile(command: dict[str, Any], **facts: object) -> dict[str, Any]:
    """A document of `system.profile`."""
    found = {
        "op": "query",
        "ns": "shop.projects",
        "command": {**command, "$db": "shop"},
        "keysExamined": 0,
        "docsExamined": 5_000,
        "nreturned": 20,
        "millis": 150,
        "planSummary": "COLLSCAN",
        "ts": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "queryHash": "A1B2C3D4",
    }
    return {**found, **facts}


def find(
    query: dict[str, Any], sort: dict[str, int] | None = None, **facts: object
) -> dict[str, Any]:
    return profile(
        {"find": "projects", "filter": query, **({"sort": sort} if sort else {})}, **facts
    )


def words(report: SlowReport) -> list[tuple[str, int]]:
    return [(each.asked.shape.words, each.count) for each in report.shapes]


def test_operations_of_one_shape_are_one_line_without_their_values() -> None:
    report = group_operations(
        [
            find({"user_id": USER, "at": {"$gt": 5}}, {"created_at": -1}),
            find(
                {"at": {"$gt": 9}, "user_id": "secret@example.org"}, {"created_at": -1}, millis=900
            ),
            find({"user_id": USER}, millis=100),
            find({"user_id": USER}, millis=99),
        ]
    )
    assert words(report) == [
        ("find shop.projects {at: {$gt: ?}, user_id: ?} sort {created_at: -1}", 2),
        ("find shop.projects {user_id: ?}", 1),
    ]
    first = report.shapes[0]
    assert (first.total_ms, first.max_ms, first.documents, first.returned) == (
        1050,
        900,
        10_000,
        40,
    )
    assert "secret" not in str(words(report))


@pytest.mark.parametrize(
    ("command", "shape"),
    [
        ({"find": "c", "filter": {}}, "find shop.c {}"),
        ({"count": "c", "query": {"a": 1}}, "count shop.c {a: ?}"),
        ({"distinct": "c", "key": "b", "query": {"a": 1}}, "distinct shop.c {a: ?}"),
        ({"findAndModify": "c", "query": {"a": 1}, "sort": {"b": 1}},
         "findAndModify shop.c {a: ?} sort {b: 1}"),
        ({"q": {"a": 1}, "u": {"$set": {"b": 1}}, "multi": False}, "update shop.projects {a: ?}"),
        ({"q": {"a": 1}, "limit": 0}, "delete shop.projects {a: ?}"),
        ({"aggregate": "c", "pipeline": [{"$match": {"a": 1}}, {"$match": {"b": 2}},
                                         {"$sort": {"d": -1.0}}, {"$group": {"_id": None}}]},
         "aggregate shop.c {$and: [{a: ?}, {b: ?}]} sort {d: -1}"),
        ({"aggregate": "c", "pipeline": [{"$group": {"_id": "$a"}}, {"$match": {"n": 1}}]},
         "aggregate shop.c {}"),
    ],
)  # fmt: skip
def test_every_kind_of_command_has_a_shape(command: dict[str, Any], shape: str) -> None:
    asked = read_command("shop.projects", command)
    assert asked is not None
    assert asked.shape.words == shape


def test_a_getmore_counts_for_the_query_that_it_goes_on_with() -> None:
    more = {"getMore": 7, "collection": "projects"}
    original = {"find": "projects", "filter": {"user_id": 1}}
    report = group_operations([profile(more, op="getmore", originatingCommand=original)])
    assert words(report) == [("find shop.projects {user_id: ?}", 1)]


@pytest.mark.parametrize(
    ("query", "sort", "index", "reason"),
    [
        ({"user_id": 1}, None, "user_id", "equality on user_id"),
        ({"price": {"$gt": 5}, "user_id": 1}, {"created_at": -1}, "[user_id, -created_at, price]",
         "equality on user_id, then sort by -created_at, then range on price"),
        ({"status": {"$in": ["a", "b"]}, "at": {"$lt": 1}}, None, "[status, at]",
         "equality on status, then range on at"),
        ({"$and": [{"b": 1}, {"a": {"$eq": 2}}]}, None, "[a, b]", "equality on a, b"),
        ({"a": {"$gte": 1}}, {"a": 1}, "a", "sort by a"),
        ({}, {"usage_count": -1}, "-usage_count", "sort by -usage_count"),
        ({"items": {"$elemMatch": {"sku": 1, "n": {"$gt": 2}}}}, None, "[items.sku, items.n]",
         "equality on items.sku, then range on items.n"),
        ({"tags": {"$elemMatch": {"$eq": "x"}}}, None, "tags", "equality on tags"),
        ({"kind": "x", "place": {"$near": {"$geometry": {}}}}, None,
         '{columns: [kind], "2dsphere": place}', "equality on kind, then place in place"),
        ({"a": {"b": 1}}, None, "a", "equality on a"),
        ({"a": None}, None, "a", "equality on a"),
    ],
)  # fmt: skip
def test_an_index_has_equality_then_sort_then_range(
    query: dict[str, Any], sort: dict[str, int] | None, index: str, reason: str
) -> None:
    asked = read_command("shop.c", {"find": "c", "filter": query, "sort": sort or {}})
    assert asked is not None
    assert [(each.words, each.reason) for each in advise(asked)] == [(index, reason)]


@pytest.mark.parametrize(
    "query", [{}, {"_id": 7}, {"_id": 7, "a": 1}, {"$text": {"$search": "x"}}, {"$where": "1"},
              {"$expr": {"$gt": ["$a", 1]}}, {"_id": {"$gt": 5}}, {"a": {"$mod": [2, 0]}}],
)  # fmt: skip
def test_nothing_is_suggested_where_no_index_helps(query: dict[str, Any]) -> None:
    asked = read_command("shop.c", {"find": "c", "filter": query})
    assert asked is not None
    assert advise(asked) == []


def test_each_branch_of_an_or_has_its_index() -> None:
    query = {"live": True, "$or": [{"a": 1}, {"b": {"$gt": 2}}]}
    asked = read_command("shop.c", {"find": "c", "filter": query})
    assert asked is not None
    assert [each.words for each in advise(asked)] == ["[a, live]", "[live, b]"]


def test_suggestions_leave_out_what_is_there_and_what_a_longer_one_serves() -> None:
    report = group_operations(
        [
            find({"user_id": 1}),
            find({"user_id": 1}, {"created_at": -1}),
            find({"user_id": 1}, {"created_at": -1}),
            find({"status": 1}),
            find({"fine": 1}, docsExamined=20),
            find({"sorted": 1}, docsExamined=20, hasSortStage=True),
        ]
    )
    has: dict[str, list[IndexKey]] = {"projects": [(("status", 1), ("x", 1))]}
    found = suggest(report.shapes, has)
    assert [each.words for each in found["projects"]] == ["[user_id, -created_at]", "sorted"]
    assert suggest(report.shapes, {"projects": [(("user_id", -1), ("created_at", 1))]})


def test_an_index_covers_its_first_fields_in_both_directions() -> None:
    has: IndexKey = (("a", 1), ("b", -1), ("c", 1))
    assert covers(has, (("a", 1),))
    assert covers(has, (("a", -1), ("b", 1)))
    assert not covers(has, (("a", 1), ("b", 1)))
    assert not covers((("a", 1),), has)
    assert not covers((("a", "hashed"),), (("a", 1),))


def log_line(**attributes: object) -> str:
    """A line of the log of MongoDB 4.4 and later."""
    attr = {
        "type": "command",
        "ns": "shop.projects",
        "command": {"find": "projects", "filter": {"user_id": USER}, "$db": "shop"},
        "planSummary": "COLLSCAN",
        "docsExamined": 5_000,
        "keysExamined": 0,
        "nreturned": 3,
        "durationMillis": 240,
        **attributes,
    }
    head = {"t": {"$date": "2026-01-01T10:00:00.000+00:00"}, "s": "I", "c": "COMMAND", "id": 51803}
    return json_util.dumps({**head, "ctx": "conn9", "msg": "Slow query", "attr": attr})


def test_a_log_is_read_and_what_is_not_read_is_counted(tmp_path: Path) -> None:
    update = {"q": {"email": "x"}, "u": {"$set": {"a": 1}}}
    lines = [
        log_line(),
        log_line(durationMillis=10),
        log_line(type="update", ns="shop.users", command=update, nMatched=1, nreturned=None),
        log_line(ns="admin.$cmd", command={"ping": 1}),
        log_line(command={"insert": "projects"}),
        log_line()[:-60],
        '{"t":{"$date":"2026-01-01T10:00:00Z"},"c":"NETWORK","msg":"Connection accepted","attr":{}}',
        '2019-07-01T10:00:00.000+0000 I COMMAND  [conn1] command shop.a command: find { find: "a" }',
        "not a line of MongoDB",
        "x" * (2 << 20),
    ]
    log = tmp_path / "mongod.log"
    log.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n")
    report = group_operations(read_log(log))
    assert words(report) == [
        ("find shop.projects {user_id: ?}", 1),
        ("update shop.users {email: ?}", 1),
    ]
    assert report.unread == {
        "that read nothing by a filter": 1,
        "in lines that are no JSON": 1,
        "in lines of MongoDB 4.2, which have no JSON": 1,
        "in a line over 1,048,576 bytes": 1,
    }


def test_a_compressed_log_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "mongod.log.gz"
    log.write_bytes(gzip.compress(log_line().encode()))
    with pytest.raises(UsageError, match="is compressed"):
        Project(tmp_path).mongo.slow(log_file=log)


@pytest.mark.parametrize(
    "data", [b"id,name\n1,a\n", b'{"_id": 1}\n', bytes(range(256)), b"x" * (3 << 20), b"{" * 99]
)
def test_a_file_that_is_no_log_is_an_error(
    data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "some.csv"
    log.write_bytes(data)
    assert run_command(["mongo", "slow", "-f", str(tmp_path), "--file", str(log)]) == 2
    assert "is no log of MongoDB" in capsys.readouterr().err
    log.write_bytes(b"")
    assert run_command(["mongo", "slow", "-f", str(tmp_path), "--file", str(log)]) == 0
    assert run_command(["mongo", "slow", "-f", str(tmp_path), "--file", str(tmp_path)]) == 1
    assert "directory" in capsys.readouterr().err


def test_the_indexes_of_the_manifest_are_not_suggested_for_a_log(tmp_path: Path) -> None:
    log = tmp_path / "mongod.log"
    log.write_text(f"{log_line()}\n")
    _, advice = Project(tmp_path).mongo.slow(log_file=log)
    assert [each.words for each in advice["projects"]] == ["user_id"]
    collections = "collections:\n  projects: {indexes: [[user_id, a]]}\n"
    (tmp_path / "assise.yaml").write_text(f"assise: 1\nname: a\ntables: {{}}\n{collections}")
    _, advice = Project(tmp_path).mongo.slow(log_file=log)
    assert advice == {}


def test_hostile_filters_end() -> None:
    deep: dict[str, Any] = {"a": 1}
    for _ in range(500):
        deep = {"$and": [deep], "$or": [{"b": 1}, {"c": 1}]}
    asked = read_command("shop.c", {"find": "c", "filter": deep})
    assert asked is not None
    advise(asked)
    wide = {"$and": [{"$or": [{f"f{n}_{m}": 1} for m in range(8)]} for n in range(50)]}
    asked = read_command("shop.c", {"find": "c", "filter": wide})
    assert asked is not None
    assert len(advise(asked)) <= 8
    assert describe_filter(json.loads('{"a": {"$gt": [1, {"b": 2}]}}')) == "{a: {$gt: ?}}"
    assert read_command("shop.c", {"find": "c", "filter": "x", "sort": 3}) is not None
