"""What a part makes beside the tables of a load, and notes in a table of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from assise.errors import BusyError, RefusedError, TargetError
from assise.manifest.names import list_schemas
from assise.postgres import bookkeeping
from assise.postgres.bookkeeping import Bookkeeping
from assise.postgres.connection import Connection
from assise.postgres.queries import QUERIES, Queries
from assise.postgres.steps import LOCK_TIMEOUT_S, Runner
from assise.progress import Log
from assise.schema.managed import Managed

TRIES = 4
"""Of two seconds each, with a pause between them."""


@dataclass(frozen=True)
class MadeObjects:
    """The objects of a part, whose queries `made`, `keep`, `forget`, `has_objects` and
    `drop_objects` know.
    """

    part: Bookkeeping
    queries: Queries

    def find(self, connection: Connection, load: str) -> list[Managed]:
        """What was made for a load, in order."""
        if not bookkeeping.find_version(connection, self.part):
            return []
        return connection.fetch(Managed, self.queries["made"], {"load": load})

    def keep(
        self, connection: Connection, load: str, objects: Sequence[Managed], *, schema: str
    ) -> None:
        """Note what is made now for a load, in place of what was."""
        lines = json.dumps([list(each) for each in objects])
        connection.execute(self.queries["keep"], {"load": load, "schema": schema, "lines": lines})

    def list_additions(self, connection: Connection, load: str) -> set[tuple[str, str]]:
        """What was added to a load: the table, empty for what is of none, and kind with name."""
        made = self.find(connection, load)
        return {(each.table, f"{each.kind} {each.name}") for each in made}

    def forget(self, connection: Connection, load: str) -> None:
        """Drop what was made beside the tables of a load, which are gone.

        The tables of the part go where no other load has anything. The caller has the lock of the
        bookkeeping, and a transaction.
        """
        if not bookkeeping.find_version(connection, self.part):
            return
        for (statement,) in connection.execute(self.queries["forget"], {"load": load}):
            connection.execute(str(statement))
        if not connection.scalar(self.queries["has_objects"]):
            connection.execute(self.queries["drop_objects"])
            bookkeeping.forget(connection, self.part)


def find_missing(connection: Connection, objects: Iterable[Managed], schema: str) -> set[Managed]:
    """What is not in the catalog, triggers that do not fire too; but no grants and extensions.

    `schema` is that of the names that give none.
    """
    wanted = [each for each in objects if each.kind not in {"grant", "extension"}]
    places = {each: ("" if each.kind in {"table", "function"} else each.table) for each in wanted}
    tables = [each.table for each in wanted]
    schemas = list_schemas([*tables, *(each.name for each in wanted if not places[each])])
    names = {"schema": schema, "schemas": schemas, "tables": tables}
    found = {tuple(map(str, row)) for row in connection.execute(QUERIES["managed"], names)}
    return {each for each in wanted if (each.kind, places[each], each.name) not in found}


def change(
    connection: Connection, run: Callable[[], None], *, name: str, what: str, log: Log
) -> None:
    """Change the `what` of a load's tables in one transaction that gives way to others, as steps do.

    Who has a lock is said at once, and some ten seconds are waited for it: `run` is called in each
    try.

    Raises:
        TargetError: another session uses them, or the server refuses something.
    """

    def attempt() -> None:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
            run()

    try:
        Runner(connection, log, tries=TRIES).try_again(attempt, None)
    except BusyError as error:
        raise TargetError(
            f"another session uses the tables of {name!r}: their {what} was not changed;"
            f" {error.message}",
            remedy="End it, or wait; the same command makes it.",
        ) from error
    except RefusedError as error:
        raise TargetError(
            f"the {what} of {name!r} was not changed: {error.message}",
            remedy="Rename what has one of its names; the same command makes it.",
        ) from error
