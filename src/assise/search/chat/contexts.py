"""The contexts of a question: passages that were found, merged, without near-duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from assise.search.meaning.retrieve import FoundPassage
from assise.search.snippet import fold

LIMIT = 5
"""Contexts of a question, where nothing else is asked for."""

PER_ROW = 3
"""Passages of one row that are looked at."""

_SAME = 0.8
_GAP = 2


@dataclass(frozen=True)
class SourceContext:
    """A text that a question can be answered from, and the row that it stands in.

    Args:
        source_type: the table.
        source_id: the row's key, a tuple where it has several columns.
        relevance_score: 0 to 1, relative to the best one.
    """

    text: str
    source_type: str
    source_id: object
    relevance_score: float
    title: str = ""


@dataclass(frozen=True)
class Contexts:
    """The contexts of a question, the best first, and how long it took to find them.

    `warning` says why they were found by words alone, where rows are embedded.
    """

    contexts: list[SourceContext]
    total_contexts: int
    retrieval_time_ms: float
    warning: str | None = None


class Counter(Protocol):
    """How many tokens a text has for a model."""

    def __call__(self, text: str, /) -> int:
        """Count them."""


def choose_contexts(passages: Iterable[FoundPassage], limit: int = LIMIT) -> list[SourceContext]:
    """The best contexts: neighbours of one row become one text, near-duplicates are left out."""
    chosen: list[SourceContext] = []
    seen: list[frozenset[str]] = []
    for passage in _merge(passages):
        shape = _shape(passage.text)
        if not shape or any(_is_same(shape, other) for other in seen):
            continue
        seen.append(shape)
        chosen.append(
            SourceContext(
                passage.text,
                passage.source_type,
                passage.source_id,
                passage.relevance_score,
                passage.title,
            )
        )
        if len(chosen) == limit:
            break
    return chosen


def _merge(passages: Iterable[FoundPassage]) -> Sequence[FoundPassage]:
    """Passages, of which those that touch each other in a row are one, in order of score."""
    merged: list[FoundPassage] = []
    for each in sorted(
        passages, key=lambda each: (each.source_type, str(each.source_id), each.first)
    ):
        last = merged[-1] if merged else None
        if last is None or not _touches(last, each):
            merged.append(each)
        elif each.last > last.last:
            blank = "\n" * max(each.first - last.last, 1)
            rest = each.text[max(last.last - each.first, 0) :]
            text = f"{last.text}{blank if each.first > last.last else ''}{rest}"
            score = max(last.relevance_score, each.relevance_score)
            merged[-1] = replace(last, text=text, last=each.last, relevance_score=score)
    return sorted(merged, key=lambda each: -each.relevance_score)


def _touches(one: FoundPassage, other: FoundPassage) -> bool:
    is_of_row = (one.source_type, one.source_id) == (other.source_type, other.source_id)
    return is_of_row and other.first - one.last <= _GAP


def _shape(text: str) -> frozenset[str]:
    """The triples of words of a text, by which near-duplicates are told."""
    words = "".join(each if each.isalnum() else " " for each in fold(text)).split()
    return frozenset(" ".join(words[n : n + 3]) for n in range(max(len(words) - 2, 1))) - {""}


def _is_same(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether four fifths of the triples of one text, or of the other, are in both."""
    return len(one & other) >= _SAME * min(len(one), len(other))
