"""The page `/docs`: every operation, from the OpenAPI document. It loads nothing from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
summary{cursor:pointer;font-family:monospace;padding:.3rem 0}
pre{background:#8881;padding:.5rem;overflow:auto}
td{padding:0 1rem 0 0;vertical-align:top}
:root{color-scheme:light dark}"""


def add_docs(web: FastAPI) -> None:
    """Add the page to an application."""

    async def show(_request: Request) -> HTMLResponse:
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return HTMLResponse("\n".join(write_page(web.openapi())), headers=policy)

    web.add_route("/docs", show, include_in_schema=False)


def write_page(document: dict[str, Any]) -> Iterator[str]:
    """The lines of the page."""
    title = escape(document["info"]["title"])
    yield f"<!doctype html><meta charset=utf-8><title>{title}</title><style>{STYLE}</style>"
    yield f"<h1>{title}</h1><p><a href=openapi.json>openapi.json</a></p>"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"<details><summary><b>{method.upper()}</b> {escape(path)}</summary>"
            yield from _write_operation(operation)
            yield "</details>"


def _write_operation(operation: dict[str, Any]) -> Iterator[str]:
    parameters = operation.get("parameters", [])
    if parameters:
        yield "<table>"
    for each in parameters:
        cells = (each["name"], each["in"], each.get("description", ""), each.get("example", ""))
        yield f"<tr>{''.join(f'<td>{escape(str(cell))}' for cell in cells)}"
    if parameters:
        yield "</table>"
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield f"<pre>{escape(json.dumps(content.get('example'), indent=2))}</pre>"
    for status, answer in operation["responses"].items():
        yield f"<div>{escape(status)} {escape(answer.get('description', ''))}</div>"
