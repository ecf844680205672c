"""Pages of a query by the values of the last document, and the cursors that carry them.

A comparison in MongoDB finds values of one type alone. null and missing come before all others, and
what stands between two types is not looked for: sort by fields of one type.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence

from bson import json_util
from bson.errors import BSONError

from assise.errors import RequestError, UsageError
from assise.manifest.sections.mongo_indexes import read_direction
from assise.mongo.source import JsonObject

SortKey = tuple[tuple[str, int], ...]

_CANONICAL = json_util.CANONICAL_JSON_OPTIONS
_AWARE = json_util.JSONOptions(tz_aware=True)
_MOST_CURSOR = 4_096


def read_sort(texts: str | Sequence[str]) -> SortKey:
    """A sort as MongoDB has it, `_id` last: `-created_at` is descending.

    Raises:
        UsageError: a text names no field.

    >>> read_sort("-created_at")
    (('created_at', -1), ('_id', -1))
    """
    listed = [texts] if isinstance(texts, str) else list(texts)
    sort = list(map(read_direction, listed))
    for name, _ in sort:
        if not name or name[:1] == "$" or "\0" in name:
            remedy = "Name fields: ['-created_at', 'name']."
            raise UsageError(f"sort: {name!r} is not the path of a field", remedy=remedy)
    if "_id" not in [name for name, _ in sort]:
        sort.append(("_id", sort[-1][1] if sort else 1))
    return tuple(sort)


def write_cursor(document: Mapping[str, object], sort: SortKey) -> str:
    """The cursor that stands behind a document.

    Raises:
        UsageError: a field that is sorted by holds a list, which has several places in an order.
    """
    values = [find_value(document, name) for name, _ in sort]
    for (name, _), value in zip(sort, values, strict=True):
        if isinstance(value, list):
            remedy = "Sort by fields with one value, or give skip."
            raise UsageError(f"sort: {name} holds a list", remedy=remedy)
    text = json_util.dumps([_name_sort(sort), values], json_options=_CANONICAL)
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, sort: SortKey) -> list[object]:
    """The values of the document that a cursor stands behind.

    Raises:
        RequestError: it is no cursor of a query with this sort.
    """
    try:
        if len(cursor) > _MOST_CURSOR:
            raise ValueError(cursor[:9])
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        name, values = json_util.loads(text, json_options=_AWARE)
        if name != _name_sort(sort) or len(values) != len(sort):
            raise ValueError(name)
    except (ValueError, TypeError, KeyError, BSONError, RecursionError) as error:
        remedy = "Give the cursor of the page before, with the same sort; the first page has none."
        raise RequestError("the cursor is none of this query", remedy=remedy) from error
    return list(values)


def match_behind(sort: SortKey, values: Sequence[object]) -> JsonObject:
    """The filter that finds the documents behind these values."""
    options: list[JsonObject] = []
    equal: JsonObject = {}
    for (name, way), value in zip(sort, values, strict=True):
        options += [{**equal, name: behind} for behind in _list_behind(way, value)]
        equal[name] = {"$eq": value}
    return {"$or": options} if options else {"_id": {"$in": []}}


def _list_behind(way: int, value: object) -> list[JsonObject]:
    """What a field holds behind a value: null and missing come first where it ascends."""
    if value is None:
        return [{"$ne": None}] if way == 1 else []
    return [{"$gt": value}] if way == 1 else [{"$lt": value}, {"$eq": None}]


def find_value(document: Mapping[str, object], path: str) -> object:
    """The value at a path; None where there is none."""
    value: object = document
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _name_sort(sort: SortKey) -> str:
    return hashlib.sha256(repr(sort).encode()).hexdigest()[:12]
