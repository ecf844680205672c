"""A search of an application or an operator: what is asked, the statements, and what was found.

The statements are those of a generator that gets their rows, for sessions with await and without.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Literal

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.embedding import EMBED, find_shown
from assise.manifest.sections.search import SEARCH
from assise.manifest.sections.search_log import SEARCH_LOG
from assise.postgres.asking import Asking
from assise.postgres.pool import Record
from assise.schema.search.log import note_search
from assise.schema.search.meaning import FUNCTION
from assise.schema.search.ordering import order_hits
from assise.schema.search.searched import READ_CORRECTIONS, count_values, select_hits
from assise.schema.sql import quote
from assise.search.snippet import make_snippet, replace_words
from assise.wording import nearest

LONGEST = 100_000
"""Characters of a text in which a passage is looked for."""

Enough = Literal["any", "most", "all"]
"""How much of a query a row must have."""

EXACT = 10_000
"""So many hits are counted exactly."""

Ranking = Literal["keyword", "semantic", "hybrid"]
"""How rows are ranked."""

EMBED_IT = (
    "Write embed: [COLUMN, …] at the table, then `assise load` and `assise search embed`;"
    " or ask by words: --method keyword."
)
"""What to do where rows are asked for by meaning, but searched by words alone."""

_ARGUMENTS = (
    "%(q)s, %(tables)s::text[], %(limit)s, %(filters)s::jsonb, %(cursor)s, %(options)s::jsonb"
)


@dataclass(frozen=True)
class Embedding:
    """The vector of a query, as pgvector reads it, and the model that it is of."""

    model: str
    text: str


@dataclass(frozen=True)
class Request:
    """What is searched for, in which tables; `filters` are conditions on columns.

    facets: columns of the one table in `types` whose values are counted among all hits.
    method: by words (`keyword`), by meaning (`semantic`), or by both (`hybrid`), for which `vector` is
        that of the text. threshold: the least similarity of hits by meaning, from 0 to 1.
    warning: why it is asked by words alone, where meaning was wanted too.
    sort: columns of this table by which the best 10,000 hits are ordered, a descending one with - in
        front; without them by score. distinct: a column of which each value has one hit, its best.
    """

    text: str
    types: Sequence[str] | None = None
    limit: int = 10
    filters: Mapping[str, object] = field(default_factory=dict)
    cursor: str | None = None
    match: Enough = "any"
    as_you_type: bool = False
    is_raw: bool = False
    facets: Sequence[str] = ()
    sort: Sequence[str] = ()
    distinct: str | None = None
    with_total: bool = True
    method: Ranking = "keyword"
    threshold: float | None = None
    vector: Embedding | None = None
    warning: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it asks by meaning for a blank text, which has none."""
        return self.method != "keyword" and self.vector is None and not self.text.strip()

    def options(self) -> dict[str, object]:
        """The options as the functions in the database read them."""
        found: dict[str, object] = {}
        if self.vector is not None:
            found |= {"method": self.method, "model": self.vector.model}
            found |= {} if self.threshold is None else {"threshold": self.threshold}
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
class Answer:
    """The hits of a query in order, how many there are in all, and how long it took.

    Up to 10,000 hits `total` and `facets` are exact; with more, `estimated` is true, and they are
    of the best 10,000. `total` is None where it was not asked for. `inexact` says that the rows of a
    table are raised by a moment, its best thousand where it is large. `warning` says why rows were
    searched by words alone, where meaning was wanted too.
    """

    results: list[Hit]
    execution_time_ms: float
    total: int | None = None
    estimated: bool = False
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    query_id: str | None = None
    did_you_mean: str | None = None
    inexact: bool = False
    warning: str | None = None

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
    check_tables(manifest, request.types, request.method)
    statement = f"SELECT * FROM {_call(request, schema)} ORDER BY place"  # noqa: S608
    return statement, {
        "q": request.text.replace("\0", " "),
        "vector": request.vector and request.vector.text,
        "tables": None if request.types is None else [*request.types],
        "limit": request.limit,
        "filters": json.dumps(request.filters, default=str),
        "cursor": request.cursor,
        "options": json.dumps(request.options()),
    }


