"""Rows and child rows of documents, read back by the documents' keys."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from assise.manifest.layout import TableLayout
from assise.postgres.connection import Connection
from assise.rows.assemble import Assembler, Row
from assise.rows.assemble import Kids as ChildRows
from assise.rows.cells import OIDS, pack_length, write_array_cell
from assise.schema.sql import select_rows

Name = TypeVar("Name", bound=Hashable)


def pack_keys(fields: Iterable[bytes], column_type: str) -> bytes:
    """Return the parameter `= ANY` for key cells that have their lengths in front."""
    return write_array_cell(list(fields), OIDS[column_type])[4:]


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
        name_key: Callable[[bytes], Name],
    ) -> None:
        self._connection, self._name_key = connection, name_key
        self._layouts, tree = assembler.layouts, assembler.tree
        self._key_type, self._key_position = tree.key.type, tree.key_position
        self._selects = [select_rows(layout, schema) for layout in self._layouts]

    def read(self, keys: Sequence[bytes]) -> tuple[dict[bytes, Row], dict[Name, ChildRows]]:
        """Return the rows by key, and the child rows by the name of their key."""
        fields = (pack_length(len(key)) + key for key in keys)
        packed = pack_keys(fields, self._key_type)
        rows: dict[bytes, Row] = {}
        for row in self._connection.fetch_cells(self._selects[0], packed, self._key_type):
            rows[row[self._key_position] or b""] = row
        return rows, self._read_child_rows(packed)

    def _read_child_rows(self, packed: bytes) -> dict[Name, ChildRows]:
        named: dict[Name, ChildRows] = {}
        for i, layout in enumerate(self._layouts):
            if layout.parent is None:
                continue
            for key, *cells in self._connection.stream(self._selects[i], packed, self._key_type):
                name = self._name_key(key or b"")
                child_rows = named.get(name)
                if child_rows is None:
                    child_rows = named[name] = no_child_rows(self._layouts)
                # Key columns of a child row: the document's key, its parent's ordinals, its own.
                ordinals = cells[: layout.key_width - 2]
                parent = b"".join([cell or b"" for cell in ordinals])
                row: Row = (None, *cells)
                child_rows[i].setdefault(parent, []).append(row)
        return named
