"""Search by meaning as SQL: what notes changed rows, the tables of passages, and the queries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from assise.manifest.model import Manifest
from assise.manifest.sections.embedding import EMBED, Embed, find_link
from assise.manifest.sections.search import Search
from assise.schema.access import AccessRules, quote_setting
from assise.schema.guards import Condition, groups_name
from assise.schema.managed import Managed
from assise.schema.search.made import grant_functions, list_triggers, make_function, own
from assise.schema.search.searched import Searched, fill, join_rows, read_blocks
from assise.schema.sql import qualify, quote, quote_table, quote_text

MEANING = read_blocks("meaning.sql")
EMBEDDING = read_blocks("embed.sql")
TABLES = ("models", "sources", "changed", "spent")
FUNCTION = "search_by_meaning"
BY_MEANING = "text, text, text[], integer, jsonb, text, jsonb"
MODEL = "search_model"
SIMILAR = "search_similar"
SPEND = "search_spend"
CALLED = {
    FUNCTION: ("by_meaning", BY_MEANING),
    SIMILAR: ("similar", "text, jsonb, text[], integer, jsonb, double precision"),
    MODEL: ("model", ""),
    SPEND: ("spend", "text, bigint, bigint"),
}
"""The functions that applications call, each with its block and the types of its arguments."""

SIGNATURES = {"withdraw": "text, jsonb[], boolean", "near": "text, text, integer, jsonb, jsonb"}
MOST_COVERED = 1_300
"""Dimensions up to which a vector fits into an entry of an index: a third of a page."""

FUSED = (
    "((1 - _model.weight) * m.by_word::int * coalesce(m.share / nullif(b.best, 0), 0)"
    " + _model.weight * m.by_vector::int * greatest(coalesce("
    "(m.cosine - b.low) / nullif(b.high - b.low, 0), (m.cosine = b.high)::int, 0), 0))"
    " / nullif((1 - _model.weight) * m.by_word::int + _model.weight * m.by_vector::int, 0)"
)
"""The score of a row: what it has of the best score by words, and where its cosine lies between the
hundredth and the highest one, with the model's weight; of a table that has only one, that one."""


@dataclass(frozen=True)
class EmbeddedTable:
    """A table whose rows are searched by meaning; `vector` is the schema of pgvector."""

    rules: AccessRules
    name: str
    embed: Embed
    vector: str

    @cached_property
    def rows(self) -> Searched:
        """What its rows have in common with those that are searched by words."""
        return Searched(self.rules, self.name, Search(), self.vector)

    def key_of(self, row: str) -> str:
        """The key of a row, as JSON."""
        return f"jsonb_build_array({', '.join(qualify(row, self.rows.key))})"

    def is_wanted(self, row: str) -> str:
        """Whether a row has passages at all."""
        if self.embed.where is None:
            return "true"
        return f"coalesce((SELECT ({self.embed.where}) FROM (SELECT {row}.*) AS x), false)"

    @property
    def read_condition(self) -> str:
        """The statement that reads this of no row."""
        return f"SELECT {self.is_wanted('t')} FROM {self.rows.place} AS t LIMIT 0"

    def scope_of(self, row: str) -> str:
        """Whose rows a row is found among: its table and owner; NULL where it is deleted."""
        begin = f"{quote_text(json.dumps(self.name, ensure_ascii=False))}::text"
        condition = self.condition
        owner = f" || {row}.{quote(condition.column)}::text" if condition else ""
        live = self.rules.live(self.name, row).removeprefix(" AND ")
        return f"CASE WHEN {live} THEN {begin}{owner} END" if live else f"{begin}{owner}"

    @cached_property
    def condition(self) -> Condition | None:
        """The one condition by which rows are a user's; None for none, and for several."""
        guard = self.rules.guards.get(self.name)
        if guard is None or guard.is_public or len(guard.read) != 1:
            return None
        return guard.read[0]

    @property
    def scopes(self) -> str:
        """The scopes of the session's user as SQL; `true` for all, empty where a rule is needed."""
        guard = self.rules.guards.get(self.name)
        if not self.rules.has_rules or (guard and guard.is_public):
            return "true"
        condition = self.condition
        if condition is None:
            return ""
        begin = quote_text(json.dumps(self.name, ensure_ascii=False))
        if condition.groups is not None:
            function = quote_table(self.rules.schema, groups_name(condition.groups))
            return f"ARRAY(SELECT {begin} || u.key::text FROM unnest({function}()) AS u(key))"
        kind = self.rules.types(self.name)[condition.column]
        return f"ARRAY[{begin} || {quote_setting(condition.setting, kind)}::text]"

    @property
    def texts(self) -> list[str]:
        """The texts of a row `t` as SQL: its columns, then those of the rows that belong to it."""
        columns = qualify("t", self.embed.field)
        return [*columns, *join_children(self.rules.manifest, self.name, self.rules.schema)]

    @property
    def children(self) -> list[Searched]:
        """The tables whose rows are embedded with one of this table."""
        return [Searched(self.rules, each, Search(), self.vector) for each in self.embed.children]

    def made(self, kind: str) -> str:
        """The name of a function or trigger of this table."""
        return self.rows.made(f"meaning_{kind}")

    @property
    def made_from(self) -> str:
        """What passages and their scopes depend on beside the values of rows, as a hash."""
        scope = self.scope_of("t")
        said = json.dumps(
            [self.embed.field, self.embed.tokens, self.embed.where, scope]
            + [[*self.embed.children.items()]] * bool(self.embed.children)
        )
        return sha256(said.encode()).hexdigest()[:16]

    def describe(self) -> dict[str, object]:
        """What the query needs to know of it."""
        live, rule = self.rows.visible
        return {
            "place": self.rows.place,
            "live": live,
            "rule": rule,
            "scopes": self.scopes,
            "key_of_t": self.key_of("t"),
            "is_key": self.rows.is_key("t", "b.key"),
            "columns": dict.fromkeys(self.rows.columns, 1),
        }


