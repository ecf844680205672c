"""A question and its answer: contexts, prompt, model, citations; search results without a model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter

from assise.errors import AssiseError, ModelError, UsageError
from assise.search.chat.citations import Citation, check_citations
from assise.search.chat.contexts import LIMIT, Contexts, SourceContext, choose_contexts
from assise.search.chat.model import AnswerModel
from assise.search.chat.prompt import Prompt, Turn, make_prompt
from assise.search.meaning.passages import count_tokens
from assise.search.meaning.retrieve import FoundPassage

Retrieve = Callable[[str], Awaitable[list[FoundPassage]]]
"""The passages for a question, with the rights of whoever asks."""

NO_MODEL = "no model is configured: write chat: {model: …}"
NO_CONTEXT = "nothing was found that the question could be answered from"
TOKENS = 4_000
_SHOWN = 200
_TRIES = 3


@dataclass(frozen=True)
class NumberedSource:
    """A row that an answer may cite by its number."""

    number: int
    type: str
    id: object
    title: str
    relevance_score: float


@dataclass(frozen=True)
class ChatAnswer:
    """An answer, or search results where no model gave one; `problem` says why.

    Args:
        response: the text; what was streamed before, unless `is_answered` is false.
        contexts_used: the contexts of the prompt; citations count them from 1.
        question: what was searched for: the question, rewritten where it follows others.
    """

    response: str
    contexts_used: list[SourceContext]
    sources: list[NumberedSource]
    citations: list[Citation]
    is_answered: bool
    problem: str | None
    question: str
    conversation_id: object = None


@dataclass(frozen=True)
class Question:
    """What is asked, behind which turns, and how many tokens and contexts its prompt has."""

    text: str
    history: Sequence[Turn] = ()
    tokens: int = TOKENS
    limit: int = LIMIT


@dataclass(frozen=True)
class Answering:
    """Answers questions by `retrieve` and a model; without a model by search results."""

    retrieve: Retrieve
    model: AnswerModel | None = None

    async def find_contexts(self, text: str, limit: int = LIMIT) -> Contexts:
        """The best contexts for a text, and how long that took."""
        begin = perf_counter()
        chosen = choose_contexts(await self.retrieve(text), limit)
        return Contexts(chosen, len(chosen), round((perf_counter() - begin) * 1000, 3))

    async def augment(self, question: Question) -> tuple[Prompt, Contexts]:
        """The prompt of a question and its contexts.

        Raises:
            UsageError: the question is blank, or alone more than its tokens.
        """
        if not question.text.strip():
            raise UsageError("the question is empty", remedy="Write what you want to know.")
        contexts = await self.find_contexts(self.find_search_text(question), question.limit)
        return self.write_prompt(question, contexts, question.tokens), contexts

    def write_prompt(self, question: Question, contexts: Contexts, tokens: int) -> Prompt:
        """The prompt of at most `tokens` tokens."""
        count = count_tokens if self.model is None else self.model.count
        return make_prompt(
            question.text,
            contexts.contexts,
            history=question.history,
            tokens=tokens,
            count=count,
        )

    def find_search_text(self, question: Question) -> str:
        """What is searched for: a question that follows another one has its words too."""
        asked = [turn.content for turn in question.history if turn.role == "user"]
        return "\n".join([question.text, *asked[-1:]])

    async def answer(self, question: Question) -> AsyncGenerator[str | ChatAnswer, None]:
        """The pieces of an answer as they come, and last the whole answer.

        A prompt that the model finds too long is sent again with three quarters of it.

        Raises:
            UsageError: the question is blank, or alone more than its tokens.
        """
        prompt, contexts = await self.augment(question)
        searched = self.find_search_text(question)
        if not contexts.contexts:
            yield _give_results(prompt, searched, NO_CONTEXT)
            return
        if self.model is None:
            yield _give_results(prompt, searched, NO_MODEL)
            return
        said: list[str] = []
        tokens = question.tokens
        for attempt in range(_TRIES):
            try:
                async with aclosing(self.model.stream(prompt.messages)) as texts:
                    async for text in texts:
                        said.append(text)
                        yield text
                break
            except ModelError as error:
                if not error.is_too_long or said or attempt == _TRIES - 1:
                    yield _give_results(prompt, searched, error.message)
                    return
                tokens = tokens * 3 // 4
                prompt = self._shorten(question, contexts, tokens) or prompt
            except AssiseError as error:
                yield _give_results(prompt, searched, error.message)
                return
        response = "".join(said)
        if not response.strip():
            yield _give_results(
                prompt, searched, f"the model {self.model.server.model} said nothing"
            )
            return
        citations = check_citations(response, prompt.contexts, question.text)
        yield ChatAnswer(
            response=response,
            contexts_used=[*prompt.contexts],
            sources=_list_sources(prompt.contexts),
            citations=citations,
            is_answered=True,
            problem=None,
            question=searched,
        )

    def _shorten(self, question: Question, contexts: Contexts, tokens: int) -> Prompt | None:
        try:
            return self.write_prompt(question, contexts, tokens)
        except UsageError:
            return None


def _list_sources(contexts: Sequence[SourceContext]) -> list[NumberedSource]:
    return [
        NumberedSource(n, each.source_type, each.source_id, each.title, each.relevance_score)
        for n, each in enumerate(contexts, 1)
    ]


def _give_results(prompt: Prompt, searched: str, problem: str) -> ChatAnswer:
    """What was found, in place of an answer."""
    lines = []
    for n, each in enumerate(prompt.contexts, 1):
        text = " ".join(each.text.split())
        text = text if len(text) <= _SHOWN else f"{text[:_SHOWN].rstrip()} …"
        title = f"{each.title}: " if each.title and not text.startswith(each.title) else ""
        lines.append(f"[{n}] {title}{text}")
    return ChatAnswer(
        response="\n".join(lines),
        contexts_used=[*prompt.contexts],
        sources=_list_sources(prompt.contexts),
        citations=[],
        is_answered=False,
        problem=problem,
        question=searched,
    )
