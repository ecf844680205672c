"""What is said in a chat is kept in the application's tables, under the rules of its user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from assise.errors import RefusedError, UsageError
from assise.postgres.pool import Session
from assise.schema.chat import ChatTables
from assise.search.chat.prompt import Turn

TURNS = 200
"""So many turns of a conversation are looked at."""

OpenUserSession = Callable[[], AbstractAsyncContextManager[Session]]


@dataclass(frozen=True)
class Keeper:
    """Reads and adds the turns of conversations in sessions of a user."""

    tables: ChatTables
    open_session: OpenUserSession

    async def read(self, conversation_id: object) -> list[Turn]:
        """The last turns of a conversation, the oldest first.

        Raises:
            UsageError: there is none, or the user does not see it.
        """
        values = {"id": str(conversation_id), "limit": TURNS}
        try:
            async with self.open_session() as session:
                if await session.fetch_one(self.tables.find(), {"id": values["id"]}) is None:
                    raise _no_conversation(conversation_id)
                rows = await session.fetch(self.tables.read_turns(), values)
        except RefusedError as error:
            raise _no_conversation(conversation_id) from error
        return [Turn(str(row["role"]), str(row["content"])) for row in reversed(rows)]

    async def add(self, conversation_id: object, turns: Sequence[Turn]) -> str:
        """Add turns to a conversation, or to a new one for None, in one transaction; its key."""
        async with self.open_session() as session:
            if conversation_id is None:
                conversation_id = await session.fetch_value(self.tables.begin(), {})
            for turn in turns:
                values = {"role": turn.role, "content": turn.content.replace("\0", "")}
                await session.execute(
                    self.tables.add_turn(), {"id": str(conversation_id), **values}
                )
        return str(conversation_id)


def _no_conversation(conversation_id: object) -> UsageError:
    return UsageError(
        f"there is no conversation {str(conversation_id)[:80]!r}",
        remedy="Leave it out to begin one.",
    )
