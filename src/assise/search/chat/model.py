"""The model that answers: any server that speaks OpenAI's protocol, as a stream of texts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from assise.errors import ModelError
from assise.extras import load
from assise.manifest.sections.chat import AnsweringModel
from assise.search.meaning.onnx import telling
from assise.search.meaning.passages import count_tokens
from assise.settings import expand

LONGEST_ANSWER = 100_000
"""Characters of an answer that are read, and of its pieces, which may be empty, each one more."""

_NO_ANSWER = (ValueError, TypeError, AttributeError, RecursionError)
"""What the client and we fail with where a piece of an answer is JSON of another shape."""

_TOO_LONG = ("context_length_exceeded", "maximum context length", "context size", "context length")


@dataclass
class AnswerModel:
    """A model of a server; its tokenizer, if the manifest names one, lies in `folder`.

    Without one `ratio` is how many of its tokens one of ours is, learnt from answers.
    """

    server: AnsweringModel
    folder: Path = Path()
    ratio: float = 1.0

    def count(self, text: str, /) -> int:
        """How many of its tokens a text has; about so many where it has no tokenizer.

        Raises:
            EmbedderError: the tokenizer cannot be read. MissingExtraError: the extra `onnx`, which
            brings what reads it, is not installed.
        """
        if self._tokenizer is not None:
            return len(self._tokenizer.encode(text, add_special_tokens=False).ids)
        return int(count_tokens(text) * self.ratio + 0.999)

    @cached_property
    def _tokenizer(self) -> Any:  # noqa: ANN401 - of a package that may be absent
        name = self.server.tokenizer
        if name is None:
            return None
        path, module = self.folder / name, load("tokenizers", extra="onnx")
        with telling(path):
            return module.Tokenizer.from_str(path.read_text(encoding="utf-8"))

    async def stream(self, messages: Sequence[dict[str, str]]) -> AsyncGenerator[str, None]:
        """The pieces of an answer. The request ends when nobody waits for the next one.

        Raises:
            ModelError: the server is down, silent for too long, or refuses.
            MissingExtraError: the extra `openai` is not installed.
        """
        openai = load("openai", extra="openai")
        patience_s = self.server.timeout_s
        client = openai.AsyncOpenAI(
            base_url=self.server.base_url,
            api_key=expand(self.server.api_key) or "none",
            timeout=patience_s,
            max_retries=0,
            # Prompts hold rows: they go where the manifest says, and nowhere else.
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
        )
        async with client:
            try:
                async with aclosing(self._read(client, messages, patience_s)) as texts:
                    async for text in texts:
                        yield text
            except (TimeoutError, openai.APITimeoutError) as error:
                raise ModelError(
                    f"the model {self.server.model} was silent for {patience_s:g} s",
                    remedy="Ask again, or allow more: chat: {model: {timeout: …}}.",
                ) from error
            except openai.APIStatusError as error:
                raise self._refused(error) from error
            except (openai.OpenAIError, *_NO_ANSWER) as error:
                raise ModelError(
                    f"the server of the model {self.server.model} cannot be reached, or sends"
                    " what is no answer",
                    remedy="Check chat: {model: {base_url: …}} and whether the server runs.",
                ) from error

    async def _read(
        self,
        client: Any,  # noqa: ANN401 - of a package that may be absent
        messages: Sequence[dict[str, str]],
        patience_s: float,
    ) -> AsyncGenerator[str, None]:
        async with asyncio.timeout(patience_s):
            stream = await client.chat.completions.create(
                model=self.server.model,
                messages=[*messages],
                temperature=0,
                stream=True,
                stream_options={"include_usage": True},
            )
        async with stream:
            chunks, size, is_whole = aiter(stream), 0, False
            while size <= LONGEST_ANSWER:
                async with asyncio.timeout(patience_s):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    break
                size += 1
                if chunk.usage is not None:
                    self._learn(messages, chunk.usage.prompt_tokens)
                for choice in chunk.choices[:1]:
                    is_whole = is_whole or choice.finish_reason is not None
                    if text := choice.delta.content:
                        size += len(text)
                        # A half of a surrogate pair is no text: no database and no reply takes it.
                        yield text.encode(errors="replace").decode()
        if not is_whole:
            raise ModelError(
                f"the model {self.server.model} stopped in the middle of its answer, or did not end",
                remedy="Ask again; the server's log may say why.",
            )

    def _learn(self, messages: Sequence[dict[str, str]], told: int) -> None:
        counted = sum(count_tokens(each["content"]) for each in messages)
        if counted and told:
            self.ratio = min(max(told / counted, 0.5), 4.0)

    def _refused(self, error: Any) -> ModelError:  # noqa: ANN401 - of a package that may be absent
        said = f"{error.code or ''} {error.message}".lower()
        if error.status_code in {400, 413, 422} and any(each in said for each in _TOO_LONG):
            return ModelError(
                f"the prompt is too long for the model {self.server.model}",
                remedy="Allow fewer: chat: {model: {tokens: …}}.",
                is_too_long=True,
            )
        return ModelError(
            f"the server of the model {self.server.model} answers with status {error.status_code}",
            remedy="Check chat: {model: …}, its key and its limits.",
        )
