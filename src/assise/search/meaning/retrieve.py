"""Passages for a question, with the rights of whoever asks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assise.manifest.model import Manifest
from assise.manifest.sections.embedding import EMBED, Embed, find_shown
from assise.postgres.asking import Asking
from assise.postgres.pool import Record
from assise.schema.search.meaning import call_similar, select_children
from assise.schema.search.searched import select_hits
from assise.search.meaning.passages import Passage, compose, cut
from assise.search.query import Request, ask, check_tables
from assise.search.snippet import fold

CHILDREN = "_children"
"""The texts of rows that belong to a row, among its columns."""


@dataclass(frozen=True)
class FoundPassage:
    """A passage of a row: `text` stands in the row's text from `first` to before `last`.

    Args:
        source_type: the table.
        source_id: the row's key, a tuple where it has several columns.
        title: the row's title, empty where `search` names none.
        heading: the heading that it stands below.
        relevance_score: its row's score, 0 to 1, less for a passage that is not the row's best.
        similarity: calibrated, 0 for texts that have nothing in common and 1 for equal ones; None
            for a row that was found by words alone.
        cosine: of the passage and the question.
    """

    source_type: str
    source_id: object
    title: str
    heading: str | None
    text: str
    first: int
    last: int
    relevance_score: float
    similarity: float | None
    cosine: float | None


@dataclass(frozen=True)
class Retrieved:
    """Passages, the best first; `warning` says why they were found by words alone."""

    passages: list[FoundPassage]
    warning: str | None = None


@dataclass(frozen=True)
class _Told:
    """A passage as the database tells of it."""

    first: int
    last: int
    heading: str | None
    hash: str
    cosine: float


def retrieve(
    manifest: Manifest, request: Request, schema: str | None = None, *, per_row: int = 1
) -> Asking[Retrieved]:
    """The passages of the best rows, the best first; `request.vector` is that of its text.

    Texts are read with the rights of the session, as they are now: a passage that is no longer what
    was embedded is left out, and so is a row that the session does not see.

    Raises:
        UsageError: a table is not searched.
    """
    if request.is_empty:
        check_tables(manifest, request.types, request.method)
        return Retrieved([])
    hits = yield ask(manifest, request, schema)
    passages = yield from _read_passages(
        manifest, hits, schema, question=request.text, per_row=per_row
    )
    return Retrieved(passages, request.warning)


def find_similar(
    manifest: Manifest,
    table: str,
    key: object,
    *,
    types: Sequence[str] | None = None,
    limit: int = 10,
    similarity_threshold: float = 0,
    schema: str | None = None,
) -> Asking[list[FoundPassage]]:
    """The rows that are most like a row of `table`, with their passages that are nearest to it.

    Nothing is like a row that the session does not see, or that has no passages yet.

    Raises:
        UsageError: a table is not searched by meaning.
    """
    check_tables(manifest, [table, *(types or ())], "semantic")
    parameters = {
        "table": table,
        "id": json.dumps([*key] if isinstance(key, list | tuple) else [key], default=str),
        "tables": None if types is None else [*types],
        "limit": limit,
        "filters": "{}",
        "threshold": similarity_threshold,
    }
    hits = yield call_similar(schema), parameters
    passages = yield from _read_passages(manifest, hits, schema, question="", per_row=1)
    return passages


def _read_passages(
    manifest: Manifest, hits: Sequence[Record], schema: str | None, *, question: str, per_row: int
) -> Asking[list[FoundPassage]]:
    found: dict[int, list[FoundPassage]] = {}
    for table in dict.fromkeys(str(hit["table"]) for hit in hits):
        own = [hit for hit in hits if hit["table"] == table]
        keys = json.dumps([hit["key"] for hit in own])
        rows = yield select_hits(manifest, table, schema), {"keys": keys}
        embed = EMBED.of(manifest.tables[table])
        texts: dict[int, Sequence[object]] = {}
        if embed is not None and embed.children:
            joined = yield select_children(manifest, table, schema), {"keys": keys}
            texts = {int(row["_place"]): row["texts"] for row in joined}
        for row in rows:
            hit = own[int(row["_place"]) - 1]
            of_row = {**row, CHILDREN: texts.get(int(row["_place"]), ())}
            found[int(hit["place"])] = _list_passages(
                manifest, hit, of_row, question, per_row=per_row
            )
    passages = [each for place in sorted(found) for each in found[place]]
    return sorted(passages, key=lambda each: -each.relevance_score)


def _list_passages(
    manifest: Manifest, hit: Record, row: Record, question: str, *, per_row: int
) -> list[FoundPassage]:
    table = manifest.tables[str(hit["table"])]
    search, embed = find_shown(table), EMBED.of(table)
    names = embed.field if embed else search.columns
    text = compose([*(row.get(name) for name in names), *row[CHILDREN]])
    told = [_Told(*each) for each in hit.get("passages") or ()]
    whole = [(each, _read(text, each)) for each in told]
    kept = [(each, passage) for each, passage in whole if passage is not None][:per_row]
    key = [row[column] for column in table.primary_key]
    score = float(hit["score"])

    def make(passage: Passage, cosine: float | None, share: float) -> FoundPassage:
        return FoundPassage(
            source_type=str(hit["table"]),
            source_id=key[0] if len(key) == 1 else tuple(key),
            title=str(row.get(search.title or "") or ""),
            heading=passage.heading,
            text=passage.text,
            first=passage.first,
            last=passage.last,
            relevance_score=round(score * share, 4),
            similarity=hit.get("similarity"),
            cosine=cosine,
        )

    if kept:
        best = kept[0][0].cosine
        return [
            make(passage, each.cosine, each.cosine / best if best > 0 else 1)
            for each, passage in kept
        ]
    if told:
        return []
    size = (embed or Embed()).tokens
    return [make(each, None, 1) for each in _choose(cut(text, size), question)[:per_row]]


def _read(text: str, told: _Told) -> Passage | None:
    """A passage, if the text still has it where it was."""
    passage = Passage(told.first, told.last, told.heading, text[told.first : told.last])
    return passage if passage.hash.hex() == told.hash else None


def _choose(passages: Sequence[Passage], question: str) -> list[Passage]:
    """Passages of a row that was found by words, those with most words of the question first."""
    words = {word for word in fold(question).split() if len(word) > 2}
    counts: Mapping[int, int] = {
        n: sum(word in fold(each.text) for word in words) for n, each in enumerate(passages)
    }
    return [passages[n] for n in sorted(counts, key=lambda n: (-counts[n], n))]
