"""Soft delete: rows that are hidden instead of deleted, and how long they are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import Field, model_validator

from assise.manifest.keys import Key, Keyed, Tables
from assise.manifest.names import check_column_name
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.access import ACCESS
from assise.manifest.sections.columns import list_columns
from assise.wording import show

DELETED_TYPE = "timestamptz"
_KEEP = re.compile(r"[1-9]\d{0,5} (minute|hour|day|week|month|year)s?")


class SoftDelete(Keyed):
    """The column that says when a row was deleted; `from_` is the field of documents that does.

    Deleted rows are purged after `keep`, an interval of PostgreSQL; without it never.
    """

    column: str = "deleted_at"
    from_: str | None = Field(default=None, validation_alias="from", serialization_alias="from")
    keep: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, value: object) -> object:
        return {} if value is True or value == "true" else value


def add_column(table: object) -> object:
    """The keys of a table, with the column that its `soft_delete` reads from documents."""
    match table:
        case {"soft_delete": {"from": str(path), **deletion}, **others}:
            columns = others.get("columns", {})
            name = deletion.get("column", SoftDelete().column)
            if isinstance(columns, dict) and name not in columns:
                columns = {**columns, name: {"type": DELETED_TYPE, "from": path}}
                return {**others, "soft_delete": {"from": path, **deletion}, "columns": columns}
    return table


def is_ours(table: str, tables: Tables) -> bool:
    """Whether the column of deleted rows is no column of the documents."""
    deletion = SOFT_DELETE.of(tables[table])
    return deletion is not None and deletion.column not in list_columns(table, tables)


def is_keep(text: str) -> bool:
    """Whether a text says how long something is kept."""
    return _KEEP.fullmatch(text) is not None


def _check(place: Place, deletion: SoftDelete, tables: Tables) -> Iterator[Problem]:
    name = place[1]
    table, types = tables[name], list_columns(name, tables)
    column, at = table.columns.get(deletion.column), (*place, "column")
    if ACCESS.of(table) is None:
        remedy = "Give the table access: its rule hides deleted rows."
        yield Problem(place, "needs access", remedy=remedy)
    if deletion.column in table.primary_key:
        remedy = "Name another column."
        yield Problem(at, "is the key of the table", show(deletion.column), remedy)
    elif column is None:
        yield from check_column_name(at, deletion.column)
    elif types[deletion.column] != DELETED_TYPE:
        message = f"is of type {types[deletion.column]}, which is no point in time"
        remedy = f"Give the column the type {DELETED_TYPE}."
        yield Problem(at, message, show(deletion.column), remedy)
    elif deletion.from_ is not None and column.from_ != deletion.from_:
        message = f"is not what column {show(deletion.column)} reads"
        remedy = f"Write from: {column.from_}, or remove it here."
        yield Problem((*place, "from"), message, show(deletion.from_), remedy)
    if deletion.keep is not None and not is_keep(deletion.keep):
        remedy = "Write a number and minutes, hours, days, weeks, months or years: 30 days."
        yield Problem((*place, "keep"), "is no time to keep rows", show(deletion.keep), remedy)


def _write(place: Place, deletion: SoftDelete, tables: Tables) -> object:
    del place, tables
    return deletion.model_dump(mode="json", exclude_defaults=True, by_alias=True) or True


SOFT_DELETE = Key(
    "soft_delete",
    "table",
    help="deleted rows are hidden and can be restored: true, or {column, from, keep} with the"
    " column that says when, the field of documents that it reads, and how long rows are kept",
    affects="schema",
    type=SoftDelete,
    check=_check,
    schema={
        "anyOf": [
            {"type": "boolean", "const": True},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {name: {"type": "string"} for name in ("column", "from", "keep")},
            },
        ]
    },
    written=_write,
    default="rows are deleted for good",
)
KEYS = (SOFT_DELETE,)
