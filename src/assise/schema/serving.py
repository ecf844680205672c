"""SQL of requests: rows as JSON, pages by their keys, filters, and rows that are written.

Parameters are psycopg's, `%(name)s`; names of columns may hold a percent sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from assise.schema.resources import Included, Resource, ServedColumn
from assise.schema.sql import equate, qualify, quote, quote_list, quote_table
from assise.types.names import read_modifiers

OPERATORS = {"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
TRUTHS = {"null": "NULL", "true": "TRUE", "false": "FALSE"}
MAX_PARAMETERS = 30_000
"""Of one statement; the protocol takes 65,535."""


class Filter(NamedTuple):
    """A column, an operator and its value: of `in` a list, of `is` and `not` a word."""

    column: str
    operator: str
    value: object


class Order(NamedTuple):
    """A column that rows are ordered by."""

    column: str
    is_descending: bool


def escape(text: str) -> str:
    """SQL without parameters inside of one that has some."""
    return text.replace("%", "%%")


def cast(name: str, kind: str) -> str:
    """A parameter of a type, without its limits: a cast would cut what is too long."""
    base, _ = read_modifiers(kind.removesuffix("[]"))
    return f"%({name})s::{base}{'[]' if kind.endswith('[]') else ''}"


@dataclass
class Placeholders:
    """The values of a statement, which get their names here."""

    values: dict[str, object] = field(default_factory=dict)

    def add(self, value: object, kind: str) -> str:
        """The place of a value in the statement."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return cast(name, kind)


