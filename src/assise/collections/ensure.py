"""Collections made as the manifest says: one step after the other, and nothing lost by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from assise.collections.examine import examine
from assise.collections.plan import Act, MongoChange, Standing, plan_collections, read_standing
from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.mongo_collections import COLLECTIONS
from assise.mongo.commands import MongoDatabase
from assise.progress import Log
from assise.wording import nearest

State = Literal["to do", "done", "blocked", "needs --drop", "needs --yes"]


@dataclass(frozen=True)
class Difference:
    """What a collection lacks, or has too much, and what became of it.

    why: what the documents say to it, such as values that are not unique.
    """

    collection: str
    act: Act
    words: str
    state: State
    why: tuple[str, ...] = ()


def find_steps(
    manifest: Manifest, database: MongoDatabase, only: Sequence[str] | None = None
) -> list[MongoChange]:
    """The steps that make the server's collections as the manifest says; nothing is changed.

    Raises:
        UsageError: no collection stays, or one of `only` does not.
        CollectionError: the server cannot be asked.
    """
    kept = COLLECTIONS.of(manifest) or {}
    if not kept:
        remedy = "Write collections: {NAME: {indexes: […]}}."
        raise UsageError("no collection of the manifest stays in MongoDB", remedy=remedy)
    for name in only or ():
        if name not in kept:
            raise UsageError(f"the manifest has no collection {name!r}", remedy=nearest(name, kept))
    infos = database.list_collections()
    standing = {name: _read(name, infos.get(name), database) for name in kept}
    steps = plan_collections(manifest, standing, database.read_version())
    return [
        examine(step, manifest, database) for step in steps if step.collection in (only or kept)
    ]


def _read(name: str, info: dict[str, object] | None, database: MongoDatabase) -> Standing:
    is_listed = info is not None and info.get("type") != "view"
    return read_standing(info, database.list_indexes(name) if is_listed else [])


def judge(step: MongoChange, *, drop: bool, yes: bool) -> State:
    """Whether a step may be done."""
    if step.is_blocked:
        return "blocked"
    if "drop" in step.needs and not drop:
        return "needs --drop"
    return "needs --yes" if "yes" in step.needs and not yes else "to do"


def describe(step: MongoChange, state: State) -> Difference:
    """A step for people."""
    return Difference(step.collection, step.act, step.words, state, step.why)


def apply_steps(
    steps: Sequence[MongoChange], database: MongoDatabase, *, drop: bool, yes: bool, log: Log
) -> list[Difference]:
    """Do the steps that may be done, one at a time; what a stopped call did stays done.

    Raises:
        CollectionError: the server refuses one; those before it are done.
    """
    found: list[Difference] = []
    for step in steps:
        state = judge(step, drop=drop, yes=yes)
        if state == "to do":
            for command in step.commands:
                database.run(command)
            state = "done"
            log(f"{step.collection}: {step.act} done")
        found.append(describe(step, state))
    return found
