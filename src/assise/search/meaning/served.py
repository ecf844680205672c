"""The embedder `openai`: any server that speaks OpenAI's protocol, through the package openai."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from itertools import chain
from threading import Lock, Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit

from assise import extras
from assise.errors import EmbedderError
from assise.manifest.sections.embedding import ServerModel
from assise.search.meaning.embedder import EmbeddingModel, Purpose, Vector, normalize
from assise.search.meaning.passages import count_tokens

T = TypeVar("T")
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

PATIENCE_S = 5.0
"""Until connections are closed."""

TRIES = 5
"""Calls of one batch: the client waits longer before each, or as long as the server says. All of them
together take as long as each of them may be silent."""


class ServerCalls:
    """A client of openai for threads that wait: a server that sends a byte now and then is never
    silent, and only a client with await can be told when to stop.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - of a package that may be absent
        self.client, self._loop = client, asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, call: Coroutine[object, object, T], patience_s: float) -> T:
        """What a call gives.

        Raises:
            TimeoutError: it takes longer than that.
        """

        async def wait() -> T:
            async with asyncio.timeout(patience_s):
                return await call

        future = asyncio.run_coroutine_threadsafe(wait(), self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """End the calls of other threads, close the connections, and end the thread."""
        self.run(self._end(), PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        own = {asyncio.current_task()}
        others = {each for each in asyncio.all_tasks() if each not in own}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.client.close()


@dataclass
class ServedEmbedder:
    """A model of a server; `key` is the one that it asks for, empty for none."""

    server: ServerModel
    key: str = ""
    timeout_s: float = 60.0
    _opened: ServerCalls | None = None
    _lock: Lock = field(default_factory=Lock)

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
        caller, self._opened = self._opened, None
        if caller is not None:
            caller.close()

    @property
    def price(self) -> float | None:
        """Dollars for a million tokens, where that is known."""
        return MODELS.get(self.server.model, (0, None))[1]

    @property
    def _host(self) -> str:
        """The server without what signs in there."""
        return urlsplit(self.server.base_url).netloc.rpartition("@")[2]

    def _open(self) -> ServerCalls:
        module = extras.load("openai", extra="openai")
        with self._lock:
            if self._opened is None:
                client = module.AsyncOpenAI(
                    base_url=self.server.base_url,
                    api_key=self.key or "none",
                    # Texts go where the manifest says, and nowhere else.
                    http_client=module.DefaultAsyncHttpxClient(follow_redirects=False),
                )
                self._opened = ServerCalls(client)
            return self._opened

    def _ask(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        caller, wanted = self._open(), self.server
        options: dict[str, object] = {}
        if wanted.model.startswith("text-embedding-3") and wanted.dimensions:
            options["dimensions"] = wanted.dimensions
        if wanted.has_purposes:
            options["extra_body"] = {"input_type": purpose}
        is_query = purpose == "query"
        timeout_s = min(self.timeout_s, QUERY_TIMEOUT_S) if is_query else self.timeout_s
        tries = 1 if is_query else TRIES
        client = caller.client.with_options(timeout=timeout_s, max_retries=tries - 1)
        asked = client.embeddings.create(
            model=wanted.model, input=[*texts], encoding_format="float", **options
        )
        errors = import_module("openai")
        try:
            found = caller.run(asked, tries * timeout_s)
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
        except (errors.OpenAIError, TimeoutError, CancelledError) as error:
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
