"""The one maker of partitions: makes those ahead, retires those that are old, tells how many are left.

New partitions come in one transaction each, apart from those that go: nothing that hinders the one
hinders the other. Neither stops writers of the table. Where the table refers to another one, both
wait for the writers of that one, and stop new ones while they wait, two seconds at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from assise.errors import ChangedError, TargetError, UsageError
from assise.postgres import locks
from assise.postgres.connection import Connection
from assise.postgres.queries import QUERIES
from assise.postgres.steps import LOCK_TIMEOUT_S, Runner
from assise.progress import Log
from assise.schema.partitions import (
    LOW,
    Partition,
    Partitioning,
    end_first,
    read_bounds,
    read_check,
)
from assise.schema.sql import quote

PATIENCE_S = 10


@dataclass
class PartitionRun:
    """What was done with the partitions of a table; `moved` is the new end of one that is to be cut."""

    table: str
    made: list[str] = field(default_factory=list)
    detached: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    tidied: list[str] = field(default_factory=list)
    moved: str = ""

    def __str__(self) -> str:
        """The run in words; empty where nothing was done."""
        lists = (("made", self.made), ("detached", self.detached), ("dropped", self.dropped))
        said = [f"{word} {', '.join(_shorten(names))}" for word, names in lists if names]
        said += [f"takes rows up to {self.moved}, until it is cut"] if self.moved else []
        said += [f"{len(self.tidied)} given the rules of the table"] if self.tidied else []
        return f"{self.table}: {'; '.join(said)}" if said else ""


class PartitionState(NamedTuple):
    """The partitions of a table: how many there are, and how many behind the current one.

    last: the end of the last one before `far`. has_far: whether rows stand 20 years on or later.
    unfinished: those that a program left on their way out.
    """

    table: str
    partitions: int
    ahead: int
    last: datetime | None
    has_far: bool
    unfinished: list[str]
    is_low: bool


def _shorten(names: Sequence[str]) -> Sequence[str]:
    return names if len(names) < 4 else (names[0], "…", names[-1])


def list_partitions(connection: Connection, of: Partitioning) -> list[Partition]:
    """The partitions of a table, oldest first.

    Raises:
        UsageError: there is no such table. ChangedError: it has no partitions, or others than by
        the column of `of`.
    """
    names = {"table": of.place}
    kind = connection.scalar(QUERIES["partitioned_by"], names)
    if kind is None:
        raise UsageError(
            f"{connection.target} has no table {of.place}",
            remedy="`assise migrate` makes it, or `assise schema apply`.",
        )
    if kind not in {f"RANGE ({of.by})", f"RANGE ({quote(of.by)})"}:
        raise ChangedError(
            f"{of.place} is not partitioned by {of.by}, as the manifest says",
            remedy="A revision cuts a table that is there: `assise schema revise`, then `apply`. Else"
            " let the manifest say what it is; or make a table of another name that is cut, and copy"
            " its rows.",
        )
    found = []
    for name, bounds, is_pending in connection.execute(QUERIES["partitions"], names):
        if bounds == "DEFAULT":
            raise ChangedError(
                f"{of.place} has a default partition, {name}",
                remedy="Move its rows, and drop it: beside one no partition can be detached.",
            )
        try:
            found.append(Partition(str(name), *read_bounds(str(bounds)), bool(is_pending)))
        except ValueError as error:
            raise ChangedError(
                f"{of.place} has the partition {name}, whose bounds are no days: {bounds}",
                remedy="Detach it, and attach it with bounds from the year 1 to 9999, or none.",
            ) from error
    return sorted(found, key=lambda each: (each.lower is not None, each.lower or each.upper))


def keep_up_partitions(connection: Connection, tables: Iterable[Partitioning], *, log: Log) -> None:
    """Run those of tables that are there; what revisions have still to make is passed over."""
    for each in tables:
        is_there = connection.scalar(QUERIES["partitioned_by"], {"table": each.place}) is not None
        said = str(run_partitions(connection, each, log=log)) if is_there else ""
        if said:
            log(said)


def run_partitions(
    connection: Connection,
    of: Partitioning,
    *,
    log: Log,
    now: datetime | None = None,
    patience_s: float = PATIENCE_S,
) -> PartitionRun:
    """Make the partitions that are missing, then retire those that are old enough.

    A table whose cut was begun and waits for its swap takes rows for a month more at least.

    Raises:
        UsageError, ChangedError: as `list_partitions`. BusyError: a lock could not be had, or
        another session is at work on the same table; what was done stays.
    """
    with locks.hold(connection, of.lock, patience_s=patience_s):
        run = PartitionRun(f"{of.schema}.{of.table}")
        if move_bounds(connection, of, run, log=log, now=now):
            return run
        make_partitions(connection, of, run, log=log, now=now)
        retire_partitions(connection, of, run, log=log, now=now)
        return run


def move_bounds(
    connection: Connection,
    of: Partitioning,
    run: PartitionRun,
    *,
    log: Log,
    now: datetime | None = None,
) -> bool:
    """Move the check of a cut that was begun, when a month has begun since; whether there is one.

    Raises:
        BusyError: a lock could not be had.
    """
    names = {"table": of.place, "name": of.bounds}
    for text, is_valid in connection.execute(QUERIES["bounds_check"], names):
        bound, end = read_check(str(text)), end_first(now or _now(connection))
        runner = Runner(connection, log)
        if bound is not None and bound < end:
            runner.run_together([of.move_bounds(end)], [of.place], _nothing)
            run.moved = f"{end:%Y-%m-%d}"
        if run.moved or not is_valid:
            runner.run_together([of.validate_bounds()], [of.place], _nothing)
        return True
    return False


def make_partitions(
    connection: Connection,
    of: Partitioning,
    run: PartitionRun,
    *,
    log: Log,
    now: datetime | None = None,
    tries: int = 30,
) -> None:
    """Make what is missing, each partition in a transaction of its own, with the table's rules.

    Raises:
        BusyError: a lock could not be had in so many tries. TargetError: a name is taken.
    """
    found = list_partitions(connection, of)
    runner = Runner(connection, log, tries)
    missing = [*of.list_missing(found, now or _now(connection))]
    referred = _list_referred(connection, of)
    if missing and referred:
        names = ", ".join(referred)
        log(
            f"{run.table} refers to {names}: its partitions wait for writers of {names}, and stop"
            f" new ones for {LOCK_TIMEOUT_S} s at most"
        )
    for each in missing:
        with _translated(of, each):
            runner.run_together(
                of.create(each), [of.place, *referred], lambda: _tidy(connection, of, run)
            )
        run.made.append(each.name)
    if not run.made:
        runner.run_together([], [of.place], lambda: _tidy(connection, of, run))


def is_whole(connection: Connection, of: Partitioning) -> bool:
    """Whether a table is there and has no partitions."""
    return connection.scalar(QUERIES["partitioned_by"], {"table": of.place}) == ""


def make_at_once(connection: Connection, of: Partitioning) -> None:
    """Make what is missing in the open transaction, which has made the table."""
    for each in of.list_missing(list_partitions(connection, of), _now(connection)):
        for statement in of.create(each):
            connection.execute(statement)
    _tidy(connection, of, PartitionRun(f"{of.schema}.{of.table}"))


@contextmanager
def _translated(of: Partitioning, each: Partition) -> Iterator[None]:
    """Say what stands in the way of a partition that has the name of something else."""
    try:
        yield
    except TargetError as error:
        if "already exists" not in error.message:
            raise
        raise TargetError(
            f"{of.place} cannot have the partition {each.name}: {error.message}",
            remedy="Rename what has its name; the same command makes it.",
        ) from error


def _tidy(connection: Connection, of: Partitioning, run: PartitionRun) -> None:
    """Partitions have the owner and the row level security of the table, and no grants."""
    statements = connection.execute(QUERIES["partition_tidy"], {"table": of.place})
    for (statement,) in statements:
        connection.execute(str(statement))
    if not run.made:
        run.tidied += [str(statement) for (statement,) in statements]


def retire_partitions(
    connection: Connection,
    of: Partitioning,
    run: PartitionRun,
    *,
    log: Log,
    now: datetime | None = None,
) -> None:
    """Take out what is older than `keep`, and drop it where that is asked for.

    What a killed program has left behind is ended first.
    """
    runner = Runner(connection, log)
    found = list_partitions(connection, of)
    for each in found:
        if each.is_pending:
            _detach(runner, of, each)
            run.detached.append(each.name)
    _spare_marked(runner, of)
    _drop_marked(runner, of, run)
    before = find_end(connection, of, now=now)
    if before is None:
        return
    for each in of.list_old([each for each in found if not each.is_pending], before):
        if of.then == "drop":
            runner.run_together([of.mark(each)], [of.place], _nothing)
        _detach(runner, of, each)
        run.detached.append(each.name)
        _drop_marked(runner, of, run)


def find_end(
    connection: Connection, of: Partitioning, *, now: datetime | None = None
) -> datetime | None:
    """The moment by which partitions must have ended to be retired; None where all are kept.

    Raises:
        UsageError: `keep` is no interval.
    """
    if of.keep is None:
        return None
    at = {"keep": of.keep, "now": now or _now(connection)}
    before = connection.scalar(QUERIES["before"], at)
    if not isinstance(before, datetime):
        raise UsageError(f"{of.keep!r} is no interval", remedy="Write keep: 24 months.")
    return before


def _nothing() -> None:
    """Note nothing."""


def _spare_marked(runner: Runner, of: Partitioning) -> None:
    """Take marks of a run that was killed before it detached, or when `then` was still `drop`."""
    states = (True, False) if of.then == "detach" else (True,)
    for is_attached in states:
        for name in _list_marked(runner.connection, of, is_attached=is_attached):
            runner.run_together([of.unmark(name)], [], _nothing)


def _drop_marked(runner: Runner, of: Partitioning, run: PartitionRun) -> None:
    for name in _list_marked(runner.connection, of):
        runner.run_together([of.drop(name)], [], _nothing)
        run.dropped.append(name)
        if name in run.detached:
            run.detached.remove(name)


def _list_marked(
    connection: Connection, of: Partitioning, *, is_attached: bool = False
) -> list[str]:
    """What was to be dropped, and has left the table or has not."""
    parameters = {"schema": of.schema, "mark": of.mark_text, "is_attached": is_attached}
    return [str(name) for (name,) in connection.execute(QUERIES["marked"], parameters)]


def _list_referred(connection: Connection, of: Partitioning) -> list[str]:
    """The tables that a table refers to by foreign keys."""
    found = connection.execute(QUERIES["referred"], {"table": of.place})
    return [str(name) for (name,) in found]


def _detach(runner: Runner, of: Partitioning, partition: Partition) -> None:
    """Take a partition out; a lock timeout or a kill leaves it pending, and the next try ends it."""
    connection = runner.connection
    referred = _list_referred(connection, of)

    def run() -> None:
        found = {each.name: each for each in list_partitions(connection, of)}
        now = found.get(partition.name)
        if now is not None:
            connection.execute(of.detach(now))

    # It waits for all who have read the table: a timeout would only cancel it again and again.
    # Where the table refers to another one, waiting would stop that one's writers.
    if referred:
        connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
    try:
        runner.try_again(run, [of.place, *referred])
    finally:
        connection.execute("SET lock_timeout = 0")


def read_state(
    connection: Connection, of: Partitioning, *, now: datetime | None = None
) -> PartitionState:
    """What partitions there are."""
    found = list_partitions(connection, of)
    ahead = of.count_ahead(found, now or _now(connection))
    ends = [each.upper for each in found if each.upper is not None]
    far = [each.lower for each in found if each.upper is None and each.lower is not None]
    has_far = any(connection.scalar(of.has_rows(since)) for since in far)
    unfinished = [each.name for each in found if each.is_pending]
    unfinished += _list_marked(connection, of)
    return PartitionState(
        f"{of.schema}.{of.table}",
        len(found),
        max(ahead, 0),
        max(ends, default=None),
        has_far,
        unfinished,
        is_low=ahead < min(LOW, of.ahead),
    )


def _now(connection: Connection) -> datetime:
    """The server's time: a client's clock may be wrong."""
    found = connection.scalar("SELECT now()")
    return found if isinstance(found, datetime) else datetime.now(UTC)