def find_embedded(rules: AccessRules, vector: str | None) -> list[EmbeddedTable]:
    """The tables of a manifest that are searched by meaning; none without pgvector."""
    found = {name: EMBED.of(table) for name, table in rules.manifest.tables.items()}
    if vector is None:
        return []
    return [EmbeddedTable(rules, name, embed, vector) for name, embed in found.items() if embed]


def is_embedded(manifest: Manifest) -> bool:
    """Whether any table is searched by meaning."""
    return any(EMBED.of(table) is not None for table in manifest.tables.values())


def holds_meaning(name: str) -> bool:
    """Whether a table is one of these, which stay when those of the words are made again."""
    return name.startswith("_meaning_")


def name_parts(schema: str) -> dict[str, str]:
    """The names of the tables and functions, qualified."""
    kinds = (*TABLES, *SIGNATURES)
    names = {kind: quote(schema, f"_meaning_{kind}") for kind in kinds}
    return {**names, **{block: quote(schema, name) for name, (block, _) in CALLED.items()}}


@dataclass(frozen=True)
class MeaningObjects:
    """What search by meaning has in a database beside the passages, which have a table a model."""

    rules: AccessRules
    tables: list[EmbeddedTable]
    searched: Mapping[str, object]
    parts: Mapping[str, str]

    def list_objects(self) -> Iterator[Managed]:
        """In the order in which it is made; `searched` is what `search` knows of its tables."""
        schema = self.rules.schema
        drops = {"models": _drop_passages(schema)}
        for kind in TABLES:
            name = f"_meaning_{kind}"
            place = quote(schema, name)
            create = [fill(MEANING[kind], self._parts), *own(self.rules, f"TABLE {place}")]
            drop = [*filter(None, [drops.get(kind)]), f"DROP TABLE IF EXISTS {place} CASCADE"]
            yield Managed("table", "", name, ";\n".join(create), ";\n".join(drop))
        for kind, arguments in SIGNATURES.items():
            yield self._function(f"_meaning_{kind}", arguments, MEANING[kind], self._parts)
        for table in self.tables:
            parts = {**self._parts, **_list_parts(table)}
            yield self._function(table.made("note"), "", MEANING["note"], parts)
            yield from list_triggers(table.rows, "meaning_note", before="meaning_")
            for child in table.children:
                yield from self._list_child(table, child, parts)
        for name, (block, arguments) in CALLED.items():
            yield self._function(name, arguments, MEANING[block], self._parts)
        functions = {name: arguments for name, (_, arguments) in CALLED.items()}
        yield from grant_functions(self.rules, functions)

    def _list_child(
        self, table: EmbeddedTable, child: Searched, parts: Mapping[str, str]
    ) -> Iterator[Managed]:
        """What notes a row when the rows that belong to it change."""
        tables = self.rules.manifest.tables
        link = quote(find_link(child.name, table.name, tables) or "")
        function = child.made("meaning_up")
        own = {"note_child": quote_table(self.rules.schema, function), "link": link}
        own["place"] = table.rows.place
        yield self._function(function, "", MEANING["note_child"], {**parts, **own})
        yield from list_triggers(child, "meaning_up", before="meaning_up_")

    def _function(self, name: str, arguments: str, block: str, parts: Mapping[str, str]) -> Managed:
        return make_function(self.rules, name, arguments, fill(block, parts))

    @cached_property
    def _parts(self) -> dict[str, str]:
        known = {table.name: table.describe() for table in self.tables}
        strict = " OR ".join(
            f"coalesce(_query ->> '{name}', '') NOT IN ('', '[]')"
            for name in ("require", "without", "fields", "fields_without")
        )
        return {
            **self.parts,
            **name_parts(self.rules.schema),
            "v": quote(self.tables[0].vector),
            "known": quote_text(json.dumps(known, ensure_ascii=False)),
            "searched": quote_text(json.dumps(self.searched, ensure_ascii=False)),
            "is_strict": f"({strict})",
            "fused": FUSED,
        }


