"""Indexes as the manifest has them and as a server lists them, in one form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bson import json_util

from assise.manifest.sections.mongo_indexes import Collation, MongoIndex
from assise.mongo.source import JsonObject
from assise.settings import parse_duration

IndexKey = tuple[tuple[str, int | str], ...]

_COLLATION = {"strength": 3, "caseLevel": False, "numericOrdering": False}
"""What a server fills in where an index does not say it, in every locale."""


@dataclass(frozen=True)
class IndexForm:
    """An index: the fields with their order or kind, and what is special about it.

    The fields of text have their weights. `where` and `collation` are texts of JSON.
    """

    name: str
    key: IndexKey
    is_unique: bool = False
    is_sparse: bool = False
    is_hidden: bool = False
    keep_s: int | None = None
    where: str = ""
    collation: str = ""
    weights: tuple[tuple[str, int], ...] = ()
    language: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields in their order."""
        return tuple(name for name, _ in self.key)

    @property
    def is_plain(self) -> bool:
        """Whether it has all documents, in the plain order of their values."""
        is_ordered = not any(isinstance(way, str) for _, way in self.key)
        return is_ordered and not (self.where or self.collation or self.is_sparse)

    @property
    def words(self) -> str:
        """The index as people say it: `{user_id: 1, created_at: -1} unique`."""
        key = write_pairs(self.key)
        weights = write_pairs([each for each in self.weights if each[1] != 1])
        told = [
            "unique" if self.is_unique else "",
            "sparse" if self.is_sparse else "",
            f"where {self.where}" if self.where else "",
            f"collation {self.collation}" if self.collation else "",
            f"keep {self.keep_s:,} s" if self.keep_s is not None else "",
            f"language {self.language}" if self.language not in {"", "english"} else "",
            f"weights {weights}" if weights else "",
            "hidden" if self.is_hidden else "",
        ]
        return " ".join([f"{{{key}}}", *filter(None, told)])


def read_declared(index: MongoIndex, collation: Collation | None) -> IndexForm:
    """An index of the manifest; `collation` is that of the collection."""
    kept = parse_duration(index.keep) if index.keep else None
    weights = {name: index.weights.get(name, 1) for name in index.text}
    asked = index.collation or collation
    return IndexForm(
        index.name or name_key(index.key),
        index.key,
        is_unique=index.unique,
        is_sparse=index.sparse,
        is_hidden=index.hidden,
        keep_s=None if kept is None else int(kept.total_seconds()),
        where=write_json(index.filter) if index.where else "",
        # Texts of an index on words have rules of their own.
        collation="" if asked is None or index.text else _write_collation(as_options(asked)),
        weights=tuple(sorted(weights.items())),
        language=(index.language or "english") if index.text else "",
    )


def read_found(info: Mapping[str, object]) -> IndexForm:
    """An index as a server lists it.

    The fields of a text index stand in `weights`, and `_fts` in their place; a server in tests
    lists the key as it was given.
    """
    weights = _inside(info, "weights")
    key: list[tuple[str, int | str]] = []
    for name, way in _inside(info, "key").items():
        if name == "_fts":
            key += [(each, "text") for each in sorted(weights)]
        elif name != "_ftsx":
            key.append((name, way if isinstance(way, str) else read_number(way)))
    texts = [name for name, way in key if way == "text"]
    kept, language = info.get("expireAfterSeconds"), info.get("default_language", "english")
    collation = _inside(info, "collation")
    return IndexForm(
        str(info.get("name", "")),
        tuple(key),
        is_unique=bool(info.get("unique")),
        is_sparse=bool(info.get("sparse")),
        is_hidden=bool(info.get("hidden")),
        keep_s=None if kept is None else read_number(kept),
        where=write_json(_inside(info, "partialFilterExpression")),
        collation=_write_collation(collation) if collation else "",
        weights=tuple(sorted((name, read_number(weights.get(name, 1))) for name in texts)),
        language=str(language) if texts else "",
    )


def is_same_key(one: IndexForm, other: IndexForm) -> bool:
    """Whether two indexes have the same fields; those of text stand in no order."""
    if one.language and other.language:
        return sorted(one.key, key=str) == sorted(other.key, key=str)
    return one.key == other.key


def is_same(one: IndexForm, other: IndexForm) -> bool:
    """Whether two indexes are the same but for their names and for being hidden."""
    return is_same_key(one, other) and _facts(one) == _facts(other)


def _facts(form: IndexForm) -> Sequence[object]:
    # A text index is sparse whatever it says.
    is_sparse = form.is_sparse and not form.language
    rules = (form.is_unique, is_sparse, form.keep_s, form.where, form.collation)
    return (*rules, form.weights, form.language)


def write_command(index: MongoIndex, form: IndexForm) -> JsonObject:
    """An index as the command createIndexes takes it."""
    options: JsonObject = {
        "unique": index.unique,
        "sparse": index.sparse,
        "hidden": index.hidden,
        "expireAfterSeconds": form.keep_s,
        "partialFilterExpression": dict(index.filter) or None,
        "weights": dict(form.weights) if index.weights else None,
        "default_language": index.language,
        "collation": as_options(index.collation) if index.collation else None,
    }
    given = {name: value for name, value in options.items() if value}
    return {"key": dict(index.key), "name": form.name, **given}


def read_number(value: object) -> int:
    """A number as an int; 0 for what is none, or none that MongoDB has."""
    if isinstance(value, int | float) and abs(value) < 2**63:
        return int(value)
    return 0


def write_pairs(pairs: Iterable[tuple[str, object]]) -> str:
    """Fields with what is said of each: `user_id: 1, created_at: -1`."""
    return ", ".join(f"{name}: {value}" for name, value in pairs)


def name_key(key: IndexKey) -> str:
    """The name that MongoDB's drivers give an index."""
    return "_".join(f"{name}_{way}" for name, way in key)


def as_options(collation: Collation) -> JsonObject:
    """A collation as MongoDB has it."""
    names = {"case_level": "caseLevel", "numeric_ordering": "numericOrdering"}
    found = collation.model_dump(exclude_none=True)
    return {names.get(name, name): value for name, value in found.items()}


def write_json(value: object) -> str:
    """A document as one text of Extended JSON; empty where it is empty."""
    return json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS) if value else ""


def read_json(text: str) -> JsonObject:
    """The document of a text that `write_json` wrote."""
    return dict(json_util.loads(text)) if text else {}


def _write_collation(found: Mapping[str, object]) -> str:
    rules = {name: found.get(name, default) for name, default in _COLLATION.items()}
    others = {name: rules[name] for name in rules if rules[name] != _COLLATION[name]}
    return write_json({"locale": found.get("locale"), **others})


def _inside(info: Mapping[str, object], name: str) -> dict[str, object]:
    found = info.get(name)
    return dict(found) if isinstance(found, Mapping) else {}
