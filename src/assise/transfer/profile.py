"""Profiles of a source's collections, chunk by chunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from assise.documents.shape import Shape
from assise.infer.profile import Profile
from assise.mongo.chunks import Chunk
from assise.mongo.source import LiveSource, Source, find_collections
from assise.progress import Log, OnProgress
from assise.transfer.report import describe_guesses
from assise.transfer.workers.pool import Workers
from assise.transfer.workers.task import Recorded, Result, Task, list_tasks

SAMPLED_FROM = 1_000_000
"""A live collection with more documents is read by a sample, where one is asked for."""


class ProfileWork:
    """Profiles chunks; at most `paths` paths of each."""

    def __init__(self, source: Source, paths: int) -> None:
        self._source, self._paths = source, paths
        self._shapes: dict[str, Shape | None] = {}

    def describe(self) -> Result:
        """Name the work, its source and its limit."""
        return {"work": "profile", "paths": self._paths, "source": self._source.describe()}

    def run_all(self, tasks: Sequence[Task]) -> list[Result]:
        """Do chunk after chunk."""
        return [self.run(task) for task in tasks]

    def run(self, task: Task) -> Result:
        """Return the profile of a chunk, as `Profile.from_json` takes it."""
        name = task.collection.name
        profile = Profile(paths=self._paths, shape=self._shapes.get(name))
        guesses = Counter[str]()
        for chunk in self._read(task):
            guesses.update(chunk.guesses)
            offsets = [offset for offset, _ in chunk.documents]
            profile.add_all([raw for _, raw in chunk.documents], offsets)
            for run in chunk.runs:
                profile.add_invalid(run.offset)
        self._shapes[name] = profile.shape
        return {**profile.as_json(), "guesses": dict(guesses)}

    def _read(self, task: Task) -> Iterable[Chunk]:
        if isinstance(self._source, LiveSource) and task.chunk is None:
            return self._source.read_parts(task.collection.name, task.start, task.stop)
        return [task.read(self._source, "")]


def profile_source(
    source: Source,
    workers: Workers,
    *,
    chunk_bytes: int,
    paths: int,
    sample: int | None = None,
    log: Log,
    progress: OnProgress,
    says: bool = True,
) -> dict[str, Profile]:
    """Return the profile of each collection, the same with any number of workers.

    Of a large collection of a live source only `sample` documents are read, if that is given.
    With `says` what had to be guessed in the source is logged; a load says it too.

    Raises:
        SourceError: a file cannot be read.
    """
    profiles = {collection.name: Profile(paths=paths) for collection in source.collections}
    guesses = {name: Counter[str]() for name in profiles}
    workers.begin(ProfileWork(source, paths))
    is_read = workers.count == 1
    sampled = _choose_sampled(source) if sample else {}
    recorded: Recorded = {name: {} for name in profiles if name not in sampled}
    tasks = list_tasks(source, chunk_bytes, recorded, is_read=is_read, restart_hint="")
    for name, count in sampled.items():
        log(f"{name}: {sample:,} of {count:,} documents are read, drawn at random")
        tasks = chain(tasks, _sample_tasks(source, name, sample or 0))
    for task, result in workers.run(tasks):
        profile = profiles[task.collection.name]
        if task.is_end and task.collection.name not in sampled:
            name = task.collection.name
            log(f"{name}: {task.collection.size:,} bytes read")
            for line in (*describe_guesses(name, guesses[name]), *task.problems) if says else ():
                log(line)
        elif not task.is_end:
            profile.merge(Profile.from_json(result))
            guesses[task.collection.name].update(result["guesses"])
            progress(task.progress("infer", profile.documents + profile.invalid))
    return profiles


def _choose_sampled(source: Source) -> dict[str, int]:
    """Return the numbers of documents of the collections that are large enough for a sample."""
    if not isinstance(source, LiveSource):
        return {}
    counts = {each.name: source.count(each.name) for each in source.collections}
    return {name: count for name, count in counts.items() if count > SAMPLED_FROM}


def _sample_tasks(source: Source, name: str, count: int) -> Iterator[Task]:
    """Yield documents drawn at random as chunks."""
    if isinstance(source, LiveSource):
        collection = find_collections(source, [name])[name]
        for chunk in source.sample(name, count):
            done = collection.size * chunk.stop // count
            yield Task(collection, chunk.start, chunk.stop, done, chunk)
