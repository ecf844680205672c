"""Chat over HTTP: answers as JSON and as events, turns that are kept, and whose they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from mcp import Client as AgentClient
from mcp.client.streamable_http import streamable_http_client
from tests.api.scene import HEAD, IDENTITY, TABLES, Client, load_scene, serve, sign, user_id
from tests.scenes.databases import Databases
from tests.search.chat.answering import AnsweringServer, serve_answers

from assise.project import Project

SEARCHED = TABLES.replace(
    "    soft_delete: true\n",
    "    soft_delete: true\n    search: {title: name, body: [status], language: en}\n",
)
KEPT = """  conversations:
    primary_key: id
    access: {owner: user_id}
    columns:
      id: {type: uuid, default: gen_random_uuid()}
      user_id: {type: uuid, references: users}
  messages:
    primary_key: id
    access: {owner: user_id}
    columns:
      id: {type: uuid, default: gen_random_uuid()}
      user_id: {type: uuid, references: users}
      conversation_id: {type: uuid, references: conversations}
      role: text
      content: text
      sent_at: timestamptz
  unserved:
    primary_key: id
    access: {owner: user_id}
    search: {title: name, language: en}
    columns:
      id: {type: uuid, default: gen_random_uuid()}
      user_id: {type: uuid, references: users}
      name: text
