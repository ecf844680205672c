"""What children copy of their parents' rows, woven into their rows of COPY behind their own fields.

No document has it: it counts as no value, and neither verify nor export reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from assise.manifest.layout import TableLayout
from assise.native import find_native
from assise.rows.model import Batch, JoinedRows, WovenColumns
from assise.types.wire import NULL_FIELD, find_borders, row_head

LONGEST = 256
"""The bytes of a value that is woven. A longer one is NULL: a document has many child rows."""


class Weave(NamedTuple):
    """How the rows of a child table get fields of their parents' rows.

    Args:
        key_width: how many fields at the front of a parent's row are the key of a child table.
        sources: the positions of the fields in a parent's row, which may be woven itself.
        width: the fields of a woven row.
    """

    child: int
    parent: int
    key_width: int
    sources: tuple[int, ...]
    width: int

    def cut(self, row: bytes) -> tuple[bytes, bytes]:
        """The key of a parent's row, and the fields that its children copy."""
        borders = find_borders(row, max(self.key_width, *self.sources) + 1)
        fields = [row[borders[i] : borders[i + 1]] for i in self.sources]
        copied = [field if len(field) <= 4 + LONGEST else NULL_FIELD for field in fields]
        return row[2 : borders[self.key_width]], b"".join(copied)


class Weaver:
    """Weaves the rows of one collection.

    Args:
        is_native: whether rows go through the crate, where it is installed.
    """

    def __init__(
        self, layouts: Sequence[TableLayout], woven: WovenColumns, *, is_native: bool = True
    ) -> None:
        self._names = {layout.table: [*woven.get(layout.table, ())] for layout in layouts}
        self._weaves = [*self._list_weaves(layouts, woven)]
        self._native = find_native() if is_native else None

    def _list_weaves(self, layouts: Sequence[TableLayout], woven: WovenColumns) -> Iterator[Weave]:
        positions = {layout.table: i for i, layout in enumerate(layouts)}
        for child, layout in enumerate(layouts):
            columns = woven.get(layout.table)
            if columns and layout.parent:
                parent = layouts[positions[layout.parent]]
                names = [*parent.names, *self._names[parent.table]]
                sources = tuple(names.index(source) for source in columns.values())
                width = len(layout.names) + len(columns)
                yield Weave(child, positions[parent.table], parent.key_width, sources, width)

    def weave(self, batch: Batch) -> dict[int, JoinedRows]:
        """The rows of the child tables that copy something, by the position of the table."""
        woven = dict[int, JoinedRows]()
        for each in self._weaves:
            parents = woven.get(each.parent, batch.rows[each.parent])
            found = self._weave_natively(each, batch, parents)
            if found is None:
                found = JoinedRows()
                found.extend(_weave(each, batch, parents))
            woven[each.child] = found
        return woven

    def _weave_natively(self, each: Weave, batch: Batch, parents: JoinedRows) -> JoinedRows | None:
        above, rows = parents.packed, batch.rows[each.child].packed
        if self._native is None or above is None or rows is None:
            return None
        found = self._native.weave_rows(
            (*above, batch.owners[each.parent].tobytes()),
            (*rows, batch.owners[each.child].tobytes()),
            each,
            LONGEST,
        )
        return JoinedRows.unpack(*found) if found else None


def _weave(each: Weave, batch: Batch, parents: JoinedRows) -> Iterator[bytes]:
    """The rows of a child table. Both tables have their rows in the order of the documents."""
    head = row_head(each.width)
    above = zip(batch.owners[each.parent], parents, strict=True)
    at, key, fields = -1, b"", b""
    for owner, row in zip(batch.owners[each.child], batch.rows[each.child], strict=True):
        while at != owner or not row.startswith(key, 2):
            at, parent = next(above)
            key, fields = each.cut(parent)
        yield b"".join((head, row[2:], fields))
