"""Devora's searches under the names that its code knows: each is one call of `app.search`."""

from dataclasses import dataclass
from enum import Enum

from assise.app import App
from assise.search.query import Answer
from assise.search.suggest import Suggestion


class SearchType(Enum):
    """Where to search: the tables of each kind; all tables for ALL."""

    ALL = None
    PROJECTS = ("projects",)
    CONVERSATIONS = ("conversations",)
    MESSAGES = ("conversation_messages",)
    FILES = ("project_files",)


@dataclass(frozen=True)
class SearchService:
    """What a user finds; the rules of the manifest say what that may be."""

    app: App

    async def search(
        self,
        query: str,
        user_id: object,
        search_type: SearchType = SearchType.ALL,
        limit: int = 20,
    ) -> Answer:
        """`results` with type, id, title, snippet, score and metadata; `total`, `execution_time_ms`."""
        types = search_type.value and [*search_type.value]
        return await self.app.search(query, user_id=user_id, types=types, limit=limit)

    async def search_projects(self, query: str, user_id: object, limit: int = 20) -> Answer:
        """Projects by name, description and tags."""
        return await self.search(query, user_id, SearchType.PROJECTS, limit)

    async def search_conversations(self, query: str, user_id: object, limit: int = 20) -> Answer:
        """Conversations by title."""
        return await self.search(query, user_id, SearchType.CONVERSATIONS, limit)

    async def search_messages(self, query: str, user_id: object, limit: int = 20) -> Answer:
        """Messages by what they say."""
        return await self.search(query, user_id, SearchType.MESSAGES, limit)

    async def search_files(self, query: str, user_id: object, limit: int = 20) -> Answer:
        """Files of projects by path and code."""
        return await self.search(query, user_id, SearchType.FILES, limit)

    async def search_all(self, query: str, user_id: object, limit: int = 20) -> Answer:
        """All of them, the best first."""
        return await self.search(query, user_id, SearchType.ALL, limit)

    async def get_suggestions(
        self, text: str, user_id: object, limit: int = 10
    ) -> list[Suggestion]:
        """What a text may become while it is typed."""
        return await self.app.search.suggest(text, user_id=user_id, limit=limit)


def get_search_service(app: App) -> SearchService:
    """The searches of an application."""
    return SearchService(app)
