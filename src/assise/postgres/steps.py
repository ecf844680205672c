"""The one runner of steps that change a schema beside running code.

A step waits two seconds for a lock, in which others queue behind it, gives way, and tries again. One
that locks several tables waits half a second: writers may have these in another order, and who has
waited for a second in a deadlock is ended by the server. So it is the step that gives way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread
from time import sleep

from assise.errors import BusyError, SerializationError, TargetError
from assise.postgres.connection import Connection
from assise.postgres.queries import QUERIES
from assise.progress import Log
from assise.schema.batches import find_last_key, follow_key, reach_key

LOCK_TIMEOUT_S, SHARED_TIMEOUT_S = 2, 0.5
PAUSE_S = 0.5
SHARED_TRIES = 3
"""How many times as often a step is tried that locks several tables, as it waits less."""

_UNTIES = re.compile(r"\bDROP\s+(CONSTRAINT|TABLE)\b", re.IGNORECASE)

SHOWN = 5
"""Sessions that are named."""

Note = Callable[[], None]
"""Writes what is known of a step, in the step's transaction or beside it."""


@dataclass(frozen=True)
class _Holder:
    pid: int
    program: str
    age: str
    statement: str

    def describe(self) -> str:
        """The session in words."""
        program = f" ({self.program})" if self.program else ""
        return f"process {self.pid}{program}, open for {self.age or '0'}: {self.statement}"


def _describe(holders: Sequence[_Holder]) -> list[str]:
    return [holder.describe() for holder in holders[:SHOWN]]


@dataclass(frozen=True)
class Runner:
    """Runs steps in one session, each tried `tries` times."""

    connection: Connection
    log: Log
    tries: int = 30
    lock_timeout_s: float = LOCK_TIMEOUT_S

    def run_together(self, statements: Sequence[str], tables: Sequence[str], note: Note) -> None:
        """Run statements in one transaction, with the note of it.

        Raises:
            BusyError: other sessions have had locks on the `tables` all the time; names them.
        """
        locked = [*dict.fromkeys([*tables, *self._list_tied(statements, tables)])]
        wait_s = self.lock_timeout_s if len(locked) < 2 else SHARED_TIMEOUT_S

        def run() -> None:
            with self.connection.transaction():
                timeout = f"SET LOCAL lock_timeout = '{wait_s}s'"
                self.connection.execute(";\n".join([timeout, *statements]))
                note()

        self.try_again(run, locked)

    def _list_tied(self, statements: Sequence[str], tables: Sequence[str]) -> list[str]:
        """The tables that are locked too where a foreign key may be dropped: those it refers to."""
        if not any(map(_UNTIES.search, statements)):
            return []
        found = [self.connection.execute(QUERIES["referred"], {"table": each}) for each in tables]
        return [str(name) for rows in found for (name,) in rows]

    def run_alone(self, statement: str, index: str, begin: Note, end: Note) -> None:
        """Run a statement that no transaction may be around; notes go before and behind it.

        An `index` that a killed or failed CREATE INDEX CONCURRENTLY has left invalid is dropped
        first. Such a statement waits for all transactions that are older: it has no timeout. For
        whom it waits is told.
        """
        begin()
        state = self.connection.scalar(QUERIES["index_state"], {"index": index}) if index else None
        if state is not True:
            try:
                with self._tell_of_waiting():
                    self.try_again(lambda: self._execute(statement, index), ())
            except TargetError:
                self._drop_invalid(index)
                raise
        end()

    @contextmanager
    def _tell_of_waiting(self) -> Iterator[None]:
        """Tell for whom the block waits, once it has run for as long as other steps wait."""
        is_over = Event()

        def look() -> None:
            while not is_over.wait(self.lock_timeout_s):
                with suppress(TargetError), self.connection.another() as session:
                    found = session.fetch(
                        _Holder, QUERIES["blockers"], {"pid": self.connection.pid}
                    )
                    if found and not is_over.is_set():
                        self.log("; ".join(["waiting for a lock", *_describe(found)]))
                        return

        looking = Thread(target=look, daemon=True)
        looking.start()
        try:
            yield
        finally:
            is_over.set()
            looking.join()

    def _execute(self, statement: str, index: str) -> None:
        self._drop_invalid(index)
        self.connection.execute(statement)

    def _drop_invalid(self, index: str) -> None:
        state = self.connection.scalar(QUERIES["index_state"], {"index": index}) if index else None
        if state is False:
            self.connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")

    def try_again(self, run: Note, tables: Sequence[str] | None) -> None:
        """Run something again and again while locks are missing.

        Raises:
            BusyError: other sessions have had locks on the `tables` all the time, or on any where
            these are not known; names them.
        """
        tries = self.tries * (SHARED_TRIES if tables and len(tables) > 1 else 1)
        for number in range(1, tries + 1):
            try:
                run()
                return
            except (BusyError, SerializationError) as error:
                holders = self._find_holders(tables)
                if number == tries:
                    raise BusyError(
                        f"{self.connection.target}: a lock could not be had in {number} tries"
                        + "".join(f"; {holder}" for holder in holders),
                        remedy="End these sessions, or wait; the same command goes on.",
                    ) from error
                if number == 1:
                    self.log("waiting for a lock" + "".join(f"; {each}" for each in holders))
                sleep(PAUSE_S)

    def _find_holders(self, tables: Sequence[str] | None) -> list[str]:
        parameters = {"tables": None if tables is None else [*tables]}
        found = self.connection.fetch(_Holder, QUERIES["holders"], parameters)
        return _describe(found)

    def run_batches(
        self,
        table: str,
        rows: int,
        narrow: Callable[[str], str],
        *,
        after: Sequence[str],
        note: Callable[[Sequence[str], bool], None],
    ) -> None:
        """Run an UPDATE over a table in the order of its primary key, `rows` a transaction.

        `narrow` gives the UPDATE for the rows that fulfil a condition; `after` is the key up to
        which rows are done; `note` gets the key of each batch, and whether it was the last.

        Raises:
            TargetError: the table has no primary key.
        """
        found = self.connection.execute(QUERIES["key_columns"], {"table": table})
        columns = [(str(name), str(kind)) for name, kind in found]
        if not columns:
            raise TargetError(
                f"{table} has no primary key to go through its rows by",
                remedy="Remove `-- assise: batch` there, or give the table one.",
            )
        last = [*after]
        while key := self.connection.execute(find_last_key(table, columns, last, rows=rows)):
            lower, last = follow_key(columns, last), [str(value) for value in key[0]]
            statement = narrow(f"{lower} AND {reach_key(columns, last)}")
            self.run_together([statement], [table], partial(note, last, False))
        note(last, True)
