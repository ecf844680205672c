"""Profiles of a dump's collections, chunk by chunk."""

from __future__ import annotations

from itertools import chain

from assise.documents.shape import Shape
from assise.infer.profile import Profile
from assise.mongo.dump import Dump
from assise.progress import Log, OnProgress
from assise.transfer.pool import Workers
from assise.transfer.tasks import Result, Task, list_tasks


class ProfileWork:
    """Profiles chunks; at most `paths` paths of each."""

    def __init__(self, paths: int) -> None:
        self._paths = paths
        self._shapes: dict[str, Shape | None] = {}

    def run(self, task: Task) -> Result:
        """The profile of a chunk, as `Profile.from_json` takes it."""
        name = task.collection.name
        profile = Profile(paths=self._paths, shape=self._shapes.get(name))
        chunk = task.read("")
        profile.add_all(
            [raw for _, raw in chunk.documents], [offset for offset, _ in chunk.documents]
        )
        for run in chunk.runs:
            profile.add_invalid(run.offset)
        self._shapes[name] = profile.shape
        return profile.as_json()


def profile_dump(
    dump: Dump, workers: Workers, *, chunk_bytes: int, paths: int, log: Log, progress: OnProgress
) -> dict[str, Profile]:
    """The profile of each collection, the same whoever works on it.

    Raises:
        SourceError: a file cannot be read.
    """
    profiles = {collection.name: Profile(paths=paths) for collection in dump.collections}
    workers.begin(lambda: ProfileWork(paths), lambda: {"work": "profile", "paths": paths})
    is_read = workers.count == 1
    for task, result in workers.run(
        chain.from_iterable(
            list_tasks(each, chunk_bytes, {}, is_read=is_read, afresh="")
            for each in dump.collections
        )
    ):
        profile = profiles[task.collection.name]
        if task.is_end:
            log(f"{task.collection.name}: {task.collection.size:,} bytes read")
        else:
            profile.merge(Profile.from_json(result))
            progress(task.progress("infer", profile.documents + profile.invalid))
    return profiles
