"""A search of an application or an operator: what is asked, the statements, and what was found.

The statements are those of a generator that gets their rows, for sessions with await and without.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
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

LONGEST = 100_000
"""Characters of a text in which a passage is looked for."""

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
    made: dict[object, Hit] = {}
    for table in dict.fromkeys(str(hit["table"]) for hit in hits):
        own = [hit for hit in hits if hit["table"] == table]
        keys = json.dumps([hit["key"] for hit in own])
        rows = yield select_hits(manifest, table, schema), {"keys": keys}
        texts = [_read_bodies(manifest, table, row) for row in rows]
        (marked,) = yield _mark(manifest, table, texts, request.text, schema=schema)
        headlines = iter(marked["headlines"])
        for row, bodies in zip(rows, texts, strict=True):
            snippet = make_snippet(bodies, [next(headlines) for _ in bodies], request.text)
            hit = own[int(row["_place"]) - 1]
            made[hit["place"]] = _make_hit(manifest, hit, row, snippet)
    results = [made[hit["place"]] for hit in hits if hit["place"] in made]
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


def _read_bodies(manifest: Manifest, table: str, row: Record) -> list[str]:
    search = SEARCH.of(manifest.tables[table]) or Search()
    return [_as_text(row[column])[:LONGEST] for column in search.body if row[column]]


def _mark(
    manifest: Manifest, table: str, texts: Iterable[list[str]], q: str, *, schema: str | None
) -> tuple[str, dict[str, object]]:
    """The statement that finds the best passages of texts, and its parameters."""
    search = SEARCH.of(manifest.tables[table]) or Search()
    function = quote(schema, "search_headlines") if schema else "search_headlines"
    return (
        f"SELECT {function}(%(bodies)s::text[], %(q)s, %(languages)s::text[]) AS headlines",
        {
            "bodies": [body for bodies in texts for body in bodies],
            "q": q.replace("\0", " "),
            "languages": list(search.languages),
        },
    )


def _make_hit(manifest: Manifest, hit: Record, row: Record, snippet: str) -> Hit:
    name = str(hit["table"])
    table = manifest.tables[name]
    search = SEARCH.of(table) or Search()
    key = [row[column] for column in table.primary_key]
    title = str(row.get(search.title or "") or "")
    known = {*table.primary_key, *search.columns, "_place"}
    return Hit(
        type=name,
        id=key[0] if len(key) == 1 else tuple(key),
        title=title,
        snippet=snippet,
        score=float(hit["score"]),
        metadata={column: value for column, value in row.items() if column not in known},
        next=str(hit["next"]),
    )


def _as_text(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
