"""Citations of an answer: which were given, and which their source supports."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from assise.search.chat.contexts import SourceContext
from assise.search.chat.prompt import find_words
from assise.search.meaning.passages import cut

Compare = Callable[[Sequence[tuple[str, str]]], Awaitable[list[float]]]
"""How similar the texts of pairs are by meaning, each from 0 to 1."""

LIMIT = 0.45
"""The least similarity by which a source supports a sentence."""

MOST = 100
"""Citations of an answer that are compared by meaning: more are of no answer that is read."""

PIECE = 60
"""Tokens of a source that are compared with a sentence at once."""

_SENTENCE = re.compile(r"(?:[^.!?\n]|[.!?](?=\w))+[.!?]*(?:\s*\[\s*\d+(?:\s*,\s*\d+)*\s*\])*")
_NUMBERS = re.compile(r"\[\s*(\d{1,4}(?:\s*,\s*\d{1,4})*)\s*\]")


@dataclass(frozen=True)
class Citation:
    """A number in brackets behind a sentence of an answer.

    Args:
        is_given: whether the prompt had a source of this number.
        is_supported: whether that source has half of what the sentence says, by its rare words, or
            says alike by meaning.
    """

    number: int
    sentence: str
    is_given: bool
    is_supported: bool

    @property
    def is_right(self) -> bool:
        """Whether it was given and is supported."""
        return self.is_given and self.is_supported


def check_citations(
    response: str, contexts: Sequence[SourceContext], question: str = ""
) -> list[Citation]:
    """Check each citation of an answer.

    Rare words are those of four letters or more and numbers, without those of the question, and
    without those that all of several sources have.
    """
    sources = [find_words(f"{each.title} {each.text}") for each in contexts]
    common = set.intersection(*sources) if len(sources) > 1 else set[str]()
    asked = find_words(question)
    found = []
    for match in _SENTENCE.finditer(response):
        said = " ".join(_NUMBERS.sub("", match[0]).split())
        words = find_words(said)
        rare = (words - common - asked) or (words - common) or words
        for number in _find_numbers(match[0]):
            is_given = 1 <= number <= len(contexts)
            has = sources[number - 1] & rare if is_given else set[str]()
            is_supported = bool(rare) and 2 * len(has) >= len(rare)
            found.append(Citation(number, said, is_given, is_supported))
    return found


async def compare_citations(
    citations: Sequence[Citation], contexts: Sequence[SourceContext], compare: Compare
) -> list[Citation]:
    """The citations, of which those that words do not support may be supported by meaning."""
    doubtful = [each for each in citations if each.is_given and not each.is_supported][:MOST]
    pieces = {
        each: [piece.text for piece in cut(contexts[each.number - 1].text, PIECE)]
        for each in doubtful
        if each.sentence
    }
    pairs = [(each.sentence, piece) for each, texts in pieces.items() for piece in texts]
    if not pairs:
        return [*citations]
    found = iter(await compare(pairs))
    alike = {each: max([next(found) for _ in texts], default=0) for each, texts in pieces.items()}
    return [
        replace(each, is_supported=each.is_supported or alike.get(each, 0) >= LIMIT)
        for each in citations
    ]


def _find_numbers(sentence: str) -> list[int]:
    numbers = [int(each) for found in _NUMBERS.findall(sentence) for each in found.split(",")]
    return [*dict.fromkeys(numbers)]
