"""The columns and child tables of one table as a tree of document levels."""

from __future__ import annotations

from dataclasses import dataclass, field

from assise.documents.kinds import ARRAY, CODE_WITH_SCOPE, DOCUMENT
from assise.manifest.layout import ColumnLayout, Layout, TableLayout, layouts

ORDERED = frozenset({DOCUMENT, ARRAY, CODE_WITH_SCOPE})
"""Kinds that jsonb does not keep in order, as an `_id` wants it."""


@dataclass
class Level:
    """One level of documents: the columns, child tables and flattened sub-documents that its keys lead to.

    Columns are given with their position in the layout, child tables with their position among the collection's layouts.
    """

    columns: dict[bytes, tuple[int, ColumnLayout]] = field(default_factory=dict)
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
    """A collection as it is compiled: layouts, parents first; for each the keys that lead to its array, and its tree of levels; the key."""

    layouts: tuple[TableLayout, ...]
    child_paths: tuple[tuple[bytes, ...], ...]
    roots: tuple[Level, ...]
    key_position: int
    key: ColumnLayout


def build_tree(layout: Layout, root: str) -> Tree:
    """The tree of the collection's table `root`."""
    found = layouts(layout, root)
    positions = {each.table: i for i, each in enumerate(found)}
    trees = []
    for each in found:
        top = Level()
        for i, column in enumerate(each.columns.values()):
            if column.kind != "offset":
                level, key = top.reach(column.path)
                level.columns[key] = (each.key_width + i, column)
        for child in layout.children(each.table):
            level, key = top.reach(layout.tables[child].child_path)
            level.arrays[key] = positions[child]
        trees.append(top)
    paths = tuple(tuple(key.encode() for key in each.child_path) for each in found)
    key_position = found[0].names.index(found[0].primary_key[0])
    return Tree(found, paths, tuple(trees), key_position, found[0].key)
