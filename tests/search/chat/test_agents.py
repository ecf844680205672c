"""Tools for agents, asked by the official client: in this process, and over standard input and output."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import psycopg
import pytest
from mcp import Client, StdioServerParameters
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.dumps import confirm
from tests.scenes.commands import SOURCES
from tests.search.agents import call
from tests.search.chat.answering import AnsweringServer
from tests.search.chat.notes import MANIFEST, SECRETS, USERS

from assise.app import App
from assise.project import Project
from assise.search.chat.agent import AgentTools, make_agent_server
from assise.search.chat.verbs import AppChat

pytestmark = pytest.mark.contract
NAMES = ["ask", "search", "similar", "tables"]


def make_url(conninfo: str, user: str | None = None) -> str:
    """The URL of a database, for a user."""
    facts = conninfo_to_dict(conninfo)
    name = facts.pop("dbname")
    return f"postgresql:///{name}?{urlencode(facts | ({'user': user} if user else {}))}"


def test_an_agent_sees_what_its_user_sees(
    chatty: Project, database: str, model: AnsweringServer
) -> None:
    urls = {"app": make_conninfo(database, user="apptest_app")}

    async def run(user: int) -> None:
        async with App(chatty.path, urls=urls) as app:
            server = make_agent_server(AgentTools(app.chat, user))
            async with Client(server) as client:
                tools = (await client.list_tools()).tools
                assert sorted(each.name for each in tools) == NAMES
                assert all(each.description for each in tools)
                found = await call(client, "search", query="vercel", limit=3)
                best = found["results"][0]
                assert {hit["id"] % USERS for hit in found["results"]} == {user}
                alike = await call(client, "similar", table="notes", id=best["id"])
                assert alike["results"]
                as_text = await call(client, "similar", table="notes", id=str(best["id"]))
                assert as_text == alike
                assert best["id"] not in {hit["id"] for hit in alike["results"]}
                assert {hit["id"] % USERS for hit in alike["results"]} == {user}
                answer = await call(client, "ask", question="comment déployer sur Vercel ?")
                assert answer["is_answered"]
                assert SECRETS[user] in str(model.prompts[-1])
                assert SECRETS[user - 1] not in str([answer, model.prompts[-1]])
                assert [*(await call(client, "tables"))["tables"]] == ["notes"]
                foreign = await client.call_tool(
                    "similar", {"table": "notes", "id": str((user + 1) % USERS)}
                )
                assert foreign.is_error
                assert "no row" in str(foreign.content)
                several = await client.call_tool("similar", {"table": "notes", "id": [user, 1]})
                assert "no row" in str(several.content)
                for key in ("x", "", "9" * 30, "1\0", "\ud800"):
                    refused = await client.call_tool("similar", {"table": "notes", "id": key})
                    assert "is no key of table notes" in str(refused.content)
                    assert "apptest" not in str(refused.content)
                for tool, name in (("search", "query"), ("ask", "question")):
                    long = await client.call_tool(tool, {name: "vercel " * 3_000})
                    assert "more than 20,000 characters" in str(long.content)
                unknown = await client.call_tool("search", {"query": "x", "tables": ["users"]})
                assert unknown.is_error

    for user in range(2):
        asyncio.run(run(user))


def test_a_table_that_is_not_served_is_not_reached(
    chatty: Project, database: str, model: AnsweringServer
) -> None:
    async def run() -> None:
        app = App(chatty.path, urls={"app": make_conninfo(database, user="apptest_app")})
        async with app, Client(make_agent_server(AgentTools(app.chat, 1, served=[]))) as client:
            assert (await call(client, "tables"))["tables"] == {}
            for tool, asked in (
                ("search", {"query": "vercel", "tables": ["notes"]}),
                ("similar", {"table": "notes", "id": "1"}),
                ("ask", {"question": "vercel", "tables": ["notes"]}),
            ):
                refused = await client.call_tool(tool, asked)
                assert "table 'notes' is not searched" in str(refused.content)
        assert model.prompts == []

    asyncio.run(run())


def test_an_agent_is_told_of_the_columns_that_its_user_reads(
    chatty: Project, database: str
) -> None:
    """Those of `api`, as far as the server lets the role read them."""
    place = "    access: {owner: user_id}\n"
    served = f"{place}    api: {{read: [title]}}\n"
    chatty.path.write_text(chatty.path.read_text().replace(place, served))
    chatty.load(None, confirm=confirm)

    async def run() -> Any:  # noqa: ANN401
        app = App(chatty.path, urls={"app": make_conninfo(database, user="apptest_app")})
        async with app, Client(make_agent_server(AgentTools(app.chat, 1))) as client:
            return (await call(client, "tables"))["tables"]

    assert asyncio.run(run()) == {"notes": ["id", "title"]}
    with psycopg.connect(database, autocommit=True) as session:
        session.execute("REVOKE SELECT ON notes FROM apptest_app")
        assert asyncio.run(run()) == {}
        session.execute("GRANT SELECT (title) ON notes TO apptest_app")
        assert asyncio.run(run()) == {"notes": ["title"]}


def test_an_agent_is_not_told_where_the_database_is(chatty: Project, database: str) -> None:
    async def run() -> None:
        urls = {"app": make_conninfo(database, user="apptest_app", dbname="apptest_gone")}
        app = App(chatty.path, urls=urls)
        async with app, Client(make_agent_server(AgentTools(app.chat, 1))) as client:
            for tool, name in (("search", "query"), ("ask", "question")):
                refused = await client.call_tool(tool, {name: "vercel"})
                assert "cannot be asked now" in str(refused.content)
                assert "apptest" not in str(refused.content)

    asyncio.run(run())


def test_the_command_speaks_on_standard_input_and_output(
    notes: Project, database: str, tmp_path: Path
) -> None:
    urls = f"postgres: {{main: {{url: '{make_url(database)}', app: '{make_url(database, 'apptest_app')}'}}}}\n"
    notes.path.write_text(MANIFEST.replace("tables:\n", f"{urls}tables:\n", 1))
    environ = {**os.environ, "PYTHONPATH": SOURCES}
    command = ["-m", "assise", "mcp", "--manifest", str(notes.path), "--user", "1"]
    asked = StdioServerParameters(command=sys.executable, args=command, env=environ, cwd=tmp_path)

    async def run() -> None:
        async with Client(asked) as client:
            found = await call(client, "search", query="vercel")
            assert {hit["id"] % USERS for hit in found["results"]} == {1}
            answer = await call(client, "ask", question="vercel")
            assert not answer["is_answered"]
            assert answer["sources"]

    asyncio.run(run())


def test_the_logging_of_the_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    level = root.level
    make_agent_server(AgentTools(cast(AppChat, None)))
    assert root.handlers == []
    assert root.level == level
