"""The program `assise` without its start: a process that has imported it forks for each call.

A call has the arguments, folder, environment, standard streams, signals and exit code of the
program. What a start decides cannot be tested with it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from select import select

from assise.cli import main
from assise.cli.nouns import list_commands

CALLER = Path(__file__).with_name("warm_call.py")
SOURCES = Path(__file__).parents[2] / "src"
PARTS = "project cli.progress access.check infer.propose search.verbs transfer.migration".split()


@contextmanager
def run_warm(folder: Path) -> Iterator[str]:
    """Start the process, and give the text of a program that calls it."""
    path = folder / "warm"
    command = [sys.executable, "-c", "from tests.scenes.warm import serve; serve()", str(path)]
    paths = [str(SOURCES.parent), str(SOURCES)]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield f'#!/bin/sh\nexec "{sys.executable}" -I -S "{CALLER}" "{path}" "$@"\n'


def serve() -> None:
    """Take calls until the standard input ends, as it does when the tests have ended."""
    assert [*list_commands()]
    for part in PARTS:
        import_module(f"assise.{part}")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while select([listener, sys.stdin], [], [])[0] == [listener]:
        caller, _ = listener.accept()
        if not os.fork():
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _answer(caller)
        caller.close()


def _answer(caller: socket.socket) -> None:
    """Run the command in another process; tell the caller its number, and how it has ended."""
    content, streams, _, _ = socket.recv_fds(caller, 1 << 16, 3)
    while not content.endswith(b"\n"):
        content += caller.recv(1 << 16)
    pid = os.fork()
    if not pid:
        caller.close()
        _run(json.loads(content), streams)
    for number in [0, 1, 2, *streams]:
        os.close(number)
    caller.sendall(b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):
        caller.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _run(call: dict[str, list[str]], streams: list[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(zip(call["names"], call["values"], strict=True))
    os.chdir(call["folder"][0])
    sys.argv[1:] = call["arguments"]
    code: object = 1
    try:
        main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0)
