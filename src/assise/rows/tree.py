"""The columns and child tables of one collection as trees of document levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from assise.manifest.layout import (
    IS_DOCUMENT,
    IS_NULL,
    MISSING,
    ColumnLayout,
    Layout,
    TableLayout,
    layouts,
)
from assise.types.codec import Codec
from assise.types.jsonb import FIRST_FORM, NEWEST_FORM, JsonbForm
from assise.types.keys import make_key_codec


@dataclass
class Level:
    """One level of documents: the columns, child tables and levels below that its keys lead to.

    A column is given with its position in the layout, a child table by that of its layout. `nulls`
    are keys without a column that are null where nothing else is noted, `absent` those of columns,
    child tables and levels of which something else than missing goes without a note.
    """

    columns: dict[bytes, tuple[int, ColumnLayout]] = field(default_factory=dict)
    arrays: dict[bytes, int] = field(default_factory=dict)
    levels: dict[bytes, Level] = field(default_factory=dict)
    nulls: set[bytes] = field(default_factory=set)
    absent: dict[bytes, str] = field(default_factory=dict)

    def reach(self, path: tuple[str, ...]) -> tuple[Level, bytes]:
        """The level that holds the last key of `path`, made where it is missing, and that key."""
        level = self
        for key in path[:-1]:
            level = level.levels.setdefault(key.encode(), Level())
        return level, path[-1].encode()

    @cached_property
    def is_told(self) -> bool:
        """Whether a document of this level may have fields of which no cell and no note tells."""
        return bool(self.absent) or any(level.is_told for level in self.levels.values())

    def positions(self) -> Iterator[int]:
        """Where the cells of this level and of those below it stand in the layout."""
        for position, _ in self.columns.values():
            yield position
        for level in self.levels.values():
            yield from level.positions()

    def children(self) -> Iterator[int]:
        """The child tables of this level and of those below it."""
        yield from self.arrays.values()
        for level in self.levels.values():
            yield from level.children()


@dataclass(frozen=True)
class Tree:
    """A collection as it is compiled.

    `layouts` has parents first; beside each layout stand the level at its root and its column of
    elements. `key` is the column at `key_position` of the first layout.
    """

    layouts: tuple[TableLayout, ...]
    roots: tuple[Level, ...]
    elements: tuple[ColumnLayout | None, ...]
    key_position: int
    key: ColumnLayout
    rules: int

    @property
    def form(self) -> JsonbForm:
        """How jsonb is written by the rules of the load."""
        return FIRST_FORM if self.rules == 1 else NEWEST_FORM

    def codec(self, column: ColumnLayout) -> Codec:
        """The codec of a column, other than the key, by the rules of the load."""
        return column.codec(self.rules)

    @cached_property
    def key_codec(self) -> Codec:
        """The codec of a key that is not of kind offset."""
        return make_key_codec(self.codec(self.key))

    def codecs(self, level: Level) -> Iterator[tuple[bytes, int, ColumnLayout, Codec]]:
        """The columns of a level: key, position in the layout, column and codec."""
        is_root = level is self.roots[0]
        for key, (position, column) in level.columns.items():
            is_key = is_root and position == self.key_position
            yield key, position, column, self.key_codec if is_key else self.codec(column)


def build_tree(layout: Layout, root: str) -> Tree:
    """Build the tree of the collection whose table is `root`."""
    tables = layouts(layout, root)
    positions = {table.table: i for i, table in enumerate(tables)}
    levels = []
    for table in tables:
        top = Level()
        for i, column in enumerate(table.columns.values()):
            if column.path:
                level, key = top.reach(column.path)
                level.columns[key] = (table.key_width + i, column)
                _note_absent(level, key, column.absent)
        for child in layout.children(table.table):
            level, key = top.reach(layout.tables[child].child_path)
            level.arrays[key] = positions[child]
            _note_absent(level, key, layout.tables[child].absent)
        for path in table.nulls:
            level, key = top.reach(path)
            level.nulls.add(key)
            level.absent[key] = IS_NULL
        for path in table.documents:
            level, key = top.reach(path)
            level.levels.setdefault(key, Level())
            level.absent[key] = IS_DOCUMENT
        levels.append(top)
    return Tree(
        layouts=tables,
        roots=tuple(levels),
        elements=tuple(map(_find_elements, tables)),
        key_position=tables[0].names.index(tables[0].primary_key[0]),
        key=layout.key_column(root),
        rules=layout.rules,
    )


def _note_absent(level: Level, key: bytes, absent: str) -> None:
    if absent != MISSING:
        level.absent[key] = absent


def _find_elements(table: TableLayout) -> ColumnLayout | None:
    return next((column for column in table.columns.values() if column.is_element), None)
