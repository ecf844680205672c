"""What PostgreSQL's own ranking finds, to compare with."""

from __future__ import annotations

from assise.schema.search.searched import Searched
from assise.schema.sql import qualify, quote


def select_by_ts_rank(table: Searched) -> str:
    """The rows with any lexeme of the query %(q)s: score and key, at most %(limit)s.

    Flag 1 divides by one plus the logarithm of the length.
    """
    schema, keys = quote(table.rules.schema), ", ".join(qualify("w", table.key))
    lexemes = f"jsonb_object_keys({schema}.search_query(%(q)s, {table.languages}) -> 'terms')"
    return (
        f"WITH asked AS (SELECT string_agg({schema}._search_quote(lexeme), ' | ')::tsquery AS query"
        f" FROM {lexemes} AS lexeme)"
        f" SELECT max(ts_rank(w.vector, query, 1)), {keys} FROM {table.quoted('rows')} AS w, asked"
        f" WHERE w.vector @@ query GROUP BY {keys} ORDER BY 1 DESC, {keys} LIMIT %(limit)s"
    )
