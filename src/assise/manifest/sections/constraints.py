"""What the values of a column must fulfil: unique, not null, a default, a check, listed values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Literal

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from assise.manifest.expressions import check_expression
from assise.manifest.keys import NULL, Key, Schema, Tables
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
Duplicates = Literal["keep", "null", "reject"]

FUNCTIONS = ("now()", "current_date", "gen_random_uuid()", "uuidv7()")
"""Defaults that are computed for each new row; any other default is a value."""

MAX_VALUES = 1_000

AMENDMENT_SCHEMA: dict[str, Schema] = {"enum": [None, "keep", "null", "reject"]}

_SCALAR: dict[str, Schema] = {
    "anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}],
}


def _check_unique(place: Place, value: Unique, tables: Tables) -> Iterator[Problem]:
    column = tables[place[1]].columns[place[3]]
    if value and column.type == "jsonb":
        remedy = "Give the column a scalar type, or make an index with an expression."
        yield Problem(place, "is not allowed on jsonb", show(value), remedy)


def write_amendment(place: Place, value: str, tables: Tables) -> object:
    """What becomes of rows that break a key, as it is written: null without quotes."""
    del place, tables
    return NULL if value == "null" else value


def check_nullable(
    place: Place, columns: Iterable[str], value: str, tables: Tables, *, remedy: str
) -> Iterator[Problem]:
    """Check that `value`, which sets columns to NULL, is for columns that may be so."""
    table = tables[place[1]]
    for name in columns:
        column = table.columns.get(name)
        if column is None or NOT_NULL.of(column) or name in table.primary_key:
            message = f"cannot be: the column {name} is never NULL"
            yield Problem(place, message, value, f"Write {remedy}.")


def check_duplicates(
    place: Place, columns: Sequence[str], unique: Unique | None, value: Duplicates, tables: Tables
) -> Iterator[Problem]:
    """Check what becomes of the rows with values of unique columns that other rows have."""
    if not unique:
        yield Problem(place, "belongs to what is unique", value, "Add unique: true.")
    elif value == "null" and unique == NULLS:
        remedy = "Write keep or reject, or unique: true."
        yield Problem(place, "cannot be: NULL may not occur twice either", value, remedy)
    elif value == "null":
        yield from check_nullable(place, columns, value, tables, remedy="keep or reject")


def _check_duplicates(place: Place, value: Duplicates, tables: Tables) -> Iterator[Problem]:
    unique = UNIQUE.of(tables[place[1]].columns[place[3]])
    yield from check_duplicates(place, place[3:4], unique, value, tables)


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
    help="what becomes of rows with a value that an earlier one of the source has: keep, with a"
    " plain index; null, the original stays in _extra; or reject the document",
    affects="schema",
    type=Duplicates,  # type: ignore[arg-type]
    check=_check_duplicates,
    default="`keep`",
    schema=AMENDMENT_SCHEMA,
    written=write_amendment,
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
