"""The verbs of revisions: diff, revise, apply, revert, status, lint and mark."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from assise.errors import AssiseError, ChangedError, UsageError
from assise.files import write_file
from assise.manifest.model import Manifest
from assise.manifest.sections.views import VIEWS
from assise.postgres.connection import Connection
from assise.postgres.partitions import PartitionRun, keep_up_partitions, move_bounds
from assise.postgres.server import check_server
from assise.postgres.snapshot import read_snapshot
from assise.revisions.alembic import IncludeObject, leave_ours
from assise.revisions.applying import (
    Applier,
    Noted,
    check_files,
    hold,
    list_made_schemas,
    list_noted,
    read_noted,
)
from assise.revisions.differences import SchemaDrift, find_drift
from assise.revisions.files import (
    FOLDER,
    Block,
    Revision,
    name_file,
    parse_revision,
    read_folder,
    write_revision,
)
from assise.revisions.lesser import describe_lesser, find_lesser, keep_lesser
from assise.revisions.lint import LintFinding, run_squawk
from assise.revisions.refresh import ViewAge, list_ages
from assise.revisions.statements import plain_name
from assise.revisions.sums import ScratchSums, open_sums, run_blocks
from assise.schema.catalog import CatalogDifference, CatalogItem, Snapshot, compare
from assise.schema.objects import Lesser
from assise.schema.partitions import list_partitionings
from assise.schema.plan import SchemaPlan, plan
from assise.schema.planned import PlannedStep
from assise.schema.renames import (
    list_renames,
    list_table_renames,
    rename_columns,
    rename_tables,
)
from assise.schema.script import SqlText, hash_script, script
from assise.schema.sql import quote_table
from assise.workspace import CONFIRM, LoadedTables, OpenTarget, Workspace, read_sql

SHOWN = 20
"""Differences that an error names."""

MAKE = "once rows are corrected, `assise schema revise TITLE --make NAME` makes such a key"

FIRST = "`assise schema revise start` writes the first."


class NoteRules(Protocol):
    """Notes what revisions have made of the access rules, and whether they have changed some now."""

    def __call__(self, connection: Connection, tables: LoadedTables, *, is_changed: bool) -> None:
        """Note it."""


ListBeside = Callable[[Connection, str], set[tuple[str, str]]]
"""What parts have made for a load beside its schema: table, and kind with name."""


class RevisionState(NamedTuple):
    """A revision and how far a database is with it: `pending`, or what `assise.revision` says."""

    number: int
    title: str
    state: str
    applied_at: str | None


@dataclass(frozen=True)
class RevisionStatus:
    """The revisions, how the database differs from those that it has, and the ages of views."""

    target: str
    revisions: list[RevisionState]
    drift: SchemaDrift
    views: list[ViewAge] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """3 where something differs, or is still to be done."""
        is_behind = any(each.state not in {"applied", "marked"} for each in self.revisions)
        return 3 if is_behind or not self.drift.is_empty else 0


@dataclass(frozen=True)
class Applied:
    """The revisions that were applied or taken back, with the steps that ran."""

    target: str
    steps: dict[str, int] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Open:
    """What the verbs work with: the target, what is loaded there, and sums."""

    connection: Connection
    tables: LoadedTables | None
    manifest: Manifest
    schema: str
    sums: ScratchSums
    revisions: list[Revision]
    texts: list[SqlText]
    list_beside: ListBeside

    @property
    def noted(self) -> list[Noted]:
        """The revisions that the database has."""
        return list_noted(self.connection, self.manifest.name)

    @property
    def hash(self) -> str:
        """The hash of the manifest."""
        return hash_script(self.manifest, self.schema, self.texts)

    @property
    def lesser(self) -> dict[str, Lesser]:
        """The keys that the last revision leaves out."""
        last = self.revisions[-1].lesser if self.revisions else {}
        return keep_lesser(last, self.manifest, self.schema)

    def sum_manifest(self, lesser: Mapping[str, Lesser]) -> Snapshot:
        """What the manifest makes of an empty database, where these keys are left out."""
        return self.sums.of_manifest(self.manifest, self.texts, lesser)

    def find_drift(self, expected: Snapshot, lesser: Mapping[str, Lesser]) -> SchemaDrift:
        """How the database differs from what it should be, where these keys are left out."""
        drift = find_drift(read_snapshot(self.connection), expected)
        known = {*self._list_beside()}
        others = [each for each in drift.others if not _is_of(each, known)]
        return replace(drift, others=others, left=[*describe_lesser(lesser)])

    def _list_beside(self) -> Iterator[tuple[str, str, str]]:
        """What parts have made beside the schema, as `_bare` has it."""
        for table, what in self.list_beside(self.connection, self.manifest.name):
            kind, _, name = what.partition(" ")
            is_whole = kind in {"table", "function"}
            own = quote_table(self.schema, name if is_whole else table)
            yield _bare(kind, own, own if is_whole else name)


def _bare(kind: str, on: str, name: str) -> tuple[str, str, str]:
    """A kind, what it is on and its name there, without quotes and arguments."""
    on = on.replace('"', "").partition("(")[0]
    return (
        kind,
        on,
        name.replace('"', "").partition("(")[0].removeprefix(on.partition(".")[0] + "."),
    )


def _is_of(item: CatalogItem, known: Collection[tuple[str, str, str]]) -> bool:
    """Whether an item is one of these objects, or belongs to one."""
    kind, on, name = _bare(*item.id)
    own = on.partition(".")[2]
    return any(
        each in known for each in [(kind, on, name), ("table", on, own), ("function", on, own)]
    )


@dataclass(frozen=True)
class RevisionVerbs:
    """The verbs of `assise schema` that change a database; `open_target` connects to it.

    adopt: notes tables that revisions have made as a load of nothing, with the first one's name.
    note: notes what they have made of the access rules.
    follow: lets the log of changes follow the columns of its tables.
    list_beside: what is no revision's, and nobody else's.
    list_readers: the triggers among it that read columns.
    scratch: the URL of a server on which databases may be made for a moment.
    """

    workspace: Workspace
    open_target: OpenTarget
    adopt: Callable[[Connection, str], LoadedTables]
    note: NoteRules
    follow: Callable[[Connection, LoadedTables], None]
    list_beside: ListBeside
    list_readers: Callable[[Connection, str], Collection[str]]
    scratch: str | None = None

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.workspace.path.parent / FOLDER

    @contextmanager
    def _open(self) -> Iterator[_Open]:
        manifest = self.workspace.manifest()
        revisions = read_folder(self.folder)
        texts = read_sql(self.workspace.path, manifest)
        with self.open_target() as (connection, tables):
            schema = tables.schema if tables else check_server(connection)
            with open_sums(
                self.workspace, manifest, connection, scratch=self.scratch, schema=schema
            ) as sums:
                facts = (sums, revisions, texts, self.list_beside)
                yield _Open(connection, tables, manifest, schema, *facts)

    @property
    def include_object(self) -> IncludeObject:
        """For `context.configure` of Alembic: it leaves alone what is the manifest's."""
        return leave_ours(self.workspace.manifest())

    def diff(self) -> SchemaDrift:
        """Compare the database with the manifest."""
        with self._open() as it:
            return it.find_drift(it.sum_manifest(it.lesser), it.lesser)

    def revise(
        self, title: str, *, drop: Collection[str] = (), make: Collection[str] = ()
    ) -> Path | None:
        """Write the next revision, from what the folder and the manifest differ in.

        The first one has everything, and the database is noted as one that has it. Keys that rows
        of its load break are left out, and stay so until they are named in `make`. Returns None
        where nothing differs.

        Raises:
            UsageError: a change cannot be made in place, or values would be lost that `drop` does
            not name. ChangedError: at the first revision, the database differs from the manifest.
        """
        with self._open() as it:
            if not it.revisions:
                return self._start(it)
            # The manifest's sum is built beside the folder's: each takes a second or two.
            with ThreadPoolExecutor(1) as beside, it.sums.open_after(it.revisions) as scratch:
                last = it.revisions[-1]
                lesser = keep_lesser(last.lesser, it.manifest, it.schema, make=make)
                future = beside.submit(it.sum_manifest, lesser)
                before = it.sums.of_revisions(it.revisions, made=scratch)
                renames, renamed = _try_renames(it, scratch, before)
                after = future.result()
                found = plan(renamed, after)
                _check_plan(found, it.schema, drop)
                steps = [*renames, *found.steps]
                if not steps and (last.manifest, last.lesser) == (it.hash, lesser):
                    return None
                number = len(it.revisions) + 1
                text = write_revision(number, _one_line(title), it.hash, steps, lesser=lesser)
                path = self.folder / name_file(number, title)
                revision = parse_revision(text, file=str(path))
                _prove(scratch, revision, before=before, after=after)
            return self._write(path, text)

    def _start(self, it: _Open) -> Path:
        lesser: dict[str, Lesser] = {}
        if it.tables:
            facts = (it.manifest, it.schema, read_snapshot(it.connection))
            broken = it.tables.list_broken()
            lesser = find_lesser(*facts, broken=broken, sum_up=it.sum_manifest)
        drift = it.find_drift(it.sum_manifest(lesser), lesser)
        is_empty = it.tables is None and not drift.present
        if not (is_empty or drift.is_empty):
            raise ChangedError(
                f"{it.connection.target} differs from the manifest:\n{_show(drift)}",
                remedy="`assise schema diff` shows the statements. Make them the same first:"
                " `assise migrate` changes the schema in place.",
            )
        up = script(it.manifest, it.schema, it.texts, lesser=lesser)
        text = write_revision(1, "start", it.hash, [], lesser=lesser, start=up)
        path = self.folder / name_file(1, "start")
        revision = parse_revision(text, file=str(path))
        with hold(it.connection, it.manifest.name):
            self._write(path, text)
            if not is_empty:
                self._mark(it, [revision])
        for line in describe_lesser(lesser):
            self.workspace.log(f"left out: {line}")
        if lesser:
            self.workspace.log(MAKE)
        return path

    def _write(self, path: Path, text: str) -> Path:
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise AssiseError(
                f"{self.folder} cannot be made: {error.strerror}",
                remedy="Make it, where this user may write.",
            ) from error
        if not write_file(path, text, is_new=True):
            raise UsageError(f"{path} exists", remedy="Remove it, or give another title.")
        return path

    def apply(self, *, drop: Collection[str] = (), dry_run: bool = False) -> Applied:
        """Run the revisions that the database does not have, or go on with the one begun.

        Raises:
            UsageError: there is no revision; or a load would be closed, and that was not confirmed.
            ChangedError: a file was edited or removed after it began, or the database has tables
            and knows of no revision. EditedError: values would be lost that `drop` does not name.
            BusyError: a lock could not be had; the same call goes on.
        """
        with self._connect() as (connection, tables, manifest, schema):
            self.workspace.check_parts(connection, manifest)
            if dry_run:
                todo = self._list_pending(connection, tables, manifest, schema)
                blocks = [block for revision in todo for block in revision.up]
                done = {revision.name: len(revision.up) for revision in todo}
                return Applied(connection.target, done, [block.text for block in blocks])
            with hold(connection, manifest.name):
                todo = self._list_pending(connection, tables, manifest, schema)
                for each in list_partitionings(manifest, schema):
                    move_bounds(connection, each, PartitionRun(each.table), log=self.workspace.log)
                applier = self._applier(connection, tables, manifest, schema, drop)
                blocks = [block for revision in todo for block in revision.up]
                applier.check_drops(blocks)
                self._ask_to_close(tables, schema, blocks)
                done = {revision.name: applier.apply(revision) for revision in todo}
            self._complete(connection, manifest, tables, schema, is_changed=bool(done))
        return Applied(connection.target, done)

    def _complete(
        self,
        connection: Connection,
        manifest: Manifest,
        tables: LoadedTables | None,
        schema: str,
        *,
        is_changed: bool,
    ) -> None:
        """What follows revisions: tables that no load has written are noted, and have partitions."""
        found = list_partitionings(manifest, schema)
        keep_up_partitions(connection, found, log=self.workspace.log)
        if tables is None and (noted := list_noted(connection, manifest.name)):
            tables = self.adopt(connection, noted[0].name)
        if tables is not None:
            made = list_made_schemas(connection, manifest.name)
            tables.move([("schema", name) for name in made])
            tables.move([("born", name) for name in manifest.born])
            self.note(connection, tables, is_changed=is_changed)
            for part in self.workspace.additions:
                if not part.IN_SCRIPT:
                    part.apply_manifest(connection, tables, log=self.workspace.log)

    def _ask_to_close(
        self, tables: LoadedTables | None, schema: str, blocks: Sequence[Block]
    ) -> None:
        """Ask before a load is closed, whose documents can then no longer be rebuilt."""
        written = tables.columns if tables is not None else ()
        names = {plain_name(name, schema) for block in blocks for name in block.closes}
        closing = sorted(names & {*written, *(each.rpartition(".")[0] for each in written)})
        if closing:
            question = (
                f"the load is closed, as its documents have values in {', '.join(closing)}:"
                " verify, repair, export and undo will refuse"
            )
            if not self.workspace.confirm(question):
                raise UsageError(f"not confirmed, nothing was changed: {question}", remedy=CONFIRM)

    def _list_pending(
        self,
        connection: Connection,
        tables: LoadedTables | None,
        manifest: Manifest,
        schema: str,
    ) -> list[Revision]:
        revisions, noted = read_folder(self.folder), list_noted(connection, manifest.name)
        if not (revisions or noted):
            raise UsageError(f"{self.folder} has no revision", remedy=FIRST)
        check_files(revisions, noted)
        for each in noted:
            if each.state == "reverting":
                raise ChangedError(
                    f"revision {each.name} is being taken back",
                    remedy="`assise schema revert` goes on with it.",
                )
        if revisions and not noted:
            names = [quote_table(schema, name) for name in manifest.tables]
            found = connection.scalar(
                "SELECT count(to_regclass(n)) FROM unnest(%s::text[]) n", [names]
            )
            if tables is not None or found:
                raise ChangedError(
                    f"{connection.target} has tables of {manifest.name!r} and knows of no revision",
                    remedy="`assise schema mark 0001` notes the first as one that it has.",
                )
        done = {each.number for each in noted if each.is_done}
        return [revision for revision in revisions if revision.number not in done]

    def revert(self, *, drop: Collection[str] = (), dry_run: bool = False) -> Applied:
        """Take back the last revision, or the steps of it that were done.

        Raises:
            UsageError: there is none, or it has no down part; or a load would be closed, and that
            was not confirmed. EditedError: values would be lost that `drop` does not name.
        """
        with self._connect() as (connection, tables, manifest, schema):
            noted = list_noted(connection, manifest.name)
            if not noted:
                raise UsageError(
                    f"{connection.target} knows of no revision", remedy="There is nothing to do."
                )
            # What was not done to its end is taken back as it began, however its file was corrected.
            check_files(read_folder(self.folder), noted if noted[-1].is_done else noted[:-1])
            revision = read_noted(noted[-1])
            if dry_run:
                texts = [block.text for block in revision.down]
                return Applied(connection.target, {revision.name: len(texts)}, texts)
            with hold(connection, manifest.name):
                applier = self._applier(connection, tables, manifest, schema, drop)
                self._ask_to_close(tables, schema, revision.down)
                count = applier.revert(list_noted(connection, manifest.name)[-1], revision)
            if tables is not None:
                self.note(connection, tables, is_changed=True)
        return Applied(connection.target, {revision.name: count})

    @contextmanager
    def _connect(self) -> Iterator[tuple[Connection, LoadedTables | None, Manifest, str]]:
        manifest = self.workspace.manifest()
        with self.open_target() as (connection, tables):
            schema = tables.schema if tables else check_server(connection)
            yield connection, tables, manifest, schema

    def _applier(
        self,
        connection: Connection,
        tables: LoadedTables | None,
        manifest: Manifest,
        schema: str,
        drop: Collection[str],
    ) -> Applier:
        facts = (connection, manifest.name, schema, self.workspace.log)
        if tables is None:
            return Applier(*facts, _ignore, drop)
        follow = partial(self.follow, connection, tables)
        readers = partial(self.list_readers, connection, manifest.name)
        return Applier(*facts, tables.move, drop, follow, readers)

    def status(self) -> RevisionStatus:
        """List the revisions, and how the database differs from those that it has."""
        with self._open() as it:
            noted = it.noted
            known = {each.number: each for each in noted}
            states = [_describe(revision, known.get(revision.number)) for revision in it.revisions]
            check_files(it.revisions, noted)
            has = [each for each in it.revisions if each.number in known]
            is_begun = any(not each.is_done for each in known.values())
            expected = it.sums.of_revisions(has) if has else {}
            lesser = has[-1].lesser if has else {}
            drift = SchemaDrift() if is_begun or not has else it.find_drift(expected, lesser)
            views = [
                name for name, each in (VIEWS.of(it.manifest) or {}).items() if each.materialized
            ]
            ages = list_ages(it.connection, it.manifest.name, it.schema, views)
            return RevisionStatus(it.connection.target, states, drift, ages)

    def lint(self) -> list[LintFinding]:
        """Check the files: their sum is the manifest, they lead back, and squawk has nothing to say.

        Raises:
            UsageError: there is no revision, or a file cannot be run; names the line.
        """
        with self._open() as it:
            if not it.revisions:
                raise UsageError(f"{self.folder} has no revision", remedy=FIRST)
            found = []
            left = compare(it.sums.of_revisions(it.revisions), it.sum_manifest(it.lesser))
            for line in left.describe():
                remedy = (
                    '`assise schema revise "…"` writes what is missing; what has no key of the'
                    " manifest stands in a file that sql: names, or the next revision drops it"
                )
                found.append(
                    LintFinding(
                        "sum", str(self.folder), 0, f"not as in the manifest: {line}", remedy
                    )
                )
            for revision in it.revisions[1:]:
                found += run_squawk(revision)
            return found

    def mark(self, number: int) -> list[str]:
        """Note all revisions up to a number as ones that the database has, without running them.

        Raises:
            UsageError: there is no such revision. ChangedError: the database differs from them.
        """
        with self._open() as it, hold(it.connection, it.manifest.name):
            chosen = [revision for revision in it.revisions if revision.number <= number]
            if not 0 < number == len(chosen):
                raise UsageError(
                    f"there is no revision {number:04}", remedy=f"{self.folder} has {len(chosen)}."
                )
            drift = it.find_drift(it.sums.of_revisions(chosen), {})
            if not drift.is_empty:
                raise ChangedError(
                    f"{it.connection.target} differs from revision {chosen[-1].name}:"
                    f"\n{_show(drift)}",
                    remedy="`assise schema diff` shows the statements.",
                )
            self._mark(it, chosen)
            return [revision.name for revision in chosen]

    def _mark(self, it: _Open, revisions: Sequence[Revision]) -> None:
        move = it.tables.move if it.tables else _ignore
        applier = Applier(it.connection, it.manifest.name, it.schema, self.workspace.log, move)
        with it.connection.transaction():
            for revision in revisions:
                applier.mark(revision)
            move([("own",)])


