"""The JSON Schema of a manifest: for editors, and for what the reader knows of a place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

from pydantic import TypeAdapter

from assise.manifest.keys import AnyKey, Keyed, On, Schema
from assise.manifest.model import Column, Manifest, Table
from assise.manifest.sections import keys_on
from assise.manifest.sections.collections import TABLES
from assise.manifest.sections.columns import COLUMNS, TYPE

MODELS: Mapping[On, type[Keyed]] = {"manifest": Manifest, "table": Table, "column": Column}
_NULL: Schema = {"type": "null"}
VARIABLE: Schema = {"type": "string", "pattern": r"\$\{"}
"""A text with a variable: only the reader knows what it becomes."""

_NO_TEXTS = frozenset({"boolean", "integer", "number"})
_CLOSED = frozenset({"enum", "const", "pattern", "format"})


@cache
def json_schema() -> dict[str, Schema]:
    """The shape of the file, for editors. What a schema cannot say, loading checks."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Assise manifest",
        **_describe_entry("manifest"),
    }


def describe_values(key: AnyKey) -> dict[str, Schema]:
    """The schema of a key's values."""
    if key is TABLES:
        return {"type": "object", "additionalProperties": _describe_entry("table")}
    if key is COLUMNS:
        column: Schema = {"anyOf": [describe_values(TYPE), _describe_entry("column")]}
        return {"type": "object", "additionalProperties": column}
    if key.schema is not None:
        return _allow_variables(dict(key.schema))
    field = MODELS[key.on].model_fields[key.field]
    schema = TypeAdapter[object](field.annotation or object).json_schema()
    return _simplify(schema, schema.get("$defs", {}))


def is_required(key: AnyKey) -> bool:
    """Whether every manifest, table or column has the key."""
    return MODELS[key.on].model_fields[key.field].is_required()


def default_of(key: AnyKey) -> Schema:
    """The value that holds where an optional key is not given; None where there is none."""
    default = MODELS[key.on].model_fields[key.field].get_default()
    default = default.model_dump() if isinstance(default, Keyed) else default
    return default or None if isinstance(default, str | int | float) else None


def find_options(schema: Schema, place: tuple[str, ...]) -> Iterator[dict[str, Schema]]:
    """The schemas that a value at `place` may have; none where nothing is known to stand."""
    if not isinstance(schema, dict):
        return
    options = schema.get("anyOf")
    if isinstance(options, list):
        for option in options:
            yield from find_options(option, place)
    elif not place:
        yield schema
    else:
        known = properties_of(schema).get(place[0])
        inner = known or schema.get("additionalProperties") or schema.get("items")
        yield from find_options({} if inner is True else inner, place[1:])


def properties_of(schema: Schema) -> Mapping[str, Schema]:
    """The keys that a schema names, with their schemas."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}


def takes_numbers(option: Mapping[str, Schema]) -> bool:
    """Whether YAML's numbers, true and false may stand without quotes."""
    return option.get("type") in _NO_TEXTS


def takes_text(option: Mapping[str, Schema]) -> bool:
    """Whether a text may stand there."""
    return option.get("type") not in {"object", "array"}


def takes_null(option: Mapping[str, Schema]) -> bool:
    """Whether YAML's null may stand there."""
    values = option.get("enum")
    return isinstance(values, list) and None in values


def _describe_entry(on: On) -> dict[str, Schema]:
    properties: dict[str, Schema] = {}
    for key in keys_on(on):
        values, default = describe_values(key), default_of(key)
        if default is not None:
            values["default"] = default
        properties[key.name] = {**values, "description": key.help}
    entry: dict[str, Schema] = {
        "type": "object",
        "additionalProperties": False,
        "required": [key.name for key in keys_on(on) if is_required(key)],
        "properties": properties,
    }
    if on == "table":
        entry["oneOf"] = [
            {"required": ["collection"]},
            {"required": ["parent", "from"]},
            {"required": ["on"]},
            {"required": ["columns"], "not": {"anyOf": _OF_LOADED}},
        ]
    return entry


_OF_LOADED: list[Schema] = [{"required": [key]} for key in ("collection", "parent", "from", "on")]
"""What a table has that is not born in PostgreSQL."""


def _simplify(schema: Schema, definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """A schema of pydantic's without references, titles and null."""
    if not isinstance(schema, dict):
        return {}
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return _simplify(definitions[name], definitions)
    found = {key: schema[key] for key in schema if key not in {"title", "$defs", "default"}}
    for key in ("items", "additionalProperties"):
        if isinstance(found.get(key), dict):
            found[key] = _simplify(found[key], definitions)
    properties = found.get("properties")
    if isinstance(properties, dict):
        simple = {name: _simplify(each, definitions) for name, each in properties.items()}
        found["properties"] = dict[str, Schema](simple)
    options = found.pop("anyOf", [])
    if not isinstance(options, list) or not options:
        return _allow_variables(found)
    others = [_simplify(option, definitions) for option in options if option != _NULL]
    if len(others) == 1:
        return others[0]
    return {**found, "anyOf": list[Schema](others)}


def _allow_variables(schema: dict[str, Schema]) -> dict[str, Schema]:
    """A schema that also takes a text with a variable, where it would not take every text."""
    options = schema.get("anyOf")
    if isinstance(options, list):
        return {"anyOf": [*options, VARIABLE]}
    if _CLOSED & schema.keys() or schema.get("type") in _NO_TEXTS:
        return {"anyOf": [schema, VARIABLE]}
    return schema
