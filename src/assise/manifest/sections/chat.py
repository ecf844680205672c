"""Chat: the model that answers questions from rows, and the tables that keep conversations."""

from __future__ import annotations

from collections.abc import Iterator

from assise.manifest.keys import Key, Keyed, Tables
from assise.manifest.problems import Place, Problem
from assise.manifest.sections.references import REFERENCES
from assise.settings import parse_duration
from assise.wording import nearest, show

SMALLEST_PROMPT = 256


class AnsweringModel(Keyed):
    """A model of a server that speaks OpenAI's protocol; `api_key` may name a variable.

    Args:
        tokens: of a prompt at most.
        timeout: how long the server may be silent.
        tokenizer: the file `tokenizer.json` of the model, by which tokens are counted.
        rewrites: whether it writes a question anew that follows others, before rows are searched.
    """

    base_url: str = "https://api.openai.com/v1"
    model: str
    api_key: str = "${OPENAI_API_KEY:-}"
    tokens: int = 4_000
    timeout: str = "30s"
    tokenizer: str | None = None
    rewrites: bool = False

    @property
    def timeout_s(self) -> float:
        """How long the server may be silent, in seconds."""
        found = parse_duration(self.timeout)
        return 30.0 if found is None else found.total_seconds()


class Chat(Keyed):
    """The model that answers, and the tables of conversations with their columns.

    Args:
        role: the column that says who speaks: `user` or `assistant`.
        content: the column of what is said.
    """

    model: AnsweringModel | None = None
    conversations: str | None = None
    messages: str | None = None
    role: str = "role"
    content: str = "content"


def _check(place: Place, chat: Chat, tables: Tables) -> Iterator[Problem]:
    if chat.model is not None:
        if chat.model.tokens < SMALLEST_PROMPT:
            remedy = f"Write a number from {SMALLEST_PROMPT}."
            at = (*place, "model", "tokens")
            yield Problem(at, "is too small for a prompt", str(chat.model.tokens), remedy)
        timeout = parse_duration(chat.model.timeout)
        if timeout is None or timeout.total_seconds() <= 0:
            at = (*place, "model", "timeout")
            yield Problem(at, "is no duration", show(chat.model.timeout), "Write 30s.")
    if (chat.conversations is None) != (chat.messages is None):
        remedy = "Write conversations: TABLE and messages: TABLE, or neither."
        yield Problem(place, "keeps conversations without messages, or the reverse", remedy=remedy)
    for name, table in (("conversations", chat.conversations), ("messages", chat.messages)):
        if table is not None and table not in tables:
            remedy = nearest(table, tables)
            yield Problem((*place, name), "is none of the tables", show(table), remedy)
    if chat.messages is not None and chat.messages in tables:
        columns = tables[chat.messages].columns
        for name, column in (("role", chat.role), ("content", chat.content)):
            if column not in columns:
                message = f"is not a column of {show(chat.messages)}"
                yield Problem((*place, name), message, show(column), nearest(column, columns))
        parents = [REFERENCES.of(column) for column in columns.values()]
        if chat.conversations in tables and chat.conversations not in parents:
            message = f"has no column that references {show(chat.conversations)}"
            remedy = "Write references at the column that names the conversation."
            yield Problem((*place, "messages"), message, show(chat.messages), remedy)


CHAT = Key(
    "chat",
    "manifest",
    help="answers from rows: model is a server that speaks OpenAI's protocol ({base_url, model,"
    " api_key, tokens, timeout, tokenizer, rewrites}); conversations and messages are the tables that keep what is"
    " said, role and content the columns of messages",
    affects="nothing",
    type=Chat,
    is_secret=True,
    check=_check,
    schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "model": {
                "type": "object",
                "additionalProperties": False,
                "required": ["model"],
                "properties": {
                    "base_url": {"type": "string"},
                    "model": {"type": "string"},
                    "api_key": {"type": "string"},
                    "tokens": {"type": "integer"},
                    "timeout": {"type": "string"},
                    "tokenizer": {"type": "string"},
                    "rewrites": {"type": "boolean"},
                },
            },
            "conversations": {"type": "string"},
            "messages": {"type": "string"},
            "role": {"type": "string"},
            "content": {"type": "string"},
        },
    },
    default="questions are answered with search results",
)
KEYS = (CHAT,)
