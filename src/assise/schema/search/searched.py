"""A searched table: the names of its index tables and functions, and the SQL that they share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.names import MAX_NAME_BYTES, shorten, split_table
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.search import SEARCH, Search
from assise.schema.access import AccessRules
from assise.schema.guards import make_place, put_beside
from assise.schema.resources import find_resource
from assise.schema.roles import quote_role
from assise.schema.sql import equate, qualify, quote, quote_table, quote_text
from assise.wording import nearest

LABELS = "ABCD"
BLOCK = 16_000
"""Rows of a block: the most elements that pgvector takes in one vector."""

LONG_BYTES = 32_000
"""From this on a row is looked at closer, and read in parts if it is too long for one tsvector."""

_PLAIN = {"uuid", "text", "int2", "int4", "int8", "bool"}
_PLACE = re.compile(r"\{(\w+)\}")
_BLOCK = re.compile(r"^-- (\w+) --\n((?:.*\n)+?)(?=^-- \w+ --\n|\Z)", re.MULTILINE)


def read_blocks(name: str) -> dict[str, str]:
    """The named blocks of one of our files of SQL."""
    text = files("assise.schema.search").joinpath("sql", name).read_text(encoding="utf-8")
    return {block: body.strip() for block, body in _BLOCK.findall(text)}


def fill(text: str, parts: Mapping[str, str]) -> str:
    """A block with its parts put in; what stands in braces and is no part stays."""
    return _PLACE.sub(lambda found: parts[found[1]], text)


@dataclass(frozen=True)
class Searched:
    """A searched table; `vector` is the schema of pgvector, None where there is none to use."""

    rules: AccessRules
    name: str
    search: Search
    vector: str | None

    @cached_property
    def place(self) -> str:
        """The table itself."""
        return quote_table(self.rules.schema, self.name)

    @cached_property
    def key(self) -> dict[str, str]:
        """The columns of its primary key, with their types."""
        types = self.rules.types(self.name)
        return {name: types[name] for name in self.rules.manifest.tables[self.name].primary_key}

    @property
    def columns(self) -> list[str]:
        """The columns by which hits may be filtered."""
        return [*list_readable(self.rules, self.name)]

    @cached_property
    def labels(self) -> dict[str, str]:
        """The label of the positions of each column in a tsvector."""
        columns = self.search.columns
        first = 0 if self.search.title else 1
        if len(columns) + first > len(LABELS):
            first = 0
        return dict(zip(columns, LABELS[first:], strict=False))

    @property
    def function(self) -> str:
        """The name of the function that applications call, as the manifest names tables."""
        bare = shorten(split_table(self.name)[1], MAX_NAME_BYTES - len("search_"))
        return put_beside(self.name, f"search_{bare}")

    def made(self, kind: str) -> str:
        """The name of an index table or a function of this table, as the manifest names tables."""
        return make_place(f"_search_{kind}", self.name)

    def bare(self, kind: str) -> str:
        """The same without a schema, as an index or a trigger has it."""
        return split_table(self.made(kind))[1]

    def quoted(self, kind: str) -> str:
        """The same, qualified."""
        return quote_table(self.rules.schema, self.made(kind))

    @property
    def languages(self) -> str:
        """The languages of the table as an array in SQL."""
        return quote_array(self.search.languages)

    def text(self, row: str, column: str) -> str:
        """The text of a column, whatever its type."""
        kind = self.rules.types(self.name)[column]
        name = f"{row}.{quote(column)}"
        if kind.endswith("[]"):
            return f"array_to_string({name}, ' ')"
        return name if kind == "text" else f"{name}::text"

    def size(self, row: str) -> str:
        """How many bytes of text a row has."""
        texts = [self.text(row, name) for name in self.search.columns]
        return " + ".join(f"coalesce(octet_length({text}), 0)" for text in texts)

    def vectors(self, row: str) -> str:
        """The parts of a row with their tsvectors, as a subquery."""
        schema = quote(self.rules.schema)
        texts = {name: self.text(row, name) for name in self.search.columns}
        own = "NULL::text[]"
        if len(self.search.languages) > 1:
            own = (
                f"{schema}.search_language(concat_ws(' ', {', '.join(texts.values())}),"
                f" {self.languages})"
            )
        if column := self.search.language_column:
            said = f"{row}.{quote(column)}"
            own = f"CASE WHEN {said} = ANY ({self.languages}) THEN ARRAY[{said}] ELSE {own} END"
        read_in, once = own, ""
        if len(texts) > 1 and not own.startswith("NULL"):
            read_in, once = "own.of", f" FROM (SELECT {own} AS of) AS own"
        read = {
            name: f"{schema}.search_vector({text}, {self.languages}, {read_in})"
            for name, text in texts.items()
        }
        labelled = [f"setweight({text}, '{self.labels[name]}')" for name, text in read.items()]
        size = self.size(row)
        labels = ",".join(self.labels[name] for name in texts)
        parts = f"{quote(self.rules.schema, '_search_parts')}(ARRAY[{', '.join(texts.values())}]"
        return (
            f"(SELECT 0::int2 AS part, {' || '.join(labelled)} AS vector{once}"
            f" WHERE {size} <= {LONG_BYTES}"
            f" UNION ALL SELECT p.part, p.vector"
            f" FROM {parts}, '{{{labels}}}', {self.languages}, {own}) AS p"
            f" WHERE {size} > {LONG_BYTES})"
        )

    @cached_property
    def frequency(self) -> str:
        """How often a lexeme `x` of a tsvector stands in a row, by the weights of its columns."""
        weights = {
            self.labels[name]: self.search.weights.get(name, 1) for name in self.search.columns
        }
        if set(weights.values()) == {1}:
            return "cardinality(x.positions)::float8"
        cases = " ".join(f"WHEN '{label}' THEN {value}" for label, value in weights.items())
        return f"(SELECT sum(CASE g {cases} ELSE 1 END)::float8 FROM unnest(x.weights) AS g)"

    def saturate(self, average: str) -> str:
        """The weight of a lexeme `x` in a row without its idf: BM25 with k1 1.2 and b 0.75.

        `d` is what `measure` gives for the row. A row that is too short to tell its language is
        read in several, which together weigh as one.
        """
        relative = f"coalesce(d.length / nullif({average}, 0), 1)"
        weight = f"x.tf * 2.2 / (x.tf + 1.2 * (0.25 + 0.75 * {relative}))"
        if len(self.search.languages) == 1:
            return weight
        return f"{weight} / CASE WHEN {self._has_tag('x.lexeme')} THEN d.readings ELSE 1 END"

    def measure(self, vector: str) -> str:
        """How long a row is, and in how many languages it is read, as a subquery."""
        lexed = f"unnest({vector}) AS x (lexeme, positions, weights)"
        if len(self.search.languages) == 1:
            return f"(SELECT coalesce(sum({self.frequency}), 0)::float8 AS length FROM {lexed})"
        read = (
            f"SELECT {self.frequency} AS tf, CASE WHEN {self._has_tag('x.lexeme')}"
            f" THEN split_part(x.lexeme, ':', 1) END AS tag FROM {lexed}"
        )
        return (
            "(SELECT readings, (typed + tagged / readings)::float8 AS length FROM ("
            "SELECT greatest(count(DISTINCT tag), 1) AS readings,"
            " coalesce(sum(tf) FILTER (WHERE tag IS NULL), 0)::float8 AS typed,"
            f" coalesce(sum(tf) FILTER (WHERE tag IS NOT NULL), 0)::float8 AS tagged FROM ({read}) AS x"
            ") AS x)"
        )

    def _has_tag(self, lexeme: str) -> str:
        return (
            f"(position(':' IN {lexeme}) > 0"
            f" AND split_part({lexeme}, ':', 1) = ANY ({self.languages}))"
        )

    def score_fresh(self, lexemes: str, weights: str, average: str) -> str:
        """The score of a row `f` by its tsvector, as a subquery."""
        return (
            f"(SELECT round(1e5 * (SELECT sum(q.weight * {self.saturate(average)})"
            f" FROM (SELECT x.lexeme, {self.frequency} AS tf"
            " FROM unnest(f.vector) AS x (lexeme, positions, weights)) AS x"
            f" JOIN unnest({lexemes}, {weights}) AS q (lexeme, weight) ON q.lexeme = x.lexeme"
            f")) / 1e5 AS score FROM {self.measure('f.vector')} AS d)"
        )

    def score_row(self, vector: str) -> str:
        """The score of a row `w` by its weights."""
        if self.vector is None:
            return "0::float8"
        distance = f"w.weights OPERATOR({quote(self.vector)}.<#>) {vector}"
        return f"round(-1e5 * ({distance})) / 1e5"

    @cached_property
    def visible(self) -> tuple[str, str]:
        """Which rows everybody sees whom no rule binds, and which an application's user sees."""
        rules = self.rules
        live = rules.live(self.name).removeprefix(" AND ") or "true"
        if not rules.has_rules:
            return "true", "true"
        guard = rules.guards.get(self.name)
        if guard is None:
            return live, "false"
        read = "true" if guard.is_public else rules.predicate(self.name, guard.read)
        parts = [part for part in (read, live) if part != "true"]
        return live, " AND ".join(f"({part})" for part in parts) or "true"

    @property
    def index(self) -> tuple[str, ...]:
        """The columns of an index by which the keys of the rows that a user sees are read alone."""
        guard = self.rules.guards.get(self.name)
        columns = dict.fromkeys(each.column for each in guard.read) if guard else {}
        return tuple(dict.fromkeys([*columns, *self.key])) if len(columns) == 1 else ()

    @property
    def is_shown_by_owners(self) -> bool:
        """Whether a rule shows rows by columns whose values are equal only where their texts are."""
        guard = self.rules.guards.get(self.name)
        if self.vector is None or guard is None or guard.is_public or not guard.read:
            return False
        types = self.rules.types(self.name)
        return all(types[each.column] in _PLAIN for each in guard.read)

    def is_key(self, row: str, key: str) -> str:
        """That a row has a key, which is a JSON array."""
        columns = zip(qualify(row, self.key), self.key.values(), strict=True)
        return " AND ".join(
            f"{name} = ({key} ->> {n})::{kind}" for n, (name, kind) in enumerate(columns)
        )

    def same(self, one: str, other: str) -> str:
        """That two rows have the same key."""
        return " AND ".join(equate(qualify(one, self.key), qualify(other, self.key)))

    @property
    def watched(self) -> list[str]:
        """The columns whose change makes a row be indexed again."""
        column = self.search.language_column
        owners: list[str] = []
        if self.is_shown_by_owners:
            owners += (each.column for each in self.rules.guards[self.name].read)
        return [*dict.fromkeys([*self.search.columns, *([column] if column else []), *owners])]


