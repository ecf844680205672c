"""What the documents of a collection have to say to a step: duplicates, deletions, violations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

from assise.collections.indexes import IndexForm, read_json, read_number, write_json
from assise.collections.plan import MongoChange, Need
from assise.manifest.model import Manifest
from assise.manifest.sections.mongo_collections import COLLECTIONS, CollectionRules
from assise.manifest.sections.references import REFERENCES
from assise.mongo.commands import MongoDatabase
from assise.mongo.source import JsonObject
from assise.wording import count_of

ACCOUNTS = frozenset("users user accounts account members customers profiles".split())
"""Collections of people, whatever refers to them."""

SHOWN = 20
_YES: tuple[Need, ...] = ("yes",)


class Referrer(NamedTuple):
    """A field of a collection that holds the `_id` of another one's documents."""

    collection: str
    path: str


def examine(step: MongoChange, manifest: Manifest, database: MongoDatabase) -> MongoChange:
    """A step with what the documents say to it; nothing is changed.

    Raises:
        CollectionError: the server cannot be asked.
    """
    if step.act == "validate" and "drop" not in step.needs:
        return _find_violations(step, database)
    index = step.index
    if index is None:
        return step
    if index.is_unique and step.act in {"build", "rebuild"}:
        step = _find_duplicates(step, index, database)
    if index.keep_s is not None:
        step = _find_deleted(step, index, manifest, database)
    return step


def _find_duplicates(step: MongoChange, index: IndexForm, database: MongoDatabase) -> MongoChange:
    found = [*database.aggregate(step.collection, list_duplicates(index), **_collate(index))]
    if not found:
        return step
    told = [_describe_group(group, index) for group in found[:SHOWN]]
    more = "over " if len(found) > SHOWN else ""
    head = f"{more}{count_of(min(len(found), SHOWN), 'value')} in several documents"
    return replace(step, why=(*step.why, head, *told), is_blocked=True)


def list_duplicates(index: IndexForm) -> list[JsonObject]:
    """The pipeline that finds values which a unique index would refuse.

    A missing field counts as null, each element of an array as a value of its document, and an
    empty array as a value of its own.
    """
    names = {f"v{n}": field for n, field in enumerate(index.fields)}
    is_there: JsonObject = {"$or": [{field: {"$exists": True}} for field in index.fields]}
    parts: list[JsonObject] = [_filter_of(index)] if index.where else []
    parts += [is_there] if index.is_sparse else []
    above = [f"${level}" for field in index.fields for level in _list_above(field)]
    read = {name: _keep_empty(f"${field}") for name, field in names.items()}
    values = {name: {"$ifNull": [f"${name}", None]} for name in names}
    key = {name: f"$_id.{name}" for name in names}
    counted = {"n": {"$sum": 1}, "one": {"$min": "$_id.id"}, "other": {"$max": "$_id.id"}}
    return [
        *({"$match": part} for part in parts),
        *map(_unwind, above),
        {"$project": read},
        *(_unwind(f"${name}") for name in names),
        {"$group": {"_id": {**values, "id": "$_id"}}},
        {"$group": {"_id": key, **counted}},
        {"$match": {"n": {"$gt": 1}}},
        {"$sort": {"n": -1}},
        {"$limit": SHOWN + 1},
    ]


def _unwind(path: str) -> JsonObject:
    return {"$unwind": {"path": path, "preserveNullAndEmptyArrays": True}}


def _keep_empty(path: str) -> JsonObject:
    """A value, and an empty array as an array of one: in an index it is no null."""
    return {"$cond": [{"$eq": [path, []]}, {"$literal": [[]]}, path]}


def _list_above(field: str) -> Iterator[str]:
    """The paths that lead to a field, without its own."""
    steps = field.split(".")
    return accumulate(steps[:-1], "{}.{}".format)


def _describe_group(group: Mapping[str, object], index: IndexForm) -> str:
    key = group["_id"]
    values = list(key.values()) if isinstance(key, Mapping) else [key]
    shown = map(show_value, values)
    said = ", ".join(map(": ".join, zip(index.fields, shown, strict=False)))
    one, other = show_value(group["one"]), show_value(group["other"])
    documents = count_of(read_number(group["n"]), "document")
    return f"{said} in {documents}, such as _id {one} and {other}"


