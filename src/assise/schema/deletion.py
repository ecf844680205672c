"""Soft delete as SQL: the functions that delete and restore a row, and the purge of old ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from assise.manifest.names import MAX_NAME_BYTES, shorten, split_table
from assise.schema.guards import Link, make_name, put_beside
from assise.schema.sql import equate, qualify, quote, quote_table, quote_text


class Below(NamedTuple):
    """Rows that go with a row: the links that lead down to their table.

    stamp: their column that says when the row above was deleted; others: further such columns.
    """

    links: tuple[Link, ...]
    stamp: str
    others: tuple[str, ...]

    @property
    def table(self) -> str:
        """The table of these rows."""
        return self.links[-1].child


def list_below(
    table: str, column: str, *, links: Sequence[Link], hidden: Mapping[str, Sequence[str]]
) -> Iterator[Below]:
    """What goes with a row of a table whose `column` says when it was deleted, parents first."""
    for link in links:
        copied = {copy.source: copy.column for copy in link.copies}
        if link.parent == table and column in copied:
            stamp = copied[column]
            others = tuple(name for name in hidden[link.child] if name != stamp)
            yield Below((link,), stamp, others)
            for below in list_below(link.child, stamp, links=links, hidden=hidden):
                yield below._replace(links=(link, *below.links))


def name_deleted_index(table: str) -> str:
    """The index of the deleted rows of a table that has its own column for them."""
    return make_name("_deleted", split_table(table)[1])


def join_pairs(link: Link, child: str, parent: str) -> str:
    """That a row of a child belongs to one of its parent."""
    above, own = qualify(parent, link.parent_key), qualify(child, link.own_key)
    return " AND ".join(equate(above, own))


def are_null(columns: Iterable[str], row: str = "") -> str:
    """That no column of these has a value."""
    names = qualify(row, columns) if row else map(quote, columns)
    return " AND ".join(f"{name} IS NULL" for name in names) or "true"


@dataclass(frozen=True)
class Deletion:
    """The functions of one table: the row's key is the argument, the counts by table the result.

    `above` are its columns that say when a row above was deleted. `may_write` is SQL: whether the
    session may write a row.
    """

    schema: str
    table: str
    key: Mapping[str, str]
    column: str
    above: Sequence[str]
    below: Sequence[Below]
    may_write: str

    @property
    def names(self) -> tuple[str, str]:
        """The names of both functions, which begin with the table's as far as it fits."""
        bare = shorten(split_table(self.table)[1], MAX_NAME_BYTES - len("_restore"))
        name = put_beside(self.table, bare)
        return f"{name}_delete", f"{name}_restore"

    @property
    def arguments(self) -> str:
        """The arguments of both functions."""
        return ", ".join(f"{quote(name)} {kind}" for name, kind in self.key.items())

    def delete(self) -> str:
        """The body that deletes a row and all below it, at the same point in time.

        The row is locked first: children that are being inserted have locked its key.
        """
        column, place = quote(self.column), quote_table(self.schema, self.table)
        live = are_null([self.column, *self.above], "t")
        return (
            "#variable_conflict use_column\n"
            f"BEGIN PERFORM FROM {place} AS t WHERE {self._is_row} AND {live} AND {self.may_write}"
            f" FOR UPDATE; {self._give_up}"
            f" UPDATE {place} AS t SET {column} = now() WHERE {self._is_row};"
            f" RETURN {self._counts('now()')}; END"
        )

    def restore(self) -> str:
        """The body that restores a row, and below it what was deleted with it and nothing else."""
        column, place = quote(self.column), quote_table(self.schema, self.table)
        above = f"NOT ({are_null(self.above, 't')})"
        is_above = f"{self.table}: the row that it belongs to is deleted; restore that one first"
        is_taken = f"{self.table}: the row cannot be restored, as another one has taken its "
        return (
            "#variable_conflict use_column\n<<_row>>\n"
            "DECLARE stamp timestamptz; is_below boolean; counts jsonb; taken text; detail text;\n"
            f"BEGIN SELECT t.{column}, {above} INTO _row.stamp, _row.is_below FROM {place} AS t"
            f" WHERE {self._is_row} AND t.{column} IS NOT NULL AND {self.may_write} FOR UPDATE;"
            f" {self._give_up} IF _row.is_below THEN"
            f" RAISE foreign_key_violation USING MESSAGE = {quote_text(is_above)}; END IF;"
            f" _row.counts := {self._counts('_row.stamp')};"
            f" UPDATE {place} AS t SET {column} = NULL WHERE {self._is_row};"
            " RETURN _row.counts; EXCEPTION WHEN unique_violation THEN"
            " GET STACKED DIAGNOSTICS taken = CONSTRAINT_NAME, detail = PG_EXCEPTION_DETAIL;"
            f" RAISE unique_violation USING MESSAGE = {quote_text(is_taken)} || _row.taken,"
            " DETAIL = _row.detail, CONSTRAINT = _row.taken; END"
        )

    @property
    def _is_row(self) -> str:
        places = [f"${number}" for number, _ in enumerate(self.key, start=1)]
        return " AND ".join(equate(qualify("t", self.key), places))

    @property
    def _give_up(self) -> str:
        return f"IF NOT FOUND THEN RETURN jsonb_build_object({quote_text(self.table)}, 0); END IF;"

    def _counts(self, stamp: str) -> str:
        """Rows by table: this one, and those that are hidden by its deletion at `stamp` alone."""
        found: dict[str, list[str]] = {self.table: ["1"]}
        for below in self.below:
            count = self._count(below, stamp)
            found.setdefault(below.table, []).append(f"({count})")
        parts: list[str] = []
        for name, counts in found.items():
            parts += [quote_text(name), " + ".join(counts)]
        return f"jsonb_build_object({', '.join(parts)})"

    def _count(self, below: Below, stamp: str) -> str:
        parts = [f"SELECT count(*) FROM {quote_table(self.schema, self.table)} AS t"]
        above = "t"
        for number, link in enumerate(below.links):
            child = f"c{number}"
            table, same = quote_table(self.schema, link.child), join_pairs(link, child, above)
            parts.append(f"JOIN {table} AS {child} ON {same}")
            above = child
        others = are_null(below.others, above)
        is_with = f"{above}.{quote(below.stamp)} = {stamp}"
        where = f"WHERE {self._is_row} AND {is_with} AND {others}"
        return " ".join([*parts, where])


