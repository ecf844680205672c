"""References: the foreign keys of columns and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

from pydantic import Field

from assise.manifest.keys import Key, Keyed, Schema, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.constraints import (
    AMENDMENT_SCHEMA,
    UNIQUE,
    check_nullable,
    write_amendment,
)
from assise.manifest.sections.indexes import INDEXES
from assise.types.table import is_array
from assise.wording import count_of, nearest, show

OnDelete = Literal["no action", "restrict", "cascade", "set null", "set default"]
Orphans = Literal["keep", "null", "reject"]

_FAMILIES = ({"int2", "int4", "int8"}, {"text", "varchar", "citext"})
_REMEDY = "Name a table, such as users, or a unique column of it, such as users(tenant_id)."


class Target(NamedTuple):
    """The table and the columns that a foreign key refers to."""

    table: str
    columns: tuple[str, ...]


class ForeignKey(Keyed):
    """A foreign key of several columns."""

    columns: tuple[str, ...] = Field(min_length=1)
    references: str
    on_delete: OnDelete | None = None
    orphans: Orphans | None = None


def find_target(reference: str, tables: Tables) -> Target | None:
    """The table and columns that a text such as `users` or `users(tenant_id)` means."""
    if reference in tables:
        return Target(reference, tables[reference].primary_key)
    found = re.fullmatch(r"(.+?)\s*\(([^()]*)\)", reference, re.DOTALL)
    if found is None or found[1] not in tables:
        return None
    return Target(found[1], tuple(name.strip() for name in found[2].split(",")))


class Reference(NamedTuple):
    """A foreign key of a table, from a column or from the list: what the manifest asks for."""

    place: Place
    columns: tuple[str, ...]
    target: Target
    on_delete: OnDelete
    orphans: Orphans


def list_foreign_keys(table_name: str, tables: Tables) -> Iterator[Reference]:
    """The foreign keys of a table, those of its columns first; not that of a child table."""
    table, place = tables[table_name], ("tables", table_name)
    for name, column in table.columns.items():
        reference = REFERENCES.of(column)
        target = find_target(reference, tables) if reference else None
        if target is not None:
            at = (*place, "columns", name, "references")
            on_delete, orphans = ON_DELETE.of(column), ORPHANS.of(column)
            yield Reference(at, (name,), target, on_delete or "no action", orphans or "keep")
    for i, key in enumerate(FOREIGN_KEYS.of(table) or ()):
        target = find_target(key.references, tables)
        if target is not None:
            listed, on_delete, orphans = (
                (*place, "foreign_keys", str(i)),
                key.on_delete,
                key.orphans,
            )
            yield Reference(
                listed, key.columns, target, on_delete or "no action", orphans or "keep"
            )


def _check_target(
    place: Place, columns: tuple[str, ...], reference: str, tables: Tables
) -> Iterator[Problem]:
    """Check what `columns` of a table refer to: there is such a key, of the same types."""
    target = find_target(reference, tables)
    if target is None:
        name = reference.partition("(")[0].strip()
        remedy = _REMEDY if name in tables else nearest(name, tables)
        yield Problem(place, "is not a table of this manifest", show(reference), remedy)
        return
    own, known = list_columns(place[1], tables), list_columns(target.table, tables)
    unknown = [name for name in target.columns if name not in known]
    if unknown:
        message = f"is not a column of {show(target.table)}"
        yield Problem(place, message, show(unknown[0]), nearest(unknown[0], known))
    elif len(target.columns) != len(columns):
        message = f"refers with {count_of(len(columns), 'column')} to {len(target.columns)}"
        yield Problem(place, message, show(reference), "Name as many columns on both sides.")
    elif not _is_unique(target, tables):
        names = ", ".join(target.columns)
        remedy = f"Write unique: true for it in {show(target.table)}, or refer to its primary key."
        yield Problem(
            place, f"refers to {show(names)}, which is not unique", show(reference), remedy
        )
    else:
        for name, other in zip(columns, target.columns, strict=True):
            yield from _check_types(place, own.get(name, ""), known[other], reference)


def _check_types(place: Place, own: str, other: str, reference: str) -> Iterator[Problem]:
    if is_array(own):
        remedy = "Make it a child table: PostgreSQL has no foreign keys of arrays."
        yield Problem(place, f"is a reference of a {own}", show(reference), remedy)
    elif own and other and own != other and not _are_alike(own, other):
        remedy = f"Give both columns one type, such as {other}."
        yield Problem(place, f"is of type {other}, this column of {own}", show(reference), remedy)


def _are_alike(own: str, other: str) -> bool:
    names = {own.partition("(")[0], other.partition("(")[0]}
    return len(names) == 1 or any(names <= family for family in _FAMILIES)


def _is_unique(target: Target, tables: Tables) -> bool:
    table, wanted = tables[target.table], {*target.columns}
    known = list_columns(target.table, tables)
    if wanted == {*table.primary_key}:
        return True
    column = table.columns.get(target.columns[0]) if len(target.columns) == 1 else None
    if column is not None and UNIQUE.of(column):
        return True
    return any(
        index.unique and index.where is None and {*index.names(known)} == wanted
        for index in INDEXES.of(table) or ()
    )


def _check_references(place: Place, reference: str, tables: Tables) -> Iterator[Problem]:
    yield from _check_target(place, (place[3],), reference, tables)


def _check_on_delete(place: Place, value: OnDelete, tables: Tables) -> Iterator[Problem]:
    yield from _check_needs_reference(place, value, tables)
    if value == "set null":
        yield from check_nullable(place, place[3:4], value, tables, remedy="cascade or restrict")


def _check_orphans(place: Place, value: Orphans, tables: Tables) -> Iterator[Problem]:
    yield from _check_needs_reference(place, value, tables)
    if value == "null":
        yield from check_nullable(place, place[3:4], value, tables, remedy="keep or reject")


def _check_needs_reference(place: Place, value: str, tables: Tables) -> Iterator[Problem]:
    if REFERENCES.of(tables[place[1]].columns[place[3]]) is None:
        remedy = "Add references, or remove this key."
        yield Problem(place, "belongs to a column with references", show(value), remedy)


def _check_foreign_keys(
    place: Place, keys: tuple[ForeignKey, ...], tables: Tables
) -> Iterator[Problem]:
    known = list_columns(place[1], tables)
    for i, key in enumerate(keys):
        at = (*place, str(i))
        unknown = [name for name in key.columns if name not in known]
        if unknown:
            remedy = nearest(unknown[0], known)
            yield Problem(
                (*at, "columns"), "is not a column of this table", show(unknown[0]), remedy
            )
            continue
        yield from _check_target((*at, "references"), key.columns, key.references, tables)
        if key.on_delete == "set null":
            remedy = "cascade or restrict"
            yield from check_nullable(
                (*at, "on_delete"), key.columns, key.on_delete, tables, remedy=remedy
            )
        if key.orphans == "null":
            yield from check_nullable(
                (*at, "orphans"), key.columns, key.orphans, tables, remedy="keep or reject"
            )


def _write_foreign_keys(place: Place, keys: tuple[ForeignKey, ...], tables: Tables) -> object:
    found = [key.model_dump(mode="json", exclude_unset=True) for key in keys]
    for key, plain in zip(keys, found, strict=True):
        if key.orphans is not None:
            plain["orphans"] = write_amendment(place, key.orphans, tables)
    return found


_FOREIGN_KEY: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "columns": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "references": {"type": "string"},
        "on_delete": {"enum": [*get_args(OnDelete)]},
        "orphans": AMENDMENT_SCHEMA,
    },
    "required": ["columns", "references"],
}
REFERENCES = Key(
    "references",
    "column",
    help="the table whose primary key it holds, such as users, or a unique column of one, such as"
    " users(tenant_id): a foreign key, with an index",
    affects="schema",
    type=str,
    check=_check_references,
    default="none",
)
ON_DELETE: Key[OnDelete] = Key(
    "on_delete",
    "column",
    help="what becomes of the row when the one that it refers to is deleted",
    affects="schema",
    type=OnDelete,  # type: ignore[arg-type]
    check=_check_on_delete,
    default="`no action`",
)
ORPHANS: Key[Orphans] = Key(
    "orphans",
    "column",
    help="what becomes of rows that refer to no row: keep, with a foreign key that only new rows"
    " must fulfil; null, the original stays in _extra; or reject the document, and then those that"
    " refer to it",
    affects="schema",
    type=Orphans,  # type: ignore[arg-type]
    check=_check_orphans,
    default="`keep`",
    schema=AMENDMENT_SCHEMA,
    written=write_amendment,
)
FOREIGN_KEYS: Key[tuple[ForeignKey, ...]] = Key(
    "foreign_keys",
    "table",
    help="foreign keys of several columns: {columns, references, on_delete, orphans}",
    affects="schema",
    type=tuple[ForeignKey, ...],
    check=_check_foreign_keys,
    default="none",
    schema={"type": "array", "items": _FOREIGN_KEY},
    written=_write_foreign_keys,
    is_block=True,
)
COLUMN_KEYS = (REFERENCES, ON_DELETE, ORPHANS)
