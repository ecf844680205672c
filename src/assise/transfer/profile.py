"""Profiles of a dump's collections, chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain

from assise.documents.shape import Shape
from assise.infer.joins import Joins
from assise.infer.names import is_reference_name
from assise.infer.profile import Profile
from assise.mongo.dump import Dump
from assise.progress import Log, OnProgress
from assise.transfer.workers.pool import Workers
from assise.transfer.workers.task import Result, Task, list_tasks


class ProfileWork:
    """Profiles chunks; at most `paths` paths of each.

    `targets` are the fields whose values identify documents, by collection.
    """

    def __init__(self, paths: int, targets: Mapping[str, Sequence[str]]) -> None:
        self._paths, self._targets = paths, targets
        self._is_named = lru_cache(maxsize=10_000)(self._find_named)
        self._shapes: dict[str, Shape | None] = {}

    def describe(self) -> Result:
        """Name the work and its limit."""
        return {"work": "profile", "paths": self._paths, "targets": self._targets}

    def run_all(self, tasks: Sequence[Task]) -> list[Result]:
        """Do chunk after chunk."""
        return [self.run(task) for task in tasks]

    def run(self, task: Task) -> Result:
        """Return the profile of a chunk, as `Profile.from_json` takes it."""
        name = task.collection.name
        joins = Joins(self._targets[name], self._is_named)
        profile = Profile(paths=self._paths, shape=self._shapes.get(name), joins=joins)
        chunk = task.read("")
        offsets = [offset for offset, _ in chunk.documents]
        profile.add_all([raw for _, raw in chunk.documents], offsets)
        for run in chunk.runs:
            profile.add_invalid(run.offset)
        self._shapes[name] = profile.shape
        return profile.as_json()

    def _find_named(self, key: str) -> bool:
        """Return whether the name of a field says that it refers to documents of a collection."""
        return any(
            is_reference_name(key, collection, field)
            for collection, fields in self._targets.items()
            for field in fields
        )


def profile_dump(
    dump: Dump,
    workers: Workers,
    *,
    targets: Mapping[str, Sequence[str]],
    chunk_bytes: int,
    paths: int,
    log: Log,
    progress: OnProgress,
) -> dict[str, Profile]:
    """Return the profile of each collection, the same with any number of workers.

    Raises:
        SourceError: a file cannot be read.
    """
    profiles = {collection.name: Profile(paths=paths) for collection in dump.collections}
    workers.begin(ProfileWork(paths, targets))
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
