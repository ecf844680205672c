"""The routes that PostHog's SDKs send to, below the path of `analytics.capture`."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from assise.analytics.capture import answers
from assise.analytics.capture.bodies import MAX_BODY, read_body
from assise.analytics.capture.events import SentBatch, read_batch, read_fields
from assise.analytics.event import Event
from assise.api.problems import Endpoint
from assise.app import App
from assise.errors import RequestError, SpoolError, UsageError
from assise.manifest.sections.access import ROLES
from assise.manifest.sections.analytics import ANALYTICS
from assise.settings import expand

FREE_BODY, FREE_TEXT = 1 << 18, 1 << 20
"""Bytes of a body, and of its text, that are held for each request; longer ones come in turn."""

TURN_S = 20.0
"""How long a long body may take to come, when it is its turn."""

_EVENTS = ("batch", "e", "i/v0/e", "track", "engage", "capture", "i/v0/ai", "i/v0/ai/batch")
_V1 = "i/v1/analytics/events"
_DEFINITIONS = ("flags/definitions", "api/feature_flag/local_evaluation")
_REMOTE = "api/projects/{project}/feature_flags/{flag}/remote_config"
_METHODS = ["GET", "POST", "OPTIONS"]

Keep = Callable[[list[Event]], Awaitable[None]]
"""What keeps events: once it returns they are never lost."""


@dataclass
class EventReceiver:
    """What answers the SDKs; `keys` are those that they may send with.

    Args:
        path: the path that the SDKs have as their host, such as `/ingest`.
        origins: those whose pages may read the answers, or `*`.
    """

    path: str
    keys: frozenset[str]
    origins: frozenset[str]
    keep: Keep
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def list_routes(self) -> Iterator[Route]:
        """Each route with and without a slash at its end."""
        found: list[tuple[str, Endpoint]] = [(each, self.take) for each in (*_EVENTS, _V1)]
        found += [(each, self.find_flags) for each in ("flags", "decide")]
        found += [(each, self.find_definitions) for each in _DEFINITIONS]
        found += [("s", self.ignore), (_REMOTE, self.find_remote)]
        found += [("array/{token}/config", self.find_config)]
        found += [("array/{token}/config.js", self.find_script)]
        for place, endpoint in found:
            for path in (f"{self.path}/{place}", f"{self.path}/{place}/"):
                yield Route(path, self._answering(endpoint), methods=_METHODS)

    def _answering(self, endpoint: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            if request.method == "OPTIONS":
                found: Response = Response(status_code=200)
            else:
                try:
                    found = await endpoint(request)
                except RequestError as error:
                    detail = {"type": "validation_error", "detail": error.message}
                    found = JSONResponse(detail, error.status)
                except SpoolError:
                    again = {"type": "server_error", "detail": "no event can be kept now"}
                    found = JSONResponse(again, 503, {"Retry-After": "5"})
            found.headers.update(self._find_headers(request))
            return found

        return answer

    def _find_headers(self, request: Request) -> dict[str, str]:
        """What lets a page of another origin read the answer."""
        origin = request.headers.get("origin")
        if origin is None:
            return {}
        if origin not in self.origins and "*" not in self.origins:
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
            "Access-Control-Allow-Headers": request.headers.get(
                "access-control-request-headers", "Content-Type, Authorization"
            )[:1000],
            "Access-Control-Max-Age": "600",
            "Vary": "Origin",
        }

    async def take(self, request: Request) -> Response:
        """Keep the events of a request, and only then answer 200."""
        start = await _Body(request).read(FREE_BODY)
        text = _read_text(start, request) if start.is_whole else None
        if text is not None:
            return await self._keep(request, self._read(request, text))
        async with self._turn:
            try:
                async with asyncio.timeout(TURN_S):
                    await start.read(MAX_BODY)
            except TimeoutError:
                raise RequestError("the body takes too long", status=408) from None
            if not start.is_whole:
                raise RequestError(f"the body has more than {MAX_BODY:,} bytes", status=413)
            batch = await asyncio.to_thread(lambda: self._read(request, start.text()))
            return await self._keep(request, batch)

    def _read(self, request: Request, text: str) -> SentBatch:
        sent_at = request.query_params.get("sent_at") or request.query_params.get("_")
        return read_batch(text, now=dt.datetime.now(dt.UTC), sent_at=sent_at)

    async def _keep(self, request: Request, batch: SentBatch) -> Response:
        if not self._knows({*batch.keys, *_find_keys(request), *_find_bearer(request)}):
            return JSONResponse(answers.UNKNOWN_KEY, 401)
        if batch.events:
            await self.keep(batch.events)
        if _is_newest(request):
            return JSONResponse(answers.answer_results(each.uuid for each in batch.events))
        answer = answers.STORED_I if "/i/v0/e" in request.url.path else answers.STORED
        told = {"malformed": batch.malformed} if batch.malformed else {}
        return JSONResponse({**answer, **told})

    def _knows(self, given: Iterable[str]) -> bool:
        """Whether there is a key, and none that is unknown."""
        keys = set(given)
        return bool(keys) and keys <= self.keys

    async def find_flags(self, request: Request) -> Response:
        """There are no flags."""
        body = await _Body(request).read(FREE_BODY)
        if not body.is_whole:
            raise RequestError(f"the body has more than {FREE_BODY:,} bytes", status=413)
        fields = read_fields(body.text() if body.data or "data" in request.query_params else "")
        given = [fields.get(name) for name in ("api_key", "token", "$token")]
        keys = [each for each in given if isinstance(each, str)]
        if not self._knows([*keys, *_find_keys(request)]):
            return JSONResponse(answers.UNKNOWN_KEY, 401)
        is_decide = request.url.path.rstrip("/").endswith("decide")
        now = dt.datetime.now(dt.UTC)
        return JSONResponse(
            answers.answer_flags(request.query_params, is_decide=is_decide, now=now)
        )

    async def find_definitions(self, request: Request) -> Response:
        """There are no flags to evaluate, and that does not change."""
        if not self._knows(_find_keys(request)):
            return JSONResponse(answers.UNKNOWN_KEY, 401)
        headers = {"ETag": answers.ETAG}
        if request.headers.get("if-none-match") == answers.ETAG:
            return Response(status_code=304, headers=headers)
        return JSONResponse(answers.DEFINITIONS, headers=headers)

    async def find_remote(self, request: Request) -> Response:
        """A flag has no configuration."""
        if not self._knows(_find_keys(request)):
            return JSONResponse(answers.UNKNOWN_KEY, 401)
        return JSONResponse(None)

    async def find_config(self, request: Request) -> Response:
        """What posthog-js needs to know before it sends."""
        if not self._knows([request.path_params["token"]]):
            return JSONResponse(answers.UNKNOWN_KEY, 401)
        return JSONResponse(answers.CONFIG)

    async def find_script(self, request: Request) -> Response:
        """The same as a script, which pages load that take it from a `<script>`."""
        token = request.path_params["token"]
        if not self._knows([token]):
            return JSONResponse(answers.UNKNOWN_KEY, 401)
        return Response(answers.write_script(token), media_type="application/javascript")

    async def ignore(self, request: Request) -> Response:
        """Take a recording of a session, and keep nothing of it."""
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY:
                raise RequestError(f"the body has more than {MAX_BODY:,} bytes", status=413)
        return JSONResponse(answers.STORED)


def find_capture(app: App) -> EventReceiver | None:
    """The receiver of an application's manifest; None where it has none.

    Raises:
        UsageError: a variable of its keys is not set, or there is no role that keeps events.
    """
    analytics = ANALYTICS.of(app.manifest)
    if analytics is None or analytics.capture is None:
        return None
    if ROLES.of(app.manifest) is None:
        raise UsageError(
            "analytics.capture keeps events as the role app, and the manifest has no roles",
            remedy="Write roles: {prefix: NAME}.",
        )
    keys = [expand(each).strip() for each in analytics.capture.keys]
    if not any(keys):
        raise UsageError(
            "analytics.capture.keys are empty, so no SDK could send",
            remedy="Set the variables that it names to keys such as phc_… of your own.",
        )
    given, keep = analytics.capture, app.tracking.keep
    return EventReceiver(given.path, frozenset(filter(None, keys)), frozenset(given.origins), keep)


def _find_keys(request: Request) -> list[str]:
    """The keys in the URL."""
    named = [request.query_params.get(name) for name in ("token", "api_key")]
    return [each for each in named if each]


def _find_bearer(request: Request) -> list[str]:
    """The key in the header, which the newest form of sending has there."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    is_key = _is_newest(request) and scheme.lower() == "bearer"
    return [key.strip()] if is_key else []


def _is_newest(request: Request) -> bool:
    return request.url.path.rstrip("/").endswith(_V1)


def _read_text(body: _Body, request: Request) -> str | None:
    """The text of a body, where it is short; None where it has to wait for its turn."""
    try:
        return read_body(bytes(body.data), request.headers, request.query_params, FREE_TEXT)
    except RequestError as error:
        if error.status != 413:
            raise
        return None


@dataclass
class _Body:
    """The body of a request, of which as much is held as has been read."""

    request: Request
    data: bytearray = field(default_factory=bytearray)
    is_whole: bool = False

    def __post_init__(self) -> None:
        self._parts = aiter(self.request.stream())

    async def read(self, limit: int) -> _Body:
        """Read on, until it is whole or longer than the limit."""
        while not self.is_whole and len(self.data) <= limit:
            part = await anext(self._parts, None)
            self.is_whole = part is None
            self.data += part or b""
        return self

    def text(self) -> str:
        """Its text."""
        return read_body(bytes(self.data), self.request.headers, self.request.query_params)
