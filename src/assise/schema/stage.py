"""SQL text of a repair: the stage, a temporary table of the source's rows, against the table."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from assise.manifest.layout import TableLayout
from assise.schema.sql import quote, quote_list, quote_table, quote_text

SHOWN_CHARACTERS = 100
"""Of a value that is shown; one more tells that there are more."""


@dataclass(frozen=True)
class Stage:
    """The statements of one table of a collection, whose root table is `root`.

    All that is temporary goes with the transaction.
    """

    layout: TableLayout
    root: TableLayout
    schema: str

    @property
    def table(self) -> str:
        """The table, as SQL names it."""
        return quote_table(self.schema, self.layout.table)

    @property
    def name(self) -> str:
        """The stage, as SQL names it; no trigger of an application takes it for a table."""
        return temporary("stage", self.layout)

    @property
    def extra(self) -> str:
        """The temporary table of the keys that come from no document, as SQL names it."""
        return temporary("extra", self.root)

    @property
    def same(self) -> str:
        """That a row t of the table and a row s of the stage have the same key."""
        return " AND ".join(
            f"t.{quote(name)} = s.{quote(name)}" for name in self.layout.primary_key
        )

    def create(self) -> list[str]:
        """An empty stage, and with that of the root table one for extra keys."""
        columns = f"SELECT {quote_list(self.layout.names)} FROM {self.table} WITH NO DATA"
        statements = [
            f"CREATE TEMPORARY TABLE {self.name} ON COMMIT DROP AS {columns}",
            f"CREATE UNIQUE INDEX ON {self.name} ({quote_list(self.layout.primary_key)})",
        ]
        if self.layout == self.root:
            key = f"SELECT {self._root_key} FROM {self.table} WITH NO DATA"
            statements.append(f"CREATE TEMPORARY TABLE {self.extra} ON COMMIT DROP AS {key}")
        return statements

    def copy(self) -> str:
        """The COPY that takes the rows in binary."""
        return f"COPY {self.name} FROM STDIN (FORMAT binary)"

    def copy_extra(self) -> str:
        """The COPY that takes extra keys in binary."""
        return f"COPY {self.extra} FROM STDIN (FORMAT binary)"

    def count(self) -> str:
        """How many rows are to be written: those that differ, and those that the table has not."""
        key = quote(self.layout.primary_key[0])
        return (
            f"SELECT count(*) FROM {self.name} AS s LEFT JOIN ONLY {self.table} AS t ON {self.same}"
            f" WHERE t.{key} IS NULL OR {self.differs('t', 's')}"
        )

    def differs(self, one: str, other: str) -> str:
        """That two rows differ in a byte: `*<>` sees scales, -0 and the payload of a NaN."""
        rows = (
            ", ".join(f"{alias}.{quote(name)}" for name in self.layout.names)
            for alias in (one, other)
        )
        return " *<> ".join(f"ROW({row})::record" for row in rows)

    def fingerprint(self) -> str:
        """Which rows would be written over or deleted, each as its last transaction left it."""
        row = "concat_ws(' ', t.ctid, t.xmin)"
        staged = f"EXISTS (SELECT FROM {self.name} AS s WHERE {self.same})"
        return (
            f"SELECT md5(string_agg({row}, ',' ORDER BY t.ctid)) FROM ONLY {self.table} AS t"
            f" WHERE {staged} OR {self._surplus}"
        )

    def select_changed(self) -> str:
        """The columns in which rows that both have differ as text."""
        return f"SELECT DISTINCT c.name {self._cells} WHERE c.now IS DISTINCT FROM c.source"

    def select_differences(self, limit: int) -> str:
        """Key, column, value now and value in the source, as texts, where both have the row."""
        size = SHOWN_CHARACTERS + 1
        return (
            f"SELECT {self._key('s')}, c.name, left(c.now, {size}), left(c.source, {size})"
            f" {self._cells} WHERE c.now IS DISTINCT FROM c.source"
            f" ORDER BY {self._order('s')}, c.i LIMIT {limit}"
        )

    def select_missing(self, limit: int) -> str:
        """The keys, as text, of rows that only the stage has."""
        there = f"SELECT FROM ONLY {self.table} AS t WHERE {self.same}"
        return (
            f"SELECT {self._key('s')} FROM {self.name} AS s WHERE NOT EXISTS ({there})"
            f" ORDER BY {self._order('s')} LIMIT {limit}"
        )

    def select_surplus(self, limit: int) -> str:
        """The keys, as text, of the rows that `delete_surplus` deletes."""
        return (
            f"SELECT {self._key('t')} FROM ONLY {self.table} AS t WHERE {self._surplus}"
            f" ORDER BY {self._order('t')} LIMIT {limit}"
        )

    def count_surplus(self) -> str:
        """How many rows `delete_surplus` deletes."""
        return f"SELECT count(*) FROM ONLY {self.table} AS t WHERE {self._surplus}"

    def delete_surplus(self) -> str:
        """Delete rows with an extra key, and child rows that no document has.

        A document in the stage has the child rows that stand there with it.
        """
        return f"DELETE FROM ONLY {self.table} AS t WHERE {self._surplus}"

    def write(self) -> str:
        """Insert the rows of the stage, over those that are there and differ.

        A row that other rows refer to stays.
        """
        quoted = [quote(name) for name in self.layout.names]
        names, key = ", ".join(quoted), quote_list(self.layout.primary_key)
        cells = ", ".join(f"{name} = excluded.{name}" for name in quoted)
        return (
            f"INSERT INTO {self.table} AS t ({names})"
            f" SELECT {names} FROM {self.name}"
            f" ON CONFLICT ({key}) DO UPDATE SET {cells}"
            f" WHERE {self.differs('t', 'excluded')}"
        )

    @property
    def _surplus(self) -> str:
        key, root_key = f"t.{quote(self.layout.primary_key[0])}", self._root_key
        reasons = [f"{key} IN (SELECT {root_key} FROM {self.extra})"]
        if self.layout != self.root:
            stage = temporary("stage", self.root)
            root = quote_table(self.schema, self.root.table)
            reasons.append(f"{key} IN (SELECT {root_key} FROM {stage})")
            reasons.append(f"NOT EXISTS (SELECT FROM {root} AS r WHERE r.{root_key} = {key})")
        staged = f"SELECT FROM {self.name} AS s WHERE {self.same}"
        return f"NOT EXISTS ({staged}) AND ({' OR '.join(reasons)})"

    @property
    def _root_key(self) -> str:
        return quote(self.root.primary_key[0])

    @property
    def _cells(self) -> str:
        """Every cell of the rows that both have, one a row."""
        values = []
        for i, name in enumerate(self.layout.names):
            cell = quote(name)
            values.append(f"({i}, {quote_text(name)}, t.{cell}::text, s.{cell}::text)")
        return (
            f"FROM ONLY {self.table} AS t JOIN {self.name} AS s ON {self.same}"
            f" CROSS JOIN LATERAL (VALUES {', '.join(values)}) AS c (i, name, now, source)"
        )

    def _order(self, alias: str) -> str:
        keys = self.layout.primary_key
        return ", ".join(f"{alias}.{quote(key)}" for key in keys)

    def _key(self, alias: str) -> str:
        return f"concat_ws(', ', {self._order(alias)})"


def lock_writers(stages: list[Stage]) -> str:
    """Nobody else writes the tables until the transaction ends; they can be read."""
    return f"LOCK TABLE {', '.join(stage.table for stage in stages)} IN SHARE ROW EXCLUSIVE MODE"


def temporary(what: str, layout: TableLayout) -> str:
    digest = sha256(layout.table.encode()).hexdigest()
    return quote("pg_temp", f"_{what}_{digest[:16]}")
