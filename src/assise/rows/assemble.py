"""Rows into documents: cells in binary format in, raw BSON out."""

from __future__ import annotations

from collections.abc import Sequence

from assise.documents.shape import Shape
from assise.manifest.layout import Layout
from assise.rows.columnar.assemble import ColumnarAssembler
from assise.rows.document.build import DocumentBuilder
from assise.rows.model import ChildRows, Row
from assise.rows.tree import build_tree


class Assembler:
    """Assembles the documents of one collection; cells stand in the order of the layouts.

    Args:
        is_strict: refuse what shred would not have written.
        min_group: from how many documents on `assemble_alike` assembles some; 0 for never.
    """

    def __init__(
        self,
        layout: Layout,
        root: str,
        *,
        is_strict: bool = False,
        min_group: int | None = None,
    ) -> None:
        self.tree = build_tree(layout, root)
        self.layouts = self.tree.layouts
        self._builder = DocumentBuilder(self.tree, is_strict=is_strict)
        self._min_group = Shape.MIN_GROUP if min_group is None else min_group
        self._columnar: ColumnarAssembler | None = None

    def assemble(self, row: Row, child_rows: ChildRows) -> bytes:
        """Assemble a document; child rows are taken out of `child_rows` as they are used.

        Raises:
            CellError, ExtendedJsonError: a cell that SQL has written has no BSON form.
        """
        return self._builder.build(row, child_rows)

    def assemble_alike(
        self, sources: Sequence[bytes], rows: Sequence[Row], child_rows: Sequence[ChildRows]
    ) -> list[bytes | None]:
        """Assemble documents column by column, in the order of fields that their sources have.

        None for one that is left to `assemble`. Nothing is taken out of `child_rows`. The first
        sources, if they are enough, show the order of fields; those of a strict assembler only.
        """
        found: list[bytes | None] = [None] * len(sources)
        small = [i for i, raw in enumerate(sources) if len(raw) <= Shape.LARGEST_BYTES]
        # The switch of the columnar path: without it all are left to `assemble`.
        if self._columnar is None and 0 < self._min_group <= len(small):
            self._columnar = ColumnarAssembler(self._builder, [sources[i] for i in small])
        if self._columnar is not None:
            documents = self._columnar.assemble(
                [rows[i] for i in small], [child_rows[i] for i in small]
            )
            for i, document in zip(small, documents, strict=True):
                found[i] = document
        return found
