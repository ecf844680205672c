"""Shred documents in the crate; those that it declines are left to the document path."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from assise.native import find_native
from assise.rows.columns import READ, ColumnCounts, name_kind
from assise.rows.model import Document, JoinedRows, Values
from assise.rows.native.plan import make_plan
from assise.rows.tree import Tree
from assise.types.wire import CopyField

_Packed = tuple[bytes, bytes, bytes]
_Count = tuple[int, int, int, list[tuple[int, int]]]


class _Module(Protocol):
    """What the crate gives: see `native/src/module.rs`."""

    def find_whole(self, documents: Sequence[bytes]) -> list[int]: ...

    def shred(
        self, documents: Sequence[Document]
    ) -> tuple[
        list[int],
        bytes,
        list[CopyField],
        list[_Packed],
        tuple[int, int, int, int],
        list[_Count],
    ]: ...


@dataclass(frozen=True)
class NativeRows:
    """Documents that were taken; `left_out` has the positions of the others.

    `owners` has beside each row of a table the number of its document among those taken.
    """

    left_out: list[int]
    offsets: array[int]
    keys: list[CopyField]
    rows: list[JoinedRows]
    owners: list[array[int]]
    values: Values
    columns: ColumnCounts


class NativeShredder:
    """Shreds documents of one collection in the crate."""

    def __init__(self, tree: Tree, shredder: _Module) -> None:
        self._layouts, self._shredder = tree.layouts, shredder

    def shred(self, documents: Sequence[Document]) -> NativeRows:
        """Shred those that the crate takes."""
        left_out, offsets, keys, packed, values, counts = self._shredder.shred(documents)
        rows = [JoinedRows.unpack(data, ends) for data, ends, _ in packed]
        owners = [array("I", numbers) for _, _, numbers in packed]
        found = (array("Q", offsets), keys, rows, owners, Values(*values))
        return NativeRows(left_out, *found, self._count(counts))

    def find_whole(self, documents: Sequence[bytes]) -> list[int]:
        """Find documents that are BSON without a doubt; others may be, too."""
        return self._shredder.find_whole(documents)

    def _count(self, counts: Sequence[_Count]) -> ColumnCounts:
        found = ColumnCounts()
        for table, position, held, codes in counts:
            layout = self._layouts[table]
            count = found.at(layout.table, layout.names[position])
            count.held = held
            for code, number in codes:
                if code == READ:
                    count.read = number
                else:
                    count.extra[name_kind(code)] = number
        return found


def make_native(tree: Tree) -> NativeShredder | None:
    """The native way of a collection; None where it is not installed, or does not know the plan."""
    module = find_native()
    plan = make_plan(tree) if module else None
    shredder = module.Shredder.compile(plan) if module and plan else None
    return NativeShredder(tree, shredder) if shredder else None
