"""The application that `assise serve` runs: the routes, and what surrounds each request."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from assise import __version__
from assise.api.docs import add_docs
from assise.api.edge import METHODS, make_edge
from assise.api.problems import TITLES, answer_error, make_problem
from assise.api.values import MAX_PROBLEMS
from assise.app import App, Asgi
from assise.errors import AssiseError


def make_application(app: App) -> Asgi:
    """The application of a manifest, with all that surrounds a request.

    Raises:
        UsageError: there is no manifest. ManifestError: it cannot be used.
    """
    return make_edge(app, make_web(app))


def make_web(app: App) -> FastAPI:
    """The routes of a manifest alone, as a FastAPI application."""
    web = FastAPI(
        title=app.manifest.name,
        version=__version__,
        lifespan=app.lifespan,
        docs_url=None,
        redoc_url=None,
    )
    web.include_router(app.router)
    add_problems(web)
    add_docs(web)
    web.openapi = cache(partial(describe, web))  # type: ignore[method-assign]
    return web


def describe(web: FastAPI) -> dict[str, Any]:
    """The OpenAPI document."""
    found: dict[str, Any] = get_openapi(title=web.title, version=web.version, routes=web.routes)
    components = found.setdefault("components", {})
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    return found


def list_methods(request: Request) -> Iterator[str]:
    """The methods that a path has by all its routes, where Starlette names those of the first."""
    for method in METHODS:
        asked = {**request.scope, "method": method}
        if any(route.matches(asked)[0] is Match.FULL for route in request.app.routes):
            yield method


def add_problems(web: FastAPI) -> None:
    """Let an application answer errors as problem details."""

    async def answer_ours(_request: Request, error: Exception) -> Response:
        return answer_error(error if isinstance(error, AssiseError) else AssiseError(""))

    async def answer_http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return make_problem(500, "something failed here")
        said = error.detail or TITLES.get(error.status_code, "")
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(list_methods(request))
        return make_problem(error.status_code, said, headers)

    async def answer_invalid(_request: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else ()
        # What was given is not repeated: it may be secret, long, or no text at all.
        problems = {".".join(map(str, each["loc"])): each["msg"] for each in found[:MAX_PROBLEMS]}
        return make_problem(422, "the request does not fit", errors=problems)

    web.add_exception_handler(AssiseError, answer_ours)
    web.add_exception_handler(RequestValidationError, answer_invalid)
    web.add_exception_handler(HTTPException, answer_http)
    web.add_exception_handler(Exception, answer_http)
