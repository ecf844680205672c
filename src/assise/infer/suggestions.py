"""What a person may want and values do not tell: written as lines of the manifest, in comments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from assise.infer.indexes import Placed
from assise.infer.names import is_reference_name, singular
from assise.manifest.model import Table
from assise.manifest.names import shorten
from assise.manifest.write import quote_scalar
from assise.types.table import default_kind, element_type

UniqueColumns = tuple[str, tuple[str, ...]]
"""A table, and its columns of which a unique index of several is made."""


def suggest_child(table: Table, place: Placed, target: Placed, *, has_orphans: bool) -> str:
    """The child table whose rows are the elements of an array of references.

    An element of an array has no foreign key in PostgreSQL; a row has.
    """
    one, column = singular(place.table), table.columns[place.column]
    owner = shorten(f"{one}_{table.primary_key[0].lstrip('_')}")
    keys = [owner, "position"]
    if table.parent is not None:
        keys = [*table.primary_key, f"position_{len(table.primary_key)}"]
    own_type, kind = element_type(place.type), place.kind
    named = shorten(f"{singular(target.table)}_{target.column}")
    reference = target.table
    facts = {
        "type": quote_scalar(own_type),
        "from": '"*"',
        "kind": "" if kind == default_kind(own_type) else quote_scalar(kind),
        "references": quote_scalar(reference),
        "orphans": "keep" if has_orphans else "",
    }
    inner = ", ".join(f"{key}: {value}" for key, value in facts.items() if value)
    return (
        f"for foreign keys, instead of this column: {shorten(f'{one}_{place.column}')}:"
        f" {{parent: {quote_scalar(place.table)}, from: {quote_scalar(f'{column.from_}.*')},"
        f" primary_key: [{', '.join(map(quote_scalar, keys))}],"
        f" columns: {{{quote_scalar(named)}: {{{inner}}}}}}}"
    )


def suggest_composites(
    tables: Mapping[str, Table], uniques: Sequence[UniqueColumns]
) -> Iterator[tuple[str, str, str]]:
    """References of several columns that names tell, as (table, target, text).

    A column answers to one of the unique index by its name, `number` to `invoice_number`; where one
    does so, the others may have the same name in both tables, such as `tenant_id`.
    """
    for target, columns in uniques:
        for name, table in tables.items():
            found = [_find_answer(table, target, tables[target], column) for column in columns]
            is_named = any(own != column for own, column in zip(found, columns, strict=True))
            if name != target and all(found) and is_named:
                reference = f'"{target}({", ".join(columns)})"'
                listed = ", ".join(quote_scalar(own) for own in found)
                text = f"foreign_keys: [{{columns: [{listed}], references: {reference}}}]"
                yield (
                    name,
                    target,
                    f"{text}, if these columns are a row of {target}; values were not compared",
                )


def _find_answer(table: Table, target: str, other: Table, column: str) -> str:
    """The column of a table that answers to one of another table; empty for none."""
    of_type = other.columns[column].type
    names = [name for name, found in table.columns.items() if found.type == of_type]
    named = (name for name in names if name != column and is_reference_name(name, target, column))
    return next(named, column if column in names else "")
