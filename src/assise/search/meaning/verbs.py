"""What an application and an operator do with meaning: embed, and turn questions into vectors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.embedding import MEANING, Meaning
from assise.postgres.asking import Asking
from assise.schema.search.meaning import MODEL
from assise.schema.sql import quote
from assise.search.meaning.choose import open_embedder, read_embedder
from assise.search.meaning.embedder import Embedder, write_vector
from assise.search.meaning.passages import compose
from assise.search.query import Embedding, Request

NO_VECTOR = "the server has no pgvector, or nothing is embedded yet"


@dataclass
class Embedders:
    """The embedders of a manifest in `folder`, each opened once: the one it asks for, and others
    whose vectors queries still read.
    """

    folder: Path
    _opened: dict[str, Embedder] = field(default_factory=dict)
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

    def embed_query(self, manifest: Manifest, model: tuple[str, str], text: str) -> Embedding:
        """The vector of a query, by the model whose vectors queries read.

        Raises:
            EmbedderError: the model cannot be run. UsageError: it is none of the manifest's.
        """
        name, described = model
        own = MEANING.of(manifest) or Meaning()
        embedder = self.open(own)
        if embedder.model.full_name != name:
            embedder = self.open(read_embedder(described))
        if embedder.model.full_name != name:
            raise UsageError(
                f"rows are embedded by {name}, which is not installed here",
                remedy="`assise search embed` embeds them anew; or install that version.",
            )
        (vector,) = embedder.embed([compose([text])], "query")
        return Embedding(name, write_vector(vector))


def find_model(schema: str | None) -> Asking[tuple[str, str] | None]:
    """The model whose vectors queries read, and its configuration; None where there is none."""
    name = quote(schema, MODEL) if schema else quote(MODEL)
    (found,) = yield "SELECT to_regproc(%(name)s) IS NOT NULL AS is_there", {"name": name}
    if not found["is_there"]:
        return None
    rows = yield f"SELECT name, embedder::text AS embedder FROM {name}()", {}  # noqa: S608
    return (str(rows[0]["name"]), str(rows[0]["embedder"])) if rows else None


def needs_vector(request: Request) -> bool:
    """Whether a request is to be embedded before it is asked."""
    return request.method != "keyword" and request.vector is None and bool(request.text.strip())


def without_vector(request: Request) -> Request:
    """The same request where nothing is embedded: by words, where these were asked for too.

    Raises:
        UsageError: it asks for meaning alone.
    """
    if request.method == "semantic":
        raise UsageError(
            f"rows cannot be searched by meaning: {NO_VECTOR}",
            remedy="`assise search embed` embeds them, on a server with pgvector.",
        )
    return replace(request, method="keyword")