def show_value(value: object) -> str:
    """A value of BSON as a short text of Extended JSON."""
    text = write_json({"": value})[len('{"": ') : -1]
    return text if len(text) <= 80 else f"{text[:79]}…"


def _find_deleted(
    step: MongoChange, index: IndexForm, manifest: Manifest, database: MongoDatabase
) -> MongoChange:
    """Count the documents that go at once, and what refers to them."""
    until = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=index.keep_s or 0)
    past: JsonObject = {index.fields[0]: {"$lt": until}}
    count = database.count(step.collection, {"$and": [past, _filter_of(index)]})
    references = list_references(step.collection, manifest)
    is_people = step.collection.lower() in ACCOUNTS or bool(references)
    if not (count or is_people):
        return step
    why = [f"deletes {count_of(count, 'document')} at once, and others later"]
    for reference in references if count else ():
        orphans = _count_orphans(reference, step.collection, past, database)
        said = f"{reference.collection}.{reference.path} of {count_of(orphans, 'document')}"
        why += [f"orphans {said}"] if orphans else []
    needs = (*step.needs, *_YES) if is_people else step.needs
    return replace(step, needs=needs, why=(*step.why, *why))


def _count_orphans(
    reference: Referrer, collection: str, past: JsonObject, database: MongoDatabase
) -> int:
    gone = {f"gone.{path}": condition for path, condition in past.items()}
    found = database.aggregate(
        reference.collection,
        [
            {"$project": {reference.path: 1}},
            {
                "$lookup": {
                    "from": collection,
                    "localField": reference.path,
                    "foreignField": "_id",
                    "as": "gone",
                }
            },
            {"$match": gone},
            {"$count": "n"},
        ],
    )
    return int(next(found, {"n": 0})["n"])


def list_references(collection: str, manifest: Manifest) -> list[Referrer]:
    """The fields that refer to a collection: as the manifest says, or by a name as `user_id`."""
    kept = COLLECTIONS.of(manifest) or {}
    found = [
        Referrer(name, path.replace(".*", ""))
        for name, rules in kept.items()
        for path in _list_paths(rules)
        if _refers(path, rules, collection)
    ]
    for table in manifest.tables.values():
        for column in table.columns.values():
            name, _, _ = (REFERENCES.of(column) or "").partition("(")
            target = manifest.tables.get(name)
            if target is not None and target.collection == collection and table.collection:
                found.append(Referrer(table.collection, ".".join(column.path)))
    return list(dict.fromkeys(found))


def _list_paths(rules: CollectionRules) -> list[str]:
    keys = [name for index in rules.indexes for name, _ in index.key]
    return list(dict.fromkeys([*rules.fields, *keys]))


def _refers(path: str, rules: CollectionRules, collection: str) -> bool:
    rule = rules.fields.get(path)
    if rule is not None and rule.references is not None:
        return rule.references == collection
    one = collection.removesuffix("s")
    return path in {f"{one}_id", f"{one}Id"}


def _find_violations(step: MongoChange, database: MongoDatabase) -> MongoChange:
    (command,) = step.commands
    broken: JsonObject = {"$nor": [command["validator"]]}
    count = database.count(step.collection, broken)
    if not count:
        return step
    ids = [show_value(each["_id"]) for each in database.find(step.collection, broken, limit=5)]
    why = f"{count_of(count, 'document')} break it: _id {', '.join(ids)}"
    is_hard = command["validationLevel"] == "strict" and command["validationAction"] == "error"
    rest = "their next update would be refused: repair them, or write level: moderate"
    return replace(step, why=(why, *([rest] if is_hard else [])), is_blocked=is_hard)


def _filter_of(index: IndexForm) -> JsonObject:
    return read_json(index.where)


def _collate(index: IndexForm) -> dict[str, object]:
    return {"collation": read_json(index.collation)} if index.collation else {}
