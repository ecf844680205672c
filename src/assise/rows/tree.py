"""The columns and child tables of one collection as trees of document levels."""

from __future__ import annotations

from dataclasses import dataclass, field

from assise.manifest.layout import ColumnLayout, Layout, TableLayout, layouts


@dataclass
class Level:
    """One level of documents: the columns, child tables and levels below that its keys lead to.

    A column is given with its position in the layout, a child table by that of its layout.
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
    """A collection as it is compiled.

    `layouts` has parents first; beside each layout stand the keys that lead to its array and the
    level at its root. `key` is the column at `key_position` of the first layout.
    """

    layouts: tuple[TableLayout, ...]
    child_paths: tuple[tuple[bytes, ...], ...]
    roots: tuple[Level, ...]
    key_position: int
    key: ColumnLayout


def build_tree(layout: Layout, root: str) -> Tree:
    """Build the tree of the collection whose table is `root`."""
    tables = layouts(layout, root)
    positions = {table.table: i for i, table in enumerate(tables)}
    levels = []
    for table in tables:
        top = Level()
        for i, column in enumerate(table.columns.values()):
            if column.kind != "offset":
                level, key = top.reach(column.path)
                level.columns[key] = (table.key_width + i, column)
        for child in layout.children(table.table):
            level, key = top.reach(layout.tables[child].child_path)
            level.arrays[key] = positions[child]
        levels.append(top)
    return Tree(
        layouts=tables,
        child_paths=tuple(tuple(key.encode() for key in table.child_path) for table in tables),
        roots=tuple(levels),
        key_position=tables[0].names.index(tables[0].primary_key[0]),
        key=layout.key_column(root),
    )
