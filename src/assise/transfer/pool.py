"""Worker processes: chunks handed out, results taken back in the order of the chunks.

A worker is a process that runs `assise.transfer.worker`. It gets what it needs, secrets too, as lines over its standard input, never as
arguments, and ends when that is closed: workers do not outlive the command, however it ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread
from typing import BinaryIO, Self, cast

from assise import errors
from assise.errors import AssiseError, WorkerError
from assise.transfer.tasks import Result, Task, Work, write_task

AHEAD = 4
"""Chunks of each worker that may be done before the first of them is: they wait in memory."""

PATIENCE_S = 5
"""How long workers may take to take their leave of the server."""

_Done = SimpleQueue[tuple[int, Task, Result] | BaseException | None]
"""Number, task and result; an error; None from a worker that has nothing more to do."""

BOOT = """
import json, sys
line = sys.stdin.buffer.readline()
if line.endswith(b"\\n"):
    sys.path[:] = json.loads(line)
    from assise.transfer.worker import main
    main()
"""
"""A worker's first line is the path of imports; a command that is stopped before it is written leaves it nothing to do."""


class Inline:
    """This process as its own and only worker."""

    count = 1

    _work: Work

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, work: Callable[[], Work], _: Callable[[], Result]) -> None:
        """Do this work from now on."""
        self._work = work()

    def rest(self) -> None:
        """There is no session of its own to end."""

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """Each task with its result."""
        for task in tasks:
            yield task, {} if task.is_end else self._work.run(task)


class Pool:
    """Worker processes, which have ended when the block ends. After an error they are of no use any more."""

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

    def begin(self, _: Callable[[], Work], setup: Callable[[], Result]) -> None:
        """Do from now on the work that `assise.transfer.worker` makes of what `setup` gives."""
        message = setup()
        for worker in self._workers:
            worker.send(message)

    def rest(self) -> None:
        """End the sessions of the workers until they begin another work."""
        for worker in self._workers:
            worker.send({"work": "rest"})

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """Each task with its result, in the order of the tasks.

        Raises:
            AssiseError: what a task or `tasks` has raised; the other tasks are then of no interest any more.
        """
        numbered, taking = enumerate(tasks), Lock()
        room = Semaphore(AHEAD * len(self._workers))
        done: _Done = SimpleQueue()
        is_over = False

        def serve(worker: _Worker) -> None:
            try:
                while room.acquire() and not is_over:
                    with taking:
                        number, task = next(numbered, (-1, None))
                    if task is None:
                        break
                    result = {} if task.is_end else worker.call(task)
                    done.put(
                        (number, task if "again" in result else replace(task, chunk=None), result)
                    )
                done.put(None)
            except BaseException as error:  # noqa: BLE001
                done.put(error)

        for worker in self._workers:
            Thread(target=serve, args=[worker], daemon=True).start()
        try:
            yield from self._in_order(done, room)
        finally:
            is_over = True
            room.release(len(self._workers))

    def _in_order(self, done: _Done, room: Semaphore) -> Iterator[tuple[Task, Result]]:
        waiting: dict[int, tuple[Task, Result]] = {}
        idle = following = 0
        while idle < len(self._workers):
            found = done.get()
            if isinstance(found, BaseException):
                raise found
            if found is None:
                idle += 1
                room.release()
                continue
            number, task, result = found
            waiting[number] = task, result
            while following in waiting:
                yield waiting.pop(following)
                following += 1
                room.release()


class _Worker:
    """One worker process."""

    def __init__(self) -> None:
        # A group of its own: Ctrl-C reaches the command, and the command ends its workers.
        errors_to = None if sys.stderr else subprocess.DEVNULL
        command = [sys.executable, "-P", "-c", BOOT]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors_to,
                process_group=0,
            )
        except OSError as error:
            raise WorkerError(
                f"{sys.executable} cannot be started as a worker process: {error.strerror}",
                remedy="Try it with --workers 1.",
            ) from error
        self._input, self._output = (
            cast(BinaryIO, self._process.stdin),
            cast(BinaryIO, self._process.stdout),
        )
        self.send([str(entry) for entry in sys.path])

    def send(self, message: object) -> None:
        """Write a line of JSON; that the process has ended is noticed at its next task."""
        with suppress(BrokenPipeError):
            self._input.write(json.dumps(message).encode() + b"\n")
            self._input.flush()

    def call(self, task: Task) -> Result:
        """The result of a task."""
        try:
            write_task(task, self._input)
            line = self._output.readline()
        except (BrokenPipeError, ValueError):
            line = b""
        if not line.endswith(b"\n"):
            raise WorkerError(
                f"a worker process has ended: {_ending(self._process.wait())}",
                remedy="The same command goes on where it stopped.",
            )
        result: Result = json.loads(line)
        if "error" in result:
            raise _error(result["error"])
        return result

    def close(self) -> None:
        """Tell the process that there is nothing more to do."""
        with suppress(BrokenPipeError):
            self._input.close()

    def end(self, *, patience_s: float) -> None:
        """Wait for the end of the process, and make one when it takes too long."""
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


def describe_error(error: AssiseError) -> Result:
    """An error as JSON, with its chain of causes."""
    cause = describe_error(error.__cause__) if isinstance(error.__cause__, AssiseError) else None
    return {
        "class": type(error).__name__,
        "message": error.message,
        "remedy": error.remedy,
        "cause": cause,
    }


def _error(found: Result) -> AssiseError:
    kind: type[AssiseError] = getattr(errors, found["class"])
    error = kind.__new__(kind)
    AssiseError.__init__(error, found["message"], remedy=found["remedy"])
    error.__cause__ = _error(found["cause"]) if found["cause"] else None
    return error


Workers = Pool | Inline
"""Who works on chunks."""


def start_workers(count: int) -> Workers:
    """So many workers; one is this process itself."""
    return Pool(count) if count > 1 else Inline()
