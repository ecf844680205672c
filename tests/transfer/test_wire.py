"""To a worker process and back: tasks are read as they were written, errors keep their fields."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dumps import write_dump
from tests.mongo.files import EMPTY, ONE, files
from tests.transfer.failing import FailingWork, make_errors

from assise.errors import AssiseError
from assise.mongo.bson_file import read_chunks
from assise.mongo.dump import open_dump
from assise.mongo.source import Collection
from assise.postgres.connection import Connection
from assise.transfer.profile import ProfileWork
from assise.transfer.workers import pool
from assise.transfer.workers.pool import Workers
from assise.transfer.workers.task import RecordedChunk, Result, Task
from assise.transfer.workers.wire import read_task, write_task


def written(task: Task) -> bytes:
    out = BytesIO()
    write_task(task, out)
    return out.getvalue()


def read(content: bytes) -> Task:
    stream = BytesIO(content)
    return read_task(json.loads(stream.readline()), stream)


def tasks_of(folder: Path, data: bytes, size: int) -> list[Task]:
    dump = open_dump(write_dump(folder, {"users": [data]}))
    [collection], [file] = dump.collections, dump.files
    recorded = RecordedChunk(7, "ab", 3)
    return [
        Task(collection, each.start, each.stop, each.stop, each, recorded)
        for each in read_chunks(file, size)
    ]


@given(data=files(), size=st.integers(1, 300))
def test_a_task_with_its_chunk_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int
) -> None:
    for task in tasks_of(tmp_path_factory.mktemp("app"), data, size):
        found = read(written(task))
        assert found == task
        assert found.chunk
        assert task.chunk
        assert found.chunk.digest == task.chunk.digest
        without = replace(task, chunk=None, recorded=None, is_last_try=True)
        assert read(written(without)) == without


def test_a_task_that_breaks_off_is_no_task(tmp_path: Path) -> None:
    [task] = tasks_of(tmp_path, EMPTY + b"\xff" * 9 + ONE + EMPTY, 1 << 20)
    content = written(task)
    for end in range(content.index(b"\n") + 1, len(content)):
        with pytest.raises(EOFError):
            read(content[:end])


class WaitingWork(FailingWork):
    """Waits in this process until the other one has taken the task that fails there."""

    def __init__(self) -> None:
        self.is_taken = Event()

    def run(self, task: Task) -> Result:
        """Wait."""
        assert self.is_taken.wait(60)
        return {"waited": task.start}


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """A real worker process, in which every task fails, beside this one."""
    boot = pool.BOOT.replace("assise.transfer.workers.worker", "tests.transfer.failing")
    monkeypatch.setattr(pool, "BOOT", boot.replace("main", "answer_as_worker"))
    with Workers(2) as workers:
        yield workers


def raise_in(workers: Workers, number: int) -> AssiseError:
    """The error that a task of a worker process ends in."""
    work = WaitingWork()
    workers.begin(work)

    def tasks() -> Iterator[Task]:
        here = Task(Collection("users", 9, "users.bson"), 0, 1, 1)
        yield here
        yield replace(here, start=number, stop=number + 1)
        # Asked for when the task before is taken.
        work.is_taken.set()
        yield here

    with pytest.raises(AssiseError) as raised:
        list(workers.run(tasks()))
    return raised.value


def test_an_error_of_a_worker_process_keeps_class_fields_and_causes(failing: Workers) -> None:
    errors = make_errors()
    for number, expected in enumerate(errors):
        error = raise_in(failing, number)
        assert type(error) is type(expected)
        assert (str(error), vars(error)) == (str(expected), vars(expected))
        assert error.as_json() == expected.as_json()
    unknown = raise_in(failing, len(errors))
    assert type(unknown) is AssiseError
    assert (unknown.message, unknown.remedy) == ("known to nobody else", "Look here.")


class SleepingWork(FailingWork):
    """Waits for the server, from the moment on at which it was cancelled for the first time."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._cancelled = connection, Event()

    def cancel(self) -> None:
        """Cancel the statement that runs, if there is one already."""
        self._connection.cancel()
        self._cancelled.set()

    def run(self, task: Task) -> Result:
        """Wait for a minute."""
        assert self._cancelled.wait(60)
        self._connection.execute("SELECT pg_sleep(60)")
        return {"start": task.start}


def test_the_first_error_ends_what_this_process_waits_for_later(
    failing: Workers, database: str
) -> None:
    collection = Collection("users", 4, "app/users.bson")
    tasks = [Task(collection, start, start + 1, start + 1) for start in (1, 1)]
    with Connection(database) as connection:
        failing.begin(SleepingWork(connection))
        started = monotonic()
        with pytest.raises(AssiseError) as error:
            list(failing.run(tasks))
        assert str(error.value) == str(make_errors()[1])
        assert monotonic() - started < 50
        for _ in range(3):
            assert connection.scalar("SELECT 1 FROM pg_sleep(0.3)") == 1


PROFILES_WITHOUT_A_SERVER = """
import sys
from importlib import import_module
from assise.transfer.workers import worker
assert not {"psycopg", "assise.transfer.load", "assise.infer.profile"} & sys.modules.keys()
module = import_module(worker.WORKS["profile"])
module.make_work({"work": "profile", "source": {"kind": "none"}, "paths": 1, "targets": {}, "composites": {}, "unique": {}}, None)
assert not {"psycopg", "assise.transfer.load"} & sys.modules.keys()
"""


def test_a_worker_imports_what_its_work_needs() -> None:
    subprocess.run([sys.executable, "-c", PROFILES_WITHOUT_A_SERVER], check=True)


def make_profile_work(folder: Path) -> ProfileWork:
    found = {"users": ["_id"]}
    none: dict[str, list[Any]] = {"users": []}
    return ProfileWork(open_dump(folder), 10, targets=found, composites=none, unique=none)


def list_children() -> set[str]:
    """The process ids of the processes that this one has started."""
    return {
        pid
        for file in Path("/proc/self/task").glob("*/children")
        for pid in file.read_text().split()
    }


def test_a_worker_starts_when_there_is_work_for_it(failing: Workers, tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, EMPTY + ONE, 1 << 20)
    end = replace(tasks[0], start=tasks[0].stop, chunk=None)
    before = list_children()
    with Workers(3) as workers:
        workers.begin(make_profile_work(tmp_path))
        assert [*workers.run([end])] == [(end, {})]
        workers.rest()
        assert list_children() == before
        workers.begin(make_profile_work(tmp_path))
        [(_, result)] = workers.run([replace(task, recorded=None) for task in tasks])
        assert result["documents"] == 2
        assert list_children() == before
    raise_in(failing, 1)
    assert len(list_children() - before) == 1
