"""The plan, from what servers say: documents written after the reference of MongoDB 4.2 to 8.0.

https://www.mongodb.com/docs/manual/reference/command/listCollections/ and listIndexes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from bson import Decimal128, Int64

from assise.collections.examine import list_references
from assise.collections.plan import MongoChange, Standing, plan_collections, read_standing
from assise.collections.validator import write_validator
from assise.errors import ManifestError
from assise.manifest.model import Manifest
from assise.manifest.read import parse_manifest
from assise.manifest.sections.mongo_collections import COLLECTIONS

ID = {"v": 2, "key": {"_id": 1}, "name": "_id_"}
TEXT = {
    "v": 2,
    "key": {"_fts": "text", "_ftsx": 1},
    "name": "name_text_description_text",
    "weights": {"description": 1, "name": 5},
    "default_language": "english",
    "language_override": "language",
    "textIndexVersion": 3,
}
FRENCH = {
    "locale": "fr",
    "caseLevel": False,
    "caseFirst": "off",
    "strength": 2,
    "numericOrdering": False,
    "alternate": "non-ignorable",
    "maxVariable": "punct",
    "normalization": False,
    "backwards": False,
    "version": "57.1",
}


def read(collections: str, tables: str = "{}") -> Manifest:
    return parse_manifest(f"assise: 1\nname: a\ncollections: {collections}\ntables: {tables}\n")


def plan(
    collections: str,
    *indexes: dict[str, Any],
    options: Mapping[str, object] = {},
    version: tuple[int, ...] = (7, 0, 14),
    **info: object,
) -> list[MongoChange]:
    """The steps for the collection `c`, which a server has."""
    found = {"name": "c", "type": "collection", "options": options, **info}
    standing = {"c": read_standing(found, [ID, *indexes])}
    return plan_collections(read(f"{{c: {collections}}}"), standing, version)


@pytest.mark.parametrize(
    ("declared", "listed"),
    [
        ("{text: [name, description], weights: {name: 5}}", TEXT),
        ("{columns: a, collation: {locale: fr, strength: 2}}",
         {"key": {"a": 1}, "name": "x", "collation": FRENCH}),
        ('{"2dsphere": place}', {"key": {"place": "2dsphere"}, "2dsphereIndexVersion": 3}),
        ("{columns: [a], keep: 1 day}", {"key": {"a": 1.0}, "expireAfterSeconds": 86_400.0}),
        ("{columns: [a], keep: 1 day}", {"key": {"a": 1}, "expireAfterSeconds": Int64(86_400)}),
        ("""{columns: a, where: '{"n": {"$gt": 5}}'}""",
         {"key": {"a": 1}, "partialFilterExpression": {"n": {"$gt": 5}}}),
        ("[a, -b.c]", {"key": {"a": 1, "b.c": -1}, "ns": "shop.c", "v": 1}),
        ("{hashed: a}", {"key": {"a": "hashed"}}),
    ],
)  # fmt: skip
def test_an_index_is_known_in_the_form_in_which_servers_list_it(
    declared: str, listed: dict[str, Any]
) -> None:
    assert plan(f"{{indexes: [{declared}]}}", {"name": "made_by_hand", **listed}) == []


def test_a_weight_or_a_language_that_differs_is_rebuilt() -> None:
    (step,) = plan("{indexes: [{text: [name, description], language: french}]}", TEXT)
    assert (step.act, step.needs) == ("rebuild", ("drop",))
    assert step.words.endswith("weights name: 5")
    drop, build = step.commands
    assert drop == {"dropIndexes": "c", "index": "name_text_description_text"}
    assert build["indexes"][0]["default_language"] == "french"


def test_another_time_is_changed_in_place() -> None:
    listed = {"key": {"at": 1}, "name": "at_1", "expireAfterSeconds": 60}
    (step,) = plan("{keep: {at: 1 hour}}", listed)
    assert step.act == "keep"
    index = {"name": "at_1", "expireAfterSeconds": 3600}
    assert step.commands == ({"collMod": "c", "index": index},)
    (step,) = plan("{keep: {at: 1 hour}}", {"key": {"at": 1}, "name": "at_1"})
    assert (step.act, step.needs) == ("rebuild", ("drop",))


def test_what_is_hidden_and_asked_for_is_shown_again_and_the_other_way_round() -> None:
    hidden = {"key": {"a": 1}, "name": "a_1", "hidden": True}
    (step,) = plan("{indexes: [a]}", hidden)
    assert (step.act, step.needs, step.commands[0]["index"]["hidden"]) == ("show", (), False)
    (step,) = plan("{indexes: [{columns: a, hidden: true}]}", {**hidden, "hidden": False})
    assert (step.act, step.needs, step.commands[0]["index"]["hidden"]) == ("hide", (), True)


@pytest.mark.parametrize(
    ("version", "acts"), [((4, 2, 0), ["drop"]), ((4, 4, 0), ["hide"]), ((8, 0, 1), ["hide"])]
)
def test_an_index_of_others_is_hidden_where_the_server_can(
    version: tuple[int, ...], acts: list[str]
) -> None:
    steps = plan("{}", {"key": {"old": 1}, "name": "old_1"}, version=version)
    assert [each.act for each in steps] == acts
    assert all(each.needs == ("drop",) for each in steps)


FIELDS = """{fields: {
  price: {type: decimal, min: 0, required: true}, rating.average: {type: double, min: 0, max: 5},
  status: {enum: [draft, live]}, level: {type: int, enum: [1, 2], nullable: true}, place: point,
  images.*.url: {type: string, required: true}, sizes.*: int, code: {type: string, pattern: "^[A-Z]+$"}}}"""
SCHEMA = {
    "bsonType": "object",
    "required": ["price"],
    "properties": {
        "price": {"bsonType": "decimal", "minimum": 0},
        "rating": {
            "bsonType": "object",
            "properties": {"average": {"bsonType": "double", "minimum": 0, "maximum": 5}},
        },
        "status": {"bsonType": "string", "enum": ["draft", "live"]},
        "level": {"bsonType": ["int", "null"], "enum": [1, 2, None]},
        "place": {
            "bsonType": "object",
            "required": ["type", "coordinates"],
            "properties": {
                "type": {"enum": ["Point"]},
                "coordinates": {
                    "bsonType": "array",
                    "items": {"bsonType": "number"},
                    "minItems": 2,
                    "maxItems": 2,
                },
            },
        },
        "images": {
            "bsonType": "array",
            "items": {
                "bsonType": "object",
                "properties": {"url": {"bsonType": "string"}},
                "required": ["url"],
            },
        },
        "sizes": {"bsonType": "array", "items": {"bsonType": "int"}},
        "code": {"bsonType": "string", "pattern": "^[A-Z]+$"},
    },
}


def test_fields_become_a_validator() -> None:
    (step,) = plan(FIELDS)
    checks = {"validationLevel": "strict", "validationAction": "error"}
    assert step.commands == ({"collMod": "c", "validator": {"$jsonSchema": SCHEMA}, **checks},)
    assert plan(FIELDS, options={"validator": {"$jsonSchema": SCHEMA}}) == []
    (step,) = plan("{}", options={"validator": {"$jsonSchema": SCHEMA}})
    assert (step.act, step.needs) == ("validate", ("drop",))


def test_values_have_the_type_of_their_field() -> None:
    rules = read("{c: {fields: {a: {type: decimal, enum: [1.50]}, b: {type: long, enum: [7]}}}}")
    kept = COLLECTIONS.of(rules)
    assert kept is not None
    properties = write_validator(kept["c"], "c", rules)["$jsonSchema"]["properties"]
    assert properties["a"]["enum"] == [Decimal128("1.50")]
    assert isinstance(properties["b"]["enum"][0], Int64)


TABLES = """
  users:
    collection: c
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      email: {type: text, not_null: true}
      age: {type: int4, from: profile.age}
      plan: {type: text, values: [free, pro]}
      born: timestamptz
      tags: "text[]"
      raw: jsonb
