"""Profiles of a dump's collections, chunk by chunk."""

from __future__ import annotations

from itertools import chain

from assise.infer.profile import Profile
from assise.mongo.dump import Dump
from assise.transfer.pool import Inline, Pool
from assise.transfer.tasks import Result, Talk, Task, Watch, list_tasks


class ProfileWork:
    """Profiles chunks; at most `paths` paths of each."""

    def __init__(self, paths: int) -> None:
        self._paths = paths

    def run(self, task: Task) -> Result:
        """The profile of a chunk, as `Profile.from_json` takes it."""
        profile = Profile(paths=self._paths)
        documents = task.read("").documents
        profile.add_all([raw for _, raw in documents], [offset for offset, _ in documents])
        return profile.as_json()


def profile_dump(dump: Dump, *, chunk_bytes: int, paths: int, workers: int, talk: Talk, watch: Watch) -> dict[str, Profile]:
    """The profile of each collection, however many workers make it.

    Raises:
        SourceError: a file cannot be read.
    """
    profiles = {collection.name: Profile(paths=paths) for collection in dump.collections}
    tasks = chain.from_iterable(list_tasks(collection, chunk_bytes, None, is_read=workers == 1, afresh="") for collection in dump.collections)
    with Pool(workers, {"work": "profile", "paths": paths}) if workers > 1 else Inline(ProfileWork(paths)) as pool:
        for task, result in pool.run(tasks):
            if task.is_end:
                talk(f"{task.collection.name}: {task.collection.size:,} bytes read")
            else:
                profile = profiles[task.collection.name]
                profile.merge(Profile.from_json(result))
                watch(task.progress("infer", profile.documents + profile.invalid))
    return profiles
