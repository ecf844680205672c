"""Columns of formulas as SQL."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.model import Manifest
from assise.manifest.sections.computed import list_generated
from assise.manifest.sections.servers import ON
from assise.schema.objects import Object
from assise.schema.sql import quote, quote_table, quote_text


def list_formulas(manifest: Manifest, schema: str) -> Iterator[Object]:
    """The columns of all tables that are formulas, with their comments.

    `instead` gives a column another formula, which servers before version 17 cannot; `after` is its
    comment, which may be none.
    """
    for table in (name for name, each in manifest.tables.items() if ON.of(each) is None):
        place = quote_table(schema, table)
        for name, formula in list_generated(table, manifest.tables).items():
            column = manifest.tables[table].columns[name]
            text = quote_text(column.comment) if column.comment else "NULL"
            comment = f"COMMENT ON COLUMN {place}.{quote(name)} IS {text}"
            add = f"ALTER TABLE {place} {add_formula(name, column.type, formula)}"
            yield Object(
                "generated",
                table,
                name,
                ("tables", table, "columns", name, "generated"),
                f"{add};\n{comment}" if column.comment else add,
                f"ALTER TABLE IF EXISTS {place} DROP COLUMN IF EXISTS {quote(name)}",
                instead=f"ALTER TABLE {place} ALTER COLUMN {quote(name)}"
                f" SET EXPRESSION AS ({formula})",
                after=comment,
            )


def add_formula(name: str, column_type: str, formula: str, *, is_trial: bool = False) -> str:
    """What ALTER TABLE says to add a column of a formula, whose values are stored."""
    unless = "IF NOT EXISTS " if is_trial else ""
    return f"ADD COLUMN {unless}{quote(name)} {column_type} GENERATED ALWAYS AS ({formula}) STORED"
