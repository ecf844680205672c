"""SQL text of a repair: rows as the source has them, in a temporary table (the stage), against those of the table."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from assise.manifest.layout import Layout
from assise.schema.sql import quote, quote_list, quote_text

SHOWN_CHARACTERS = 100
"""Of a value that is shown; one more tells that there are more."""


@dataclass(frozen=True)
class Stage:
    """The statements of one table of a collection, whose root table is `root`. All that is temporary goes with the transaction."""

    layout: Layout
    root: Layout
    schema: str

    @property
    def table(self) -> str:
        """The table, as SQL names it."""
        return quote(self.schema, self.layout.table)

    @property
    def name(self) -> str:
        """The stage, as SQL names it: no trigger of the application's finds it in place of a table."""
        return _temporary("stage", self.layout)

    @property
    def extra(self) -> str:
        """The temporary table of the collection's keys that come from no document, as SQL names it."""
        return _temporary("extra", self.root)

    @property
    def same(self) -> str:
        """That a row t of the table and a row s of the stage have the same key."""
        return " AND ".join(f"t.{quote(name)} = s.{quote(name)}" for name in self.layout.primary_key)

    def create(self) -> list[str]:
        """An empty stage, and with that of the root table one for extra keys."""
        columns = f"SELECT {quote_list(self.layout.names)} FROM {self.table} WITH NO DATA"
        key = f"SELECT {quote(self.root.primary_key[0])} FROM {self.table} WITH NO DATA"
        statements = [
            f"CREATE TEMPORARY TABLE {self.name} ON COMMIT DROP AS {columns}",
            f"CREATE UNIQUE INDEX ON {self.name} ({quote_list(self.layout.primary_key)})",
        ]
        return [*statements, f"CREATE TEMPORARY TABLE {self.extra} ON COMMIT DROP AS {key}"] if self.layout == self.root else statements

    def copy(self) -> str:
        """The COPY that takes the rows in binary."""
        return f"COPY {self.name} FROM STDIN (FORMAT binary)"

    def copy_extra(self) -> str:
        """The COPY that takes extra keys in binary."""
        return f"COPY {self.extra} FROM STDIN (FORMAT binary)"

    def count(self) -> str:
        """How many rows are to be written."""
        return f"SELECT count(*) FROM {self.name}"

    def select_differences(self, limit: int) -> str:
        """Key, column, value now and value in the source, as texts, where both have the row."""
        values = ", ".join(f"({i}, {quote_text(name)}, t.{quote(name)}::text, s.{quote(name)}::text)" for i, name in enumerate(self.layout.names))
        return (
            f"SELECT {self._key('s')}, c.name, left(c.now, {SHOWN_CHARACTERS + 1}), left(c.source, {SHOWN_CHARACTERS + 1})"
            f" FROM {self.table} AS t JOIN {self.name} AS s ON {self.same}"
            f" CROSS JOIN LATERAL (VALUES {values}) AS c (i, name, now, source)"
            f" WHERE c.now IS DISTINCT FROM c.source ORDER BY {self._order('s')}, c.i LIMIT {limit}"
        )

    def select_missing(self, limit: int) -> str:
        """The keys, as text, of rows that only the stage has."""
        there = f"SELECT FROM {self.table} AS t WHERE {self.same}"
        return f"SELECT {self._key('s')} FROM {self.name} AS s WHERE NOT EXISTS ({there}) ORDER BY {self._order('s')} LIMIT {limit}"

    def select_surplus(self, limit: int) -> str:
        """The keys, as text, of the rows that `delete_surplus` deletes."""
        return f"SELECT {self._key('t')} FROM {self.table} AS t WHERE {self._surplus} ORDER BY {self._order('t')} LIMIT {limit}"

    def count_surplus(self) -> str:
        """How many rows `delete_surplus` deletes."""
        return f"SELECT count(*) FROM {self.table} AS t WHERE {self._surplus}"

    def delete_surplus(self) -> str:
        """Delete rows of the root table with an extra key; child rows that their document in the stage has not, or that have no document."""
        return f"DELETE FROM {self.table} AS t WHERE {self._surplus}"

    def write(self) -> str:
        """Insert the rows of the stage, over those that are there: nothing that refers to a row is touched."""
        names = quote_list(self.layout.names)
        cells = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in self.layout.names)
        return (
            f"INSERT INTO {self.table} ({names}) SELECT {names} FROM {self.name}"
            f" ON CONFLICT ({quote_list(self.layout.primary_key)}) DO UPDATE SET {cells}"
        )

    @property
    def _surplus(self) -> str:
        key, root_key = f"t.{quote(self.layout.primary_key[0])}", quote(self.root.primary_key[0])
        if self.layout == self.root:
            return f"{key} IN (SELECT {root_key} FROM {self.extra})"
        staged = f"SELECT {root_key} FROM {_temporary('stage', self.root)}"
        there = f"SELECT FROM {quote(self.schema, self.root.table)} AS r WHERE r.{root_key} = {key}"
        return f"NOT EXISTS (SELECT FROM {self.name} AS s WHERE {self.same}) AND ({key} IN ({staged}) OR NOT EXISTS ({there}))"

    def _order(self, alias: str) -> str:
        return ", ".join(f"{alias}.{quote(name)}" for name in self.layout.primary_key)

    def _key(self, alias: str) -> str:
        return f"concat_ws(', ', {self._order(alias)})"


def lock_writers(stages: list[Stage]) -> str:
    """Nobody else writes the tables until the transaction ends; they can be read."""
    return f"LOCK TABLE {', '.join(stage.table for stage in stages)} IN SHARE ROW EXCLUSIVE MODE"


def _temporary(what: str, layout: Layout) -> str:
    return quote("pg_temp", f"_{what}_{sha256(layout.table.encode()).hexdigest()[:16]}")
