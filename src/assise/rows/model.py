"""What crosses the modules of `rows`: documents, their rows, and what became of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import chain, pairwise
from typing import Self

from assise.rows.columns import ColumnCounts
from assise.types.wire import Cell, CopyField

Document = tuple[int, bytes]
"""A document: its offset in the uncompressed source, and its raw BSON.

A plain tuple: a named one costs 300 ns more for each document, a load about ten times that.
"""

Row = Sequence[Cell | None]
"""The cells of a row that was read back, in the order of its layout."""

ChildRows = list[dict[bytes, list[Row]]]
"""The child rows of one document: for each layout, by the joined ordinals of their parent row."""


WovenColumns = Mapping[str, Mapping[str, str]]
"""Child table -> its columns of ours that are loaded -> the columns of their parents' rows."""


class Reason(IntEnum):
    """The closed list of reasons for a reject."""

    NOT_BSON = 1
    DUPLICATE_ID = 2
    ASKED_FOR = 3
    SERVER_LIMIT = 4
    KEY_MISFIT = 5


@dataclass(frozen=True)
class Rejected:
    """A document that became no rows: its offset in the source, why, and that in words."""

    offset: int
    reason: Reason
    detail: str
    raw: bytes


@dataclass
class Values:
    """How many leaves of documents stand in typed columns, in jsonb columns and in `_extra`.

    Those that are `read` stand in typed columns, their originals in `_extra`.
    """

    typed: int = 0
    read: int = 0
    jsonb: int = 0
    extra: int = 0

    def add(self, other: Values, times: int = 1) -> None:
        """Add another count to this one, or with `times` -1 take it away."""
        self.typed += times * other.typed
        self.read += times * other.read
        self.jsonb += times * other.jsonb
        self.extra += times * other.extra


class JoinedRows:
    """Rows of COPY of one table, many of them joined.

    Iteration gives each row by itself, `joined` as few pieces of bytes as there are.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._ends: list[array[int] | None] = []
        self._count = 0

    @classmethod
    def unpack(cls, data: bytes, ends: bytes) -> Self:
        """Rows that are joined; `ends` has the end of each as numbers of 32 bits."""
        rows = cls()
        if data:
            bounds = array("I", ends)
            rows._pieces.append(data)
            rows._ends.append(bounds)
            rows._count = len(bounds)
        return rows

    def extend(self, rows: Iterable[bytes]) -> None:
        """Add rows that are not joined."""
        before = len(self._pieces)
        self._pieces.extend(rows)
        added = len(self._pieces) - before
        self._ends.extend([None] * added)
        self._count += added

    def joined(self) -> Sequence[bytes]:
        """All rows."""
        return self._pieces

    @property
    def packed(self) -> tuple[bytes, bytes] | None:
        """The rows and their ends as `unpack` takes them; None where they are no one piece."""
        match self._pieces, self._ends:
            case [data], [array() as ends]:
                return data, ends.tobytes()
        return None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        for piece, ends in zip(self._pieces, self._ends, strict=True):
            if ends is None:
                yield piece
            else:
                yield from (piece[start:end] for start, end in pairwise(chain((0,), ends)))


@dataclass
class Batch:
    """The rows of some documents.

    `rows` has for each layout the rows of COPY and `owners`, beside each row, the position of its
    document in `offsets` and `keys`. `declined` is how many documents the native way left out.
    """

    offsets: array[int]
    keys: list[CopyField]
    rows: list[JoinedRows]
    owners: list[array[int]]
    rejected: list[Rejected] = field(default_factory=list)
    values: Values = field(default_factory=Values)
    columns: ColumnCounts = field(default_factory=ColumnCounts)
    declined: int = 0
