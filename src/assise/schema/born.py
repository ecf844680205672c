"""SQL text of tables that are born in PostgreSQL: no load writes their rows."""

from __future__ import annotations

from collections.abc import Mapping

from assise.manifest.model import Column, Manifest, Table
from assise.manifest.sections.computed import GENERATED
from assise.manifest.sections.constraints import DEFAULT
from assise.schema.constraints import write_default
from assise.schema.partitions import find_partitioning
from assise.schema.sql import all_layouts, quote, quote_list, quote_table


def create_born(manifest: Manifest, schema: str) -> list[str]:
    """The CREATE TABLE of each; defaults, checks and keys to other tables follow as objects."""
    return [create_one(name, table, schema=schema) for name, table in manifest.born.items()]


def create_one(name: str, table: Table, *, schema: str) -> str:
    """The CREATE TABLE of one table, with its columns and its primary key."""
    lines = [
        f"    {quote(each)} {column.type}"
        for each, column in table.columns.items()
        if GENERATED.of(column) is None
    ]
    lines.append(f"    PRIMARY KEY ({quote_list(table.primary_key)})")
    body = ",\n".join(lines)
    partitioning = find_partitioning(name, table, schema=schema)
    tail = f" {partitioning.cut()}" if partitioning else ""
    return f"CREATE TABLE {quote_table(schema, name)} (\n{body}\n){tail}"


def add_columns(name: str, columns: Mapping[str, Column], schema: str) -> str:
    """The ALTER TABLE that adds columns, each filled with its default."""
    added = []
    for each, column in columns.items():
        default = DEFAULT.of(column)
        value = "" if default is None else f" DEFAULT {write_default(default, column.type)}"
        added.append(f"ADD COLUMN {quote(each)} {column.type}{value}")
    return f"ALTER TABLE {quote_table(schema, name)} {', '.join(added)}"


def list_types(manifest: Manifest) -> list[str]:
    """The types of all columns of a manifest, of loaded tables and of others."""
    loaded = [each for layout in all_layouts(manifest.layout) for each in layout.types]
    born = [column.type for table in manifest.born.values() for column in table.columns.values()]
    return [*loaded, *born]
