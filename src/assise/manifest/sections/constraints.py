"""What the values of a column must fulfil: unique, not null, a default, a check, listed values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from assise.manifest.expressions import check_expression
from assise.manifest.keys import Key, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.columns import list_columns
from assise.types.table import is_array
from assise.wording import show

NULLS: Literal["nulls not distinct"] = "nulls not distinct"


def _read_unique(value: object) -> object:
    found = {True: True, False: False, "true": True, "false": False, NULLS: NULLS}
    if not isinstance(value, bool | str) or value not in found:
        message = f"must be true, false or {NULLS}"
        raise PydanticCustomError("unique_type", "{message}", {"message": message})
    return found[value]


Unique = Annotated[bool | Literal["nulls not distinct"], PlainValidator(_read_unique)]
Duplicates = Literal["keep"]

FUNCTIONS = ("now()", "current_date", "gen_random_uuid()", "uuidv7()")
"""Defaults that are computed for each new row; any other default is a value."""

MAX_VALUES = 1_000

_SCALAR: dict[str, Schema] = {
    "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}],
}


def _check_unique(place: Place, value: Unique, tables: Tables) -> Iterator[Problem]:
    column = tables[place[1]].columns[place[3]]
    if value and column.type == "jsonb":
        remedy = "Give the column a scalar type, or make an index with an expression."
        yield Problem(place, "is not allowed on jsonb", show(value), remedy)


def _check_duplicates(place: Place, value: Duplicates, tables: Tables) -> Iterator[Problem]:
    if not UNIQUE.of(tables[place[1]].columns[place[3]]):
        yield Problem(place, "belongs to a column that is unique", value, "Add unique: true.")


def _check_default(place: Place, value: str, tables: Tables) -> Iterator[Problem]:
    del tables
    if "\0" in value:
        yield Problem(place, "holds a NUL, which PostgreSQL cannot hold", show(value), "Remove it.")
    elif value.endswith("()") and value not in FUNCTIONS:
        remedy = f"Write a value, or one of {', '.join(FUNCTIONS)}."
        yield Problem(place, "is not a default that is known", show(value), remedy)


def _check_check(place: Place, value: str, tables: Tables) -> Iterator[Problem]:
    yield from check_expression(place, value, list_columns(place[1], tables))


def _check_values(place: Place, values: tuple[str, ...], tables: Tables) -> Iterator[Problem]:
    column = tables[place[1]].columns[place[3]]
    if column.type == "jsonb" or is_array(column.type):
        yield Problem(place, f"is not allowed on {column.type}", remedy="Write a check instead.")
    if not values or len(values) > MAX_VALUES:
        remedy = f"List 1 to {MAX_VALUES:,} values, or remove the key."
        yield Problem(place, f"lists {len(values):,} values", remedy=remedy)
    for i, value in enumerate(values):
        if value in values[:i]:
            yield Problem((*place, str(i)), "occurs twice", show(value), "Keep one of them.")
        if "\0" in value:
            yield Problem((*place, str(i)), "holds a NUL", show(value), "Remove it.")


UNIQUE_SCHEMA: dict[str, Schema] = {"anyOf": [{"type": "boolean"}, {"const": NULLS}]}
UNIQUE: Key[Unique] = Key(
    "unique",
    "column",
    help="true: no two rows have the same value; nulls not distinct: nor is it NULL twice",
    affects="schema",
    type=Unique,  # type: ignore[arg-type]
    check=_check_unique,
    default="false",
    schema=UNIQUE_SCHEMA,
)
DUPLICATES: Key[Duplicates] = Key(
    "duplicates",
    "column",
    help="what becomes of rows with a value that another row has: kept, with a plain index",
    affects="schema",
    type=Duplicates,  # type: ignore[arg-type]
    check=_check_duplicates,
    default="`keep`",
)
NOT_NULL = Key(
    "not_null",
    "column",
    help="whether each row has a value",
    affects="schema",
    type=bool,
    default="false",
)
DEFAULT = Key(
    "default",
    "column",
    help=f"the value of new rows that give none; or one of {', '.join(FUNCTIONS)}",
    affects="schema",
    type=str,
    check=_check_default,
    default="none",
    schema=_SCALAR,
)
VALUES: Key[tuple[str, ...]] = Key(
    "values",
    "column",
    help="the values that it may have: a CHECK",
    affects="schema",
    type=tuple[str, ...],
    check=_check_values,
    default="any",
    schema={"type": "array", "items": _SCALAR},
)
CHECK = Key(
    "check",
    "column",
    help="an expression of SQL over the columns of the table that no row may make false, such as"
    " price >= 0; needs the extra `schema`",
    affects="schema",
    type=str,
    check=_check_check,
    default="none",
)
COLUMN_KEYS = (UNIQUE, DUPLICATES, NOT_NULL, DEFAULT, VALUES, CHECK)
