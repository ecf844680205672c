"""An embedder that needs no model: a text is the sum of a random vector for each of its words."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache

from assise.project import Project
from assise.search.meaning.build import PassageBuilder, Using
from assise.search.meaning.embedder import EmbeddingModel, Purpose, Vector, normalize
from assise.search.meaning.keep import open_builder
from assise.search.meaning.verbs import Embedders

DIMENSIONS = 24


@contextmanager
def open_words(
    project: Project, embedder: WordEmbedder, others: Mapping[str, WordEmbedder] = {}
) -> Iterator[PassageBuilder]:
    """What embeds a load by words."""
    with project.search.open_tables() as (connection, tables):
        plain = open_builder(connection, tables, Embedders(project.path.parent))
        yield PassageBuilder(
            connection, plain.tables, Using(embedder, '{"embedder": "local"}'), others
        )


@lru_cache(maxsize=10_000)
def draw_word(word: str) -> tuple[float, ...]:
    """The vector of a word."""
    chance = random.Random(word)
    return tuple(chance.gauss(0, 1) for _ in range(DIMENSIONS))


class WordEmbedder:
    """Counts how many texts it has embedded, and may fail at one of them."""

    def __init__(self, build: str = "1") -> None:
        self.model = EmbeddingModel("words", build, DIMENSIONS, 512)
        self.texts = list[str]()
        self.fails_after = 10**9

    def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """The vectors of texts.

        Raises:
            ConnectionError: as many texts were embedded as may be.
        """
        del purpose
        if len(self.texts) + len(texts) > self.fails_after:
            raise ConnectionError("the server is gone")
        self.texts += texts
        return [embed_text(text) for text in texts]

    def close(self) -> None:
        """End nothing."""


@lru_cache(maxsize=100_000)
def embed_text(text: str) -> Vector:
    """The vector of a text."""
    words = [draw_word(word) for word in text.split()] or [draw_word("")]
    return normalize([sum(values) for values in zip(*words, strict=True)])
