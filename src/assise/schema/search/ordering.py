"""The statement that puts hits in another order than by score, or keeps one of each value."""

from __future__ import annotations

from collections.abc import Sequence

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.schema.access import AccessRules
from assise.schema.search.searched import list_readable, match_key
from assise.schema.sql import quote, quote_table
from assise.wording import nearest


def order_hits(
    manifest: Manifest,
    table: str,
    hits: str,
    *,
    sort: Sequence[str],
    distinct: str | None,
    schema: str | None,
) -> str:
    """The statement that orders hits `s` by columns, a descending one with - in front.

    Of `distinct`, a column, the best hit of each value is kept, and all without a value. Equal rows
    stay in the order of their scores. It gives the row of `%(cursor)s` and `%(limit)s` behind it.

    Raises:
        UsageError: there is no such column.
    """
    types = list_readable(AccessRules(manifest, schema or "public"), table)
    for name in [*(each.removeprefix("-") for each in sort), *([distinct] if distinct else [])]:
        if name not in types:
            raise UsageError(f"{table} has no column {name!r}", remedy=nearest(name, types))
    place = quote_table(schema, table)
    order = [
        f"t.{quote(name.removeprefix('-'))} {'DESC' if name.startswith('-') else 'ASC'} NULLS LAST"
        for name in sort
    ]
    by = ", ".join([*order, "s.place"])
    nth, kept = "1", "true"
    if distinct:
        column = f"t.{quote(distinct)}"
        nth = f"row_number() OVER (PARTITION BY {column} ORDER BY s.place)"
        kept = "(b.nth = 1 OR b.is_null)"
    text = (
        f"WITH joined AS (SELECT s.*, {nth} AS nth,"
        f" {f't.{quote(distinct)} IS NULL' if distinct else 'false'} AS is_null,"
        f" row_number() OVER (ORDER BY {by}) AS at"
        f" FROM \0 JOIN {place} AS t ON {match_key(manifest, table, 's.key')}),"
        " kept AS (SELECT b.*, row_number() OVER (ORDER BY b.at) AS n,"
        f" count(*) OVER () AS total FROM joined AS b WHERE {kept}),"
        " cut AS (SELECT coalesce(max(n), 0) AS n FROM kept"
        " WHERE key IN (SELECT jsonb_array_elements(\1::jsonb -> 1)))"
        ' SELECT k.n AS place, k."table", k.key, k.score, k.total,'
        ' jsonb_build_array(k."table", jsonb_agg(k.key) OVER (ORDER BY k.n DESC'
        " ROWS BETWEEN CURRENT ROW AND 4 FOLLOWING))::text AS next"
        " FROM kept AS k, cut WHERE k.n >= cut.n ORDER BY k.n LIMIT \2 + 1"
    )
    text = text.replace("%", "%%").replace("\0", hits)
    return text.replace("\1", "%(cursor)s").replace("\2", "%(limit)s")
