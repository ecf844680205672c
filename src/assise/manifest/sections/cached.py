"""Cache of a table: the tags that every write invalidates, and how long values are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import Formatter

from pydantic import field_validator

from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.columns import list_columns
from assise.settings import parse_duration
from assise.wording import nearest, show

_TYPES = frozenset({"uuid", "text", "citext", "int2", "int4", "int8", "bool"})
"""Types whose text in PostgreSQL is that of Python."""


class TableCache(Keyed):
    """The tags of cached functions that read a table, with columns as fields, and their time."""

    tags: tuple[str, ...]
    ttl: str | None = None

    @field_validator("tags", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


def split_tag(tag: str) -> list[tuple[str, str | None]]:
    """A tag as pairs: what stands before a field, and its column; None behind the last.

    Raises:
        ValueError: a brace does not close, or a field is no plain name.
    """
    found = []
    for literal, field, form, conversion in Formatter().parse(tag):
        if field is not None and (form or conversion or not field.isidentifier()):
            raise ValueError(f"{{{field}}} is not the name of a field")
        found.append((literal, field))
    return found


def _check(place: Place, cache: TableCache, tables: Tables) -> Iterator[Problem]:
    types = list_columns(place[1], tables)
    if not cache.tags:
        yield Problem((*place, "tags"), "names no tag", remedy="Write tags: 'projects:{user_id}'.")
    for tag in cache.tags:
        at = (*place, "tags")
        try:
            fields = [field for _, field in split_tag(tag) if field is not None]
        except ValueError as error:
            yield Problem(at, str(error), show(tag), "Write name:{column}.")
            continue
        for field in fields:
            if field not in types:
                message = f"names {field}, which is not a column of {show(place[1])}"
                yield Problem(at, message, show(tag), nearest(field, types))
            elif types[field] not in _TYPES and not re.fullmatch(
                r"varchar(\(\d+\))?", types[field]
            ):
                message = (
                    f"names {field} of type {types[field]}, whose text Python writes otherwise"
                )
                yield Problem(
                    at, message, show(tag), "Name a uuid, a text, a whole number or bool."
                )
    ttl = cache.ttl and parse_duration(cache.ttl)
    if cache.ttl is not None and not ttl:
        remedy = "Write a time such as 5 minutes."
        yield Problem((*place, "ttl"), "is no time to keep a value", show(cache.ttl), remedy)


_TAGS: list[Schema] = [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
CACHE = Key(
    "cache",
    "table",
    help="tags, with columns as fields, that every write to the table invalidates, and ttl, how long"
    " values of functions with table=… are kept",
    affects="schema",
    type=TableCache,
    check=_check,
    schema={
        "type": "object",
        "additionalProperties": False,
        "required": ["tags"],
        "properties": {"tags": {"anyOf": _TAGS}, "ttl": {"type": "string"}},
    },
    written=lambda _place, cache, _tables: cache.model_dump(mode="json", exclude_unset=True),
    default="writes invalidate nothing",
)
KEYS = (CACHE,)
