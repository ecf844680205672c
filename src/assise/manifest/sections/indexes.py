"""Indexes of a table."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Literal

from pydantic import model_validator

from assise.manifest.expressions import check_expression
from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.constraints import (
    AMENDMENT_SCHEMA,
    UNIQUE_SCHEMA,
    Duplicates,
    Unique,
    check_duplicates,
    write_amendment,
)
from assise.wording import nearest, show

Method = Literal["btree", "gin", "hash", "gist", "brin"]

MAX_INDEX_COLUMNS = 32

_LIST: Schema = {"type": "array", "items": {"type": "string"}}


class Index(Keyed):
    """An index: columns, a descending one with `-` in front, or an expression.

    A text or a list is short for its `columns`.
    """

    columns: tuple[str, ...] = ()
    expression: str | None = None
    where: str | None = None
    unique: Unique | None = None
    duplicates: Duplicates | None = None
    method: Method | None = None
    include: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _write_out(cls, value: object) -> object:
        if isinstance(value, str):
            return {"columns": (value,)}
        if isinstance(value, list | tuple):
            return {"columns": tuple(value)}
        return value

    def names(self, known: Collection[str]) -> tuple[str, ...]:
        """The columns without their direction, of a table with the columns `known`."""
        return tuple(read_column(text, known)[0] for text in self.columns)


def read_column(text: str, known: Collection[str]) -> tuple[str, bool]:
    """The name of a column of an index, and whether it is descending: `-created_at`."""
    is_descending = text.startswith("-") and text not in known
    return (text[1:], True) if is_descending else (text, False)


def _check_indexes(place: Place, indexes: tuple[Index, ...], tables: Tables) -> Iterator[Problem]:
    known = list_columns(place[1], tables)
    for i, index in enumerate(indexes):
        at = (*place, str(i))
        if index in indexes[:i]:
            yield Problem(at, "occurs twice", remedy="Keep one of them.")
        yield from _check_index(at, index, known)
        if index.duplicates is not None:
            names, asked = index.names(known), index.duplicates
            if index.expression is not None and asked == "null":
                remedy = "Write keep or reject."
                yield Problem((*at, "duplicates"), "needs columns to set to NULL", asked, remedy)
            yield from check_duplicates((*at, "duplicates"), names, index.unique, asked, tables)


def _check_index(place: Place, index: Index, known: dict[str, str]) -> Iterator[Problem]:
    if not index.columns and index.expression is None:
        yield Problem(place, "has neither columns nor an expression", remedy="Name the columns.")
    elif index.columns and index.expression is not None:
        remedy = "Keep one of the two."
        yield Problem(place, "has both columns and an expression", remedy=remedy)
    for key, names in (("columns", index.names(known)), ("include", index.include)):
        for n, name in enumerate(names):
            if name not in known:
                remedy = nearest(name, known)
                yield Problem(
                    (*place, key, str(n)), "is not a column of this table", show(name), remedy
                )
            elif name in names[:n]:
                yield Problem(
                    (*place, key, str(n)), "occurs twice", show(name), "Keep one of them."
                )
    if len(index.columns) + len(index.include) > MAX_INDEX_COLUMNS:
        remedy = f"PostgreSQL takes {MAX_INDEX_COLUMNS}."
        yield Problem(
            place, f"has {len(index.columns) + len(index.include)} columns", remedy=remedy
        )
    yield from _check_method(place, index, known)
    for key, text in (("expression", index.expression), ("where", index.where)):
        if text is not None:
            yield from check_expression((*place, key), text, known)


def _check_method(place: Place, index: Index, known: dict[str, str]) -> Iterator[Problem]:
    is_btree = index.method in {None, "btree"}
    if not is_btree and index.unique:
        remedy = "Only a btree can be unique: remove method or unique."
        yield Problem((*place, "unique"), f"is not possible with {index.method}", remedy=remedy)
    if not is_btree and index.columns != index.names(known):
        remedy = "Remove the -: only a btree is ordered."
        yield Problem(
            (*place, "columns"), f"have a direction in a {index.method} index", remedy=remedy
        )
    if index.include and index.method not in {None, "btree", "gist"}:
        yield Problem(
            (*place, "include"), f"is not possible with {index.method}", remedy="Remove it."
        )
    if is_btree and any(known.get(name) == "jsonb" for name in index.names(known)):
        remedy = "Write method: gin, or an expression such as (data ->> 'status')."
        yield Problem((*place, "columns"), "name a jsonb column", remedy=remedy)


def _write(place: Place, indexes: tuple[Index, ...], tables: Tables) -> object:
    return [_write_index(place, index, tables) for index in indexes]


def _write_index(place: Place, index: Index, tables: Tables) -> object:
    if index.columns and index.model_fields_set <= {"columns"}:
        return index.columns[0] if len(index.columns) == 1 else list(index.columns)
    found = index.model_dump(mode="json", exclude_unset=True)
    if index.duplicates is not None:
        found["duplicates"] = write_amendment(place, index.duplicates, tables)
    return found


_INDEX: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "columns": _LIST,
        "expression": {"type": "string"},
        "where": {"type": "string"},
        "unique": UNIQUE_SCHEMA,
        "duplicates": AMENDMENT_SCHEMA,
        "method": {"enum": ["btree", "gin", "hash", "gist", "brin"]},
        "include": _LIST,
    },
}
INDEXES: Key[tuple[Index, ...]] = Key(
    "indexes",
    "table",
    help="the indexes: a column, a list of columns, -column for descending,"
    " or {columns, expression, where, unique, duplicates, method, include}; where and expression need the"
    " extra `schema`",
    affects="schema",
    type=tuple[Index, ...],
    check=_check_indexes,
    default="none",
    schema={"type": "array", "items": {"anyOf": [{"type": "string"}, _LIST, _INDEX]}},
    written=_write,
    is_block=True,
)
KEYS = (INDEXES,)
