"""Text into lexemes, and queries into terms, as SQL functions in the schema of the tables.

Only templates of dictionaries that every server has are used (snowball, simple, unaccent) and the
server's own lists of stop words: nobody can put files on a managed server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Literal, NamedTuple

from assise.schema.sql import quote, quote_text

EXTENSIONS = ("unaccent", "fuzzystrmatch")
"""The extensions that dictionaries and functions need, in any schema."""

CODE = "code"
"""The language of source text: nothing is stemmed, identifiers are kept and split."""


class Snowball(NamedTuple):
    """A language that PostgreSQL has a stemmer for, and maybe a list of stop words."""

    name: str
    has_stops: bool = True


LANGUAGES = {
    "ar": Snowball("arabic", has_stops=False),
    "ca": Snowball("catalan", has_stops=False),
    "da": Snowball("danish"),
    "de": Snowball("german"),
    "el": Snowball("greek", has_stops=False),
    "en": Snowball("english"),
    "es": Snowball("spanish"),
    "eu": Snowball("basque", has_stops=False),
    "fi": Snowball("finnish"),
    "fr": Snowball("french"),
    "ga": Snowball("irish", has_stops=False),
    "hi": Snowball("hindi", has_stops=False),
    "hu": Snowball("hungarian"),
    "hy": Snowball("armenian", has_stops=False),
    "id": Snowball("indonesian", has_stops=False),
    "it": Snowball("italian"),
    "lt": Snowball("lithuanian", has_stops=False),
    "ne": Snowball("nepali"),
    "nl": Snowball("dutch"),
    "no": Snowball("norwegian"),
    "pt": Snowball("portuguese"),
    "ro": Snowball("romanian", has_stops=False),
    "ru": Snowball("russian"),
    "sr": Snowball("serbian", has_stops=False),
    "sv": Snowball("swedish"),
    "ta": Snowball("tamil", has_stops=False),
    "tr": Snowball("turkish"),
    "yi": Snowball("yiddish", has_stops=False),
}
"""ISO 639-1 code -> the stemmer. PostgreSQL 15 has all of them."""

FRENCH_STOPS = """
    a auss cec cel cet comm donc dont elle etais etait etaient etant eti etion etre eum eut fum fut
    jusqu la le lorsqu mem ou puisqu quel quoiqu si tous tout tre
""".split()
"""The stems, without accents, of stop words that the server's list lacks (a, cet, dont, les, tous)
or that have an accent (à, là, où, même, être, très, était); no other word has one of them.

Words with an accent are not looked up in the server's list, so `été` and `sûr` are found."""

FRENCH_SPELLINGS = {
    "ils ": "il ",
    " êtes ": " est ",
    " ça ": " ce ",
    "avions": "avion",
    "sommes": "somme",
}
"""What is read otherwise, in lower case: stop words whose stem other words have (île, été, CA), as
others that have none; planes and sums, which the server takes for forms of to have and to be."""

UNREAD = "email, url, host, url_path, file, version, hword, asciihword, numhword"
"""Kinds of tokens of PostgreSQL's parser that are not read: their parts are words."""

PATTERNS = {
    "compound": r"\w[-./:@]+\w|_|\w\+\+|\w#",
    "typed": r"\w+(?:[-./:@+]+\w+)+|\w+(?:\+\+|#)",
    "joined": r"\w*_\w*",
    "decimal": r"^\d+[.]\d+$",
    "dotted": r"([[:alpha:]_])[.]+(?=\w)|(\w)[.]+(?=[[:alpha:]_])",
    "combining": "[\u0300-\u036f]",
    "typographic": "[\u00a0-\u00bf\u2000-\u206f]",
    "hump": "([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])",
    "humped": r"\w*[a-z0-9][A-Z]\w*",
}
"""Regular expressions of the functions: what is found as it is typed, and the humps of names."""

_QUOTES = "“”„«»"
_SPACES = "\u00a0\u2002\u2003\u2009\u200b\u202f\u2018–—…•·"
MARKS, PLAIN = _QUOTES + _SPACES, '"' * len(_QUOTES) + " " * len(_SPACES)
"""Typographic characters, which some locales take for letters, and as what they are read."""

