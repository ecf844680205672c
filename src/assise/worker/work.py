"""The worker: runs jobs when they are due, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

from assise.errors import AssiseError, TargetError, UsageError
from assise.postgres.connection import Connection
from assise.postgres.queue import Queue, ShouldStop, TimedTask, open_queue
from assise.worker import books
from assise.workspace import Job, LoadedTables, Workspace

RETRY_S = 2.0
"""How long the worker waits for a server that is gone, before it tries again."""

KEPT = 1_000
"""Runs of jobs that a report has at most: the last ones."""

OpenLoaded = Callable[[Workspace], AbstractContextManager[tuple[Connection, LoadedTables]]]
ListJobs = Callable[[LoadedTables], Sequence[Job]]


@dataclass
class WorkReport:
    """What a worker has done: each run of a job with what it said, or its error."""

    done: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, AssiseError]] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """1 if a job has failed."""
        return 1 if self.failed else 0

    def as_json(self) -> dict[str, object]:
        """The work as JSON has it."""
        done = [{"job": name, "result": result} for name, result in self.done]
        failed = [{"job": name, "error": error.message} for name, error in self.failed]
        return {"done": done, "failed": failed}


def work(
    workspace: Workspace, *, open_loaded: OpenLoaded, list_jobs: ListJobs, is_once: bool
) -> WorkReport:
    """Run the jobs of a load when they are due; once: all of them now, then end.

    SIGINT and SIGTERM end it, behind what a job is doing. A server that is gone is waited for.

    Raises:
        UsageError: nothing is loaded, or no part has a job. TargetError: the server cannot be
        reached when the worker begins.
    """
    with open_loaded(workspace) as (connection, tables):
        find_redis = partial(workspace.redis_url, tables.manifest, "cache")
        jobs = list_jobs(replace(tables, find_redis=find_redis))
        if not jobs:
            raise UsageError(
                f"{workspace.path} asks for no jobs",
                remedy="A table has one with soft_delete: {keep: 30 days}.",
            )
        books.ensure(connection)
        conninfo, target = connection.conninfo, connection.target
    own = workspace.role_url(tables.manifest, "worker") if workspace.to is None else ""
    worker = _Worker(workspace, tables.name, conninfo, target, own or conninfo, jobs)
    asyncio.run(worker.run(is_once=is_once))
    return worker.work


@dataclass
class _Worker:
    """Jobs run with the connection string `of_jobs`, which may be that of the worker's own login."""

    workspace: Workspace
    load: str
    conninfo: str
    target: str
    of_jobs: str
    jobs: Sequence[Job]
    work: WorkReport = field(default_factory=WorkReport)

    async def run(self, *, is_once: bool) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Only the main thread of a program has signals; Windows has none here.
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, stop.set)
        is_lost = False
        while not stop.is_set():
            try:
                if is_lost:
                    await asyncio.to_thread(self._look)
                    self.workspace.log(f"{self.target} is back")
                elif not is_once:
                    names = ", ".join(job.name for job in self.jobs)
                    self.workspace.log(f"jobs: {names}; Ctrl-C ends the worker")
                await self._work(stop, is_once=is_once)
                if is_once:
                    return
                is_lost = False
            except TargetError as error:
                if is_once:
                    raise
                if not is_lost:
                    self.workspace.log(f"{error.message}; the worker waits for the server")
                is_lost = True
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RETRY_S)

    def _look(self) -> None:
        with Connection(self.conninfo, shown=self.target) as connection:
            books.ensure(connection)

    async def _work(self, stop: asyncio.Event, *, is_once: bool) -> None:
        """Run jobs until all are done, the worker is told to stop, or the server is gone."""
        tasks = [self._task(job) for job in self.jobs]
        async with open_queue(self.conninfo, self.target, name=self.load, tasks=tasks) as queue:
            await queue.forget_stalled()
            if is_once:
                await queue.put_all()
            await _run_until(stop, queue, is_once=is_once)
        if not is_once and not stop.is_set():
            raise TargetError(f"{self.target}: the connection was lost")

    def _task(self, job: Job) -> TimedTask:
        def run(should_stop: ShouldStop) -> None:
            try:
                conninfo = self.conninfo if job.as_owner else self.of_jobs
                shown = self.target if conninfo == self.conninfo else None
                with Connection(conninfo, shown=shown) as connection:
                    result = job.run(connection, should_stop)
            except AssiseError as error:
                self.work.failed.append((job.name, error))
                self.workspace.log(f"{job.name}: {error}")
                raise
            self.work.done.append((job.name, result))
            del self.work.done[:-KEPT], self.work.failed[:-KEPT]
            if result:
                self.workspace.log(f"{job.name}: {result}")

        return TimedTask(job.name, job.cron, run)


async def _run_until(stop: asyncio.Event, queue: Queue, *, is_once: bool) -> None:
    working = asyncio.create_task(queue.work(is_once=is_once))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
    with suppress(asyncio.CancelledError):
        await working
