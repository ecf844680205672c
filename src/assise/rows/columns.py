"""Where the values of each column stand: in its cells, or in `_extra` and of which kind.

While documents are shredded only numbers are collected: one for each level of a document, which
tells the keys that it has, and one for each value that its column does not hold. They are counted
a group of documents at a time, so that a document costs next to nothing more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from assise.documents.kinds import BINARY, KINDS
from assise.manifest.layout import TableLayout

LEVEL_BITS = 20
KIND_BITS = 10
SUBTYPES = 256
READ = 2 * SUBTYPES
"""The code of a value that its column reads; the others are those of kinds."""

_MASKS_KEPT = 10_000
_HELD = -1

_NO_MISFITS = frozenset({"null", "nulled"})

Places = list[tuple[int, int, int]]
"""The columns of a level: bit of the key, table, position in the layout."""


@dataclass
class ColumnCount:
    """How many values of a column stand in its cells, and how many in `_extra`, by kind.

    `read` of those in cells have their original in `_extra` as well. Nulls that go without a note
    count as if they stood in `_extra`.
    """

    held: int = 0
    read: int = 0
    extra: dict[str, int] = field(default_factory=dict)

    def add(self, other: ColumnCount, times: int = 1) -> None:
        """Add another count to this one, or with `times` -1 take it away."""
        self.held += times * other.held
        self.read += times * other.read
        for kind, count in other.extra.items():
            self.extra[kind] = self.extra.get(kind, 0) + times * count
            if not self.extra[kind]:
                del self.extra[kind]

    @property
    def left_out(self) -> dict[str, int]:
        """The values in `_extra` that are not null, and were not set to NULL later."""
        return {kind: count for kind, count in self.extra.items() if kind not in _NO_MISFITS}

    def as_json(self) -> dict[str, object]:
        """Return what `--json` prints."""
        return dict(vars(self))


class ColumnCounts(dict[str, dict[str, ColumnCount]]):
    """Table -> column -> its count; columns without a value are left out."""

    def add(self, other: ColumnCounts, times: int = 1) -> None:
        """Add other counts to these, or with `times` -1 take them away."""
        for table, columns in other.items():
            for column, count in columns.items():
                self.at(table, column).add(count, times)

    def at(self, table: str, column: str) -> ColumnCount:
        """The count of a column, from 0 on."""
        return self.setdefault(table, {}).setdefault(column, ColumnCount())

    def as_json(self) -> dict[str, dict[str, dict[str, object]]]:
        """Return what `--json` prints."""
        found = {}
        for table, columns in self.items():
            found[table] = {name: count.as_json() for name, count in columns.items()}
        return found

    @classmethod
    def from_json(cls, facts: Mapping[str, Mapping[str, Mapping[str, Any]]] | None) -> Self:
        """Return the counts that `as_json` described; none of an older ledger."""
        counts = cls()
        for table, columns in (facts or {}).items():
            for column, count in columns.items():
                counts.at(table, column).add(ColumnCount(**count))
        return counts


def code_of(kind: int, raw: bytes, p: int) -> int:
    """The code of a value by its type byte and, of binaries, by its subtype."""
    return SUBTYPES + raw[p + 4] if kind == BINARY else kind


def name_kind(code: int) -> str:
    """The name of a kind, as a profile has it."""
    if code < SUBTYPES:
        return KINDS[code]
    subtype = code - SUBTYPES
    return {0: "binary", 4: "uuid"}.get(subtype, f"binary_{subtype}")


class Collector:
    """Collects the numbers of one collection's documents.

    `hits` has for each level of a document `keys << LEVEL_BITS | level`, and for each value that
    its column reads or does not hold the negative of a code.
    """

    def __init__(self, layouts: tuple[TableLayout, ...]) -> None:
        self._layouts = layouts
        self.hits: list[int] = []
        self._levels: list[Places] = []
        self._known: list[dict[int, int]] = []
        self._counts = ColumnCounts()

    def add_level(self, places: Places) -> tuple[int, dict[int, int]]:
        """Give a level its number, and the numbers that were collected by its keys before."""
        self._levels.append(places)
        self._known.append({})
        return len(self._levels) - 1, self._known[-1]

    def add_elements(self, table: int, position: int) -> int:
        """Return what `hits` gets for each element of a child table of scalars."""
        number, _ = self.add_level([(1, table, position)])
        return 1 << LEVEL_BITS | number

    def note(self, table: int, position: int, code: int) -> None:
        """Collect a value that its column reads, or by its kind one that it does not hold."""
        self.hits.append(-((table << LEVEL_BITS | position) << KIND_BITS | code) - 1)

    def undo(self, mark: int) -> None:
        """Take out what single documents collected since `hits` had this length."""
        del self.hits[mark:]

    def flush(self) -> None:
        """Count what was collected."""
        for hit, count in Counter(self.hits).items():
            if hit < 0:
                place, code = divmod(-hit - 1, 1 << KIND_BITS)
                table, position = divmod(place, 1 << LEVEL_BITS)
                # Its key was told by its level, as those of values in cells are.
                if code != READ:
                    self._count(table, position, _HELD, -count)
                self._count(table, position, code, count)
                continue
            seen, level = divmod(hit, 1 << LEVEL_BITS)
            for bit, table, position in self._levels[level]:
                if seen & bit:
                    self._count(table, position, _HELD, count)
        self.hits.clear()
        for known in self._known:
            if len(known) > _MASKS_KEPT:
                known.clear()

    def _count(self, table: int, position: int, code: int, count: int) -> None:
        layout = self._layouts[table]
        found = self._counts.at(layout.table, layout.names[position])
        if code == _HELD:
            found.held += count
        elif code == READ:
            found.read += count
        else:
            kind = name_kind(code)
            found.extra[kind] = found.extra.get(kind, 0) + count

    def take(self) -> ColumnCounts:
        """Return the counts since the last call."""
        self.flush()
        counts, self._counts = self._counts, ColumnCounts()
        return counts