FUNCTIONS = {
    "clean": "_search_clean(text)",
    "space": "_search_space(text)",
    "typed": "_search_typed(text)",
    "code": "_search_code(text)",
    "read": "_search_read(text, text)",
    "tagged": "_search_tagged(text, text[], text)",
    "language": "search_language(text, text[])",
    "vector": "search_vector(text, text[], text[])",
    "prefix": "_search_prefix(text)",
    "terms": "_search_terms(text, text[])",
    "phrase": "_search_phrase(text, text[])",
    "query": "search_query(text, text[], text[])",
    "headlines": "search_headlines(text[], text, text[])",
}
"""File of each function -> its name and the types of its arguments, in the order of creation."""

_PREFIX = "_search_"


def list_functions(schema: str, languages: Iterable[str]) -> list[str]:
    """The statements that make dictionaries, configurations and functions, or make them again.

    `languages` are ISO codes, `code`, or names of text search configurations of the server; one
    that is in no schema but `pg_catalog` is given with its schema.
    """
    listed = sorted(set(languages))
    return [
        *_create_dictionaries(schema, listed),
        *(_create_function(name, schema, listed) for name in FUNCTIONS),
    ]


def list_drops(schema: str, languages: Iterable[str]) -> list[str]:
    """The statements that take away what `list_functions` makes, where it is there."""
    listed = [each for each in sorted(set(languages)) if each in LANGUAGES]
    names = [name for each in listed for name in (each, f"{each}_folded", f"{each}_stops")]
    drop = "DROP TEXT SEARCH {} IF EXISTS {}"
    return [
        f"DROP FUNCTION IF EXISTS {quote(schema)}._search_distance(text, text)",
        *(f"DROP FUNCTION IF EXISTS {quote(schema)}.{each}" for each in FUNCTIONS.values()),
        *(drop.format("CONFIGURATION", _name(schema, each)) for each in (CODE, *names)),
        *(drop.format("DICTIONARY", _name(schema, each)) for each in ("fold", *names)),
    ]


def _create_dictionaries(schema: str, languages: list[str]) -> Iterator[str]:
    """What all languages share, then what each has."""
    distance = (
        f"CREATE OR REPLACE FUNCTION {quote(schema).replace('%', '%%')}._search_distance(text, text)"
        " RETURNS int4 LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE"
        " AS 'SELECT %s.levenshtein($1, $2)'"
    )
    yield _block(
        f"EXECUTE (SELECT format({quote_text(distance)}, extnamespace::regnamespace)"
        " FROM pg_catalog.pg_extension WHERE extname = 'fuzzystrmatch')"
    )
    fold = (
        "EXECUTE (SELECT format({}, tmplnamespace::regnamespace)"
        " FROM pg_catalog.pg_ts_template WHERE tmplname = 'unaccent')"
    )
    create = f"CREATE TEXT SEARCH DICTIONARY {_name(schema, 'fold').replace('%', '%%')}"
    options = "(TEMPLATE = %s.unaccent, RULES = 'unaccent')"
    yield _unless(schema, "dict", "fold", fold.format(quote_text(f"{create} {options}")))
    yield _create_configuration(schema, CODE, ["simple"], [_name(schema, "fold"), "simple"])
    for language in languages:
        if language in LANGUAGES:
            yield from _create_language(schema, language)
        elif language != CODE:
            yield _block(f"PERFORM {_configuration(schema, language)}")


def _create_language(schema: str, language: str) -> Iterator[str]:
    """Its stemmer with stop words, that of words whose accents are folded, and its stop words.

    Those alone tell which language a text is in.
    """
    name, has_stops = LANGUAGES[language]
    listed = f", STOPWORDS = {name}" if has_stops else ""
    yield _create_dictionary(schema, language, f"snowball, LANGUAGE = {name}{listed}")
    yield _create_dictionary(schema, f"{language}_folded", f"snowball, LANGUAGE = {name}")
    folding = [_name(schema, "fold"), _name(schema, f"{language}_folded")]
    if has_stops:
        stops = _name(schema, f"{language}_stops")
        yield _create_dictionary(schema, f"{language}_stops", f"simple{listed}, ACCEPT = false")
        found = [stops, "simple"]
        yield _create_configuration(schema, f"{language}_stops", found, found)
        folding = folding if language == "fr" else [stops, *folding]
    yield _create_configuration(schema, language, [_name(schema, language)], folding)


def _create_dictionary(schema: str, name: str, template: str) -> str:
    options = f"TEMPLATE = pg_catalog.{template}"
    create = f"CREATE TEXT SEARCH DICTIONARY {_name(schema, name)} ({options})"
    return _unless(schema, "dict", name, create)


