from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from ruamel.yaml import YAML
from tests.manifest.samples import (
    DEVORA,
    draw_manifests,
)

from assise.errors import ManifestError
from assise.manifest.json_schema import json_schema
from assise.manifest.keys import Schema
from assise.manifest.model import Manifest
from assise.manifest.read import parse_manifest
from assise.manifest.write import HEADER, dump_manifest


def conforms(value: object, schema: Schema) -> bool:
    """Whether a value has the shape that a schema describes, for the keywords that ours uses."""
    assert isinstance(schema, dict)
    types: dict[object, type | tuple[type, ...]] = {
        "object": dict,
        "array": list,
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
    }
    if "type" in schema and not isinstance(value, types[schema["type"]]):
        return False
    if ("const" in schema and value != schema["const"]) or (
        "enum" in schema and value not in listed(schema["enum"])
    ):
        return False
    options = listed(schema.get("anyOf", [True]))
    if not any(option is True or conforms(value, option) for option in options):
        return False
    if "not" in schema and conforms(value, schema["not"]):
        return False
    if (
        "oneOf" in schema
        and sum(conforms(value, option) for option in listed(schema["oneOf"])) != 1
    ):
        return False
    if isinstance(value, str):
        pattern, most = str(schema.get("pattern", "")), int(str(schema.get("maxLength", 10**9)))
        return re.search(pattern, value) is not None and len(value) <= most
    if isinstance(value, list):
        return len(value) >= int(str(schema.get("minItems", 0))) and (
            "items" not in schema or all(conforms(item, schema["items"]) for item in value)
        )
    return not isinstance(value, dict) or has_shape(value, schema)


def has_shape(value: dict[str, object], schema: dict[str, Schema]) -> bool:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    assert isinstance(known, dict)
    if any(key not in value for key in listed(schema.get("required", []))):
        return False
    return all(
        conforms(inner, known[key])
        if key in known
        else others is True or (others is not False and conforms(inner, others))
        for key, inner in value.items()
    )


def listed(schema: Schema) -> list[Schema]:
    assert isinstance(schema, list)
    return schema


def test_the_schema_describes_a_manifest() -> None:
    assert conforms(YAML(typ="safe", pure=True).load(DEVORA), json_schema())
    assert json.loads(json.dumps(json_schema())) == json_schema()
    assert DEVORA.startswith(HEADER)


WRONG = [
    ("assise: 1", "assise: 2"),
    ("name: devora", "name: 9"),
    ("name: devora", "name: 9lives"),
    ("name: devora", "name: devora\nmongodb: {}"),
    ("    parent: users\n    from: files.*\n", "    from: files.*\n"),
    ("    collection: users\n", "    collection: users\n    audit: x\n"),
    ("    collection: users\n", "    collection: users\n    parent: files\n    from: a.*\n"),
    ("    primary_key: id\n", ""),
    ("      path: text\n", "      path: citex\n"),
    ("      path: text\n", "      path: {from: x}\n"),
    ("      path: text\n", "      path: {type: text, personal: true}\n"),
    ("unique: true, dup", "unique: {a: b}, dup"),
    ("on_delete: cascade", "on_delete: maybe"),
    ("[city, -price]", "{colums: [city]}"),
    ("kind: decimal", "kind: money"),
]


@pytest.mark.parametrize(("right", "wrong"), WRONG)
def test_the_schema_and_the_loader_refuse_the_same(right: str, wrong: str) -> None:
    text = DEVORA.replace(right, wrong, 1)
    assert text != DEVORA
    assert not conforms(YAML(typ="safe", pure=True).load(text), json_schema())
    with pytest.raises(ManifestError):
        parse_manifest(text)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(draw_manifests())
def test_other_readers_of_yaml_see_the_same(manifest: Manifest) -> None:
    text = dump_manifest(manifest)
    for version in ("1.1", "1.2"):
        yaml = YAML(typ="safe", pure=True)
        yaml.version = version
        seen = yaml.load(text)
        assert list(seen["tables"]) == list(manifest.tables)
        assert [list(table["columns"]) for table in seen["tables"].values()] == [
            list(table.columns) for table in manifest.tables.values()
        ]
        assert conforms(seen, json_schema())
