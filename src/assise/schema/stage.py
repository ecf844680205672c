"""SQL text of a repair: rows as the source has them, in temporary tables (the stage), against those of the tables."""

from __future__ import annotations

from hashlib import sha256

from assise.manifest.layout import Layout
from assise.schema.sql import quote, quote_list, quote_text

SHOWN_CHARACTERS = 100
"""Of a value that is shown; one more tells that there are more."""


def stage_of(table: str) -> str:
    """The stage of a table. No trigger of the application's finds it in place of a table that it names."""
    return quote("pg_temp", f"_stage_{_digest(table)}")


def extra_of(root: Layout) -> str:
    """The temporary table of the keys that come from no document."""
    return quote("pg_temp", f"_extra_{_digest(root.table)}")


def _digest(table: str) -> str:
    return sha256(table.encode()).hexdigest()[:16]


def create_stage(layout: Layout, schema: str) -> list[str]:
    """An empty table with the columns of a table, which goes with the transaction."""
    stage = stage_of(layout.table)
    columns = f"SELECT {quote_list(layout.names)} FROM {quote(schema, layout.table)} WITH NO DATA"
    return [f"CREATE TEMPORARY TABLE {stage} ON COMMIT DROP AS {columns}", f"CREATE UNIQUE INDEX ON {stage} ({quote_list(layout.primary_key)})"]


def create_extra(root: Layout, schema: str) -> str:
    """An empty table for keys, which goes with the transaction."""
    key = quote(root.primary_key[0])
    return f"CREATE TEMPORARY TABLE {extra_of(root)} ON COMMIT DROP AS SELECT {key} FROM {quote(schema, root.table)} WITH NO DATA"


def copy_stage(layout: Layout) -> str:
    """The COPY that takes rows in binary."""
    return f"COPY {stage_of(layout.table)} FROM STDIN (FORMAT binary)"


def count_stage(layout: Layout) -> str:
    """How many rows are to be written."""
    return f"SELECT count(*) FROM {stage_of(layout.table)}"


def same_row(layout: Layout) -> str:
    """That a row t of the table and a row s of the stage have the same key."""
    return " AND ".join(f"t.{quote(name)} = s.{quote(name)}" for name in layout.primary_key)


def select_differences(layout: Layout, schema: str, limit: int) -> str:
    """Key, column, value now and value in the source, as texts, where both have the row."""
    values = ", ".join(f"({i}, {quote_text(name)}, t.{quote(name)}::text, s.{quote(name)}::text)" for i, name in enumerate(layout.names))
    return (
        f"SELECT {_key(layout, 's')}, c.name, left(c.now, {SHOWN_CHARACTERS + 1}), left(c.source, {SHOWN_CHARACTERS + 1})"
        f" FROM {quote(schema, layout.table)} AS t JOIN {stage_of(layout.table)} AS s ON {same_row(layout)}"
        f" CROSS JOIN LATERAL (VALUES {values}) AS c (i, name, now, source)"
        f" WHERE c.now IS DISTINCT FROM c.source ORDER BY {_order(layout, 's')}, c.i LIMIT {limit}"
    )


def select_missing(layout: Layout, schema: str, limit: int) -> str:
    """The keys, as text, of rows that only the stage has."""
    there = f"SELECT FROM {quote(schema, layout.table)} AS t WHERE {same_row(layout)}"
    return f"SELECT {_key(layout, 's')} FROM {stage_of(layout.table)} AS s WHERE NOT EXISTS ({there}) ORDER BY {_order(layout, 's')} LIMIT {limit}"


def select_surplus(layout: Layout, root: Layout, schema: str, limit: int) -> str:
    """The keys, as text, of rows that are to go: see `delete_surplus`."""
    place, order = f"{quote(schema, layout.table)} AS t", _order(layout, "t")
    return f"SELECT {_key(layout, 't')} FROM {place} WHERE {_is_surplus(layout, root, schema)} ORDER BY {order} LIMIT {limit}"


def count_surplus(layout: Layout, root: Layout, schema: str) -> str:
    """How many rows are to go: see `delete_surplus`."""
    return f"SELECT count(*) FROM {quote(schema, layout.table)} AS t WHERE {_is_surplus(layout, root, schema)}"


def delete_surplus(layout: Layout, root: Layout, schema: str) -> str:
    """Delete rows of a collection's table with an extra key; child rows that their document in the stage has not, or that have no document."""
    return f"DELETE FROM {quote(schema, layout.table)} AS t WHERE {_is_surplus(layout, root, schema)}"


def _is_surplus(layout: Layout, root: Layout, schema: str) -> str:
    key, root_key = f"t.{quote(layout.primary_key[0])}", quote(root.primary_key[0])
    if layout == root:
        return f"{key} IN (SELECT {root_key} FROM {extra_of(root)})"
    staged = f"SELECT {root_key} FROM {stage_of(root.table)}"
    there = f"SELECT FROM {quote(schema, root.table)} AS r WHERE r.{root_key} = {key}"
    return (
        f"NOT EXISTS (SELECT FROM {stage_of(layout.table)} AS s WHERE {same_row(layout)})"
        f" AND ({key} IN ({staged}) OR NOT EXISTS ({there}))"
    )  # fmt: skip


def write_stage(layout: Layout, schema: str) -> str:
    """Insert the rows of the stage, over those that are there: nothing that refers to a row is touched."""
    names = quote_list(layout.names)
    cells = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in layout.names)
    return (
        f"INSERT INTO {quote(schema, layout.table)} ({names}) SELECT {names} FROM {stage_of(layout.table)}"
        f" ON CONFLICT ({quote_list(layout.primary_key)}) DO UPDATE SET {cells}"
    )


def lock_writers(names: list[str], schema: str) -> str:
    """Nobody else writes the tables until the transaction ends; they can be read."""
    return f"LOCK TABLE {', '.join(quote(schema, name) for name in names)} IN SHARE ROW EXCLUSIVE MODE"


def _order(layout: Layout, alias: str) -> str:
    return ", ".join(f"{alias}.{quote(name)}" for name in layout.primary_key)


def _key(layout: Layout, alias: str) -> str:
    return f"concat_ws(', ', {_order(layout, alias)})"
