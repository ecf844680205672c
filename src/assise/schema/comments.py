"""Comments of the manifest on tables and columns: what COMMENT ON must change in a catalog."""

from __future__ import annotations

from assise.manifest.model import Manifest
from assise.manifest.sections.computed import GENERATED
from assise.manifest.sections.schemas import SCHEMAS
from assise.schema.sql import quote, quote_table, quote_text

Comments = dict[tuple[str, str | None], str]
"""Table and column, None for the table itself -> the text; a schema is written as `auth.`."""


def find_comments(manifest: Manifest) -> Comments:
    """The comments of a manifest, but those of formulas, which come with their columns."""
    found: Comments = {}
    for schema, entry in (SCHEMAS.of(manifest) or {}).items():
        if entry.comment:
            found[f"{schema}.", None] = entry.comment
    for name, table in manifest.tables.items():
        if table.comment:
            found[name, None] = table.comment
        for column_name, column in table.columns.items():
            if column.comment and GENERATED.of(column) is None:
                found[name, column_name] = column.comment
    return found


def set_comments(comments: Comments, schema: str) -> list[str]:
    """A COMMENT ON for each comment."""
    return [_comment_on(*place, schema=schema, text=text) for place, text in comments.items()]


def change_comments(
    wanted: Comments, found: Comments, before: Comments, *, schema: str
) -> list[str]:
    """The statements after which a catalog has the comments that the manifest wants.

    `found` is what the catalog has, `before` what the manifest wanted when it was last applied. A
    comment that is wanted no longer goes if it is still ours; others are left alone.
    """
    gone = before.keys() - wanted.keys()
    ours = [place for place in before if place in gone and found.get(place) == before[place]]
    changed: Comments = {}
    for place, text in wanted.items():
        if found.get(place) != text:
            changed[place] = text
    removals = [_comment_on(*place, schema=schema, text=None) for place in ours]
    return [*removals, *set_comments(changed, schema)]


def _comment_on(table: str, column: str | None, *, schema: str, text: str | None) -> str:
    literal = "NULL" if text is None else quote_text(text)
    if table.endswith("."):
        return f"COMMENT ON SCHEMA {quote(table[:-1])} IS {literal}"
    if column is None:
        return f"COMMENT ON TABLE {quote_table(schema, table)} IS {literal}"
    return f"COMMENT ON COLUMN {quote_table(schema, table)}.{quote(column)} IS {literal}"