@dataclass(frozen=True)
class Purge:
    """The statements that delete the rows of a table for good, some at a time.

    `find` locks the next rows by the time of their deletion, and gives that time and the key as
    texts. `delete` takes these keys, an array for each column, and what is below the rows.
    """

    table: str
    find: str
    delete: str


def write_purge(deletion: Deletion, keep: str) -> Purge:
    """The purge of rows that were deleted longer ago than an interval such as `30 days`.

    `%(after)s` is the last time and key as an array of texts, or NULL; `%(size)s` the number of
    rows, `%(keys)s` keys as a JSON array of arrays of texts.
    """
    place, column = quote_table(deletion.schema, deletion.table), quote(deletion.column)
    names = [quote(name) for name in deletion.key]
    kinds = [*deletion.key.values()]
    columns = qualify("t", [deletion.column, *deletion.key])
    order = ", ".join(columns)
    kinds_of_order = ["timestamptz", *kinds]
    last = f"{_place('after')}::text[]"
    after = ", ".join(f"({last})[{n}]::{kind}" for n, kind in enumerate(kinds_of_order, start=1))
    texts = ", ".join(f"{name}::text" for name in columns)
    find = (
        f"SELECT {texts} FROM {place} AS t"
        f" WHERE t.{column} < now() - {quote_text(keep)}::interval"
        f" AND ({last} IS NULL OR ({order}) > ({after}))"
        f" ORDER BY {order} LIMIT {_place('size')} FOR UPDATE SKIP LOCKED"
    )
    values = ", ".join(
        f"(key ->> {n})::{kind} AS {name}"
        for n, (name, kind) in enumerate(zip(names, kinds, strict=True))
    )
    keys = f"json_array_elements({_place('keys')}::json) AS keys (key)"
    parts = [f"gone AS (SELECT {values} FROM {keys})", *_delete_below(deletion)]
    same = " AND ".join(f"t.{name} = gone.{name}" for name in names)
    delete = f"WITH {', '.join(parts)} DELETE FROM {place} AS t USING gone WHERE {same}"
    return Purge(deletion.table, _escape(find), _escape(delete))


def _place(name: str) -> str:
    """A placeholder of a parameter, for `_escape`: no name of SQL holds a NUL."""
    return f"\0({name})s"


def _escape(text: str) -> str:
    """SQL with parameters, in which names may hold a percent sign."""
    return text.replace("%", "%%").replace("\0", "%")


def _delete_below(deletion: Deletion) -> Iterator[str]:
    """Expressions of WITH that delete the rows below; each gives its keys to the next."""
    made: dict[tuple[Link, ...], str] = {(): "gone"}
    for number, below in enumerate(deletion.below):
        name, link = f"below{number}", below.links[-1]
        above = made[below.links[:-1]]
        made[below.links] = name
        wanted = [parent for other in deletion.below for parent in _list_needed(other, below)]
        giving = dict.fromkeys([*link.own_key, *wanted])
        child = quote_table(deletion.schema, link.child)
        returned = ", ".join(qualify("c", giving))
        yield (
            f"{name} AS (DELETE FROM {child} AS c USING {above} AS p"
            f" WHERE {join_pairs(link, 'c', 'p')} RETURNING {returned})"
        )


def _list_needed(other: Below, below: Below) -> list[str]:
    """The columns by which rows of `other`, directly below, find those of `below`."""
    is_next = other.links[:-1] == below.links
    return other.links[-1].parent_key if is_next else []
