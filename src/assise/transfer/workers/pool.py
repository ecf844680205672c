"""Workers: chunks are handed out, results come back in the order of the chunks.

The first worker is the command itself. Each other one is a process that runs
`assise.transfer.workers.worker`. It gets what it needs, secrets too, as lines over its standard
input, never as arguments, and ends when that is closed: workers do not outlive the command, however
it ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from queue import SimpleQueue
from threading import Event, Lock, Semaphore, Thread
from typing import BinaryIO, NamedTuple, Self, cast

from assise.errors import AssiseError, WorkerError
from assise.transfer.workers.spare import Spare, take_spare
from assise.transfer.workers.task import Result, Task, Work, bundle_tasks, run_bundle
from assise.transfer.workers.wire import write_task

AHEAD = 4
"""Chunks of each worker that may be done before an earlier one is: they wait in memory."""

PATIENCE_S = 5
"""Seconds to wait for workers to disconnect from the server."""

CANCEL_S = 0.2
"""Seconds between attempts to cancel what this process does: it may not wait for the server yet."""

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


class Workers:
    """This process and worker processes beside it, `count` in all.

    The others have ended when the block ends. After an error they are of no use. Each starts with
    the first tasks that are left for it, unless it was prepared.
    """

    _work: Work

    def __init__(self, count: int) -> None:
        self.count = count
        self._others = list[_Worker]()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.push(self.__exit__)
            self._others += (_Worker() for _ in range(self.count - 1))
            stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for worker in self._others:
                worker.close()
        for worker in self._others:
            worker.end(patience_s=PATIENCE_S if kind is None else 0)

    def prepare(self, work: str, count: int) -> None:
        """Start what is missing of `count` workers, which will all be needed.

        They import what this kind of work needs while this process does other things.
        """
        for worker in self._others[: max(0, count - 1)]:
            worker.begin({"work": work})
            worker.start()

    def begin(self, work: Work) -> None:
        """Do this work from now on; every worker process makes it anew."""
        self._work = work
        description = work.describe() if self._others else {}
        for worker in self._others:
            worker.begin(description)

    def rest(self) -> None:
        """End the sessions of the worker processes until they begin another work."""
        for worker in self._others:
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
        slots = Semaphore(AHEAD * self.count)
        outcomes: SimpleQueue[_Done | None] = SimpleQueue()
        # The first is raised, before results that came earlier: who takes those may need the
        # transaction that it has cancelled.
        failures = list[BaseException]()
        idle, ending = Event(), Lock()
        idle.set()
        is_over = False

        def take() -> tuple[int, list[Task] | None]:
            # A generator cannot be advanced by two threads at once.
            with taking:
                return next(numbered, (-1, None))

        # Under the lock, so that the cancel does not arrive in a statement after this work.
        def cancel() -> None:
            while not (is_over or idle.wait(CANCEL_S)):
                with ending:
                    if not idle.is_set():
                        self._work.cancel()

        # One thread for each other worker. It reads `is_over` of the enclosing call, which sets it
        # once and then gives a slot to every thread, so that none stays behind in acquire().
        def serve(worker: _Worker) -> None:
            try:
                while slots.acquire() and not is_over:
                    number, bundle = take()
                    if bundle is None:
                        break
                    outcomes.put(_Done(number, _strip(bundle, worker.call(bundle))))
                outcomes.put(None)
            except BaseException as error:  # noqa: BLE001
                failures.append(error)
                outcomes.put(None)
                cancel()

        threads = [Thread(target=serve, args=[worker], daemon=True) for worker in self._others]

        # The first tasks are for this process, which has started already.
        def work_here() -> bool:
            number, bundle = take()
            while threads:
                threads.pop().start()
            if bundle is None:
                return False
            idle.clear()
            try:
                # A thread that fails from here on cancels this.
                if not failures:
                    outcomes.put(_Done(number, _strip(bundle, run_bundle(self._work, bundle))))
            except AssiseError as error:
                failures.append(error)
                outcomes.put(None)
            finally:
                with ending:
                    idle.set()
            return True

        try:
            yield from self._in_order(outcomes, failures, slots, work_here)
        finally:
            is_over = True
            slots.release(self.count)

    def _in_order(
        self,
        outcomes: SimpleQueue[_Done | None],
        failures: list[BaseException],
        slots: Semaphore,
        work_here: Callable[[], bool],
    ) -> Iterator[tuple[Task, Result]]:
        """Yield results; `work_here` does tasks in this process, and returns whether it had some.

        An outcome of None is a thread's that has no task left, or comes with a failure.
        """
        waiting: dict[int, _Done] = {}
        idle = following = 0
        is_working = True
        while is_working or idle < len(self._others):
            if is_working and outcomes.empty() and slots.acquire(blocking=False):
                is_working = work_here()
                if not is_working:
                    slots.release()
                continue
            outcome = outcomes.get()
            if failures:
                raise failures[0]
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


class _Worker:
    """One worker process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | Spare | None = None
        self._description: Result = {}
        # A thread may start the process while another one ends the pool.
        self._starting, self._is_over = Lock(), False

    def begin(self, description: Result) -> None:
        """Have the process do this work, which starts with its first task."""
        self._description = description
        if self._process is not None:
            self._send(description)

    def start(self) -> subprocess.Popen[bytes] | Spare:
        """Start the process, if it does not run yet.

        Raises:
            WorkerError: it cannot be started, or the pool has ended.
        """
        with self._starting:
            return self._process or self._start()

    def _start(self) -> subprocess.Popen[bytes] | Spare:
        if self._is_over:
            raise WorkerError("the pool of workers has ended")
        spare = take_spare()
        process = spare or _start_anew()
        self._process = process
        self._input, self._output = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        if spare is None:
            self._send([str(entry) for entry in sys.path])
        self._send(self._description)
        return process

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


def _start_anew() -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if sys.stderr else subprocess.DEVNULL,
            # A group of its own: Ctrl-C reaches the command, and the command ends its workers.
            process_group=0,
        )
    except OSError as error:
        raise WorkerError(
            f"{sys.executable} cannot be started as a worker process: {error.strerror}",
            remedy="Try it with --workers 1.",
        ) from error


def _ending(code: int) -> str:
    if code == -9:
        return "it was killed, perhaps because memory was short"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
