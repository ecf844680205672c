"""Devora's embeddings and answers under the names that its code knows.

Each is a few lines over `app.search` and `app.chat`. Nothing here stores a vector: rows are embedded by
`assise search embed` and the worker, as the manifest's `embed` says.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from assise.app import App
from assise.search.chat.contexts import Contexts
from assise.search.chat.prompt import Prompt
from assise.search.meaning.retrieve import FoundPassage

MESSAGES = """SELECT string_agg(content, E'\\n\\n' ORDER BY position) AS content
    FROM conversation_messages WHERE conversation_id = %s"""
PROJECT = "SELECT concat_ws(E'\\n', name, description) AS content FROM projects WHERE id = %s"


@dataclass(frozen=True)
class EmbeddingService:
    """Vectors of texts, and rows by meaning, as a user sees them."""

    app: App

    async def generate_embedding(self, text: str) -> list[float]:
        """The vector of a text."""
        (found,) = await self.generate_embeddings_batch([text])
        return found

    async def generate_embeddings_batch(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of texts, in their order."""
        return await self.app.search.embed(texts)

    async def embed_project(self, project_id: object, user_id: object) -> list[float] | None:
        """The vector of a project's name and description; None where the user sees none."""
        return await self._embed(PROJECT, project_id, user_id)

    async def embed_conversation(
        self, conversation_id: object, user_id: object
    ) -> list[float] | None:
        """The vector of a conversation as one thing, of all its messages."""
        return await self._embed(MESSAGES, conversation_id, user_id)

    async def semantic_search(
        self,
        query_text: str,
        user_id: object,
        entity_types: Sequence[str] | None = None,
        limit: int = 10,
        similarity_threshold: float = 0.0,
    ) -> list[FoundPassage]:
        """The rows whose meaning is nearest to a text. A similarity of 0 is that of random texts."""
        return await self.app.search.semantic_search(
            query_text,
            entity_types,
            limit=limit,
            similarity_threshold=similarity_threshold,
            user_id=user_id,
        )

    async def find_similar_entities(
        self, entity_type: str, entity_id: object, user_id: object, limit: int = 10
    ) -> list[FoundPassage]:
        """The rows that are most like a row."""
        return await self.app.search.similar(
            entity_type, str(entity_id), limit=limit, user_id=user_id
        )

    async def _embed(self, query: str, key: object, user_id: object) -> list[float] | None:
        async with self.app.session(user_id=user_id, read_only=True) as session:
            text = await session.fetch_value(query, [key])
        return await self.generate_embedding(text) if text else None


@dataclass(frozen=True)
class RAGPipeline:
    """Contexts for a question, and the prompt that a model answers."""

    app: App

    async def retrieve_context(self, query: str, user_id: object, limit: int = 5) -> Contexts:
        """`contexts` with text, source_type, source_id and relevance_score; the best first."""
        return await self.app.chat.retrieve_context(query, user_id, limit=limit)

    async def augment_query(
        self,
        query: str,
        user_id: object,
        conversation_id: object = None,
        max_context_tokens: int = 2000,
    ) -> tuple[Prompt, Contexts]:
        """The prompt, of at most so many tokens, and its contexts."""
        return await self.app.chat.augment_query(
            query,
            user_id,
            conversation_id=conversation_id,
            max_context_tokens=max_context_tokens,
        )

    def format_for_prompt(self, contexts: Contexts) -> str:
        """Contexts as numbered sources."""
        return self.app.chat.format_for_prompt(contexts)


def get_embedding_service(app: App) -> EmbeddingService:
    """The embeddings of an application."""
    return EmbeddingService(app)


def get_rag_pipeline(app: App) -> RAGPipeline:
    """The answers of an application."""
    return RAGPipeline(app)
