"""A search of an application or an operator: what is asked, the statements, and what was found.

The statements are those of a generator that gets their rows, for sessions with await and without.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.search import SEARCH, Search
from assise.schema.search.searched import select_hits
from assise.schema.sql import quote
from assise.search.snippet import make_snippet
from assise.wording import nearest

Match = Literal["any", "most", "all"]
Record = Mapping[str, Any]
Statements = Generator[tuple[str, dict[str, object]], Sequence[Record], "Found"]


@dataclass(frozen=True)
class Request:
    """What is searched for, in which tables; `filters` are conditions on columns."""

    text: str
    types: Sequence[str] | None = None
    limit: int = 10
    filters: Mapping[str, object] = field(default_factory=dict)
    cursor: str | None = None
    match: Match = "any"
    as_you_type: bool = False
    is_raw: bool = False

    def options(self) -> dict[str, object]:
        """The options as the functions in the database read them."""
        found: dict[str, object] = {}
        if self.match != "any":
            found["match"] = self.match
        if self.as_you_type:
            found["as_you_type"] = True
        return {**found, **({"raw": True} if self.is_raw else {})}


@dataclass(frozen=True)
class Hit:
    """A row that was found: its table, key, and score relative to the best one, 0 to 1.

    `metadata` are its other columns; `next` is the cursor of a page that begins behind it.
    """

    type: str
    id: object
    title: str
    snippet: str
    score: float
    metadata: dict[str, object]
    next: str


@dataclass(frozen=True)
class Found:
    """The hits of a query in order, and how long it took."""

    results: list[Hit]
    execution_time_ms: float

    @property
    def cursor(self) -> str | None:
        """The cursor of the next page; None behind the last hit."""
        return self.results[-1].next if self.results else None


def ask(
    manifest: Manifest, request: Request, schema: str | None = None
) -> tuple[str, dict[str, object]]:
    """The statement that ranks rows, and its parameters.

    Raises:
        UsageError: a table is not searched.
    """
    _check(manifest, request)
    function = quote(schema, "search") if schema else "search"
    statement = (
        f"SELECT * FROM {function}(%(q)s, %(tables)s::text[], %(limit)s,"  # noqa: S608
        " %(filters)s::jsonb, %(cursor)s, %(options)s::jsonb) ORDER BY place"
    )
    return statement, {
        "q": request.text.replace("\0", " "),
        "tables": None if request.types is None else [*request.types],
        "limit": request.limit,
        "filters": json.dumps(request.filters, default=str),
        "cursor": request.cursor,
        "options": json.dumps(request.options()),
    }


def find(manifest: Manifest, request: Request, schema: str | None = None) -> Statements:
    """Search, then read the rows of the hits with the rights of whoever asks.

    Raises:
        UsageError: a table is not searched.
    """
    started = perf_counter()
    hits = yield ask(manifest, request, schema)
    rows: dict[tuple[str, int], Record] = {}
    for table in dict.fromkeys(str(hit["table"]) for hit in hits):
        own = [hit for hit in hits if hit["table"] == table]
        keys = json.dumps([hit["key"] for hit in own])
        found = yield select_hits(manifest, table, schema), {"keys": keys}
        rows |= {(table, int(own[int(row["_place"]) - 1]["place"])): row for row in found}
    results = [
        _make_hit(manifest, hit, rows[hit["table"], hit["place"]], request.text)
        for hit in hits
        if (hit["table"], hit["place"]) in rows
    ]
    return Found(results, (perf_counter() - started) * 1_000)


def _check(manifest: Manifest, request: Request) -> None:
    known = [name for name, table in manifest.tables.items() if SEARCH.of(table) is not None]
    for name in request.types or ():
        if name not in known:
            raise UsageError(f"table {name!r} is not searched", remedy=nearest(name, known))
    if not known:
        raise UsageError(
            "no table is searched", remedy="Write search: {title: …, body: …} at a table."
        )


def _make_hit(manifest: Manifest, hit: Record, row: Record, text: str) -> Hit:
    name = str(hit["table"])
    table = manifest.tables[name]
    search = SEARCH.of(table) or Search()
    key = [row[column] for column in table.primary_key]
    title = str(row.get(search.title or "") or "")
    bodies = [_as_text(row[column]) for column in search.body if row[column]]
    known = {*table.primary_key, *search.columns, "_place"}
    return Hit(
        type=name,
        id=key[0] if len(key) == 1 else tuple(key),
        title=title,
        snippet=make_snippet(bodies, text),
        score=float(hit["score"]),
        metadata={column: value for column, value in row.items() if column not in known},
        next=str(hit["next"]),
    )


def _as_text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
