"""The tables of a manifest and how they refer to each other, as a diagram in Mermaid."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assise.manifest.model import Manifest
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.constraints import NOT_NULL, UNIQUE
from assise.manifest.sections.references import list_foreign_keys


def write_diagram(manifest: Manifest) -> str:
    """An `erDiagram` of Mermaid (mermaid.js.org/syntax/entityRelationshipDiagram).

    A line ends in `|o` where a row refers to one row or none, in `||` where it refers to one.
    """
    lines = ["erDiagram"]
    for name in manifest.tables:
        lines += _draw_table(manifest, name)
    for name in manifest.tables:
        lines += _draw_references(manifest, name)
    return "\n".join(lines) + "\n"


def _draw_table(manifest: Manifest, name: str) -> Iterator[str]:
    table = manifest.tables[name]
    referring = {
        column for key in list_foreign_keys(name, manifest.tables) for column in key.columns
    }
    columns = list_columns(name, manifest.tables)
    if table.parent is not None:
        referring.update(table.primary_key[:-1])
    yield f"    {_quote(name)} {{"
    for column, column_type in columns.items():
        declared = table.columns.get(column)
        marks = ["PK"] if column in table.primary_key else []
        marks += ["FK"] if column in referring else []
        marks += ["UK"] if declared is not None and UNIQUE.of(declared) else []
        words = [_plain(column_type), _plain(column), ", ".join(marks)]
        yield f"        {' '.join(filter(None, words))}"
    yield "    }"


def _draw_references(manifest: Manifest, name: str) -> Iterator[str]:
    table = manifest.tables[name]
    if table.parent is not None:
        columns = ", ".join(table.primary_key[:-1])
        yield f"    {_quote(table.parent)} ||--o{{ {_quote(name)} : {_quote(columns)}"
    for key in list_foreign_keys(name, manifest.tables):
        declared = [table.columns.get(column) for column in key.columns]
        is_set = all(column is None or NOT_NULL.of(column) for column in declared)
        is_one = len(declared) == 1 and declared[0] is not None and UNIQUE.of(declared[0])
        ends = f"{'||' if is_set else '|o'}--{'o|' if is_one else 'o{'}"
        columns = ", ".join(key.columns)
        yield f"    {_quote(key.target.table)} {ends} {_quote(name)} : {_quote(columns)}"


def _quote(text: str) -> str:
    """A name in quotes, which Mermaid takes with any characters but these."""
    return '"' + re.sub(r'["\\%\x00-\x1f]', "_", text) + '"'


def _plain(text: str) -> str:
    """A type or a column in the characters that Mermaid takes for them."""
    found = re.sub(r"[^\w()\[\]-]", "_", text)
    return found if re.match(r"[^\W\d_]|_", found) else f"_{found}"
