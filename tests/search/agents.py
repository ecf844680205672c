"""A tool of an agent, called by the official client."""

from __future__ import annotations

from typing import Any

from mcp import Client


async def call(client: Client, tool: str, **arguments: object) -> Any:  # noqa: ANN401
    """Call a tool that must succeed; return what it gives."""
    found = await client.call_tool(tool, arguments)
    assert not found.is_error, found.content
    return found.structured_content
