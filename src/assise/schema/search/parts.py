"""What is put into the blocks of `table.sql` and `build.sql` for one searched table."""

from __future__ import annotations

import json
from collections.abc import Iterable

from assise.schema.guards import make_name
from assise.schema.search import searched, vocabulary
from assise.schema.search.searched import (
    Searched,
    list_shared,
    quote_array,
    sees_all,
)
from assise.schema.sql import qualify, quote, quote_list, quote_table, quote_text

MADE = "fresh pending terms rows blocks vocabulary index dense complete rank".split()
MADE += "owned own known begun has_words nearest correct count_own synonyms also".split()
ROWS = "t s w f b p".split()
"""Aliases of rows in the blocks."""

PAIRS = [("a", "t"), ("p", "k"), ("f", "k"), ("w", "k"), ("t", "k")]
PAIRS += [("t", "w"), ("w", "f"), ("t", "f"), ("t", "p"), ("o", "w")]
"""Pairs of rows that a block compares by their keys."""

SHARE = "round(1e10 * {score} / {possible}) / 1e10"
"""A score as a share of what no row exceeds, in steps in which equal scores are equal."""


def list_parts(table: Searched) -> dict[str, str]:
    """All parts by name."""
    return {
        **list_shared(table.rules.schema),
        **_name_objects(table),
        **_list_keys(table),
        **_read_texts(table),
        **_rank_rows(table),
        **vocabulary.list_parts(table),
        "is_misplaced": _find_misplaced(table),
    }


def _name_objects(table: Searched) -> dict[str, str]:
    return {
        **{kind: table.quoted(kind) for kind in MADE},
        "v": quote(table.vector) if table.vector else "",
        "query_type": f"{quote(table.vector)}.sparsevec" if table.vector else "text",
        "has_vector": "true" if table.vector else "false",
        "size": str(searched.BLOCK),
        "name": quote_text(table.name),
        "place": table.place,
        "place_text": quote_text(table.place),
        "one": quote_table(table.rules.schema, table.function),
        "batch": quote(make_name("_search_batch", table.name)),
        "counted": quote(make_name("_search_counted", table.name)),
    }


def _list_keys(table: Searched) -> dict[str, str]:
    """The key in lists, as columns, variables and values of JSON."""
    key = table.key
    layout = table.rules.manifest.layout.tables.get(table.name)
    is_collated = layout is not None and layout.key_is_any
    collated = next(iter(key)) if is_collated else None
    collations = {name: ' COLLATE "C"' if name == collated else "" for name in key}
    columns = {name: f"{quote(name)} {kind}" for name, kind in key.items()}
    typed = [f"(r.key ->> {n})::{kind}" for n, kind in enumerate(key.values())]
    named = [f"{value} AS {quote(name)}" for name, value in zip(key, typed, strict=True)]
    after = [f"($15 -> 'key' ->> {n})::{kind}" for n, kind in enumerate(key.values())]
    declared = [f"_key{n} {kind}[]" for n, kind in enumerate(key.values())]
    same = {f"same_{one}_{other}": table.same(one, other) for one, other in PAIRS}
    return {
        **same,
        **{f"{row}_keys": ", ".join(qualify(row, key)) for row in ROWS},
        # Fresh rows are read by their key: the table keeps the room of all that have passed through.
        # Without pgvector they stay there, and are found by their words.
        **{f"by_key_{row}": _order(row, table) for row in ("w", "f")},
        "keys": quote_list(key),
        "key_columns": ", ".join(f"{columns[name]}{collations[name]} NOT NULL" for name in key),
        "out_columns": ", ".join(columns.values()),
        "typed_keys": ", ".join(named),
        "key_arrays": "; ".join(declared),
        "key_variables": ", ".join(f"_key{n}" for n, _ in enumerate(key)),
        "first_variable": "_key0",
        "t_aggregates": ", ".join(f"array_agg({name})" for name in qualify("t", key)),
        "key_of_w": table.is_key("w", "_key"),
        "key_of_f": table.is_key("f", "_key"),
        "key_of_t": quote_text(table.is_key("t", "$1")),
        "key_of_t_k": quote_text(table.is_key("t", "k.key")),
        "after_key": f"({', '.join(qualify('s', key))}) > ({', '.join(after)})",
    }


def _find_misplaced(table: Searched) -> str:
    """That a row `t`, which is the entry `k`, is not under all its owners in its block."""
    if table.vector is None or not table.is_shown_by_owners:
        return "false"
    vector, size = quote(table.vector), searched.BLOCK
    state, name = quote(table.rules.schema, "_search_state"), quote_text(table.name)
    place = f"{vector}.subvector(o.places::{vector}.vector, (k.number % {size} + 1)::int4, 1)"
    return (
        f"k.number < (SELECT sealed FROM {state} WHERE name = {name} AND generation = %(active)s)"
        f" AND EXISTS (SELECT FROM unnest({vocabulary.list_owners(table)}) AS u (owner)"
        f" WHERE u.owner IS NOT NULL AND NOT EXISTS (SELECT FROM {table.quoted('owned')} AS o"
        f" WHERE o.generation = %(active)s AND o.owner = u.owner AND o.block = k.number / {size}"
        f" AND {place} OPERATOR({vector}.=) '[1]'::{vector}.vector))"
    )


