"""The routes of a manifest: its resources, health, and what OpenAPI says of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from assise.api.capture import find_capture
from assise.api.context import Context
from assise.api.describe import describe_operation
from assise.api.health import read_health, read_live
from assise.api.resources import Endpoint, TableEndpoints
from assise.app import App


class Route(NamedTuple):
    """A method of a path, what it does, and what answers it."""

    method: str
    path: str
    action: str
    endpoint: Endpoint


def make_router(app: App) -> APIRouter:
    """The routes of an application's manifest.

    Raises:
        UsageError: there is no manifest, or the secret that cursors are signed with is too short.
        ManifestError: it cannot be used.
    """
    router, context = APIRouter(), Context(app)
    deletions = {each.table: each for each in context.rules.deletions}
    for resource in context.rules.resources.values():
        rows = TableEndpoints(context, resource, deletions.get(resource.table))
        for route in list_routes(rows):
            router.add_api_route(
                route.path,
                rows.answering(route.endpoint),
                methods=[route.method],
                response_class=Response,
                name=f"{route.action} {resource.table}",
                tags=[resource.table],
                openapi_extra=describe_operation(rows, route.method, route.action),
                status_code=None,
            )

    async def health(_request: Request) -> Response:
        return await read_health(app)

    if capture := find_capture(app):
        router.routes.extend(capture.list_routes())
    router.add_api_route("/health", health, methods=["GET"], tags=["health"])
    router.add_api_route("/health/live", read_live, methods=["GET"], tags=["health"])
    return router


def list_routes(rows: TableEndpoints) -> Iterator[Route]:
    """What a table offers, by its manifest."""
    resource = rows.resource
    path = f"/api/{resource.table}"
    one = "/".join([path, *(f"{{key{n}}}" for n, _ in enumerate(resource.key))])
    yield Route("GET", path, "list", rows.list_page)
    yield Route("GET", one, "read", rows.read)
    if resource.posts:
        yield Route("POST", path, "create", rows.create)
    if resource.puts:
        yield Route("PUT", one, "put", rows.put)
    if resource.update:
        yield Route("PATCH", one, "change", rows.change)
    if resource.api.delete:
        yield Route("DELETE", one, "delete", rows.delete)
    if resource.api.restore:
        yield Route("POST", f"{one}/restore", "restore", rows.restore)
