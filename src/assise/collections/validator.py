"""Validators of MongoDB, from the fields of the manifest and the columns of tables.

https://www.mongodb.com/docs/manual/reference/operator/query/jsonSchema/
"""

from __future__ import annotations

from collections.abc import Mapping

from assise.manifest.model import Manifest
from assise.manifest.sections.constraints import NOT_NULL, VALUES
from assise.manifest.sections.mongo_collections import CollectionRules
from assise.manifest.sections.mongo_fields import FieldRule
from assise.manifest.table import Column
from assise.mongo.source import JsonObject

_WORDS = {
    "min": "minimum",
    "max": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_items": "minItems",
    "max_items": "maxItems",
    "pattern": "pattern",
}
POINT: JsonObject = {
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
}
_KINDS: Mapping[str, tuple[str, ...]] = {
    "objectid": ("objectId",),
    "string": ("string",),
    "bool": ("bool",),
    "date": ("date",),
    "int": ("int", "long"),
    "double": ("double",),
    "number": ("int", "long", "double"),
    "decimal": ("decimal",),
    "text": ("string",),
    "iso": ("string",),
    "iso3": ("string",),
    "hex": ("string",),
    "uuid_text": ("string",),
    "uuid": ("binData",),
    "uuid_java": ("binData",),
    "uuid_csharp": ("binData",),
    "uuid_python": ("binData",),
}
"""The types of MongoDB for the home kinds of columns; columns of other kinds say nothing."""


def write_validator(rules: CollectionRules, collection: str, manifest: Manifest) -> JsonObject:
    """The validator of a collection: `{$jsonSchema: …}`, empty where nothing is asked."""
    asked = _read_columns(collection, manifest) if rules.columns else {}
    for path, rule in rules.fields.items():
        asked[path] = describe_rule(rule), rule.required
    if not asked:
        return {}
    schema: JsonObject = {"bsonType": "object"}
    for path, (asks, is_required) in asked.items():
        _place(schema, path.split("."), asks, is_required=is_required)
    return {"$jsonSchema": schema}


def _place(schema: JsonObject, steps: list[str], rule: JsonObject, *, is_required: bool) -> None:
    """Add a rule at its path, and what leads there."""
    first, *rest = steps
    if first == "*":
        inner = schema.setdefault("items", {})
    else:
        inner = schema.setdefault("properties", {}).setdefault(first, {})
    if rest:
        inner.setdefault("bsonType", "array" if rest[0] == "*" else "object")
        _place(inner, rest, rule, is_required=is_required)
        return
    inner |= rule
    if is_required and first != "*":
        schema.setdefault("required", []).append(first)


def describe_rule(rule: FieldRule) -> JsonObject:
    """What one field must hold."""
    found: JsonObject = {}
    if rule.type == "point":
        found = {name: value for name, value in POINT.items() if name != "bsonType"}
    if rule.kind:
        kind = "object" if rule.type == "point" else rule.kind
        found["bsonType"] = [kind, "null"] if rule.nullable else kind
    if rule.enum:
        found["enum"] = [*rule.values, None] if rule.nullable else rule.values
    for name, word in _WORDS.items():
        if (limit := getattr(rule, name)) is not None:
            found[word] = limit
    return found


def _read_columns(collection: str, manifest: Manifest) -> dict[str, tuple[JsonObject, bool]]:
    """What the columns of the collection's table say, by path: types, values, and `not_null`."""
    found = {}
    for table in manifest.tables.values():
        for column in table.columns.values() if table.collection == collection else ():
            if column.path and not any("." in step for step in column.path):
                is_required = bool(NOT_NULL.of(column)) or column.from_ == "_id"
                rule = _describe_column(column, is_required=is_required)
                found[".".join(column.path)] = rule, is_required and column.from_ != "_id"
    return found


def _describe_column(column: Column, *, is_required: bool) -> JsonObject:
    kinds = list(_KINDS.get(column.kind, ()))
    if not kinds or column.type.endswith("[]"):
        return {}
    null = [] if is_required else ["null"]
    types = [*kinds, *null]
    found: JsonObject = {"bsonType": types if len(types) > 1 else types[0]}
    if kinds == ["string"] and (values := VALUES.of(column)):
        found["enum"] = [*values, None] if null else [*values]
    return found
