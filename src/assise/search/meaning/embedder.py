"""The seam of embedders: texts in, vectors out; and which one a manifest asks for."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal, Protocol, TypeAlias

Purpose = Literal["query", "passage"]
"""What a text is for: models put different words in front of the two."""

Vector: TypeAlias = "array[float]"
"""The float32 components of a vector of length 1."""


@dataclass(frozen=True)
class EmbeddingModel:
    """A model and its build, which together have vectors of their own.

    Args:
        name: as its maker calls it.
        build: what computes it: other builds give other last bits, and so other vectors.
        dimensions: of its vectors.
        tokens: of a text that it reads at most; what is longer is cut or read in windows.
        weight: of its vectors in a hybrid search, from 0 to 1.
    """

    name: str
    build: str
    dimensions: int
    tokens: int
    weight: float = 0.5

    @property
    def full_name(self) -> str:
        """Name and build."""
        return f"{self.name}@{self.build}"


class Embedder(Protocol):
    """What turns texts into vectors; several threads may share one."""

    @property
    def model(self) -> EmbeddingModel:
        """The model that it runs."""

    def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """The vector of each text, of length 1.

        Raises:
            EmbedderError: the model cannot be run or reached.
        """

    def close(self) -> None:
        """End what it has started."""


@dataclass(frozen=True)
class Scale:
    """Cosines of a model: of what has nothing in common, and of a query and the same text."""

    query_middle: float
    query_top: float
    passage_middle: float


UNRELATED = (
    "La facture du mois de mars n'est pas encore payée.",
    "How do I rotate an API key without downtime?",
    "Le train pour Lyon part à huit heures du quai numéro deux.",
    "Mix the flour with two eggs and a pinch of salt.",
    "Les cellules du foie se divisent plus vite après une lésion.",
    "The database index was rebuilt during the night.",
    "Un contrat de location doit mentionner la surface habitable.",
    "She scored twice in the second half of the match.",
    "La vitesse du son dépend de la température de l'air.",
    "Users can reset their password from the settings page.",
    "Le jardin public ferme plus tôt en hiver.",
    "The painting was restored with pigments of the same period.",
    "Nos clients demandent une application mobile en français.",
    "Rainfall in the region has doubled since the last decade.",
    "Le chat dort sur le canapé depuis ce matin.",
    "Shares of the company fell after the quarterly report.",
)
"""Texts in two languages that have nothing in common."""


def measure_scale(embedder: Embedder) -> Scale:
    """Measure which cosines a model gives to texts that have nothing in common, and to equal ones."""
    queries, passages = (embedder.embed(UNRELATED, each) for each in ("query", "passage"))
    pairs = [(i, j) for i in range(len(UNRELATED)) for j in range(i)]
    return Scale(
        query_middle=median(multiply(queries[i], passages[j]) for i, j in pairs),
        query_top=fmean(map(multiply, queries, passages)),
        passage_middle=median(multiply(passages[i], passages[j]) for i, j in pairs),
    )


def multiply(one: Iterable[float], other: Iterable[float]) -> float:
    """The inner product of two vectors."""
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def normalize(values: Iterable[float]) -> Vector:
    """A vector of length 1 in the same direction; zeros stay."""
    found = array("f", values)
    length = math.sqrt(multiply(found, found))
    return array("f", (value / length for value in found)) if length else found


def write_vector(vector: Iterable[float]) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(f'{value:.7g}' for value in vector)}]"
