"""The noun `chat` of an application, and what `assise search ask` does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from assise.errors import UsageError
from assise.manifest.model import Manifest
from assise.manifest.sections.chat import CHAT, Chat
from assise.schema.chat import find_chat_tables
from assise.search.chat.ask import TOKENS, Answering, ChatAnswer, Question
from assise.search.chat.contexts import LIMIT, PER_ROW, Contexts, SourceContext
from assise.search.chat.keep import Keeper
from assise.search.chat.model import AnswerModel
from assise.search.chat.prompt import Prompt, Turn, format_for_prompt
from assise.search.meaning.retrieve import Retrieved
from assise.search.query import Request
from assise.search.verbs import AppSearch, SearchVerbs


def open_model(manifest: Manifest, folder: Path) -> AnswerModel | None:
    """The model that answers; None where the manifest, which lies in `folder`, names none."""
    server = (CHAT.of(manifest) or Chat()).model
    return None if server is None else AnswerModel(server, folder)


def find_tokens(manifest: Manifest) -> int:
    """How many tokens a prompt has at most."""
    server = (CHAT.of(manifest) or Chat()).model
    return TOKENS if server is None else server.tokens


def ask(
    search: SearchVerbs,
    text: str,
    *,
    user_id: object = None,
    tenant_id: object = None,
    types: Sequence[str] | None = None,
    tell: Callable[[str], object] = str,
) -> ChatAnswer:
    """Answer a question as a user sees the rows; `tell` gets the pieces of the answer.

    Raises:
        UsageError: a table is not searched, or the question is blank or too long.
    """
    manifest = search.workspace.manifest()

    async def retrieve(question: str) -> Retrieved:
        request = Request(question, types, 2 * LIMIT, method="hybrid")
        return await asyncio.to_thread(
            search.retrieve, request, user_id=user_id, tenant_id=tenant_id, per_row=PER_ROW
        )

    async def run() -> ChatAnswer:
        model = open_model(manifest, search.workspace.path.parent)
        answering = Answering(retrieve, model, search.compare)
        question = Question(text, tokens=find_tokens(manifest))
        async with aclosing(answering.answer(question)) as pieces:
            async for piece in pieces:
                if isinstance(piece, ChatAnswer):
                    return piece
                tell(piece)
        raise AssertionError("an answer ends with itself")

    return asyncio.run(run())


@dataclass(frozen=True)
class AppChat:
    """The noun `chat` of an application: `async for piece in app.chat.ask("…", user_id=…)`."""

    manifest: Manifest
    search: AppSearch

    @cached_property
    def model(self) -> AnswerModel | None:
        """The model that answers; what it learns of its tokens is kept."""
        return open_model(self.manifest, self.search.embedders.folder)

    async def retrieve_context(
        self,
        query: str,
        user_id: object = None,
        *,
        tenant_id: object = None,
        types: Sequence[str] | None = None,
        limit: int = LIMIT,
    ) -> Contexts:
        """The best contexts for a query, of the rows that the user sees.

        Raises:
            UsageError: a table is not searched.
        """
        answering = self._answering(user_id, tenant_id=tenant_id, types=types)
        return await answering.find_contexts(query, limit)

    async def augment_query(
        self,
        query: str,
        user_id: object = None,
        *,
        tenant_id: object = None,
        types: Sequence[str] | None = None,
        conversation_id: object = None,
        max_context_tokens: int | None = None,
    ) -> tuple[Prompt, Contexts]:
        """The prompt for a query, of at most `max_context_tokens` tokens, and its contexts.

        Raises:
            UsageError: the query is blank, or alone more than these tokens, or the user has no such
            conversation.
        """
        tokens = find_tokens(self.manifest) if max_context_tokens is None else max_context_tokens
        answering = self._answering(user_id, tenant_id=tenant_id, types=types)
        keeper = self._find_keeper(user_id, tenant_id)
        history = await self._read_history(keeper, conversation_id)
        prompt, contexts, _ = await answering.augment(Question(query, history, tokens=tokens))
        return prompt, contexts

    def format_for_prompt(self, contexts: Contexts | Sequence[SourceContext]) -> str:
        """Contexts as numbered sources that stand in a prompt as data."""
        return format_for_prompt(contexts.contexts if isinstance(contexts, Contexts) else contexts)

    async def ask(
        self,
        text: str,
        user_id: object = None,
        *,
        tenant_id: object = None,
        types: Sequence[str] | None = None,
        conversation_id: object = None,
        keeps: bool = False,
    ) -> AsyncGenerator[str | ChatAnswer, None]:
        """The pieces of an answer, and last the whole with its sources and checked citations.

        With `conversation_id` the turns before are told, and both new ones are kept when the answer is
        whole; with `keeps` alone a conversation begins, where the manifest has tables for it.

        Raises:
            UsageError: the question is blank or too long, a table is not searched, or the user has
            no such conversation.
        """
        keeper = self._find_keeper(user_id, tenant_id)
        history = await self._read_history(keeper, conversation_id)
        answering = self._answering(user_id, tenant_id=tenant_id, types=types)
        question = Question(text, history, tokens=find_tokens(self.manifest))
        async with aclosing(answering.answer(question)) as pieces:
            async for piece in pieces:
                if not isinstance(piece, ChatAnswer):
                    yield piece
                elif keeper is not None and (keeps or conversation_id is not None):
                    turns = [Turn("user", text), Turn("assistant", piece.response)]
                    kept = await keeper.add(conversation_id, turns)
                    yield replace(piece, conversation_id=kept)
                else:
                    yield piece

    def _find_keeper(self, user_id: object, tenant_id: object) -> Keeper | None:
        tables = find_chat_tables(self.manifest, CHAT.of(self.manifest) or Chat())
        if tables is None:
            return None
        return Keeper(
            tables, partial(self.search.open_session, user_id=user_id, tenant_id=tenant_id)
        )

    async def _read_history(self, keeper: Keeper | None, conversation_id: object) -> list[Turn]:
        if conversation_id is None:
            return []
        if keeper is None:
            raise UsageError(
                "the manifest has no tables for conversations",
                remedy="Write chat: {conversations: TABLE, messages: TABLE}.",
            )
        return await keeper.read(conversation_id)

    def _answering(
        self, user_id: object, *, tenant_id: object, types: Sequence[str] | None
    ) -> Answering:
        async def retrieve(text: str) -> Retrieved:
            return await self.search.retrieve(
                text,
                user_id=user_id,
                tenant_id=tenant_id,
                per_row=PER_ROW,
                types=types,
                limit=2 * LIMIT,
            )

        return Answering(retrieve, self.model, self.search.compare)
