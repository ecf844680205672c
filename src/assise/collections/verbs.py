"""The verbs of `assise mongo` for operators."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assise.collections.ensure import Difference, apply_steps, describe, find_steps, judge
from assise.collections.explain import SLOW_MS, ExplainedQuery, explain_reply, write_query
from assise.collections.indexes import IndexKey, read_found
from assise.collections.profiler import read_profile, watch_profiler
from assise.collections.shapes import IndexAdvice
from assise.collections.slow import SlowReport, group_operations, read_log, suggest
from assise.collections.usage import UsageReport, read_usage
from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.mongo_collections import COLLECTIONS
from assise.mongo.commands import MongoDatabase
from assise.mongo.pages import read_sort
from assise.mongo.source import JsonObject
from assise.wording import count_of
from assise.workspace import CONFIRM, Confirm, Workspace, refuse


@dataclass(frozen=True)
class CollectionVerbs:
    """The verbs of `assise mongo`, on the MongoDB of the manifest."""

    workspace: Workspace

    def diff(self, only: Sequence[str] | None = None) -> list[Difference]:
        """Say how the collections differ from the manifest, and what stands against a change.

        Raises:
            UsageError: there is no URL, or no such collection.
            CollectionError: the server cannot be asked.
        """
        with self.open_database() as (manifest, database):
            steps = find_steps(manifest, database, only)
            return [describe(step, judge(step, drop=False, yes=False)) for step in steps]

    def ensure(
        self,
        only: Sequence[str] | None = None,
        *,
        drop: bool = False,
        yes: bool = False,
        confirm: Confirm = refuse,
    ) -> list[Difference]:
        """Make collections, validators and indexes as the manifest says, one at a time.

        Args:
            drop: what the manifest does not have is hidden, and what is hidden already dropped.
            yes: accounts may be deleted by their time.
            confirm: is asked when the plan was logged.

        Raises:
            UsageError: there is no URL, no such collection, or nobody confirmed.
            CollectionError: the server refuses; what was done before stays done.
        """
        workspace = self.workspace
        with self.open_database() as (manifest, database):
            steps = find_steps(manifest, database, only)
            wanted = [step for step in steps if judge(step, drop=drop, yes=yes) == "to do"]
            for step in wanted:
                lines = [f"{step.collection}: {step.words}", *step.why]
                workspace.log("\n  ".join(lines))
            what = f"{count_of(len(wanted), 'change')} to database {database.name}"
            if wanted and not confirm(f"{what} of {database.address}"):
                raise UsageError(f"not confirmed: {what}", remedy=CONFIRM)
            return apply_steps(steps, database, drop=drop, yes=yes, log=workspace.log)

    def explain(
        self,
        collection: str,
        query: Mapping[str, object],
        *,
        sort: str | Sequence[str] = (),
        limit: int = 0,
        pipeline: Sequence[JsonObject] = (),
    ) -> ExplainedQuery:
        """Run a query on the server, and say how it was answered.

        Raises:
            UsageError: there is no URL, or the sort names no field.
            CollectionError: the server cannot be asked.
        """
        names = [sort] if isinstance(sort, str) else list(sort)
        order = dict(read_sort(names)[: len(names)])
        command = write_query(collection, query, sort=order, limit=limit, pipeline=pipeline)
        with self.open_database() as (_, database):
            return explain_reply(database.run(command))

    def slow(
        self,
        *,
        log_file: Path | None = None,
        watch: dt.timedelta | None = None,
        over_ms: int = SLOW_MS,
    ) -> tuple[SlowReport, dict[str, list[IndexAdvice]]]:
        """Group slow operations by shape, with the indexes that would serve them.

        They are those of a log of MongoDB; or of the profiler, which with `watch` is switched on
        for this time, and then set as it was.

        Raises:
            UsageError: there is no URL, or `watch` cannot be used.
            CollectionError: the server cannot be asked. OSError: the log cannot be read.
        """
        if log_file is not None:
            report = group_operations(read_log(log_file), over_ms)
            return report, suggest(report.shapes, self._list_declared())
        with self.open_database() as (_, database):
            since = None if watch is None else watch_profiler(database, watch, over_ms, time.sleep)
            report = group_operations(read_profile(database, since), over_ms)
            names = {shape.asked.shape.collection for shape in report.shapes}
            has = {name: database.list_indexes(name) for name in names}
            keys = {name: [read_found(each).key for each in has[name]] for name in names}
            return report, suggest(report.shapes, keys)

    def indexes(self, only: Sequence[str] | None = None) -> UsageReport:
        """Say which indexes are unused, redundant or hidden, on all members.

        Raises:
            UsageError: there is no URL. CollectionError: the server cannot be asked.
        """
        with self.open_database() as (_, database):
            return read_usage(database, only)

    def _list_declared(self) -> dict[str, list[IndexKey]]:
        """The indexes of the manifest; none without one."""
        if not self.workspace.path.exists():
            return {}
        kept = COLLECTIONS.of(self.workspace.whole_manifest()) or {}
        return {name: [each.key for each in rules.all_indexes] for name, rules in kept.items()}

    @contextmanager
    def open_database(self) -> Iterator[tuple[Manifest, MongoDatabase]]:
        """The manifest and its MongoDB, until the block ends.

        Raises:
            UsageError: there is no URL, or it names no database.
        """
        manifest = self.workspace.whole_manifest()
        address = self.workspace.mongo_address(manifest)
        database = MongoDatabase(address.url, address.database)
        try:
            yield manifest, database
        finally:
            database.close()
