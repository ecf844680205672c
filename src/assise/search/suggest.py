"""Suggestions as people type: earlier queries, words, and titles, of rows that they see."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from assise.manifest.model import Manifest
from assise.manifest.sections.search import SEARCH
from assise.postgres.asking import Asking
from assise.schema.search.searched import call_suggest, select_hits
from assise.search.query import check_tables
from assise.search.snippet import fold

SuggestionKind = Literal["query", "word", "title"]
TITLES = 3
"""Titles that are suggested at most."""


@dataclass(frozen=True)
class Suggestion:
    """A text that what was typed may become.

    type: `query`, which was asked before by this user, or by two of its tenant; `word`, whose last
        word is begun and stands in a row that the user sees; or `title` of such a row.
    """

    text: str
    type: SuggestionKind


def suggest(
    manifest: Manifest,
    text: str,
    *,
    types: Sequence[str] | None = None,
    limit: int = 10,
    schema: str | None = None,
) -> Asking[list[Suggestion]]:
    """What a text that is being typed may become, at most `limit`: the best of each kind first.

    Raises:
        UsageError: a table is not searched.
    """
    check_tables(manifest, types)
    values: dict[str, object] = {
        "q": text.replace("\0", " "),
        "tables": types and [*types],
        "limit": limit,
    }
    rows = yield call_suggest(schema), values
    found: dict[str, Suggestion] = {}
    for row in rows:
        found.setdefault(str(row["text"]), Suggestion(str(row["text"]), _kind(row["kind"])))
    begun = fold(text).split()[-1:]
    titles: list[Suggestion] = []
    for table in dict.fromkeys(str(row["table"]) for row in rows if row["kind"] == "word"):
        title = (search := SEARCH.of(manifest.tables[table])) and search.title
        keys = [row["key"] for row in rows if row["table"] == table]
        if title:
            records = yield select_hits(manifest, table, schema), {"keys": json.dumps(keys)}
            titles += _list_titles((record.get(title) for record in records), begun[0])
    titles = [*dict.fromkeys(titles)][: min(TITLES, max(limit // 3, 1))]
    others = [*found.values()][: max(limit - len(titles), 0)]
    return [*others, *titles][:limit]


def _list_titles(titles: Iterable[object], begun: str) -> Iterable[Suggestion]:
    """The titles with a word that begins so."""
    for title in filter(None, map(str, titles)):
        words = fold(title).replace("-", " ").replace("'", " ").replace("’", " ").split()
        if any(word.startswith(begun) for word in words):
            yield Suggestion(title, "title")


def _kind(text: object) -> SuggestionKind:
    return next(each for each in get_args(SuggestionKind) if each == text)