def quote_array(texts: Iterable[str]) -> str:
    """An array of texts in SQL."""
    return f"ARRAY[{', '.join(map(quote_text, texts))}]::text[]"


def sees_all(rules: AccessRules) -> str:
    """Whether no rule binds who calls."""
    if not rules.has_rules:
        return "true"
    if rules.is_forced:
        names = ("owner", "worker", "admin")
        return " OR ".join(f"coalesce({quote_role(name)}, false)" for name in names).join("()")
    return rules.sees_all


def list_shared(schema: str) -> dict[str, str]:
    """The names that the searched tables of a schema share, qualified."""
    kinds = ("state", "words", "parts", "condition", "quote", "share_of")
    names = {kind: quote(schema, f"_search_{kind}") for kind in kinds}
    own = {
        "distance": quote(schema, "_search_distance"),
        "many": quote(schema, "search"),
        "suggest": quote(schema, "search_suggest"),
    }
    return {**names, **own, "schema": quote(schema)}


def find_searched(rules: AccessRules, vector: str | None) -> list[Searched]:
    """The searched tables of a manifest, in its order."""
    found = {name: SEARCH.of(table) for name, table in rules.manifest.tables.items()}
    return [
        Searched(rules, name, search, vector)
        for name, search in found.items()
        if search is not None
    ]


