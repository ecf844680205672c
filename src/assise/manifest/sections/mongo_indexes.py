"""Indexes of a collection that stays in MongoDB."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bson import json_util
from bson.errors import BSONError
from pydantic import Field, field_validator, model_validator

from assise.manifest.keys import Keyed, Schema
from assise.manifest.problems import Place, Problem
from assise.settings import parse_duration
from assise.wording import show

MAX_COLUMNS = 32
MAX_INDEXES = 64
"""MongoDB's limits, https://www.mongodb.com/docs/manual/reference/limits/."""

MAX_KEEP_S = 2**31 - 1


class Collation(Keyed):
    """How texts compare: a locale of ICU, and what differs; strength 2 ignores upper case."""

    locale: str
    strength: int | None = None
    case_level: bool | None = None
    numeric_ordering: bool | None = None


class MongoIndex(Keyed):
    """An index of a collection: fields, a descending one with `-` in front, and what it is.

    A text or a list is short for its `columns`. Fields of `text`, `2dsphere` and `hashed` come
    behind them. `where` is a filter in Extended JSON, `keep` how long after the time in its field a
    document stays.
    """

    columns: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    sphere: tuple[str, ...] = Field(default=(), alias="2dsphere")
    hashed: str | None = None
    unique: bool = False
    sparse: bool = False
    hidden: bool = False
    where: str | None = None
    keep: str | None = None
    collation: Collation | None = None
    weights: Mapping[str, int] = {}
    language: str | None = None
    name: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _write_out(cls, value: object) -> object:
        if isinstance(value, str):
            return {"columns": (value,)}
        return {"columns": tuple(value)} if isinstance(value, list | tuple) else value

    @field_validator("columns", "text", "sphere", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @property
    def key(self) -> tuple[tuple[str, int | str], ...]:
        """The key as MongoDB has it: each field with 1, -1, or the kind of the index."""
        plain = map(read_direction, self.columns)
        kinds = [(each, "text") for each in self.text] + [
            (each, "2dsphere") for each in self.sphere
        ]
        hashed = [(self.hashed, "hashed")] if self.hashed else []
        return (*plain, *kinds, *hashed)

    @property
    def filter(self) -> Mapping[str, object]:
        """The filter `where` as a document; empty where there is none."""
        found = json_util.loads(self.where) if self.where else {}
        return found if isinstance(found, dict) else {}


def read_direction(text: str) -> tuple[str, int]:
    """A field with 1, or with -1 where a `-` stands before it."""
    return (text[1:], -1) if text[:1] == "-" else (text, 1)


def check_indexes(place: Place, indexes: tuple[MongoIndex, ...]) -> Iterator[Problem]:
    """What no server would build, or what it would take for another index."""
    if len(indexes) >= MAX_INDEXES:
        remedy = f"MongoDB keeps {MAX_INDEXES}, that of _id among them."
        yield Problem(place, f"has {len(indexes)} indexes", remedy=remedy)
    if sum(bool(index.text) for index in indexes) > 1:
        remedy = "Join them: MongoDB has one text index in a collection."
        yield Problem(place, "has two text indexes", remedy=remedy)
    for i, index in enumerate(indexes):
        at = (*place, str(i))
        if index in indexes[:i]:
            yield Problem(at, "occurs twice", remedy="Keep one of them.")
        yield from _check_index(at, index)


def _check_index(place: Place, index: MongoIndex) -> Iterator[Problem]:
    names = [name for name, _ in index.key]
    if not names:
        yield Problem(place, "has no field", remedy="Name its columns.")
    if names == ["_id"]:
        yield Problem(place, "is the index on _id", remedy="Remove it: MongoDB makes it itself.")
    if len(names) > MAX_COLUMNS:
        remedy = f"MongoDB takes {MAX_COLUMNS}."
        yield Problem(place, f"has {len(names)} fields", remedy=remedy)
    for n, name in enumerate(names):
        yield from check_field((*place, "columns"), name)
        if name in names[:n]:
            yield Problem((*place, "columns"), "has a field twice", show(name), "Keep one of them.")
    for name in index.weights:
        if name not in index.text:
            remedy = "Name it in text: too, or remove its weight."
            yield Problem((*place, "weights", name), "is not in text", show(name), remedy)
    if index.unique and (index.text or index.hashed):
        remedy = "Only an index of plain columns can be unique."
        yield Problem((*place, "unique"), "is not possible here", remedy=remedy)
    if index.where is not None:
        yield from _check_where((*place, "where"), index.where)
    if index.keep is not None:
        at = (*place, "keep")
        yield from check_keep(at, index.keep)
        if len(names) != 1 or not index.columns:
            remedy = "Only an index of one column deletes by its time."
            yield Problem(at, "is not possible here", remedy=remedy)


def check_field(place: Place, name: str) -> Iterator[Problem]:
    """Whether a text can be the path of a field."""
    parts = name.split(".")
    is_operator = name[:1] == "$" and name != "$**"
    if is_operator or not all(parts) or "\0" in name:
        yield Problem(place, "is not the path of a field", show(name), "Write address.city.")


def check_keep(place: Place, keep: str) -> Iterator[Problem]:
    """Whether a text is a time for which MongoDB can keep documents."""
    kept = parse_duration(keep)
    if kept is None or not 1 <= kept.total_seconds() <= MAX_KEEP_S or kept.microseconds:
        remedy = "Write whole seconds to 68 years, such as 90 days or 12 hours."
        yield Problem(place, "is no time to keep documents", show(keep), remedy)


def _check_where(place: Place, text: str) -> Iterator[Problem]:
    remedy = """Write a filter in JSON: where: '{"status": "live"}'."""
    try:
        found = json_util.loads(text)
    except (ValueError, TypeError, BSONError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found:
        yield Problem(place, "is no filter", show(text), remedy)


_TEXT: dict[str, Schema] = {"type": "string"}
_LIST: Schema = {"type": "array", "items": {"type": "string"}}
_ONE_OR_MORE: Schema = {"anyOf": [dict(_TEXT), _LIST]}
_BOOLEAN: Schema = {"type": "boolean"}
_INTEGER: Schema = {"type": "integer"}
COLLATION_SCHEMA: Schema = {
    "type": "object",
    "additionalProperties": False,
    "required": ["locale"],
    "properties": {
        "locale": dict(_TEXT),
        "strength": _INTEGER,
        "case_level": _BOOLEAN,
        "numeric_ordering": _BOOLEAN,
    },
}
INDEX_SCHEMA: Schema = {
    "anyOf": [
        dict(_TEXT),
        _LIST,
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "columns": _ONE_OR_MORE,
                "text": _ONE_OR_MORE,
                "2dsphere": _ONE_OR_MORE,
                "hashed": dict(_TEXT),
                "unique": _BOOLEAN,
                "sparse": _BOOLEAN,
                "hidden": _BOOLEAN,
                "where": dict(_TEXT),
                "keep": dict(_TEXT),
                "collation": COLLATION_SCHEMA,
                "weights": {"type": "object", "additionalProperties": _INTEGER},
                "language": dict(_TEXT),
                "name": dict(_TEXT),
            },
        },
    ]
}
_PLAIN = {"columns"}


def write_index(index: MongoIndex) -> object:
    """An index as a person writes it."""
    if index.columns and index.model_fields_set <= _PLAIN:
        return index.columns[0] if len(index.columns) == 1 else list(index.columns)
    return index.model_dump(mode="json", exclude_unset=True, by_alias=True)
