"""Tools of an agent on tables with keys of several columns."""

from __future__ import annotations

import asyncio

from mcp import Client
from psycopg.conninfo import make_conninfo
from tests.search.agents import call

from assise.app import App
from assise.project import Project
from assise.search.chat.agent import AgentTools, make_agent_server


def test_a_key_of_several_columns_is_given_as_hits_have_it(library: Project, database: str) -> None:
    async def run() -> None:
        app = App(library.path, urls={"app": make_conninfo(database, user="apptest_app")})
        async with app, Client(make_agent_server(AgentTools(app.chat, 7))) as client:
            found = await call(client, "search", query="w0 w1 w2", tables=["pages"])
            first, *others = [hit["id"] for hit in found["results"]]
            assert len(first) == 2
            assert others
            alike = await call(client, "similar", table="pages", id=first)
            assert alike["results"]
            assert first not in [hit["id"] for hit in alike["results"]]

    asyncio.run(run())
