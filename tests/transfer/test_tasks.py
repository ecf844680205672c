"""Tasks on their way to a worker: what was written is read, what breaks off is not."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dumps import write_dump
from tests.mongo.files import EMPTY, ONE, files

from assise.mongo.bson_file import read_chunks
from assise.mongo.dump import open_dump
from assise.transfer.tasks import Known, Task, read_task, write_task


def written(task: Task) -> bytes:
    out = BytesIO()
    write_task(task, out)
    return out.getvalue()


def read(content: bytes) -> Task:
    stream = BytesIO(content)
    return read_task(json.loads(stream.readline()), stream)


def tasks_of(folder: Path, data: bytes, size: int) -> list[Task]:
    [collection] = open_dump(write_dump(folder, {"users": [data]})).collections
    known = Known(7, "ab", 3)
    return [
        Task(collection, each.start, each.stop, each.stop, each, known)
        for each in read_chunks(collection, size)
    ]


@given(data=files(), size=st.integers(1, 300))
def test_a_task_with_its_chunk_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, size: int
) -> None:
    for task in tasks_of(tmp_path_factory.mktemp("app"), data, size):
        assert read(written(task)) == task
        without = replace(task, chunk=None, known=None, is_last_try=True)
        assert read(written(without)) == without


def test_a_task_that_breaks_off_is_no_task(tmp_path: Path) -> None:
    [task] = tasks_of(tmp_path, EMPTY + b"\xff" * 9 + ONE + EMPTY, 1 << 20)
    content = written(task)
    for end in range(content.index(b"\n") + 1, len(content)):
        with pytest.raises(EOFError):
            read(content[:end])
