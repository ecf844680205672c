"""A worker process: it reads work and tasks from its standard input.

A line of JSON describes the work; each bundle of tasks that follows gets one line as its answer.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from contextlib import ExitStack
from importlib import import_module
from queue import SimpleQueue
from threading import Thread
from time import sleep
from traceback import print_exc
from types import ModuleType
from typing import BinaryIO

from assise.errors import AssiseError
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
    # Answers get a descriptor of their own: whatever prints to stdout ends up in stderr.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    messages: SimpleQueue[Result | list[Task] | None] = SimpleQueue()
    Thread(target=_receive, args=[messages, sys.stdin.buffer], daemon=True).start()
    description: Result = {}
    module: ModuleType
    work: Work | None = None
    with ExitStack() as session:
        while message := messages.get():
            if not isinstance(message, list):
                session.close()
                description, work = message, None
                module = import_module(WORKS.get(message["work"], __name__))
                continue
            try:
                # Made with the first task, so that an error in making it is an answer, too.
                work = work or module.make_work(description, session)
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


WORKS = {
    "load": "assise.transfer.load",
    "verify": "assise.transfer.verify",
    "profile": "assise.transfer.profile",
}
"""The module of each work, whose `make_work` makes it anew from its description.

It is imported with the description: a worker starts with what its work needs.
"""
