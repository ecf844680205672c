"""A worker process: lines of JSON on its standard input set up the work, and give tasks, each of which gets one line as its answer."""

from __future__ import annotations

import gc
import json
import os
import sys
from contextlib import ExitStack
from queue import SimpleQueue
from threading import Thread
from time import sleep
from traceback import print_exc
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
    try:
        _answer()
    except BrokenPipeError:  # nobody listens any more
        os._exit(1)
    except BaseException:  # noqa: BLE001
        print_exc()
        os._exit(1)


def _answer() -> None:
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    messages: SimpleQueue[Result | Task | None] = SimpleQueue()
    Thread(target=_receive, args=[messages, sys.stdin.buffer], daemon=True).start()
    setup: Result = {}
    work: Work | None = None
    with ExitStack() as session:
        while message := messages.get():
            if not isinstance(message, Task):
                session.close()
                setup, work = message, None
                continue
            try:
                work = work or _make_work(setup, session)
                answer = work.run(message)
            except AssiseError as error:
                answer = {"error": describe_error(error)}
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.flush()


def _receive(messages: SimpleQueue[Result | Task | None], stream: BinaryIO) -> None:
    """Read ahead. When the input ends nobody waits for an answer: who is still at work ends soon, and the server takes the transaction back."""
    try:
        while line := stream.readline():
            message = json.loads(line)
            messages.put(message if "work" in message else read_task(message, stream))
    finally:
        messages.put(None)
        sleep(LEAVE_S)
        os._exit(1)


def _make_work(setup: Result, session: ExitStack) -> Work:
    if setup["work"] == "profile":
        return ProfileWork(setup["paths"])
    connection, load = (
        session.enter_context(Connection(setup["conninfo"], shown=setup["target"])),
        ledger.rebuild_load(setup["load"]),
    )
    if setup["work"] == "load":
        ledger.join(connection, load.name, setup["leader"])
        return LoadWork(connection, load, workers=setup["workers"])
    connection.begin_at(setup["snapshot"])
    return VerifyWork(connection, load)
