"""Tools of agents over HTTP: the protocol MCP at `/mcp`, each request with the rights of its token."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope, Send

from assise.api.chat import ChatEndpoints
from assise.api.context import Context
from assise.api.problems import answer_error
from assise.errors import AssiseError, TokenError
from assise.extras import load
from assise.search.chat.agent import AgentTools, make_agent_server

MCP = "/mcp"


@dataclass(frozen=True)
class AgentEndpoint:
    """Answers each request by a server of its own, so that none has the rights of another one."""

    context: Context
    path: str = MCP

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; a session of the protocol is not kept."""
        scope["route"] = self  # as FastAPI's routes do: the log names it
        request = Request(scope, receive)
        try:
            caller = await self.context.find_caller(request)
            if caller.user_id is None:
                raise TokenError("a token is needed")
            body = await self.context.read_body(request)
            served = ChatEndpoints(self.context).tables
            chat = self.context.app.chat
            tools = AgentTools(chat, caller.user_id, caller.tenant_id, served)
            server = make_agent_server(tools)
        except AssiseError as error:
            await answer_error(error)(scope, receive, send)
            return
        except ClientDisconnect:
            return
        security = load("mcp.server.transport_security", extra="mcp").TransportSecuritySettings
        # A page of another origin cannot act for a user here: it has no token to send.
        server.streamable_http_app(
            stateless_http=True,
            json_response=True,
            transport_security=security(enable_dns_rebinding_protection=False),
        )
        manager, is_told = server.session_manager, False

        async def receive_again() -> Message:
            nonlocal is_told
            if is_told:
                return await receive()
            is_told = True
            return {"type": "http.request", "body": body, "more_body": False}

        async with manager.run():
            await manager.handle_request(scope, receive_again, send)
