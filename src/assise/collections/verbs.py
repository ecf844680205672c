"""The verbs of `assise mongo` for operators."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from assise.collections.ensure import Difference, apply_steps, describe, find_steps, judge
from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.mongo.commands import MongoDatabase
from assise.wording import count_of
from assise.workspace import CONFIRM, Confirm, Workspace, refuse


@dataclass(frozen=True)
class CollectionVerbs:
    """The verbs of `assise mongo`, on the MongoDB of the manifest."""

    workspace: Workspace

    def diff(self, only: Sequence[str] | None = None) -> list[Difference]:
        """Say how the collections differ from the manifest, and what stands against a change.

        Raises:
            UsageError: there is no URL, or no such collection.
            CollectionError: the server cannot be asked.
        """
        with self.open_database() as (manifest, database):
            steps = find_steps(manifest, database, only)
            return [describe(step, judge(step, drop=False, yes=False)) for step in steps]

    def ensure(
        self,
        only: Sequence[str] | None = None,
        *,
        drop: bool = False,
        yes: bool = False,
        confirm: Confirm = refuse,
    ) -> list[Difference]:
        """Make collections, validators and indexes as the manifest says, one at a time.

        Args:
            drop: what the manifest does not have is hidden, and what is hidden already dropped.
            yes: accounts may be deleted by their time.
            confirm: is asked when the plan was logged.

        Raises:
            UsageError: there is no URL, no such collection, or nobody confirmed.
            CollectionError: the server refuses; what was done before stays done.
        """
        workspace = self.workspace
        with self.open_database() as (manifest, database):
            steps = find_steps(manifest, database, only)
            wanted = [step for step in steps if judge(step, drop=drop, yes=yes) == "to do"]
            for step in wanted:
                workspace.log("\n  ".join([f"{step.collection}: {step.words}", *step.why]))
            what = f"{count_of(len(wanted), 'change')} to database {database.name}"
            if wanted and not confirm(f"{what} of {database.address}"):
                raise UsageError(f"not confirmed: {what}", remedy=CONFIRM)
            return apply_steps(steps, database, drop=drop, yes=yes, log=workspace.log)

    @contextmanager
    def open_database(self) -> Iterator[tuple[Manifest, MongoDatabase]]:
        """The manifest and its MongoDB, until the block ends.

        Raises:
            UsageError: there is no URL, or it names no database.
        """
        manifest = self.workspace.whole_manifest()
        address = self.workspace.mongo_address(manifest)
        database = MongoDatabase(address.url, address.database)
        try:
            yield manifest, database
        finally:
            database.close()
