"""Revisions in a database: applied step by step, gone on with after a kill, taken back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib.resources import files

from assise.errors import (
    BusyError,
    ChangedError,
    DependentError,
    DuplicateKeyError,
    EditedError,
    RefusedError,
    UsageError,
    ViolationError,
)
from assise.postgres import bookkeeping, locks
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.each import add_foreign_key, build_index
from assise.postgres.queries import Queries
from assise.postgres.steps import Runner
from assise.progress import Log
from assise.revisions.files import Block, Revision, parse_revision
from assise.revisions.statements import (
    Statement,
    narrow_update,
    plain_name,
    write_only,
    write_part,
)
from assise.schema.sql import quote
from assise.schema.views import revoke_defaults
from assise.wording import count_of
from assise.workspace import Move

QUERIES = Queries("assise.revisions")
PART = Bookkeeping("revisions", files("assise.revisions").joinpath("sql"))
PATIENCE_S = 60


@dataclass(frozen=True)
class Noted:
    """A revision as a database has it."""

    number: int
    title: str
    sha256: str
    text: str
    state: str
    applied_at: datetime | None

    @property
    def name(self) -> str:
        """The number with its title, such as `0002 add plan`."""
        return f"{self.number:04} {self.title}"

    @property
    def is_done(self) -> bool:
        """Whether the database has all of it."""
        return self.state in {"applied", "marked"}


@dataclass(frozen=True)
class _StepLine:
    step: int
    is_done: bool
    last_key: list[str] | None


@contextmanager
def hold(connection: Connection, name: str) -> Iterator[None]:
    """Let no other deployment apply revisions of this manifest for a while.

    Raises:
        BusyError: another one is at work for longer than a minute.
    """
    bookkeeping.ensure(connection, PART)
    try:
        with locks.hold(connection, f"assise revisions {name}", patience_s=PATIENCE_S):
            yield
    except BusyError as error:
        if "holds the lock" not in error.message:
            raise
        raise BusyError(
            f"another deployment applies revisions to {connection.target}",
            remedy="Wait until it is done; then repeat the command.",
        ) from error


def list_noted(connection: Connection, name: str) -> list[Noted]:
    """The revisions that a database has, in order; none where it knows of none."""
    if not bookkeeping.find_version(connection, PART):
        return []
    return connection.fetch(Noted, QUERIES["revisions"], {"name": name})


def list_made_schemas(connection: Connection, name: str) -> list[str]:
    """The schemas that the revisions of a manifest have made."""
    return [str(each) for (each,) in connection.execute(QUERIES["made_schemas"], {"name": name})]


def check_files(revisions: Sequence[Revision], noted: Sequence[Noted]) -> None:
    """Check that the files are those that the database has begun with.

    Raises:
        ChangedError: one was edited, or is gone.
    """
    by_number = {revision.number: revision for revision in revisions}
    for each in noted:
        found = by_number.get(each.number)
        if found is None:
            raise ChangedError(
                f"the database has revision {each.name}, and its file is gone",
                remedy="Put it back, from version control or from assise.revision.text.",
            )
        if found.sha256 != each.sha256:
            remedy = "Put it back, and write the change into a new revision."
            if not each.is_done:
                remedy = (
                    "`assise schema revert` takes back what was done of it; then apply this file."
                )
            raise ChangedError(
                f"{found.file} was edited after it began in this database", remedy=remedy
            )


def keep_still() -> None:
    """Nothing is loaded, so that nothing follows."""


@dataclass(frozen=True)
class Applier:
    """Runs the blocks of revisions in one database.

    move: changes the load's stored layout, where there is a load.
    follow: lets what reads columns follow them, in the transaction of each step.
    drop: the columns and tables whose values may be lost, by name.
    """

    connection: Connection
    name: str
    schema: str
    log: Log
    move: Move
    drop: Collection[str] = ()
    follow: Callable[[], None] = keep_still
    list_readers: Callable[[], Collection[str]] = tuple
    runner: Runner = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "runner", Runner(self.connection, self.log))

    def check_drops(self, blocks: Sequence[Block]) -> None:
        """Check that no value is lost that `drop` does not name.

        Raises:
            EditedError: a column or table has values; names all of them.
        """
        found = [name for block in blocks for name in self._find_values(block)]
        if found:
            options = " ".join(f"--drop {name}" for name in found)
            raise EditedError(
                f"values would be lost: those of {', '.join(found)}",
                remedy=f"Nothing was changed. To lose them: {options}.",
            )

    def _find_values(self, block: Block) -> Iterator[str]:
        for table, column in block.drops:
            name = plain_name(".".join(filter(None, (table, column))), self.schema)
            if name in self.drop or f"{self.schema}.{name}" in self.drop:
                continue
            if self.connection.scalar("SELECT to_regclass(%s)", [table]) is None:
                continue
            condition = f" WHERE {quote(column)} IS NOT NULL" if column else ""
            known = {"table": table, "column": column}
            if column and not self.connection.scalar(QUERIES["has_column"], known):
                continue
            query = f"SELECT EXISTS (SELECT FROM {table}{condition})"  # noqa: S608
            if self.connection.scalar(query):
                yield name

    def apply(self, revision: Revision) -> int:
        """Run the steps of a revision that are not done yet; returns how many these were."""
        self._execute(QUERIES["begin"], revision, title=revision.title, text=revision.text)
        lines, count = self._read_steps(revision), 0
        for number, block in enumerate(revision.up, 1):
            line = lines.get(number)
            if line is None or not line.is_done:
                self._run(revision, block, number, line)
                count += 1
        self._execute(QUERIES["set_state"], revision, state="applied")
        return count

    def revert(self, noted: Noted, revision: Revision) -> int:
        """Take back the steps of a revision that were done; returns how many statements ran.

        Raises:
            UsageError: the revision has no down part.
        """
        if not revision.down:
            raise UsageError(
                f"revision {revision.name} has no down part",
                remedy="What the first revision made, `assise undo` drops.",
            )
        lines = self._read_steps(revision)
        is_whole = noted.state == "marked"
        done = {step for step, line in lines.items() if line.is_done}
        todo = [
            (-place, block)
            for place, block in enumerate(revision.down, 1)
            if -place not in done and (is_whole or not block.undoes or block.undoes in lines)
        ]
        self.check_drops([block for _, block in todo])
        self._execute(QUERIES["set_state"], revision, state="marked" if is_whole else "reverting")
        for place, block in todo:
            self._run(revision, block, place, lines.get(place))
        self._execute(QUERIES["delete_revision"], revision)
        return len(todo)

    def mark(self, revision: Revision) -> None:
        """Note that the database has a revision already."""
        self._execute(QUERIES["mark"], revision, title=revision.title, text=revision.text)

    def _run(self, revision: Revision, block: Block, number: int, line: _StepLine | None) -> None:
        """Run a block, and note it.

        Raises:
            RefusedError, ViolationError, DuplicateKeyError, DependentError: the server refuses a
            statement; names file and line.
        """
        try:
            self._run_block(revision, block, number, line)
        except (RefusedError, ViolationError, DuplicateKeyError, DependentError) as error:
            place = revision.text.count("\n", 0, block.statements[0].start) + 1
            raise type(error)(
                f"{revision.file}:{place}: {error.message}",
                remedy="`assise schema revert` takes back what was done of it; then correct the"
                " file. Or change what the statement finds, and repeat the command.",
            ) from error

    def _run_block(
        self, revision: Revision, block: Block, number: int, line: _StepLine | None
    ) -> None:
        note = partial(self._note, revision, number)
        shown = " ".join(block.statements[0].text.split())
        self.log(f"{revision.number:04} step {abs(number)}: {shown[:100]}")
        statement = block.statements[0]
        if block.batch:
            table, rows = block.batch
            narrow = partial(narrow_update, statement.text)
            after = line.last_key if line and line.last_key else ()
            self.runner.run_batches(statement.update or table, rows, narrow, after=after, note=note)
        elif block.is_each and statement.for_each:
            self._run_each(statement, note)
        elif block.is_alone:
            begin, end = partial(note, (), False), partial(note, (), True)
            self.runner.run_alone(statement.text, statement.index, begin, end)
        else:
            texts = [text for each in block.statements for text in _list_texts(each)]
            tables = [name for each in block.statements for name in each.tables]
            moves = [move for move in block.moves if move[0] != "close"]
            moves += [("close", name, revision.name) for name in block.closes]
            freeing = self._free(block, is_up=number > 0)
            note = partial(self._note, revision, number, schemas=self._find_missing(block))
            self.runner.run_together([*freeing, *texts], tables, partial(self._finish, note, moves))

    def _find_missing(self, block: Block) -> list[str]:
        """The schemas that a block makes and that are not there yet."""
        schemas = [each.schema for each in block.statements if each.schema]
        if not schemas:
            return []
        found = self.connection.execute(QUERIES["missing_schemas"], {"schemas": schemas})
        return [str(name) for (name,) in found]

    def _free(self, block: Block, *, is_up: bool) -> list[str]:
        """What drops the triggers of parts that read columns which a block drops or renames.

        Nobody could write to the table as long as they are there.
        """
        columns = [(table, column) for table, column in block.drops if column]
        renamed = [values[1] for word, *values in block.moves if word == "rename"]
        tables = [name for each in block.statements for name in each.tables]
        columns += [(table, column) for column in renamed for table in tables]
        names = [*self.list_readers()] if columns else []
        found = list[str]()
        for table, column in columns:
            known = {"table": table, "column": column, "names": names, "is_up": is_up}
            found += [str(text) for (text,) in self.connection.execute(QUERIES["free"], known)]
        if found:
            self.log(
                f"{count_of(len(found), 'trigger')} of search or events dropped, as what they read"
                " changes; `assise schema apply` makes them again behind the last revision"
            )
        return found

    def _run_each(self, statement: Statement, note: partial[None]) -> None:
        """Make an index or a foreign key for one partition after the other."""
        table, name = statement.for_each or ("", "")
        if statement.is_index:
            only = write_only(statement.text)
            build_index(self.runner, table, index=name, only=only)
            note((), True)
            return

        def write(part: str | None) -> str:
            return write_part(statement.text, part) if part else statement.text

        end = partial(note, (), True)
        add_foreign_key(self.runner, table, name=name, write=write, note=end)

    def _finish(self, note: partial[None], moves: Sequence[tuple[str, ...]]) -> None:
        """What stands in the transaction of a step beside its statements."""
        if moves:
            self.move(moves)
        self.follow()
        note((), True)

    def _note(
        self,
        revision: Revision,
        step: int,
        last_key: Sequence[str],
        is_done: bool,
        schemas: Sequence[str] = (),
    ) -> None:
        known = {"step": step, "is_done": is_done, "last_key": [*last_key] or None}
        self._execute(QUERIES["set_step"], revision, **known, schemas=[*schemas] or None)

    def _read_steps(self, revision: Revision) -> dict[int, _StepLine]:
        parameters = {"name": self.name, "number": revision.number}
        found = self.connection.fetch(_StepLine, QUERIES["steps"], parameters)
        return {line.step: line for line in found}

    def _execute(self, query: str, revision: Revision, **values: object) -> None:
        known = {"name": self.name, "number": revision.number, "sha256": revision.sha256}
        self.connection.execute(query, {**known, **values})


def _list_texts(statement: Statement) -> list[str]:
    """A statement, with what takes rights on a new view that nobody has granted there."""
    return [statement.text, *([revoke_defaults(statement.view)] if statement.view else [])]


def read_noted(noted: Noted) -> Revision:
    """A revision of the text that the database has kept."""
    return parse_revision(noted.text, file=f"{noted.number:04}_kept.sql")
