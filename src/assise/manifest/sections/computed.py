"""Columns that the server fills: formulas over others, and when a row was made and changed."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.expressions import check_expression
from assise.manifest.keys import Key, Tables
from assise.manifest.paths import default_path
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.constraints import DEFAULT, DUPLICATES
from assise.types.table import default_kind, is_type
from assise.wording import show

TIMES = ("created_at", "updated_at")
"""The columns of `timestamps: true`: when a row was made, and when it was last changed."""

_TIME = {"type": "timestamptz", "not_null": True, "default": "now()"}


def add_times(table: object) -> object:
    """The keys of a table, with the columns of `timestamps` where no documents have them."""
    match table:
        case {"timestamps": True | "true", **others} if not {"collection", "parent"} & {*others}:
            columns = others.get("columns", {})
            if isinstance(columns, dict):
                missing = {name: _TIME for name in TIMES if name not in columns}
                return {"timestamps": True, **others, "columns": {**columns, **missing}}
    return table


def list_generated(table: str, tables: Tables) -> dict[str, str]:
    """The columns of a table that are formulas -> these."""
    found = {name: GENERATED.of(column) for name, column in tables[table].columns.items()}
    return {name: formula for name, formula in found.items() if formula is not None}


def _check_generated(place: Place, formula: str, tables: Tables) -> Iterator[Problem]:
    table, name = tables[place[1]], place[3]
    column = table.columns[name]
    made = list_generated(place[1], tables)
    others = [each for each in list_columns(place[1], tables) if each not in made]
    yield from check_expression(place, formula, others)
    if name in table.primary_key:
        remedy = "Give the key a column that is stored with the row."
        yield Problem(place, "cannot be the key of a table", show(name), remedy)
    given = {
        "from": column.from_ not in {"", default_path(name)},
        "kind": is_type(column.type) and column.kind != default_kind(column.type),
        "default": DEFAULT.of(column) is not None,
        "duplicates": DUPLICATES.of(column) not in {None, "keep"},
        **{key: getattr(column, key) is not None for key in ("numbers", "legacy_uuids", "absent")},
    }
    for key in (key for key, is_given in given.items() if is_given):
        message = "means nothing beside generated: the server computes the value"
        yield Problem((*place[:4], key), message, remedy=f"Remove it, or {place[4]}.")


def _check_timestamps(place: Place, is_asked: bool, tables: Tables) -> Iterator[Problem]:
    table = tables[place[1]]
    for name in TIMES if is_asked else ():
        column = table.columns.get(name)
        if column is None:
            remedy = f"Add {name}: {{type: timestamptz, from: FIELD}}, the field that says it."
            yield Problem(place, f"needs a column {name}, which documents have", remedy=remedy)
        elif column.type.partition("(")[0] != "timestamptz":
            at = (*place[:2], "columns", name, "type")
            message = "is no point in time, which timestamps needs"
            yield Problem(at, message, column.type, "Write type: timestamptz.")


GENERATED = Key(
    "generated",
    "column",
    help="an expression of SQL over the other columns, such as price * amount: the server computes"
    " and stores it (GENERATED … STORED), no document has it; needs the extra `schema`",
    affects="schema",
    type=str,
    check=_check_generated,
    default="none",
)
TIMESTAMPS = Key(
    "timestamps",
    "table",
    help="true: created_at is when a row was made, and updated_at when it was last changed; the"
    " columns are added where the table has no collection, and a trigger sets updated_at",
    affects="schema",
    type=bool,
    check=_check_timestamps,
    default="false",
)
KEYS = (TIMESTAMPS, GENERATED)
