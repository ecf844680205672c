"""Spare processes: forked before they are needed, they are the workers of a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.dumps import write_dump
from tests.scenes.commands import SOURCES, Scene, workers_of
from tests.scenes.hostile import document, int32, string

from assise.project import Project
from assise.settings import count_cores
from assise.transfer.workers.number import WORKER_BYTES

BEGIN = """
import os, signal, subprocess, sys, threading
from pathlib import Path
from assise.transfer.workers.pool import Workers
from assise.transfer.workers.spare import spare_processes

def children():
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(pid) for file in tasks for pid in file.read_text().split()}
"""


def run(script: str, *, opened: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program of its own: forking is refused to the processes of the tests, with threads."""
    command = ["sh", "-c", f'"$0" -c "$1" {opened}', sys.executable, BEGIN + script]
    environ = {**os.environ, "PYTHONPATH": SOURCES}
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, check=False, timeout=60
    )


def test_spares_become_workers_and_all_of_them_end() -> None:
    done = run("""
with spare_processes(3):
    spares = children()
    with Workers(3) as workers:
        workers.prepare("load", 3)
        workers.prepare("load", 3)
        assert children() == spares
    print(len(spares), len(children()))
    # Of those that were taken none is left: a fourth worker is started anew.
    with Workers(4) as workers:
        workers.prepare("load", 4)
        print(len(children() - spares))
print(len(children()))
""")
    assert (done.stdout.split(), done.stderr) == (["3", "1", "2", "0"], "")


def test_a_process_with_threads_is_not_forked() -> None:
    done = run("""
is_over = threading.Event()
threading.Thread(target=is_over.wait).start()
with spare_processes(2):
    print(len(children()))
is_over.set()
""")
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_command_goes_on_where_no_process_can_be_forked() -> None:
    done = run("""
fork, forked, opened = os.fork, [], len(os.listdir("/proc/self/fd"))
def refuse():
    if forked:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    forked.append(fork())
    return forked[0]
os.fork = refuse
with spare_processes(3):
    print(len(children()))
print(len(children()), len(os.listdir("/proc/self/fd")) - opened)
""")
    assert (done.stdout.split(), done.stderr) == (["1", "0", "0"], "")


@pytest.mark.parametrize("opened", ["<&-", ">&-", "2>&-"])
def test_of_a_closed_stream_no_spare_takes_the_number(opened: str) -> None:
    done = run(
        """
with spare_processes(2):
    os._exit(len(children()) + 10)
""",
        opened=opened,
    )
    assert done.returncode == 10


def test_the_end_of_a_spare_is_told_as_that_of_a_program() -> None:
    done = run("""
from assise.transfer.workers.spare import take_spare
with spare_processes(2):
    killed, ended = take_spare(), take_spare()
    # The first that was forked ends, though the second, which might hold its pipe, runs.
    ended.close()
    print(ended.wait(5))
    try:
        killed.wait(0)
    except subprocess.TimeoutExpired:
        print("runs")
    killed.kill()
    print(killed.wait(), killed.wait(5))
    killed.kill()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
with spare_processes(1):
    pass
""")
    assert (done.stdout.split(), done.stderr) == (["0", "runs", "-9", "-9"], "")


@pytest.mark.parametrize(
    ("size", "more", "forked"),
    [
        (10, (), 0),
        (WORKER_BYTES // 8, (), min(2, count_cores()) - 1),
        (10, ("--workers", "3"), 2),
        (WORKER_BYTES // 8, ("--workers", "1"), 0),
    ],
    ids=["a small source", "a large one", "as many as are asked for", "none"],
)
def test_a_command_forks_as_many_as_its_source_needs(
    size: int, more: tuple[str, ...], forked: int, tmp_path: Path, database: str
) -> None:
    documents = [document(int32("_id", n), string("text", "x" * size)) for n in range(10)]
    dump = write_dump(tmp_path / "app", {"users": documents})
    scene = Scene(tmp_path, dump, database, ["--to", database, "--yes"], chunk_bytes=1 << 20)
    Project(tmp_path).write_manifest(Project(tmp_path).infer(dump))
    scene.hold("CREATE SCHEMA assise")
    scene.start("load", *more)
    scene.wait_blocked("-- The parts")
    try:
        spares = workers_of(scene)
        assert len(spares) == forked
    finally:
        scene.release()
    assert scene.command.end().code == 0
    assert not [pid for pid in spares if Path(f"/proc/{pid}").exists()]
