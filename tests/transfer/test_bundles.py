"""Bundles: small tasks that are done together."""

from __future__ import annotations

import pytest

from assise.mongo.chunks import Chunk
from assise.mongo.frames import Run
from assise.mongo.source import Collection
from assise.transfer.workers.task import FRAME_BYTES, Task, bundle_tasks

TASKS, RUNS = 6, 100


def make_task(start: int, *, is_read: bool) -> Task:
    """A chunk of 100 bytes; if it is read, each byte is a run."""
    runs = [Run(start + n, 1, b"x", b"", "") for n in range(RUNS)]
    chunk = Chunk(start, start + RUNS, "", [], runs, start + RUNS)
    place = Collection("things", TASKS * RUNS, "things.json")
    return Task(place, start, start + RUNS, start, chunk if is_read else None, size=RUNS)


@pytest.mark.parametrize(("is_read", "together"), [(False, [6]), (True, [2, 2, 2])])
def test_what_is_read_counts_by_its_number_too(is_read: bool, together: list[int]) -> None:
    """Of a few bytes each, documents of a bundle would take a hundred times their size."""
    tasks = [make_task(RUNS * n, is_read=is_read) for n in range(TASKS)]
    found = [*bundle_tasks(tasks, 2 * FRAME_BYTES * RUNS)]
    assert [len(bundle) for bundle in found] == together
    assert [task for bundle in found for task in bundle] == tasks
