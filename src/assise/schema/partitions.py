"""Partitions by time: which there must be, and the SQL that makes and retires them.

There is no default partition: ATTACH would read its rows, and DETACH CONCURRENTLY is refused beside
one (PostgreSQL's manual, ALTER TABLE). In its place the first partition reaches back to MINVALUE and
the last one begins 20 years on. All bounds are UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from assise.manifest.model import Manifest, Table
from assise.manifest.names import MAX_NAME_BYTES, shorten, split_table
from assise.manifest.sections.partitions import PARTITION, Period
from assise.schema.sql import quote, quote_text

FAR_YEARS = 20
LOW = 3
"""Periods behind the current one under which there are too few partitions."""

MARK = "assise: to be dropped, a partition of "
"""The comment of a partition that is on its way out, which a killed program leaves behind."""

_BOUND = re.compile(r"MINVALUE|MAXVALUE|'([^']+)'")
_FORMATS = {"day": "%Y_%m_%d", "week": "%Y_%m_%d", "month": "%Y_%m", "year": "%Y"}


class Partition(NamedTuple):
    """A partition: its name in the table's schema, and its bounds, None where it has none.

    is_pending: whether a DETACH CONCURRENTLY has begun, and not ended.
    """

    name: str
    lower: datetime | None
    upper: datetime | None
    is_pending: bool = False

    def holds(self, at: datetime) -> bool:
        """Whether a moment is within the bounds."""
        is_before = self.upper is not None and self.upper <= at
        return not is_before and (self.lower is None or self.lower <= at)


@dataclass(frozen=True)
class Partitioning:
    """How a table is cut by a column of points in time, or of days.

    every: what a partition holds.
    ahead: how many partitions there are behind the current one.
    keep: how long a partition stays after its end, as an interval of PostgreSQL; None for ever.
    then: what becomes of it: `drop`, or `detach` to a table of its own.
    is_endless: whether there is a partition for all that is older, and one from 20 years on.
    past: moments of the past whose periods there must be as well.
    """

    schema: str
    table: str
    by: str
    every: Period = "month"
    ahead: int = 12
    keep: str | None = None
    then: Literal["drop", "detach"] = "drop"
    is_endless: bool = True
    past: tuple[datetime, ...] = ()

    @property
    def place(self) -> str:
        """The table, as SQL names it."""
        return quote(self.schema, self.table)

    @property
    def bounds(self) -> str:
        """The check by which a table that becomes cut keeps rows behind its first partition out."""
        return name_bounds(self.table)

    def move_bounds(self, end: datetime) -> str:
        """The statement that lets such a table take rows up to a moment."""
        alter, name, by = f"ALTER TABLE {self.place}", quote(self.bounds), quote(self.by)
        check = f"ADD CONSTRAINT {name} CHECK ({by} < {_write(end)}) NOT VALID"
        return f"{alter} DROP CONSTRAINT {name}, {check}"

    def validate_bounds(self) -> str:
        """The statement that reads all rows, beside writers, so that the swap need not."""
        return f"ALTER TABLE {self.place} VALIDATE CONSTRAINT {quote(self.bounds)}"

    @property
    def lock(self) -> str:
        """The key of the lock that one program at work on the partitions holds."""
        return f"assise partitions {self.place}"

    def name(self, ending: str) -> str:
        """The name of a partition."""
        size = MAX_NAME_BYTES - len(ending) - 1
        return f"{shorten(self.table, size)}_{ending}"

    def cut(self) -> str:
        """What stands behind the columns in the CREATE TABLE."""
        return f"PARTITION BY RANGE ({quote(self.by)})"

    def list_missing(self, found: Sequence[Partition], now: datetime) -> Iterator[Partition]:
        """The partitions that there are not, oldest first.

        What was retired is not made again; periods in which nobody made any are made up for.
        """
        first = begin_of(self.every, now)
        for begin in sorted({begin_of(self.every, each) for each in self.past}):
            if begin < first and not any(each.holds(begin) for each in found):
                yield self._cover(begin, next_begin(self.every, begin))
        uppers = [each.upper for each in found if each.upper is not None]
        lowers = [each.lower for each in found if each.upper is None and each.lower is not None]
        if not found and self.is_endless:
            yield Partition(self.name("past"), None, first)
        far = min(lowers, default=begin_of("year", first).replace(year=first.year + FAR_YEARS))
        begin = max(uppers, default=first)
        if not self.is_endless:
            begin = max(begin, first)
        for _ in range(self.count_missing(begin, first)):
            end = min(next_begin(self.every, begin), far)
            if begin >= end:
                break
            yield self._cover(begin, end)
            begin = end
        if not lowers and self.is_endless:
            yield Partition(self.name("far"), far, None)

    def _cover(self, begin: datetime, end: datetime) -> Partition:
        return Partition(self.name(begin.strftime(_FORMATS[self.every])), begin, end)

    def count_missing(self, begin: datetime, first: datetime) -> int:
        """How many periods there are from `begin` to the last that is wanted."""
        end = first
        for _ in range(self.ahead + 1):
            end = next_begin(self.every, end)
        count = 0
        while begin < end:
            begin = next_begin(self.every, begin)
            count += 1
        return count

    def count_ahead(self, found: Iterable[Partition], now: datetime) -> int:
        """How many periods behind the current one have partitions without a gap; -1: nor has it."""
        there = [each for each in found if not each.is_pending and each.upper]
        uppers = {each.lower: each.upper for each in there}
        end = next((each.upper for each in there if each.holds(now)), None)
        if end is None:
            return -1
        while further := uppers.get(end):
            end = further
        count, begin = 0, next_begin(self.every, begin_of(self.every, now))
        while (begin := next_begin(self.every, begin)) <= end:
            count += 1
        return count

    def list_old(self, found: Iterable[Partition], before: datetime) -> list[Partition]:
        """The partitions that had ended by a moment, oldest first."""
        ended = [each for each in found if each.upper is not None and each.upper <= before]
        return sorted(ended, key=lambda each: (each.lower is not None, each.upper))

    def create(self, partition: Partition) -> list[str]:
        """A table like the whole with the bounds as a check, for `attach`: nothing is read then.

        Generated columns have the formulas of the whole: another VIRTUAL one would give other values
        through the whole than from the partition.
        """
        name, by = quote(self.schema, partition.name), quote(self.by)
        limits = [f"{by} IS NOT NULL"]
        if partition.lower is not None:
            limits.append(f"{by} >= {_write(partition.lower)}")
        if partition.upper is not None:
            limits.append(f"{by} < {_write(partition.upper)}")
        check = quote(shorten(f"{partition.name}_bounds"))
        parts = "DEFAULTS GENERATED CONSTRAINTS STORAGE COMPRESSION".split()
        like = " ".join([f"LIKE {self.place}", *(f"INCLUDING {part}" for part in parts)])
        return [
            f"CREATE TABLE {name} ({like}, CONSTRAINT {check} CHECK ({' AND '.join(limits)}))",
            self.attach(partition),
        ]

    def attach(self, partition: Partition) -> str:
        """The ALTER TABLE that makes a table a partition."""
        lower = "MINVALUE" if partition.lower is None else _write(partition.lower)
        upper = "MAXVALUE" if partition.upper is None else _write(partition.upper)
        name = quote(self.schema, partition.name)
        bounds = f"FOR VALUES FROM ({lower}) TO ({upper})"
        return f"ALTER TABLE {self.place} ATTACH PARTITION {name} {bounds}"

    def detach(self, partition: Partition) -> str:
        """The statement that takes a partition out while others read and write; none is around it."""
        word = "FINALIZE" if partition.is_pending else "CONCURRENTLY"
        return (
            f"ALTER TABLE {self.place} DETACH PARTITION {quote(self.schema, partition.name)} {word}"
        )

    def mark(self, partition: Partition) -> str:
        """The statement that says of a partition that it is on its way out."""
        place = quote(self.schema, partition.name)
        return f"COMMENT ON TABLE {place} IS {quote_text(self.mark_text)}"

    def unmark(self, name: str) -> str:
        """The statement that takes such a mark away."""
        return f"COMMENT ON TABLE {quote(self.schema, name)} IS NULL"

    @property
    def mark_text(self) -> str:
        """The comment of such a partition."""
        return f"{MARK}{self.place}"

    def has_rows(self, since: datetime) -> str:
        """Whether the table has rows since a moment."""
        rows = f"SELECT FROM {self.place} WHERE {quote(self.by)} >= {_write(since)}"
        return f"SELECT EXISTS ({rows})"

    def drop(self, name: str) -> str:
        """The DROP of what was a partition."""
        return f"DROP TABLE IF EXISTS {quote(self.schema, name)}"


def name_bounds(table: str) -> str:
    """The name of that check, of a table by its bare name."""
    return f"{table[:51]}_past_bounds".encode()[-MAX_NAME_BYTES:].decode(errors="ignore")


def end_first(now: datetime) -> datetime:
    """Where the first partition of a table that becomes cut ends: the month after the next begins."""
    return next_begin("month", next_begin("month", begin_of("month", now)))


def find_partitioning(name: str, table: Table, *, schema: str) -> Partitioning | None:
    """How a manifest's table is cut; None where it is not."""
    key = PARTITION.of(table)
    if key is None:
        return None
    own, bare = split_table(name)
    return Partitioning(own or schema, bare, key.by, key.every, key.ahead, key.keep, key.then)


