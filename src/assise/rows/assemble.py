"""Rows into documents: cells in binary format in, raw BSON out."""

from __future__ import annotations

from collections.abc import Sequence

from assise.manifest.layout import Layout
from assise.rows.document.build import DocumentBuilder
from assise.rows.model import ChildRows, Row
from assise.rows.native.assemble import make_assembler
from assise.rows.tree import build_tree


class Assembler:
    """Assembles the documents of one collection; cells stand in the order of the layouts.

    Args:
        is_strict: refuse what shred would not have written.
        is_native: whether `assemble_all` goes through the crate, where it is installed; it is
            always strict.
    """

    def __init__(
        self,
        layout: Layout,
        root: str,
        *,
        is_strict: bool = False,
        is_native: bool = True,
    ) -> None:
        self.tree = build_tree(layout, root)
        self.layouts = self.tree.layouts
        self._builder = DocumentBuilder(self.tree, is_strict=is_strict)
        self.native = make_assembler(self.tree) if is_strict and is_native else None

    def assemble(self, row: Row, child_rows: ChildRows) -> bytes:
        """Assemble a document; child rows are taken out of `child_rows` as they are used.

        Raises:
            CellError, ExtendedJsonError: a cell that SQL has written has no BSON form.
        """
        return self._builder.build(row, child_rows)

    def assemble_all(
        self, sources: Sequence[bytes], rows: Sequence[Row], child_rows: Sequence[ChildRows]
    ) -> list[bytes | None]:
        """Assemble documents in the crate, in the order of fields that their sources have.

        None for one that is left to `assemble`. Nothing is taken out of `child_rows`.
        """
        if self.native is None:
            return [None] * len(sources)
        return self.native.assemble(sources, rows, child_rows)
