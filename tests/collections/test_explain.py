"""Plans, as the reference of MongoDB 4.4, 5.0, 7.0 and 8.0 shows them, and their faults.

No server of the tests explains: these documents are written after
https://www.mongodb.com/docs/manual/reference/explain-results/.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from assise.collections.explain import explain_reply, read_saved, write_query
from assise.errors import UsageError

Plan = Mapping[str, Any]
FETCH = {
    "stage": "FETCH",
    "inputStage": {"stage": "IXSCAN", "keyPattern": {"user_id": 1}, "indexName": "user_id_1"},
}


def reply(plan: Plan, *, version: str = "1", **stats: Any) -> dict[str, Any]:  # noqa: ANN401
    counts = {
        "executionSuccess": True,
        "nReturned": stats.get("returned", 20),
        "executionTimeMillis": stats.get("ms", 3),
        "totalKeysExamined": stats.get("keys", 20),
        "totalDocsExamined": stats.get("documents", 20),
        "executionStages": {"stage": "FETCH", "usedDisk": stats.get("disk", False)},
    }
    planner = {"namespace": "shop.projects", "winningPlan": dict(plan), "rejectedPlans": []}
    return {"explainVersion": version, "queryPlanner": planner, "executionStats": counts, "ok": 1.0}


def in_shards(plan: Plan) -> dict[str, Any]:
    """MongoDB 7.0, through mongos: the stages of all shards, the counts of their sum."""
    shards = [{"shardName": name, "winningPlan": plan} for name in ("a", "b")]
    return reply({"stage": "SHARD_MERGE", "shards": shards})


def in_pipeline(plan: Plan) -> dict[str, Any]:
    """MongoDB 4.4 to 7.0: a pipeline, whose first stage reads by a plan."""
    inner = reply(plan)
    cursor = {"queryPlanner": inner["queryPlanner"], "executionStats": inner["executionStats"]}
    return {"stages": [{"$cursor": cursor}, {"$group": {"_id": "$a"}}], "serverInfo": {}, "ok": 1}


def slot_based(plan: Plan) -> dict[str, Any]:
    """MongoDB 5.0 and later: the engine whose plan stands in `queryPlan`."""
    return reply({"queryPlan": plan, "slotBasedPlan": {"slots": "", "stages": ""}}, version="2")


def in_pipelines_of_shards(plan: Plan) -> dict[str, Any]:
    """A pipeline through mongos: each shard has its stages."""
    return {"mergeType": "mongos", "shards": {"a": in_pipeline(plan), "b": in_pipeline(plan)}}


@pytest.mark.parametrize(
    "form", [reply, slot_based, in_shards, in_pipeline, in_pipelines_of_shards]
)
def test_a_plan_by_an_index_is_fine_in_every_form(form: Any) -> None:  # noqa: ANN401
    found = explain_reply(form(FETCH))
    assert found.namespace == "shop.projects"
    assert found.stages[:2] == ("IXSCAN", "FETCH")
    assert found.indexes == ("user_id_1",)
    assert found.is_fine, found.says
    assert found.returned == (40 if form is in_pipelines_of_shards else 20)
    assert found.ms == 3


@pytest.mark.parametrize(
    "form", [reply, slot_based, in_shards, in_pipeline, in_pipelines_of_shards]
)
def test_a_plan_without_an_index_is_told_in_every_form(form: Any) -> None:  # noqa: ANN401
    found = explain_reply(form({"stage": "COLLSCAN", "direction": "forward"}))
    assert found.says[0].startswith("COLLSCAN: every document is read")


@pytest.mark.parametrize("stage", ["IDHACK", "EXPRESS_IXSCAN", "EXPRESS_CLUSTERED_IXSCAN", "EOF"])
def test_plans_by_key_and_of_nothing_are_fine(stage: str) -> None:
    assert explain_reply(reply({"stage": stage, "isCached": False})).is_fine


def test_every_stage_below_is_found() -> None:
    branches = [FETCH["inputStage"], {"stage": "IXSCAN", "indexName": "name_1"}]
    plan = {"stage": "SUBPLAN", "inputStage": {"stage": "OR", "inputStages": branches}}
    assert set(explain_reply(reply(plan)).indexes) == {"user_id_1", "name_1"}
    joined = {
        "stage": "EQ_LOOKUP",
        "outerStage": {"stage": "COLLSCAN"},
        "innerStage": {"stage": "TRIAL", "thenStage": FETCH, "elseStage": FETCH},
    }
    found = explain_reply(slot_based(joined))
    assert found.says == ("COLLSCAN: every document is read, no index fits the filter",)
    assert found.indexes == ("user_id_1",)


def test_a_sort_in_memory_is_told() -> None:
    plan = {"stage": "SORT", "sortPattern": {"created_at": -1}, "inputStage": FETCH}
    (said,) = explain_reply(reply(plan)).says
    assert said.startswith("a sort in memory")
    assert "a sort that used the disk" in explain_reply(reply(plan, disk=True)).says
    pipeline = in_pipeline(FETCH)
    pipeline["stages"].append({"$sort": {"sortKey": {"n": 1}}})
    (said,) = explain_reply(pipeline).says
    assert said.startswith("a sort in memory")


@pytest.mark.parametrize(
    ("documents", "returned", "keys", "ms", "says"),
    [
        (520, 20, 520, 100, []),
        (521, 20, 521, 100, ["521 documents examined for 20 returned"]),
        (400, 4, 400, 5, []),
        (401, 4, 401, 5, ["401 documents examined for 4 returned"]),
        (10, 10, 9_000, 5, ["9,000 keys of the index examined for 10 returned"]),
        (20, 20, 20, 101, ["101 ms, over 100 ms"]),
    ],
)
def test_what_is_examined_and_how_long_it_took_is_told(
    documents: int, returned: int, keys: int, ms: int, says: list[str]
) -> None:
    counted = reply(FETCH, documents=documents, returned=returned, keys=keys, ms=ms)
    assert list(explain_reply(counted).says) == says


def test_a_saved_plan_is_read_in_both_dialects() -> None:
    text = json.dumps(reply(FETCH))
    assert read_saved(text).is_fine
    assert read_saved(f"[{text}]").is_fine
    canonical = text.replace('"nReturned": 20', '"nReturned": {"$numberInt": "20"}')
    assert read_saved(canonical).returned == 20
    planned = reply(FETCH)
    del planned["executionStats"]
    assert read_saved(json.dumps(planned)).returned is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "7", '{"queryPlanner": 3}', '{"queryPlanner": {"winningPlan": []}}',
             '{"stages": [1]}', '{"shards": {"a": []}}', "[" * 5000, '{"a": {"$oid": "x"}}'],
)  # fmt: skip
def test_what_is_no_plan_is_an_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_saved(text)
    assert caught.value.remedy


def test_a_query_is_explained_as_it_is_run() -> None:
    asked = write_query("c", {"a": 1}, sort={"b": -1}, limit=5)
    command = {"find": "c", "filter": {"a": 1}, "sort": {"b": -1}, "limit": 5}
    assert asked == {"explain": command, "verbosity": "executionStats"}
    (stage,) = write_query("c", {}, sort={}, pipeline=[{"$match": {}}])["explain"]["pipeline"]
    assert stage == {"$match": {}}
