"""The columns and child tables of one collection as trees of document levels."""

from __future__ import annotations

from dataclasses import dataclass, field

from assise.manifest.layout import Layout, layouts
from assise.manifest.model import Column, Manifest


@dataclass
class Level:
    """One level of documents: the columns, child tables and levels below that its keys lead to.

    A column is given with its position in the layout, a child table by that of its layout.
    """

    columns: dict[bytes, tuple[int, Column]] = field(default_factory=dict)
    arrays: dict[bytes, int] = field(default_factory=dict)
    levels: dict[bytes, Level] = field(default_factory=dict)

    def reach(self, path: tuple[str, ...]) -> tuple[Level, bytes]:
        """The level that holds the last key of `path`, made where it is missing, and that key."""
        level = self
        for key in path[:-1]:
            level = level.levels.setdefault(key.encode(), Level())
        return level, path[-1].encode()


@dataclass(frozen=True)
class Tree:
    """A collection as it is compiled.

    `layouts` has parents first; beside each layout stand the keys that lead to its array and the
    level at its root. `key` is the column at `key_position` of the first layout.
    """

    layouts: tuple[Layout, ...]
    child_paths: tuple[tuple[bytes, ...], ...]
    roots: tuple[Level, ...]
    key_position: int
    key: Column


def build_tree(manifest: Manifest, root: str) -> Tree:
    """Build the tree of the collection whose table is `root`."""
    found = layouts(manifest, root)
    positions = {layout.table: i for i, layout in enumerate(found)}
    levels = []
    for layout in found:
        top = Level()
        for i, column in enumerate(manifest.tables[layout.table].columns.values()):
            if column.kind != "offset":
                level, key = top.reach(column.path)
                level.columns[key] = (layout.front + i, column)
        for child in manifest.children(layout.table):
            level, key = top.reach(manifest.tables[child].child_path)
            level.arrays[key] = positions[child]
        levels.append(top)
    paths = [manifest.tables[layout.table].child_path for layout in found]
    return Tree(
        layouts=found,
        child_paths=tuple(tuple(key.encode() for key in path) for path in paths),
        roots=tuple(levels),
        key_position=found[0].names.index(found[0].primary_key[0]),
        key=manifest.key_column(root),
    )
