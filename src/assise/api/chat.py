"""Chat over HTTP: answers from the rows that a caller sees, as JSON or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from assise.api.context import Context
from assise.api.problems import find_answer
from assise.api.values import JsonMap, describe_problems
from assise.errors import AssiseError, RequestError, TokenError, UsageError
from assise.manifest.sections.embedding import is_asked
from assise.search.chat.ask import ChatAnswer
from assise.wording import nearest, show

LONGEST = 20_000
_PRIVATE = {"Cache-Control": "private, no-store", "Vary": "Authorization, Accept"}
_EVENTS = "text/event-stream"


class ChatMessage(BaseModel):
    """What a caller says, in which conversation, about which tables."""

    model_config = ConfigDict(extra="forbid", strict=True)

    message: str = Field(min_length=1, max_length=LONGEST)
    conversation_id: str | None = Field(default=None, max_length=200)
    tables: list[str] | None = Field(default=None, max_length=100)


@dataclass(frozen=True)
class ChatEndpoints:
    """What `/api/chat` answers."""

    context: Context

    @property
    def tables(self) -> list[str]:
        """The tables that are served and searched, by words or by meaning."""
        tables = self.context.app.manifest.tables
        return [name for name in self.context.rules.resources if is_asked(tables[name])]

    async def chat(self, request: Request) -> Response:
        """An answer: JSON, or events where the caller accepts them."""
        caller = await self.context.find_caller(request)
        if caller.user_id is None:
            raise TokenError("a token is needed")
        asked = _read_message(await self.context.read_body(request))
        known = self.tables
        for name in asked.tables or ():
            if name not in known:
                remedy = nearest(name, known)
                raise RequestError(f"tables: {show(name)} is not searched", remedy=remedy)
        pieces = self.context.app.chat.ask(
            asked.message,
            caller.user_id,
            tenant_id=caller.tenant_id,
            types=asked.tables or known,
            conversation_id=asked.conversation_id,
            keeps=True,
        )
        try:
            first = await anext(pieces)
        except UsageError as error:
            raise RequestError(error.message, remedy=error.remedy) from error
        if _EVENTS in request.headers.get("accept", ""):
            events = _write_events(first, pieces)
            return StreamingResponse(events, headers=_PRIVATE, media_type=_EVENTS)
        last = first
        async with aclosing(pieces):
            async for piece in pieces:
                last = piece
        body = json.dumps(show_answer(last), ensure_ascii=False, default=str)
        return Response(body.encode(), headers=_PRIVATE, media_type="application/json")


def show_answer(answer: object) -> Mapping[str, object]:
    """An answer as JSON has it."""
    if not isinstance(answer, ChatAnswer):
        raise TypeError(type(answer))
    return asdict(answer)


async def _write_events(
    first: str | ChatAnswer, pieces: AsyncGenerator[str | ChatAnswer, None]
) -> AsyncGenerator[str, None]:
    """The pieces as events `text`, and last `answer`, or `problem` where it cannot be kept."""
    async with aclosing(pieces):
        yield _write_event(first)
        try:
            async for piece in pieces:
                yield _write_event(piece)
        except AssiseError as error:
            said = find_answer(error).detail or error.message
            yield f"event: problem\ndata: {json.dumps({'detail': said})}\n\n"


def _write_event(piece: str | ChatAnswer) -> str:
    name = "text" if isinstance(piece, str) else "answer"
    told: object = {"text": piece} if isinstance(piece, str) else show_answer(piece)
    return f"event: {name}\ndata: {json.dumps(told, ensure_ascii=False, default=str)}\n\n"


def _read_message(body: bytes) -> ChatMessage:
    try:
        return ChatMessage.model_validate_json(body)
    except ValidationError as error:
        if error.errors()[0]["type"] == "json_invalid":
            raise RequestError("the body is no JSON, or is nested too deeply") from None
        problems = describe_problems(error)
        raise RequestError("the body does not fit", status=422, problems=problems) from None


def describe_chat() -> JsonMap:
    """What OpenAPI says of `/api/chat`."""
    answer = {
        "type": "object",
        "required": ["response", "contexts_used", "sources", "is_answered"],
        "properties": {
            "response": {"type": "string"},
            "contexts_used": {"type": "array", "items": {"type": "object"}},
            "sources": {"type": "array", "items": {"type": "object"}},
            "citations": {"type": "array", "items": {"type": "object"}},
            "is_answered": {"type": "boolean"},
            "problem": {"type": ["string", "null"]},
            "warning": {"type": ["string", "null"]},
            "question": {"type": "string"},
            "conversation_id": {"type": ["string", "null"]},
        },
    }
    asked = {
        "type": "object",
        "required": ["message"],
        "additionalProperties": False,
        "properties": {
            "message": {"type": "string", "minLength": 1, "maxLength": LONGEST},
            "conversation_id": {"type": ["string", "null"], "maxLength": 200},
            "tables": {
                "type": ["array", "null"],
                "items": {"type": "string"},
                "maxItems": 100,
            },
        },
        "example": {"message": "What is project 07?"},
    }
    content = {"application/json": {"schema": answer}, _EVENTS: {"schema": {"type": "string"}}}
    problems = ("400", "401", "403", "413", "422", "429", "503", "504")
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": asked}}},
        "responses": {
            "200": {"description": "The answer, or what was found.", "content": content},
            **{status: {"description": "A problem."} for status in problems},
        },
        "security": [{"bearer": []}],
    }
