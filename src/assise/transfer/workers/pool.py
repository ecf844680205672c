"""Worker processes: chunks are handed out, results come back in the order of the chunks.

A worker is a process that runs `assise.transfer.workers.worker`. It gets what it needs, secrets
too, as lines over its standard input, never as arguments, and ends when that is closed: workers do
not outlive the command, however it ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread
from typing import BinaryIO, NamedTuple, Self, cast

from assise.errors import AssiseError, WorkerError
from assise.transfer.workers.task import Result, Task, Work, bundle_tasks, run_bundle
from assise.transfer.workers.wire import write_task

AHEAD = 4
"""Chunks of each worker that may be done before an earlier one is: they wait in memory."""

PATIENCE_S = 5
"""Seconds to wait for workers to disconnect from the server."""

BOOT = """
import gc, json, sys
gc.set_threshold(200_000, 20, 20)
line = sys.stdin.buffer.readline()
if line.endswith(b"\\n"):
    sys.path[:] = json.loads(line)
    from assise.transfer.workers.worker import main
    main()
"""
"""The program of a worker. Its first line is the path of imports. Garbage is rare: see `cli`.

When the command is stopped before it has written that line, there is nothing to do.
"""


class Inline:
    """This process as its own and only worker."""

    count = 1

    _work: Work

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, work: Work) -> None:
        """Do this work from now on."""
        self._work = work

    def prepare(self, work: str, count: int) -> None:
        """Do nothing: this process runs already."""

    def rest(self) -> None:
        """Do nothing: there is no session of its own to end."""

    def run(self, tasks: Iterable[Task], *, bundle_bytes: int = 0) -> Iterator[tuple[Task, Result]]:
        """Yield each task with its result; with `bundle_bytes` small tasks are done together."""
        for bundle in bundle_tasks(tasks, bundle_bytes):
            yield from zip(bundle, run_bundle(self._work, bundle), strict=True)


class Pool:
    """Worker processes, which have ended when the block ends. After an error it is of no use.

    Each starts with the first tasks that are left for it, unless it was prepared.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._workers = list[_Worker]()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.push(self.__exit__)
            self._workers += (_Worker() for _ in range(self.count))
            stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for worker in self._workers:
                worker.close()
        for worker in self._workers:
            worker.end(patience_s=PATIENCE_S if kind is None else 0)

    def prepare(self, work: str, count: int) -> None:
        """Start up to `count` workers, which will all be needed, while this process does other things.

        They import what this kind of work needs.
        """
        for worker in self._workers[:count]:
            worker.begin({"work": work})
            worker.start()

    def begin(self, work: Work) -> None:
        """Have every worker process make the same work anew, and do it from now on."""
        description = work.describe()
        for worker in self._workers:
            worker.begin(description)

    def rest(self) -> None:
        """End the sessions of the workers until they begin another work."""
        for worker in self._workers:
            worker.begin({"work": "rest"})

    def run(self, tasks: Iterable[Task], *, bundle_bytes: int = 0) -> Iterator[tuple[Task, Result]]:
        """Yield each task with its result, in the order of the tasks.

        With `bundle_bytes` small tasks are done together.

        Raises:
            AssiseError: what a task or `tasks` has raised; the other tasks are then abandoned.
        """
        numbered, taking = enumerate(bundle_tasks(tasks, bundle_bytes)), Lock()
        # A slot is a bundle that is taken and not yielded yet. A thread takes a slot before it takes
        # the next one, so that one slow chunk cannot fill the memory with results behind it.
        slots = Semaphore(AHEAD * len(self._workers))
        outcomes: SimpleQueue[_Outcome] = SimpleQueue()
        is_over = False

        # One thread for each worker. It reads `is_over` of the enclosing call, which sets it once
        # and then gives a slot to every thread, so that none stays behind in acquire().
        def serve(worker: _Worker) -> None:
            try:
                while slots.acquire() and not is_over:
                    # A generator cannot be advanced by two threads at once.
                    with taking:
                        number, bundle = next(numbered, (-1, None))
                    if bundle is None:
                        break
                    results = worker.call(bundle)
                    outcomes.put(_Done(number, _strip(bundle, results)))
                outcomes.put(None)
            except BaseException as error:  # noqa: BLE001
                outcomes.put(error)

        for worker in self._workers:
            Thread(target=serve, args=[worker], daemon=True).start()
        try:
            yield from self._in_order(outcomes, slots)
        finally:
            is_over = True
            slots.release(len(self._workers))

    def _in_order(
        self, outcomes: SimpleQueue[_Outcome], slots: Semaphore
    ) -> Iterator[tuple[Task, Result]]:
        waiting: dict[int, _Done] = {}
        idle = following = 0
        while idle < len(self._workers):
            outcome = outcomes.get()
            if isinstance(outcome, BaseException):
                raise outcome
            if outcome is None:
                # This thread holds a slot without a task; another one may be waiting for it.
                idle += 1
                slots.release()
                continue
            waiting[outcome.number] = outcome
            while following in waiting:
                yield from waiting.pop(following).results
                following += 1
                slots.release()