"""
EVENTS = {"accept": "text/event-stream"}


@dataclass(frozen=True)
class Chatting:
    """A client, its database and the model."""

    client: Client
    conninfo: str
    model: AnsweringServer
    socket: Path

    def say(self, user: int | None, message: object, **fields: object) -> Any:  # noqa: ANN401
        """What is answered."""
        return self.client.send(user, "POST", "/api/chat", json={"message": message, **fields})

    def read_turns(self) -> list[tuple[Any, ...]]:
        """All turns that are kept."""
        with psycopg.connect(self.conninfo) as connection:
            text = "SELECT conversation_id::text, user_id::text, role, content FROM messages"
            return connection.execute(f"{text} ORDER BY sent_at").fetchall()


@pytest.fixture(scope="module")
def model() -> Iterator[AnsweringServer]:
    with serve_answers() as answers:
        yield answers


@pytest.fixture(scope="module")
def chatting(
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
    short_folder: Path,
    model: AnsweringServer,
) -> Iterator[Chatting]:
    folder = tmp_path_factory.mktemp("chat")
    chat = (
        f"chat: {{model: {{base_url: '{model.url}', model: m}},"
        " conversations: conversations, messages: messages}\n"
    )
    with load_scene(databases, folder, f"{HEAD}{IDENTITY}{chat}{SEARCHED}{KEPT}") as scene:
        Project(folder, to=scene.conninfo).search.build()
        with serve(folder, scene.conninfo, short_folder / "chat.sock") as client:
            yield Chatting(client, scene.conninfo, model, short_folder / "chat.sock")


def test_rows_that_are_embedded_alone_answer_too(
    databases: Databases, tmp_path: Path, short_folder: Path, model: AnsweringServer
) -> None:
    chat = f"chat: {{model: {{base_url: '{model.url}', model: m}}}}\n"
    embedded = TABLES.replace(
        "    soft_delete: true\n", "    soft_delete: true\n    embed: [name]\n"
    )
    with load_scene(databases, tmp_path, f"{HEAD}{IDENTITY}{chat}{embedded}") as scene:
        Project(tmp_path, to=scene.conninfo).search.embed()
        with serve(tmp_path, scene.conninfo, short_folder / "embedded.sock") as client:
            answer = client.send(0, "POST", "/api/chat", json={"message": "project 07"})
            assert answer.status_code == 200, answer.text
            found = answer.json()
            assert found["is_answered"]
            assert found["sources"][0]["type"] == "projects"
            assert "project 07" in found["contexts_used"][0]["text"]
            nobody = client.send(0, "GET", "/api/search?q=project")
            assert nobody.status_code == 404


def test_an_answer_is_kept_and_goes_on_under_the_rules_of_its_user(chatting: Chatting) -> None:
    before = len(chatting.read_turns())
    first = chatting.say(0, "project 07")
    assert first.status_code == 200, first.text
    body = first.json()
    assert body["is_answered"]
    assert body["sources"][0]["title"] == "project 07"
    assert "[1]" in body["response"]
    conversation = body["conversation_id"]
    second = chatting.say(0, "and its status?", conversation_id=conversation).json()
    assert second["conversation_id"] == conversation
    assert "project 07" in second["question"]
    assert second["sources"][0]["title"] == "project 07"
    assert "project 07" in chatting.model.prompts[-1][1]["content"].partition("</history>")[0]
    turns = chatting.read_turns()[before:]
    assert [turn[:3] for turn in turns] == [
        (conversation, user_id(0), role) for role in ("user", "assistant") * 2
    ]
    assert [turn[3] for turn in turns] == [
        "project 07",
        body["response"],
        "and its status?",
        second["response"],
    ]
    foreign = chatting.say(1, "and its status?", conversation_id=conversation)
    assert (foreign.status_code, len(chatting.read_turns())) == (400, before + 4)
    assert "no conversation" in foreign.json()["detail"]


def test_an_answer_comes_as_events(chatting: Chatting) -> None:
    answer = chatting.client.send(
        1, "POST", "/api/chat", json={"message": "project"}, headers=EVENTS
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [each.split("\n") for each in answer.text.strip().split("\n\n")]
    names = [name.removeprefix("event: ") for name, _ in events]
    told = [json.loads(data.removeprefix("data: ")) for _, data in events]
    assert names == ["text"] * (len(names) - 1) + ["answer"]
    assert len(names) > 3
    assert "".join(each["text"] for each in told[:-1]) == told[-1]["response"]
    assert {each["title"] for each in told[-1]["sources"]} <= {
        f"project {n}" for n in range(30, 35)
    }


def test_events_do_not_tell_what_the_database_says(chatting: Chatting) -> None:
    message = {"json": {"message": "project"}, "headers": EVENTS}
    with psycopg.connect(chatting.conninfo, autocommit=True) as connection:
        connection.execute("REVOKE INSERT ON messages FROM apihttp_app")
        try:
            answer = chatting.client.send(1, "POST", "/api/chat", **message)
        finally:
            connection.execute("GRANT INSERT ON messages TO apihttp_app")
    name, data = answer.text.strip().split("\n\n")[-1].split("\n")
    assert name == "event: problem"
    assert json.loads(data.removeprefix("data: ")) == {"detail": "a rule refuses this row"}


def test_a_model_that_is_busy_gives_what_was_found(chatting: Chatting) -> None:
    chatting.model.mode = "busy"
    try:
        body = chatting.say(0, "project 07").json()
    finally:
        chatting.model.mode = "answer"
    assert not body["is_answered"]
    assert "status 429" in body["problem"]
    assert body["response"].startswith("[1] project 07")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"message": ""}, 422),
        ({"message": "  "}, 400),
        ({"message": 7}, 422),
        ({"message": "x" * 20_001}, 422),
        ({"message": "x", "other": 1}, 422),
        ({"message": "x", "tables": ["users"]}, 400),
        ({"message": "x", "conversation_id": "none"}, 400),
        ({"message": "x", "conversation_id": user_id(0)}, 400),
        ({}, 422),
    ],
)
def test_messages_that_cannot_be_answered(
    chatting: Chatting, fields: dict[str, object], status: int
) -> None:
    answer = chatting.client.send(0, "POST", "/api/chat", json=fields)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]


def test_nobody_chats_without_a_token(chatting: Chatting) -> None:
    assert chatting.say(None, "project").status_code == 401
    broken = chatting.client.send(0, "POST", "/api/chat", content=b"{")
    assert broken.status_code == 400


def test_agents_call_tools_with_the_rights_of_their_tokens(chatting: Chatting) -> None:
    async def run(user: int) -> None:
        headers = {"Authorization": f"Bearer {sign(user_id(user))}"}
        transport = httpx2.AsyncHTTPTransport(uds=str(chatting.socket))
        async with httpx2.AsyncClient(transport=transport, headers=headers, timeout=60) as http:
            path = streamable_http_client("http://localhost/mcp", http_client=http)
            async with AgentClient(path) as agent:
                names = {each.name for each in (await agent.list_tools()).tools}
                assert names == {"ask", "search", "similar", "tables"}
                found = await agent.call_tool("search", {"query": "project", "limit": 50})
                titles = {each["title"] for each in found.structured_content["results"]}
                own = {f"project {n:02}" for n in range(5)}
                assert titles
                assert titles.isdisjoint(own) == (user != 0)
                answer = await agent.call_tool("ask", {"question": "project"})
                assert answer.structured_content["is_answered"]
                told = await agent.call_tool("tables", {})
                assert [*told.structured_content["tables"]] == ["projects"]
                for other in ("messages", "unserved"):
                    asked = {"query": "x", "tables": [other]}
                    assert (await agent.call_tool("search", asked)).is_error
                odd = await agent.call_tool("similar", {"table": "projects", "id": "odd"})
                assert odd.is_error
                assert "is no key of table projects" in str(odd.content)
                assert "postgresql:" not in str(odd.content)

    async def run_both() -> None:
        await asyncio.gather(run(0), run(1), run(0))

    asyncio.run(run_both())


def test_what_is_no_call_of_an_agent_is_refused(chatting: Chatting) -> None:
    client, accepts = chatting.client, {"accept": "application/json, text/event-stream"}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert client.send(None, "POST", "/mcp", json=asked, headers=accepts).status_code == 401
    assert client.send(0, "GET", "/mcp", headers=accepts).status_code == 405
    other = {"accept": "text/html"}
    assert client.send(0, "POST", "/mcp", json=asked, headers=other).status_code == 406
    for body in (b"", b"{", b"[]", b"7", b"\xff", b"[" * 9_000):
        headers = {**accepts, "content-type": "application/json"}
        assert client.send(0, "POST", "/mcp", content=body, headers=headers).status_code == 400
    long = b" " * 20_000_000
    assert client.send(0, "POST", "/mcp", content=long, headers=accepts).status_code == 413
    assert client.send(0, "POST", "/mcp", json=asked, headers=accepts).status_code == 200
    metrics = client.send(None, "GET", "/metrics").text
    assert 'requests_total{method="POST",route="/mcp",status="401"}' in metrics
