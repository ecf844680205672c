"""Documents into rows: raw BSON in, the bytes of binary COPY out."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence

from assise.documents.reader import check_document
from assise.errors import InvalidBsonError
from assise.manifest.layout import Layout
from assise.rows.columns import ColumnCounts
from assise.rows.counts import CountingWriters
from assise.rows.document.visit import DocumentVisitor, UnfitKeyError
from assise.rows.model import Batch, Document, JoinedRows, Reason, Rejected, Values
from assise.rows.native.shred import NativeShredder, make_native
from assise.rows.tree import build_tree
from assise.types.wire import row_head

FLUSHED = 2_000
"""Documents whose columns are counted together."""


class Shredder:
    """Shreds the documents of one collection.

    Args:
        is_native: whether documents go through the crate, where it is installed.
    """

    def __init__(
        self,
        layout: Layout,
        root: str,
        *,
        is_native: bool = True,
    ) -> None:
        self.tree = build_tree(layout, root)
        self.layouts = self.tree.layouts
        self._heads = [row_head(len(layout.names)) for layout in self.layouts]
        self._writers = CountingWriters(self.tree)
        self._visitor = DocumentVisitor(self.tree, self._writers)
        self._native = make_native(self.tree) if is_native else None

    def shred(self, documents: Iterable[Document]) -> Batch:
        """Shred documents.

        Bytes that are not BSON, and an `_id` that the key does not fit, are rejected; nothing else.
        """
        self._writers.reset(Values())
        if self._native is not None:
            here = documents if isinstance(documents, Sequence) else [*documents]
            return self._shred_natively(self._native, here)
        batch = self._new_batch()
        for count, (offset, raw) in enumerate(documents, 1):
            self._shred_document(batch, offset, raw)
            if count % FLUSHED == 0:
                self._writers.columns.flush()
        batch.values, batch.columns = self._writers.values, self._writers.columns.take()
        return batch

    def find_whole(self, documents: Sequence[bytes]) -> list[int]:
        """Find documents that are BSON without a doubt, at next to no cost; others may be, too."""
        return self._native.find_whole(documents) if self._native else []

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

    def _new_batch(self) -> Batch:
        return Batch(
            array("Q"), [], [JoinedRows() for _ in self.layouts], [array("I") for _ in self.layouts]
        )

    def _shred_natively(self, native: NativeShredder, documents: Sequence[Document]) -> Batch:
        """Shred in the crate; the documents that it declines are shredded one by one."""
        found = native.shred(documents)
        left_out = found.left_out
        if not left_out:
            return Batch(
                found.offsets,
                found.keys,
                found.rows,
                found.owners,
                values=found.values,
                columns=found.columns,
            )
        batch, numbers, keys = self._new_batch(), array("I"), iter(found.keys)
        waiting = iter(left_out)
        following = next(waiting)
        for i, (offset, raw) in enumerate(documents):
            if i == following:
                self._shred_document(batch, offset, raw)
                following = next(waiting, -1)
            else:
                numbers.append(len(batch.offsets))
                batch.offsets.append(offset)
                batch.keys.append(next(keys))
        for i, rows in enumerate(found.rows):
            rows.extend(batch.rows[i])
            owners = array("I", [numbers[owner] for owner in found.owners[i]])
            batch.rows[i], batch.owners[i] = rows, owners + array("I", batch.owners[i])
        batch.values, batch.columns = self._writers.values, self._writers.columns.take()
        batch.values.add(found.values)
        batch.columns.add(found.columns)
        batch.declined = len(left_out)
        return batch

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
        batch.offsets.append(offset)
        batch.keys.append(key)
        batch.owners[0].append(number)
        batch.rows[0].extend((b"".join((self._heads[0], *fields)),))
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