def _order(row: str, table: Searched) -> str:
    return f"ORDER BY {', '.join(qualify(row, [*table.key, 'part']))}" if table.vector else ""


def _read_texts(table: Searched) -> dict[str, str]:
    """How rows become tsvectors, and how these are measured."""
    state = quote(table.rules.schema, "_search_state")
    active = f"SELECT generation FROM {state} WHERE is_active AND name = {quote_text(table.name)}"
    vectors = (
        f"SELECT vector FROM {table.quoted('fresh')} UNION ALL"
        f" SELECT vector FROM {table.quoted('rows')} WHERE generation = ({active})"
    )
    languages = table.search.languages
    tags = [f"{name}:" for name in languages] if len(languages) > 1 else []
    return {
        "unchanged_a_t": _unchanged(table.watched, "a", "t"),
        "vectors": table.vectors("t"),
        "bytes_of_t": table.size("t"),
        "frequency": table.frequency,
        "saturated": table.saturate("%(average)s::float8"),
        "saturated_of_state": table.saturate("s.average"),
        **{f"measure_{row}": table.measure(f"{row}.vector") for row in ("b", "r", "v")},
        "all_vectors": vectors,
        # ts_stat keeps words in a tree that nothing balances: sorted rows would make it a list.
        "vectors_text": quote_text(f"SELECT vector FROM ({vectors}) AS v ORDER BY random()"),
        "languages": table.languages,
        "tags": quote_array([*tags, ""]),
        "labels": quote_text(json.dumps(table.labels, ensure_ascii=False)),
    }


def _unchanged(columns: Iterable[str], one: str, other: str) -> str:
    """That the text of two rows is the same, byte for byte."""
    pairs = zip(qualify(one, columns), qualify(other, columns), strict=True)
    same = (f"{left}::text IS NOT DISTINCT FROM {right}::text" for left, right in pairs)
    return " AND ".join(same)


def _rank_rows(table: Searched) -> dict[str, str]:
    """Which rows a user sees, and their scores."""
    live, rule = table.visible
    corrected = f"{table.quoted('correct')}(query)"
    also = table.search.synonyms is not None
    return {
        "with_synonyms": f"{table.quoted('also')}({corrected})" if also else corrected,
        "columns": quote_array(table.columns),
        **_boost_rows(table),
        "is_tenant": "true" if table.search.statistics == "tenant" else "false",
        "live": quote_text(live),
        "rule": quote_text(rule),
        "is_seen": f"CASE WHEN {sees_all(table.rules)} THEN {live} ELSE {rule} END",
        "sees_all": sees_all(table.rules),
        "row_score": quote_text(table.score_row("$7")),
        "row_score_static": table.score_row("_vector"),
        "fresh_score": table.score_fresh("$2", "$3", "$8"),
        "fresh_score_static": table.score_fresh("_lexemes", "_weights", "_state.average"),
        "share": quote_text(SHARE.format(score="s.score", possible="$11")),
        "share_static": SHARE.format(score="score", possible="_possible"),
    }


def _boost_rows(table: Searched) -> dict[str, str]:
    """How scores grow with a moment in a column: twice for now, and once for long ago."""
    if not (boost := table.search.boost):
        plain = {"boosted": "'s.score'", "boost_of_s": "''", "boosted_static": "score"}
        return {**plain, "most_boost": "1", "candidates": "k", "below": "_below"}
    ((column, half),) = boost.items()
    factor = (
        "1 + coalesce(power(0.5::float8, least(1000, greatest(0,"
        f" (extract(epoch FROM date_trunc('hour', now())) - extract(epoch FROM t.{quote(column)}::timestamptz))::float8"
        f" / extract(epoch FROM {quote_text(half)}::interval)::float8))), 0)"
    )
    boosted = "round(1e5 * {score} * {factor}) / 1e5"
    of_row = f"SELECT {factor} AS factor FROM {table.place} AS t WHERE"
    own = f"({of_row} {table.is_key('t', '_key')})"
    of_s = f"CROSS JOIN LATERAL ({of_row} {table.same('t', 's')}) AS b"
    return {
        "boosted": quote_text(boosted.format(score="s.score", factor="b.factor")),
        "boost_of_s": quote_text(of_s),
        "boosted_static": boosted.format(score="score", factor=own),
        "most_boost": "2",
        # Hits beyond the best thousand stay out, on each page the same.
        "candidates": "greatest(k, 1000)",
        "below": "NULL::float8",
    }
