"""Search: which columns of a table are searched, in which languages, and what each counts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import field_validator

from assise.manifest.keys import Key, Keyed, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.columns import list_columns
from assise.manifest.sections.deletion import is_keep
from assise.wording import nearest, show

_TEXTS = frozenset({"text", "citext", "text[]"})
"""Types whose values are searched; of a varchar too."""

MAX_COLUMNS = 4
"""Columns that a table may search: a tsvector tells four kinds of positions apart."""

MAX_WEIGHT = 100
_OURS = frozenset("part generation number first vector weights score next g before".split())
"""Names of columns and variables of the index, which has the key of the table beside them."""
DEFAULT_LANGUAGES = ("fr", "en")
_LANGUAGE = re.compile("[a-z][a-z_]{0,62}")


class LanguageColumn(Keyed):
    """The column that says the language of each row, and those that it may say."""

    column: str
    of: tuple[str, ...] = DEFAULT_LANGUAGES


class Search(Keyed):
    """The columns that are searched, the languages of their text, and their weights.

    exact: columns whose words are neither suggested nor what a typing error is corrected to.
    statistics: of which rows words are counted: those of the table, or those that the user sees.
    synonyms: the file of words that are looked for where others are typed.
    boost: a column of moments, and after which time it counts half.
    """

    title: str | None = None
    body: tuple[str, ...] = ()
    language: tuple[str, ...] | LanguageColumn = DEFAULT_LANGUAGES
    weights: Mapping[str, float] = {}
    exact: tuple[str, ...] = ()
    statistics: Literal["table", "tenant"] = "table"
    synonyms: str | None = None
    boost: Mapping[str, str] = {}

    @field_validator("body", "language", "exact", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @property
    def columns(self) -> tuple[str, ...]:
        """The searched columns, the title first."""
        return (*([self.title] if self.title else []), *self.body)

    @property
    def languages(self) -> tuple[str, ...]:
        """All languages that text of the table may be in."""
        return self.language.of if isinstance(self.language, LanguageColumn) else self.language

    @property
    def language_column(self) -> str | None:
        """The column that says the language of a row."""
        return self.language.column if isinstance(self.language, LanguageColumn) else None


def _check_search(place: Place, search: Search, tables: Tables) -> Iterator[Problem]:
    types = list_columns(place[1], tables)
    if not search.columns:
        yield Problem(place, "names no column", remedy="Give title, body, or both.")
    if len(search.columns) > MAX_COLUMNS:
        remedy = "Leave columns out, or join them in a generated column."
        yield Problem(place, f"searches {len(search.columns)} columns, over 4", remedy=remedy)
    places = [
        (*place, "title") if name == search.title else (*place, "body") for name in search.columns
    ]
    yield from check_texts(search.columns, places, types, act="searched")
    yield from _check_languages(place, search, types)
    for name in search.exact:
        if name not in search.columns:
            remedy = nearest(name, search.columns)
            yield Problem((*place, "exact"), "is not searched", show(name), remedy)
    for name, weight in search.weights.items():
        at = (*place, "weights", name)
        if name not in search.columns:
            yield Problem(at, "is not searched", show(name), nearest(name, search.columns))
        elif not 0 < weight <= MAX_WEIGHT:
            yield Problem(at, "is no weight", str(weight), f"Write 0.1 to {MAX_WEIGHT}.")
    for name in tables[str(place[1])].primary_key:
        if name in _OURS:
            remedy = "Give the column another name; `from` names the field."
            yield Problem(place, "keeps a column of this name beside the key", show(name), remedy)
    yield from _check_ranking(place, search, types)


def check_texts(
    names: Sequence[str], places: Sequence[Place], types: Mapping[str, str], *, act: str
) -> Iterator[Problem]:
    """Check that columns are named once, are there, and hold text; each has its place."""
    for i, (name, at) in enumerate(zip(names, places, strict=True)):
        if name in names[:i]:
            yield Problem(at, f"is {act} twice", show(name), "Name it once.")
        elif name not in types:
            message = f"is not a column of {show(at[1])}"
            yield Problem(at, message, show(name), nearest(name, types))
        elif types[name] not in _TEXTS and not types[name].startswith("varchar"):
            message = f"is of type {types[name]}, which holds no text"
            yield Problem(at, message, show(name), "Name columns of type text.")


def _check_ranking(place: Place, search: Search, types: Mapping[str, str]) -> Iterator[Problem]:
    """Check what moves hits: the file of synonyms, and the column of moments."""
    file = search.synonyms
    if file is not None and (file.startswith("/") or ".." in file.split("/") or "\0" in file):
        remedy = "Give a path below the manifest's folder, such as synonyms.txt."
        yield Problem((*place, "synonyms"), "is not a file of the project", show(file), remedy)
    if len(search.boost) > 1:
        yield Problem((*place, "boost"), "has several columns", remedy="Name one.")
    for name, half in search.boost.items():
        at = (*place, "boost", name)
        if name not in types:
            yield Problem(at, "is not a column", show(name), nearest(name, types))
        elif types[name] != "date" and not types[name].startswith("timestamptz"):
            remedy = "Name a column of type timestamptz or date."
            yield Problem(at, f"is of type {types[name]}, which is no moment", show(name), remedy)
        if not is_keep(half):
            remedy = "Write a number and hours, days, weeks, months or years: 30 days."
            yield Problem(at, "is no time", show(half), remedy)


def _check_languages(place: Place, search: Search, types: Mapping[str, str]) -> Iterator[Problem]:
    at, column = (*place, "language"), search.language_column
    if column is not None and column not in types:
        yield Problem((*at, "column"), "is not a column", show(column), nearest(column, types))
    elif column is not None and types[column] != "text":
        remedy = "Give the column the type text."
        yield Problem((*at, "column"), "holds no language", show(column), remedy)
    if not search.languages:
        yield Problem(at, "is empty", remedy="Write fr, en, or both: [fr, en].")
    for name in search.languages:
        if not _LANGUAGE.fullmatch(name):
            remedy = "Write fr, en, code, or the name of a text search configuration."
            yield Problem(at, "is no language", show(name), remedy)


SEARCH = Key(
    "search",
    "table",
    help="the columns that are searched: title and body; their language: fr, en, both,"
    " code, or {column: NAME}; weights of columns; exact: those whose words are neither"
    " suggested nor corrected to; statistics: tenant counts words in the rows that the user sees;"
    " synonyms: a file of them; boost: {COLUMN: 30 days} raises hits of late",
    affects="schema",
    type=Search,
    check=_check_search,
    schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "title": {"type": "string"},
            "body": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "language": {
                "anyOf": [
                    {"type": "string"},
                    {"type": "array", "items": {"type": "string"}},
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["column"],
                        "properties": {
                            "column": {"type": "string"},
                            "of": {"type": "array", "items": {"type": "string"}},
                        },
                    },
                ]
            },
            "exact": {
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
            },
            "weights": {
                "type": "object",
                "description": "what columns count, such as {title: 3}",
                "additionalProperties": {"type": "number"},
            },
            "statistics": {"enum": ["table", "tenant"]},
            "synonyms": {"type": "string"},
            "boost": {
                "type": "object",
                "description": "a column of moments, and the time after which it counts half,"
                " such as {updated_at: 30 days}",
                "additionalProperties": {"type": "string"},
            },
        },
    },
    written=lambda _place, search, _tables: search.model_dump(mode="json", exclude_unset=True),
    default="the table is not searched",
)
KEYS = (SEARCH,)