def list_readable(rules: AccessRules, table: str) -> dict[str, str]:
    """The columns that an application's user may read, with their types: `api` may name some."""
    types = list_columns(table, rules.manifest.tables)
    guard = rules.guards.get(table)
    resource = find_resource(rules.manifest, guard) if guard else None
    return {name: kind for name, kind in types.items() if not resource or name in resource.fields}


def match_key(manifest: Manifest, table: str, key: str) -> str:
    """That a row `t` has a key, which is a JSON array."""
    types = list_columns(table, manifest.tables)
    return " AND ".join(
        f"t.{quote(name)} = ({key} ->> {n})::{types[name]}"
        for n, name in enumerate(manifest.tables[table].primary_key)
    )


def count_values(manifest: Manifest, table: str, column: str, hits: str, schema: str | None) -> str:
    """The statement that counts the values of a column among hits `s`, the most frequent first.

    Raises:
        UsageError: there is no such column.
    """
    types = list_readable(AccessRules(manifest, schema or "public"), table)
    if column not in types:
        raise UsageError(f"{table} has no column {column!r}", remedy=nearest(column, types))
    place, name = quote_table(schema, table), quote(column)
    text = (
        f"SELECT t.{name}::text AS value, count(*) AS rows FROM \0 JOIN {place} AS t"
        f" ON {match_key(manifest, table, 's.key')} WHERE t.{name} IS NOT NULL"
        " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100"
    )
    return text.replace("%", "%%").replace("\0", hits)