@dataclass(frozen=True)
class Statements:
    """The statements of one resource; `resources` has those that its rows may include."""

    schema: str
    resource: Resource
    resources: Mapping[str, Resource]

    @property
    def place(self) -> str:
        """The table."""
        return escape(quote_table(self.schema, self.resource.table))

    def row(self, columns: Iterable[str], includes: Sequence[str] = ()) -> str:
        """A row `t` as a text of JSON; a row that is included stands for a column of its name."""
        parts = qualify("t", [name for name in columns if name not in {*includes}])
        parts += [self._include(name, self.resource.includes[name]) for name in includes]
        return f"row_to_json((SELECT r FROM (SELECT {escape(', '.join(parts))}) AS r))::text"

    def _include(self, name: str, included: Included) -> str:
        """The row that a row refers to, as far as the caller sees it."""
        other = self.resources[included.table]
        same = " AND ".join(
            equate(
                qualify("i", [theirs for _, theirs in included.pairs]),
                qualify("t", [own for own, _ in included.pairs]),
            )
        )
        return (
            f"(SELECT row_to_json((SELECT r FROM (SELECT {', '.join(qualify('i', other.fields))}) AS r))"
            f" FROM {quote_table(self.schema, other.table)} AS i WHERE {same}) AS {quote(name)}"
        )

    def where(self, conditions: Sequence[str]) -> str:
        """Conditions that must hold, with WHERE; nothing without any."""
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    def key_is(self, key: Sequence[object], parameters: Placeholders) -> str:
        """That `t` is the row with a key."""
        fields = self.resource.fields
        places = [
            parameters.add(value, fields[name].type)
            for name, value in zip(self.resource.key, key, strict=True)
        ]
        return " AND ".join(equate(map(escape, qualify("t", self.resource.key)), places))

    def filtered(self, wanted: Filter, parameters: Placeholders) -> str:
        """A condition of a filter."""
        column = escape(quote(wanted.column))
        kind = self.resource.fields[wanted.column].type
        cell = f"t.{column}"
        match wanted.operator:
            case "is":
                return f"{cell} IS {TRUTHS[str(wanted.value)]}"
            case "not":
                return f"{cell} IS NOT {TRUTHS[str(wanted.value)]}"
            case "in":
                return f"{cell} = ANY ({parameters.add(wanted.value, f'{kind}[]')})"
            case "like":
                return self._begins(cell, str(wanted.value), parameters)
            case operator:
                return f"{cell} {OPERATORS[operator]} {parameters.add(wanted.value, kind)}"

    def _begins(self, cell: str, prefix: str, parameters: Placeholders) -> str:
        """That a text begins with another: a range of code points."""
        bounds = {">=": prefix, "<": _find_end(prefix)}
        return " AND ".join(
            f'{cell}::text COLLATE "C" {operator} {parameters.add(bound, "text")}'
            for operator, bound in bounds.items()
            if bound is not None
        )

    def behind(
        self, order: Sequence[Order], last: Sequence[str | None], parameters: Placeholders
    ) -> Sequence[str]:
        """The ranges, one behind the other, of what comes behind the last row of a page.

        The order ends in the key. NULL comes last, and first where the order is descending, as in
        PostgreSQL. The first column is bounded on its own as well: an index begins there, and skips
        the pages before. No index bounds a value and NULL in one scan: that takes two.
        """
        alternatives, equal, bounds = list[str](), list[str](), list[str]()
        other = ""
        for each, value in zip(order, last, strict=True):
            column = self.resource.fields[each.column]
            cell = f"t.{escape(quote(each.column))}"
            place = None if value is None else parameters.add(value, column.type)
            beyond = _beyond(cell, place, each)
            is_null = f"{cell} IS NULL"
            can_end = column.can_be_null and not each.is_descending and place is not None
            if not equal:
                bound = f"{cell} {'<=' if each.is_descending else '>='} {place}"
                bounds.append(is_null if place is None else bound)
                other = is_null if can_end else ""
                if place is None and each.is_descending:
                    other, beyond = beyond, ""
            elif can_end:
                beyond = f"({beyond} OR {is_null})"
            if beyond:
                alternatives.append(" AND ".join([*equal, beyond]))
            equal.append(is_null if place is None else f"{cell} = {place}")
        beyonds = " OR ".join([f"({each})" for each in alternatives])
        found = " AND ".join([*bounds, f"({beyonds})"])
        return [found, other] if other else [found]

    def list_rows(
        self,
        row: str,
        conditions: Sequence[str],
        order: Sequence[Order],
        limit: str,
        bytes_limit: str,
        *,
        ranges: Sequence[str] = (),
    ) -> str:
        """A page: each row as text of JSON, and the values that it is ordered by.

        Each of the ranges is read as far as the limit. The page ends with the row that reaches
        `bytes_limit`; `bytes` are those as far as the row.
        """
        keys = [f"t.{escape(quote(each.column))} AS k{n}" for n, each in enumerate(order)]
        ways = [f"k{n}{' DESC' if each.is_descending else ''}" for n, each in enumerate(order)]
        end = f" ORDER BY {', '.join(ways)} LIMIT {limit}"
        begin = f"SELECT {', '.join([f'{row} AS row', *keys])} FROM {self.place} AS t"
        wheres = [self.where([*conditions, each]) for each in ranges] or [self.where(conditions)]
        parts = [f"{begin}{where}{end}" for where in wheres]
        joined = " UNION ALL ".join([f"({each})" for each in parts])
        rows = parts[0] if len(parts) == 1 else f"SELECT * FROM ({joined}) AS parts{end}"
        size = "sum(octet_length(row)) OVER (ROWS UNBOUNDED PRECEDING)"
        sized = f"SELECT *, {size} AS bytes FROM ({rows}) AS found"
        shown = ", ".join([f"k{n}::text AS k{n}" for n, _ in enumerate(order)])
        within = f"bytes - octet_length(row) < {bytes_limit}"
        return f"SELECT row, bytes, {shown} FROM ({sized}) AS page WHERE {within}"

    def count(self, conditions: Sequence[str], limit: int) -> str:
        """How many rows there are, counted as far as a limit."""
        rows = f"SELECT 1 FROM {self.place} AS t{self.where(conditions)} LIMIT {limit}"
        return f"SELECT count(*) AS count FROM ({rows}) AS found"

    def estimate(self, conditions: Sequence[str]) -> str:
        """The plan that says how many rows the server expects."""
        return f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {self.place} AS t{self.where(conditions)}"

    def read_row(self, row: str, condition: str, *, locks: bool = False) -> str:
        """One row, whole as its ETag counts it, and as it is sent."""
        whole = self.row(self.resource.fields)
        end = " FOR UPDATE" if locks else ""
        return (
            f"SELECT {whole} AS whole, {row} AS row FROM {self.place} AS t WHERE {condition}{end}"
        )

    def insert(
        self, columns: Mapping[str, ServedColumn], rows: Sequence[Sequence[str]], *, is_upsert: bool
    ) -> str:
        """New rows; each has a parameter or DEFAULT for each column. Gives them whole.

        An upsert writes the row with the same key over.
        """
        names = escape(quote_list(columns))
        values = ", ".join(f"({', '.join(row)})" for row in rows)
        whole = self.row(self.resource.fields)
        text = f"INSERT INTO {self.place} AS t ({names}) VALUES {values}"
        if is_upsert:
            written = [escape(quote(name)) for name in self.resource.put]
            cells = ", ".join(f"{name} = excluded.{name}" for name in written)
            key = escape(quote_list(self.resource.key))
            return f"{text} ON CONFLICT ({key}) DO UPDATE SET {cells} RETURNING {whole} AS row"
        return f"{text} RETURNING {whole} AS row"

    def update(self, cells: Mapping[str, str], condition: str) -> str:
        """Other values in one row; gives it whole."""
        listed = ", ".join(f"{escape(quote(name))} = {place}" for name, place in cells.items())
        whole = self.row(self.resource.fields)
        return f"UPDATE {self.place} AS t SET {listed} WHERE {condition} RETURNING {whole} AS row"

    def delete(self, condition: str) -> str:
        """One row deleted; gives it whole."""
        whole = self.row(self.resource.fields)
        return f"DELETE FROM {self.place} AS t WHERE {condition} RETURNING {whole} AS row"

    def call(self, function: str, key: Sequence[object], parameters: Placeholders) -> str:
        """A row deleted or restored by the function of its table; gives the counts by table."""
        kinds = [self.resource.fields[name].type for name in self.resource.key]
        places = [parameters.add(value, kind) for value, kind in zip(key, kinds, strict=True)]
        return f"SELECT {escape(quote_table(self.schema, function))}({', '.join(places)})::text AS counts"


def _beyond(cell: str, place: str | None, order: Order) -> str:
    """That a value, which is not NULL, comes behind another one; empty where none does."""
    if place is None:
        return f"{cell} IS NOT NULL" if order.is_descending else ""
    return f"{cell} {'<' if order.is_descending else '>'} {place}"


def _find_end(prefix: str) -> str | None:
    """The first text behind all that begin with a prefix, by code points; None without one."""
    for i in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[i]) + 1
        if code == 0xD800:
            code = 0xE000
        if code <= 0x10FFFF:
            return prefix[:i] + chr(code)
    return None


def list_batches(rows: Sequence[Sequence[str]], width: int) -> Iterator[Sequence[Sequence[str]]]:
    """The rows in pieces of which each fits into one statement."""
    size = max(1, MAX_PARAMETERS // max(1, width))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
