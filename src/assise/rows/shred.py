"""Documents into rows: raw BSON in, the bytes of binary COPY out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import islice

from assise.documents.reader import check_document
from assise.documents.shape import GROUP, LARGEST_BYTES
from assise.errors import InvalidBsonError
from assise.manifest.layout import Layout
from assise.rows.shaped import ShapedShredder
from assise.rows.tally import Tally, Values
from assise.rows.tree import Tree, build_tree
from assise.rows.walk import KeyMisfitError, Walker


class Reason(IntEnum):
    """The closed list of reasons for a reject."""

    NOT_BSON = 1
    DUPLICATE_ID = 2
    ASKED_FOR = 3
    SERVER_LIMIT = 4
    KEY_MISFIT = 5


@dataclass(frozen=True)
class Misfit:
    """A document that became no rows: its offset in the source, why, and in words."""

    offset: int
    reason: Reason
    detail: str
    raw: bytes


@dataclass
class Batch:
    """The rows of some documents: for each layout the rows and, beside each row, the position of its document in `offsets`."""

    offsets: list[int]
    keys: list[bytes]
    rows: list[list[bytes]]
    owners: list[list[int]]
    misfits: list[Misfit]
    values: Values = field(default_factory=Values)


class Shredder:
    """Shreds the documents of one collection."""

    def __init__(self, layout: Layout, root: str) -> None:
        self.tree: Tree = build_tree(layout, root)
        self.layouts = self.tree.layouts
        self._heads = [len(layout.names).to_bytes(2, "big") for layout in self.layouts]
        self._tally = Tally()
        self._walker = Walker(self.tree, self._tally)
        self._shaped = ShapedShredder(self.tree, self._tally)

    def shred(self, documents: Iterable[tuple[int, bytes]]) -> Batch:
        """The rows of documents given with their offsets in the source.

        Bytes that are not BSON and an `_id` that the key does not fit become misfits; nothing else does.
        """
        batch = Batch([], [], [[] for _ in self.layouts], [[] for _ in self.layouts], [])
        self._tally.reset(Values())
        iterator = iter(documents)
        while group := list(islice(iterator, GROUP)):
            self._shred_group(batch, group)
        batch.values = self._tally.values
        return batch

    def find_whole(self, documents: Sequence[bytes]) -> list[int]:
        """Which documents are read whole by the shape of those that were shredded: they are BSON. Others may be, too."""
        return [
            start + i
            for start in range(0, len(documents), GROUP)
            for i in self._shaped.find_whole(documents[start : start + GROUP])
        ]

    def _shred_group(self, batch: Batch, group: Sequence[tuple[int, bytes]]) -> None:
        small = [i for i, (_, raw) in enumerate(group) if len(raw) <= LARGEST_BYTES]
        shaped = self._shaped.shred([group[i][1] for i in small], [group[i][0] for i in small])
        first = len(batch.offsets)
        if len(shaped.taken) == len(group):
            batch.offsets.extend([offset for offset, _ in group])
            batch.keys.extend(shaped.keys)
            for i, owners in enumerate(shaped.owners):
                batch.rows[i].extend(shaped.rows[i])
                batch.owners[i].extend([first + owner for owner in owners])
            return
        numbers: list[int] = []
        done = 0
        for i, (key, row) in zip(
            [small[i] for i in shaped.taken],
            zip(shaped.keys, shaped.rows[0], strict=True),
            strict=True,
        ):
            for offset, raw in group[done:i]:
                self._walk(batch, offset, raw)
            numbers.append(len(batch.offsets))
            self._add(batch, group[i][0], key, row)
            done = i + 1
        for offset, raw in group[done:]:
            self._walk(batch, offset, raw)
        for i, rows in enumerate(shaped.rows[1:], 1):
            batch.rows[i].extend(rows)
            batch.owners[i].extend([numbers[owner] for owner in shaped.owners[i]])

    def _add(self, batch: Batch, offset: int, key: bytes, row: bytes) -> None:
        batch.owners[0].append(len(batch.offsets))
        batch.offsets.append(offset)
        batch.keys.append(key)
        batch.rows[0].append(row)

    def _walk(self, batch: Batch, offset: int, raw: bytes) -> None:
        before = self._tally.values
        try:
            cells, kids = self._walker.walk(offset, raw)
        except (KeyMisfitError, InvalidBsonError) as error:
            self._tally.reset(before)
            batch.misfits.append(_misfit(offset, raw, error))
            return
        key, number = cells[self.tree.key_position], len(batch.offsets)
        self._add(batch, offset, key, b"".join((self._heads[0], *cells)))
        for i, rows in enumerate(kids):
            front = self._heads[i] + key
            batch.rows[i].extend([front + row for row in rows])
            batch.owners[i].extend([number] * len(rows))


def _misfit(offset: int, raw: bytes, error: Exception) -> Misfit:
    try:
        check_document(raw)
    except InvalidBsonError as found:
        return Misfit(offset, Reason.NOT_BSON, str(found), raw)
    if not isinstance(error, KeyMisfitError):
        raise error
    return Misfit(offset, Reason.KEY_MISFIT, str(error), raw)
