"""The physical columns of a table, in the order in which every part writes and reads them."""

from __future__ import annotations

from dataclasses import dataclass

from assise.manifest.model import Manifest
from assise.types.table import KEY_KINDS


@dataclass(frozen=True)
class Layout:
    """A table of a collection: its key, its columns and our jsonb column at the end.

    A collection's table has its key among the columns; a child table has the root's key and the ordinals in front.
    """

    table: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    primary_key: tuple[str, ...]
    parent: str | None
    key_is_any: bool

    @property
    def front(self) -> int:
        """How many key columns stand in front of the manifest's columns: 0 for a collection's table."""
        return len(self.primary_key) if self.parent else 0


def layouts(manifest: Manifest, root: str) -> tuple[Layout, ...]:
    """The layouts of a collection's table `root` and all tables below it, parents first."""
    key = manifest.key_column(root)
    found: list[Layout] = []
    for name in manifest.tree(root):
        table = manifest.tables[name]
        front = (
            [
                (key_name, key.type if i == 0 else "int4")
                for i, key_name in enumerate(table.primary_key)
            ]
            if table.parent
            else []
        )
        columns = [
            *front,
            *((n, c.type) for n, c in table.columns.items()),
            (manifest.extra_name(name), "jsonb"),
        ]
        names, types = zip(*columns, strict=True)
        found.append(
            Layout(
                name,
                names,
                types,
                table.primary_key,
                table.parent,
                key.kind in KEY_KINDS and key.type == "text",
            )
        )
    return tuple(found)
