"""What the log of searches tells: the slow ones, those that find nothing, and what people open."""

from __future__ import annotations

from dataclasses import dataclass

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.search_log import SEARCH_LOG
from assise.postgres.connection import Connection
from assise.schema.access import AccessRules
from assise.schema.search.log import write_statement
from assise.workspace import LoadedTables


@dataclass(frozen=True)
class Asked:
    """A query of the log: how often it was asked, in this time and in as long a time `before`.

    `ms` is the longest that it took, and `hits` the most that it found.
    """

    text: str
    times: int
    ms: float
    hits: int | None
    before: int


@dataclass(frozen=True)
class Sums:
    """How many queries were asked, by how many users, how long they took, and how many found
    nothing, or something that was opened.
    """

    queries: int
    users: int
    p50_ms: float | None
    p95_ms: float | None
    without_hits: int
    with_clicks: int


@dataclass(frozen=True)
class SearchReport:
    """What was searched in some days: the slowest queries, those that found nothing, those that
    are asked more than before, and those of whose hits none was opened. Pages behind the first
    count for the slow ones alone.
    """

    days: int
    sums: Sums
    slow: list[Asked]
    empty: list[Asked]
    trending: list[Asked]
    unclicked: list[Asked]


def check_log(manifest: Manifest) -> None:
    """Refuse where searches are not kept.

    Raises:
        UsageError: they are not.
    """
    if SEARCH_LOG.of(manifest) is None:
        raise UsageError(
            "searches are not kept",
            remedy="Write search_log: {keep: 30 days} in the manifest, then `assise load`.",
        )


def read_report(
    connection: Connection, tables: LoadedTables, *, days: int, limit: int
) -> SearchReport:
    """What the log of some days says, at most so many queries of each kind.

    Raises:
        UsageError: searches are not kept.
    """
    check_log(tables.manifest)
    rules = AccessRules(tables.manifest, tables.schema)
    values = {"days": days, "limit": limit}
    (sums,) = connection.fetch(Sums, write_statement(rules, "sums"), values)
    lists = {
        name: connection.fetch(Asked, write_statement(rules, name), values)
        for name in ("slow", "empty", "trending", "unclicked")
    }
    return SearchReport(days, sums, **lists)


@dataclass(frozen=True)
class Opened:
    """A row that was opened as a hit of a query, and how often."""

    query: str
    table: str
    key: list[str]
    times: int

    @property
    def grade(self) -> int:
        """How well it fits: 2 if it was opened at least twice, else 1."""
        return min(self.times, 2)


def read_clicks(connection: Connection, tables: LoadedTables, *, days: int) -> list[Opened]:
    """The hits that were opened in some days.

    Raises:
        UsageError: searches are not kept.
    """
    check_log(tables.manifest)
    statement = write_statement(AccessRules(tables.manifest, tables.schema), "clicked")
    return connection.fetch(Opened, statement, {"days": days})
