"""How a query is answered: the plan of each table, and what its words weigh."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

from assise.postgres.connection import Connection
from assise.schema.search.searched import FORGET_PLAN, READ_PLAN, Searched
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

    plan: `rows`, where the rows that the user sees are scored, `own`, where words are counted in
        them too, or `blocks`; empty where no word of the query is left.
    n: how many rows the statistics were counted of, whose average length is `average`.
    fresh: rows that are scored one by one by their tsvectors.
    inexact: a moment raises scores, and in `blocks` only those of the best thousand rows.
    """

    table: str
    plan: str
    n: int
    average: float | None
    fresh: int
    words: list[Word]
    inexact: bool = False


def explain_table(
    connection: Connection, asker: Asker, table: Searched, request: Request
) -> Explained:
    """Run a query on one table, and say how it was answered."""
    asker.session.execute(FORGET_PLAN)
    asker.rank(replace(request, types=[table.name]))
    asked = asker.session.fetch_one(READ_PLAN) or {}
    plan, counted = str(asked["plan"] or ""), asked["counted"]
    inexact = bool(table.search.boost)
    builder = Builder(connection, table)
    active = builder.active
    values = {"q": request.text, "generation": active.generation}
    words = [_read_word(row) for row in builder.run("explain", **values)]
    n, average = int(active.n), active.average
    if counted:
        own = json.loads(counted)
        n, average = own["n"], own["average"]
        read = [Word(lexeme, df, _weigh(n, df)) for lexeme, df in own["words"]]
        words = sorted(read, key=lambda word: (-word.idf, word.lexeme))
    return Explained(table.name, plan, n, average, active.waiting, words, inexact)


def _weigh(n: int, df: int) -> float:
    return round(log(1 + (n - df + 0.5) / (df + 0.5)), 3)


def _read_word(row: Sequence[object]) -> Word:
    lexeme, df, idf = row
    return Word(str(lexeme), int(str(df)), float(str(idf)))
