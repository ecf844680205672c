"""The verbs of `assise partitions`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from assise.partitions.tables import find_all
from assise.postgres.connection import Connection
from assise.postgres.partitions import PartitionRun, PartitionState, read_state, run_partitions
from assise.postgres.server import check_server
from assise.schema.partitions import Partitioning
from assise.workspace import OpenTarget, Workspace


@dataclass(frozen=True)
class PartitionReport:
    """The partitions of each table, and what was done; exit 3 where too few are left."""

    states: list[PartitionState]
    runs: list[PartitionRun]

    @property
    def exit_code(self) -> int:
        """3 where a table has too few partitions ahead, or rows that are 20 years ahead."""
        return 3 if any(each.is_low or each.has_far for each in self.states) else 0

    def as_json(self) -> dict[str, object]:
        """The report as JSON has it."""
        done = {run.table: {name: vars(run)[name] for name in _LISTS} for run in self.runs}
        tables = [
            {**state._asdict(), "last": state.last.isoformat() if state.last else None}
            for state in self.states
        ]
        return {"tables": [{**each, **done.get(str(each["table"]), {})} for each in tables]}


_LISTS = ("made", "detached", "dropped")


@dataclass(frozen=True)
class PartitionVerbs:
    """The partitions of a project's tables."""

    workspace: Workspace
    open_target: OpenTarget

    def run(self) -> PartitionReport:
        """Make the partitions that are missing, and retire those that are old enough.

        Raises:
            UsageError: no table has partitions, or is not there yet. ChangedError: a table is not
            partitioned as the manifest says. BusyError: a lock could not be had; the same call goes
            on.
        """
        with self._open() as (connection, found):
            runs = [run_partitions(connection, each, log=self.workspace.log) for each in found]
            return PartitionReport([read_state(connection, each) for each in found], runs)

    def status(self) -> PartitionReport:
        """What partitions there are; nothing is written. Raises as `run` does."""
        with self._open() as (connection, found):
            return PartitionReport([read_state(connection, each) for each in found], [])

    @contextmanager
    def _open(self) -> Iterator[tuple[Connection, list[Partitioning]]]:
        with self.open_target() as (connection, tables):
            schema = tables.schema if tables else check_server(connection)
            yield connection, find_all(self.workspace.manifest(), schema)