def _try_renames(
    it: _Open, scratch: Connection, before: Snapshot
) -> tuple[list[PlannedStep], Snapshot]:
    """The renames, and what a database has after them: only the server knows what names what.

    The database is left as it was.
    """
    renames = rename_tables(before, list_table_renames(it.manifest, it.schema))
    renamed = _run_renames(scratch, renames, before)
    columns = rename_columns(renamed, list_renames(it.manifest, it.schema))
    renamed = _run_renames(scratch, columns, renamed)
    for step in reversed([*renames, *columns]):
        scratch.execute(step.down[0])
    return [*renames, *columns], renamed


def _run_renames(scratch: Connection, steps: Sequence[PlannedStep], before: Snapshot) -> Snapshot:
    for step in steps:
        scratch.execute(step.up[0])
    return read_snapshot(scratch) if steps else before


def _prove(scratch: Connection, revision: Revision, *, before: Snapshot, after: Snapshot) -> None:
    """Check that a revision leads to the manifest, and back, in a database of the folder's sum."""
    run_blocks(scratch, revision, revision.up)
    rest = compare(read_snapshot(scratch), after)
    run_blocks(scratch, revision, revision.down)
    back = compare(read_snapshot(scratch), before)
    for what, left in (("the manifest", rest), ("the revision before", back)):
        if not left.is_empty:
            raise AssiseError(
                f"the steps that were found do not lead to {what}:\n{_show(left)}",
                remedy="Write this revision by hand; `assise schema lint` checks it.",
            )


def _ignore(moves: Sequence[tuple[str, ...]]) -> None:
    """Nothing is loaded, so that nothing follows."""
    del moves


def _show(differences: SchemaDrift | CatalogDifference) -> str:
    return "\n".join(differences.describe()[:SHOWN])


def _one_line(title: str) -> str:
    return " ".join(title.split()) or "change"


def _describe(revision: Revision, noted: Noted | None) -> RevisionState:
    at = noted.applied_at.isoformat() if noted and noted.applied_at else None
    return RevisionState(revision.number, revision.title, noted.state if noted else "pending", at)


def _check_plan(found: SchemaPlan, schema: str, drop: Collection[str]) -> None:
    for what, recipe in found.refusals:
        raise UsageError(what, remedy=recipe)
    losses = [plain_name(name, schema) for name in found.losses]
    losses = [name for name in losses if name not in drop and f"{schema}.{name}" not in drop]
    if losses:
        options = " ".join(f"--drop {name}" for name in losses)
        raise UsageError(
            f"the revision would drop {', '.join(losses)}, with the values there",
            remedy=f"If that is meant: {options}. If it is a rename, say was: OLD_NAME there.",
        )