def list_partitionings(manifest: Manifest, schema: str) -> list[Partitioning]:
    """How the tables of a manifest are cut that are."""
    found = (find_partitioning(*each, schema=schema) for each in manifest.born.items())
    return [each for each in found if each is not None]


def begin_of(every: Period, at: datetime) -> datetime:
    """The beginning of the period around a moment."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match every:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)


def next_begin(every: Period, begin: datetime) -> datetime:
    """The beginning of the period behind the one that begins then.

    >>> next_begin("month", datetime(2026, 12, 1, tzinfo=UTC)).isoformat()
    '2027-01-01T00:00:00+00:00'
    """
    days = {"day": 1, "week": 7, "month": 31, "year": 366}[every]
    return begin_of(every, begin + timedelta(days=days))


def read_check(text: str) -> datetime | None:
    """The moment before which rows must be by a check, as `pg_get_constraintdef` prints it in UTC."""
    found = _BOUND.search(text)
    return _read(found[1]) if found else None


def read_bounds(text: str) -> tuple[datetime | None, datetime | None]:
    """The bounds of a partition by one column, as `pg_get_expr` prints them in a session in UTC.

    >>> read_bounds("FOR VALUES FROM (MINVALUE) TO ('2026-12-01 00:00:00+00')")
    (None, datetime.datetime(2026, 12, 1, 0, 0, tzinfo=datetime.timezone.utc))
    """
    lower, upper = (match[1] for match in _BOUND.finditer(text))
    return _read(lower), _read(upper)


def _read(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _write(at: datetime) -> str:
    return f"'{at:%Y-%m-%d %H:%M:%S}+00'"
