"""A worker process: it reads work and tasks from its standard input.

A line of JSON describes the work; each bundle of tasks that follows gets one line as its answer.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from queue import SimpleQueue
from threading import Thread
from time import sleep
from traceback import print_exc
from typing import BinaryIO

from assise.errors import AssiseError, TargetError
from assise.mongo.opening import rebuild_source
from assise.postgres.connection import Connection
from assise.transfer import ledger
from assise.transfer.ledger import Load
from assise.transfer.load import LoadWork
from assise.transfer.verify import VerifyWork
from assise.transfer.workers.task import Result, Task, Work, run_bundle
from assise.transfer.workers.wire import read_task

LEAVE_S = 0.5
"""Seconds in which an idle worker closes its session, once its standard input has ended."""


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
    # Answers get a descriptor of their own: whatever prints to stdout ends up in stderr.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    messages: SimpleQueue[Result | list[Task] | None] = SimpleQueue()
    Thread(target=_receive, args=[messages, sys.stdin.buffer], daemon=True).start()
    description: Result = {}
    work: Work | None = None
    with ExitStack() as session:
        while message := messages.get():
            if not isinstance(message, list):
                session.close()
                description, work = message, None
                continue
            try:
                # Made with the first task, so that an error in making it is an answer, too.
                work = work or WORKS[description["work"]](description, session)
                answer: Result = {"results": run_bundle(work, message)}
            except AssiseError as error:
                answer = {"error": error.as_json()}
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.flush()


def _receive(messages: SimpleQueue[Result | list[Task] | None], stream: BinaryIO) -> None:
    """Read ahead, and end the process soon after the input ends.

    Nobody waits for an answer then. A worker in the middle of a chunk is cut off, and the server
    rolls its transaction back.
    """
    try:
        while line := stream.readline():
            message = json.loads(line)
            if "work" in message:
                messages.put(message)
                continue
            lines = (stream.readline() for _ in range(message["tasks"]))
            messages.put([read_task(json.loads(line), stream) for line in lines])
    finally:
        messages.put(None)
        sleep(LEAVE_S)
        os._exit(1)


def _make_load_work(description: Result, session: ExitStack) -> Work:
    connection, load = _connect(description, session)
    ledger.join(connection, load.name, description["leader"])
    source = rebuild_source(description["source"])
    return LoadWork(connection, load, source, workers=description["workers"])


def _make_verify_work(description: Result, session: ExitStack) -> Work:
    connection, load = _connect(description, session)
    connection.begin_at(description["snapshot"])
    source = rebuild_source(description["source"])
    return VerifyWork(connection, load, source, workers=description["workers"])


def _make_profile_work(description: Result, _session: ExitStack) -> Work:
    # A worker that loads or verifies starts without what proposes a manifest.
    from assise.transfer.profile import ProfileWork

    source = rebuild_source(description["source"])
    return ProfileWork(source, description["paths"], description["targets"])


def _connect(description: Result, session: ExitStack) -> tuple[Connection, Load]:
    try:
        connection = Connection(description["conninfo"], shown=description["target"])
    except TargetError as error:
        raise TargetError(
            f"a worker cannot connect: {error.message}",
            remedy="The command has a session, and each worker one more. With fewer it needs"
            " fewer: `--workers 1` needs one in all.",
        ) from error
    session.enter_context(connection)
    return connection, ledger.rebuild_load(description["load"])


WORKS: dict[str, Callable[[Result, ExitStack], Work]] = {
    "load": _make_load_work,
    "verify": _make_verify_work,
    "profile": _make_profile_work,
}
"""How each work is made from its description; what it opens is closed with the session."""
