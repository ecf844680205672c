"""The collections that stay in MongoDB: indexes, validators, expiry and how they are stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.mongo_fields import FIELD_SCHEMA, FieldRule, check_fields, write_field
from assise.manifest.sections.mongo_indexes import (
    COLLATION_SCHEMA,
    INDEX_SCHEMA,
    Collation,
    MongoIndex,
    check_field,
    check_indexes,
    check_keep,
    write_index,
)
from assise.wording import show


class Capped(Keyed):
    """A collection of one size, in which the oldest documents make room: bytes, and documents."""

    bytes: int
    documents: int | None = None


class TimeSeries(Keyed):
    """Measurements: the field of their time, that of what they are of, and how far apart they are."""

    time: str
    meta: str | None = None
    granularity: Literal["seconds", "minutes", "hours"] | None = None


class CollectionRules(Keyed):
    """What a collection has in MongoDB.

    `keep` says for a field of dates how long after it a document stays; of a time series it is the
    time alone. `columns: true` adds to the fields what the columns of its table say.
    """

    indexes: tuple[MongoIndex, ...] = ()
    fields: Mapping[str, FieldRule] = {}
    columns: bool = False
    keep: Mapping[str, str] | str = {}
    level: Literal["strict", "moderate", "off"] = "strict"
    action: Literal["error", "warn"] = "error"
    capped: Capped | None = None
    time_series: TimeSeries | None = None
    collation: Collation | None = None

    @property
    def all_indexes(self) -> tuple[MongoIndex, ...]:
        """The indexes, with those that `keep` asks for."""
        kept = self.keep.items() if isinstance(self.keep, Mapping) else ()
        return (*self.indexes, *(MongoIndex(columns=(name,), keep=time) for name, time in kept))


def _check(
    place: Place, collections: Mapping[str, CollectionRules], tables: Tables
) -> Iterator[Problem]:
    for name, rules in collections.items():
        at = (*place, name)
        if not name or "\0" in name or "$" in name or name.startswith("system."):
            remedy = "Give the collection's name."
            yield Problem(at, "cannot be the name of a collection", show(name), remedy)
        yield from check_indexes((*at, "indexes"), rules.indexes)
        yield from check_fields((*at, "fields"), rules.fields)
        yield from _check_keep(at, rules)
        yield from _check_options(at, rules)
        if rules.columns and not any(each.collection == name for each in tables.values()):
            remedy = f"Write collection: {name} at its table, or remove columns."
            yield Problem((*at, "columns"), "needs a table of this collection", remedy=remedy)


def _check_keep(place: Place, rules: CollectionRules) -> Iterator[Problem]:
    at = (*place, "keep")
    if isinstance(rules.keep, str):
        yield from check_keep(at, rules.keep)
        if rules.time_series is None:
            remedy = f"Name the field of its date: keep: {{created_at: {rules.keep}}}."
            yield Problem(at, "names no field", show(rules.keep), remedy)
        return
    single = {index.columns for index in rules.indexes if len(index.key) == 1}
    for name, time in rules.keep.items():
        yield from check_field((*at, name), name)
        yield from check_keep((*at, name), time)
        if {(name,), (f"-{name}",)} & single:
            remedy = "Remove it from indexes: keep makes the index."
            yield Problem((*at, name), "has an index already", show(name), remedy)
    if rules.keep and (rules.time_series or rules.capped):
        remedy = "Write the time alone for a time series; a capped collection makes room itself."
        yield Problem(at, "names a field", remedy=remedy)


def _check_options(place: Place, rules: CollectionRules) -> Iterator[Problem]:
    if rules.capped and rules.time_series:
        yield Problem((*place, "capped"), "stands beside time_series", remedy="Keep one of them.")
    if rules.capped is not None:
        for name, size in rules.capped.model_dump(exclude_none=True).items():
            if not 0 < size < 2**50:
                remedy = "Write a number above 0."
                yield Problem((*place, "capped", name), "is no size", str(size), remedy)
    if rules.time_series is not None and (rules.fields or rules.columns):
        remedy = "Remove them: MongoDB validates no time series."
        yield Problem((*place, "fields"), "stand in a time series", remedy=remedy)
    for i, index in enumerate(rules.indexes if rules.time_series else ()):
        if index.unique or index.text or index.keep:
            remedy = "MongoDB has no unique, text or expiring index there."
            yield Problem((*place, "indexes", str(i)), "is in a time series", remedy=remedy)


def _write(
    place: Place, collections: Mapping[str, CollectionRules], tables: Tables
) -> Mapping[str, object]:
    del place, tables
    return {name: _write_rules(rules) for name, rules in collections.items()}


def _write_rules(rules: CollectionRules) -> dict[str, object]:
    found = rules.model_dump(mode="json", exclude_unset=True, by_alias=True)
    if rules.indexes:
        found["indexes"] = [write_index(index) for index in rules.indexes]
    if rules.fields:
        found["fields"] = {path: write_field(rule) for path, rule in rules.fields.items()}
    return found


_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_RULES: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "indexes": {"type": "array", "items": INDEX_SCHEMA},
        "fields": {"type": "object", "additionalProperties": FIELD_SCHEMA},
        "columns": {"type": "boolean"},
        "keep": {"anyOf": [_TEXT, {"type": "object", "additionalProperties": _TEXT}]},
        "level": {"enum": ["strict", "moderate", "off"]},
        "action": {"enum": ["error", "warn"]},
        "capped": {
            "type": "object",
            "additionalProperties": False,
            "required": ["bytes"],
            "properties": {"bytes": _INTEGER, "documents": _INTEGER},
        },
        "time_series": {
            "type": "object",
            "additionalProperties": False,
            "required": ["time"],
            "properties": {
                "time": _TEXT,
                "meta": _TEXT,
                "granularity": {"enum": ["seconds", "minutes", "hours"]},
            },
        },
        "collation": COLLATION_SCHEMA,
    },
}
COLLECTIONS: Key[dict[str, CollectionRules]] = Key(
    "collections",
    "manifest",
    help="the collections that stay in MongoDB, each with {indexes, fields, columns, keep, level,"
    " action, capped, time_series, collation}; `assise mongo ensure` makes them so",
    affects="nothing",
    type=dict[str, CollectionRules],
    check=_check,
    default="none",
    schema={"type": "object", "additionalProperties": _RULES},
    written=_write,
    is_block=True,
)
KEYS = (COLLECTIONS,)
