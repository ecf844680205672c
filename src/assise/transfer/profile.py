"""Profiles of a dump's collections, chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from assise.documents.shape import Shape
from assise.infer.profile import Profile
from assise.mongo.dump import Dump
from assise.progress import Log, OnProgress
from assise.transfer.workers.pool import Workers
from assise.transfer.workers.task import Result, Task, list_tasks


class ProfileWork:
    """Profiles chunks; at most `paths` paths of each."""

    def __init__(self, paths: int) -> None:
        self._paths = paths
        self._shapes: dict[str, Shape | None] = {}

    def describe(self) -> Result:
        """Name the work and its limit."""
        return {"work": "profile", "paths": self._paths}

    def run_all(self, tasks: Sequence[Task]) -> list[Result]:
        """Do chunk after chunk."""
        return [self.run(task) for task in tasks]

    def run(self, task: Task) -> Result:
        """Return the profile of a chunk, as `Profile.from_json` takes it."""
        name = task.collection.name
        profile = Profile(paths=self._paths, shape=self._shapes.get(name))
        chunk = task.read("")
        offsets = [offset for offset, _ in chunk.documents]
        profile.add_all([raw for _, raw in chunk.documents], offsets)
        for run in chunk.runs:
            profile.add_invalid(run.offset)
        self._shapes[name] = profile.shape
        return profile.as_json()


def profile_dump(
    dump: Dump, workers: Workers, *, chunk_bytes: int, paths: int, log: Log, progress: OnProgress
) -> dict[str, Profile]:
    """Return the profile of each collection, the same with any number of workers.

    Raises:
        SourceError: a file cannot be read.
    """
    profiles = {collection.name: Profile(paths=paths) for collection in dump.collections}
    workers.begin(ProfileWork(paths))
    is_read = workers.count == 1
    tasks = (
        list_tasks(collection, chunk_bytes, {}, is_read=is_read, restart_hint="")
        for collection in dump.collections
    )
    for task, result in workers.run(chain.from_iterable(tasks)):
        profile = profiles[task.collection.name]
        if task.is_end:
            log(f"{task.collection.name}: {task.collection.size:,} bytes read")
        else:
            profile.merge(Profile.from_json(result))
            progress(task.progress("infer", profile.documents + profile.invalid))
    return profiles
