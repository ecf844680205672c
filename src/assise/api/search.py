"""Search over HTTP: the rows that a caller sees, of the tables that are served and searched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response

from assise.api.context import Context
from assise.api.queries import check_words
from assise.api.values import JsonMap
from assise.errors import RefusedError, RequestError, TokenError
from assise.identity.callers import Caller
from assise.manifest.sections.search import SEARCH
from assise.wording import nearest, show

LIMIT, MAX_LIMIT, MAX_SUGGESTIONS = 10, 100, 20
_TEXTS = ("query_id", "did_you_mean", "next", "warning")
_PRIVATE = {"Cache-Control": "private, no-store", "Vary": "Authorization"}


@dataclass(frozen=True)
class SearchEndpoints:
    """What `/api/search` answers."""

    context: Context

    @property
    def tables(self) -> list[str]:
        """The tables that are served and searched."""
        tables = self.context.app.manifest.tables
        return [name for name in self.context.rules.resources if SEARCH.of(tables[name])]

    async def search(self, request: Request) -> Response:
        """The best hits of a query."""
        caller, tables = await self._enter(request)
        words = check_words(
            request.scope["query_string"].decode("latin-1"), ("q", "in", "limit", "cursor")
        )
        try:
            found = await self.context.app.search(
                _read_text(words),
                user_id=caller.user_id,
                tenant_id=caller.tenant_id,
                types=_read_tables(words.get("in"), tables),
                limit=_read_limit(words.get("limit"), MAX_LIMIT),
                cursor=words.get("cursor"),
            )
        except RefusedError as error:
            if words.get("cursor") is None:
                raise
            remedy = "Leave it out for the first page."
            raise RequestError("cursor: this is none of this search", remedy=remedy) from error
        return _answer({**asdict(found), "next": found.cursor})

    async def suggest(self, request: Request) -> Response:
        """What a text that is being typed may become."""
        caller, tables = await self._enter(request)
        words = check_words(request.scope["query_string"].decode("latin-1"), ("q", "in", "limit"))
        found = await self.context.app.search.suggest(
            _read_text(words),
            user_id=caller.user_id,
            tenant_id=caller.tenant_id,
            types=_read_tables(words.get("in"), tables),
            limit=_read_limit(words.get("limit"), MAX_SUGGESTIONS),
        )
        return _answer({"suggestions": [asdict(each) for each in found]})

    async def _enter(self, request: Request) -> tuple[Caller, list[str]]:
        """The caller, and the tables that it may search."""
        caller = await self.context.find_caller(request)
        tables = self.tables
        if caller.user_id is None:
            resources = self.context.rules.resources
            tables = [name for name in tables if resources[name].is_public]
        if not tables:
            raise TokenError("a token is needed")
        return caller, tables


def describe_search() -> JsonMap:
    """What OpenAPI says of `/api/search`."""
    hit = {
        "type": "object",
        "required": ["type", "id", "title", "snippet", "score", "metadata", "next"],
        "properties": {
            **{name: {"type": "string"} for name in ("type", "title", "snippet", "next")},
            "id": {},
            "score": {"type": "number"},
            "metadata": {"type": "object"},
        },
    }
    answer = {
        "type": "object",
        "required": ["results", "total", "execution_time_ms"],
        "properties": {
            "results": {"type": "array", "items": hit},
            "total": {"type": "integer"},
            "estimated": {"type": "boolean"},
            "inexact": {"type": "boolean"},
            "execution_time_ms": {"type": "number"},
            **{name: {"type": ["string", "null"]} for name in _TEXTS},
        },
    }
    cursor = _parameter("cursor", "`next` of the page before.")
    asked = [_parameter("q", "What to search for.", "an application"), cursor]
    return _describe(asked, MAX_LIMIT, answer)


def describe_suggest() -> JsonMap:
    """What OpenAPI says of `/api/suggest`."""
    text = {"text": {"type": "string"}, "type": {"enum": ["query", "word", "title"]}}
    suggestion = {"type": "object", "required": ["text", "type"], "properties": text}
    answer = {
        "type": "object",
        "required": ["suggestions"],
        "properties": {"suggestions": {"type": "array", "items": suggestion}},
    }
    return _describe([_parameter("q", "What is typed so far.", "appl")], MAX_SUGGESTIONS, answer)


def _describe(asked: list[JsonMap], most: int, answer: JsonMap) -> JsonMap:
    limit = {"type": "integer", "minimum": 1, "maximum": most, "default": LIMIT}
    problems = ("400", "401", "403", "429", "503", "504")
    content = {"application/json": {"schema": answer}}
    q, *others = asked
    return {
        "parameters": [
            {**q, "required": True},
            _parameter("in", "Only these tables, with commas between them."),
            {**_parameter("limit", "How many at most."), "schema": limit},
            *others,
        ],
        "responses": {
            "200": {"description": "What was found.", "content": content},
            **{status: {"description": "A problem."} for status in problems},
        },
        "security": [{}, {"bearer": []}],
    }


def _parameter(name: str, about: str, example: str | None = None) -> JsonMap:
    found: JsonMap = {"name": name, "in": "query", "description": about}
    found["schema"] = {"type": "string"}
    return found if example is None else {**found, "example": example}


def _read_text(words: Mapping[str, str]) -> str:
    if "q" not in words:
        raise RequestError("q is missing", remedy="Write ?q= and what to search for.")
    return words["q"]


def _read_tables(text: str | None, known: list[str]) -> list[str]:
    if text is None:
        return known
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in known:
            raise RequestError(f"in: {show(name)} is not searched", remedy=nearest(name, known))
    return names or known


def _read_limit(text: str | None, most: int) -> int:
    if text is None:
        return LIMIT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most):
        raise RequestError("limit: this is no number of hits", remedy=f"Write 1 to {most}.")
    return int(text)


def _answer(body: Mapping[str, object]) -> Response:
    text = json.dumps(body, ensure_ascii=False, default=_write)
    return Response(text.encode(), headers=_PRIVATE, media_type="application/json")


def _write(value: object) -> object:
    """A value of a row as JSON has it; a decimal that no float equals is a text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal) and value.is_finite():
        return float(value) if Decimal(repr(float(value))) == value else str(value)
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)