"""


def test_columns_become_a_validator_and_fields_go_before_them() -> None:
    manifest = read("{c: {columns: true, fields: {born: string}}}", TABLES)
    kept = COLLECTIONS.of(manifest)
    assert kept is not None
    assert write_validator(kept["c"], "c", manifest)["$jsonSchema"] == {
        "bsonType": "object",
        "required": ["email"],
        "properties": {
            "_id": {"bsonType": "objectId"},
            "email": {"bsonType": "string"},
            "profile": {
                "bsonType": "object",
                "properties": {"age": {"bsonType": ["int", "long", "null"]}},
            },
            "plan": {"bsonType": ["string", "null"], "enum": ["free", "pro", None]},
            "born": {"bsonType": "string"},
            "tags": {},
            "raw": {},
        },
    }


def test_a_collection_is_made_with_its_options() -> None:
    manifest = read(
        "{log: {capped: {bytes: 1000, documents: 9}}, m: {time_series: {time: at, meta: of},"
        " keep: 30 days}, fr: {collation: {locale: fr}, indexes: [a]}}"
    )
    steps = plan_collections(manifest, dict.fromkeys(["log", "m", "fr"], Standing()), (7, 0, 0))
    commands = [command for step in steps for command in step.commands]
    assert commands == [
        {"create": "log", "capped": True, "size": 1024, "max": 9},
        {
            "create": "m",
            "timeseries": {"timeField": "at", "metaField": "of"},
            "expireAfterSeconds": 2_592_000,
        },
        {"create": "fr", "collation": {"locale": "fr"}},
        {"createIndexes": "fr", "indexes": [{"key": {"a": 1}, "name": "a_1"}]},
    ]


def test_options_that_cannot_change_in_place_are_told() -> None:
    (series,) = plan("{time_series: {time: at}}")
    assert series.is_blocked
    assert "is to be a time series" in series.words
    capped = {"capped": True, "size": 512}
    assert all(step.is_blocked for step in plan("{capped: {bytes: 600}}", options=capped))
    assert plan("{capped: {bytes: 500}}", options=capped) == []
    (view,) = plan("{indexes: [a]}", type="view")
    assert (view.act, view.is_blocked) == ("tell", True)


def test_a_time_series_has_the_index_that_the_server_makes() -> None:
    made = {"key": {"of": 1, "at": 1}, "name": "of_1_at_1"}
    series = {"timeField": "at", "metaField": "of", "granularity": "seconds"}
    options = {"timeseries": series, "expireAfterSeconds": Int64(86_400)}
    kept = "{time_series: {time: at, meta: of}, keep: 1 day}"
    assert plan(kept, made, options=options, type="timeseries") == []
    (step,) = plan(kept.replace("1 day", "1 hour"), made, options=options, type="timeseries")
    assert (step.act, step.needs) == ("keep", ("yes",))


def test_what_refers_to_a_collection_is_known_by_rule_by_column_and_by_name() -> None:
    manifest = read(
        "{c: {}, by_rule: {fields: {owner: {type: objectId, references: c}}},"
        " by_name: {indexes: [c_id, [cId, a]]}}",
        TABLES
        + """  orders:
    collection: orders
    primary_key: id
    columns:
      id: {type: uuid, from: _id}
      buyer: {type: uuid, from: who.buyer, references: users}
