"""The rows of a folder's files as SQL."""

from __future__ import annotations

from assise.schema.search.searched import fill, read_blocks
from assise.schema.sql import quote_table, quote_text

FOLDERS = read_blocks("folders.sql")


def write_folder(schema: str, table: str, name: str) -> str:
    """One of the statements of `folders.sql` for the table of a folder."""
    place = quote_table(schema, table)
    literal = {
        "place": place.replace("%", "%%"),
        "place_text": quote_text(place).replace("%", "%%"),
    }
    return fill(FOLDERS[name], literal)
