"""The routes of a manifest: its resources, health, and what OpenAPI says of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette import routing
from starlette.responses import Response

from assise.api.agent import MCP, AgentEndpoint
from assise.api.capture import find_capture
from assise.api.chat import ChatEndpoints, describe_chat
from assise.api.context import Context
from assise.api.describe import describe_operation
from assise.api.health import LIVE, Health, read_live
from assise.api.problems import Endpoint, answering
from assise.api.resources import RESTORE, TableEndpoints
from assise.api.search import SearchEndpoints, describe_search, describe_suggest
from assise.app import App
from assise.extras import is_installed
from assise.schema.resources import Resource
from assise.types.names import read_modifiers


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
                answering(route.endpoint),
                methods=[route.method],
                response_class=Response,
                name=f"{route.action} {resource.table}",
                tags=[resource.table],
                openapi_extra=describe_operation(rows, route.method, route.action),
                status_code=None,
            )

    search = SearchEndpoints(context)
    described = {
        "search": (search.search, describe_search()),
        "suggest": (search.suggest, describe_suggest()),
    }
    for name, (endpoint, description) in described.items():
        if search.tables and name not in context.rules.resources:
            router.add_api_route(
                f"/api/{name}",
                answering(endpoint),
                methods=["GET"],
                response_class=Response,
                name=name,
                tags=["search"],
                openapi_extra=description,
                status_code=None,
            )

    chat = ChatEndpoints(context)
    if chat.tables and "chat" not in context.rules.resources:
        router.add_api_route(
            "/api/chat",
            answering(chat.chat),
            methods=["POST"],
            response_class=Response,
            name="chat",
            tags=["search"],
            openapi_extra=describe_chat(),
            status_code=None,
        )
    if chat.tables and is_installed("mcp"):
        router.routes.append(
            routing.Route(MCP, AgentEndpoint(context), methods=["POST"], name="mcp")
        )
    if capture := find_capture(app):
        router.routes.extend(capture.list_routes())
    router.add_api_route("/health", Health(app).read, methods=["GET"], tags=["health"])
    router.add_api_route(LIVE, read_live, methods=["GET"], tags=["health"])
    for each in [*router.routes]:
        if isinstance(each, APIRoute) and each.methods == {"GET"}:
            head = partial(router.add_api_route, each.path, each.endpoint, methods=["HEAD"])
            head(name=each.name, response_class=Response, include_in_schema=False)
    return router


def list_routes(rows: TableEndpoints) -> Iterator[Route]:
    """What a table offers, by its manifest."""
    resource = rows.resource
    path = f"/api/{resource.table}"
    parts = [f"{{key{n}{_converter(resource, name)}}}" for n, name in enumerate(resource.key)]
    one = "/".join([path, *parts])
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
        yield Route("POST", f"{one}{RESTORE}", "restore", rows.restore)


def _converter(resource: Resource, name: str) -> str:
    """How a part of a path is matched: slashes are for texts alone."""
    base, _ = read_modifiers(resource.fields[name].type)
    return ":path" if base in {"text", "varchar", "citext"} else ""
