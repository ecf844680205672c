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
from assise.schema.search.searched import count_values, select_hits
from assise.schema.sql import quote
from assise.search.snippet import make_snippet
from assise.wording import nearest

Match = Literal["any", "most", "all"]
Record = Mapping[str, Any]
EXACT = 10_000
"""So many hits are counted exactly."""

_ARGUMENTS = (
    "%(q)s, %(tables)s::text[], %(limit)s, %(filters)s::jsonb, %(cursor)s, %(options)s::jsonb"
)
Statements = Generator[tuple[str, dict[str, object]], Sequence[Record], "Found"]


@dataclass(frozen=True)
class Request:
    """What is searched for, in which tables; `filters` are conditions on columns.

    facets: columns of the one table in `types` whose values are counted among all hits.
    """

    text: str
    types: Sequence[str] | None = None
    limit: int = 10
    filters: Mapping[str, object] = field(default_factory=dict)
    cursor: str | None = None
    match: Match = "any"
    as_you_type: bool = False
    is_raw: bool = False
    facets: Sequence[str] = ()
    with_total: bool = True

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
    """The hits of a query in order, how many there are in all, and how long it took.

    Up to 10,000 hits `total` and `facets` are exact; with more, `estimated` is true, and they are
    of the best 10,000. `total` is None where it was not asked for.
    """

    results: list[Hit]
    execution_time_ms: float
    total: int | None = None
    estimated: bool = False
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def cursor(self) -> str | None:
        """The cursor of the next page; None behind the last hit."""
        return self.results[-1].next if self.results else None


def find(manifest: Manifest, request: Request, schema: str | None = None) -> Statements:
    """Search, then read the rows of the hits with the rights of whoever asks.

    Raises:
        UsageError: a table is not searched.
    """
    started = perf_counter()
    _check(manifest, request)
    statement, parameters = _call(request, schema)
    hits = yield statement, parameters
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
    total: int | None = None
    if request.with_total:
        ((counted),) = yield f"SELECT count(*) AS total FROM {_all_hits(schema)}", parameters  # noqa: S608
        total = int(counted["total"])
    facets = {}
    for column in request.facets:
        statement = count_values(manifest, _facet_table(request), column, _all_hits(schema), schema)
        facets[column] = {
            str(row["value"]): int(row["rows"]) for row in (yield statement, parameters)
        }
    is_more = total is not None and total > EXACT
    if total is not None:
        total = min(total, EXACT)
    taken = (perf_counter() - started) * 1_000
    return Found(results, taken, total, estimated=is_more, facets=facets)


def _call(request: Request, schema: str | None) -> tuple[str, dict[str, object]]:
    """The call of the function in the database."""
    statement = f"SELECT * FROM {_function(schema)}({_ARGUMENTS}) ORDER BY place"  # noqa: S608
    parameters: dict[str, object] = {
        "q": request.text.replace("\0", " "),
        "tables": None if request.types is None else [*request.types],
        "limit": request.limit,
        "filters": json.dumps(request.filters, default=str),
        "cursor": request.cursor,
        "options": json.dumps(request.options()),
    }
    return statement, parameters


def _function(schema: str | None) -> str:
    return quote(schema, "search") if schema else "search"


def _all_hits(schema: str | None) -> str:
    """All hits, as far as they are counted, and one more."""
    arguments = _ARGUMENTS.replace("%(limit)s", str(EXACT + 1)).replace("%(cursor)s", "NULL")
    return f"{_function(schema)}({arguments}) AS s"


def _facet_table(request: Request) -> str:
    """The one table whose columns are counted.

    Raises:
        UsageError: there are none, or several.
    """
    if request.types is None or len(request.types) != 1:
        raise UsageError("facets are of one table", remedy="Name it alone in types.")
    return request.types[0]


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
