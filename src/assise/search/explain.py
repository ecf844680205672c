"""How a query is answered: the plan of each table, and what its words weigh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from assise.postgres.connection import Connection
from assise.schema.search.searched import Searched
from assise.search.asker import Asker
from assise.search.build import Builder
from assise.search.query import Request


@dataclass(frozen=True)
class Word:
    """A lexeme of a query: how many rows of the table have it, and its weight."""

    lexeme: str
    df: int
    idf: float


@dataclass(frozen=True)
class Explained:
    """How a table is searched.

    plan: `rows`, where the rows that the user sees are scored, or `blocks`; empty where no word of
        the query is left.
    n: how many rows the statistics were counted of, whose average length is `average`.
    fresh: rows that are scored one by one by their tsvectors.
    """

    table: str
    plan: str
    n: int
    average: float | None
    fresh: int
    words: list[Word]


def explain_table(
    connection: Connection, asker: Asker, table: Searched, request: Request
) -> Explained:
    """Run a query on one table, and say how it was answered."""
    asker.session.execute("SELECT set_config('search.plan', '', true)")
    asker.rank(replace(request, types=[table.name]))
    plan = asker.session.fetch_value("SELECT current_setting('search.plan', true)")
    builder = Builder(connection, table)
    active = builder.active
    values = {"q": request.text, "generation": active.generation}
    words = [_read_word(row) for row in builder.run("explain", **values)]
    fresh = active.waiting
    return Explained(table.name, str(plan or ""), int(active.n), active.average, fresh, words)


def _read_word(row: Sequence[object]) -> Word:
    lexeme, df, idf = row
    return Word(str(lexeme), int(str(df)), float(str(idf)))
