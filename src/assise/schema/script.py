"""Everything that a load creates, as SQL to read or to run."""

from __future__ import annotations

from assise.manifest.model import Manifest
from assise.schema.access import access_script
from assise.schema.comments import find_comments, set_comments
from assise.schema.sql import add_foreign_keys, create_function, create_tables, key_functions


def script(manifest: Manifest, schema: str) -> str:
    """Functions, tables, foreign keys, comments and access rules, as one SQL script."""
    layout = manifest.layout
    statements = [
        *(create_function(name, schema) for name in key_functions(layout)),
        *create_tables(layout, schema),
        *(text for _, text in add_foreign_keys(layout, schema)),
        *set_comments(find_comments(manifest), schema),
        *access_script(manifest, schema),
    ]
    return "\n\n".join(f"{statement};" for statement in statements) + "\n"
