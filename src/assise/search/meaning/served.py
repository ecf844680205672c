"""The embedder `openai`: any server that speaks OpenAI's protocol, through the package openai."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from assise import extras
from assise.errors import EmbedderError
from assise.manifest.sections.embedding import ServerModel
from assise.search.meaning.embedder import EmbeddingModel, Purpose, Vector, normalize
from assise.search.meaning.passages import count_tokens

MODELS = {
    "text-embedding-ada-002": (1536, 0.10),
    "text-embedding-3-small": (1536, 0.02),
    "text-embedding-3-large": (3072, 0.13),
}
"""Dimensions of known models, and their price in dollars for a million tokens."""

TOKENS = 8_191
"""Of one text; what is longer is cut in halves until the server takes it."""

BATCH_TOKENS, BATCH_TEXTS = 100_000, 512
"""Of one call, well below what servers take."""

QUERY_TIMEOUT_S = 10.0
"""Of a query, for which somebody waits: it is asked once, whenever the server wants the next call."""

TRIES = 5
"""Calls of one batch: the client waits longer before each, or as long as the server says."""


@dataclass
class ServedEmbedder:
    """A model of a server; `key` is the one that it asks for, empty for none."""

    server: ServerModel
    key: str = ""
    timeout_s: float = 60.0

    @cached_property
    def model(self) -> EmbeddingModel:
        """The model; its build is the server.

        Raises:
            EmbedderError: nobody says how many dimensions it has.
        """
        name = self.server.model
        known, _ = MODELS.get(name, (None, None))
        dimensions = self.server.dimensions or known
        if dimensions is None:
            raise EmbedderError(
                f"the dimensions of {name} are not known",
                remedy="Write them into the manifest: embedder: {openai: {dimensions: …}}.",
            )
        return EmbeddingModel(name, f"{self._host}/{dimensions}", dimensions, TOKENS)

    def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        """The vector of each text, of length 1.

        Raises:
            EmbedderError: the server does not answer, refuses, or gives other vectors.
        """
        return [vector for batch in _batch(texts) for vector in self._ask(batch, purpose)]

    def close(self) -> None:
        """Close the client's connections."""
        client = vars(self).pop("_client", None)
        if client is not None:
            client.close()

    @property
    def price(self) -> float | None:
        """Dollars for a million tokens, where that is known."""
        return MODELS.get(self.server.model, (0, None))[1]

    @property
    def _host(self) -> str:
        """The server without what signs in there."""
        return urlsplit(self.server.base_url).netloc.rpartition("@")[2]

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401
        module = extras.load("openai", extra="openai")
        return module.OpenAI(
            base_url=self.server.base_url,
            api_key=self.key or "none",
            max_retries=TRIES - 1,
            timeout=self.timeout_s,
            # Texts go where the manifest says, and nowhere else.
            http_client=module.DefaultHttpxClient(follow_redirects=False),
        )

    def _ask(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        client, wanted = self._client, self.server
        options: dict[str, object] = {}
        if wanted.model.startswith("text-embedding-3") and wanted.dimensions:
            options["dimensions"] = wanted.dimensions
        if wanted.has_purposes:
            options["extra_body"] = {"input_type": purpose}
        if purpose == "query":
            patience_s = min(self.timeout_s, QUERY_TIMEOUT_S)
            client = client.with_options(timeout=patience_s, max_retries=0)
        errors = import_module("openai")
        try:
            found = client.embeddings.create(
                model=wanted.model, input=[*texts], encoding_format="float", **options
            )
        except errors.AuthenticationError as error:
            raise self._fail("it refuses the key", "Set api_key in the manifest.") from error
        except errors.RateLimitError as error:
            raise self._fail("it takes no more calls now", _LATER) from error
        except errors.BadRequestError as error:
            return self._ask_less(texts, purpose, error)
        except errors.APIStatusError as error:
            if 300 <= error.status_code < 400:
                raise self._fail("it sends its callers elsewhere", _ADDRESS) from error
            raise self._fail(f"it answers {error.status_code}", _LATER) from error
        except errors.OpenAIError as error:
            raise self._fail("it does not answer", _LATER) from error
        except ValueError as error:
            raise self._fail("it answers with no vectors", _ADDRESS) from error
        vectors = self._read(found)
        sizes = {len(vector) for vector in vectors}
        if len(vectors) != len(texts) or sizes != {self.model.dimensions}:
            shown = ", ".join(map(str, sorted(sizes)))
            raise self._fail(
                f"it gives {len(vectors)} vectors of {shown} dimensions for {len(texts)} texts,"
                f" not of {self.model.dimensions}",
                "Correct dimensions in the manifest.",
            )
        return vectors

    def _read(self, found: Any) -> list[Vector]:  # noqa: ANN401
        """The vectors of an answer in the order of their texts.

        Raises:
            EmbedderError: it has others than numbers, or none.
        """
        try:
            rows = sorted(found.data, key=lambda each: int(each.index))
            vectors = [normalize(row.embedding) for row in rows]
        except (AttributeError, TypeError, ValueError, OverflowError) as error:
            raise self._fail("it answers with no vectors", _ADDRESS) from error
        if not all(map(math.isfinite, chain.from_iterable(vectors))):
            raise self._fail("it answers with what is no number", "Look into the server's log.")
        return vectors

    def _ask_less(self, texts: Sequence[str], purpose: Purpose, error: Exception) -> list[Vector]:
        """What a server refuses as too long is asked in halves; one text is cut in half."""
        if len(texts) > 1:
            half = len(texts) // 2
            return self._ask(texts[:half], purpose) + self._ask(texts[half:], purpose)
        if len(texts[0]) > 1_000 and any(word in str(error) for word in ("token", "length")):
            return self._ask([texts[0][: len(texts[0]) // 2]], purpose)
        raise self._fail("it refuses a text", "Look into the server's log.") from error

    def _fail(self, what: str, remedy: str) -> EmbedderError:
        name = self.server.model
        return EmbedderError(f"the embedder {name} at {self._host}: {what}", remedy=remedy)


_ADDRESS = "Correct base_url in the manifest: the address of a server of OpenAI's protocol."
_LATER = "What is embedded is kept: the same command goes on later."


def _batch(texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts in batches of so many tokens."""
    batch, size = list[str](), 0
    for text in texts:
        tokens = count_tokens(text)
        if batch and (size + tokens > BATCH_TOKENS or len(batch) >= BATCH_TEXTS):
            yield batch
            batch, size = [], 0
        batch.append(text)
        size += tokens
    if batch:
        yield batch
