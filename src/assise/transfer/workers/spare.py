"""Spare processes: a command forks them at its start, and they become workers without one.

They have what the command has imported. With threads or open connections a process cannot be forked
safely: a command forks before it has any, and elsewhere workers are started anew.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from math import inf
from time import monotonic, sleep
from typing import BinaryIO, NoReturn

from assise.transfer.workers import worker

LOOK_S = 0.005
"""Seconds between two looks whether a process has ended."""

_spares = list["Spare"]()


class Spare:
    """A process that waits for work, with what the pool needs of `subprocess.Popen`."""

    def __init__(self, pid: int, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self.stdin, self.stdout = stdin, stdout
        self._pid, self._code, self._looking = pid, None, threading.Lock()

    _code: int | None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit code, of a signal its number below zero.

        Raises:
            subprocess.TimeoutExpired: it takes more than `timeout` seconds.
        """
        until = monotonic() + (inf if timeout is None else timeout)
        while (code := self._look()) is None:
            if monotonic() > until:
                raise subprocess.TimeoutExpired("a worker", timeout or 0)
            sleep(LOOK_S)
        return code

    def kill(self) -> None:
        """End it at once."""
        if self._look() is None:
            os.kill(self._pid, signal.SIGKILL)

    def _look(self) -> int | None:
        with self._looking:
            if self._code is None:
                try:
                    pid, status = os.waitpid(self._pid, os.WNOHANG)
                except ChildProcessError:  # who started the command ignores the ends of children
                    pid, status = self._pid, 0
                self._code = os.waitstatus_to_exitcode(status) if pid else None
            return self._code

    def close(self) -> None:
        """Close this side's ends of its streams: it ends when it has nothing to do."""
        self.stdin.close()
        self.stdout.close()


@contextmanager
def spare_processes(count: int) -> Iterator[None]:
    """Fork processes, which workers of the block become; those that are left end with it."""
    is_safe = sys.platform == "linux" and threading.active_count() == 1
    try:
        # Of a stream that is closed a pipe would take the number.
        if is_safe and None not in {sys.stdin, sys.stdout, sys.stderr}:
            # Where no process can be had now, workers are started when there is work, or not.
            with suppress(OSError):
                for _ in range(count):
                    _spares.append(_fork())
        yield
    finally:
        for spare in _spares:
            spare.close()
        while _spares:
            _spares.pop().wait()


def take_spare() -> Spare | None:
    """Return a process that waits for work, if there is one."""
    return _spares.pop() if _spares else None


def _fork() -> Spare:
    (tasks, to_worker), (from_worker, answers) = os.pipe(), os.pipe()
    spare_in, spare_out = os.fdopen(to_worker, "wb"), os.fdopen(from_worker, "rb")
    try:
        pid = os.fork()
    except OSError:
        for end in (tasks, answers):
            os.close(end)
        for stream in (spare_in, spare_out):
            stream.close()
        raise
    if not pid:
        for stream in (spare_in, spare_out):
            stream.close()
        _become_worker(tasks, answers)
    os.close(tasks)
    os.close(answers)
    return Spare(pid, spare_in, spare_out)


def _become_worker(tasks: int, answers: int) -> NoReturn:
    try:
        # A group of its own: Ctrl-C reaches the command, and the command ends its workers.
        os.setpgid(0, 0)
        for spare in _spares:
            spare.close()
        for stream, number in ((tasks, 0), (answers, 1)):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        worker.main()
        os._exit(0)
    finally:
        os._exit(1)
