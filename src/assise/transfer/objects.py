"""Constraints, indexes and defaults of the manifest, made after the rows or changed in place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from assise.errors import (
    ComputationError,
    DuplicateKeyError,
    LimitError,
    ManifestError,
    RefusedError,
    TargetError,
    ViolationError,
)
from assise.manifest.layout import TableLayout
from assise.postgres import bookkeeping
from assise.postgres.connection import Connection, run_all
from assise.postgres.steps import Runner
from assise.progress import Log, OnProgress, Progress
from assise.rows.keys import uuid_to_objectid
from assise.schema.beside import add_one, name_set_check
from assise.schema.catalog import CatalogItem, collect, compare
from assise.schema.objects import ORDER, Object, ObjectKind
from assise.schema.planned import PlannedStep
from assise.schema.sql import quote, quote_table, quote_text, validate_constraint
from assise.transfer.ledger import LEDGER, QUERIES, Load
from assise.transfer.report import Finding

WITH_OBJECTS = 5
"""The version of the ledger from which on it lists them."""

Id = tuple[str, str, str]
"""Table, kind and name."""

_UNCHECKED: dict[str, object] = {"unchecked": True}
"""Stands for the finding of a foreign key whose old rows are not checked yet, or of what is being
made beside writers."""

_BESIDE = frozenset({"unique", "index", "not null", "check"})
"""What is made beside writers where the tables of a load may be in use."""


@dataclass(frozen=True)
class MadeObject:
    """An object as the ledger has it."""

    table: str
    kind: ObjectKind
    name: str
    create_sql: str
    drop_sql: str
    finding: dict[str, Any] | None

    @property
    def id(self) -> Id:
        """What tells it from the others of the load."""
        return self.table, self.kind, self.name


def list_made(connection: Connection, load: Load) -> dict[Id, MadeObject]:
    """What the tables of a load have because the manifest asks for it."""
    if bookkeeping.find_version(connection, LEDGER) < WITH_OBJECTS:
        return {}
    found = connection.fetch(MadeObject, QUERIES["objects"], {"load_id": load.id})
    return {made.id: made for made in found}


def list_broken(connection: Connection, load: Load) -> set[str]:
    """The ids of the objects that rows of a load break, or could not be made for another reason."""
    made = list_made(connection, load).values()
    return {f"{each.kind} {each.table}.{each.name}" for each in made if each.finding is not None}


def are_pending(objects: Sequence[Object], made: Mapping[Id, MadeObject]) -> bool:
    """Whether some objects are still to be made, or to be tried again."""
    return bool(_plan(made, objects)[1])


def note_objects(connection: Connection, load: Load, objects: Iterable[Object]) -> None:
    """Note objects that are there already as made for a load."""
    for each in objects:
        key = (each.table, str(each.kind), each.name)
        connection.execute(_note(load, _Task(key, each), None))


def drop_foreign_keys(connection: Connection, load: Load) -> None:
    """Drop the foreign keys of the manifest, so that its tables can go one after the other."""
    for key, made in list_made(connection, load).items():
        if made.kind == "foreign key":
            connection.execute(f"{made.drop_sql};\n{_forget(load, key)}")


def lift_foreign_keys(connection: Connection, load: Load) -> list[str]:
    """Drop the foreign keys of the manifest inside a transaction; the statements to put them back.

    Old rows are checked again but by those that had orphans.
    """
    statements = []
    for made in list_made(connection, load).values():
        if made.kind == "foreign key":
            connection.execute(made.drop_sql)
            statements.append(made.create_sql)
            if made.finding is None:
                validate = validate_constraint(made.table, made.name, schema=load.schema)
                statements.append(validate)
    return statements


def try_objects(connection: Connection, objects: Sequence[Object]) -> None:
    """Make everything on empty tables and take it back, inside the caller's transaction.

    Raises:
        ManifestError: the server cannot make one of them.
    """
    unique = [each for each in objects if each.kind == "unique"]
    for each in objects:
        keys = [other for other in unique if other.table == each.refers_to]
        before = [text for other in keys for text in (other.needs, other.create)]
        makes = filter(None, [each.needs, *before, each.create])
        statements = ["SAVEPOINT trial", *makes, "ROLLBACK TO trial"]
        try:
            connection.execute(";\n".join([*statements, "RELEASE trial"]))
        except RefusedError as error:
            raise _refused(each, error) from error


def _refused(each: Object, error: RefusedError) -> ManifestError:
    return ManifestError(
        f"the server refuses it: {error.message}",
        file="the manifest",
        key=".".join(each.place),
        remedy="Correct it; nothing was written.",
    )


def plan_objects(connection: Connection, load: Load, objects: Sequence[Object]) -> list[str]:
    """Return the statements of `apply_objects` for what has changed; nothing is written."""
    gone, tasks = _plan(list_made(connection, load), objects)
    statements = [each.drop_sql for each in gone]
    for task in tasks:
        if task.is_retry:
            continue
        if task.is_beside(load):
            statements += [text for step in task.list_steps(load) for text in step.up]
        else:
            statements += filter(None, [task.before, task.object.create])
    return statements


def apply_objects(
    connection: Connection,
    load: Load,
    objects: Sequence[Object],
    *,
    workers: int,
    log: Log,
    progress: OnProgress,
) -> list[Finding]:
    """Make what the manifest asks for and the tables have not, and drop what it no longer asks for.

    What rows do not fulfil is tried again each time, and is a finding as long as they do not.

    Raises:
        ManifestError: the server cannot make one of them.
    """
    gone, todo = _plan(list_made(connection, load), objects)
    runner = Runner(connection, log)
    for each in gone:
        places = [quote_table(load.schema, each.table)]
        runner.run_together([each.drop_sql, _forget(load, each.id)], places, _no_more)
    findings = _Work(connection, load, workers, log, progress).run(todo)
    changes = [(sum(not task.is_retry for task in todo), "made"), (len(gone), "dropped")]
    said = [f"{count:,} {how}" for count, how in changes if count]
    if said:
        log(f"indexes, keys and constraints: {', '.join(said)}")
    return sorted(findings, key=lambda finding: finding.name)


@dataclass(frozen=True)
class _Task:
    """An object to make, or to try again; `before` drops what it takes the place of.

    is_half: whether a kill may have left some of it.
    """

    key: Id
    object: Object
    before: str = ""
    is_retry: bool = False
    is_half: bool = False

    def is_beside(self, load: Load) -> bool:
        """Whether it is added to tables that may be in use, by the steps of revisions."""
        is_alone = self.object.kind in _BESIDE and not self.object.is_cut
        return load.is_finished and is_alone and not self.before

    def list_steps(self, load: Load, create: str = "") -> list[PlannedStep]:
        """These steps, or those of what is made in its place."""
        on = quote_table(load.schema, self.object.table)
        return [*add_one(self.object.as_item(on, create=create))]


def _plan(
    made: Mapping[Id, MadeObject], objects: Sequence[Object]
) -> tuple[list[MadeObject], list[_Task]]:
    """What the manifest no longer asks for, what depends on others first; and what is to be made.

    The comparison is that of revisions, of what was made and what is wanted in place of a catalog.
    """
    before = collect(
        CatalogItem(
            each.kind, each.table, each.name, each.create_sql, each.create_sql, each.drop_sql
        )
        for each in made.values()
    )
    wanted = {(each.table, str(each.kind), each.name): each for each in objects}
    after = collect(
        CatalogItem(each.kind, each.table, each.name, each.create, each.create, each.drop)
        for each in wanted.values()
    )
    found = compare(before, after)
    gone = [made[item.on, item.kind, item.name] for item in found.dropped]
    gone.sort(key=lambda each: (-ORDER.index(each.kind), each.id))
    replaced = {(new.on, new.kind, new.name): old.drop for old, new in found.changed}
    tasks = []
    for key, each in wanted.items():
        if key not in made or key in replaced:
            tasks.append(_Task(key, each, replaced.get(key, "")))
        elif (finding := made[key].finding) is not None:
            tasks.append(_Task(key, each, is_retry=True, is_half=finding == _UNCHECKED))
    return gone, tasks


@dataclass(frozen=True)
class _Work:
    connection: Connection
    load: Load
    workers: int
    log: Log
    progress: OnProgress

    def run(self, tasks: Sequence[_Task]) -> list[Finding]:
        """Make objects in sessions beside each other: foreign keys last, as they read two tables.

        A foreign key is made without its rows, which takes a moment; then all are checked.
        """
        keys = [task for task in tasks if task.object.kind == "foreign key"]
        others = [task for task in tasks if task.object.kind != "foreign key"]
        found = [*self._make_all(others, 0, len(tasks))]
        not_unique = {finding.table for finding in found if finding.kind == "unique"}
        made = []
        for task in keys:
            before = task.object.drop if task.is_retry else task.before
            try:
                self._execute(self.connection, task, [before, task.object.create], _UNCHECKED)
                made.append(task)
            except ManifestError:
                if task.object.refers_to not in not_unique:
                    raise
                found.append(self._give_up(self.connection, task, _NOT_UNIQUE))
        return [*found, *self._make_all(made, len(tasks) - len(made), len(tasks))]

    def _make_all(self, tasks: Sequence[_Task], done: int, total: int) -> Iterator[Finding]:
        calls = [partial(self._make, task) for task in tasks]
        # An index that is made CONCURRENTLY waits for the other sessions, which wait for its table.
        workers = 1 if self.load.is_finished else self.workers
        for finding in run_all(self.connection, calls, workers=workers):
            done += 1
            self.progress(_show_progress(done, total))
            if finding is not None:
                yield finding

    def _make(self, task: _Task, session: Connection) -> Finding | None:
        """Make an object; what its rows do not fulfil, or it cannot compute with, is a finding.

        What cannot be computed without rows, such as a default or a literal in a check, is an error
        of the manifest. Any other error names the object; those that are made stay.
        """
        try:
            if task.is_beside(self.load):
                return self._try_beside(task, session)
            return self._try(task, session)
        except ComputationError as error:
            if task.object.kind == "default" or _fails_without_rows(session, task.object):
                raise _refused(task.object, error) from error
            words = error.message.removeprefix(f"{session.target}: ")
            return self._give_up(session, task, f"it was not made: {words}")
        except TargetError as error:
            error.message = f"{'.'.join(task.object.place)}: {error.message}"
            raise

    def _try(self, task: _Task, session: Connection) -> Finding | None:
        each, before = task.object, task.object.drop if task.is_retry else task.before
        is_made = each.kind == "foreign key"
        statements = [each.after] if is_made else [before, each.create, each.after]
        try:
            self._execute(session, task, statements)
            return None
        except (DuplicateKeyError, ViolationError):
            return self._settle(session, task)
        except LimitError as error:
            if each.if_long:
                try:
                    self._execute(session, task, [before, each.if_long])
                    return None
                except DuplicateKeyError:
                    return self._settle(session, task)
                except LimitError:
                    pass
            return self._give_up(session, task, f"it cannot be indexed: {error.message}")

    def _try_beside(self, task: _Task, session: Connection) -> Finding | None:
        """Make an object on a table that may be in use: its rows are looked through first.

        The ledger has it as unchecked until all is there; what a kill has left of it goes first.
        """
        each, steps = task.object, task.list_steps(self.load)
        back = [PlannedStep(step.down) for step in reversed(steps)]
        if not task.is_retry:
            self._check_free(session, task, steps[0].index)
        if each.broken.count and self._count_broken(session, each)[0]:
            self._run_steps(session, task, back if task.is_half else ())
            return self._settle_beside(session, task)
        self._execute(session, task, [], _UNCHECKED)
        try:
            try:
                self._run_steps(session, task, [*(back if task.is_retry else ()), *steps])
            except LimitError:
                if not each.if_long:
                    raise
                self._run_steps(session, task, task.list_steps(self.load, each.if_long))
        except (DuplicateKeyError, ViolationError):
            self._run_steps(session, task, back)
            return self._settle_beside(session, task)
        except ComputationError:
            self._run_steps(session, task, back)
            raise
        except LimitError as error:
            return self._give_up(session, task, f"it cannot be indexed: {error.message}")
        self._execute(session, task, [])
        return None

    def _check_free(self, session: Connection, task: _Task, index: str) -> None:
        """Check that nothing of others has the name of what is to be made."""
        each, taken = task.object, ""
        name = quote(each.name)
        if each.kind == "not null":
            name = name_set_check(name)
        known = {"table": quote_table(self.load.schema, each.table), "name": name}
        if index and session.scalar("SELECT to_regclass(%s)", [index]) is not None:
            taken = f"relation {index}"
        elif each.kind != "index" and session.scalar(QUERIES["has_constraint"], known):
            taken = f"constraint {name}"
        if taken:
            raise _refused(each, RefusedError(f"{taken} already exists"))

    def _settle_beside(self, session: Connection, task: _Task) -> Finding:
        """Make what can be had in the place of an object, unless it is there."""
        if task.object.instead:
            with suppress(LimitError):
                steps = task.list_steps(self.load, task.object.instead)
                self._run_steps(session, task, steps)
        return self._settle(session, task)

    def _run_steps(self, session: Connection, task: _Task, steps: Sequence[PlannedStep]) -> None:
        """Run steps of a plan.

        Raises:
            ManifestError: the server refuses one. BusyError: a lock could not be had.
        """
        runner, place = Runner(session, self.log), quote_table(self.load.schema, task.object.table)
        try:
            for step in steps:
                for text in step.up:
                    if " CONCURRENTLY " in text:
                        runner.run_alone(text, step.index, _no_more, _no_more)
                    else:
                        runner.run_together([text], [place], _no_more)
        except ComputationError:
            raise
        except RefusedError as error:
            if not task.is_retry:
                session.execute(_forget(self.load, task.key))
            raise _refused(task.object, error) from error

    def _count_broken(self, session: Connection, each: Object) -> tuple[int, int]:
        """How many rows break an object, and among how many."""
        ((rows, among),) = session.execute(each.broken.count)
        return int(str(rows)), int(str(among))

    def _settle(self, session: Connection, task: _Task) -> Finding:
        """Find the rows that break an object, and make what can be had in its place."""
        each = task.object
        rows, among = self._count_broken(session, each)
        found = session.execute(each.broken.keys)
        layout = self.load.layout.tables.get(each.table)
        finding = Finding(
            each.table,
            each.kind,
            ".".join(each.place),
            name_object(each),
            rows,
            among,
            each.broken.says,
            show_keys(layout, (str(key) for (key,) in found)),
            _INSTEAD[each.kind],
            each.after or f"{f'{each.drop}; ' if each.instead else ''}{each.create}",
        )
        is_there = task.is_retry or task.is_beside(self.load)
        statements = [] if is_there else [task.before, each.instead]
        try:
            self._execute(session, task, statements, finding.as_json())
        except LimitError:
            self._execute(session, task, [], finding.as_json())
        return finding

    def _give_up(self, session: Connection, task: _Task, made: str) -> Finding:
        each = task.object
        finding = Finding(
            each.table,
            each.kind,
            ".".join(each.place),
            name_object(each),
            0,
            0,
            "",
            (),
            made,
            each.sql,
        )
        self._execute(session, task, [task.before], finding.as_json())
        return finding

    def _execute(
        self,
        session: Connection,
        task: _Task,
        statements: Sequence[str],
        finding: dict[str, object] | None = None,
    ) -> None:
        """Run statements and keep the object in the ledger, in one transaction.

        Raises:
            BusyError: others have had a lock on the table all the time; names them.
        """
        each = task.object
        places = [
            quote_table(self.load.schema, name)
            for name in filter(None, (each.table, each.refers_to))
        ]
        texts = [*filter(None, statements), _note(self.load, task, finding)]
        try:
            Runner(session, self.log).run_together(texts, places, _no_more)
        except ComputationError:
            raise
        except RefusedError as error:
            raise _refused(task.object, error) from error


def _fails_without_rows(session: Connection, each: Object) -> bool:
    """Whether the expression of an object cannot be read, whatever the rows are."""
    try:
        session.execute(f"EXPLAIN {each.broken.count}" if each.broken.count else "SELECT")
    except ComputationError:
        return True
    return False


def _no_more() -> None:
    """The note of a step is among its statements."""


def _show_progress(done: int, total: int) -> Progress:
    name = "indexes and keys"
    return Progress("build", name, done, done, total, is_known=True, noun="object")


_NOT_UNIQUE = "the foreign key was not made, as what it refers to is not unique"
_INSTEAD = {
    "unique": "a plain index was made",
    "check": "the check was not made",
    "not null": "NOT NULL was not set",
    "foreign key": "the foreign key holds for new rows",
}


def name_object(each: Object) -> str:
    """What a finding is about: a column, or an index by its name."""
    is_column = len(each.place) > 3 and each.place[2] == "columns"
    return f"{each.table}.{each.place[3] if is_column else each.name}"


def show_keys(table: TableLayout | None, texts: Iterable[str]) -> tuple[str, ...]:
    """Keys as users know them from MongoDB, each once."""
    return tuple(dict.fromkeys(_show_key(table, text) for text in texts))


def _show_key(table: TableLayout | None, text: str) -> str:
    """A key as users know it from MongoDB; that of a table without a layout as it is."""
    if table is None:
        return text
    if table.key.type == "uuid" and table.key.kind == "objectid":
        return uuid_to_objectid(UUID(text)) or text
    return text


def _note(load: Load, task: _Task, finding: dict[str, object] | None) -> str:
    """The statement that keeps an object in the ledger."""
    table, kind, name = task.key
    text = QUERIES.fill(
        "note_object",
        load_id=str(load.id),
        table=quote_text(table),
        kind=quote_text(kind),
        called=quote_text(name),
        create=quote_text(task.object.create),
        drop=quote_text(task.object.drop),
        finding="NULL" if finding is None else f"{quote_text(json.dumps(finding))}::jsonb",
    )
    return _without_parameters(text)


def _forget(load: Load, key: Id) -> str:
    table, kind, name = map(quote_text, key)
    text = QUERIES.fill("forget_object", load_id=str(load.id), table=table, kind=kind, called=name)
    return _without_parameters(text)


def _without_parameters(query: str) -> str:
    """A query that runs without parameters: its percent signs stand for themselves."""
    return query.replace("%%", "%")
