"""Sessions that search: with await, and without."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from assise.manifest.model import Manifest
from assise.postgres.pool import Record, Session
from assise.postgres.sync import SyncSession
from assise.search.query import Request, ask

Found = TypeVar("Found")
Statements = Generator[tuple[str, dict[str, object]], Sequence[Record], Found]


def run(statements: Statements[Found], session: SyncSession) -> Found:
    """Run a search in a session."""
    rows = None
    try:
        while True:
            statement, parameters = statements.send(rows) if rows is not None else next(statements)
            rows = session.fetch(statement, parameters)
    except StopIteration as end:
        found: Found = end.value
        return found


async def run_async(statements: Statements[Found], session: Session) -> Found:
    """Run a search in a session of an application."""
    rows = None
    try:
        while True:
            statement, parameters = statements.send(rows) if rows is not None else next(statements)
            rows = await session.fetch(statement, parameters)
    except StopIteration as end:
        found: Found = end.value
        return found


@dataclass(frozen=True)
class Asker:
    """A session that searches; `schema` is that of the tables where it is not on its path."""

    manifest: Manifest
    schema: str | None
    session: SyncSession

    def rank(self, request: Request) -> Sequence[Record]:
        """The keys of the rows that are found with their scores, the best first."""
        return self.session.fetch(*ask(self.manifest, request, self.schema))
