"""The layout that follows from a manifest's tables."""

from __future__ import annotations

from collections.abc import Mapping

from assise.manifest.layout import (
    MISSING,
    RULES,
    ColumnLayout,
    Layout,
    Plain,
    TableLayout,
    find_root,
)
from assise.manifest.nodes import read_nodes
from assise.manifest.paths import parse_path
from assise.manifest.sections.computed import GENERATED
from assise.manifest.table import Column, Table
from assise.types.table import element_type

_FIRST_TABLE_KEYS = ("collection", "parent", "from", "primary_key", "columns")
_FIRST_COLUMN_KEYS = ("type", "from", "kind")


def derive_layout(
    tables: Mapping[str, Table], *, legacy_uuids: str = "", rules: int = RULES
) -> Layout:
    """The layout of those of a manifest's tables that are loaded.

    `legacy_uuids` is what its columns say that say nothing.
    """
    tables = {name: table for name, table in tables.items() if not table.is_born}
    parents = {name: table.parent for name, table in tables.items()}
    found = {}
    for name, table in tables.items():
        root = tables[find_root(parents, name)]
        key = _column_layout(root.columns[root.primary_key[0]], "")
        found[name] = TableLayout(
            name,
            table.collection,
            table.parent,
            table.child_path,
            table.primary_key,
            {
                column_name: _column_layout(
                    column, "" if column_name in table.primary_key else legacy_uuids
                )
                for column_name, column in table.columns.items()
                if GENERATED.of(column) is None
            },
            _name_extra(table),
            key,
            table.absent or MISSING,
            tuple(parse_path(path) for path in table.nulls or ()),
            tuple(parse_path(path) for path in table.documents or ()),
        )
    return Layout(found, rules)


def _column_layout(column: Column, legacy_uuids: str) -> ColumnLayout:
    of_uuids = legacy_uuids if element_type(column.type) == "uuid" else ""
    reads: str = column.numbers or column.legacy_uuids or of_uuids
    return ColumnLayout(
        column.type,
        column.kind,
        column.path,
        reads,
        column.absent or MISSING,
        column.is_element,
    )


def _name_extra(table: Table) -> str:
    """The name of our jsonb column, which gives way to the table's other columns."""
    taken = {*table.columns, *table.primary_key}
    name, number = "_extra", 1
    while name in taken:
        number += 1
        name = f"_extra_{number}"
    return name


def read_first_manifest(text: str) -> Layout:
    """The layout of a load whose ledger has only the manifest's text, of version 1.

    Keys that this version did not have are passed over: rows did not depend on them.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: the text is no such manifest.
    """
    value, _, _ = read_nodes(text)
    tables: Plain = value["tables"]  # type: ignore[call-overload, index, assignment]
    first = {name: _read_first_table(entry) for name, entry in tables.items()}
    return derive_layout(first, rules=1)


def _read_first_table(entry: Plain) -> Table:
    found = {key: entry[key] for key in _FIRST_TABLE_KEYS if key in entry}
    found["columns"] = {
        name: column
        if isinstance(column, str)
        else {key: column[key] for key in _FIRST_COLUMN_KEYS if key in column}
        for name, column in entry.get("columns", {}).items()
    }
    return Table.model_validate(found)
