"""Profiles of a source's collections, chunk by chunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache

from assise.documents.shape import Shape
from assise.infer.joins import Joins
from assise.infer.names import is_reference_name
from assise.infer.profile import Profile
from assise.mongo.source import Source
from assise.progress import Log, OnProgress
from assise.transfer.report import describe_guesses
from assise.transfer.workers.pool import Workers
from assise.transfer.workers.task import Recorded, Result, Task, list_tasks


class ProfileWork:
    """Profiles chunks; at most `paths` paths of each.

    `targets` are the fields whose values identify documents, by collection.
    """

    def __init__(self, source: Source, paths: int, targets: Mapping[str, Sequence[str]]) -> None:
        self._source, self._paths, self._targets = source, paths, targets
        self._is_named = lru_cache(maxsize=10_000)(self._find_named)
        self._shapes: dict[str, Shape | None] = {}

    def describe(self) -> Result:
        """Name the work, its source and its limit."""
        facts = {"paths": self._paths, "targets": self._targets}
        return {"work": "profile", "source": self._source.describe(), **facts}

    def run_all(self, tasks: Sequence[Task]) -> list[Result]:
        """Do chunk after chunk."""
        return [self.run(task) for task in tasks]

    def run(self, task: Task) -> Result:
        """Return the profile of a chunk, as `Profile.from_json` takes it."""
        name = task.collection.name
        joins = Joins(self._targets[name], self._is_named)
        profile = Profile(paths=self._paths, shape=self._shapes.get(name), joins=joins)
        chunk = task.read(self._source, "")
        offsets = [offset for offset, _ in chunk.documents]
        profile.add_all([raw for _, raw in chunk.documents], offsets)
        for run in chunk.runs:
            profile.add_invalid(run.offset)
        self._shapes[name] = profile.shape
        return {**profile.as_json(), "guesses": dict(chunk.guesses)}

    def _find_named(self, key: str) -> bool:
        """Return whether the name of a field says that it refers to documents of a collection."""
        return any(
            is_reference_name(key, collection, field)
            for collection, fields in self._targets.items()
            for field in fields
        )


def profile_source(
    source: Source,
    workers: Workers,
    *,
    targets: Mapping[str, Sequence[str]],
    chunk_bytes: int,
    paths: int,
    log: Log,
    progress: OnProgress,
    says: bool = True,
) -> dict[str, Profile]:
    """Return the profile of each collection, the same with any number of workers.

    With `says` what had to be guessed in the source is logged; a load says it too.

    Raises:
        SourceError: a file cannot be read.
    """
    profiles = {collection.name: Profile(paths=paths) for collection in source.collections}
    guesses = {name: Counter[str]() for name in profiles}
    workers.begin(ProfileWork(source, paths, targets))
    is_read = workers.count == 1
    recorded: Recorded = {name: {} for name in profiles}
    tasks = list_tasks(source, chunk_bytes, recorded, is_read=is_read, restart_hint="")
    for task, result in workers.run(tasks):
        profile = profiles[task.collection.name]
        if task.is_end:
            name = task.collection.name
            log(f"{name}: {task.collection.size:,} bytes read")
            for line in (*describe_guesses(name, guesses[name]), *task.problems) if says else ():
                log(line)
        else:
            profile.merge(Profile.from_json(result))
            guesses[task.collection.name].update(result["guesses"])
            progress(task.progress("infer", profile.documents + profile.invalid))
    return profiles
