"""Ways to rank the rows of searched tables, as measures and runs need them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import get_args

from assise.errors import UsageError
from assise.manifest.sections.postgres import RoleName
from assise.postgres.connection import Connection
from assise.schema.search.searched import Searched
from assise.schema.search.ts_rank import select_by_ts_rank
from assise.search.asker import Asker
from assise.search.judgements import Rank
from assise.search.log import Opened
from assise.search.query import Enough, Request
from assise.search.verbs import SearchVerbs, list_tables
from assise.wording import nearest

TS_RANK = "ts_rank"
METHODS = (*get_args(Enough), TS_RANK)
"""Rows with any word of a query, with most of it or all, by BM25; and by PostgreSQL's ts_rank."""


def name_row(table: str, key: Sequence[object], *, is_only: bool) -> str:
    """A row as judgements and runs name it: its key, behind its table where there are several.

    >>> name_row("projects", [7], is_only=True), name_row("files", ["a", 0], is_only=False)
    ('7', 'files:a/0')
    """
    name = "/".join(map(str, key))
    return name if is_only else f"{table}:{name}"


@contextmanager
def open_rankings(
    search: SearchVerbs,
    types: Sequence[str] | None,
    *,
    user_id: object = None,
    tenant_id: object = None,
    methods: Sequence[str] = METHODS,
) -> Iterator[dict[str, Rank]]:
    """The methods, by name. Without a user or tenant all rows are ranked, with exact scores.

    Raises:
        UsageError: there is no such method, or it is not for a user.
    """
    for method in methods:
        if method not in METHODS:
            raise UsageError(f"there is no method {method!r}", remedy=nearest(method, METHODS))
    is_operator = user_id is None and tenant_id is None
    role: RoleName = "admin" if is_operator else "app"
    with (
        search.open_tables() as (connection, tables),
        search.open_asker(user_id=user_id, tenant_id=tenant_id, role=role) as asker,
    ):
        searched = {table.name: table for table in list_tables(connection, tables)}
        names = list(types or searched)
        found: dict[str, Rank] = {
            method: partial(_rank, asker, names, method, is_operator) for method in get_args(Enough)
        }
        if is_operator and len(names) == 1 and names[0] in searched:
            found[TS_RANK] = partial(_rank_by_postgres, connection, searched[names[0]])
        yield {method: found[method] for method in methods if method in found}


def judge_by_clicks(
    opened: Sequence[Opened], types: Sequence[str] | None
) -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    """The queries whose hits were opened, and these hits as judgements; the id of a query is its
    text. All other rows count as not fitting, so that the ranking of today has an advantage.

    Raises:
        UsageError: nothing was opened.
    """
    fitting = [each for each in opened if types is None or each.table in types]
    if not fitting:
        raise UsageError("no hit was opened", remedy="Note clicks with app.search.clicked.")
    is_only = types is not None and len(types) == 1
    judgements: dict[str, dict[str, int]] = {}
    for each in fitting:
        row = name_row(each.table, each.key, is_only=is_only)
        judgements.setdefault(each.query, {})[row] = each.grade
    return {query: query for query in judgements}, judgements


def _rank(
    asker: Asker, names: Sequence[str], match: Enough, is_raw: bool, text: str, limit: int
) -> list[tuple[str, float]]:
    request = Request(text, names, limit, match=match, is_raw=is_raw)
    is_only = len(names) == 1
    return [
        (name_row(hit["table"], hit["key"], is_only=is_only), hit["score"])
        for hit in asker.rank(request)
    ]


def _rank_by_postgres(
    connection: Connection, table: Searched, text: str, limit: int
) -> list[tuple[str, float]]:
    rows = connection.execute(select_by_ts_rank(table), {"q": text, "limit": limit})
    ranked = []
    for score, *key in rows:
        ranked.append((name_row(table.name, key, is_only=True), float(str(score))))
    return ranked
