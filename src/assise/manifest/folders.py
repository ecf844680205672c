"""Folders whose files are searched: each stands for a table, which is written out where it is not."""

from __future__ import annotations

from assise.manifest.nodes import Value

COLUMNS = ("path", "title", "content")
"""Of the table of a folder; `path` is its key."""


def add_folders(value: Value) -> None:
    """Add the tables of `search: {folders: …}` that a manifest does not declare itself.

    Whoever is signed in may read them. A manifest declares such a table to have other rules.
    """
    search = value.get("search") if isinstance(value, dict) else None
    folders = search.get("folders") if isinstance(search, dict) else None
    if not isinstance(value, dict) or not isinstance(folders, dict):
        return
    tables = value.setdefault("tables", {})
    if not isinstance(tables, dict):
        return
    for name in folders:
        table: Value = {
            "comment": "Files of a folder, which `assise search embed` reads",
            "primary_key": [COLUMNS[0]],
            "search": {"title": "title", "body": "content", "language": ["fr", "en"]},
            "embed": ["content"],
            "columns": {each: {"type": "text"} for each in COLUMNS},
        }
        if "roles" in value and value["roles"] != "none" and isinstance(table, dict):
            table["access"] = {"public": "read"}
        tables.setdefault(name, table)
