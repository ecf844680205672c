"""Tables that are born in PostgreSQL: what keys of loaded tables mean nothing there."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.paths import default_path
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.constraints import DUPLICATES
from assise.manifest.sections.indexes import INDEXES
from assise.manifest.sections.references import FOREIGN_KEYS, ORPHANS
from assise.manifest.table import Column, Table
from assise.types.table import default_kind, find_type, is_type
from assise.wording import nearest, show

_ORIGIN = "Give columns; or a collection, or the parent and from of a child table."
_REMEDY = "Remove it, or give the table the collection that its rows come from."


def check_born(place: Place, table: Table) -> Iterator[Problem]:
    """Check a table that no load writes: its key, and that nothing speaks of documents."""
    yield from _check_key((*place, "primary_key"), table)
    for name in ("from_", "absent", "nulls", "documents"):
        if getattr(table, name) is not None:
            yield _mean_nothing((*place, name.rstrip("_")))
    for i, index in enumerate(INDEXES.of(table) or ()):
        if index.duplicates not in {None, "keep"}:
            yield _mean_nothing((*place, "indexes", str(i), "duplicates"))
    for i, key in enumerate(FOREIGN_KEYS.of(table) or ()):
        if key.orphans not in {None, "keep"}:
            yield _mean_nothing((*place, "foreign_keys", str(i), "orphans"))
    for name, column in table.columns.items():
        for key_name in _list_meaningless(name, column):
            yield _mean_nothing((*place, "columns", name, key_name))


def _list_meaningless(name: str, column: Column) -> Iterator[str]:
    is_default = not is_type(column.type) or column.kind == default_kind(column.type)
    if column.from_ not in {"", default_path(name)}:
        yield "from"
    yield from [] if is_default else ["kind"]
    yield from (
        key for key in ("numbers", "legacy_uuids", "absent") if getattr(column, key) is not None
    )
    yield from (key.name for key in (DUPLICATES, ORPHANS) if key.of(column) not in {None, "keep"})


def _mean_nothing(place: Place) -> Problem:
    return Problem(place, "means nothing in a table without collection", remedy=_REMEDY)


def _check_key(place: Place, table: Table) -> Iterator[Problem]:
    key = table.primary_key
    if not key:
        yield Problem(place, "is empty", remedy="Name the columns that tell its rows.")
    for i, name in enumerate(key):
        column = table.columns.get(name)
        if column is None:
            remedy = nearest(name, table.columns) if table.columns else _ORIGIN
            yield Problem(place, "is not a column of this table", show(name), remedy)
        elif name in key[:i]:
            yield Problem(place, "occurs twice", show(name), "Name each column once.")
        elif is_type(column.type) and not find_type(column.type).is_key:
            message = f"is of type {show(column.type)}, which cannot be a key"
            yield Problem(place, message, show(name), "Give it a scalar type.")