def name_passages(rules: AccessRules, model: str) -> str:
    """The table of the passages of a model, which a hash of its name and build tells apart."""
    return quote(rules.schema, f"_meaning_{sha256(model.encode()).hexdigest()[:12]}")


def create_passages(rules: AccessRules, model: str, dimensions: int, vector: str) -> list[str]:
    """The statements that make this table."""
    place = name_passages(rules, model)
    bare = place.rpartition(".")[2].strip('"')
    parts = {
        "passages": place,
        "v": quote(vector),
        "dimensions": str(dimensions),
        "visible_index": quote(f"{bare}_scope"),
        "included": "id, v" if dimensions <= MOST_COVERED else "id",
    }
    text = fill(MEANING["passages"], parts)
    return [*text.split(";\n"), *own(rules, f"TABLE {place}")]


def _drop_passages(schema: str) -> str:
    """Drop the passages of all models, wherever they are."""
    models = quote(schema, "_meaning_models")
    body = (
        f"DECLARE _place text; BEGIN FOR _place IN SELECT place FROM {models} LOOP"
        " EXECUTE 'DROP TABLE IF EXISTS ' || _place; END LOOP;"
        " EXCEPTION WHEN undefined_table OR invalid_schema_name THEN NULL; END"
    )
    return f"DO {quote_text(body)}"


def _list_parts(table: EmbeddedTable) -> dict[str, str]:
    texts = [f"{{row}}.{quote(name)}::text" for name in table.embed.field]
    pairs = [(each.format(row="a"), each.format(row="t")) for each in texts]
    if table.embed.where is not None:
        pairs.append((table.is_wanted("a"), table.is_wanted("t")))
    same = " AND ".join(f"{one} IS NOT DISTINCT FROM {other}" for one, other in pairs)
    return {
        "name": quote_text(table.name),
        "note": quote_table(table.rules.schema, table.made("note")),
        "key_of_t": table.key_of("t"),
        "scope_of_t": table.scope_of("t"),
        "scope_of_a": table.scope_of("a"),
        "same_a_t": table.rows.same("a", "t"),
        "unchanged_a_t": same,
    }


def join_children(manifest: Manifest, table: str, schema: str | None) -> list[str]:
    """The texts of the rows that belong to a row `t`, in their order, as SQL; one of each table."""
    embed, found = EMBED.of(manifest.tables[table]), []
    (key, *_) = manifest.tables[table].primary_key
    for child, columns in embed.children.items() if embed else ():
        rows, link = manifest.tables[child], find_link(child, table, manifest.tables) or ""
        moments = [name for name, each in rows.columns.items() if each.type == "timestamptz"]
        order = [*([] if rows.parent else moments[:1]), *rows.primary_key]
        place = quote_table(schema, child)
        found.append(
            f"(SELECT string_agg(concat_ws(E'\\n', {', '.join(qualify('c', columns))}), E'\\n'"
            f" ORDER BY {', '.join(qualify('c', order))})"
            f" FROM {place} AS c WHERE c.{quote(link)} = t.{quote(key)})"
        )
    return found


def select_children(manifest: Manifest, table: str, schema: str | None) -> str:
    """The statement that reads these texts of the rows with `%(keys)s`, a JSON array of keys."""
    key = manifest.tables[table].primary_key
    text = (
        f"SELECT k.place AS _place, ARRAY[{', '.join(join_children(manifest, table, schema))}] AS texts"
        " FROM jsonb_array_elements(\0::jsonb) WITH ORDINALITY AS k (key, place)"
        f" {join_rows(manifest, table, columns=key, schema=schema)}"
    )
    return text.replace("%", "%%").replace("\0", "%(keys)s")


def call_similar(schema: str | None) -> str:
    """The statement that finds rows like a row."""
    function = quote(schema, SIMILAR) if schema else SIMILAR
    arguments = "%(table)s, %(id)s::jsonb, %(tables)s::text[], %(limit)s, %(filters)s::jsonb"
    return f"SELECT * FROM {function}({arguments}, %(threshold)s) ORDER BY place"


def write_statement(table: EmbeddedTable, name: str, passages: str = "") -> str:
    """One of the statements of `embed.sql` for a table and the passages of a model."""
    bare = passages.rpartition(".")[2].strip('"')
    schema = table.rules.schema
    parts = {
        **name_parts(schema),
        **_list_parts(table),
        "place": table.rows.place,
        "is_key": table.rows.is_key("t", "k.key::jsonb"),
        "is_wanted": table.is_wanted("t"),
        "fields": ", ".join(table.texts),
        "size": " + ".join(f"coalesce(octet_length(({text})::text), 0)" for text in table.texts),
        "passages": passages,
        "passages_text": quote_text(passages),
        "near_index": quote(f"{bare}_near"),
        "near_place": quote(schema, f"{bare}_near"),
        "near_text": quote_text(quote(schema, f"{bare}_near")),
        "v": quote(table.vector),
    }
    literal = {part: text.replace("%", "%%") for part, text in parts.items()}
    return fill(EMBEDDING[name], literal)
