"""A session that searches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assise.manifest.model import Manifest
from assise.postgres.pool import Record
from assise.postgres.sync import SyncSession
from assise.search.query import Request, ask


@dataclass(frozen=True)
class Asker:
    """A session that searches; `schema` is that of the tables where it is not on its path."""

    manifest: Manifest
    schema: str | None
    session: SyncSession

    def rank(self, request: Request) -> Sequence[Record]:
        """The keys of the rows that are found with their scores, the best first."""
        return self.session.fetch(*ask(self.manifest, request, self.schema))
