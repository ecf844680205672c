"""`assise mcp`: tools for agents, with the rights of a user, on standard input and output."""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer

from assise.cli.nouns import NOUNS
from assise.cli.options import ManifestOption, TenantOption, UserOption, add_command
from assise.errors import UsageError
from assise.settings import TOKEN, read_setting

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=NOUNS["mcp"].help)


@add_command(app, "assise mcp --user 507f1f77-bcf8-86cd-8799-430007000000")
def mcp(
    context: typer.Context,
    manifest: ManifestOption = Path(),
    *,
    user: UserOption = None,
    tenant: TenantOption = None,
) -> int:
    """Give agents tools over MCP, with the rights of a user: search, similar, ask, tables."""
    del context
    asyncio.run(_serve(manifest, user, tenant))
    return 0


async def _serve(manifest: Path, user: str | None, tenant: str | None) -> None:
    from assise.app import App
    from assise.search.chat.agent import AgentTools, make_agent_server

    async with App(manifest) as opened:
        if user is None:
            token = read_setting(TOKEN)
            if not token:
                raise UsageError(
                    "an agent has the rights of a user, and none is given",
                    remedy=f"Give --user, or a token in {TOKEN.variable}.",
                )
            caller = await opened.callers.find(f"Bearer {token}")
            user, tenant = caller.user_id, caller.tenant_id
        tools = AgentTools(opened.chat, user, tenant)
        await make_agent_server(tools).run_stdio_async()
