"""Tables on another server: which one, its users mirrored, and what stands for missing rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from assise.manifest.keys import Key, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.wording import nearest, show

if TYPE_CHECKING:
    from assise.manifest.table import Table

MAIN = "main"
"""The server of the tables that say nothing of it."""

KEY = "{key}"
"""What stands in a fallback for the key that has no row."""

KEY_TYPES = ("uuid", "text", "int4", "int8")
"""Types of the keys by which rows of another server are found."""

USER_COLUMNS: Mapping[str, str] = {
    "id": "uuid",
    "aud": "text",
    "role": "text",
    "email": "text",
    "phone": "text",
    "email_confirmed_at": "timestamptz",
    "phone_confirmed_at": "timestamptz",
    "confirmed_at": "timestamptz",
    "last_sign_in_at": "timestamptz",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "raw_app_meta_data": "jsonb",
    "raw_user_meta_data": "jsonb",
}
"""The columns of Supabase's `auth.users` that a mirror may read, with their types.

https://supabase.com/docs/guides/auth/users
"""


def _check_on(place: Place, server: str, tables: Tables) -> Iterator[Problem]:
    table = tables[place[1]]
    key = table.primary_key[0] if table.primary_key else ""
    column = table.columns.get(key)
    at = (*place[:2], "primary_key")
    if server == MAIN:
        yield Problem(place, "is the server of all tables", server, "Remove the key.")
    elif len(table.primary_key) != 1 or column is None:
        remedy = "Name one of its columns: rows are found by it."
        yield Problem(at, "is not one column of this table", show(key), remedy)
    elif column.type not in KEY_TYPES:
        remedy = f"Give it one of the types {', '.join(KEY_TYPES)}."
        yield Problem(at, f"is of type {show(column.type)}", show(key), remedy)


def check_on_main(place: Place, name: str, tables: Tables) -> Iterator[Problem]:
    """A table that SQL on the server `main` reads is there."""
    server = ON.of(tables[name]) or MAIN
    if server != MAIN:
        message = f"reads {show(name)}, which is on the server {server}: SQL on {MAIN} cannot"
        remedy = (
            f"Name a table of {MAIN}; app.merge(rows, key=…, table={name!r}) puts rows together."
        )
        yield Problem(place, message, remedy=remedy)


def _check_mirror(place: Place, source: str, tables: Tables) -> Iterator[Problem]:
    table = tables[place[1]]
    if source != "auth.users":
        remedy = "Write auth.users, the users of Supabase."
        yield Problem(place, "is not what a table can mirror", show(source), remedy)
        return
    if ON.of(table) is None:
        yield Problem(place, "needs on", remedy="Name the server that has auth.users.")
    key = table.columns.get(table.primary_key[0])
    if key is not None and (key.type != "uuid" or key.path != ("id",)):
        remedy = f"Write {table.primary_key[0]}: {{type: uuid, from: id}}."
        yield Problem((*place[:2], "primary_key"), "is not the id of auth.users", remedy=remedy)
    first = next(name for name, each in tables.items() if _is_beside(each, table))
    if first != place[1]:
        message = f"is mirrored by {show(first)} already"
        yield Problem(place, message, source, "Keep one mirror on each server.")
    for name, column in table.columns.items():
        at = (*place[:2], "columns", name, "from")
        if "citext" in column.type:
            remedy = "Write text: the trigger looks for no types of extensions."
            yield Problem((*at[:-1], "type"), "cannot be in a mirror", column.type, remedy)
        is_named = column.from_ != name
        if not column.path or (column.path[0] not in USER_COLUMNS and is_named):
            remedy = nearest(column.path[0] if column.path else "", USER_COLUMNS)
            yield Problem(at, "is not a column of auth.users", show(column.from_), remedy)
        elif len(column.path) > 1 and USER_COLUMNS[column.path[0]] != "jsonb":
            remedy = "Only raw_user_meta_data and raw_app_meta_data have something inside."
            yield Problem(at, "reads inside a plain value", show(column.from_), remedy)


def _is_beside(other: Table, mirror: Table) -> bool:
    """Whether another table is a mirror on the same server, or this one itself."""
    is_mirror = MIRROR.of(other) is not None
    return is_mirror and ON.of(other) == ON.of(mirror)


def _check_fallback(place: Place, values: Mapping[str, str], tables: Tables) -> Iterator[Problem]:
    table = tables[place[1]]
    if ON.of(table) is None:
        remedy = "Remove it, or name the server of the table."
        yield Problem(place, "belongs to a table on another server", remedy=remedy)
    for name, value in values.items():
        column = table.columns.get(name)
        if column is None:
            message = f"is not a column of {show(place[1])}"
            remedy = nearest(name, table.columns)
            yield Problem((*place, name), message, show(name), remedy)
        elif KEY not in value and not re.fullmatch(
            _VALUES.get(column.type, ".*"), value, re.DOTALL
        ):
            message, remedy = f"is no {column.type}", "Give a value that the column can have."
            yield Problem((*place, name), message, show(value), remedy)


_VALUES = {
    "bool": "true|false",
    "int4": r"-?\d{1,9}",
    "int8": r"-?\d{1,18}",
    "uuid": "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
}


ON = Key(
    "on",
    "table",
    help="the server of `postgres` that has the table; Assise neither loads it nor changes it, and"
    " `app.merge` reads it",
    affects="nothing",
    type=str,
    check=_check_on,
    default="`main`",
)
MIRROR = Key(
    "mirror",
    "table",
    help="auth.users: `assise identity repair` makes the table, triggers that keep it in step with"
    " the users of Supabase, and rules; a column reads the column of auth.users of its own name,"
    " or that of `from`, such as raw_user_meta_data.first_name",
    affects="nothing",
    type=str,
    check=_check_mirror,
    default="the table is as its owner made it",
)
_SCALAR: Schema = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}

FALLBACK: Key[dict[str, str]] = Key(
    "fallback",
    "table",
    help="the values that `app.merge` gives a key without a row, such as"
    ' {email: "{key}", plan: free}: {key} is the key itself; columns that are not named are null',
    affects="nothing",
    type=dict[str, str],
    check=_check_fallback,
    schema={"type": "object", "additionalProperties": _SCALAR},
    default="null in place of the row",
)
KEYS = (ON, MIRROR, FALLBACK)