def find(manifest: Manifest, request: Request, schema: str | None = None) -> Asking[Answer]:
    """Search, then read the rows of the hits with the rights of whoever asks.

    Raises:
        UsageError: a table is not searched, or a facet is no column of one table.
    """
    started = perf_counter()
    if request.is_empty:
        check_tables(manifest, request.types, request.method)
        return Answer([], 0, total=0)
    hits, ordered = yield from _find_hits(manifest, request, schema)
    (corrected,) = yield READ_CORRECTIONS, {}
    words: dict[str, str] = json.loads(corrected["words"] or "{}")
    q = " ".join([request.text, *words.values(), corrected["synonyms"] or ""])
    made: dict[object, Hit] = {}
    for table in dict.fromkeys(str(hit["table"]) for hit in hits):
        own = [hit for hit in hits if hit["table"] == table]
        keys = json.dumps([hit["key"] for hit in own])
        rows = yield select_hits(manifest, table, schema), {"keys": keys}
        texts = [_read_bodies(manifest, table, row) for row in rows]
        (marked,) = yield _mark(manifest, table, texts, q, schema=schema)
        headlines = iter(marked["headlines"])
        for row, bodies in zip(rows, texts, strict=True):
            snippet = make_snippet(bodies, [next(headlines) for _ in bodies], q)
            hit = own[int(row["_place"]) - 1]
            made[hit["place"]] = _make_hit(manifest, hit, row, snippet)
    results = [made[hit["place"]] for hit in hits if hit["place"] in made]
    counts = Answer([], 0)
    if request.with_total or request.facets:
        counts = yield from _count(manifest, request, schema)
    if ordered is not None and not counts.estimated:
        counts = replace(counts, total=ordered)
    spent_ms = (perf_counter() - started) * 1_000
    meant = replace_words(request.text, words)
    answer = replace(
        counts,
        results=results,
        execution_time_ms=spent_ms,
        did_you_mean=meant if meant != request.text else None,
        inexact=_is_boosted(manifest, request),
        warning=request.warning,
    )
    if SEARCH_LOG.of(manifest) is not None and request.text.strip(" \t\r\n\0"):
        (noted,) = yield note_search(schema), _describe(request, answer, hits)
        answer = replace(answer, query_id=str(noted["id"]))
    return answer


def _is_boosted(manifest: Manifest, request: Request) -> bool:
    """Whether a moment raises rows of a table that is searched."""
    names = manifest.tables if request.types is None else request.types
    found = [SEARCH.of(manifest.tables[name]) for name in names]
    return any(search.boost for search in found if search is not None)


def _find_hits(
    manifest: Manifest, request: Request, schema: str | None
) -> Asking[tuple[Sequence[Record], int | None]]:
    """The hits of a page; where they are in another order than by score also how many there are."""
    statement, parameters = ask(manifest, request, schema)
    if not (request.sort or request.distinct):
        found = yield statement, parameters
        return found, None
    table = _only_table(request, "sort and distinct")
    ordered = order_hits(
        manifest,
        table,
        _best_hits(request, schema, EXACT),
        sort=request.sort,
        distinct=request.distinct,
        schema=schema,
    )
    before = _read_cursor(request.cursor, table)
    found = yield ordered, parameters
    total = int(found[0]["total"]) if found else 0
    if before is None:
        return found[: request.limit], total
    if not found or found[0]["key"] not in before:
        raise UsageError(
            "the rows that the cursor names are gone", remedy="Begin at the first page."
        )
    return found[1:], total


