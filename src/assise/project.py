"""Project: what operators do with a manifest and its data. Its verbs are the commands.

Each verb imports what does its work.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace as change
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from assise.manifest.sections.servers import MAIN
from assise.mongo.source import NO_OPTIONS, SourceOptions
from assise.postgres.connection import Connection
from assise.postgres.conninfo import describe
from assise.progress import Log, OnProgress
from assise.workspace import Confirm, Workspace, find_manifest, keep_silent, read_sql, refuse

if TYPE_CHECKING:
    from assise.access.explain import AccessVerbs
    from assise.analytics.verbs import AnalyticsVerbs
    from assise.audit.verbs import AuditVerbs
    from assise.cache.hours import RedisHours
    from assise.cache.inspect import RedisVerbs
    from assise.cache.operator import CacheVerbs
    from assise.collections.verbs import CollectionVerbs
    from assise.identity.mirror import IdentityVerbs
    from assise.infer.fields import Ids
    from assise.infer.propose import Proposal
    from assise.manifest.model import Manifest
    from assise.manifest.sections.postgres import RoleName
    from assise.partitions.verbs import PartitionVerbs
    from assise.postgres.embedded import Embedded
    from assise.postgres.sync import SyncSession
    from assise.revisions.verbs import RevisionVerbs
    from assise.search.verbs import SearchVerbs
    from assise.transfer.export import Exported, Write
    from assise.transfer.kept_rejects import Reject
    from assise.transfer.repair import Repair
    from assise.transfer.report import Plan, Report
    from assise.transfer.undo import Undo
    from assise.worker.work import WorkReport

P = ParamSpec("P")
R = TypeVar("R")

_OLD_KEYWORDS = {"agree": "confirm", "talk": "log", "watch": "progress"}


def _takes_old_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Accept the names that some keywords had before."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for old in _OLD_KEYWORDS.keys() & kwargs.keys():
            kwargs[_OLD_KEYWORDS[old]] = kwargs.pop(old)
        return function(*args, **kwargs)

    return call


class Project:
    """A manifest, and beside it the folder `.assise`; for one thread at a time.

    >>> from assise import Project
    >>> project = Project()
    >>> report = project.migrate("dump/app")
    >>> report.documents, report.loaded, report.rejected
    (801, 800, 1)
    >>> report.verified
    Verified(equal=800, different=0, missing=0, extra=0)
    >>> [(reject.collection, reject.offset, reject.detail) for reject in project.rejects()]
    [('projects', 87390, 'a document with the same _id is loaded already')]

    >>> manifest = project.manifest
    >>> [*manifest.tables], manifest.tables["users"].columns["full_name"].type
    (['projects', 'project_files', 'users'], 'text')
    >>> with project.connect(manifest) as connection:
    ...     connection.execute("SELECT email FROM users ORDER BY id LIMIT 1")
    [('user0@example.org',)]

    >>> from bson import decode
    >>> documents = []
    >>> project.export("users", documents.append).documents
    300
    >>> decode(documents[0])["email"]
    'user0@example.org'

    >>> project.undo(confirm=lambda question: True).is_done
    True
    >>> project.verify()
    Traceback (most recent call last):
    assise.errors.UsageError: nothing of 'app' is loaded in postgresql:///app...
    `assise load SOURCE` loads it.
    >>> project.embedded.stop()
    True

    Args:
        manifest: path of `assise.yaml`, or the folder that it lies in or will lie in.
        to: a PostgreSQL URL that takes the place of the manifest's.
        settings: values of `assise.settings.SETTINGS` by name, before those of the environment.
        log: gets a line for people now and then.
        progress: gets the progress of infer, load and verify, chunk by chunk.
    """

    @_takes_old_keywords
    def __init__(
        self,
        manifest: Path | str = ".",
        *,
        to: str | None = None,
        settings: Mapping[str, object] | None = None,
        log: Log = keep_silent,
        progress: OnProgress = keep_silent,
    ) -> None:
        from assise.parts import add_woven, find_owner, list_additions, list_checks

        path = find_manifest(manifest)
        self.workspace = Workspace(
            path,
            to,
            settings or {},
            log=log,
            progress=progress,
            additions=list_additions(),
            add_woven=add_woven,
            checks=list_checks(),
            owner=find_owner(),
        )

    def _asking(self, confirm: Confirm) -> Workspace:
        return change(self.workspace, confirm=confirm)

    @property
    def path(self) -> Path:
        """The manifest's path."""
        return self.workspace.path

    @property
    def embedded(self) -> Embedded:
        """The embedded server beside the manifest."""
        return self.workspace.embedded

    @property
    def manifest(self) -> Manifest:
        """The manifest with the tables of the server `main`, read anew.

        Raises:
            UsageError: there is none yet. ManifestError: it cannot be used.
        """
        return self.workspace.manifest()

    def connect(self, manifest: Manifest) -> Connection:
        """Connect to the target; the embedded server is started when it is the target."""
        return self.workspace.connect(manifest)

    def session(
        self,
        *,
        user_id: object = None,
        tenant_id: object = None,
        role: RoleName = "app",
        on: str = MAIN,
        reason: str = "",
    ) -> AbstractContextManager[SyncSession]:
        """One transaction with the rights of a user, as a context manager: `App.session`, in sync.

        It has a connection of its own. It is committed at the end of the block, and rolled back by
        an exception. `on` is another server of the manifest.

        Raises:
            UsageError: there is no such role or server, or it has no URL. TargetError: the server
            cannot be reached, or no rule binds the role.
        """
        from assise.postgres.sync import open_session

        manifest = self.manifest
        rights = self.workspace.rights(manifest, role, on=on)
        rights = rights._replace(user_id=user_id, tenant_id=tenant_id, reason=reason)
        conninfo = self.workspace.login(manifest, role, on=on)
        is_bound = on == MAIN or role == "app"
        return open_session(conninfo, describe(conninfo), rights, is_bound=is_bound)

    @property
    def access(self) -> AccessVerbs:
        """Who may see what: `check` and `explain`."""
        from assise.access.explain import AccessVerbs
        from assise.transfer.finished import open_loaded

        return AccessVerbs(self.workspace, partial(open_loaded, self.workspace))

    @property
    def search(self) -> SearchVerbs:
        """Search: `query`, `explain`, `build`, `status` and `check`."""
        from assise.search.verbs import SearchVerbs
        from assise.transfer.finished import open_loaded

        return SearchVerbs(self.workspace, partial(open_loaded, self.workspace))

    def revisions(self, *, scratch: str | None = None, confirm: Confirm = refuse) -> RevisionVerbs:
        """Revisions of the schema: `diff`, `revise`, `apply`, `revert`, `status`, `lint`, `mark`.

        Args:
            scratch: the URL of a server on which databases may be made for a moment.
            confirm: is asked before a revision closes the load.
        """
        from assise.access.rules import note_revised
        from assise.audit.tables import follow
        from assise.parts import list_beside, list_readers
        from assise.revisions.verbs import RevisionVerbs
        from assise.transfer.finished import adopt, open_target

        workspace = self._asking(confirm)
        opened = partial(open_target, workspace)
        facts = (workspace, opened, partial(adopt, workspace), note_revised, follow)
        return RevisionVerbs(*facts, list_beside, list_readers, scratch)

    @property
    def mongo(self) -> CollectionVerbs:
        """Collections that stay in MongoDB: `diff`, `ensure`, `explain`, `slow` and `indexes`."""
        from assise.collections.verbs import CollectionVerbs

        return CollectionVerbs(self.workspace)

    @property
    def audit(self) -> AuditVerbs:
        """Who changed which row: `log`, `check` and `head`."""
        from assise.audit.verbs import AuditVerbs
        from assise.transfer.finished import open_loaded

        return AuditVerbs(partial(open_loaded, self.workspace))

    @property
    def partitions(self) -> PartitionVerbs:
        """Tables that are cut by time: `run` and `status`."""
        from assise.partitions.verbs import PartitionVerbs
        from assise.transfer.finished import open_target

        return PartitionVerbs(self.workspace, partial(open_target, self.workspace))

    @property
    def cache(self) -> CacheVerbs:
        """The verbs of `assise cache`."""
        from assise.cache.operator import CacheVerbs

        return CacheVerbs(self.workspace)

    @property
    def redis(self) -> RedisVerbs:
        """The verbs of `assise redis`."""
        from assise.cache.inspect import RedisVerbs

        return RedisVerbs(self.workspace)

    @property
    def analytics(self) -> AnalyticsVerbs:
        """What events and revenue amount to: `read`, `check` and `revenue`."""
        from assise.analytics.verbs import AnalyticsVerbs
        from assise.transfer.finished import open_loaded

        opened = partial(open_loaded, self.workspace)
        return AnalyticsVerbs(self.workspace, opened, self._read_performance)

    def _read_performance(self) -> Mapping[str, float | None]:
        """What applications have measured, where they share a Redis that answers."""
        from assise.cache.hours import read_shared
        from assise.monitor.verbs import AppMonitor

        def make(hours: RedisHours) -> AppMonitor:
            return AppMonitor(find_pools=list, find_cache=lambda: None, hours=hours)

        return read_shared(self.workspace, lambda hours: make(hours).performance_metrics())

    @property
    def identity(self) -> IdentityVerbs:
        """The verbs of `assise identity`."""
        from assise.identity.mirror import IdentityVerbs

        return IdentityVerbs(self.workspace)

    def infer(
        self,
        source: Path | str,
        options: SourceOptions = NO_OPTIONS,
        *,
        name: str | None = None,
        ids: Ids = "uuid",
        sample: int | None = None,
    ) -> Proposal:
        """Read every document of a source and propose a manifest; nothing is written.

        Args:
            source: a path, or the URL of a MongoDB.
            options: which database and collections, and how they are read.
            name: that of the manifest; without it, the name of the database or file.
            ids: what keys of ObjectIds become.
            sample: of a live collection of over a million documents read this many, drawn at
                random.
        """
        from assise.transfer import migration

        return migration.infer(self.workspace, source, options, name=name, ids=ids, sample=sample)

    def write_manifest(self, proposal: Proposal, path: Path | None = None) -> Path:
        """Write a proposal to a new file, and the JSON Schema for editors to `.assise`.

        Raises:
            UsageError: the file exists. AssiseError: it cannot be written.
        """
        from assise.transfer import migration

        return migration.write_manifest(self.workspace, proposal, path)

    @_takes_old_keywords
    def migrate(
        self,
        source: Path | str | None = None,
        options: SourceOptions = NO_OPTIONS,
        *,
        name: str | None = None,
        ids: Ids = "uuid",
        sample: int | None = None,
        confirm: Confirm = refuse,
    ) -> Report:
        """Infer where there is no manifest, load, verify; `sample` is that of `infer`.

        Without a source that of the load goes on; a manifest without collections needs none.
        """
        from assise.transfer import migration

        workspace = self._asking(confirm)
        return migration.migrate(workspace, source, options, name=name, ids=ids, sample=sample)

    def plan(
        self,
        source: Path | str | None,
        manifest: Manifest | None = None,
        options: SourceOptions = NO_OPTIONS,
    ) -> Plan:
        """Say what a load of `source` would do, and how long it would take, from samples.

        Nothing is written, the embedded server is not started.
        """
        from assise.transfer import migration

        return migration.plan(self.workspace, source, options, manifest=manifest)

    @_takes_old_keywords
    def load(
        self,
        source: Path | str | None = None,
        options: SourceOptions = NO_OPTIONS,
        *,
        confirm: Confirm = refuse,
    ) -> Report:
        """Load what is not loaded yet; done already, it changes nothing.

        Without `source` the one of the load goes on.

        Raises:
            ChangedError: source or manifest have changed since the load began.
            TargetError, SourceError: the same call continues where it stopped.
        """
        from assise.transfer import migration

        return migration.load(self._asking(confirm), source, options)

    def verify(self, source: Path | str | None = None, *, sample: int | None = None) -> Report:
        """Compare every document of the source with what the target gives back.

        Args:
            source: where it lies now; without it, where it lay when it was loaded.
            sample: compare this many documents of each collection, drawn at random, and all
                numbers of rows.

        Raises:
            UsageError: nothing is loaded yet, or not all of it.
            ChangedError: the source has changed since the load.
        """
        from assise.transfer import migration

        return migration.verify(self.workspace, source, sample=sample)

    @_takes_old_keywords
    def repair(
        self,
        source: Path | str | None = None,
        *,
        replace: Collection[str] = (),
        confirm: Confirm = refuse,
        dry_run: bool = False,
    ) -> Repair:
        """Verify, write what differs or is missing as the source has it, and verify again.

        All of it is written, or nothing.

        Args:
            source: where it lies now; without it, where it lay when it was loaded.
            replace: tables whose changed and extra rows may be discarded.
            confirm: is asked whatever the target is, with what would be written.
            dry_run: only say what would be written; `Repair.check` then raises if it would be
                refused.

        Raises:
            EditedError: rows were changed since the load, or come from no document.
            DependentError: rows of other tables refer to one that goes.
        """
        from assise.transfer import migration

        workspace = self._asking(confirm)
        return migration.repair(workspace, source, replace=replace, dry_run=dry_run)

    @_takes_old_keywords
    def undo(
        self, *, replace: Collection[str] = (), confirm: Confirm = refuse, dry_run: bool = False
    ) -> Undo:
        """Drop exactly what the load created, finished or not.

        Where nothing is loaded, the result is empty.

        Args:
            replace: tables whose edits since the load may be discarded.
            confirm: is asked whatever the target is.
            dry_run: only say what would be dropped; `Undo.check` then raises if it would be
                refused.

        Raises:
            EditedError: rows or tables were edited since the load.
            DependentError: another object depends on a table.
        """
        from assise.transfer import migration

        return migration.undo(self._asking(confirm), replace=replace, dry_run=dry_run)

    def export(self, collection: str, write: Write) -> Exported:
        """Give each document of a collection, as its rows are now, to `write` as raw BSON.

        Rejects are not among them.

        Raises:
            UsageError: nothing is loaded, not all of it, or no such collection.
        """
        from assise.transfer import migration

        return migration.export_documents(self.workspace, collection, write)

    def export_folder(self, folder: Path | str, collection: str | None = None) -> list[Exported]:
        """Write all collections, or one, as mongorestore reads them, rejects included.

        All of the files are written, or none.

        Raises:
            UsageError: as `export`; a file exists. AssiseError: a file cannot be written.
        """
        from assise.transfer import migration

        return migration.export_folder(self.workspace, folder, collection)

    def rejects(self) -> list[Reject]:
        """List the rejects of the load."""
        from assise.transfer import migration

        return migration.rejects(self.workspace)

    def reject_bytes(self, collection: str, offset: int) -> bytes:
        """Return the bytes of one reject, as far as they are kept."""
        from assise.transfer import migration

        return migration.reject_bytes(self.workspace, collection, offset)

    def schema_sql(self, *, on: str = MAIN) -> str:
        """Write what a load creates as SQL text, for the schema public; no server is asked.

        Of another server: what `identity.repair` makes there.

        Raises:
            UsageError: there is no such server, or the manifest makes nothing there.
        """
        from assise.identity.mirror import write_script
        from assise.schema.script import script_all

        if on != MAIN:
            return write_script(self.workspace.whole_manifest(), on)
        manifest = self.manifest
        return script_all(manifest, "public", read_sql(self.path, manifest))

    def schema_diagram(self) -> str:
        """Draw the manifest's tables and their references as Mermaid; no server is asked."""
        from assise.schema.diagram import write_diagram

        return write_diagram(self.manifest)

    def schema_models(self) -> str:
        """Write the tables as they are in the target as classes of SQLAlchemy 2.

        Raises:
            MissingExtraError: the extra `schema` is not installed.
            UsageError: a table of the manifest is not there.
        """
        from assise.postgres.models import write_models

        manifest = self.manifest
        with self.connect(manifest) as connection:
            return write_models(connection, list(manifest.tables))

    def work(self, *, is_once: bool = False) -> WorkReport:
        """Run the jobs of the manifest when they are due, until a signal; once: all of them now.

        Raises:
            MissingExtraError: the extra `jobs` is not installed.
            UsageError: nothing is loaded, or no table asks for a job.
            TargetError: the server cannot be reached when it begins.
        """
        from assise.parts import list_jobs
        from assise.transfer.finished import open_loaded
        from assise.worker.work import work

        return work(self.workspace, open_loaded=open_loaded, list_jobs=list_jobs, is_once=is_once)
