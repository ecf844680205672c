"""A worker process: the work is set up by the first line of its standard input, then each task gets one line of JSON as its answer."""

from __future__ import annotations

import gc
import json
import os
import sys
from queue import SimpleQueue
from threading import Thread
from time import sleep
from typing import BinaryIO

from assise.errors import AssiseError
from assise.postgres.connection import Connection
from assise.transfer import ledger
from assise.transfer.load import LoadWork
from assise.transfer.pool import describe_error
from assise.transfer.profile import ProfileWork
from assise.transfer.tasks import Result, Task, Work, read_task
from assise.transfer.verify import VerifyWork

LEAVE_S = 0.5
"""How long a worker that is not at work has for its leave of the server."""


def main() -> None:
    """Answer tasks until the standard input ends."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tasks: SimpleQueue[Task | None] = SimpleQueue()
    setup = sys.stdin.buffer.readline()
    Thread(target=_receive, args=[tasks, sys.stdin.buffer], daemon=True).start()
    work: Work | None = None
    while task := tasks.get():
        try:
            work = work or _make_work(json.loads(setup))
            answer = work.run(task)
        except AssiseError as error:
            answer = {"error": describe_error(error)}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _receive(tasks: SimpleQueue[Task | None], stream: BinaryIO) -> None:
    """Read ahead. When the input ends nobody waits for an answer: who is still at work ends soon, and the server takes the transaction back."""
    try:
        while line := stream.readline():
            tasks.put(read_task(line, stream))
    finally:
        tasks.put(None)
        sleep(LEAVE_S)
        os._exit(1)


def _make_work(setup: Result) -> Work:
    if setup["work"] == "profile":
        return ProfileWork(setup["paths"])
    connection, load = Connection(setup["conninfo"], shown=setup["target"]), ledger.rebuild_load(setup["load"])
    if setup["work"] == "load":
        ledger.join(connection, load.name)
        return LoadWork(connection, load, workers=setup["workers"])
    connection.begin_at(setup["snapshot"])
    return VerifyWork(connection, load)