""",
    )
    assert [f"{name}.{path}" for name, path in list_references("c", manifest)] == [
        "by_rule.owner",
        "by_name.c_id",
        "by_name.cId",
        "orders.who.buyer",
    ]


@pytest.mark.parametrize(
    ("collections", "message"),
    [
        ("{c: {indexes: [[]]}}", "collections.c.indexes.0: has no field"),
        ("{c: {indexes: [_id]}}", "is the index on _id"),
        ("{c: {indexes: [a, a]}}", "occurs twice"),
        ("{c: {indexes: [[a, -a]]}}", "has a field twice"),
        ("{c: {indexes: [{text: a}, {text: b}]}}", "has two text indexes"),
        ("{c: {indexes: [{columns: a, where: x}]}}", "is no filter"),
        ("{c: {indexes: [{columns: [a, b], keep: 1 day}]}}", "Only an index of one column"),
        ("{c: {indexes: [a..b]}}", "is not the path of a field"),
        ("{c: {keep: {at: 0 days}}}", "is no time to keep documents"),
        ("{c: {keep: {at: 100 years}}}", "is no time to keep documents"),
        ("{c: {keep: 5 days}}", "names no field"),
        ("{c: {indexes: [at], keep: {at: 5 days}}}", "has an index already"),
        ("{c: {fields: {a: text}}}", "is no type of MongoDB"),
        ("{c: {fields: {a: {type: string, min: 3}}}}", "is no limit of string"),
        ("{c: {fields: {a: {type: int, min: 3, max: 2}}}}", "is above max"),
        ("{c: {fields: {a: {type: int, enum: [x]}}}}", "has a value that is no int"),
        ("{c: {fields: {a: int, a.b: int}}}", "lies inside a, which is no object"),
        ("{c: {capped: {bytes: 0}}}", "is no size"),
        ("{c: {columns: true}}", "needs a table of this collection"),
        ("{system.users: {}}", "cannot be the name of a collection"),
        ("{c: {colour: red}}", "is not a manifest key here"),
    ],
)
def test_what_no_server_would_take_is_refused(collections: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(collections)
    assert message in str(caught.value)
