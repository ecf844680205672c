"""Partitions: tables that are cut by time, how many stand ready, and how long old ones are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, get_args

from pydantic import Field

from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.constraints import DEFAULT, UNIQUE
from assise.manifest.sections.indexes import INDEXES
from assise.wording import nearest, show

Period = Literal["day", "week", "month", "year"]
MAX_AHEAD = 400
_KEEP = re.compile(r"[1-9]\d{0,4} (day|week|month|year)s?")
_TYPES = ("timestamptz", "date")


class PartitionKey(Keyed):
    """How a table is cut: by which column, into what, and what becomes of old partitions."""

    by: str
    every: Period = "month"
    ahead: int = Field(default=12, ge=1, le=MAX_AHEAD)
    keep: str | None = None
    then: Literal["drop", "detach"] = "drop"


def _check(place: Place, key: PartitionKey, tables: Tables) -> Iterator[Problem]:
    table = tables[place[1]]
    column = table.columns.get(key.by)
    at = (*place, "by")
    if not table.is_born:
        message = "is for tables without a collection: _id alone must tell a document's row, and a"
        remedy = "Remove it; or copy what is old to a table without collection that has the key."
        yield Problem(place, f"{message} document may lack the date", remedy=remedy)
    elif column is None:
        remedy = nearest(key.by, table.columns)
        yield Problem(at, "is not a column of this table", show(key.by), remedy)
    else:
        yield from _check_column(at, key.by, column.type, is_in_key=key.by in table.primary_key)
        if DEFAULT.of(column) is None:
            remedy = f"Write {key.by}: {{type: {column.type}, default: now()}}: the server's clock."
            yield Problem(at, "has no default", show(key.by), remedy)
        yield from _check_unique(place, key, tables)
    if key.keep is not None and not _KEEP.fullmatch(key.keep):
        remedy = "Write a number and days, weeks, months or years: 24 months."
        yield Problem((*place, "keep"), "is no time", show(key.keep), remedy)


def _check_column(at: Place, name: str, kind: str, *, is_in_key: bool) -> Iterator[Problem]:
    if kind.partition("(")[0] not in _TYPES:
        remedy = f"Give it one of the types {', '.join(_TYPES)}."
        yield Problem(at, f"is of type {show(kind)}, which tells no time", show(name), remedy)
    if not is_in_key:
        remedy = f"Write primary_key: […, {name}]: PostgreSQL keeps keys within a partition alone."
        yield Problem(at, "is no part of the primary key", show(name), remedy)


def _check_unique(place: Place, key: PartitionKey, tables: Tables) -> Iterator[Problem]:
    """No partitioned table can keep a key unique that lacks the column that it is cut by."""
    table = tables[place[1]]
    found = [("columns", name) for name, column in table.columns.items() if UNIQUE.of(column)]
    for i, index in enumerate(INDEXES.of(table) or ()):
        names = [each.lstrip("-") for each in index.columns]
        if index.unique and key.by not in names:
            found.append(("indexes", str(i)))
    for where in found:
        remedy = (
            f"Keep the key in a table without partitions, such as {place[1]}_keys, with one row for"
            " each value, written in the same transaction."
        )
        message = f"cannot be unique: the table is cut by {key.by}, which is no part of it"
        yield Problem((*place[:2], *where, "unique"), message, remedy=remedy)


_SCHEMA: dict[str, Schema] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "by": {"type": "string"},
        "every": {"enum": [*get_args(Period)]},
        "ahead": {"type": "integer", "minimum": 1, "maximum": MAX_AHEAD},
        "keep": {"type": "string"},
        "then": {"enum": ["drop", "detach"]},
    },
    "required": ["by"],
}
PARTITION = Key(
    "partition",
    "table",
    help="cut by time, of a table without collection: {by: created_at, every: month, ahead: 12,"
    " keep: 24 months, then: drop}; `every` is day, week, month or year, `then` drop or detach",
    affects="schema",
    type=PartitionKey,
    check=_check,
    schema=_SCHEMA,
    default="one table",
)
KEYS = (PARTITION,)
