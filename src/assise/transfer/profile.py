"""Profiles of a dump's collections, chunk by chunk."""

from __future__ import annotations

from itertools import chain

from assise.documents.shape import Shape
from assise.infer.profile import Profile
from assise.mongo.dump import Dump
from assise.transfer.pool import Crew
from assise.transfer.tasks import Result, Talk, Task, Watch, list_tasks


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
        profile.add_all([raw for _, raw in chunk.documents], [offset for offset, _ in chunk.documents])
        for run in chunk.runs:
            profile.add_invalid(run.offset)
        self._shapes[name] = profile.shape
        return profile.as_json()


def profile_dump(dump: Dump, crew: Crew, *, chunk_bytes: int, paths: int, talk: Talk, watch: Watch) -> dict[str, Profile]:
    """The profile of each collection, the same whoever works on it.

    Raises:
        SourceError: a file cannot be read.
    """
    profiles = {collection.name: Profile(paths=paths) for collection in dump.collections}
    crew.begin(lambda: ProfileWork(paths), lambda: {"work": "profile", "paths": paths})
    is_read = crew.count == 1
    for task, result in crew.run(chain.from_iterable(list_tasks(each, chunk_bytes, {}, is_read=is_read, afresh="") for each in dump.collections)):
        profile = profiles[task.collection.name]
        if task.is_end:
            talk(f"{task.collection.name}: {task.collection.size:,} bytes read")
        else:
            profile.merge(Profile.from_json(result))
            watch(task.progress("infer", profile.documents + profile.invalid))
    return profiles
