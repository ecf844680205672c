"""The words of a table as people type them, by whose rows have them: for suggestions and typos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from assise.manifest.sections.personal import PERSONAL
from assise.schema.access import quote_setting
from assise.schema.guards import groups_name
from assise.schema.search.searched import Searched, list_readable, quote_array, sees_all
from assise.schema.search_text import FRENCH_STOPS, LANGUAGES
from assise.schema.sql import quote, quote_table, quote_text

LONGEST = 100_000
"""Characters of a column whose words are learned."""


def list_parts(table: Searched) -> Mapping[str, str]:
    """What is put into the blocks about words."""
    schema, rows, fresh = quote(table.rules.schema), table.quoted("rows"), table.quoted("fresh")
    lexemes = (
        f"tsvector_to_array({schema}.search_vector(u.word, {table.languages}, {table.languages}))"
    )
    quoted = f"{quote(table.rules.schema, '_search_quote')}(l)"
    query = f"(SELECT string_agg({quoted}, ' | ')::tsquery FROM unnest({lexemes}) AS l)"
    numbered = f"{rows} AS w WHERE w.generation = $4 AND w.number IN (u.first, u.last)"
    between = "w.number >= %(low)s AND w.number < %(high)s"
    learned = f"{rows} AS w WHERE w.generation = %(generation)s AND {between} AND w.part = 0"
    keys = ", ".join(map(quote, table.key))
    if table.vector is None:
        numbered = f"{fresh} AS w WHERE w.vector @@ {query}"
        learned = f"(SELECT {keys}, NULL::int8 AS number FROM {fresh} WHERE part = 0) AS w"
    return {
        "known_rows": f"(SELECT w.* FROM {numbered} OFFSET 0) AS w",
        "learned": f"(SELECT w.* FROM {learned}) AS w",
        "fold": f"{quote_text(quote(table.rules.schema, '_search_fold'))}::regdictionary",
        "vocabulary_text": list_texts(table),
        "no_stop_word": exclude_stop_words(
            table.rules.schema, table.search.languages, spelling="s.spelling", word="s.word"
        ),
        "owner_keys": list_owners(table),
        "owners": list_own(table),
        "owners_in_blocks": list_own(table, "NULL") if table.is_shown_by_owners else "NULL",
        "has_owners": "true" if table.rules.guards.get(table.name) else "false",
    }


def list_texts(table: Searched) -> str:
    """The text of a row `t` whose words are learned: no column that is personal or not read."""
    columns = table.rules.manifest.tables[table.name].columns
    readable = list_readable(table.rules, table.name)
    learned = [
        name
        for name in table.search.columns
        if name in readable
        and name not in table.search.exact
        and (name not in columns or PERSONAL.of(columns[name]) is None)
    ]
    texts = (f"left({table.text('t', name)}, {LONGEST})" for name in learned)
    return f"concat_ws(' ', {', '.join(texts)})" if learned else "''::text"


def exclude_stop_words(schema: str, languages: Iterable[str], *, spelling: str, word: str) -> str:
    """That a word, which is also given without accents, is no stop word of these languages."""
    tests = []
    for each in languages:
        if each in LANGUAGES and LANGUAGES[each].has_stops:
            stops = quote_text(quote(schema, f"_search_{each}_stops"))
            tests.append(f"ts_lexize({stops}::regdictionary, {spelling}) IS DISTINCT FROM '{{}}'")
        if each == "fr":
            stemmer = quote_text(quote(schema, "_search_fr_folded"))
            stem = f"(ts_lexize({stemmer}::regdictionary, {word}))[1]"
            tests.append(f"{stem} <> ALL ({quote_array(FRENCH_STOPS)})")
    return " AND ".join(tests) or "true"


def list_owners(table: Searched) -> str:
    """Under which owners the words of a row `t` stand: by each column of the rule, and all rows."""
    guard = table.rules.guards.get(table.name)
    columns = dict.fromkeys(each.column for each in guard.read) if guard else {}
    keys = [f"{quote_text(f'{n}=')} || t.{quote(name)}::text" for n, name in enumerate(columns)]
    # Every row is counted once for all rows: under its first owner, or nobody's.
    first = f"coalesce({keys[0]}, '0=')" if keys else "'0='"
    return f"ARRAY[{', '.join([first, *keys[1:]])}]"


def list_own(table: Searched, everything: str = "ARRAY['']") -> str:
    """The owners whose rows the session sees, as an array; `everything` for all rows."""
    rules, guard = table.rules, table.rules.guards.get(table.name)
    if not rules.has_rules or (guard and guard.is_public):
        return everything
    types = rules.types(table.name)
    columns = list(dict.fromkeys(each.column for each in guard.read)) if guard else []
    parts = ["'{}'::text[]"]
    for condition in guard.read if guard else ():
        begin = quote_text(f"{columns.index(condition.column)}=")
        if condition.groups is None:
            value = quote_setting(condition.setting, types[condition.column])
            parts.append(f"ARRAY[{begin} || {value}::text]")
        else:
            function = quote_table(rules.schema, groups_name(condition.groups))
            parts.append(
                f"ARRAY(SELECT {begin} || u.key::text FROM unnest({function}()) AS u(key))"
            )
    own = f"array_remove({' || '.join(parts)}, NULL)"
    return f"CASE WHEN {sees_all(rules)} THEN {everything} ELSE {own} END"


def list_query_words(schema: str, languages: Iterable[str], text: str) -> str:
    """The words of a query as an array that stand in vocabularies; no stop words, no short ones."""
    code = f"{quote_text(quote(schema, '_search_code'))}::regconfig"
    read = f"to_tsvector({code}, {quote(schema)}._search_space({text}))"
    kept = exclude_stop_words(schema, languages, spelling="l", word="l")
    return f"ARRAY(SELECT l FROM unnest(tsvector_to_array({read})) AS l WHERE length(l) > 2 AND {kept})"


__all__ = ["list_parts", "list_query_words", "quote_array"]
