"""What a server says of the plan of a query, in one form for all its versions.

https://www.mongodb.com/docs/manual/reference/explain-results/: plans of the classic engine, of the
slot-based one with its `queryPlan`, of sharded clusters, and of pipelines with `$cursor`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bson import json_util
from bson.errors import BSONError

from assise.collections.indexes import read_number
from assise.errors import UsageError
from assise.mongo.source import JsonObject

SLOW_MS = 100
"""Milliseconds above which a query is slow, as for MongoDB's profiler."""

WASTED = 500
"""Documents that are examined and not returned, above which an index would help; so Atlas has it."""

RATIO = 100
_INNER = ("inputStage", "inputStages", "thenStage", "elseStage", "innerStage", "outerStage")
_KEYED = ("IDHACK", "EXPRESS_IXSCAN", "EXPRESS_CLUSTERED_IXSCAN", "CLUSTERED_IXSCAN")
"""Stages that find documents by a key without IXSCAN."""


@dataclass(frozen=True)
class ExplainedQuery:
    """A plan: its stages from the first that reads, the indexes, and what was counted.

    Counts are None where the plan was not executed.
    """

    namespace: str
    stages: tuple[str, ...]
    indexes: tuple[str, ...]
    ms: int | None
    returned: int | None
    documents: int | None
    keys: int | None
    says: tuple[str, ...] = ()

    @property
    def is_fine(self) -> bool:
        """Whether there is nothing to say against the plan."""
        return not self.says


def explain_reply(reply: Mapping[str, object]) -> ExplainedQuery:
    """Read what `explain` answers.

    Raises:
        UsageError: there is no plan in it.
    """
    plans = [stage for root in _list_plans(reply) for stage in _list_stages(root)]
    if not plans:
        remedy = "Give what `explain` printed, with verbosity executionStats."
        raise UsageError("there is no winning plan in it", remedy=remedy)
    stages = [str(each.get("stage")) for each in plans]
    names = [str(each["indexName"]) for each in plans if "indexName" in each]
    counts = _sum_counts(reply)
    namespace = next((str(each) for each in _find_all(reply, "namespace")), "")
    sorts = [each for each in plans if each.get("stage") in {"SORT", "SORT_KEY_GENERATOR"}]
    is_spilled = any(each is True for each in _find_all(reply, "usedDisk"))
    pipeline = [*_list_pipeline(reply)]
    says = [*_judge_stages(stages, is_sorted=bool(sorts) or "$sort" in pipeline)]
    says += ["a sort that used the disk"] if is_spilled else []
    says += _judge_counts(counts)
    return ExplainedQuery(
        namespace,
        tuple(dict.fromkeys([*reversed(stages), *pipeline])),
        tuple(dict.fromkeys(names)),
        counts.get("executionTimeMillis"),
        counts.get("nReturned"),
        counts.get("totalDocsExamined"),
        counts.get("totalKeysExamined"),
        tuple(says),
    )


def read_saved(text: str) -> ExplainedQuery:
    """Read a saved answer of `explain`: Extended JSON of any version.

    Raises:
        UsageError: it is no JSON, or there is no plan in it.
    """
    try:
        found = json_util.loads(text)
    except (ValueError, TypeError, KeyError, BSONError, RecursionError) as error:
        remedy = "Save it as JSON: JSON.stringify(db.c.find().explain('executionStats'))."
        raise UsageError("the saved plan is no Extended JSON", remedy=remedy) from error
    match found:
        case [dict(only)]:
            return explain_reply(only)
        case dict():
            return explain_reply(found)
    return explain_reply({})


def write_query(
    collection: str,
    query: Mapping[str, object],
    *,
    sort: Mapping[str, int],
    limit: int = 0,
    pipeline: Sequence[JsonObject] = (),
) -> JsonObject:
    """The command that explains a query, and runs it to count."""
    command: JsonObject = {"find": collection, "filter": dict(query)}
    command |= {"sort": dict(sort)} if sort else {}
    command |= {"limit": limit} if limit else {}
    if pipeline:
        command = {"aggregate": collection, "pipeline": list(pipeline), "cursor": {}}
    return {"explain": command, "verbosity": "executionStats"}


