"""Conversations of a chat as SQL: begin one, look for one, read its turns, add a turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from assise.manifest.model import Manifest
from assise.manifest.sections.access import ACCESS
from assise.manifest.sections.chat import Chat
from assise.manifest.sections.references import REFERENCES
from assise.schema.access import SETTINGS
from assise.schema.sql import quote, quote_list

LONGEST = 20_000
"""Characters of a turn that are read."""


@dataclass(frozen=True)
class ChatTables:
    """The tables that keep a chat, by their names and the types of their keys.

    Args:
        parent: the column of messages that names the conversation.
        owners: the columns of a conversation, and of a message, that say whose it is, with what
            gives their values.
        at: the column of messages that says when, if there is one; else they follow by key.
    """

    conversations: str
    messages: str
    key: str
    key_type: str
    parent: str
    role: str
    content: str
    at: str | None
    order: str
    owners: tuple[Mapping[str, str], Mapping[str, str]]

    def begin(self) -> str:
        """Begin a conversation; gives its key."""
        table, key = quote(self.conversations), quote(self.key)
        owners = self.owners[0]
        values = f"({quote_list(owners)}) VALUES ({', '.join(owners.values())})"
        given = values if owners else "DEFAULT VALUES"
        return _escape(f"INSERT INTO {table} {given} RETURNING {key}::text AS id")

    def find(self) -> str:
        """Whether there is a conversation `%(id)s` that the session sees."""
        table, key = quote(self.conversations), quote(self.key)
        return _escape(f"SELECT true AS found FROM {table} WHERE {key} = \0::{self.key_type}")

    def read_turns(self) -> str:
        """The last `%(limit)s` turns of a conversation, the newest first."""
        content = f"left({quote(self.content)}, {LONGEST})"
        text = (
            f"SELECT {quote(self.role)}::text AS role, {content} AS content"
            f" FROM {quote(self.messages)} WHERE {quote(self.parent)} = \0::{self.key_type}"
            f" AND {quote(self.content)} IS NOT NULL"
            f" ORDER BY {quote(self.at or self.order)} DESC LIMIT "
        )
        return f"{_escape(text)}%(limit)s"

    def add_turn(self) -> str:
        """Add `%(content)s` of `%(role)s`."""
        cells = {
            **self.owners[1],
            **({self.at: "clock_timestamp()"} if self.at else {}),
            self.parent: f"%(id)s::{self.key_type}",
            self.role: "%(role)s",
            self.content: "%(content)s",
        }
        place = _escape(f"{quote(self.messages)} ({quote_list(cells)})")
        return f"INSERT INTO {place} VALUES ({', '.join(cells.values())})"


def find_chat_tables(manifest: Manifest, chat: Chat) -> ChatTables | None:
    """The tables of a chat; None where it keeps none."""
    if chat.conversations is None or chat.messages is None:
        return None
    parents, messages = manifest.tables[chat.conversations], manifest.tables[chat.messages]
    (key,) = parents.primary_key[:1]
    found = [
        name
        for name, column in messages.columns.items()
        if REFERENCES.of(column) == chat.conversations
    ]
    moments = [
        name for name, column in messages.columns.items() if column.type.startswith("timestamptz")
    ]
    if not found:
        return None
    return ChatTables(
        chat.conversations,
        chat.messages,
        key=key,
        key_type=parents.columns[key].type,
        parent=found[0],
        role=chat.role,
        content=chat.content,
        at=moments[0] if moments else None,
        order=messages.primary_key[0],
        owners=(
            _find_owners(manifest, chat.conversations),
            _find_owners(manifest, chat.messages),
        ),
    )


def _find_owners(manifest: Manifest, table: str) -> dict[str, str]:
    """The columns that say whose a row is, with the user and the tenant of the session."""
    found: dict[str, str] = {}
    access = ACCESS.of(manifest.tables[table])
    for _, entry in access.list_entries() if access else ():
        for column, of in ((entry.owner, "user"), (entry.tenant, "tenant")):
            if column is not None:
                kind = manifest.tables[table].columns[column].type
                found[column] = f"nullif(current_setting('{SETTINGS[of]}', true), '')::{kind}"
    return found


def _escape(text: str) -> str:
    return text.replace("%", "%%").replace("\0", "%(id)s")
