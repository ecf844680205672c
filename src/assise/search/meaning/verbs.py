"""What an application and an operator do with meaning: embed, and turn questions into vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import fsum
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import NamedTuple

from assise.errors import AssiseError, EmbedderError, UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.embedding import MEANING, Embed, Meaning
from assise.manifest.sections.search import SEARCH
from assise.postgres.asking import Asking
from assise.schema.search.meaning import MODEL, SPEND
from assise.schema.sql import quote_table
from assise.search.meaning.choose import find_daily_tokens, open_embedder, read_embedder
from assise.search.meaning.embedder import Embedder, multiply, normalize, write_vector
from assise.search.meaning.passages import compose, count_tokens, cut
from assise.search.query import Embedding, Request, check_tables

NO_VECTOR = "the server has no pgvector, or nothing is embedded yet"

DOWN_S = 10.0
"""So long an embedder that has failed is not asked for the vectors of other queries."""


class ActiveModel(NamedTuple):
    """The model whose vectors queries read: its full name, and its configuration as JSON.

    `passage_middle` is the cosine of two texts that have nothing in common.
    """

    name: str
    described: str
    passage_middle: float


@dataclass
class Embedders:
    """The embedders of a manifest in `folder`, each opened once: the one it asks for, and others
    whose vectors queries still read.
    """

    folder: Path
    _opened: dict[str, Embedder] = field(default_factory=dict)
    _failed: dict[str, tuple[float, EmbedderError]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def open(self, meaning: Meaning) -> Embedder:
        """The embedder of a part of a manifest."""
        with self._lock:
            key = repr(meaning)
            if key not in self._opened:
                self._opened[key] = open_embedder(meaning, self.folder)
            return self._opened[key]

    def close(self) -> None:
        """End what embedders have started."""
        with self._lock:
            for embedder in self._opened.values():
                embedder.close()
            self._opened.clear()

    def spend(
        self, manifest: Manifest, model: ActiveModel, texts: Sequence[str]
    ) -> Callable[[str | None], Asking[None]] | None:
        """What notes that texts are sent, of which the manifest says how many tokens may be in a day;
        None where it does not. It is asked with the schema, in a transaction that ends before they are.

        Raises:
            EmbedderError: the model has failed just now, or cannot be run. UsageError: it is none
            of the manifest's.
        """
        self._check(model.name)
        most = find_daily_tokens(self.find(manifest, model))
        if most is None:
            return None
        tokens = sum(map(count_tokens, texts))
        return partial(spend_tokens, model=model.name, tokens=tokens, most=most)

    def _check(self, name: str) -> None:
        until, failed = self._failed.get(name, (0.0, None))
        if failed is not None and monotonic() < until:
            raise EmbedderError(failed.message, remedy=failed.remedy) from failed

    def embed_query(self, manifest: Manifest, model: ActiveModel, text: str) -> Embedding:
        """The vector of a query, by the model whose vectors queries read.

        A model that has failed is not asked again for some seconds: nobody waits for it meanwhile.

        Raises:
            EmbedderError: the model cannot be run. UsageError: it is none of the manifest's.
        """
        self._check(model.name)
        try:
            (vector,) = self.find(manifest, model).embed([compose([text])], "query")
        except EmbedderError as error:
            self._failed[model.name] = monotonic() + DOWN_S, error
            raise
        return Embedding(model.name, write_vector(vector))

    def embed_texts(
        self, manifest: Manifest, model: ActiveModel, texts: Sequence[str]
    ) -> list[list[float]]:
        """The vector of each text; that of a long one is the mean of those of its passages.

        Raises:
            EmbedderError: the model cannot be run. UsageError: it is none of the manifest's.
        """
        embedder, found = self.find(manifest, model), list[list[float]]()
        for text in texts:
            pieces = [each.text for each in cut(compose([text]), Embed().tokens)] or [""]
            vectors = embedder.embed(pieces, "passage")
            found.append([*normalize(map(fsum, zip(*vectors, strict=True)))])
        return found

    def compare(
        self, manifest: Manifest, model: ActiveModel, pairs: Sequence[tuple[str, str]]
    ) -> list[float]:
        """How similar the texts of pairs are, on the model's scale: 0 for nothing in common.

        Raises:
            EmbedderError: the model cannot be run. UsageError: it is none of the manifest's.
        """
        texts = [*dict.fromkeys(text for pair in pairs for text in pair)]
        vectors = self.find(manifest, model).embed(texts, "passage")
        of = dict(zip(texts, vectors, strict=True))
        middle = model.passage_middle
        cosines = (multiply(of[one], of[other]) for one, other in pairs)
        return [max((cosine - middle) / (1 - middle), 0.0) for cosine in cosines]

    def find(self, manifest: Manifest, model: ActiveModel) -> Embedder:
        """The embedder of a model: that of the manifest, or one that it had before.

        Raises:
            EmbedderError: it cannot be run. UsageError: it is none of the manifest's.
        """
        name = model.name
        own = MEANING.of(manifest) or Meaning()
        embedder = self.open(own)
        if embedder.model.full_name != name:
            embedder = self.open(read_embedder(model.described))
        if embedder.model.full_name != name:
            raise UsageError(
                f"rows are embedded by {name}, which is not installed here",
                remedy="`assise search embed` embeds them anew; or install that version.",
            )
        return embedder


def find_model(schema: str | None) -> Asking[ActiveModel | None]:
    """The model whose vectors queries read; None where there is none."""
    name = quote_table(schema, MODEL)
    (found,) = yield "SELECT to_regproc(%(name)s) IS NOT NULL AS is_there", {"name": name}
    if not found["is_there"]:
        return None
    rows = yield f"SELECT name, embedder::text, passage_middle FROM {name}()", {}  # noqa: S608
    if not rows:
        return None
    row = rows[0]
    return ActiveModel(str(row["name"]), str(row["embedder"]), float(row["passage_middle"]))


def spend_tokens(schema: str | None, *, model: str, tokens: int, most: int) -> Asking[None]:
    """Note that so many tokens are sent to a model today, of `most` in all.

    Raises:
        EmbedderError: these would be too many.
    """
    name = quote_table(schema, SPEND)
    values = {"model": model, "tokens": tokens, "most": most}
    (kept,) = yield f"SELECT {name}(%(model)s, %(tokens)s, %(most)s) AS is_kept", values
    if not kept["is_kept"]:
        raise EmbedderError(
            f"the {most:,} tokens that {model} may be sent in a day are spent",
            remedy="Search by words until tomorrow (UTC), or allow more tokens_a_day in the manifest.",
        )


def needs_vector(request: Request) -> bool:
    """Whether a request is to be embedded before it is asked."""
    return request.method != "keyword" and request.vector is None and bool(request.text.strip())


def without_vector(
    manifest: Manifest, request: Request, *, error: AssiseError | None = None
) -> Request:
    """The same request by words alone, in those of its tables that are searched by words.

    `error` is why it has no vector; None where the server has none.

    Raises:
        UsageError: a table is not searched. AssiseError: it asks for meaning alone, or none of its
        tables is searched by words.
    """
    check_tables(manifest, request.types, request.method)
    by_word = [name for name, table in manifest.tables.items() if SEARCH.of(table) is not None]
    types = (
        request.types if request.types is None else [*filter(by_word.__contains__, request.types)]
    )
    if request.method == "semantic" or not (by_word if types is None else types):
        raise error or UsageError(
            f"rows cannot be searched by meaning: {NO_VECTOR}",
            remedy="`assise search embed` embeds them, on a server with pgvector.",
        )
    why = NO_VECTOR if error is None else error.message
    warning = f"searched by words alone: {why}"
    return replace(request, method="keyword", types=types, warning=warning)