def _create_configuration(schema: str, name: str, ascii_words: list[str], words: list[str]) -> str:
    """A configuration with the dictionaries of words without and with letters beyond ASCII."""
    configuration = _name(schema, name)
    alter = f"ALTER TEXT SEARCH CONFIGURATION {configuration}"
    return _unless(
        schema,
        "cfg",
        name,
        f"CREATE TEXT SEARCH CONFIGURATION {configuration} (COPY = pg_catalog.simple)",
        f"{alter} DROP MAPPING FOR {UNREAD}",
        f"{alter} ALTER MAPPING FOR asciiword, hword_asciipart WITH {', '.join(ascii_words)}",
        f"{alter} ALTER MAPPING FOR word, hword_part WITH {', '.join(words)}",
    )


def _unless(schema: str, kind: Literal["dict", "cfg"], name: str, *statements: str) -> str:
    """A block that makes a dictionary or a configuration where there is none."""
    catalog = {"dict": "pg_ts_dict", "cfg": "pg_ts_config"}[kind]
    found = (
        f"SELECT FROM pg_catalog.{catalog} WHERE {kind}name = {quote_text(_PREFIX + name)}"
        f" AND {kind}namespace = {quote_text(quote(schema))}::regnamespace"
    )
    return _block(f"IF NOT EXISTS ({found}) THEN {'; '.join(statements)}; END IF")


def _block(statements: str) -> str:
    return f"DO {quote_text(f'BEGIN {statements}; END')}"


def _name(schema: str, name: str) -> str:
    return quote(schema, _PREFIX + name)


def _create_function(name: str, schema: str, languages: list[str]) -> str:
    text = files("assise.schema").joinpath("search_functions", f"{name}.sql").read_text()
    values = _fill(schema, languages)
    head, body, _ = (
        re.sub(r"\{(\w+)\}", lambda found: values[found[1]], part) for part in text.split("$$")
    )
    return f"{head}{quote_text(body)}"


def _fill(schema: str, languages: list[str]) -> dict[str, str]:
    """What stands in braces in the files of the functions."""
    spaced = "body"
    for mark in "-_/:@":
        spaced = f"replace({spaced}, '{mark}', ' ')"
    stops = [each for each in languages if each in LANGUAGES and LANGUAGES[each].has_stops]
    return {
        "schema": quote(schema),
        "fold": f"{quote_text(_name(schema, 'fold'))}::regdictionary",
        "code": f"{quote_text(_name(schema, CODE))}::regconfig",
        "spaced": spaced,
        "typographic_marks": quote_text(MARKS),
        "plain_marks": quote_text(PLAIN),
        "counts": _cases(
            "tsvector", {each: _vector(schema, f"{each}_stops", "head") for each in stops}
        ),
        "readings": _cases("tsvector", {each: _read(schema, each) for each in languages}),
        "configurations": _cases(
            "regconfig", {each: _configuration(schema, each) for each in languages}
        ),
        **{name: quote_text(pattern) for name, pattern in PATTERNS.items()},
    }


def _cases(kind: str, found: dict[str, str]) -> str:
    """The branches of a CASE over languages, whose values are of this type."""
    cases = (f"WHEN {quote_text(each)} THEN {value}" for each, value in found.items())
    return "\n            ".join([f"WHEN NULL THEN NULL::{kind}", *cases])


def _read(schema: str, language: str) -> str:
    """The expression that reads `body` in a language."""
    if language == "fr":
        text = "lower(body)"
        for spelling, other in FRENCH_SPELLINGS.items():
            text = f"replace({text}, {quote_text(spelling)}, {quote_text(other)})"
        stops = ", ".join(map(quote_text, FRENCH_STOPS))
        return f"ts_delete({_vector(schema, 'fr', text)}, ARRAY[{stops}])"
    if language in LANGUAGES:
        return _vector(schema, language, "body")
    if language == CODE:
        return f"{quote(schema)}._search_code(body)"
    return f"to_tsvector({_configuration(schema, language)}, body)"


def _vector(schema: str, configuration: str, text: str) -> str:
    return f"to_tsvector({quote_text(_name(schema, configuration))}::regconfig, {text})"


def _configuration(schema: str, language: str) -> str:
    """The configuration that reads the words of a language."""
    name = language if "." in language else quote("pg_catalog", language)
    if language == CODE or language in LANGUAGES:
        name = _name(schema, language)
    return f"{quote_text(name)}::regconfig"
