"""Problems: errors as answers, in the form of RFC 9457. No text of the server is in one."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from assise.errors import (
    AssiseError,
    BusyError,
    CollectionError,
    DeniedError,
    DuplicateKeyError,
    ForbiddenError,
    KeysError,
    LimitError,
    RedisError,
    RefusedDocumentError,
    RefusedError,
    RequestError,
    SerializationError,
    SlowError,
    TargetError,
    TokenError,
    ViolationError,
)

Endpoint = Callable[[Request], Awaitable[Response]]
MEDIA_TYPE = "application/problem+json"


class ErrorAnswer(NamedTuple):
    """The status of a class of errors, and what is said; empty where the error says it."""

    status: int
    detail: str = ""
    retry_after_s: int = 0


class RateError(RequestError):
    """A caller who has sent too many requests, and may send more in `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(
            message, status=429, remedy="Send fewer, or wait: Retry-After says how long."
        )
        self.retry_after_s = retry_after_s


_AGAIN = "the request may succeed when it is sent again"
ANSWERS: Mapping[type[AssiseError], ErrorAnswer] = {
    TokenError: ErrorAnswer(401),
    ForbiddenError: ErrorAnswer(403),
    KeysError: ErrorAnswer(503),
    DuplicateKeyError: ErrorAnswer(409, "another row has one of these values already"),
    ViolationError: ErrorAnswer(422, "the database refuses these values"),
    RefusedError: ErrorAnswer(422, "the database refuses these values"),
    LimitError: ErrorAnswer(422, "the row is too large"),
    DeniedError: ErrorAnswer(403, "a rule refuses this row"),
    BusyError: ErrorAnswer(503, _AGAIN, 1),
    SerializationError: ErrorAnswer(503, _AGAIN, 1),
    RedisError: ErrorAnswer(503, "Redis cannot be asked now", 1),
    SlowError: ErrorAnswer(504, "the request took too long"),
    RefusedDocumentError: ErrorAnswer(422, "the database refuses these values"),
    CollectionError: ErrorAnswer(503, "the database cannot be asked now", 1),
    TargetError: ErrorAnswer(503, "the database cannot be asked now", 1),
    AssiseError: ErrorAnswer(500, "the application is not set up for this"),
}
"""By class; that of a class without one is that of the class above it."""

TITLES = {
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def find_answer(error: AssiseError) -> ErrorAnswer:
    """What is answered to an error."""
    if isinstance(error, RequestError):
        return ErrorAnswer(error.status, retry_after_s=getattr(error, "retry_after_s", 0))
    found = next(ANSWERS[each] for each in type(error).__mro__ if each in ANSWERS)
    state = getattr(error.__cause__, "sqlstate", None) or ""
    if state in {"23503", "23001"}:
        return ErrorAnswer(
            409, "another row refers to this one, or this one to a row that is not there"
        )
    if isinstance(error, RefusedError) and state.startswith("42"):
        return ErrorAnswer(500, "the tables are not as the manifest has them")
    if isinstance(error, KeysError):
        return found._replace(retry_after_s=error.retry_after_s)
    return found


def answer_error(error: AssiseError) -> Response:
    """An error as an answer."""
    answer = find_answer(error)
    headers = {}
    if answer.status == 401:
        said = error.message.replace('"', "'").encode("ascii", "replace").decode()
        headers["WWW-Authenticate"] = f'Bearer error="invalid_token", error_description="{said}"'
    if answer.retry_after_s:
        headers["Retry-After"] = str(answer.retry_after_s)
    facts: dict[str, object] = {}
    if not answer.detail and error.remedy:
        facts["remedy"] = error.remedy
    if isinstance(error, RequestError) and error.problems:
        facts["errors"] = error.problems
    return make_problem(answer.status, answer.detail or error.message, headers, **facts)


def make_problem(
    status: int, detail: str, headers: Mapping[str, str] = {}, **facts: object
) -> Response:
    """An answer that says what is wrong."""
    body = {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        **facts,
    }
    kept = {"Cache-Control": "no-store", **headers}
    return Response(json.dumps(body), status, headers=kept, media_type=MEDIA_TYPE)


def answering(work: Endpoint) -> Endpoint:
    """An endpoint that answers errors as problems."""

    async def answer(request: Request) -> Response:
        try:
            return await work(request)
        except AssiseError as error:
            return answer_error(error)
        except ClientDisconnect:
            return make_problem(400, "the body did not arrive")

    return answer