def _strip(bundle: list[Task], results: list[Result]) -> list[tuple[Task, Result]]:
    """Tasks with their results.

    The bytes of a chunk are needed again only when it is to be tried again.
    """
    return [
        (task if "again" in result else replace(task, chunk=None), result)
        for task, result in zip(bundle, results, strict=True)
    ]


class _Done(NamedTuple):
    """A bundle's number in the order of the bundles, and its tasks with their results."""

    number: int
    results: list[tuple[Task, Result]]


_Outcome = _Done | BaseException | None
"""What a thread has to hand over; None when no task is left."""


class _Worker:
    """One worker process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._description: Result = {}
        # A thread may start the process while another one ends the pool.
        self._starting, self._is_over = Lock(), False

    def begin(self, description: Result) -> None:
        """Have the process do this work, which starts with its first task."""
        self._description = description
        if self._process is not None:
            self._send(description)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process, if it does not run yet.

        Raises:
            WorkerError: it cannot be started, or the pool has ended.
        """
        with self._starting:
            return self._process or self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        if self._is_over:
            raise WorkerError("the pool of workers has ended")
        errors_to = None if sys.stderr else subprocess.DEVNULL
        command = [sys.executable, "-P", "-c", BOOT]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors_to,
                # A group of its own: Ctrl-C reaches the command, and the command ends its workers.
                process_group=0,
            )
        except OSError as error:
            raise WorkerError(
                f"{sys.executable} cannot be started as a worker process: {error.strerror}",
                remedy="Try it with --workers 1.",
            ) from error
        self._input = cast(BinaryIO, self._process.stdin)
        self._output = cast(BinaryIO, self._process.stdout)
        self._send([str(entry) for entry in sys.path])
        self._send(self._description)
        return self._process

    def _send(self, message: object) -> None:
        """Write a line of JSON; that the process has ended is noticed at its next task."""
        with suppress(BrokenPipeError):
            self._input.write(json.dumps(message).encode() + b"\n")
            self._input.flush()

    def call(self, tasks: list[Task]) -> list[Result]:
        """Return the results of tasks.

        Raises:
            AssiseError: what one has raised. WorkerError: the process has ended.
        """
        if all(task.is_end for task in tasks):
            return [{} for _ in tasks]
        process = self.start()
        try:
            self._input.write(json.dumps({"tasks": len(tasks)}).encode() + b"\n")
            for task in tasks:
                write_task(task, self._input)
            line = self._output.readline()
        except (BrokenPipeError, ValueError):  # ValueError: another thread has closed the pipes
            line = b""
        if not line.endswith(b"\n"):
            raise WorkerError(
                f"a worker process has ended: {_ending(process.wait())}",
                remedy="The same command continues where it stopped.",
            )
        answer: Result = json.loads(line)
        if "error" in answer:
            raise AssiseError.from_json(answer["error"])
        results: list[Result] = answer["results"]
        return results

    def close(self) -> None:
        """Let the process know that there is nothing more to do."""
        if self._process is not None:
            with suppress(BrokenPipeError):
                self._input.close()

    def end(self, *, patience_s: float) -> None:
        """Wait for the end of the process, and kill it when it takes longer."""
        with self._starting:
            self._is_over = True
        if self._process is None:
            return
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.close()
        self._output.close()


def _ending(code: int) -> str:
    if code == -9:
        return "it was killed, perhaps because memory was short"
    return f"signal {-code}" if code < 0 else f"exit code {code}"


Workers = Pool | Inline
"""Who works on chunks."""


def start_workers(count: int) -> Workers:
    """Return that many workers; one is this process itself."""
    return Pool(count) if count > 1 else Inline()
