"""Everything that search has in a database, one statement each, in the order in which it is made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from assise.manifest.model import Manifest
from assise.manifest.names import split_table
from assise.schema import search_text
from assise.schema.access import AccessRules
from assise.schema.managed import Managed
from assise.schema.search.log import LOG, LOG_FUNCTIONS, LOG_TABLES, list_log_parts
from assise.schema.search.made import grant_functions, list_triggers, make_function, own
from assise.schema.search.meaning import (
    CALLED,
    MeaningObjects,
    find_embedded,
    holds_meaning,
    is_embedded,
)
from assise.schema.search.parts import list_parts
from assise.schema.search.searched import (
    Searched,
    fill,
    find_searched,
    list_shared,
    quote_array,
    read_blocks,
    sees_all,
)
from assise.schema.search.vocabulary import list_query_words
from assise.schema.sql import quote, quote_list, quote_table, quote_text

EXTENSIONS = search_text.EXTENSIONS
SHARED = read_blocks("shared.sql")
TABLE = read_blocks("table.sql")
DATA = ("fresh", "pending", "terms", "rows", "blocks", "owned", "vocabulary")
MANY = "text, text[], integer, jsonb, text, jsonb"
ONE = "text, integer, jsonb, text, jsonb"
SUGGEST = "text, text[], integer"


class Synonym(NamedTuple):
    """A text that is also looked for where another is typed; in one language, or in all."""

    language: str | None
    typed: str
    spelled: str


Synonyms = Mapping[str, Sequence[Synonym]]
FUNCTIONS = (
    "index complete own known begun has_words nearest correct also count_own rank dense".split()
)
"""Of each table; `dense` where there is pgvector, `also` where there are synonyms."""

SIGNATURES = {
    "parts": 'text[], "char"[], text[], text[]',
    "quote": "text",
    "condition": "jsonb, regclass, text[]",
    "share_of": "tsvector, jsonb",
    "index": "",
    "complete": "text, integer, text",
    "own": "",
    "known": "text[], bigint[], bigint[], integer",
    "begun": "text, integer",
    "has_words": "text[]",
    "nearest": "text, jsonb",
    "correct": "jsonb",
    "also": "jsonb",
    "count_own": "text[], integer[], integer, text",
    "dense": (
        "integer, integer[], bigint, double precision, double precision, text[], text, jsonb,"
        " tsquery, jsonb, double precision"
    ),
    "rank": "jsonb, bigint, jsonb, jsonb, jsonb",
}
"""The types of the arguments of each function."""


def list_search_objects(
    manifest: Manifest, schema: str, *, vector: str | None, synonyms: Synonyms
) -> list[Managed]:
    """What search needs; `vector` is the schema of pgvector, None where there is none to use.

    `synonyms` are those of each table that has some.
    """
    rules = AccessRules(manifest, schema)
    tables, embedded = find_searched(rules, vector), is_embedded(manifest)
    made = _Objects(rules, tables, vector=vector, synonyms=synonyms)
    return [*made.list_objects()] if tables or embedded else []


def list_search_functions(manifest: Manifest, schema: str) -> list[str]:
    """The names of the functions that users call with the rights of the owner."""
    rules = AccessRules(manifest, schema)
    tables = find_searched(rules, None)
    by_meaning = [*CALLED] if is_embedded(manifest) else []
    if not tables:
        return by_meaning
    noted = ["_search_note", "_search_click"] if list_log_parts(rules) else []
    return ["search", "search_suggest", *(table.function for table in tables), *noted, *by_meaning]


class _Objects:
    def __init__(
        self, rules: AccessRules, tables: list[Searched], *, vector: str | None, synonyms: Synonyms
    ) -> None:
        self.rules, self.tables = rules, tables
        self.vector, self.synonyms = vector, synonyms
        self.schema = rules.schema
        names = (name for table in tables for name in table.search.languages)
        self.languages = [*dict.fromkeys(names)]
        popular = list_log_parts(rules).get("popular")
        self.texts = ";\n".join(search_text.list_functions(self.schema, self.languages))
        self.shared = {
            **list_shared(self.schema),
            "known": quote_text(json.dumps(self._known(), ensure_ascii=False)),
            "sees_all": sees_all(rules),
            "popular": f"{popular}(_typed)" if popular else "NULL",
            "query_words": list_query_words(self.schema, self.languages, "asked"),
            "words_of_q": (
                "coalesce(q, '') || CASE WHEN _options ->> 'as_you_type' = 'true'"
                " THEN '*' ELSE '' END"
            ),
        }

    def list_objects(self) -> Iterator[Managed]:
        for kind in ("state", "words"):
            yield self._table("", f"_search_{kind}", fill(SHARED[kind], self.shared))
        drops = ";\n".join(search_text.list_drops(self.schema, self.languages))
        yield Managed("function", "", "search_vector", self.texts, drops)
        for kind in ("parts", "quote", "condition", "share_of"):
            yield self._function(f"_search_{kind}", SIGNATURES[kind], SHARED[kind], self.shared)
        for table in self.tables:
            yield from self._list_of(table)
        yield self._function("search", MANY, SHARED["many"], self.shared)
        yield self._function("search_suggest", SUGGEST, SHARED["suggest"], self.shared)
        for table in self.tables:
            yield self._function(table.function, ONE, TABLE["one"], list_parts(table))
        if parts := list_log_parts(self.rules):
            for name, block in LOG_TABLES.items():
                yield self._table("", name, fill(LOG[block], parts))
            for name, (block, arguments) in LOG_FUNCTIONS.items():
                yield self._function(name, arguments, LOG[block], parts)
        if embedded := find_embedded(self.rules, self.vector):
            meaning = MeaningObjects(self.rules, embedded, self._known(), self.shared)
            yield from meaning.list_objects()
        yield from grant_functions(self.rules, self._list_called())

    def _known(self) -> dict[str, object]:
        """What `search` knows of each table."""
        return {
            table.name: {
                **{kind: table.quoted(kind) for kind in ("rank", "begun", "has_words")},
                "languages": table.search.languages,
                "fields": table.search.columns,
                "columns": dict.fromkeys(table.columns, 1),
            }
            for table in self.tables
        }

    def _list_of(self, table: Searched) -> Iterator[Managed]:
        parts = list_parts(table)
        made = [self.texts, parts["vectors"], SHARED["parts"]]
        comment = _comment(*made)
        for kind in list_data(table):
            block = TABLE[kind]
            if kind == "rows" and not table.vector:
                block = block.replace("{v}.sparsevec", "text")
            if kind == "vocabulary":
                comment = _comment(*made, parts["vocabulary_text"], parts["owner_keys"])
            if kind == "owned":
                comment = _comment(parts["owner_keys"], str(table.is_shown_by_owners))
            create = [fill(block, parts), f"COMMENT ON TABLE {table.quoted(kind)} IS {comment}"]
            drop = []
            if kind == "fresh":
                name = quote_text(table.name)
                values = f"({name}, 0, true, 0)"
                state = parts["state"]
                create.append(
                    f"INSERT INTO {state} (name, generation, is_active, n) VALUES {values}"
                )
                if not table.vector:
                    create.append(f"CREATE INDEX ON {table.quoted(kind)} USING gin (vector)")
                body = (
                    f"BEGIN DELETE FROM {state} WHERE name = {name};"
                    " EXCEPTION WHEN undefined_table THEN NULL; END"
                )
                drop.append(f"DO {quote_text(body)}")
            yield self._table(table.name, table.made(kind), *create, drops=drop)
        if table.search.synonyms is not None:
            lines = [each._asdict() for each in self.synonyms.get(table.name, ())]
            rules = {**parts, "rules": quote_text(json.dumps(lines, ensure_ascii=False))}
            name = table.made("synonyms")
            yield self._table(table.name, name, fill(TABLE["synonyms"], rules))
        without = {"dense"} if table.vector is None else set()
        without |= {"also"} if table.search.synonyms is None else set()
        for kind in (each for each in FUNCTIONS if each not in without):
            block = TABLE[kind]
            if kind == "rank" and not table.vector:
                block = _without_blocks(block)
            yield self._function(table.made(kind), SIGNATURES[kind], block, parts)
        yield from list_triggers(table, "index")
        if columns := table.index:
            yield self._index(table, columns)

    def _index(self, table: Searched, columns: tuple[str, ...]) -> Managed:
        name = table.bare("visible")
        live = self.rules.live(table.name).replace(" AND ", " WHERE ", 1)
        create = f"CREATE INDEX {quote(name)} ON {table.place} ({quote_list(columns)}){live}"
        drop = f"DROP INDEX IF EXISTS {table.quoted('visible')}"
        return Managed("index", table.name, name, create, drop)

    def _table(
        self, table: str, name: str, *statements: str, drops: list[str] | None = None
    ) -> Managed:
        """A table of ours; it goes by itself, since no table of users depends on it."""
        place = quote_table(self.schema, name)
        create = [*statements, *own(self.rules, f"TABLE {place}")]
        drop = [*(drops or []), f"DROP TABLE IF EXISTS {place}"]
        return Managed("table", table, name, ";\n".join(create), ";\n".join(drop))

    def _function(self, name: str, arguments: str, block: str, parts: Mapping[str, str]) -> Managed:
        return make_function(self.rules, name, arguments, fill(block, parts))

    def _list_called(self) -> dict[str, str]:
        """The functions that users call, with their arguments."""
        functions = {"search": MANY, "search_suggest": SUGGEST}
        functions |= {table.function: ONE for table in self.tables}
        if list_log_parts(self.rules):
            functions |= {name: arguments for name, (_, arguments) in LOG_FUNCTIONS.items()}
            for name in ("_search_person", "_search_popular"):
                functions.pop(name)
        return functions


def list_data(table: Searched) -> list[str]:
    """The kinds of the index tables of a searched table."""
    return [kind for kind in DATA if table.vector or kind not in {"blocks", "owned"}]


def _comment(*made: str) -> str:
    """What a table was made from, as a text by which a change is seen."""
    digest = sha256("\0".join(made).encode())
    return quote_text(f"made by Assise from {digest.hexdigest()[:16]}")


def stands_alone(name: str) -> bool:
    """Whether no other table of ours is made again when this one is."""
    is_apart = name in LOG_TABLES or holds_meaning(name)
    own = ("_search_vocabulary_", "_search_synonyms_", "_search_owned_")
    return is_apart or split_table(name)[1].startswith(own)


def _without_blocks(block: str) -> str:
    """The function `rank` where there is no pgvector: all rows are scored by their tsvectors."""
    before, _, rest = block.partition("    IF _count > _rows THEN\n")
    _, _, rows = rest.partition("    ELSE\n")
    body, _, after = rows.partition("    END IF;\n")
    return before + body + after


__all__ = [
    "EXTENSIONS",
    "Synonym",
    "Synonyms",
    "list_search_functions",
    "list_search_objects",
    "quote_array",
    "stands_alone",
]
