"""The keys of the manifest as rows of a page."""

from __future__ import annotations

from dataclasses import dataclass

from assise.manifest.json_schema import VARIABLE, default_of, describe_values, is_required
from assise.manifest.keys import Affects, AnyKey, On, Schema
from assise.manifest.sections import KEYS


@dataclass(frozen=True)
class KeyRow:
    """One key: its name, where it stands, its type and default in words, what it means."""

    key: str
    where: On
    type: str
    default: str
    help: str
    affects: Affects


def list_keys() -> list[KeyRow]:
    """A row for each key, in the order in which a person writes them."""
    return [_describe(key) for key in KEYS]


def _describe(key: AnyKey) -> KeyRow:
    default = key.default
    if is_required(key):
        default = "required"
    elif default_of(key) is not None:
        default = f"`{default_of(key)}`"
    return KeyRow(
        key.name, key.on, _name_type(describe_values(key)), default, key.help, key.affects
    )


_NAMES: dict[str, str] = {
    "string": "text",
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "object": "mapping",
}
_MOST_VALUES = 8


def _name_type(schema: Schema) -> str:
    """The type of a key's values in words."""
    if not isinstance(schema, dict):
        return "any value"
    options, values = schema.get("anyOf"), schema.get("enum")
    if isinstance(options, list):
        names = [_name_type(option) for option in options if option != VARIABLE]
        return " or ".join(dict.fromkeys(names))
    if isinstance(values, list):
        is_short = len(values) <= _MOST_VALUES
        texts = ["null" if value is None else str(value) for value in values]
        shown = dict.fromkeys(texts)
        return " or ".join(f"`{value}`" for value in shown) if is_short else "text"
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_name_type(schema.get('items'))}"
    return _NAMES.get(str(schema.get("type")), "any value")
