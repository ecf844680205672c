"""Documents into rows: raw BSON in, the bytes of binary COPY out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from assise.documents.reader import check_document
from assise.documents.shape import Shape
from assise.errors import InvalidBsonError
from assise.manifest.layout import Layout
from assise.rows.columnar.shred import ColumnarShredder
from assise.rows.columns import ColumnCounts
from assise.rows.counts import CountingWriters
from assise.rows.document.visit import DocumentVisitor, UnfitKeyError
from assise.rows.model import Batch, Document, Reason, Rejected, Values
from assise.rows.tree import build_tree
from assise.types.wire import CopyField, row_head


class Shredder:
    """Shreds the documents of one collection.

    Args:
        min_group: from how many documents on those that look alike are shredded column by column;
            0 for never. Nothing else depends on it.
    """

    def __init__(self, layout: Layout, root: str, *, min_group: int | None = None) -> None:
        min_group = Shape.MIN_GROUP if min_group is None else min_group
        self.tree = build_tree(layout, root)
        self.layouts = self.tree.layouts
        self._heads = [row_head(len(layout.names)) for layout in self.layouts]
        self._writers = CountingWriters(self.tree)
        self._visitor = DocumentVisitor(self.tree, self._writers)
        # The switch of the columnar path: without it `_shred_group` and `find_whole` have one line.
        self._columnar = ColumnarShredder(self.tree, self._writers, min_group=min_group)

    def shred(self, documents: Iterable[Document]) -> Batch:
        """Shred documents.

        Bytes that are not BSON, and an `_id` that the key does not fit, are rejected; nothing else.
        """
        batch = Batch([], [], [[] for _ in self.layouts], [[] for _ in self.layouts])
        self._writers.reset(Values())
        iterator = iter(documents)
        while group := list(islice(iterator, Shape.GROUP)):
            self._shred_group(batch, group)
            self._writers.columns.flush()
        batch.values, batch.columns = self._writers.values, self._writers.columns.take()
        return batch

    def find_whole(self, documents: Sequence[bytes]) -> list[int]:
        """Find documents that are BSON without a doubt, at next to no cost; others may be, too."""
        return [
            start + i
            for start in range(0, len(documents), Shape.GROUP)
            for i in self._columnar.find_whole(documents[start : start + Shape.GROUP])
        ]

    def count_values(
        self, batch: Batch, documents: Mapping[int, bytes]
    ) -> tuple[Values, ColumnCounts]:
        """Count where the values of some documents of a batch stand, each given by its position.

        They are visited once more: few documents are refused by the server.
        """
        self._writers.reset(Values())
        for position, raw in documents.items():
            self._visitor.visit(batch.offsets[position], raw)
            self._writers.columns.flush()
        return self._writers.values, self._writers.columns.take()

    def _shred_group(self, batch: Batch, group: Sequence[Document]) -> None:
        """Shred what looks alike together and the others one by one.

        Documents keep the source's order. Child rows do not: their owners say whose they are.
        """
        columnar = self._columnar.shred(group)
        first = len(batch.offsets)
        if len(columnar.taken) == len(group):
            batch.offsets.extend([offset for offset, _ in group])
            batch.keys.extend(columnar.keys)
            for i, owners in enumerate(columnar.owners):
                batch.rows[i].extend(columnar.rows[i])
                batch.owners[i].extend([first + owner for owner in owners])
            return
        numbers: list[int] = []
        done = 0
        for i, key, row in zip(columnar.taken, columnar.keys, columnar.rows[0], strict=True):
            for offset, raw in group[done:i]:
                self._shred_document(batch, offset, raw)
            numbers.append(len(batch.offsets))
            self._add(batch, group[i][0], key, row)
            done = i + 1
        for offset, raw in group[done:]:
            self._shred_document(batch, offset, raw)
        for i, rows in enumerate(columnar.rows[1:], 1):
            batch.rows[i].extend(rows)
            batch.owners[i].extend([numbers[owner] for owner in columnar.owners[i]])

    def _add(self, batch: Batch, offset: int, key: CopyField, row: bytes) -> None:
        batch.owners[0].append(len(batch.offsets))
        batch.offsets.append(offset)
        batch.keys.append(key)
        batch.rows[0].append(row)

    def _shred_document(self, batch: Batch, offset: int, raw: bytes) -> None:
        before, mark = self._writers.values, len(self._writers.columns.hits)
        try:
            fields, child_rows = self._visitor.visit(offset, raw)
        except (UnfitKeyError, InvalidBsonError) as error:
            self._writers.reset(before)
            self._writers.columns.undo(mark)
            batch.rejected.append(_reject(offset, raw, error))
            return
        key, number = fields[self.tree.key_position], len(batch.offsets)
        self._add(batch, offset, key, b"".join((self._heads[0], *fields)))
        for i, rows in enumerate(child_rows):
            front = self._heads[i] + key
            batch.rows[i].extend([front + row for row in rows])
            batch.owners[i].extend([number] * len(rows))


def _reject(offset: int, raw: bytes, error: Exception) -> Rejected:
    try:
        check_document(raw)
    except InvalidBsonError as found:
        return Rejected(offset, Reason.NOT_BSON, str(found), raw)
    if not isinstance(error, UnfitKeyError):
        raise error
    return Rejected(offset, Reason.KEY_MISFIT, str(error), raw)
