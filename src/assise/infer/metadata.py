"""What a source says of a collection beside its documents: indexes, and what a validator asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from bson import json_util
from bson.errors import BSONError

JsonMapping = Mapping[str, object]


@dataclass(frozen=True)
class SourceIndex:
    """An index of MongoDB.

    `keys` are paths, each with 1, -1 or the name of a kind of index such as `text`. `ttl_s` is the
    number of seconds after which a document is deleted. A text index has the weights of paths, and a
    language.
    """

    name: str
    keys: tuple[tuple[str, int | str], ...]
    is_unique: bool = False
    is_sparse: bool = False
    partial: JsonMapping = field(default_factory=dict)
    ttl_s: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    collation: str = ""
    language: str = ""

    @property
    def kinds(self) -> set[str]:
        """The kinds of index that are no plain order, such as `text` or `2dsphere`."""
        return {way for _, way in self.keys if isinstance(way, str)}


@dataclass(frozen=True)
class Metadata:
    """The indexes of a collection but for that of `_id`, and the paths that its validator requires.

    Of a time series `meta_field` is the field that says of which source a measurement is.
    """

    indexes: tuple[SourceIndex, ...] = ()
    required: frozenset[str] = frozenset()
    meta_field: str = "meta"

    @property
    def targets(self) -> list[str]:
        """The fields whose values identify documents: `_id`, and those with a unique index."""
        found = (index for index in self.indexes if _is_plain(index) and len(index.keys) == 1)
        unique = [index.keys[0][0] for index in found]
        return ["_id", *dict.fromkeys(unique)]

    @property
    def composites(self) -> list[tuple[str, ...]]:
        """The fields of each unique index of several."""
        found = (index for index in self.indexes if _is_plain(index) and len(index.keys) > 1)
        return list(dict.fromkeys(tuple(name for name, _ in index.keys) for index in found))

    @property
    def unique(self) -> list[str]:
        """The paths of all unique indexes."""
        found = (name for index in self.indexes if index.is_unique for name, _ in index.keys)
        return list(dict.fromkeys(found))

    @property
    def without_rules(self) -> Metadata:
        """The same without what rows may break: not all documents were looked at."""
        indexes = tuple(replace(index, is_unique=False) for index in self.indexes)
        return Metadata(indexes, meta_field=self.meta_field)


def _is_plain(index: SourceIndex) -> bool:
    """Whether an index tells documents apart by the values of fields of theirs."""
    is_special = index.partial or index.kinds or index.collation
    return (
        index.is_unique and not is_special and not {".", "$"} & {*"".join(n for n, _ in index.keys)}
    )


def read_metadata(text: str | None) -> Metadata:
    """The metadata that mongodump writes, as Extended JSON; what cannot be read is left out."""
    try:
        found = json_util.loads(text or "{}")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, BSONError):
        return Metadata()
    if not isinstance(found, dict):
        return Metadata()
    listed = found.get("indexes")
    indexes = [_read_index(each) for each in listed] if isinstance(listed, list) else []
    validator = _inside(_inside(_inside(found, "options"), "validator"), "$jsonSchema")
    meta_field = _inside(_inside(found, "options"), "timeseries").get("metaField")
    return Metadata(
        tuple(index for index in indexes if index is not None),
        frozenset(_list_required(validator, "", 0)),
        meta_field if isinstance(meta_field, str) else "meta",
    )


def _inside(found: object, key: str) -> JsonMapping:
    inner = found.get(key) if isinstance(found, dict) else None
    return inner if isinstance(inner, dict) else {}


def _read_index(found: object) -> SourceIndex | None:
    """An index; None for that of `_id`, and for what is none."""
    keys = [*_inside(found, "key").items()]
    if not isinstance(found, dict) or not keys or [key for key, _ in keys] == ["_id"]:
        return None
    ttl = found.get("expireAfterSeconds")
    weights = _inside(found, "weights")
    collation = _inside(found, "collation")
    strength = collation.get("strength", 3)
    locale = str(collation.get("locale", ""))
    return SourceIndex(
        str(found.get("name", "")),
        tuple((str(key), _read_way(way)) for key, way in keys),
        found.get("unique") is True,
        found.get("sparse") is True,
        _inside(found, "partialFilterExpression"),
        int(ttl) if isinstance(ttl, int | float) and 0 <= ttl < 2**40 else None,
        {str(path): _read_weight(weight) for path, weight in weights.items()},
        f"{locale}, strength {strength}" if locale not in {"", "simple"} else "",
        str(found.get("default_language", "english")),
    )


def _read_weight(weight: object) -> float:
    return float(weight) if isinstance(weight, int | float) else 1


def _read_way(way: object) -> int | str:
    """1, -1 or a kind: MongoDB takes any number above or below 0 as a direction."""
    if isinstance(way, int | float):
        return -1 if way < 0 else 1
    return way if isinstance(way, str) else 1


def _list_required(schema: JsonMapping, prefix: str, level: int) -> Iterator[str]:
    required, properties = schema.get("required"), _inside(schema, "properties")
    for key in required if isinstance(required, list) else ():
        if isinstance(key, str):
            yield prefix + key
            if level < 3:
                yield from _list_required(_inside(properties, key), f"{prefix}{key}.", level + 1)
