"""The columns and tables that a manifest says to have had other names, and the steps to the new."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from assise.manifest.model import Manifest
from assise.manifest.names import RESERVED, split_table
from assise.manifest.sections.revisions import WAS, WAS_TABLE
from assise.schema.catalog import Snapshot
from assise.schema.planned import PlannedStep, quote_again


def list_renames(manifest: Manifest, schema: str) -> Iterator[tuple[str, str, str]]:
    """Table, old and new name of each column that says `was`, as the catalog writes them."""
    for name, table in manifest.tables.items():
        for column, each in table.columns.items():
            if old := WAS.of(each):
                yield _place(name, schema), _quote(old), _quote(column)


def list_table_renames(manifest: Manifest, schema: str) -> Iterator[tuple[str, str]]:
    """Old and new place of each table that says `was`, as the catalog writes them."""
    for name, table in manifest.tables.items():
        if old := WAS_TABLE.of(table):
            yield _place(old, schema), _place(name, schema)


def rename_tables(snapshot: Snapshot, names: Iterable[tuple[str, str]]) -> list[PlannedStep]:
    """The renames of tables that a snapshot still has to do."""
    steps = []
    for old, new in names:
        if ("table", old, old) in snapshot and ("table", new, new) not in snapshot:
            up, down = (
                f"ALTER TABLE {one} RENAME TO {other.rpartition('.')[2]}"
                for one, other in ((old, new), (new, old))
            )
            steps.append(_make_step(old, (up, down), ("table", old, new), ("table", new, old)))
    return steps


def rename_columns(snapshot: Snapshot, names: Iterable[tuple[str, str, str]]) -> list[PlannedStep]:
    """The renames of columns, as table, old and new name, that a snapshot still has to do."""
    steps = []
    for table, old, new in names:
        if ("column", table, old) in snapshot and ("column", table, new) not in snapshot:
            up, down = (
                f"ALTER TABLE {table} RENAME COLUMN {one} TO {other}"
                for one, other in ((old, new), (new, old))
            )
            there, back = ("rename", table, old, new), ("rename", table, new, old)
            steps.append(_make_step(old, (up, down), there, back))
    return steps


def _make_step(
    old: str, statements: tuple[str, str], there: Iterable[str], back: Iterable[str]
) -> PlannedStep:
    """A step that renames, and the marks by which the load follows."""
    up, down = statements
    moves, moves_back = (" ".join(words).replace('"', "") for words in (there, back))
    says = f"Running code that uses {old} breaks: deploy what uses the new name with it."
    return PlannedStep((up,), (down,), moves=(moves,), moves_back=(moves_back,), says=says)


def _place(name: str, schema: str) -> str:
    own, bare = split_table(name)
    return f"{_quote(own or schema)}.{_quote(bare)}"


def _quote(name: str) -> str:
    """A name in the way of `quote_ident`."""
    return f'"{name}"' if name in RESERVED else quote_again(name)
