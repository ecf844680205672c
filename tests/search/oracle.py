"""Brute force: who sees what, and its score, from the documents and the formula of BM25.

Nothing is imported from `assise`. Texts are words with blanks between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log

Key = tuple[object, ...]
K1, B = 1.2, 0.75


@dataclass(frozen=True)
class Statistics:
    """How many rows there are, in how many each word is, and how long they are on average."""

    n: int
    df: Mapping[str, int]
    average: float

    @classmethod
    def count(cls, rows: Iterable[Counter[str]]) -> Statistics:
        """Count all rows."""
        found = [*rows]
        df = Counter(word for row in found for word in row)
        total = sum(sum(row.values()) for row in found)
        return cls(len(found), df, total / len(found))

    def idf(self, word: str) -> float:
        """Robertson's weight, as Lucene has it: never negative."""
        df = self.df.get(word, 0)
        return log(1 + (self.n - df + 0.5) / (df + 0.5))

    def score(self, row: Mapping[str, float], query: Mapping[str, int]) -> float:
        """The score of a row, by how often each word is in it and in the query."""
        norm = K1 * (1 - B + B * sum(row.values()) / self.average)
        found = ((word, times) for word, times in query.items() if word in row)
        return sum(
            times * self.idf(word) * row[word] * (K1 + 1) / (row[word] + norm)
            for word, times in found
        )

    def possible(self, query: Mapping[str, int]) -> float:
        """What no score exceeds."""
        return sum(times * self.idf(word) * (K1 + 1) for word, times in query.items())


def count_words(texts: Mapping[str, str], weights: Mapping[str, int] | None = None) -> Counter[str]:
    """How often each word stands in the texts, by their weights."""
    counts = Counter[str]()
    for name, text in texts.items():
        weight = (weights or {}).get(name, 1)
        counts.update({word: n * weight for word, n in Counter(text.split()).items()})
    return counts


def rank(
    rows: Mapping[Key, Counter[str]],
    query: str,
    statistics: Statistics,
) -> list[tuple[Key, float]]:
    """All rows with a score, the best first; of equal ones the first by key."""
    words = Counter(query.split())
    found = [(key, statistics.score(row, words)) for key, row in rows.items()]
    hits = [(key, score) for key, score in found if score > 0]
    return sorted(hits, key=lambda hit: (-round(hit[1], 5), hit[0]))