def _list_plans(reply: object) -> Iterator[JsonObject]:
    """The winning plans: one, one of each shard, or those inside the stages of a pipeline."""
    if isinstance(reply, list):
        for each in reply:
            yield from _list_plans(each)
    elif isinstance(reply, dict):
        planner = reply.get("queryPlanner")
        if isinstance(planner, dict):
            yield from _list_winning(planner.get("winningPlan"))
            return
        for name, inner in reply.items():
            if name in {"stages", "$cursor", "shards", "cursor"} or name.startswith("shard"):
                yield from _list_plans(
                    [*inner.values()] if name == "shards" and isinstance(inner, dict) else inner
                )


def _list_winning(plan: object) -> Iterator[JsonObject]:
    if not isinstance(plan, dict):
        return
    shards = plan.get("shards")
    if isinstance(shards, list):
        for each in shards:
            yield from _list_winning(each.get("winningPlan") if isinstance(each, dict) else None)
        return
    inner = plan.get("queryPlan")
    yield inner if isinstance(inner, dict) else plan


def _list_stages(plan: JsonObject) -> Iterator[JsonObject]:
    """A stage, and those that it reads from; a deep one of a hostile file is left out."""
    waiting = [plan]
    while waiting:
        stage = waiting.pop()
        if "stage" in stage:
            yield stage
        for name in _INNER:
            inner = stage.get(name)
            below = inner if isinstance(inner, list) else [inner]
            waiting += [each for each in below if isinstance(each, dict)]


def _list_pipeline(reply: Mapping[str, object]) -> Iterator[str]:
    stages = reply.get("stages")
    for stage in stages if isinstance(stages, list) else ():
        if isinstance(stage, dict):
            yield from (name for name in stage if name.startswith("$") and name != "$cursor")


def _sum_counts(reply: Mapping[str, object]) -> dict[str, int]:
    """The totals of all executions: those of shards are added, the time is the longest."""
    counts: dict[str, int] = {}
    for stats in _find_all(reply, "executionStats"):
        if not isinstance(stats, dict) or "nReturned" not in stats:
            continue
        for name in ("nReturned", "totalDocsExamined", "totalKeysExamined"):
            counts[name] = counts.get(name, 0) + read_number(stats.get(name))
        took = read_number(stats.get("executionTimeMillis"))
        counts["executionTimeMillis"] = max(counts.get("executionTimeMillis", 0), took)
    return counts


def _find_all(value: object, name: str) -> Iterator[object]:
    """Every value of this name, the outermost of each branch."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if name in each:
                yield each[name]
            else:
                waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _judge_stages(stages: Sequence[str], *, is_sorted: bool) -> Iterator[str]:
    if "COLLSCAN" in stages:
        yield "COLLSCAN: every document is read, no index fits the filter"
    elif not {"IXSCAN", "EOF", "COUNT_SCAN", "DISTINCT_SCAN", "TEXT_MATCH", *_KEYED} & {*stages}:
        yield f"no index is used: {', '.join(dict.fromkeys(stages))}"
    if is_sorted:
        yield "a sort in memory: an index that ends with the fields of the sort avoids it"


def _judge_counts(counts: Mapping[str, int]) -> Iterator[str]:
    if not counts:
        return
    returned, documents = counts["nReturned"], counts["totalDocsExamined"]
    is_wasteful = documents - returned > WASTED or (returned and documents / returned > RATIO)
    if is_wasteful:
        yield f"{documents:,} documents examined for {returned:,} returned"
    keys = counts["totalKeysExamined"]
    has_many_keys = keys - returned > WASTED and keys > RATIO * max(1, returned)
    if has_many_keys and not is_wasteful:
        yield f"{keys:,} keys of the index examined for {returned:,} returned"
    if counts["executionTimeMillis"] > SLOW_MS:
        yield f"{counts['executionTimeMillis']:,} ms, over {SLOW_MS} ms"
