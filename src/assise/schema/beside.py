"""The steps that add one thing to a table that is in use: nobody waits for as long as it is read.

Revisions take them for what the manifest asks for and the folder has not, a load for what it asks for
and the load has not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from assise.schema.catalog import CatalogItem
from assise.schema.planned import PlannedStep, quote_again

_COLUMNS = r"""\((?:[^()"]|"[^"]*")*\)"""
_KEY = re.compile(
    rf"(UNIQUE|PRIMARY KEY)( NULLS NOT DISTINCT)? ({_COLUMNS})( INCLUDE {_COLUMNS})?(.*)"
)


def add_one(item: CatalogItem) -> Iterator[PlannedStep]:
    """The steps that add an index, a constraint, or NOT NULL to a column."""
    if item.kind == "index":
        yield add_index(item.create, _place(item))
    elif item.kind == "not null":
        yield from set_not_null(item.on, item.name)
    else:
        yield from add_constraint(item)


def add_constraint(item: CatalogItem) -> Iterator[PlannedStep]:
    """A key from an index that is there; a check or foreign key whose old rows are read afterwards."""
    alter = f"ALTER TABLE {item.on}"
    drop = f"{alter} DROP CONSTRAINT IF EXISTS {item.name}"
    if key := _KEY.fullmatch(item.definition):
        word, nulls, columns, include, rest = (part or "" for part in key.groups())
        index = f"CREATE UNIQUE INDEX {item.name} ON {item.on} {columns}{include}{nulls}"
        yield add_index(index, _place(item))
        add = f"{alter} ADD CONSTRAINT {item.name} {word} USING INDEX {item.name}{rest}"
        yield PlannedStep((add,), (drop,))
    elif item.definition.startswith("EXCLUDE"):
        yield PlannedStep((item.create,), (drop,))
    else:
        yield PlannedStep((f"{item.create.removesuffix(' NOT VALID')} NOT VALID",), (drop,))
        if not item.definition.endswith(" NOT VALID"):
            yield PlannedStep((f"{alter} VALIDATE CONSTRAINT {item.name}",))


def replace_constraint(old: CatalogItem, new: CatalogItem) -> Iterator[PlannedStep]:
    """The new constraint holds before the old one goes, and then takes its name."""
    if old.definition == f"{new.definition} NOT VALID":
        validate = f"ALTER TABLE {new.on} VALIDATE CONSTRAINT {new.name}"
        yield PlannedStep((validate,), (new.drop, old.create))
        return
    alter, spare = f"ALTER TABLE {new.on}", name_spare(new.name)
    renamed = new.create.replace(f" CONSTRAINT {new.name} ", f" CONSTRAINT {spare} ", 1)
    yield from add_constraint(new._replace(name=spare, create=renamed))
    rename = f"{alter} RENAME CONSTRAINT {spare} TO {new.name}"
    back = f"{alter} RENAME CONSTRAINT {new.name} TO {spare}"
    yield PlannedStep((old.drop, rename), (back, old.create))


def add_index(create: str, place: str) -> PlannedStep:
    """An index, which has this place, beside writers."""
    text = create.replace("INDEX ", "INDEX CONCURRENTLY ", 1)
    return PlannedStep((text,), (f"DROP INDEX CONCURRENTLY IF EXISTS {place}",), index=place)


def set_not_null(on: str, column: str) -> Iterator[PlannedStep]:
    """NOT NULL from a check that was validated: the table is read without a lock on it."""
    alter = f"ALTER TABLE {on}"
    name = name_set_check(column)
    add = f"{alter} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID"
    drop = f"{alter} DROP CONSTRAINT IF EXISTS {name}"
    change = f"{alter} ALTER COLUMN {column}"
    yield PlannedStep((add,), (drop,))
    yield PlannedStep((f"{alter} VALIDATE CONSTRAINT {name}",))
    yield PlannedStep((f"{change} SET NOT NULL",), (f"{change} DROP NOT NULL",))
    yield PlannedStep((f"{alter} DROP CONSTRAINT {name}",))


def name_set_check(column: str) -> str:
    """The name of the check that a column has while NOT NULL is set."""
    return quote_again(f"{column}_is_set")


def name_spare(name: str) -> str:
    """A name for what is made beside one that still has it."""
    return quote_again(f"{name.strip(chr(34))}_new")


def _place(item: CatalogItem) -> str:
    """An index or constraint with the schema of its table."""
    return f"{item.on.rpartition('.')[0]}.{item.name}"
