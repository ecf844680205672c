"""SQL text for rows that break a key and are not kept: values set to NULL, documents rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assise.manifest.layout import TableLayout
from assise.schema.objects import Amendment, Object
from assise.schema.sql import quote, quote_list, quote_table, quote_text
from assise.schema.stage import temporary

SHOWN_CHARACTERS = 100
"""Of a value that the reason of a reject shows."""


_NULLED = (
    "'' AS assise_table, '' AS assise_column, false AS assise_is_read, 0::bigint AS assise_leaves"
)


def _create(name: str, query: str) -> str:
    """An empty temporary table with the columns of a query."""
    return f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {query} WITH NO DATA"


@dataclass(frozen=True)
class Rejection:
    """The documents of a collection that are rejected, in a temporary table of their keys.

    Others have the keys of documents whose place in the source decides which value is kept, and
    of those that have a value of an earlier one. `transactions` is a query for those whose rows
    are the load's.
    """

    layouts: tuple[TableLayout, ...]
    schema: str
    transactions: str

    @property
    def root(self) -> TableLayout:
        """The collection's table."""
        return self.layouts[0]

    @property
    def key(self) -> str:
        """The key of the documents in all of these tables."""
        return quote(self.root.primary_key[0])

    @property
    def rejected(self) -> str:
        """The temporary table of keys and reasons."""
        return temporary("rejected", self.root)

    @property
    def places(self) -> str:
        """The temporary table of keys and places in the source."""
        return temporary("places", self.root)

    @property
    def later(self) -> str:
        """The temporary table of keys of documents with a value that an earlier one has."""
        return temporary("later", self.root)

    @property
    def nulled(self) -> str:
        """The temporary table of the cells that are set to NULL."""
        return temporary("nulled", self.root)

    def create(self) -> list[str]:
        """The tables, empty."""
        key, table = self.key, quote_table(self.schema, self.root.table)
        rejected = f"SELECT {key}, ''::text AS assise_detail, false AS assise_is_gone FROM {table}"
        places = f"SELECT {key}, 0::bigint AS assise_place FROM {table}"
        return [
            _create(self.rejected, rejected),
            f"CREATE UNIQUE INDEX ON {self.rejected} ({key})",
            _create(self.places, places),
            f"CREATE UNIQUE INDEX ON {self.places} ({key})",
            _create(self.later, f"SELECT {key} FROM {table}"),
            _create(self.nulled, f"SELECT {key}, {_NULLED} FROM {table}"),
        ]

    @property
    def raws(self) -> str:
        """The temporary table of the bytes of rejected documents, where a source may not have them."""
        return temporary("raws", self.root)

    def create_raws(self) -> list[str]:
        """The table of bytes, empty: keys, hashes of keys, and documents."""
        table = quote_table(self.schema, self.root.table)
        columns = f"{self.key}, ''::bytea AS assise_hash, ''::bytea AS assise_raw"
        return [
            _create(self.raws, f"SELECT {columns} FROM {table}"),
            f"CREATE INDEX ON {self.raws} (assise_hash)",
        ]

    def copy_raws(self) -> str:
        """The COPY that takes keys, hashes and documents in binary."""
        return f"COPY {self.raws} FROM STDIN (FORMAT binary)"

    def select_raws(self) -> str:
        """Keys, hashes, documents and reasons of the hashes in the array $1."""
        return (
            f"SELECT w.{self.key}, assise_hash, assise_raw, assise_detail FROM {self.raws} AS w"
            f" JOIN {self.rejected} AS r ON r.{self.key} = w.{self.key}"
            " WHERE assise_hash = ANY ($1)"
        )

    def select_marked(self) -> str:
        """The keys of documents whose rows are still there."""
        return f"SELECT {self.key} FROM {self.rejected} WHERE NOT assise_is_gone"

    def keep_edited(self) -> list[str]:
        """Take out the documents with a row that was edited since the load."""
        statements = []
        for layout in self.layouts:
            key, table = quote(layout.primary_key[0]), quote_table(self.schema, layout.table)
            edited = (
                f"SELECT FROM {table} AS t WHERE t.{key} = r.{self.key}"
                f" AND t.xmin NOT IN ({self.transactions})"
            )
            statements.append(
                f"DELETE FROM {self.rejected} AS r WHERE NOT assise_is_gone AND EXISTS ({edited})"
            )
        return statements

    def delete_rows(self) -> str:
        """Delete the rows of the documents; those of child tables go by their foreign keys.

        Gives the number of documents.
        """
        table = quote_table(self.schema, self.root.table)
        return (
            f"WITH marked AS (UPDATE {self.rejected} SET assise_is_gone = true"
            f" WHERE NOT assise_is_gone RETURNING {self.key}),"
            f" gone AS (DELETE FROM ONLY {table} AS t USING marked"
            f" WHERE t.{self.key} = marked.{self.key} RETURNING 1) SELECT count(*) FROM gone"
        )

    def select_unplaced(self) -> str:
        """The keys in the array $1 whose place in the source is not known yet."""
        return (
            f"SELECT {self.key} FROM {self.places}"
            f" WHERE assise_place IS NULL AND {self.key} = ANY ($1)"
        )

    def place(self, key_type: str, before: int) -> str:
        """Set the places of the keys in the array $1, in its order, behind `before` others."""
        return (
            f"UPDATE {self.places} AS p SET assise_place = {before} + v.n"
            f" FROM unnest($1::{key_type}[]) WITH ORDINALITY AS v (key, n)"
            f" WHERE p.{self.key} = v.key AND assise_place IS NULL"
        )

    def has_unplaced(self) -> str:
        """Whether there is a key without a place."""
        return f"SELECT EXISTS (SELECT FROM {self.places} WHERE assise_place IS NULL)"

    def select_rejected(self) -> str:
        """The keys in the array $1 that are rejected, with the reasons."""
        return f"SELECT {self.key}, assise_detail FROM {self.rejected} WHERE {self.key} = ANY ($1)"

    def count_marked(self) -> str:
        """How many documents are to be deleted."""
        return f"SELECT count(*) FROM {self.rejected} WHERE NOT assise_is_gone"

    def count_rejected(self) -> str:
        """How many documents are rejected."""
        return f"SELECT count(*) FROM {self.rejected}"

    def count_nulled(self) -> str:
        """By table and column: the cells that are set to NULL, those that were read, all leaves.

        Those of documents that are rejected do not count.
        """
        rejected = f"SELECT FROM {self.rejected} AS r WHERE r.{self.key} = n.{self.key}"
        return (
            "SELECT assise_table, assise_column, count(*), count(*) FILTER (WHERE assise_is_read),"
            " sum(assise_leaves)::bigint, sum(assise_leaves) FILTER (WHERE assise_is_read)::bigint"
            f" FROM {self.nulled} AS n WHERE NOT EXISTS ({rejected}) GROUP BY 1, 2 ORDER BY 1, 2"
        )


