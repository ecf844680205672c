"""Citations of an answer: which were given, and which their source supports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assise.search.chat.contexts import SourceContext
from assise.search.chat.prompt import find_words

_SENTENCE = re.compile(r"(?:[^.!?\n]|[.!?](?=\w))+[.!?]*(?:\s*\[\s*\d+(?:\s*,\s*\d+)*\s*\])*")
_NUMBERS = re.compile(r"\[\s*(\d{1,4}(?:\s*,\s*\d{1,4})*)\s*\]")


@dataclass(frozen=True)
class Citation:
    """A number in brackets behind a sentence of an answer.

    Args:
        is_given: whether the prompt had a source of this number.
        is_supported: whether that source has half of what the sentence says, by its rare words.
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


def _find_numbers(sentence: str) -> list[int]:
    numbers = [int(each) for found in _NUMBERS.findall(sentence) for each in found.split(",")]
    return [*dict.fromkeys(numbers)]
