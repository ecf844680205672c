"""The queue of jobs: procrastinate, on tables in schema `assise`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from assise.errors import TargetError
from assise.extras import load
from assise.postgres.translate import translated

if TYPE_CHECKING:
    import procrastinate

POOL_SIZE = 3
POOL_TIMEOUT_S = 2.0
POLL_S = 1.0
STOP_S = 5.0
"""How long a job may go on after the worker is told to stop, before it is told too."""

ShouldStop = Callable[[], bool]
LOGGERS = ("procrastinate", "psycopg.pool")


class TimedTask(NamedTuple):
    """A job by its name, when it is due in the form of cron, and what runs it in a thread."""

    name: str
    cron: str
    run: Callable[[ShouldStop], None]


def read_schema() -> str:
    """The SQL that makes the tables of jobs.

    Raises:
        MissingExtraError: the extra `jobs` is not installed.
    """
    text: str = load("procrastinate.schema", extra="jobs").SchemaManager.get_schema()
    return text


def _pass_over(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say nothing of a lost connection that a task of procrastinate has left behind."""
    error = load("procrastinate", extra="jobs").exceptions.ConnectorException
    if not isinstance(context.get("exception"), error):
        loop.default_exception_handler(context)


@asynccontextmanager
async def open_queue(
    conninfo: str, target: str, *, name: str, tasks: Sequence[TimedTask]
) -> AsyncIterator[Queue]:
    """The queue of this name, with its tasks, while the block runs.

    Raises:
        TargetError: the server cannot be reached.
    """
    module = load("procrastinate", extra="jobs")
    asyncio.get_running_loop().set_exception_handler(_pass_over)
    for logger in LOGGERS:
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    connector = module.PsycopgConnector(
        conninfo=conninfo,
        configure=_use_schema,
        min_size=1,
        max_size=POOL_SIZE,
        timeout=POOL_TIMEOUT_S,
        kwargs={"application_name": "assise worker", "prepare_threshold": None},
    )
    app: procrastinate.App = module.App(connector=connector)
    queue = Queue(app, name, target)
    for task in tasks:
        queue.add(task)
    with _translated(target):
        await connector.open_async()
    try:
        yield queue
    finally:
        with suppress(psycopg.Error, module.exceptions.ConnectorException):
            await connector.close_async()


async def _use_schema(connection: psycopg.AsyncConnection[Any]) -> None:
    await connection.execute("SET search_path TO assise")
    await connection.commit()


@contextmanager
def _translated(target: str) -> Iterator[None]:
    with translated(target):
        try:
            yield
        except load("procrastinate", extra="jobs").exceptions.ConnectorException as error:
            if isinstance(error.__cause__, psycopg.Error):
                raise error.__cause__ from error
            raise TargetError(f"{target}: {error}") from error


class Queue:
    """The jobs of one load, of which each waits at most once."""

    def __init__(self, app: procrastinate.App, name: str, target: str) -> None:
        self._app, self._name, self._target = app, name, target
        self._crons: dict[str, str] = {}

    def add(self, task: TimedTask) -> None:
        """Add a task that is due at its times."""

        def run(context: procrastinate.JobContext, timestamp: int) -> None:
            del timestamp
            task.run(context.should_abort)

        lock = f"{self._name}:{task.name}"
        add = self._app.task(
            name=task.name, queue=self._name, queueing_lock=lock, pass_context=True
        )
        add(run)
        self._crons[task.name] = task.cron

    async def put_all(self) -> None:
        """Make every task due now, unless it waits already."""
        taken = load("procrastinate", extra="jobs").exceptions.AlreadyEnqueued
        with _translated(self._target):
            for name, task in self._app.tasks.items():
                if not name.startswith("builtin:") and task.queue == self._name:
                    with suppress(taken):
                        await task.configure().defer_async(timestamp=0)

    async def forget_stalled(self) -> None:
        """Forget jobs whose worker was killed: they are made again at their times."""
        status = load("procrastinate.jobs", extra="jobs").Status.FAILED
        with _translated(self._target):
            for job in await self._app.job_manager.get_stalled_jobs(queue=self._name):
                await self._app.job_manager.finish_job(job, status=status, delete_job=True)

    async def work(self, *, is_once: bool) -> None:
        """Run jobs that are due until the coroutine is cancelled; once: those that wait now.

        Once, no job is made at its time: it could be one that `put_all` has made and that runs.
        It also ends when the server is gone; often, but not always, with an error.

        Raises:
            TargetError: the server is gone.
        """
        if not is_once:
            for name, cron in self._crons.items():
                self._app.periodic(cron=cron, periodic_id=self._name)(self._app.tasks[name])
        with _translated(self._target):
            await self._app.run_worker_async(
                queues=[self._name],
                wait=not is_once,
                install_signal_handlers=False,
                listen_notify=False,
                fetch_job_polling_interval=POLL_S,
                delete_jobs="always",
                shutdown_graceful_timeout=STOP_S,
            )