def _read_cursor(cursor: str | None, table: str) -> list[object] | None:
    """The keys of a cursor, the last row of a page first.

    Raises:
        UsageError: it is that of another search.
    """
    if cursor is None:
        return None
    try:
        name, keys = json.loads(cursor)
    except (ValueError, TypeError):
        name, keys = None, None
    if name == table and isinstance(keys, list):
        return keys
    raise UsageError("the cursor is none of this search", remedy="Begin at the first page.")


def _only_table(request: Request, what: str) -> str:
    if request.types is None or len(request.types) != 1:
        raise UsageError(f"{what} are of one table", remedy="Name it alone in types.")
    return request.types[0]


def _describe(request: Request, answer: Answer, hits: Sequence[Record]) -> dict[str, object]:
    """A search as the log has it."""
    return {
        "q": request.text.replace("\0", " "),
        "tables": None if request.types is None else [*request.types],
        "hits": answer.total,
        "ms": answer.execution_time_ms,
        "is_next": request.cursor is not None,
        "shown": json.dumps([[hit["table"], hit["key"]] for hit in hits]),
    }


def _count(manifest: Manifest, request: Request, schema: str | None) -> Asking[Answer]:
    """How many hits there are, and how often they have each value of the facets."""
    _, parameters = ask(manifest, request, schema)
    hits = _best_hits(request, schema, EXACT + 1)
    (counted,) = yield f"SELECT count(*) AS total FROM {hits}", parameters  # noqa: S608
    total, facets = int(counted["total"]), {}
    for column in request.facets:
        table = _only_table(request, "facets")
        best = _best_hits(request, schema, EXACT)
        statement = count_values(manifest, table, column, best, schema)
        values = yield statement, parameters
        facets[column] = {str(row["value"]): int(row["rows"]) for row in values}
    return Answer([], 0, min(total, EXACT), estimated=total > EXACT, facets=facets)


def _best_hits(request: Request, schema: str | None, most: int) -> str:
    """The best hits `s`."""
    call = _call(request, schema)
    return f"{call.replace('%(limit)s', str(most)).replace('%(cursor)s', 'NULL')} AS s"


def _call(request: Request, schema: str | None) -> str:
    """The call of the function that ranks rows."""
    name, arguments = "search", _ARGUMENTS
    if request.vector is not None:
        name, arguments = FUNCTION, _ARGUMENTS.replace("%(q)s", "%(q)s, %(vector)s")
    return f"{quote(schema, name) if schema else name}({arguments})"


def check_tables(
    manifest: Manifest, types: Sequence[str] | None, method: Ranking = "keyword"
) -> None:
    """Check that tables are searched.

    Raises:
        UsageError: one is not, or none is.
    """
    searched = [name for name, table in manifest.tables.items() if SEARCH.of(table) is not None]
    embedded = [name for name, table in manifest.tables.items() if EMBED.of(table) is not None]
    known = {"keyword": searched, "semantic": embedded, "hybrid": [*searched, *embedded]}[method]
    for name in types or ():
        if name not in known and name in searched:
            raise UsageError(f"table {name!r} is not searched by meaning", remedy=EMBED_IT)
        if name not in known:
            raise UsageError(f"table {name!r} is not searched", remedy=nearest(name, known))
    if not known:
        is_by_word = method == "keyword"
        word = "search: {title: …, body: …}" if is_by_word else "embed: [COLUMN, …]"
        remedy = EMBED_IT if searched and not is_by_word else f"Write {word} at a table."
        raise UsageError("no table is searched" + " by meaning" * (not is_by_word), remedy=remedy)


def _read_bodies(manifest: Manifest, table: str, row: Record) -> list[str]:
    search = find_shown(manifest.tables[table])
    return [_as_text(row[column])[:LONGEST] for column in search.body if row.get(column)]


def _mark(
    manifest: Manifest, table: str, texts: Iterable[list[str]], q: str, *, schema: str | None
) -> tuple[str, dict[str, object]]:
    """The statement that finds the best passages of texts, and its parameters."""
    search = find_shown(manifest.tables[table])
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
    search = find_shown(table)
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