def select_hits(manifest: Manifest, table: str, schema: str | None) -> str:
    """The statement that reads rows by `%(keys)s`, a JSON array of keys, which are arrays too."""
    types = list_readable(AccessRules(manifest, schema or "public"), table)
    text = (
        f"SELECT k.place AS _place, {', '.join(qualify('t', types))}"
        " FROM jsonb_array_elements(\0::jsonb) WITH ORDINALITY AS k (key, place)"
        f" {join_rows(manifest, table, columns=types, schema=schema)}"
    )
    return text.replace("%", "%%").replace("\0", "%(keys)s")


def join_rows(manifest: Manifest, table: str, *, columns: Iterable[str], schema: str | None) -> str:
    """The join of some keys `k` with the rows `t` that have them, of which `columns` are read.

    Each row is looked up alone: a planner that takes a user to have few rows would read all of them.
    """
    return (
        f"CROSS JOIN LATERAL (SELECT {', '.join(qualify('t', columns))} FROM {quote_table(schema, table)}"
        f" AS t WHERE {match_key(manifest, table, 'k.key')} OFFSET 0) AS t"
    )


def call_suggest(schema: str | None) -> str:
    """The statement that gives suggestions: kind, text, and table and key of a row with the word."""
    function = quote(schema, "search_suggest") if schema else "search_suggest"
    return f"SELECT * FROM {function}(%(q)s, %(tables)s::text[], %(limit)s)"


READ_CORRECTIONS = (
    "SELECT nullif(current_setting('search.corrected', true), '') AS words,"
    " current_setting('search.synonyms', true) AS synonyms"
)
"""The words of the last search of the transaction that were corrected, as JSON, NULL for none; and
the synonyms that were looked for."""

FORGET_PLAN = "SELECT set_config('search.plan', '', true), set_config('search.counted', '', true)"
READ_PLAN = (
    "SELECT current_setting('search.plan', true) AS plan,"
    " current_setting('search.counted', true) AS counted"
)
"""How the last search of the transaction was answered, and what it counted in the user's rows."""
