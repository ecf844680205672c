"""Rows and child rows of documents, read back by the documents' keys."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from assise.manifest.layout import TableLayout
from assise.postgres.connection import BinaryRow, Connection
from assise.rows.assemble import Assembler
from assise.rows.model import ChildRows, Row
from assise.schema.sql import select_rows
from assise.types.table import array_parameter, find_type
from assise.types.wire import Cell, join_array

FEW_KEYS, FEW_ROWS = 100, 1_000
"""Documents whose child rows are read at once, if there are fewer than so many rows."""

Name = TypeVar("Name", bound=Hashable)


def no_child_rows(layouts: Sequence[TableLayout]) -> ChildRows:
    """Return the child rows of a document that has none."""
    return [{} for _ in layouts]


class Readback(Generic[Name]):
    """Reads what the target has of one collection.

    `name_key` makes of a key the name under which child rows are returned: the rows of one
    document are of one name, even where SQL has written their keys differently.
    """

    def __init__(
        self,
        connection: Connection,
        assembler: Assembler,
        schema: str,
        *,
        name_key: Callable[[Cell], Name],
    ) -> None:
        self._connection, self._name_key = connection, name_key
        self._layouts, tree = assembler.layouts, assembler.tree
        self._key_type, self._key_position = tree.key.type, tree.key_position
        self._selects = [select_rows(layout, schema) for layout in self._layouts]
        self._selects_joined = [
            select_rows(layout, schema, is_joined=True) for layout in self._layouts
        ]

    def read(self, keys: Sequence[Cell]) -> tuple[dict[Cell, Row], dict[Name, ChildRows]]:
        """Return the rows by key, and the child rows by the name of their key."""
        packed = array_parameter(self._key_type, keys)
        rows: dict[Cell, Row] = {}
        for row in self._connection.fetch_cells(self._selects[0], packed, self._key_type):
            rows[row[self._key_position] or Cell(b"")] = row
        return rows, self._read_child_rows(keys, packed)

    def read_joined(
        self, keys: bytes, count: int
    ) -> tuple[Sequence[bytes], Sequence[Sequence[bytes]]]:
        """Return the rows of keys, whose fields are joined, and for each layout the child rows.

        Each row is what `record_send` gives.
        """
        packed = join_array(keys, count, find_type(self._key_type).oid)
        root, *children = self._selects_joined
        rows = self._connection.fetch_column(root, packed, self._key_type)
        child_rows = [self._read(each, packed, is_few=count <= FEW_KEYS) for each in children]
        return rows, [[], *([row for (row,) in each if row] for each in child_rows)]

    def _read(self, select: str, packed: Cell, *, is_few: bool) -> Iterable[BinaryRow]:
        """Read the rows of a few documents in one round trip, unless they turn out to be many."""
        if is_few:
            limited = f"{select} LIMIT {FEW_ROWS}"
            rows = [*self._connection.fetch_cells(limited, packed, self._key_type)]
            if len(rows) < FEW_ROWS:
                return rows
        return self._connection.stream(select, packed, self._key_type)

    def _read_child_rows(self, keys: Sequence[Cell], packed: Cell) -> dict[Name, ChildRows]:
        named: dict[Name, ChildRows] = {}
        for i, layout in enumerate(self._layouts):
            if layout.parent is None:
                continue
            # Key columns of a child row: the document's key, its parent's ordinals, its own.
            width, parent = layout.key_width - 1, b""
            for row in self._read(self._selects[i], packed, is_few=len(keys) <= FEW_KEYS):
                name = self._name_key(row[0] or Cell(b""))
                child_rows = named.get(name)
                if child_rows is None:
                    child_rows = named[name] = no_child_rows(self._layouts)
                if width > 1:
                    parent = b"".join([cell or b"" for cell in row[1:width]])
                child_rows[i].setdefault(parent, []).append(row)
        return named
