"""Profiles of a source's collections, chunk by chunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import lru_cache
from itertools import chain

from assise.infer.composites import Composites, IndexFields, make_finder
from assise.infer.joins import Joins
from assise.infer.metadata import read_metadata
from assise.infer.names import is_reference_name, name_things
from assise.infer.profile import Profile
from assise.mongo.chunks import Chunk
from assise.mongo.opening import rebuild_source
from assise.mongo.source import CollectionKind, LiveSource, Source, find_collections
from assise.progress import Log, OnProgress
from assise.transfer.report import describe_guesses
from assise.transfer.workers.pool import Workers
from assise.transfer.workers.task import Recorded, Result, Task, list_tasks
from assise.wording import escape

SAMPLED_FROM = 1_000_000
"""A live collection with more documents is read by a sample, where one is asked for."""


class ProfileWork:
    """Profiles chunks; at most `paths` paths of each.

    `targets` are the fields whose values identify documents, by collection, `composites` those of
    unique indexes of several, `unique` the paths of all unique indexes.
    """

    def __init__(
        self,
        source: Source,
        paths: int,
        *,
        targets: Mapping[str, Sequence[str]],
        composites: Mapping[str, Sequence[IndexFields]],
        unique: Mapping[str, Sequence[str]],
    ) -> None:
        self._source, self._paths, self._targets = source, paths, targets
        self._composites, self._unique = composites, unique
        self._finders = {name: make_finder(composites, name) for name in targets}
        self._things = name_things(targets)
        self._classes = frozenset(name.encode() for name in targets)
        self._is_named = lru_cache(maxsize=10_000)(self._find_named)

    def describe(self) -> Result:
        """Name the work, its source and its limit."""
        facts = {
            "paths": self._paths,
            "targets": self._targets,
            "composites": self._composites,
            "unique": self._unique,
        }
        return {"work": "profile", "source": self._source.describe(), **facts}

    def cancel(self) -> None:
        """Do nothing: it waits for no server."""

    def run_all(self, tasks: Sequence[Task]) -> list[Result]:
        """Do chunk after chunk."""
        return [self.run(task) for task in tasks]

    def run(self, task: Task) -> Result:
        """Return the profile of a chunk, as `Profile.from_json` takes it."""
        name = task.collection.name
        joins = Joins(self._targets[name], self._is_named, self._classes)
        composites = Composites(self._composites[name], self._finders[name], self._unique[name])
        profile = Profile(paths=self._paths, joins=joins, composites=composites)
        guesses = Counter[str]()
        for chunk in self._read(task):
            guesses.update(chunk.guesses)
            offsets = [offset for offset, _ in chunk.documents]
            profile.add_all([raw for _, raw in chunk.documents], offsets)
            for run in chunk.runs:
                profile.add_invalid(run.offset)
        return {**profile.as_json(), "guesses": dict(guesses)}

    def _read(self, task: Task) -> Iterable[Chunk]:
        if isinstance(self._source, LiveSource) and task.chunk is None:
            return self._source.read_parts(task.collection.name, task.start, task.stop)
        return [task.read(self._source, "")]

    def _find_named(self, key: str) -> bool:
        """Return whether the name of a field says that it refers to documents of a collection."""
        return any(
            is_reference_name(key, self._things[collection], field)
            for collection, fields in self._targets.items()
            for field in fields
        )


def make_work(description: Result, _session: ExitStack) -> ProfileWork:
    """Make the work of a worker process anew."""
    source = rebuild_source(description["source"])
    composites = {
        name: [tuple(fields) for fields in each] for name, each in description["composites"].items()
    }
    return ProfileWork(
        source,
        description["paths"],
        targets=description["targets"],
        composites=composites,
        unique=description["unique"],
    )


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
    contents = {each.name: each.content for each in source.collections}
    profiles = {
        name: Profile(paths=paths)
        for name, content in contents.items()
        if content is not CollectionKind.BUCKETS
    }
    for name, profile in profiles.items():
        profile.metadata = read_metadata(source.read_metadata(name))
        profile.is_series = contents[name] is CollectionKind.MEASUREMENTS
    sampled = _choose_sampled(source) if sample else {}
    for name in sampled:
        profiles[name].metadata = profiles[name].metadata.without_rules
    targets = {name: profile.metadata.targets for name, profile in profiles.items()}
    guesses = {name: Counter[str]() for name in profiles}
    composites = {name: profile.metadata.composites for name, profile in profiles.items()}
    unique = {name: profile.metadata.unique for name, profile in profiles.items()}
    work = ProfileWork(source, paths, targets=targets, composites=composites, unique=unique)
    workers.begin(work)
    is_read = workers.count == 1
    recorded: Recorded = {name: {} for name in profiles if name not in sampled}
    tasks = list_tasks(source, chunk_bytes, recorded, is_read=is_read, restart_hint="")
    for name, count in sampled.items():
        log(f"{escape(name)}: {sample:,} of {count:,} documents are read, drawn at random")
        tasks = chain(tasks, _sample_tasks(source, name, sample or 0))
    for task, result in workers.run(tasks):
        profile = profiles[task.collection.name]
        if task.is_end and task.collection.name not in sampled:
            name = task.collection.name
            if contents[name] is not CollectionKind.REST:
                log(f"{escape(name)}: {task.collection.size:,} bytes read")
            for line in (*describe_guesses(name, guesses[name]), *task.problems) if says else ():
                log(line)
        elif not task.is_end:
            profile.merge(Profile.from_json(result))
            guesses[task.collection.name].update(result["guesses"])
            progress(task.progress("infer", profile.documents + profile.invalid))
    return {
        name: profile
        for name, profile in profiles.items()
        if contents[name] is not CollectionKind.REST or profile.documents + profile.invalid
    }


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
