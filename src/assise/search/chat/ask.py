"""A question and its answer: contexts, prompt, model, citations; search results without a model."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from assise.errors import AssiseError, ModelError, UsageError
from assise.search.chat.citations import Citation, Compare, check_citations, compare_citations
from assise.search.chat.contexts import LIMIT, Contexts, SourceContext, choose_contexts
from assise.search.chat.model import AnswerModel
from assise.search.chat.prompt import Prompt, Turn, ask_rewriting, choose_turns, make_prompt
from assise.search.meaning.passages import count_tokens
from assise.search.meaning.retrieve import Retrieved

Retrieve = Callable[[str], Awaitable[Retrieved]]
"""The passages for a question, with the rights of whoever asks."""

NO_MODEL = "no model is configured: write chat: {model: …}"
NO_CONTEXT = "nothing was found that the question could be answered from"
TOKENS = 4_000
LONGEST_QUESTION = 1_000
"""Characters of a rewritten question that are searched for."""

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
        warning: why rows were found by words alone, where they are embedded.
    """

    response: str
    contexts_used: list[SourceContext]
    sources: list[NumberedSource]
    citations: list[Citation]
    is_answered: bool
    problem: str | None
    question: str
    conversation_id: object = None
    warning: str | None = None


@dataclass(frozen=True)
class Question:
    """What is asked, behind which turns, and how many tokens and contexts its prompt has."""

    text: str
    history: Sequence[Turn] = ()
    tokens: int = TOKENS
    limit: int = LIMIT


@dataclass(frozen=True)
class Answering:
    """Answers questions by `retrieve` and a model; without a model by search results.

    `compare` checks citations by meaning.
    """

    retrieve: Retrieve
    model: AnswerModel | None = None
    compare: Compare | None = None

    async def find_contexts(self, text: str, limit: int = LIMIT) -> Contexts:
        """The best contexts for a text, and how long that took."""
        begin = perf_counter()
        found = await self.retrieve(text)
        chosen = choose_contexts(found.passages, limit)
        spent_ms = round((perf_counter() - begin) * 1000, 3)
        return Contexts(chosen, len(chosen), spent_ms, found.warning)

    async def augment(self, question: Question) -> tuple[Prompt, Contexts, str]:
        """The prompt of a question, its contexts, and what was searched for.

        Raises:
            UsageError: the question is blank, or alone more than its tokens.
        """
        if not question.text.strip():
            raise UsageError("the question is empty", remedy="Write what you want to know.")
        searched = await self.find_search_text(question)
        contexts = await self.find_contexts(searched, question.limit)
        return self.write_prompt(question, contexts, question.tokens), contexts, searched

    def write_prompt(self, question: Question, contexts: Contexts, tokens: int) -> Prompt:
        """The prompt of at most `tokens` tokens."""
        return make_prompt(
            question.text,
            contexts.contexts,
            history=question.history,
            tokens=tokens,
            count=self._count,
        )

    def _count(self, text: str) -> int:
        """How many tokens a text has for the model."""
        return count_tokens(text) if self.model is None else self.model.count(text)

    async def find_search_text(self, question: Question) -> str:
        """What is searched for: the question, and where it follows others a rewritten one.

        Without a model that rewrites, the words of the question before are taken as well.
        """
        asked = [turn.content for turn in question.history if turn.role == "user"]
        if asked and self.model is not None and self.model.server.rewrites:
            with suppress(AssiseError):
                written = await self._rewrite(self.model, question)
                return "\n".join(filter(None, [question.text, written]))
        return "\n".join([question.text, *asked[-1:]])

    async def _rewrite(self, model: AnswerModel, question: Question) -> str:
        """A question as the model writes it so that it needs no conversation; empty for too long."""
        room = question.tokens - model.count(ask_rewriting(question.text, []))
        if room < 0:
            return ""
        turns = choose_turns(question.history, question.text, tokens=room, count=model.count)
        messages = [{"role": "user", "content": ask_rewriting(question.text, turns)}]
        said = ""
        async with aclosing(model.stream(messages)) as texts:
            async for text in texts:
                said += text
                if len(said) > LONGEST_QUESTION:
                    break
        return " ".join(said[:LONGEST_QUESTION].replace("\0", " ").split())

    async def answer(self, question: Question) -> AsyncGenerator[str | ChatAnswer, None]:
        """The pieces of an answer as they come, and last the whole answer.

        A prompt that the model finds too long is sent again with three quarters of it, as long as a
        source is left; where no answer comes, what was found is given whole.

        Raises:
            UsageError: the question is blank, or alone more than its tokens.
        """
        prompt, contexts, searched = await self.augment(question)
        give_results = partial(_give_results, prompt, searched=searched, warning=contexts.warning)
        if not contexts.contexts:
            yield give_results(problem=NO_CONTEXT)
            return
        if self.model is None:
            yield give_results(problem=NO_MODEL)
            return
        said: list[str] = []
        for attempt in range(_TRIES):
            try:
                async with aclosing(self.model.stream(prompt.messages)) as texts:
                    async for text in texts:
                        said.append(text)
                        yield text
                break
            except ModelError as error:
                may_shorten = error.is_too_long and not said and attempt < _TRIES - 1
                shorter = self._shorten(prompt, question, contexts) if may_shorten else None
                if shorter is None:
                    yield give_results(problem=error.message)
                    return
                prompt = shorter
            except AssiseError as error:
                yield give_results(problem=error.message)
                return
        response = "".join(said)
        if not response.strip():
            yield give_results(problem=f"the model {self.model.server.model} said nothing")
            return
        citations = await self._check(response, prompt, question)
        yield ChatAnswer(
            response=response,
            contexts_used=[*prompt.contexts],
            sources=_list_sources(prompt.contexts),
            citations=citations,
            is_answered=True,
            problem=None,
            question=searched,
            warning=contexts.warning,
        )

    async def _check(self, response: str, prompt: Prompt, question: Question) -> list[Citation]:
        """The citations of an answer; where the embedder cannot be asked, by words alone."""
        citations = check_citations(response, prompt.contexts, question.text)
        if self.compare is not None:
            with suppress(AssiseError):
                return await compare_citations(citations, prompt.contexts, self.compare)
        return citations

    def _shorten(self, prompt: Prompt, question: Question, contexts: Contexts) -> Prompt | None:
        """A prompt of three quarters of the tokens; None where they have room for no source."""
        tokens = self._count(prompt.text) * 3 // 4
        try:
            shorter = self.write_prompt(question, contexts, tokens)
        except UsageError:
            return None
        return shorter if shorter.contexts else None


def _list_sources(contexts: Sequence[SourceContext]) -> list[NumberedSource]:
    return [
        NumberedSource(n, each.source_type, each.source_id, each.title, each.relevance_score)
        for n, each in enumerate(contexts, 1)
    ]


def _give_results(
    prompt: Prompt, *, searched: str, problem: str, warning: str | None
) -> ChatAnswer:
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
        warning=warning,
    )