@dataclass(frozen=True)
class Breach:
    """The rows of one table that break one key, and are not kept.

    paths: where the values of columns that are set to NULL are noted in `_extra`.
    """

    object: Object
    amendment: Amendment
    layout: TableLayout
    rejection: Rejection
    paths: Mapping[str, tuple[str, ...]]

    @property
    def table(self) -> str:
        """The table, as SQL names it."""
        return quote_table(self.rejection.schema, self.layout.table)

    @property
    def _key(self) -> str:
        return quote(self.layout.primary_key[0])

    def add_unplaced(self) -> str:
        """Ask for the places of the documents that have equal values."""
        same = f"count(*) OVER (PARTITION BY {', '.join(self.amendment.values)})"
        rows = (
            f"SELECT c.{self._key} AS key, {same} AS n FROM ONLY {self.table} AS c"
            f" WHERE {self.amendment.condition}"
        )
        return (
            f"INSERT INTO {self.rejection.places} SELECT DISTINCT key, NULL::bigint"
            f" FROM ({rows}) AS counted WHERE n > 1 ON CONFLICT DO NOTHING"
        )

    def add_later(self) -> str:
        """Note the documents that have a value of an earlier one."""
        return (
            f"INSERT INTO {self.rejection.later}"
            f" SELECT DISTINCT key FROM ({self._numbered}) AS numbered WHERE n > 1"
        )

    @property
    def _numbered(self) -> str:
        """The rows, numbered among those of the same values; `first` is the document of the first."""
        order = ", ".join(f"c.{quote(name)}" for name in self.layout.primary_key)
        place = (
            f"SELECT assise_place FROM {self.rejection.places} AS p"
            f" WHERE p.{self.rejection.key} = c.{self._key}"
        )
        values = ", ".join(self.amendment.values)
        return (
            f"SELECT c.ctid AS row, c.xmin AS xid, c.{self._key} AS key, row_number() OVER same AS n,"
            f" first_value(c.{self._key}) OVER same AS first"
            f" FROM ONLY {self.table} AS c WHERE {self.amendment.condition}"
            f" WINDOW same AS (PARTITION BY {values} ORDER BY ({place}), {order})"
        )

    def select_rows(self) -> str:
        """The rows, which the load wrote, as `row` (their place in the table).

        A duplicate is rejected once it is certain that the first document of its value is kept.
        """
        if not self.amendment.values:
            return (
                f"SELECT c.ctid AS row FROM ONLY {self.table} AS c"
                f" WHERE c.xmin IN ({self.rejection.transactions}) AND {self.amendment.condition}"
            )
        condition = f"n > 1 AND xid IN ({self.rejection.transactions})"
        if self.amendment.action == "reject":
            later = f"SELECT FROM {self.rejection.later} AS l WHERE l.{self.rejection.key} = first"
            condition += f" AND (first = key OR NOT EXISTS ({later}))"
        return f"SELECT row FROM ({self._numbered}) AS numbered WHERE {condition}"

    def reject(self) -> str:
        """Reject the documents of the rows; the first reason is kept."""
        columns = [f"coalesce(c.{quote(name)}::text, 'NULL')" for name in self.amendment.columns]
        shown = f"left(concat_ws(', ', {', '.join(columns)}), {SHOWN_CHARACTERS})"
        detail = f"{quote_text(f'{self.name} ')} || {shown} || {quote_text(f' {self._says}')}"
        if not columns:
            detail = quote_text(f"{self.name} {self._says}")
        return (
            f"INSERT INTO {self.rejection.rejected}"
            f" SELECT DISTINCT ON (c.{self._key}) c.{self._key}, {detail}, false"
            f" FROM ONLY {self.table} AS c WHERE c.ctid IN ({self.select_rows()})"
            f" ORDER BY c.{self._key}, {quote_list(self.layout.primary_key)}"
            " ON CONFLICT DO NOTHING"
        )

    @property
    def name(self) -> str:
        """The table and the columns that break the key."""
        columns = ", ".join(self.amendment.columns) or self.object.name
        return f"{self.layout.table}.{columns}"

    @property
    def _says(self) -> str:
        if self.amendment.values:
            return "is the value of an earlier document"
        return f"is in no row of {self.object.refers_to}"

    @property
    def _found(self) -> str:
        """The rows; of those to reject, the rows of documents that are still there and marked."""
        rows = f"FROM ONLY {self.table} AS c WHERE c.ctid IN ({self.select_rows()})"
        if self.amendment.action == "null":
            return rows
        marked = self.rejection.select_marked()
        return f"{rows} AND c.{self._key} IN ({marked})"

    def count(self) -> str:
        """How many rows there are."""
        return f"SELECT count(*) {self._found}"

    def list_keys(self, limit: int) -> str:
        """The first keys of the documents of the rows, as text."""
        order = quote_list(self.layout.primary_key)
        return f"SELECT c.{self._key}::text {self._found} ORDER BY {order} LIMIT {limit}"

    def select_cells(self, limit: int) -> str:
        """Some of the rows: their places in the table, whether a note stands there, and the cells."""
        notes = [f"{self._note_at(column)} IS NOT NULL" for column in self.amendment.columns]
        cells = [f"c.{quote(column)}" for column in self.amendment.columns]
        return f"SELECT c.ctid::text, {', '.join([*notes, *cells])} {self._found} LIMIT {limit}"

    def set_null(self) -> str:
        """Set cells to NULL and note their values in `_extra`; the cells are noted as such.

        Each text of the array $1 is a list in JSON: the place of a row, then for each column the
        value as a note, whether there is one already, and how many leaves it counts.
        """
        columns, extra = self.amendment.columns, quote(self.layout.extra)
        noted = f"c.{extra}"
        steps = (
            f"SELECT t.x::jsonb AS j, {noted} AS e FROM unnest($1) AS t (x)"
            f" JOIN ONLY {self.table} AS c ON c.ctid = (t.x::jsonb ->> 0)::tid"
        )
        for i, column in enumerate(columns):
            merged = _merge("e", self.paths[column], f"j -> {1 + 3 * i}")
            steps = f"SELECT j, {merged} AS e FROM ({steps}) AS s"
        cells = ", ".join(f"{quote(column)} = NULL" for column in columns)
        facts = [
            f"({quote_text(column)}, (j ->> {2 + 3 * i})::boolean, (j ->> {3 + 3 * i})::bigint)"
            for i, column in enumerate(columns)
        ]
        return (
            f"WITH done AS (UPDATE ONLY {self.table} AS c SET {cells}, {extra} = v.e"
            f" FROM ({steps}) AS v WHERE c.ctid = (v.j ->> 0)::tid RETURNING c.{self._key} AS key, v.j)"
            f" INSERT INTO {self.rejection.nulled} SELECT key, {quote_text(self.layout.table)}, f.*"
            f" FROM done, LATERAL (VALUES {', '.join(facts)}) AS f (name, is_read, leaves)"
            " RETURNING 1"
        )

    def _note_at(self, column: str) -> str:
        path = ", ".join(map(quote_text, self.paths[column]))
        return f"c.{quote(self.layout.extra)} #> ARRAY[{path}]"


def _merge(extra: str, path: Sequence[str], note: str) -> str:
    """Put `{"$nulled": value}` into notes at a path; the value of a note that is there is kept."""
    if not path:
        return f"jsonb_build_object('$nulled', coalesce({extra}, {note}))"
    key = quote_text(path[0])
    inner = _merge(f"({extra} -> {key})", path[1:], note)
    return f"coalesce({extra}, '{{}}') || jsonb_build_object({key}, {inner})"
