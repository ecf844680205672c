"""What crosses the modules of `rows`: documents, their rows, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

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


@dataclass
class Batch:
    """The rows of some documents.

    `rows` has for each layout the rows of COPY and `owners`, beside each row, the position of its
    document in `offsets` and `keys`.
    """

    offsets: list[int]
    keys: list[CopyField]
    rows: list[list[bytes]]
    owners: list[list[int]]
    rejected: list[Rejected] = field(default_factory=list)
    values: Values = field(default_factory=Values)
    columns: ColumnCounts = field(default_factory=ColumnCounts)
